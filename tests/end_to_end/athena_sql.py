"""What Athena's SQL has and DuckDB's has not, so that DuckDB runs queries for Athena.

Macros do what functions of that name do in Trino, as far as the queries use them; types of arrays
and maps, and functions of functions, are spelt otherwise. Whatever else the two do not agree on is
an error here: a query for Athena uses only what both know.

Sources: Trino documentation, "Functions and operators"; Athena User Guide, "Engine version 3".
"""

import re
from pathlib import Path
from typing import Any

import duckdb

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout

TABLE = ("lake", "trails")
"""Database and table that queries are asked of."""

_SCALAR = """
json_extract_scalar(text, path) AS CASE
    WHEN json_valid(text) AND json_type(text::JSON, path) NOT IN ('OBJECT', 'ARRAY')
    THEN text->>path END
"""
_MACROS = (
    _SCALAR,
    "json_format(json) AS json::VARCHAR",
    "json_parse(text) AS text::JSON",
    "json_array_contains(json, value) AS list_contains(TRY(json::VARCHAR[]), value)",
    "regexp_like(text, pattern) AS regexp_matches(text, pattern)",
    "date_parse(text, format) AS strptime(text, format)",
    "cardinality(list) AS len(list)",
    "element_at(list, number) AS list[number]",
)
_SPELT = (
    (r"\bARRAY\(MAP\(VARCHAR, VARCHAR\)\)", "MAP(VARCHAR, VARCHAR)[]"),
    (r"\bARRAY\((\w+)\)", r"\1[]"),
    (r"\btransform\(", "list_transform("),
    (r"\barray_join\(", "array_to_string("),
)


def connect(dataset: Path, layout: PartitionLayout) -> duckdb.DuckDBPyConnection:
    """DuckDB with a dataset as Athena sees it: names of days are numbers, or text."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lambda_syntax = 'ENABLE_SINGLE_ARROW'")  # Trino's
    for macro in _MACROS:
        connection.execute(f"CREATE MACRO {macro}")
    database, table = TABLE
    connection.execute(f"CREATE SCHEMA {database}")
    files = (
        f"read_parquet('{dataset}/**/*.parquet', filename = true, hive_partitioning = true,"
        f" hive_types_autocast = false{_types(layout)})"
    )
    connection.execute(
        f'CREATE VIEW {database}.{table} AS SELECT * EXCLUDE filename, filename AS "$path"'  # noqa: S608
        f" FROM {files}"
    )
    return connection


def _types(layout: PartitionLayout) -> str:
    numbers = [name for name in ("year", "month", "day") if name in PARTITION_COLUMNS[layout]]
    types = ", ".join(f"'{name}': INTEGER" for name in numbers)
    return f", hive_types = {{{types}}}" if types else ""


def ask(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]
) -> list[dict[str, Any]]:
    """The rows of a query for Athena, which has names in lower case."""
    for theirs, ours in _SPELT:
        query = re.sub(theirs, ours, query)
    relation = connection.sql(query, params=parameters)
    rows = relation.to_arrow_table().to_pylist()
    return [{name.lower(): value for name, value in row.items()} for row in rows]
