"""From a row back to the record that was delivered.

The record comes back in its normal form: null members are absent, members of typed structs are in
schema order, and columns that the upgrade derived are left out. Free-form text and what is kept in
``unmapped`` come back byte for byte. (A record that was not UTF-8 text comes back with U+FFFD for
each bad byte, and with a member ``invalidUtf8``: its own bytes in base64.)
"""

import json
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import format_time, to_us
from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.records.json_columns import text_of
from cloudtrail_parquet.schema.columns import RECORD, UNMAPPED, kind


def restore(row: dict[str, Any]) -> dict[str, Any]:
    """The delivered record of a row of ``Table.to_pylist``, parsed.

    Numbers in free-form fields are what `json.loads` makes of them; `restore_json` keeps their
    text.
    """
    record: dict[str, Any] = json.loads(restore_json(row))
    return record


def restore_json(row: dict[str, Any]) -> str:
    """The delivered record of a row as JSON text, on one line unless free-form text has several."""
    derived = set(row.get("derived") or ())
    record: dict[str, Any] = {}
    for name, write in _WRITERS.items():
        value = row.get(name)
        if value is not None and name not in derived:
            record[name] = write(value)
    if row.get(UNMAPPED) is not None:
        _overlay(record, unwrap(row[UNMAPPED].encode()))
    return write_json(record).decode()


def _overlay(target: dict[str, Any], unmapped: bytes) -> None:
    """Lay what is unmapped over what the columns gave: the inverse of coercing."""
    for name, text in jsontext.members(unmapped).items():
        if text == jsontext.NULL:
            target.pop(name, None)
        elif isinstance(target.get(name), dict) and text[:1] == b"{":
            _overlay(target[name], text)
        else:
            target[name] = text


def write_json(value: Any) -> bytes:  # noqa: ANN401
    """Write JSON text as it is, and an object of values by name, which are such ones."""
    if isinstance(value, bytes):
        return value
    parts = (_quote_name(name) + b":" + write_json(member) for name, member in value.items())
    return b"{" + b",".join(parts) + b"}"


def _quote(text: str) -> bytes:
    try:
        return encode_basestring(text).encode()  # as `json.dumps` does without ``ensure_ascii``
    except UnicodeEncodeError:  # it has lone surrogates
        return jsontext.quote(text)


_quote_name = lru_cache(4096)(_quote)  # a record has dozens of names, and others the same


def value_writer(field: pa.Field) -> Callable[[Any], Any]:
    """A function from a field's values, as ``to_pylist`` has them, to what `write_json` writes."""
    dtype = field.type
    if pa.types.is_struct(dtype):
        return _struct_writer({child.name: value_writer(child) for child in dtype})
    if pa.types.is_list(dtype):
        item = value_writer(dtype.value_field)
        return lambda values: b"[" + b",".join(_write_item(item, value) for value in values) + b"]"
    if pa.types.is_map(dtype):
        return lambda entries: {name: _nullable(value) for name, value in entries}
    return _LEAVES[kind(field)]


def _struct_writer(writers: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return lambda value: {
        name: write(value[name])
        for name, write in writers.items()
        if value.get(name) is not None  # files of an older schema lack some
    }


def _write_item(write: Callable[[Any], Any], value: Any) -> bytes:  # noqa: ANN401
    return jsontext.NULL if value is None else write_json(write(value))


def _nullable(text: str | None) -> bytes:
    return jsontext.NULL if text is None else _quote(text)


def _boolean(value: bool) -> bytes:  # noqa: FBT001
    return b"true" if value else b"false"


_LEAVES: dict[str, Callable[[Any], bytes]] = {
    "text": _quote,
    "account": _quote,
    "json": lambda value: text_of(value).encode(),
    "boolean": _boolean,
    "text-boolean": lambda value: b'"' + _boolean(value) + b'"',
    "integer": lambda value: str(value).encode(),
    "timestamp": lambda moment: _quote(format_time(to_us(moment))),
}
_WRITERS = {field.name: value_writer(field) for field in RECORD}
