"""Fitting JSON values to the columns' types, losing nothing: what fits, and what is left over.

`fit(field)` makes, from a field of the schema, a function that takes the value's JSON text and
returns (value for the column, leftover). The leftover is None when the column alone gives the
delivered value back; otherwise it is JSON text that `restore` lays over the column:

* an object over a struct is merged into it, member by member, and null takes a member away;
* anything else takes the place of the column.

This is the tolerant path, and the definition of what the fast path in `decode` must give. It
raises nothing, whatever valid JSON it gets.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import format_time, parse_time
from cloudtrail_parquet.formats.jsontext import NULL
from cloudtrail_parquet.schema.columns import about, kind

Fitted = tuple[Any, bytes | None]
Leftovers = list[tuple[str, bytes]]  # (member name, JSON text)
Fit = Callable[[bytes], Fitted]
Place = Callable[[Any], Any]

_ACCOUNT_DIGITS = 12
_BOOLEANS = {"true": True, "false": False}


def fit(field: pa.Field) -> Fit:
    """Make the fitting function of a field; build it once, call it often."""
    if not pa.types.is_nested(field.type):
        return _LEAVES[kind(field)]
    place, tolerant = _place(field), _fit(field)

    def fit_nested(raw: bytes) -> Fitted:
        try:
            return place(msgspec.json.decode(raw)), None
        except (_MisfitError, *jsontext.FAILURES):
            return tolerant(raw)

    return fit_nested


def _fit(field: pa.Field) -> Fit:
    of = field.type
    if pa.types.is_struct(of):
        return _fit_struct(list(of))
    if pa.types.is_list(of):
        return _fit_list(_fit(of.value_field))
    if pa.types.is_map(of):
        return _fit_map
    return _LEAVES[kind(field)]


def _fit_text(raw: bytes) -> Fitted:
    if raw == NULL:
        return None, None
    text, whole = jsontext.string(raw)
    return text, None if whole else raw


def _fit_account(raw: bytes) -> Fitted:
    if raw.isdigit() and len(raw) <= _ACCOUNT_DIGITS:
        return raw.decode().zfill(_ACCOUNT_DIGITS), raw
    return _fit_text(raw)


def _fit_boolean(raw: bytes) -> Fitted:
    if raw in {b"true", b"false"}:
        return raw == b"true", None
    text, leftover = _fit_text(raw)
    return (None, leftover) if text is None else (_BOOLEANS.get(text.strip().lower()), raw)


def _fit_text_boolean(raw: bytes) -> Fitted:
    if raw in {b'"true"', b'"false"'}:
        return raw == b'"true"', None
    value, _ = _fit_boolean(raw)
    return value, None if raw == NULL else raw


def _fit_timestamp(raw: bytes) -> Fitted:
    if raw == NULL:
        return None, None
    text, _ = jsontext.string(raw)
    time_us = parse_time(raw.decode(errors="replace") if text is None else text)
    return time_us, None if time_us is not None and text == format_time(time_us) else raw


def _fit_json(raw: bytes) -> Fitted:
    return (None if raw == NULL else raw), None


def _fit_struct(fields: list[pa.Field]) -> Fit:
    fits = {field.name: _fit(field) for field in fields}
    spellings = aliases(fields)

    def fit_struct(raw: bytes) -> Fitted:
        if raw[:1] != b"{":
            return None, None if raw == NULL else raw
        values, leftovers = fit_members(jsontext.members(raw), fits, spellings)
        return values, jsontext.compose(leftovers) if leftovers else None

    return fit_struct


def aliases(fields: Iterable[pa.Field]) -> dict[str, str]:
    """Other accepted spellings of fields, each with the name of its column."""
    return {about(field, "alias"): field.name for field in fields if about(field, "alias")}


def fit_members(
    found: dict[str, bytes], fits: dict[str, Fit], spellings: dict[str, str]
) -> tuple[dict[str, Any], Leftovers]:
    """Fit each member of an object whose name has a column; keep the others, but for nulls."""
    values: dict[str, Any] = {}
    leftovers: Leftovers = []
    for name, text in found.items():
        if name in fits:
            values[name], leftover = fits[name](text)
            if leftover is not None:
                leftovers.append((name, leftover))
        elif text != NULL:
            leftovers.append((name, text))
            if name in spellings and spellings[name] not in found:
                values[spellings[name]], _ = fits[spellings[name]](text)
                leftovers.append((spellings[name], NULL))
    return values, leftovers


def _fit_list(fit_item: Fit) -> Fit:
    def fit_list(raw: bytes) -> Fitted:
        if raw[:1] != b"[":
            return None, None if raw == NULL else raw
        fitted = [fit_item(item) for item in jsontext.items(raw)]
        fits = all(leftover is None for _, leftover in fitted)
        return [value for value, _ in fitted], None if fits else raw

    return fit_list


def _fit_map(raw: bytes) -> Fitted:
    if raw[:1] != b"{":
        return None, None if raw == NULL else raw
    entries: list[tuple[str, str | None]] = []
    leftovers: Leftovers = []
    found = jsontext.members(raw)
    if any(map(jsontext.has_surrogates, found)):
        return None, raw
    for name, text in found.items():
        value, leftover = _fit_text(text)
        if leftover is None:
            entries.append((name, value))
        else:
            leftovers.append((name, text))
    return entries, jsontext.compose(leftovers) if leftovers else None


class _MisfitError(Exception):
    """A parsed value does not fit its column as it is."""


def _place(field: pa.Field) -> Place:
    """Make a function that takes a parsed value as CloudTrail writes it, or raises the misfit.

    A short cut to what fitting text by text gives.
    """
    of = field.type
    if pa.types.is_struct(of):
        return _place_struct({child.name: _place(child) for child in of})
    if pa.types.is_list(of):
        item = _place(of.value_field)
        return lambda value: None if value is None else list(map(item, _is(list, value)))
    if pa.types.is_map(of):
        return _place_map
    return _PLACES[kind(field)]


def _place_struct(places: dict[str, Place]) -> Place:
    def place_struct(value: Any) -> Any:  # noqa: ANN401
        if value is None:
            return None
        placed = {}
        for name, member in _is(dict, value).items():
            if name in places:
                placed[name] = places[name](member)
            elif member is not None:
                raise _MisfitError
        return placed

    return place_struct


def _place_map(value: Any) -> Any:  # noqa: ANN401
    if value is None:
        return None
    return [(name, _place_text(member)) for name, member in _is(dict, value).items()]


def _place_text(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _is(str, value)


def _place_boolean(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _is(bool, value)


def _place_text_boolean(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _one_of(_BOOLEANS, value)


def _place_timestamp(value: Any) -> Any:  # noqa: ANN401
    return value if value is None else _canonical_time(_is(str, value))


def _place_json(value: Any) -> Any:  # noqa: ANN401
    if value is not None:
        raise _MisfitError  # its text is wanted, not its value
    return value


def _is(kind: type, value: Any) -> Any:  # noqa: ANN401
    if type(value) is not kind:
        raise _MisfitError
    return value


def _one_of(values: dict[str, bool], value: Any) -> bool:  # noqa: ANN401
    if _is(str, value) not in values:
        raise _MisfitError
    return values[value]


@lru_cache(4096)
def _canonical_time(text: str) -> int:
    time_us = parse_time(text)
    if time_us is None or format_time(time_us) != text:
        raise _MisfitError
    return time_us


_PLACES: dict[str, Place] = {
    "text": _place_text,
    "account": _place_text,
    "json": _place_json,
    "boolean": _place_boolean,
    "text-boolean": _place_text_boolean,
    "timestamp": _place_timestamp,
}
_LEAVES: dict[str, Fit] = {
    "text": _fit_text,
    "account": _fit_account,
    "json": _fit_json,
    "boolean": _fit_boolean,
    "text-boolean": _fit_text_boolean,
    "timestamp": _fit_timestamp,
}
