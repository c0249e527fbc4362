"""JSON as text: split, composed and compared without changing a byte of a value.

msgspec does the ordinary work. It refuses nesting beyond the interpreter's recursion limit and
lone surrogates in member names, both of which valid JSON may hold; for those, and to see repeated
member names, `split` walks the text with a stack of its own.
"""

import json
import re
from operator import itemgetter

import msgspec

NULL = b"null"

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
TOKEN = re.compile(
    rb'[ \t\n\r]*(?:(?P<string>"[^"\\\x00-\x1f]*'
    rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*")'
    rb"|(?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)"
    rb"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<colon>:)|(?P<comma>,))"
)
_AFTER = {  # what may follow a kind of token, where that kind is allowed
    ("value", "string"): "comma",
    ("value", "scalar"): "comma",
    ("value", "open"): "first",
    ("first value", "string"): "comma",
    ("first value", "scalar"): "comma",
    ("first value", "open"): "first",
    ("first value", "close"): "comma",
    ("first name", "string"): "colon",
    ("first name", "close"): "comma",
    ("name", "string"): "colon",
    ("colon", "colon"): "value",
    ("comma", "comma"): "next",
    ("comma", "close"): "comma",
}
_WITHIN = {  # "first" and "next" depend on the bracket around them
    ("first", ord("{")): "first name",
    ("first", ord("[")): "first value",
    ("next", ord("{")): "name",
    ("next", ord("[")): "value",
}
_INSIDE = {"open": "first", "close": "comma"}
_CLOSED_BY = {ord("{"): b"}", ord("["): b"]"}
_LOOSE_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_LOOSE_SCALAR = rb'[^"\\{}\[\]:, \t\n\r]++'
_LOOSE_TOKEN = re.compile(
    rb"[ \t\n\r]*(?:(?P<string>%b)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<colon>:)|(?P<comma>,)"
    rb"|(?P<scalar>%b))" % (_LOOSE_STRING, _LOOSE_SCALAR),
    re.DOTALL,
)
_LOOSE_RUN = (
    re.compile(  # up to a bracket; quotes that do not pair up would join a string to others
        rb'(?:[ \t\n\r:,]++|%b(?=[ \t\n\r]*+[]:,{}[])|%b(?![ \t\n\r]*+"))*+'
        % (_LOOSE_STRING, _LOOSE_SCALAR),
        re.DOTALL,
    )
)
_BEGIN, _END = re.compile(rb"[ \t\n\r]*+[{\[]"), re.compile(rb"[ \t\n\r]*+\Z")
_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4})"
)
_SURROGATE = re.compile("[\ud800-\udfff]")

FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on text that it cannot parse; `split` may still be able to."""


def members(raw: bytes) -> dict[str, bytes]:
    """The members of a JSON object by name, values as they are written; of equal names the last.

    Raises:
        ValueError: The text is not one JSON object.
    """
    try:
        return {name: bytes(value) for name, value in _MEMBERS.decode(raw).items()}
    except FAILURES:
        if not raw.lstrip()[:1] == b"{":
            raise ValueError("not a JSON object") from None
        return {_python_string(name): value for name, value in split(raw)}


def items(raw: bytes | memoryview) -> list[bytes]:
    """The elements of a JSON array, each as it is written.

    Raises:
        ValueError: The text is not one JSON array.
    """
    try:
        return [bytes(item) for item in _ITEMS.decode(raw)]
    except FAILURES:
        whole = bytes(raw)
        if not whole.lstrip()[:1] == b"[":
            raise ValueError("not a JSON array") from None
        return [value for _, value in split(whole)]


def split(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Split one JSON object or array, however deep, checking every token in it.

    Returns:
        (name token, value text) in order, repeated names included; names of array elements are
        empty.

    Raises:
        ValueError: The text is not one JSON object or array; says at which byte.
    """
    _check_begin(raw)
    parts: list[tuple[bytes, bytes]] = []
    brackets = bytearray()  # a byte for each level, of which hostile text may have very many
    expected, name, start, at = "value", b"", 0, 0
    while brackets or not at:
        match, depth = TOKEN.match(raw, at), len(brackets)
        kind = (match and match.lastgroup) or ""
        after = _AFTER.get((expected, kind))
        if match is None or after is None or not _is_balanced(match, brackets):
            raise ValueError(f"invalid JSON at byte {at}")
        if depth == 1 and after == "colon":
            name = match[kind]
        elif depth == 1 and expected in {"value", "first value"}:
            start = match.start(kind)
        if kind == "open":
            brackets += match[kind]
        elif kind == "close":
            brackets.pop()
        at = match.end()
        if len(brackets) == 1 and after == "comma":
            parts.append((name, raw[start:at]))
        expected = _WITHIN[after, brackets[-1]] if after in {"first", "next"} else after
    _check_end(raw, at)
    return parts


def split_loosely(raw: bytes | memoryview) -> list[tuple[bytes, memoryview]]:
    """Split one JSON object or array as `split` does, though single values may be damaged.

    Its own tokens have to be valid. Below them, brackets must match and quotes must pair up: that
    tells where values end, whatever else is in them (``NaN``, a comma too many), which is for the
    caller to check. The time is proportional to the text, and nothing is copied.

    Raises:
        ValueError: Where a value ends cannot be determined.
    """
    _check_begin(raw)
    parts: list[tuple[bytes, memoryview]] = []
    brackets, view = bytearray(), memoryview(raw)
    expected, name, start, at = "value", b"", 0, 0
    while brackets or not at:
        if (depth := len(brackets)) > 1:
            at = _end_of_run(raw, at)
        match = _LOOSE_TOKEN.match(raw, at)
        kind = (match and match.lastgroup) or ""
        after = _INSIDE.get(kind) if depth > 1 else _AFTER.get((expected, kind))
        if match is None or after is None or not _is_balanced(match, brackets):
            raise ValueError(f"invalid JSON at byte {at}")
        if depth == 1 and after == "colon":
            name = match[kind]
        elif depth == 1 and expected in {"value", "first value"}:
            start = match.start(kind)
        if kind == "open":
            brackets += match[kind]
        elif kind == "close":
            brackets.pop()
        at = match.end()
        if len(brackets) == 1:
            if after == "comma":
                parts.append((name, view[start:at]))
            expected = _WITHIN.get((after, brackets[-1]), after)
    _check_end(raw, at)
    return parts


def end_of_value(raw: bytes, at: int) -> int:
    """The end of a JSON object or array, of several in one text: by `split_loosely`'s rules.

    Args:
        raw: The text.
        at: Where the value begins, or white space before it.

    Raises:
        ValueError: No object or array begins there, or where it ends cannot be determined.
    """
    if not _BEGIN.match(raw, at):
        raise ValueError(f"not a JSON object or array at byte {at}")
    brackets = bytearray()
    while True:
        if brackets:
            at = _end_of_run(raw, at)
        match = _LOOSE_TOKEN.match(raw, at)
        if match is None or not _is_balanced(match, brackets):
            raise ValueError(f"invalid JSON at byte {at}")
        at = match.end()
        if match.lastgroup == "open":
            brackets += match["open"]
        elif match.lastgroup == "close":
            brackets.pop()
            if not brackets:
                return at


def _end_of_run(raw: bytes | memoryview, at: int) -> int:
    run = _LOOSE_RUN.match(raw, at)
    return run.end() if run else at


def _check_begin(raw: bytes | memoryview) -> None:
    if not _BEGIN.match(raw):
        raise ValueError("not a JSON object or array")


def _check_end(raw: bytes | memoryview, at: int) -> None:
    if not _END.match(raw, at):
        raise ValueError(f"bytes after the closing bracket at byte {at}")


def _is_balanced(match: re.Match[bytes], brackets: bytearray) -> bool:
    return match.lastgroup != "close" or match["close"] == _CLOSED_BY[brackets[-1]]


def string(raw: bytes) -> tuple[str | None, bool]:
    """Read a JSON string.

    Returns:
        The string and True; or, when it has lone surrogates, which UTF-8 cannot hold, the string
        with U+FFFD in their place and False; or None and False when it is not a string.
    """
    try:
        return _STRING.decode(raw), True
    except FAILURES:
        if raw[:1] != b'"':
            return None, False
        return encodable(_python_string(raw)), False


def _python_string(token: bytes) -> str:
    text: str = json.loads(token)  # unlike msgspec it takes lone surrogates
    return text


def quote(text: str) -> bytes:
    """Write a string as JSON in ASCII, which can hold any text, lone surrogates included."""
    return json.dumps(text).encode()


def compose(parts: list[tuple[str, bytes]]) -> bytes:
    """Write an object from (name, value text) pairs."""
    return b"{" + b",".join(quote(name) + b":" + value for name, value in parts) + b"}"


def text_within(token: bytes) -> bytes:
    """The text that a JSON string holds, as UTF-8: its escapes are resolved once.

    Half of a surrogate pair, which UTF-8 cannot hold, stays the escape that it is: where the text
    is JSON itself, that is the same value. Bytes that are not UTF-8 stay as they are.

    Raises:
        ValueError: The token is not a JSON string.
    """
    try:
        return _STRING.decode(token).encode()
    except FAILURES:
        match = TOKEN.fullmatch(token.strip())
        if match is None or match.lastgroup != "string":
            raise ValueError("not a JSON string") from None
        return _ESCAPE.sub(_resolved, match["string"][1:-1])


def as_utf8(text: str) -> bytes:
    """A JSON text as UTF-8, halves of surrogate pairs, which that cannot hold, as escapes."""
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _resolved(escape: re.Match[bytes]) -> bytes:
    if escape["pair"]:
        return _python_string(b'"' + escape[0] + b'"').encode()
    text = _python_string(b'"' + escape[0] + b'"')
    return escape[0] if has_surrogates(text) else text.encode()


def encodable(text: str) -> str:
    """The string with U+FFFD in place of each lone surrogate, which UTF-8 cannot hold."""
    return _SURROGATE.sub("\ufffd", text)


def has_surrogates(text: str) -> bool:
    """Whether a string holds lone surrogates."""
    return _SURROGATE.search(text) is not None


def canonical(raw: bytes) -> str:
    """One text for each JSON value, whatever the order of its members and its white space.

    Numbers keep their digits, repeated members stay repeated, and bytes that are not UTF-8 stay
    distinct. What is nested too deep for Python to parse is taken as it is written: the whole text
    or, of an object, only the members that are too deep.
    """
    try:
        return _canonical(raw)
    except RecursionError:
        if raw.lstrip()[:1] != b"{":
            return json.dumps(raw.decode(errors="surrogateescape"))
    return json.dumps(sorted((_canonical(name), _shallow(value)) for name, value in split(raw)))


def _canonical(raw: bytes) -> str:
    value = json.loads(
        raw.decode(errors="surrogateescape"),
        parse_int=_number,
        parse_float=_number,
        object_pairs_hook=_members_by_name,
    )
    return json.dumps(value)


def _shallow(raw: bytes) -> str:
    try:
        return _canonical(raw)
    except RecursionError:
        return json.dumps(raw.decode(errors="surrogateescape"))


def _number(digits: str) -> dict[str, str]:
    return {"number": digits}


def _members_by_name(members: list[tuple[str, object]]) -> dict[str, object]:
    return {"object": sorted(members, key=itemgetter(0))}
