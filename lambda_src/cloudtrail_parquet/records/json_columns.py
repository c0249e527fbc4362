"""Free-form columns as files hold them: text, text marked as JSON, or VARIANT.

Within a conversion free-form values are AWS's own JSON text. Files hold that text, if it is one
that every reader takes (`strict`); ``json`` marks it with Parquet's logical type. ``variant``
encodes it. A value that is not held exactly is written as near as can be and stands in ``unmapped``
as the text it was, so that nothing is lost. ``unmapped`` itself stays text, and `strict`.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats import variant_decode as variant_text
from cloudtrail_parquet.formats import variant_encode as variant
from cloudtrail_parquet.formats.strict_json import (
    EXACT_TEXT,
    is_wrapped,
    strict_column,
    unwrap,
    wrap,
)
from cloudtrail_parquet.schema.columns import JSON_COLUMNS, SCHEMA, UNMAPPED, JsonEncoding, kind

PATHS = tuple(path for path in JSON_COLUMNS if path != UNMAPPED)
"""The columns that VARIANT is for."""

_TOP_LEVEL = frozenset(path.partition(".")[0] for path in PATHS)
_Write = Callable[[pa.Array], tuple[pa.Array, list[int]]]
"""Makes the column of a file from JSON texts, and names the rows that it changes."""


@cache
def file_schema(encoding: JsonEncoding) -> pa.Schema:
    """`SCHEMA` as files have it."""
    types = {"string": pa.string(), "json": pa.json_(), "variant": variant.VARIANT_STORAGE}
    return pa.schema([_file_field(field, types[encoding], encoding) for field in SCHEMA])


def _file_field(field: pa.Field, of: pa.DataType, encoding: JsonEncoding) -> pa.Field:
    if pa.types.is_struct(field.type):
        return field.with_type(pa.struct([_file_field(one, of, encoding) for one in field.type]))
    if kind(field) != "json" or (field.name == UNMAPPED and encoding == "variant"):
        return field
    return field.with_type(of)


def as_in_files(table: pa.Table, encoding: JsonEncoding) -> tuple[pa.Table, Counter[str]]:
    """Write the free-form columns of n rows of `SCHEMA` as files hold them.

    Returns:
        n rows of `file_schema`, and how many of them hold something of each free-form column in
        ``unmapped`` since their column does not hold it exactly.
    """
    write: _Write = variant.encode_column if encoding == "variant" else strict_column
    inexact: dict[str, list[int]] = {}
    written = {
        field.name: _written(field.name, field, table[field.name].combine_chunks(), write, inexact)
        for field in SCHEMA
        if field.name in _TOP_LEVEL
    }
    texts = table[UNMAPPED].to_pylist() if inexact else []
    wrapped = sum(map(_is_wrapped, texts))
    for path, rows in inexact.items():
        originals = _leaf(table, path)
        for row in rows:
            texts[row] = _with(texts[row], path.split("."), originals[row].as_py())
    if inexact:
        written[UNMAPPED] = pa.array(texts, pa.string())
    counts = Counter({path: len(rows) for path, rows in inexact.items()})
    counts[EXACT_TEXT] += sum(map(_is_wrapped, texts)) - wrapped
    columns = [written.get(field.name, table[field.name]) for field in SCHEMA]
    if encoding == "json":
        return pa.Table.from_arrays(columns, schema=SCHEMA).cast(file_schema("json")), +counts
    return pa.Table.from_arrays(columns, schema=file_schema(encoding)), +counts


def _written(
    path: str, field: pa.Field, column: pa.Array, write: _Write, inexact: dict[str, list[int]]
) -> pa.Array:
    if path in PATHS:
        values, rows = write(column)
        if rows:
            inexact[path] = rows
        return values
    if pa.types.is_struct(field.type):
        members = [
            _written(f"{path}.{child.name}", child, member, write, inexact)
            for child, member in zip(field.type, column.flatten(), strict=True)
        ]
        names = [child.name for child in field.type]
        return pa.StructArray.from_arrays(members, names, mask=column.is_null())
    return column


def _leaf(table: pa.Table, path: str) -> pa.Array:
    name, *members = path.split(".")
    column = table[name].combine_chunks()
    return pc.struct_field(column, members) if members else column


def _with(unmapped: str | None, path: list[str], text: str) -> str:
    """What is unmapped, with the text of one more value, members in the order of their names."""
    exact = unwrap(unmapped.encode()) if unmapped else b"{}"
    return wrap(_with_member(exact, path, text.encode())).decode()


def _with_member(whole: bytes, path: list[str], text: bytes) -> bytes:
    name, *below = path
    members = jsontext.members(whole)
    members[name] = _with_member(members.get(name, b"{}"), below, text) if below else text
    return jsontext.compose(sorted(members.items()))


def _is_wrapped(unmapped: str | None) -> bool:
    return unmapped is not None and is_wrapped(unmapped.encode())


def text_of(value: Any) -> str:  # noqa: ANN401
    """The JSON text of a free-form value as `pyarrow.Table.to_pylist` gives it.

    Args:
        value: Text, or the ``metadata`` and ``value`` of a VARIANT.
    """
    if isinstance(value, str):
        return value
    return variant_text.decode(value["metadata"], value["value"]).decode()
