r"""JSON text that every reader takes, in place of text that only some take.

CloudTrail writes what a caller sent, and legal JSON text may hold what strict parsers refuse: half
of a surrogate pair (``"\ud83d"``) makes DuckDB, Polars and simdjson fail, and a query that looks
into a column fails with the one row, so anybody could blind it. `strict` changes

* a lone surrogate, in a string or a name, into U+FFFD;
* a number beyond 64-bit integers or doubles, or of very many digits, into a string of them;
* a value nested deeper than `MAX_DEPTH` into a string of its text;

and nothing else. Whoever writes a changed text keeps the exact one in ``unmapped``; ``unmapped`` is
itself such a text, and keeps its own exact text in a string: `wrap` and `unwrap`.
"""

import json
import re
from math import isfinite

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.jsontext import TOKEN

EXACT_TEXT = "exactText"
"""The name in `unmapped` under which its own exact text is kept, as a string."""

MAX_DEPTH = 100
"""Nesting beyond this becomes text.

Readers follow nesting with their stacks. ``json_path_match`` of Polars and ``json_structure`` of
DuckDB take 126 levels, Apache Doris declares a limit of 128; Python's parser stops at 1,000 less
what the caller has used, simdjson, pandas and ``json_decode`` of Polars at 1,024. Spark 4.3 dies of
a VARIANT between 1,000 and 2,000 levels, DuckDB 2.0 of one, or of a cast to one, between 10,000 and
30,000. Records of AWS stay far below.
"""

_LOWEST, _BEYOND = -(2**63), 2**64  # what simdjson and pandas take, before a point as well
_INTEGER = re.compile(rb"-?[0-9]+")
_USUAL_NUMBER = re.compile(rb"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?")
_MAX_DIGITS = 1000  # Jackson's limit, which Spark and Trino parse with; Python has one of 4,300
_EXPONENT = re.compile(rb"[eE][-+]?([0-9]+)")
_MAX_EXPONENT_DIGITS = 4  # Polars refuses an exponent that fills more than 32 bits
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)

# What `strict` may change holds one of these: in one expression, for RE2 to go once through a text.
_SURROGATE = r"\\u[dD][89a-fA-F]"
_NUMBER = r'(?:^|"[ \t\n\r]*:|[\[,])[ \t\n\r]*-?[0-9][0-9.]*(?:[0-9]{18}|[eE][-+]?[0-9]{3})'
_DEEP = rf"^(?:[^\[{{]*[\[{{]){{{MAX_DEPTH + 1}}}"
_SUSPECT = f"{_SURROGATE}|{_NUMBER}|{_DEEP}"
_SHALLOW_SUSPECT = re.compile(f"{_SURROGATE}|{_NUMBER}".encode())


def strict(text: bytes) -> bytes:
    """Make of one JSON value a text that every reader takes; the same text if it is one already.

    It takes time and memory in proportion to the text. Names that differ only in lone surrogates
    become equal.
    """
    brackets = text.count(b"{") + text.count(b"[")
    if brackets <= MAX_DEPTH and not _SHALLOW_SUSPECT.search(text):
        return text
    pieces, kept, depth, deep_from = [], 0, 0, 0
    for token in TOKEN.finditer(text):
        kind = token.lastgroup or ""
        start, end = token.span(kind)
        instead = None
        if kind == "open":
            depth += 1
            if depth == MAX_DEPTH + 1:
                deep_from = start
        elif kind == "close":
            depth -= 1
            if depth == MAX_DEPTH:
                start, instead = deep_from, _quoted(text[deep_from:end])
        elif depth <= MAX_DEPTH and kind in _STRICT:
            instead = _STRICT[kind](token[kind])
        if instead is not None:
            pieces += [text[kept:start], instead]
            kept = end
    return b"".join([*pieces, text[kept:]]) if pieces else text


def _quoted(text: bytes) -> bytes:
    return json.dumps(text.decode(), ensure_ascii=False).encode()


def _strict_string(token: bytes) -> bytes | None:
    if b"\\u" not in token:
        return None
    changed = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["lone"] else escape[0], token)
    return None if changed == token else changed


def _strict_scalar(token: bytes) -> bytes | None:
    return None if token[:1].isalpha() or _is_held(token) else b'"' + token + b'"'


def _is_held(number: bytes) -> bool:
    """Whether readers have a number for these digits, be it a rounded one."""
    if _USUAL_NUMBER.fullmatch(number):
        return True
    whole = _INTEGER.match(number)
    if len(number) > _MAX_DIGITS or whole is None or not _LOWEST <= int(whole[0]) < _BEYOND:
        return False
    exponent = _EXPONENT.search(number)
    short = exponent is None or len(exponent[1]) <= _MAX_EXPONENT_DIGITS
    return short and isfinite(float(number))


_STRICT = {"string": _strict_string, "scalar": _strict_scalar}
"""What to write in place of a token, by its kind; None for the token itself."""


def strict_column(texts: pa.Array) -> tuple[pa.Array, list[int]]:
    """Make n JSON texts strict.

    Returns:
        n texts, the same array if all of them are strict already, and the numbers of the rows
        that were changed, ascending.
    """
    if texts.null_count == len(texts):
        return texts, []
    suspects = pc.indices_nonzero(pc.match_substring_regex(texts, _SUSPECT)).to_pylist()
    changed: dict[int, bytes] = {}
    for row in suspects:
        text = texts[row].as_py().encode()
        instead = strict(text)
        if instead is not text:
            changed[row] = instead
    if not changed:
        return texts, []
    mask = pa.array([row in changed for row in range(len(texts))], pa.bool_())
    return pc.replace_with_mask(texts, mask, pa.array(changed.values(), texts.type)), [*changed]


def wrap(unmapped: bytes) -> bytes:
    """Write what is unmapped, a JSON object that `jsontext.compose` made, so that it is strict.

    If that changes it, a member `EXACT_TEXT` holds what it was. A member that was delivered under
    this name goes into there as well, so that the name means only one thing.
    """
    readable = strict(unmapped)
    if readable is unmapped and EXACT_TEXT.encode() not in unmapped:
        return unmapped
    members = jsontext.members(readable)
    members.pop(EXACT_TEXT, None)
    return jsontext.compose([*members.items(), (EXACT_TEXT, _quoted(unmapped))])


def unwrap(unmapped: bytes) -> bytes:
    """What was unmapped, as it was before `wrap`."""
    if EXACT_TEXT.encode() not in unmapped:
        return unmapped
    exact, _ = jsontext.string(jsontext.members(unmapped).get(EXACT_TEXT, jsontext.NULL))
    return unmapped if exact is None else exact.encode()


def is_wrapped(unmapped: bytes) -> bool:
    """Whether what is unmapped keeps its exact text."""
    return EXACT_TEXT.encode() in unmapped and EXACT_TEXT in jsontext.members(unmapped)
