"""The schema in the language of each engine that reads the dataset.

All of it is made from `SCHEMA`, the partition columns and the settings. What is printed for a query
engine is ready to run once the placeholder is replaced by the location of a dataset.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.dataset.writer import PartsWriter
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.formats.variant_encode import VARIANT_STORAGE
from cloudtrail_parquet.records.json_columns import file_schema
from cloudtrail_parquet.schema.columns import (
    PARTITION_SCHEMAS,
    RECORD_VERSION,
    SCHEMA,
    SCHEMA_VERSION,
    TIMESTAMP,
    members,
)
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_store

DdlFormat = Literal["arrow", "parquet", "athena", "duckdb", "polars", "spark"]

TABLE = "cloudtrail"
LOCATION = "s3://BUCKET/PREFIX/"
DATASET = "DATASET"

_FIRST_DAY = date(2013, 1, 1)  # CloudTrail began in November 2013
_LAST_DAY = date(2050, 12, 31)  # a query that names no year lists the folders of all of them
_ALL_PARTS = f"{DATASET}/**/*.parquet"
_WITHOUT_VARIANT = {"athena", "polars"}
_JSON = pa.json_()


def render(format_: DdlFormat, settings: Settings | None = None) -> str:
    """The columns and partition columns, written for one engine; ends with a line feed.

    Raises:
        UsageError: The engine cannot read what the settings make.
    """
    settings = settings or Settings()
    if settings.json_encoding == "variant" and format_ in _WITHOUT_VARIANT:
        raise UsageError(f"{format_} cannot read VARIANT", "json_encoding", "Use string or json")
    columns = file_schema(settings.json_encoding)
    return _RENDERERS[format_](
        _Dataset(columns, settings.partition_layout, WriterOptions.of(settings))
    )


class _Dataset(NamedTuple):
    """What is rendered: the columns in files, those in folders, and how files are written."""

    columns: pa.Schema
    layout: PartitionLayout
    writer: WriterOptions

    @property
    def partitions(self) -> pa.Schema:
        """The partition columns."""
        return PARTITION_SCHEMAS[self.layout]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spelling:
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


_ATHENA = _Spelling(
    leaves={
        pa.string(): "string",
        _JSON: "string",
        pa.bool_(): "boolean",
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
_DUCKDB = _Spelling(
    leaves={
        pa.string(): "VARCHAR",
        _JSON: "JSON",
        VARIANT_STORAGE: "VARIANT",
        pa.bool_(): "BOOLEAN",
        TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
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
_POLARS = _Spelling(
    leaves={
        pa.string(): "pl.String",
        _JSON: "pl.Binary",
        pa.bool_(): "pl.Boolean",
        TIMESTAMP: 'pl.Datetime("us", "UTC")',
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
_SPARK = _Spelling(
    leaves={
        pa.string(): "STRING",
        _JSON: "STRING",
        VARIANT_STORAGE: "VARIANT",
        pa.bool_(): "BOOLEAN",
        TIMESTAMP: "TIMESTAMP",
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


def _comment(mark: str, engine: str, *lines: str) -> str:
    """The comment lines at the head of what is printed for an engine."""
    title = f"cloudtrail-parquet schema {SCHEMA_VERSION}, records up to {RECORD_VERSION}: {engine}"
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in [title, *lines])


def _arrow(dataset: _Dataset) -> str:
    head = _comment("#", "the Arrow columns of every part")
    columns = "\n".join(_arrow_lines(dataset.columns))
    partitions = "\n".join(_arrow_lines(dataset.partitions))
    return f"{head}{columns}\n\n# partition columns, from the names of the folders\n{partitions}\n"


def _arrow_lines(fields: Iterable[pa.Field], indent: str = "") -> Iterator[str]:
    for field in fields:
        below = members(field.type)
        name = str(field.type)
        if below:
            name = "list<struct>" if pa.types.is_list(field.type) else "struct"
        yield f"{indent}{field.name}: {name}"
        yield from _arrow_lines(below, indent + "  ")


def _parquet(dataset: _Dataset) -> str:
    """The schema in a part's footer: a part is written in memory, as all parts are."""
    store, key = open_store("memory://"), "part.parquet"
    with store.staging() as staging:
        with PartsWriter(staging, dataset.writer, {}, lambda _number: key) as part:
            part.write(pa.Table.from_pylist([{}], schema=SCHEMA))
        staging.publish(key, None)
    text = str(pq.ParquetFile(BytesIO(store.read(key))).schema)
    message = text[text.index("required group") :]
    for noise in (" field_id=-1", ", is_from_converted_type=false, force_set_converted_type=false"):
        message = message.replace(noise, "")
    return message.rstrip() + "\n"


def _athena(dataset: _Dataset) -> str:
    properties = ",\n".join(
        f"  '{name}' = '{value}'"
        for name, value in athena_properties(LOCATION, dataset.layout).items()
    )
    columns = _ATHENA.columns(dataset.columns, "  ").lower()
    partitions = _ATHENA.columns(dataset.partitions, "  ").lower()
    head = _comment(
        "--",
        "Athena, engine version 3",
        "Names are in lower case, as Athena keeps them; queries may write them either way.",
        "An injected column has to be named in every query: WHERE account = '012345678901' AND",
        "region IN ('us-east-1', 'eu-west-1'). To go without, give its values once instead:",
        "  'projection.region.type' = 'enum', 'projection.region.values' = 'us-east-1,eu-west-1'",
        "but then a region that is not among them is not found. Days outside the range of years",
        "are not found either.",
    )
    return (
        f"{head}CREATE EXTERNAL TABLE {TABLE} (\n{columns}\n)\n"
        f"PARTITIONED BY (\n{partitions}\n)\n"
        f"STORED AS PARQUET\nLOCATION '{LOCATION}'\nTBLPROPERTIES (\n{properties}\n)\n"
    )


def athena_columns(schema: pa.Schema = SCHEMA) -> dict[str, str]:
    """Types by name as the Glue catalogue needs them: in lower case, without white space."""
    return {
        field.name.lower(): "".join(_ATHENA.type(field.type).lower().split()) for field in schema
    }


def athena_partitions(layout: PartitionLayout = DEFAULT_LAYOUT) -> dict[str, str]:
    """As `athena_columns`, for the partition columns."""
    return athena_columns(PARTITION_SCHEMAS[layout])


def athena_properties(location: str, layout: PartitionLayout = DEFAULT_LAYOUT) -> dict[str, str]:
    """The table properties that let Athena work out the partitions instead of looking them up.

    Args:
        location: The dataset, as ``s3://bucket/prefix``, with or without a slash at its end.
        layout: The folders of its partitions.

    Source: Athena User Guide, "Supported types for partition projection".
    """
    partitions = PARTITION_SCHEMAS[layout]
    properties = {"projection.enabled": "true"}
    for field in partitions:
        for name, value in _projection(field).items():
            properties[f"projection.{field.name}.{name}"] = value
    folders = "".join(f"{name}=${{{name}}}/" for name in partitions.names)
    properties["storage.location.template"] = f"{location.rstrip('/')}/{folders}"
    return properties


def _projection(field: pa.Field) -> dict[str, str]:
    if pa.types.is_string(field.type):
        return {"type": "injected"}
    if pa.types.is_date(field.type):
        return {"type": "date", "range": f"{_FIRST_DAY},NOW", "format": "yyyy-MM-dd"}
    first, last = (getattr(day, field.name) for day in (_FIRST_DAY, _LAST_DAY))
    return {"type": "integer", "range": f"{first},{last}", "digits": str(len(str(last)))}


def _duckdb(dataset: _Dataset) -> str:
    types = ", ".join(f"'{field.name}': {_DUCKDB.type(field.type)}" for field in dataset.partitions)
    columns = _DUCKDB.columns(dataset.columns, "  ").split("\n")
    head = _comment(
        "--", "DuckDB", f"Replace {DATASET} by the location of the dataset.", "", *columns
    )
    return (
        f"{head}CREATE VIEW {TABLE} AS\nSELECT * FROM read_parquet(\n  '{_ALL_PARTS}',\n"
        f"  hive_partitioning = true,\n  hive_types = {{{types}}}\n);\n"
    )


def _polars(dataset: _Dataset) -> str:
    head = _comment(
        "#", "Polars, 2.1 or newer", f"Replace {DATASET} by the location of the dataset."
    )
    return (
        f"{head}import polars as pl\n\n"
        f"COLUMNS = pl.Schema({{\n{_POLARS.columns(dataset.columns, '  ')},\n}})\n"
        f"PARTITIONS = pl.Schema({{\n{_POLARS.columns(dataset.partitions, '  ')},\n}})\n\n"
        f'{TABLE} = pl.scan_parquet(\n  "{_ALL_PARTS}",\n  schema=COLUMNS,\n'
        "  hive_partitioning=True,\n  hive_schema=PARTITIONS,\n)\n"
    )


def _spark(dataset: _Dataset) -> str:
    head = _comment(
        "--",
        "Spark",
        "All of this is one string for spark.read.schema(...).parquet(...), comments included.",
        "Do not leave it out: Spark would guess the types of the partition columns, and an account",
        "that begins with 0 would lose it as a number. If you must, switch the guessing off with",
        "spark.sql.sources.partitionColumnTypeInference.enabled = false.",
    )
    return f"{head}{_SPARK.columns(pa.schema([*dataset.columns, *dataset.partitions]))}\n"


_RENDERERS: dict[DdlFormat, Callable[[_Dataset], str]] = {
    "arrow": _arrow,
    "parquet": _parquet,
    "athena": _athena,
    "duckdb": _duckdb,
    "polars": _polars,
    "spark": _spark,
}
