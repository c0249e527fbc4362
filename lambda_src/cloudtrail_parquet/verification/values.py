"""JSON values whose numbers are their digits: parsed, compared, and in the form that comes back.

The form that comes back is that of docs/architecture.md, "Lossless both ways": members of records
and of typed structs that are null are absent. `canonical` makes one text of a value, whatever the
order of its members, and `digest` 16 bytes of a record in its place.

Source of versions and times: CloudTrail User Guide, "CloudTrail record contents": a record of
another major version is incompatible; aggregated records have a window in place of a time.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import parse_time
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.schema.columns import RECORD

DIGEST_BYTES = 16

_USUAL = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_VERSION = re.compile(r"(\d{1,9})\.\d{1,9}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Shape = dict[str, Any] | list[Any] | None
"""What is typed in a value: members by name of a struct, the items of a list, or nothing."""


_NUMBER = "\udfff#"
"""Begins a number among the values of `parse`; what follows are its digits. A string that begins
with this half of a surrogate pair gets one more of it, so that none is taken for a number."""

_DEEP = "\udfff!"
"""Begins the text of a value that is nested too deep."""

_number = _NUMBER.__add__
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a JSON text; its numbers become strings of their digits (`digits_of`).

    Raises:
        ValueError: It is not JSON; ``NaN`` and the infinities are not, either.
        RecursionError: It is nested too deep; `parse_deep` takes that.
    """
    value = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse)
    if "\\u" in text and "\\udfff" in text.lower():
        return _told_apart(json.loads(text, parse_int=_Digits, parse_float=_Digits))
    return value


def parse_deep(text: str, levels: int = 5) -> Any:  # noqa: ANN401
    """Parse a JSON text however deep it is nested.

    What is too deep for Python is taken as it is written: the text or, of an object, in some
    levels, only the members that are too deep.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return parse(text)
    except RecursionError:
        if not levels or text.lstrip()[:1] != "{":
            return _DEEP + text.strip()
    members = jsontext.members(text.encode(errors="surrogateescape"))
    return {name: parse_deep(value.decode(), levels - 1) for name, value in members.items()}


def is_deep(value: Any) -> bool:  # noqa: ANN401
    """Whether a value is the text of one that is nested too deep."""
    return type(value) is str and value.startswith(_DEEP)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class _Digits(str):
    """A JSON number."""

    __slots__ = ()


def _told_apart(value: Any) -> Any:  # noqa: ANN401
    """The value in which strings that begin like numbers begin with one surrogate more."""
    kind = type(value)
    if kind is _Digits:
        return _number(value)
    if kind is str:
        return _NUMBER[0] + value if value.startswith(_NUMBER[0]) else value
    if kind is list:
        return [_told_apart(item) for item in value]
    if kind is dict:
        return {name: _told_apart(member) for name, member in value.items()}
    return value


def number(digits: object) -> str:
    """A number of these digits, as `parse` has it."""
    return _number(str(digits))


def digits_of(value: Any) -> str | None:  # noqa: ANN401
    """The digits of a value of `parse`; None if it is no number."""
    return value[len(_NUMBER) :] if type(value) is str and value.startswith(_NUMBER) else None


def is_text(value: Any) -> bool:  # noqa: ANN401
    """Whether a value of `parse` is a string."""
    return type(value) is str and not value.startswith((_NUMBER, _DEEP))


def canonical(value: Any) -> str:  # noqa: ANN401
    """One text for each value of `parse`, whatever the order of members."""
    try:
        return _encoder.encode(value)
    except RecursionError:  # there is less room on the stack than there was to parse it
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(2 * limit)
        try:
            return _encoder.encode(value)
        finally:
            sys.setrecursionlimit(limit)


def digest(place: Place, record: dict[str, Any]) -> bytes:
    """16 bytes that stand for a record, in its `normal` form, of a place."""
    text = f"{place.account}\0{place.region}\0{canonical(record)}"
    return blake2b(text.encode(errors="surrogateescape"), digest_size=DIGEST_BYTES).digest()


def shape_of(dtype: pa.DataType) -> Shape:
    """What is typed in the values of a column."""
    if pa.types.is_struct(dtype):
        return {field.name: shape_of(field.type) for field in dtype}
    if pa.types.is_list(dtype):
        return [shape_of(dtype.value_type)]
    return None


_SHAPES: dict[str, Shape] = {field.name: shape_of(field.type) for field in RECORD}


def normal(record: Mapping[str, Any]) -> dict[str, Any]:
    """The form in which a record comes back."""
    return _without_nulls(record, _SHAPES)


def _without_nulls(members: Mapping[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _normal(value, shapes.get(name))
        for name, value in members.items()
        if value is not None
    }


def _normal(value: Any, shape: Shape) -> Any:  # noqa: ANN401
    if type(shape) is dict and type(value) is dict:
        return _without_nulls(value, shape)
    if type(shape) is list and type(value) is list:
        return [_normal(item, shape[0]) for item in value]
    return value


def text_at(record: Mapping[str, Any], *names: str) -> str | None:
    """The text at the first of some members that is a text; None if none is."""
    values: Iterable[Any] = (record.get(name) for name in names)
    return next((value for value in values if is_text(value)), None)


def id_of(record: Mapping[str, Any]) -> str:
    """The ``eventID`` of a record, for people; empty if it has none."""
    return text_at(record, "eventID", "eventId") or ""


def is_compatible(record: Mapping[str, Any]) -> bool:
    """Whether a record has a major version whose columns are documented."""
    version = record.get("eventVersion")
    match = _VERSION.fullmatch(version) if type(version) is str else None
    return match is None or int(match[1]) == 1


def event_day(record: Mapping[str, Any]) -> date | None:
    """The UTC day of a record of a log file; None if it has no time."""
    time = record.get("eventTime")
    if time is None and record.get("eventCategory") == "Aggregated":
        window = record.get("timeWindow")
        time = window.get("windowStart") if type(window) is dict else None
        return _day(time) if type(time) is str and is_text(time) else None
    return _day(digits_of(time) or time) if type(time) is str else None


@lru_cache(4096)
def _day(text: str) -> date | None:
    if _USUAL.fullmatch(text):
        with suppress(ValueError):  # not a day, or a leap second
            return datetime.fromisoformat(text).date()
    time_us = parse_time(text)  # the forms of copies, of which docs/architecture.md tells
    return None if time_us is None else (_EPOCH + timedelta(microseconds=time_us)).date()


def time_text(moment: datetime) -> str:
    """A time as CloudTrail writes it, with a fraction of a second only if it has one."""
    plain = moment.astimezone(UTC).replace(tzinfo=None)
    return plain.isoformat(timespec="microseconds" if plain.microsecond else "seconds") + "Z"
