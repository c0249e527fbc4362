"""From the JSON text of a log file to typed records.

A file is decoded whole into structs whose free-form and nested fields stay untouched text. If that
fails, it is decoded record by record, and only the records that fail again take the tolerant path
of `coerce`: their columns hold what can be coerced, and the rest is unmapped.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec
import pyarrow as pa

from cloudtrail_parquet.envelopes.envelope import (
    find_cuts,
    is_utf8,
    plain_list,
    plain_records,
    records_between,
)
from cloudtrail_parquet.envelopes.foreign import S3_NOTIFICATION, is_s3_notification
from cloudtrail_parquet.envelopes.shapes import Enclosed, unwrapped
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import format_time
from cloudtrail_parquet.formats.gzip_text import LargeText
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
        positions: Their n indexes among the file's elements: those of ``Records``, lines, …
        unmapped: By index in ``records``: (field name, JSON text) of what has no column.
        rejected: (index, reason) of each element that is not a record.
        skipped: Likewise of those that belong into such a file, and of which no record is missed.
    """

    records: list[Any]
    positions: list[int]
    unmapped: dict[int, Unmapped]
    rejected: list[tuple[int, str]]
    skipped: list[tuple[int, str]]


def decode(text: bytes | LargeText, where: str) -> Iterator[Batch]:
    """Decode the JSON text of one log file.

    Returns:
        All its records in file order, in one batch or, for a large file, in several.

    Raises:
        UnreadableLogError: As `shapes.enclosed_records` does, before the first batch: no file is
            half decoded.
    """
    if isinstance(text, LargeText):
        cuts = find_cuts(text)
        if cuts is not None:
            return _decode_each(records_between(text, cuts), checked=True)
        return _decode_enclosed(unwrapped(text, where))
    body, checked = plain_list(text), is_utf8(text)
    if body is not None and len(text) <= _WHOLE_MAX_BYTES and checked:
        try:
            records = _RECORD_LIST.decode(body)
        except jsontext.FAILURES:
            pass
        else:
            if all(map(is_compatible, {record.eventVersion for record in records})):
                return iter([Batch(records, list(range(len(records))), {}, [], [])])
    raws = plain_records(text)
    if raws is None:
        return _decode_enclosed(unwrapped(text, where))
    return _decode_each(raws, checked=checked)


def _decode_each(raws: Iterable[Any], *, checked: bool) -> Iterator[Batch]:
    numbered = enumerate(raws)
    while piece := list(islice(numbered, _SLICE_RECORDS)):
        batch = Batch([], [], {}, [], [])
        for position, raw in piece:
            _decode_one(batch, position, raw, checked=checked)
        yield batch


def _decode_enclosed(elements: Iterable[Enclosed]) -> Iterator[Batch]:
    numbered = enumerate(elements)
    while piece := list(islice(numbered, _SLICE_RECORDS)):
        batch = Batch([], [], {}, [], [])
        for number, element in piece:
            if element.is_expected:
                batch.skipped.append((number, element.fault))
            elif element.fault:
                batch.rejected.append((number, element.fault))
            else:
                _decode_one(batch, number, element.raw, checked=False)
            if batch.rejected and batch.rejected[-1][0] == number:
                batch.rejected[-1] = number, _placed(element, number, batch.rejected[-1][1])
        yield batch


def _placed(element: Enclosed, number: int, reason: str) -> str:
    """A reason with where the element is, unless its number tells that."""
    if element.position in {"", f".Records[{number}]"}:
        return reason
    return f"{element.position}: {reason}"


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
        ValueError: It is not a JSON object, or a notification of S3, which looks like a record.
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
    if not is_compatible(version) and is_s3_notification(
        jsontext.string(members.get("eventSource", NULL))[0]
    ):
        raise ValueError(f"it is {S3_NOTIFICATION.what}")
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
