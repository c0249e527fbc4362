"""The envelope of a log file: from its JSON text to the texts of its records.

CloudTrail writes an object with the one member ``Records``, a list. Other members may be beside it,
as long as it is told where the elements end. All other shapes are in `shapes`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.gzip_text import LargeText

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"Records"[ \t\n\r]*:[ \t\n\r]*(?=\[)')
_FIRST = re.compile(_HEAD.pattern + rb'\[[ \t\n\r]*(\{[ \t\n\r]*"[^"\\]*+"[ \t\n\r]*:)')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_TAIL_BYTES = 64
_SPACE = b" \t\n\r"
_MAX_WAITING_BYTES = 16 << 20  # a record has a megabyte at most

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def plain_records(text: bytes) -> list[Any] | None:
    """The elements of ``Records``, each as its JSON text (anything with a buffer).

    None if there is anything around that list, or the ends of its elements cannot be determined.
    """
    body = plain_list(text)
    if body is not None:
        with suppress(ValueError):  # not the plain envelope: that is for `member_records`
            found = elements(body)
            return None if found and _is_wrapped(found[0]) else found
    return None


def _is_wrapped(raw: Any) -> bool:  # noqa: ANN401
    """Whether an element may have a record in it: a text, or an event of EventBridge."""
    return bytes(memoryview(raw)[:1]) == b'"' or b'"detail-type"' in bytes(raw)


def plain_list(text: bytes) -> memoryview | None:
    """What may be the list ``Records``, if nothing is around it; None if something may be."""
    head, tail = _HEAD.match(text), _tail(text)
    return memoryview(text)[head.end() : tail.start() + 1] if head and tail else None


def _tail(text: bytes) -> re.Match[bytes] | None:
    return _TAIL.search(text, max(0, len(text) - _TAIL_BYTES))


def find_cuts(text: LargeText) -> list[int] | None:
    """Where a large text can be cut between records, so that it need not be held whole.

    Records of one file begin with the same member. So the beginning of another one is searched for,
    not parsed, and it is one if all that lies between the last cut and it are values.

    Returns:
        Offsets in ascending order: of the first record, of some others, and of the bracket behind
        the last one. None if there is anything but the plain envelope, or a value that is not JSON,
        not UTF-8, or deeper than the decoder goes: then it has to be whole.
    """
    try:
        return _cuts(text.pieces())
    except ValueError:
        return None


def _cuts(pieces: Iterator[bytes]) -> list[int]:
    waiting = next(pieces, b"")
    first = _FIRST.match(waiting)
    if not first:
        raise ValueError("not the plain envelope")
    cuts, beginning = [first.start(1)], first[1]
    waiting = waiting[cuts[0] :]
    for piece in pieces:
        waiting += piece
        at = max(waiting.rfind(beginning), 0)
        if _are_values(_before_comma(waiting[:at])):
            cuts.append(cuts[-1] + at)
            waiting = waiting[at:]
        elif len(waiting) > _MAX_WAITING_BYTES:
            raise ValueError("no beginning of another record")
    tail = _tail(waiting)
    if not tail or not _are_values(waiting[: tail.start()]):
        raise ValueError("not the plain envelope")
    return [*cuts, cuts[-1] + tail.start()]


def _before_comma(text: bytes) -> bytes:
    """A text without the comma that it ends with; nothing if it does not."""
    text = text.rstrip(_SPACE)
    return text[:-1] if text.endswith(b",") else b""


def _are_values(text: bytes) -> bool:
    """Whether a text is JSON values, one or more, with commas between them."""
    try:
        return is_utf8(text) and bool(_RAW_LIST.decode(b"[" + text + b"]"))
    except jsontext.FAILURES:
        return False


def records_between(text: LargeText, cuts: list[int]) -> Iterator[Any]:
    """The elements of ``Records`` as `raw_records` has them, but from one cut to the next."""
    pieces, waiting, at = text.pieces(), b"", 0
    for start, end in pairwise(cuts):
        while at + len(waiting) < end:
            waiting += next(pieces)
        run = waiting[start - at : end - at].rstrip(_SPACE).removesuffix(b",")
        waiting, at = waiting[end - at :], end
        yield from elements(memoryview(b"[" + run + b"]"))


def member_records(text: bytes) -> list[Any]:
    """The elements of ``Records`` in an object that may have other members as well.

    Raises:
        ValueError: It is not an object with one list ``Records``; says what it is instead.
    """
    try:
        members = [(name, bytes(raw)) for name, raw in _ENVELOPE.decode(text).items()]
        if text.count(b'"Records"') > 1 or b"\\u" in text:  # a name may be written in escapes
            members = _split_members(text)
    except jsontext.FAILURES:
        try:
            members = _split_members(text)
        except (ValueError, RecursionError):
            members = _split_members(text, jsontext.split_loosely)
    lists = [raw for name, raw in members if name == "Records"]
    if len(lists) != 1:
        count = "no" if not lists else str(len(lists))
        raise ValueError(f"the JSON object has {count} Records")
    try:
        return elements(memoryview(lists[0]))
    except ValueError as error:
        raise ValueError(f"Records is {error}") from error


def elements(text: memoryview) -> list[Any]:
    """The elements of a list, some of which may be damaged: each is checked by itself later.

    Raises:
        ValueError: It is not a list, or where its elements end cannot be determined.
    """
    if bytes(text[:1]) != b"[":
        raise ValueError("not a JSON array")
    try:
        return _RAW_LIST.decode(text)
    except jsontext.FAILURES:  # or deeper than the decoder goes
        return [element for _, element in jsontext.split_loosely(text)]


def _split_members(
    text: bytes, split: Callable[[bytes], Iterable[tuple[bytes, Any]]] = jsontext.split
) -> list[tuple[str, Any]]:
    if text.lstrip()[:1] != b"{":
        raise ValueError("not a JSON object")
    return [(jsontext.string(name)[0] or "", raw) for name, raw in split(text)]


def is_utf8(text: bytes) -> bool:
    """Whether a text is UTF-8, determined without making a string of it."""
    if text.isascii():
        return True
    offsets = pa.array([0, len(text)], pa.int64()).buffers()[1]
    whole = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
