"""From the JSON text of a log file to typed records.

A file is decoded whole into structs whose free-form and nested fields stay untouched text. If that
fails, it is decoded record by record, and only the records that fail again take the tolerant path
of `coerce`: their columns hold what can be coerced, and the rest is unmapped.
"""

import base64
import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa

from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import format_time
from cloudtrail_parquet.formats.jsontext import NULL
from cloudtrail_parquet.records.coerce import (
    Coerced,
    Coercer,
    Unmapped,
    aliases,
    coerce_members,
    coercer,
)
from cloudtrail_parquet.schema.columns import RECORD, kind

INVALID_UTF8 = "invalidUtf8"
"""The member of `unmapped` that keeps, in base64, a record that is not UTF-8 text."""

ABSENT = msgspec.Raw(NULL)
"""The value of a free-form or nested field that was not delivered."""

_WHOLE_MAX_BYTES = 4 << 20  # beyond this the structs of one file would fill the memory caches
_SLICE_RECORDS = 1024

_HEAD = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"Records"[ \t\n\r]*:[ \t\n\r]*(?=\[)')
_TAIL = re.compile(rb"\][ \t\n\r]*\}[ \t\n\r]*\Z")
_TAIL_BYTES = 64
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


def is_scalar(field: pa.Field) -> bool:
    """Whether a top-level field is decoded at once; others stay text until their column is made."""
    return not pa.types.is_nested(field.type) and kind(field) != "json"


def _member(field: pa.Field) -> tuple[str, Any, Any]:
    if not is_scalar(field):
        return field.name, msgspec.Raw, ABSENT
    types = {"boolean": bool | None, "text-boolean": Literal["true", "false"] | None}
    return field.name, types.get(kind(field), str | None), None


Record: Any = msgspec.defstruct(
    "Record", [_member(field) for field in RECORD], forbid_unknown_fields=True, gc=False
)
"""A record: scalars as Python values (times and text-booleans as text), the rest as `Raw`."""

_OpenRecord: Any = msgspec.defstruct(
    "Record", [_member(field) for field in RECORD], gc=False
)  # the same, but further members are ignored

_RECORD_LIST = msgspec.json.Decoder(list[Record])
_RECORD = msgspec.json.Decoder(Record)
_OPEN_RECORD = msgspec.json.Decoder(_OpenRecord)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _decoded_coercer(field: pa.Field) -> Coercer:
    if not is_scalar(field):
        return lambda raw: (msgspec.Raw(raw), None)
    coerce = coercer(field)
    decoded: dict[str, Callable[[Any], str]] = {
        "timestamp": format_time,
        "text-boolean": lambda value: "true" if value else "false",
    }
    if kind(field) not in decoded:
        return coerce
    as_text = decoded[kind(field)]

    def coerce_text(raw: bytes) -> Coerced:
        value, rest = coerce(raw)
        return (None if value is None else as_text(value)), rest

    return coerce_text


_COERCERS = {field.name: _decoded_coercer(field) for field in RECORD}
_ALWAYS_COERCED = {name: _COERCERS[name] for name in ("eventVersion", "eventTime")}
_ALIASES = aliases(RECORD)


class Batch(NamedTuple):
    """Some consecutive records of a log file.

    Attributes:
        records: The n records that are JSON objects.
        positions: Their n indexes in the file's ``Records``.
        unmapped: By index in ``records``: (field name, JSON text) of what has no column.
        rejected: (index in ``Records``, reason) of each element that is not a record.
    """

    records: list[Any]
    positions: list[int]
    unmapped: dict[int, Unmapped]
    rejected: list[tuple[int, str]]


def decode(text: bytes, where: str) -> Iterator[Batch]:
    """Decode the JSON text of one log file.

    Returns:
        All its records in file order, in one batch or, for a large file, in several.

    Raises:
        UnreadableLogError: The text is not a JSON object with one list ``Records``, or it is so
            damaged that the ends of its records cannot be determined. This is raised before the
            first batch: no file is half decoded.
    """
    body, is_utf8 = _body(text), _is_utf8(text)
    if body is not None and len(text) <= _WHOLE_MAX_BYTES and is_utf8:
        try:
            records = _RECORD_LIST.decode(body)
        except jsontext.FAILURES:
            pass
        else:
            if all(map(is_compatible, {record.eventVersion for record in records})):
                return iter([Batch(records, list(range(len(records))), {}, [])])
    return _decode_each(raw_records(text, where), checked=is_utf8)


def raw_records(text: bytes, where: str) -> list[Any]:
    """The elements of ``Records``, each as its JSON text (bytes, or anything with a buffer).

    Raises:
        UnreadableLogError: As `decode` does.
    """
    body = _body(text)
    if body is not None:
        with suppress(ValueError):  # not the plain envelope: look closely
            return _elements(body)
    return _enveloped(text.removeprefix(codecs.BOM_UTF8), where)


def _body(text: bytes) -> memoryview | None:
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


_SET_ASIDE = "Copy the object again, or set it aside"


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    offsets = pa.array([0, len(text)], pa.int64()).buffers()[1]
    whole = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        whole.validate(full=True)  # without making a string of it
    except pa.ArrowInvalid:
        return False
    return True


def _decode_each(raws: list[Any], *, checked: bool) -> Iterator[Batch]:
    numbered = enumerate(raws)
    while piece := list(islice(numbered, _SLICE_RECORDS)):
        batch = Batch([], [], {}, [])
        for position, raw in piece:
            _decode_one(batch, position, raw, checked=checked)
        yield batch


def _decode_one(batch: Batch, position: int, raw: Any, *, checked: bool) -> None:  # noqa: ANN401
    try:
        if not checked:
            bytes(raw).decode()
        record, unmapped = _exact_record(raw)
    except (_OddRecordError, *jsontext.FAILURES):
        try:
            record, unmapped = _coerce_record(bytes(raw))
        except ValueError as error:
            batch.rejected.append((position, str(error)))
            return
    if unmapped:
        batch.unmapped[len(batch.records)] = unmapped
    batch.records.append(record)
    batch.positions.append(position)


class _OddRecordError(Exception):
    """A record has to take the tolerant path."""


def _exact_record(raw: Any) -> tuple[Any, Unmapped]:  # noqa: ANN401
    """Decode a record whose known members have the types of their columns.

    It may have further members, as AWS keeps adding some.

    Raises:
        _OddRecordError, or one of `jsontext.FAILURES`: It is not such a record.
    """
    unmapped: Unmapped = []
    try:
        record = _RECORD.decode(raw)
    except msgspec.ValidationError:
        record = _OPEN_RECORD.decode(raw)
        for name, text in jsontext.members(bytes(raw)).items():
            if name in _ALIASES:
                raise _OddRecordError from None
            if name not in _COERCERS and text != NULL:
                unmapped.append((name, text))
    if not is_compatible(record.eventVersion):
        raise _OddRecordError
    return record, unmapped


def _coerce_record(raw: bytes) -> tuple[Any, Unmapped]:
    """Coerce any JSON object to a record.

    Raises:
        ValueError: It is not a JSON object.
    """
    unmapped: Unmapped = []
    try:
        raw.decode()
    except UnicodeDecodeError:
        unmapped.append((INVALID_UTF8, jsontext.quote(base64.b64encode(raw).decode())))
        raw = raw.decode(errors="replace").encode()
    members = jsontext.members(raw)
    version, _ = jsontext.string(members.get("eventVersion", NULL))
    coercers, spellings = (_COERCERS, _ALIASES) if is_compatible(version) else (_ALWAYS_COERCED, {})
    values, others = coerce_members(members, coercers, spellings)
    return Record(**values), unmapped + others


def is_compatible(version: str | None) -> bool:
    """Whether the columns have their documented meaning for records of this eventVersion.

    Another major version is incompatible (CloudTrail User Guide, eventVersion): such a record
    keeps its version and time in columns and everything else in ``unmapped``.
    """
    numbers = version_numbers(version)
    return numbers is None or numbers[0] == 1


def version_numbers(version: str | None) -> tuple[int, int] | None:
    """An eventVersion as (major, minor), since "1.10" is above "1.9"; None for other text."""
    match = _VERSION.fullmatch(version or "")
    return (int(match[1]), int(match[2])) if match else None
