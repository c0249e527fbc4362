r"""JSON text that every reader accepts, in place of text that only some accept.

CloudTrail writes what a caller sent, and legal JSON text may hold what strict parsers refuse: half
of a surrogate pair (``"\ud83d"``) makes DuckDB, Polars and simdjson fail. A query into a column
fails on a single such row, so anybody could blind it. `strict` changes

* a lone surrogate, in a string or a name, into U+FFFD;
* a number beyond 64-bit integers or doubles, or of very many digits, into a string of them;
* a value nested deeper than `MAX_DEPTH` into a string of its text;

and nothing else. Whoever writes a changed text keeps the exact one in ``unmapped``; ``unmapped`` is
itself JSON text, and keeps its own exact text in a string: `wrap` and `unwrap`.
"""

import json
import re
from math import isfinite

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.jsontext import TOKEN

EXACT_TEXT = "exactText"
"""The member of `unmapped` that keeps its own exact text, as a string."""

MAX_DEPTH = 100
"""Nesting beyond this becomes text.

Readers follow nesting with their stacks. ``json_path_match`` of Polars and ``json_structure`` of
DuckDB take 126 levels, Apache Doris declares a limit of 128; Python's parser stops at 1,000 less
what the caller has used, simdjson, pandas and ``json_decode`` of Polars at 1,024. Spark 4.3 crashes
on a VARIANT of 1,000 to 2,000 levels, DuckDB 2.0 on one, or on a cast to one, of 10,000 to 30,000.
Records of AWS stay far below.
"""

_LOWEST, _BEYOND = -(2**63), 2**64  # what simdjson and pandas accept, before a point as well
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

_LITTLE_BYTES = 8 << 10  # are searched text by text before Arrow has compiled the expression

# Whatever `strict` may change holds one of these: one expression, so that RE2 scans a text once.
_SURROGATE = r"\\u[dD][89a-fA-F]"
_NUMBER = r'(?:^|"[ \t\n\r]*:|[\[,])[ \t\n\r]*-?[0-9][0-9.]*(?:[0-9]{18}|[eE][-+]?[0-9]{3})'
_DEEP = rf"^(?:[^\[{{]*[\[{{]){{{MAX_DEPTH + 1}}}"
_SUSPECT = f"{_SURROGATE}|{_NUMBER}|{_DEEP}"
_SHALLOW_SUSPECT = re.compile(f"{_SURROGATE}|{_NUMBER}".encode())


def strict(text: bytes) -> bytes:
    """Rewrite one JSON value so that every reader accepts it; the same text if they do already.

    Time and memory are proportional to the text. Names that differ only in lone surrogates become
    equal.
    """
    brackets = text.count(b"{") + text.count(b"[")
    if brackets <= MAX_DEPTH and not _SHALLOW_SUSPECT.search(text):
        return text
    pieces, kept, depth, deep_from = [], 0, 0, 0
    for token in TOKEN.finditer(text):
        kind = token.lastgroup or ""
        start, end = token.span(kind)
        replacement = None
        if kind == "open":
            depth += 1
            if depth == MAX_DEPTH + 1:
                deep_from = start
        elif kind == "close":
            depth -= 1
            if depth == MAX_DEPTH:
                start, replacement = deep_from, _quoted(text[deep_from:end])
        elif depth <= MAX_DEPTH and kind in _STRICT:
            replacement = _STRICT[kind](token[kind])
        if replacement is not None:
            pieces += [text[kept:start], replacement]
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
    return None if token[:1].isalpha() or _is_readable(token) else b'"' + token + b'"'


def _is_readable(number: bytes) -> bool:
    """Whether readers can represent these digits as a number, even if rounded."""
    if _USUAL_NUMBER.fullmatch(number):
        return True
    whole = _INTEGER.match(number)
    if len(number) > _MAX_DIGITS or whole is None or not _LOWEST <= int(whole[0]) < _BEYOND:
        return False
    exponent = _EXPONENT.search(number)
    short = exponent is None or len(exponent[1]) <= _MAX_EXPONENT_DIGITS
    return short and isfinite(float(number))


_STRICT = {"string": _strict_string, "scalar": _strict_scalar}
"""Replaces a token, by its kind; None leaves it as it is."""


def strict_column(texts: pa.Array) -> tuple[pa.Array, list[int]]:
    """Make n JSON texts strict.

    Returns:
        n texts, the same array if all of them are strict already, and the indexes of the rows that
        were changed, ascending.
    """
    if texts.null_count == len(texts):
        return texts, []
    is_little = texts.nbytes <= _LITTLE_BYTES
    suspected = texts.is_valid() if is_little else pc.match_substring_regex(texts, _SUSPECT)
    suspects = pc.indices_nonzero(suspected).to_pylist()
    changed: dict[int, bytes] = {}
    for row in suspects:
        text = texts[row].as_py().encode()
        replacement = strict(text)
        if replacement is not text:
            changed[row] = replacement
    if not changed:
        return texts, []
    mask = pa.array([row in changed for row in range(len(texts))], pa.bool_())
    return pc.replace_with_mask(texts, mask, pa.array(changed.values(), texts.type)), [*changed]


def wrap(unmapped: bytes) -> bytes:
    """Make strict what is unmapped, a JSON object that `jsontext.compose` made.

    If that changes it, a member `EXACT_TEXT` keeps it as it was. A member that was delivered under
    this name moves in there as well, so that the name has one meaning only.
    """
    readable = strict(unmapped)
    if readable is unmapped and EXACT_TEXT.encode() not in unmapped:
        return unmapped
    members = jsontext.members(readable)
    members.pop(EXACT_TEXT, None)
    return jsontext.compose([*members.items(), (EXACT_TEXT, _quoted(unmapped))])


def unwrap(unmapped: bytes) -> bytes:
    """What is unmapped, as it was before `wrap`."""
    if EXACT_TEXT.encode() not in unmapped:
        return unmapped
    exact, _ = jsontext.string(jsontext.members(unmapped).get(EXACT_TEXT, jsontext.NULL))
    return unmapped if exact is None else exact.encode()


def is_wrapped(unmapped: bytes) -> bool:
    """Whether what is unmapped keeps its exact text."""
    return EXACT_TEXT.encode() in unmapped and EXACT_TEXT in jsontext.members(unmapped)
