"""From a row back to its record, by the declared schema alone.

Columns that were derived are left out, and what is unmapped is laid over the others: an object is
merged into a typed struct, null takes a member away, anything else replaces it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from cloudtrail_parquet.formats import variant_decode
from cloudtrail_parquet.schema.columns import RECORD, UNMAPPED, kind
from cloudtrail_parquet.verification.values import is_text, number, parse_deep, time_text

_EXACT_TEXT = "exactText"


_Read = Callable[[Any], Any]


def record_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a row of `pyarrow.Table.to_pylist`, with numbers as `parse` has them.

    Raises:
        ValueError: Free-form text is not JSON, or ``unmapped`` is not an object.
    """
    derived, record = row.get("derived") or (), {}
    for name, read in _READERS:
        value = row.get(name)
        if value is not None and name not in derived:
            record[name] = value if read is None else read(value)
    if row.get(UNMAPPED) is not None:
        _lay_over(record, _unmapped(row[UNMAPPED]), RECORD)
    return record


def _reader(field: pa.Field) -> _Read | None:
    """A function from the values of a column to those of `parse`; None if they are the same."""
    dtype = field.type
    if pa.types.is_struct(dtype):
        return partial(_struct, [(child.name, _reader(child)) for child in dtype])
    if pa.types.is_list(dtype):
        item = _reader(dtype.value_field)
        return lambda values: [one if item is None or one is None else item(one) for one in values]
    return dict if pa.types.is_map(dtype) else _LEAVES.get(kind(field))


def _struct(members: list[tuple[str, _Read | None]], value: dict[str, Any]) -> dict[str, Any]:
    return {
        name: one if read is None else read(one)
        for name, read in members
        if (one := value.get(name)) is not None
    }


def _json_text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return value
    return variant_decode.decode(value["metadata"], value["value"]).decode()


def _unmapped(text: str) -> dict[str, Any]:
    members = parse_deep(text)
    if type(members) is dict and is_text(members.get(_EXACT_TEXT)):
        members = parse_deep(members[_EXACT_TEXT])
    if type(members) is not dict:
        raise ValueError(f"{UNMAPPED} is not a JSON object")
    return members


def _lay_over(target: dict[str, Any], unmapped: dict[str, Any], struct: Any) -> None:  # noqa: ANN401
    """Lay members over those of a struct, or over a map, which has no fields."""
    types = {field.name: field.type for field in struct}
    for name, value in unmapped.items():
        dtype = types.get(name)
        is_merged = dtype is not None and (pa.types.is_struct(dtype) or pa.types.is_map(dtype))
        if value is None:
            target.pop(name, None)
        elif is_merged and type(value) is dict and type(target.get(name)) is dict:
            _lay_over(target[name], value, dtype if pa.types.is_struct(dtype) else ())
        else:
            target[name] = value


_LEAVES: dict[str, _Read] = {
    "json": lambda value: parse_deep(_json_text(value)),
    "text-boolean": lambda value: "true" if value else "false",
    "integer": number,
    "timestamp": time_text,
}
_READERS = [(field.name, _reader(field)) for field in RECORD]
