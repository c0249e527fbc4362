"""The schema in the language of each engine that reads the dataset.

All of it is made from `SCHEMA`, the partition columns and the settings. What is printed for a query
engine is ready to run once the placeholder is replaced by the location of a dataset.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from io import BytesIO
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.formats.parquet_footer import annotate_variants
from cloudtrail_parquet.records.json_columns import PATHS, file_schema
from cloudtrail_parquet.reference.spelling import ATHENA, DUCKDB, POLARS, SPARK
from cloudtrail_parquet.reference.tailpipe import TAILPIPE_TABLE, tailpipe_view
from cloudtrail_parquet.schema.columns import (
    PARTITION_SCHEMAS,
    PLACE_SCHEMAS,
    RECORD_VERSION,
    SCHEMA,
    SCHEMA_VERSION,
    JsonEncoding,
    members,
)
from cloudtrail_parquet.settings.settings import Settings

DdlFormat = Literal["arrow", "parquet", "athena", "duckdb", "polars", "spark", "tailpipe"]

TABLE = "cloudtrail"
LOCATION = "s3://BUCKET/PREFIX/"
DATASET = "DATASET"

_FIRST_DAY = date(2013, 1, 1)  # CloudTrail began in November 2013
_LAST_DAY = date(2050, 12, 31)  # a query that names no year lists the folders of all of them
_UNION = (
    "For files of an older and a newer schema together add union_by_name = true, which opens all",
    "of them first.",
)
_REPLACE = f"Replace {DATASET} by the location of the dataset."
_WITHOUT_VARIANT = {"athena", "polars"}


def render(format_: DdlFormat, settings: Settings | None = None) -> str:
    """The columns and partition columns, written for one engine; ends with a line feed.

    Raises:
        UsageError: The engine cannot read what the settings make.
    """
    settings = settings or Settings()
    if settings.json_encoding == "variant" and format_ in _WITHOUT_VARIANT:
        raise UsageError(f"{format_} cannot read VARIANT", "json_encoding", "Use string or json")
    columns = file_schema(settings.json_encoding, settings.partition_layout)
    return _RENDERERS[format_](_Dataset(columns, settings.partition_layout, settings.json_encoding))


class _Dataset(NamedTuple):
    """What is rendered: the columns in files, those in folders, and how JSON is written."""

    columns: pa.Schema
    layout: PartitionLayout
    encoding: JsonEncoding

    @property
    def partitions(self) -> pa.Schema:
        """The partition columns."""
        return PARTITION_SCHEMAS[self.layout]


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
    """The schema in a part's footer, of a part without rows."""
    file = BytesIO()
    pq.ParquetWriter(file, dataset.columns, store_schema=False).close()
    variants = PATHS if dataset.encoding == "variant" else ()
    text = str(pq.ParquetFile(BytesIO(annotate_variants(file.getvalue(), variants))).schema)
    message = text[text.index("required group") :]
    for noise in (" field_id=-1", ", is_from_converted_type=false, force_set_converted_type=false"):
        message = message.replace(noise, "")
    return message.rstrip() + "\n"


def _athena(dataset: _Dataset) -> str:
    properties = ",\n".join(
        f"  '{name}' = '{value}'"
        for name, value in athena_properties(LOCATION, dataset.layout).items()
    )
    columns = ATHENA.columns(dataset.columns, "  ").lower()
    partitions = ATHENA.columns(dataset.partitions, "  ").lower()
    head = _comment(
        "--",
        "Athena, engine version 3",
        "Names are in lower case, as Athena keeps them; queries may write them either way.",
        *_about_injected(dataset.layout),
        "Days outside the range of the projection are not found.",
    )
    return (
        f"{head}CREATE EXTERNAL TABLE {TABLE} (\n{columns}\n)\n"
        f"PARTITIONED BY (\n{partitions}\n)\n"
        f"STORED AS PARQUET\nLOCATION '{LOCATION}'\nTBLPROPERTIES (\n{properties}\n)\n"
    )


_INJECTED = {
    "account": "'012345678901', '123456789012'",
    "region": "'us-east-1', 'eu-west-1'",
}
"""The partition columns that are injected, with values for an example."""


def _about_injected(layout: PartitionLayout) -> Iterator[str]:
    """The lines that say how to name injected columns, or to do without; none without any."""
    injected = [name for name in _INJECTED if name in PARTITION_SCHEMAS[layout].names]
    if not injected:
        return
    *_, last = injected
    values = _INJECTED[last].replace("'", "").replace(" ", "")
    yield "An injected column has to be named in every query:"
    yield "  WHERE " + " AND ".join(f"{name} IN ({_INJECTED[name]})" for name in injected)
    yield "To go without, give its values once instead:"
    yield f"  'projection.{last}.type' = 'enum', 'projection.{last}.values' = '{values}'"
    yield f"but then no {last} is found that is not among them."


def athena_columns(layout: PartitionLayout = DEFAULT_LAYOUT) -> dict[str, str]:
    """Types of the files' columns by name, as the Glue catalogue needs them.

    They are in lower case and without white space.
    """
    return _glue_types([*SCHEMA, *PLACE_SCHEMAS[layout]])


def athena_partitions(layout: PartitionLayout = DEFAULT_LAYOUT) -> dict[str, str]:
    """As `athena_columns`, for the partition columns."""
    return _glue_types(PARTITION_SCHEMAS[layout])


def _glue_types(fields: Iterable[pa.Field]) -> dict[str, str]:
    return {
        field.name.lower(): "".join(ATHENA.type(field.type).lower().split()) for field in fields
    }


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


_DUCKDB_OF_DT = ", year(dt) AS year, month(dt) AS month, day(dt) AS day"
"""What queries ask for, whatever the layout; DuckDB chooses folders by it."""


def _duckdb(dataset: _Dataset) -> str:
    columns = DUCKDB.columns(dataset.columns, "  ").split("\n")
    head = _comment("--", "DuckDB", _REPLACE, *_UNION, "", *columns)
    return head + _duckdb_view(dataset)


def _duckdb_view(dataset: _Dataset) -> str:
    """The statement for the view `TABLE`."""
    days = [field for field in dataset.partitions if not pa.types.is_string(field.type)]
    types = ", ".join(f"'{field.name}': {DUCKDB.type(field.type)}" for field in days)
    columns_of_dt = _DUCKDB_OF_DT if "dt" in dataset.partitions.names else ""
    return (
        f"CREATE VIEW {TABLE} AS\nSELECT *{columns_of_dt} FROM read_parquet(\n"
        f"  '{DATASET}/**/*.parquet',\n"
        "  hive_partitioning = true, hive_types_autocast = false,\n"
        f"  hive_types = {{{types}}}\n);\n"
    )


def _tailpipe(dataset: _Dataset) -> str:
    head = _comment(
        "--",
        f"DuckDB, with the table {TAILPIPE_TABLE} of Tailpipe",
        _REPLACE,
        *_UNION,
        "docs/reading.md says in what its columns differ from Tailpipe's own.",
    )
    return f"{head}{_duckdb_view(dataset)}{tailpipe_view(dataset.layout, TABLE)}"


def _polars(dataset: _Dataset) -> str:
    head = _comment(
        "#",
        "Polars, 2.1 or newer",
        f"{_REPLACE[:-1]}; keep the slash at its end.",
        "Columns that a file of an older schema lacks are null.",
    )
    return (
        f"{head}import polars as pl\n\n"
        f"COLUMNS = pl.Schema({{\n{POLARS.columns(dataset.columns, '  ')},\n}})\n"
        f"PARTITIONS = pl.Schema({{\n{POLARS.columns(dataset.partitions, '  ')},\n}})\n\n"
        f'{TABLE} = pl.scan_parquet(\n  "{DATASET}/",\n  schema=COLUMNS,\n'
        '  missing_columns="insert",\n  extra_columns="ignore",\n'
        "  cast_options=pl.ScanCastOptions(\n"
        '    missing_struct_fields="insert", extra_struct_fields="ignore"\n  ),\n'
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
    return f"{head}{SPARK.columns(pa.schema([*dataset.columns, *dataset.partitions]))}\n"


_RENDERERS: dict[DdlFormat, Callable[[_Dataset], str]] = {
    "arrow": _arrow,
    "parquet": _parquet,
    "athena": _athena,
    "duckdb": _duckdb,
    "polars": _polars,
    "spark": _spark,
    "tailpipe": _tailpipe,
}
