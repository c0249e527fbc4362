"""Coercing JSON values to the columns' types without losing anything.

`coercer(field)` makes a function that takes a value's JSON text and returns (value for the column,
rest). The rest is None when the column alone gives the delivered value back. Otherwise it is JSON
text for ``unmapped``, which `from_arrow.restore` lays over the column:

* an object over a struct is merged into it, member by member, and null takes a member away;
* anything else replaces the column's value.

This is the tolerant path, and it defines what the fast path in `decode` must give. It never raises
on valid JSON.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import format_time, parse_time
from cloudtrail_parquet.formats.jsontext import NULL
from cloudtrail_parquet.schema.columns import about, kind

Coerced = tuple[Any, bytes | None]
Unmapped = list[tuple[str, bytes]]  # (member name, JSON text of what its column does not hold)
Coercer = Callable[[bytes], Coerced]
Exact = Callable[[Any], Any]

_ACCOUNT_DIGITS = 12
_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(rb'("?)(-?[0-9]{1,19})(?:\.0+)?\1')
_INTEGER_BITS = 64


def coercer(field: pa.Field) -> Coercer:
    """Make the coercing function of a field; build it once, call it often."""
    if not pa.types.is_nested(field.type):
        return _LEAVES[kind(field)]
    exact, tolerant = _exact(field), _coercer(field)

    def coerce_nested(raw: bytes) -> Coerced:
        try:
            return exact(msgspec.json.decode(raw)), None
        except (_InexactError, *jsontext.FAILURES):
            return tolerant(raw)

    return coerce_nested


def _coercer(field: pa.Field) -> Coercer:
    dtype = field.type
    if pa.types.is_struct(dtype):
        return _coerce_struct(list(dtype))
    if pa.types.is_list(dtype):
        return _coerce_list(_coercer(dtype.value_field))
    if pa.types.is_map(dtype):
        return _coerce_map
    return _LEAVES[kind(field)]


def _coerce_text(raw: bytes) -> Coerced:
    if raw == NULL:
        return None, None
    text, exact = jsontext.string(raw)
    return text, None if exact else raw


def _coerce_account(raw: bytes) -> Coerced:
    if raw.isdigit() and len(raw) <= _ACCOUNT_DIGITS:
        return raw.decode().zfill(_ACCOUNT_DIGITS), raw
    return _coerce_text(raw)


def _coerce_boolean(raw: bytes) -> Coerced:
    if raw in {b"true", b"false"}:
        return raw == b"true", None
    text, rest = _coerce_text(raw)
    return (None, rest) if text is None else (_BOOLEANS.get(text.strip().lower()), raw)


def _coerce_text_boolean(raw: bytes) -> Coerced:
    if raw in {b'"true"', b'"false"'}:
        return raw == b'"true"', None
    value, _ = _coerce_boolean(raw)
    return value, None if raw == NULL else raw


def _coerce_integer(raw: bytes) -> Coerced:
    match = _INTEGER.fullmatch(raw)
    if match is None:
        return None, None if raw == NULL else raw
    value = int(match[2])
    if not _is_int64(value):
        return None, raw
    return value, None if raw == str(value).encode() else raw


def _is_int64(value: int) -> bool:
    return value.bit_length() < _INTEGER_BITS


def _coerce_timestamp(raw: bytes) -> Coerced:
    if raw == NULL:
        return None, None
    text, _ = jsontext.string(raw)
    time_us = parse_time(raw.decode(errors="replace") if text is None else text)
    return time_us, None if time_us is not None and text == format_time(time_us) else raw


def _coerce_json(raw: bytes) -> Coerced:
    return (None if raw == NULL else raw), None


def _coerce_struct(fields: list[pa.Field]) -> Coercer:
    coercers = {field.name: _coercer(field) for field in fields}
    spellings = aliases(fields)

    def coerce_struct(raw: bytes) -> Coerced:
        if raw[:1] != b"{":
            return None, None if raw == NULL else raw
        values, unmapped = coerce_members(jsontext.members(raw), coercers, spellings)
        return values, jsontext.compose(unmapped) if unmapped else None

    return coerce_struct


def aliases(fields: Iterable[pa.Field]) -> dict[str, str]:
    """The other accepted spellings of fields, each with the name of its column."""
    return {about(field, "alias"): field.name for field in fields if about(field, "alias")}


def coerce_members(
    members: dict[str, bytes], coercers: dict[str, Coercer], spellings: dict[str, str]
) -> tuple[dict[str, Any], Unmapped]:
    """Coerce the members of an object that have columns; keep the others unmapped, except nulls."""
    values: dict[str, Any] = {}
    unmapped: Unmapped = []
    for name, text in members.items():
        if text == NULL:
            continue  # as if it was not there
        if name in coercers:
            values[name], rest = coercers[name](text)
            if rest is not None:
                unmapped.append((name, rest))
        else:
            unmapped.append((name, text))
            if name in spellings and members.get(spellings[name], NULL) == NULL:
                values[spellings[name]], _ = coercers[spellings[name]](text)
                unmapped.append((spellings[name], NULL))
    return values, unmapped


def _coerce_list(coerce_item: Coercer) -> Coercer:
    def coerce_list(raw: bytes) -> Coerced:
        if raw[:1] != b"[":
            return None, None if raw == NULL else raw
        coerced = [coerce_item(item) for item in jsontext.items(raw)]
        is_exact = all(rest is None for _, rest in coerced)
        return [value for value, _ in coerced], None if is_exact else raw

    return coerce_list


def _coerce_map(raw: bytes) -> Coerced:
    if raw[:1] != b"{":
        return None, None if raw == NULL else raw
    entries: list[tuple[str, str | None]] = []
    unmapped: Unmapped = []
    members = jsontext.members(raw)
    if any(map(jsontext.has_surrogates, members)):
        return None, raw
    for name, text in members.items():
        value, rest = _coerce_text(text)
        if rest is None:
            entries.append((name, value))
        else:
            unmapped.append((name, text))
    return entries, jsontext.compose(unmapped) if unmapped else None


class _InexactError(Exception):
    """A column cannot hold a parsed value as it is."""


def _exact(field: pa.Field) -> Exact:
    """Make a function that converts a parsed value as CloudTrail writes it.

    It raises `_InexactError` for any other value: a short cut to what coercing text by text gives.
    """
    dtype = field.type
    if pa.types.is_struct(dtype):
        return _exact_struct({child.name: _exact(child) for child in dtype})
    if pa.types.is_list(dtype):
        item = _exact(dtype.value_field)
        return lambda value: None if value is None else list(map(item, _require(list, value)))
    if pa.types.is_map(dtype):
        return _exact_map
    return _EXACT[kind(field)]


def _exact_struct(members: dict[str, Exact]) -> Exact:
    def exact_struct(value: Any) -> Any:  # noqa: ANN401
        if value is None:
            return None
        values = {}
        for name, member in _require(dict, value).items():
            if name in members:
                values[name] = members[name](member)
            elif member is not None:
                raise _InexactError
        return values

    return exact_struct


def _exact_map(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        return None
    return [(name, _exact_text(member)) for name, member in _require(dict, value).items()]


def _exact_text(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _require(str, value)


def _exact_boolean(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _require(bool, value)


def _exact_text_boolean(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _look_up(_BOOLEANS, value)


def _exact_integer(value: Any) -> Any:  # noqa: ANN401
    if value is not None and not (_require(int, value) and _is_int64(value)):
        raise _InexactError  # zero may have been written as -0
    return value


def _exact_timestamp(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _canonical_time(_require(str, value))


def _exact_json(value: Any) -> Any:  # noqa: ANN401
    if value is not None:
        raise _InexactError  # its text is wanted, not its value
    return value


def _require(type_: type, value: Any) -> Any:  # noqa: ANN401
    if type(value) is not type_:
        raise _InexactError
    return value


def _look_up(values: dict[str, bool], text: Any) -> bool:  # noqa: ANN401
    if _require(str, text) not in values:
        raise _InexactError
    return values[text]


@lru_cache(4096)
def _canonical_time(text: str) -> int:
    time_us = parse_time(text)
    if time_us is None or format_time(time_us) != text:
        raise _InexactError
    return time_us


_EXACT: dict[str, Exact] = {
    "text": _exact_text,
    "account": _exact_text,
    "json": _exact_json,
    "boolean": _exact_boolean,
    "text-boolean": _exact_text_boolean,
    "integer": _exact_integer,
    "timestamp": _exact_timestamp,
}
_LEAVES: dict[str, Coercer] = {
    "text": _coerce_text,
    "account": _coerce_account,
    "json": _coerce_json,
    "boolean": _coerce_boolean,
    "text-boolean": _coerce_text_boolean,
    "integer": _coerce_integer,
    "timestamp": _coerce_timestamp,
}
