"""The envelope of a log file: from its JSON text to the texts of its records.

CloudTrail writes an object with the one member ``Records``, a list. Other envelopes are understood
as well, as long as they hold one such list and tell where its elements end.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pyarrow as pa

from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats import jsontext

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"Records"[ \t\n\r]*:[ \t\n\r]*(?=\[)')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_TAIL_BYTES = 64
_SET_ASIDE = "Copy the object again, or set it aside"

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def raw_records(text: bytes, where: str) -> list[Any]:
    """The elements of ``Records``, each as its JSON text (bytes, or anything with a buffer).

    Raises:
        UnreadableLogError: The text is not a JSON object with one list ``Records``, or it is so
            damaged that the ends of its elements cannot be determined.
    """
    body = plain_list(text)
    if body is not None:
        with suppress(ValueError):  # not the plain envelope: look closely
            return _elements(body)
    return _enveloped(text.removeprefix(codecs.BOM_UTF8), where)


def plain_list(text: bytes) -> memoryview | None:
    """What may be the list ``Records``, if nothing is around it; None if something may be."""
    head = _HEAD.match(text)
    tail = _TAIL.search(text, max(0, len(text) - _TAIL_BYTES))
    return memoryview(text)[head.end() : tail.start() + 1] if head and tail else None


def _enveloped(text: bytes, where: str) -> list[Any]:
    try:
        members = [(name, bytes(raw)) for name, raw in _ENVELOPE.decode(text).items()]
        if text.count(b'"Records"') > 1 or b"\\u" in text:  # a name may be written in escapes
            members = _split_members(text)
    except jsontext.FAILURES as error:
        try:
            members = _split_members(text)
        except (ValueError, RecursionError) as invalid:
            try:
                members = _split_members(text, jsontext.split_loosely)
            except ValueError:
                reason = invalid if isinstance(error, RecursionError) else error
                what = _not_an_envelope(text, reason)
                raise UnreadableLogError(what, where, _SET_ASIDE) from error
    lists = [raw for name, raw in members if name == "Records"]
    if len(lists) != 1:
        count = "no" if not lists else str(len(lists))
        raise UnreadableLogError(f"the JSON object has {count} Records", where, _SET_ASIDE)
    try:
        return _elements(memoryview(lists[0]))
    except ValueError as error:
        raise UnreadableLogError(f"Records is {error}", where, _SET_ASIDE) from error


def _elements(text: memoryview) -> list[Any]:
    """The elements of a list, some of which may be damaged: each is checked by itself later."""
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


def _not_an_envelope(text: bytes, error: Exception) -> str:
    start = text.lstrip()[:1]
    if not start:
        return "the file is empty"
    if start == b"[":
        return "a JSON list, not an object with Records"
    return f"not one JSON object with Records ({str(error) or type(error).__name__})"


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
