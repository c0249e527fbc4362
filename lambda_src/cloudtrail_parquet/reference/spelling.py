"""How each query engine spells the types of columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from cloudtrail_parquet.formats.variant_encode import VARIANT_STORAGE
from cloudtrail_parquet.schema.columns import TIMESTAMP

_JSON = pa.json_()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How an engine spells types.

    Attributes:
        leaves: The types that are not nested.
        column: A column, with ``{name}`` and ``{type}``.
        member: A member of a struct, likewise.
        struct: The text before and after the members.
        array: A list, with ``{type}``.
        map: A map, with ``{key}`` and ``{type}``.
    """

    leaves: Mapping[pa.DataType, str]
    column: str
    member: str
    struct: tuple[str, str]
    array: str
    map: str

    def columns(self, schema: pa.Schema, indent: str = "") -> str:
        """All columns of a schema, a line each, structs over several lines."""
        return self._fields(schema, self.column, indent)

    def type(self, dtype: pa.DataType, indent: str = "") -> str:
        """A type; ``indent`` is that of the line it begins on."""
        if dtype in self.leaves:
            return self.leaves[dtype]
        if pa.types.is_struct(dtype):
            before, after = self.struct
            return f"{before}\n{self._fields(dtype, self.member, indent + '  ')}\n{indent}{after}"
        if pa.types.is_list(dtype):
            return self.array.format(type=self.type(dtype.value_type, indent))
        if pa.types.is_map(dtype):
            key, item = self.type(dtype.key_type, indent), self.type(dtype.item_type, indent)
            return self.map.format(key=key, type=item)
        raise KeyError(dtype)

    def _fields(self, fields: Iterable[pa.Field], form: str, indent: str) -> str:
        return ",\n".join(
            indent + form.format(name=field.name, type=self.type(field.type, indent))
            for field in fields
        )


ATHENA = Spelling(
    leaves={
        pa.string(): "string",
        _JSON: "string",
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        TIMESTAMP: "timestamp",
        pa.int16(): "int",
        pa.int8(): "int",
        pa.date32(): "string",
    },
    column="`{name}` {type}",
    member="{name}:{type}",  # none of them is a reserved word, and Glue knows no backticks
    struct=("struct<", ">"),
    array="array<{type}>",
    map="map<{key},{type}>",
)
DUCKDB = Spelling(
    leaves={
        pa.string(): "VARCHAR",
        _JSON: "JSON",
        VARIANT_STORAGE: "VARIANT",
        pa.bool_(): "BOOLEAN",
        TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        pa.int64(): "BIGINT",
        pa.int16(): "BIGINT",
        pa.int8(): "BIGINT",
        pa.date32(): "DATE",
    },
    column='"{name}" {type}',
    member='"{name}" {type}',
    struct=("STRUCT(", ")"),
    array="{type}[]",
    map="MAP({key}, {type})",
)
POLARS = Spelling(
    leaves={
        pa.string(): "pl.String",
        _JSON: "pl.Binary",
        pa.bool_(): "pl.Boolean",
        TIMESTAMP: 'pl.Datetime("us", "UTC")',
        pa.int64(): "pl.Int64",
        pa.int16(): "pl.Int16",
        pa.int8(): "pl.Int8",
        pa.date32(): "pl.Date",
    },
    column='"{name}": {type}',
    member='"{name}": {type}',
    struct=("pl.Struct({", "})"),
    array="pl.List({type})",
    map="pl.Map({key}, {type})",
)
SPARK = Spelling(
    leaves={
        pa.string(): "STRING",
        _JSON: "STRING",
        VARIANT_STORAGE: "VARIANT",
        pa.bool_(): "BOOLEAN",
        TIMESTAMP: "TIMESTAMP",
        pa.int64(): "BIGINT",
        pa.int16(): "SMALLINT",
        pa.int8(): "TINYINT",
        pa.date32(): "DATE",
    },
    column="`{name}` {type}",
    member="`{name}`: {type}",
    struct=("STRUCT<", ">"),
    array="ARRAY<{type}>",
    map="MAP<{key}, {type}>",
)
