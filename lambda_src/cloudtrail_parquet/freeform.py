"""Free-form columns as files hold them: text, text marked as JSON, or VARIANT.

Within a conversion free-form values are AWS's own JSON text. ``json`` marks that text with
Parquet's logical type and changes no byte. ``variant`` encodes it; a value that the encoding
cannot hold exactly is written as near as can be and stands in ``unmapped`` as the text it was, so
that nothing is lost. ``unmapped`` itself stays text.
"""

from collections import Counter
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet import jsontext, variant, variant_text
from cloudtrail_parquet.schema import JSON_COLUMNS, SCHEMA, UNMAPPED, JsonEncoding, kind

PATHS = tuple(path for path in JSON_COLUMNS if path != UNMAPPED)
"""The columns that VARIANT is for."""


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


def as_variant(table: pa.Table) -> tuple[pa.Table, Counter[str]]:
    """Encode the free-form columns of n rows of `SCHEMA` as VARIANT.

    Returns:
        n rows of ``file_schema("variant")``, and how many of them hold something of each free-form
        column in ``unmapped`` since it could not be encoded exactly.
    """
    inexact: dict[str, list[int]] = {}
    arrays = []
    for field, column in zip(SCHEMA, table.columns, strict=True):
        arrays.append(_encoded(field.name, field, column.combine_chunks(), inexact))
    texts = table[UNMAPPED].to_pylist() if inexact else []
    for path, rows in inexact.items():
        originals = _leaf(table, path)
        for row in rows:
            texts[row] = _with(texts[row], path.split("."), originals[row].as_py())
    if inexact:
        arrays[table.schema.get_field_index(UNMAPPED)] = pa.array(texts, pa.string())
    counts = Counter({path: len(rows) for path, rows in inexact.items()})
    return pa.Table.from_arrays(arrays, schema=file_schema("variant")), counts


def _encoded(
    path: str, field: pa.Field, column: pa.Array, inexact: dict[str, list[int]]
) -> pa.Array:
    if path in PATHS:
        values, rows = variant.encode_column(column)
        if rows:
            inexact[path] = rows
        return values
    if pa.types.is_struct(field.type) and any(one.startswith(f"{path}.") for one in PATHS):
        members = [
            _encoded(f"{path}.{child.name}", child, member, inexact)
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
    name, *below = path
    members = jsontext.members(unmapped.encode()) if unmapped else {}
    if below:
        text = _with(members[name].decode() if name in members else None, below, text)
    members[name] = text.encode()
    return jsontext.compose(sorted(members.items())).decode()


def text_of(value: Any) -> str:  # noqa: ANN401
    """The JSON text of a free-form value as `pyarrow.Table.to_pylist` gives it.

    Args:
        value: Text, or the ``metadata`` and ``value`` of a VARIANT.
    """
    if isinstance(value, str):
        return value
    return variant_text.decode(value["metadata"], value["value"]).decode()
