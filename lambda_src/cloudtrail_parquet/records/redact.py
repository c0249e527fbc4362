"""Redacting values in JSON text by the names of their members, changing no other byte.

Names are compared after their escapes are resolved. Every member of that name loses its value, at
any depth and as often as the name is repeated. Strings are not searched, even if they hold JSON (as
a ``policyDocument`` does).
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.jsontext import NULL, TOKEN
from cloudtrail_parquet.records.coerce import Unmapped
from cloudtrail_parquet.records.decode import INVALID_UTF8
from cloudtrail_parquet.schema.columns import RECORD, UNMAPPED
from cloudtrail_parquet.settings.rules import Redact, keys_by_column

REDACTED = b'"[redacted]"'
"""What replaces a value."""

_ANY = msgspec.json.Decoder(msgspec.Raw)
_STEPS = {"open": 1, "close": -1}


class _Search(NamedTuple):
    """Patterns that find some keys.

    Attributes:
        names: The keys that UTF-8 can hold, without escapes.
        next: From outside a string, matches to the end of the next string that is a key or has an
            escape (group 1), and its colon if it is a name (group 2).
        candidate: The same for a whole column: RE2 is linear wherever a match may start.
    """

    names: tuple[bytes, ...]
    next: re.Pattern[bytes]
    candidate: str


@lru_cache(64)
def _search(keys: frozenset[str]) -> _Search:
    plain = sorted(key for key in keys if not jsontext.has_surrogates(key))
    either = "|".join(map(re.escape, plain))
    following = (
        rf'[^"]*+(?:"(?!(?:{either})")[^"\\]*+"[^"]*+)*+'
        r'("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\n\r]*+:[ \t\n\r]*+)?'
    )
    candidate = rf'"(?:{either}|[^"\\]*\\.(?:[^"\\]|\\.)*)"[ \t\n\r]*:'
    names = tuple(key.encode() for key in plain)
    return _Search(names, re.compile(following.encode()), candidate)


class Redactor:
    """Redacts what rules ask for; without rules it does nothing.

    Attributes:
        counts: Values replaced, by rule.
    """

    def __init__(self, rules: Iterable[Redact]) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = keys_by_column(rules)
        self._keys = {column: frozenset(keys) for column, keys in self._rules.items()}

    def column(self, name: str, texts: pa.Array) -> pa.Array:
        """Redact the n JSON texts, or nulls, of a column."""
        if name not in self._keys:
            return texts
        texts, counts = redact_text_column(texts, self._keys[name])
        self._count(name, counts)
        return texts

    def concerns(self, name: str) -> bool:
        """Whether there is anything to redact below a struct."""
        return any(path.startswith(f"{name}.") for path in self._keys)

    def members(self, name: str, text: bytes) -> bytes:
        """Redact the JSON text of a struct, some of whose members are free-form columns."""
        columns = {path.rpartition(".")[2] for path in self._keys if path.startswith(f"{name}.")}
        if text[:1] != b"{":
            return text
        return jsontext.compose(
            [
                (member, self._text(f"{name}.{member}", value) if member in columns else value)
                for member, value in jsontext.members(text).items()
            ]
        )

    def unmapped(self, parts: Unmapped) -> Unmapped:
        """Redact the members of ``unmapped``; a column's own name does not count as a key."""
        if not self._keys:
            return parts
        return [(name, self._unmapped_text(name, text)) for name, text in parts]

    def _unmapped_text(self, name: str, text: bytes) -> bytes:
        if name == INVALID_UTF8:
            return REDACTED if self._holds_a_key(base64.b64decode(text)) else text
        if UNMAPPED not in self._keys:
            return text
        if name in self._keys[UNMAPPED] and RECORD.get_field_index(name) < 0:
            member = jsontext.compose([(name, text)])
            return jsontext.members(self._text(UNMAPPED, member))[name]
        return self._text(UNMAPPED, text)

    def _holds_a_key(self, record: bytes) -> bool:
        """Whether any of the keys may occur in a whole record."""
        keys = {key.encode(errors="replace") for keys in self._keys.values() for key in keys}
        return b"\\" in record or any(key in record for key in keys)

    def _text(self, column: str, text: bytes) -> bytes:
        text, counts = redact(text, self._keys[column])
        self._count(column, counts)
        return text

    def _count(self, column: str, counts: dict[str, int]) -> None:
        for key, count in counts.items():
            self.counts[self._rules[column][key]] += count


def redact(text: bytes, keys: frozenset[str]) -> tuple[bytes, dict[str, int]]:
    """Put `REDACTED` in the place of each value whose member has one of the names.

    Nulls, which hold nothing, and values that are redacted already stay. Redacted values are not
    searched.

    Returns:
        The text, otherwise untouched, and how many values were replaced, by name.

    Raises:
        ValueError: The text is not valid JSON. A text with neither a key nor a backslash is
            returned unchecked.
    """
    counts: dict[str, int] = {}
    return _redact(text, keys, counts), counts


def redact_text_column(texts: pa.Array, keys: frozenset[str]) -> tuple[pa.Array, dict[str, int]]:
    """Redact n JSON texts, or nulls.

    Returns:
        The n texts, the same array if there was nothing to redact, and how many values were
        replaced, by name.

    Raises:
        ValueError: A text is not valid JSON.
    """
    if texts.null_count == len(texts):
        return texts, {}
    counts: dict[str, int] = {}
    candidates = pc.match_substring_regex(texts, _search(keys).candidate)
    matching = texts.filter(candidates).cast(pa.binary()).to_pylist()
    redacted = [_redact(text, keys, counts) for text in matching]
    if counts:
        texts = pc.replace_with_mask(texts, candidates, pa.array(redacted, texts.type))
    return texts, counts


def _redact(text: bytes, keys: frozenset[str], counts: dict[str, int]) -> bytes:
    search = _search(keys)
    if b"\\" not in text and not any(name in text for name in search.names):
        return text
    _check(text)
    pieces, kept, at = [], 0, 0
    while match := search.next.match(text, at):
        start = at = match.end()
        if match[2] and (name := _name(match[1])) in keys:
            at = _end(text, start)
            if text[start:at] not in {NULL, REDACTED}:
                pieces += [text[kept:start], REDACTED]
                kept = at
                counts[name] = counts.get(name, 0) + 1
    return b"".join([*pieces, text[kept:]])


def _check(text: bytes) -> None:
    text.decode()
    with suppress(*jsontext.FAILURES):
        _ANY.decode(text)
        return
    if len(jsontext.split(b"[" + text + b"]")) != 1:
        raise ValueError("not one JSON value")


def _name(token: bytes) -> str:
    name: str = json.loads(token) if b"\\" in token else token[1:-1].decode()
    return name


def _end(text: bytes, start: int) -> int:
    """The end of the value that starts at a byte of valid JSON."""
    depth = 0
    for token in TOKEN.finditer(text, start):
        depth += _STEPS.get(token.lastgroup or "", 0)
        if not depth:
            return token.end()
    raise ValueError(f"the value at byte {start} does not end")
