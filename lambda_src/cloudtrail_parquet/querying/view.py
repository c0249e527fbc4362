"""The view `cloudtrail` over the chosen parts: all columns, whatever the layout and the version.

Its columns are those of the view that ``schema --format duckdb`` prints, in the same order. Where
parts are of several versions, or none is of this one, DuckDB reads the footers of all of them
before anything else and finds columns by their names; those that a part lacks are null.
"""

import re
from io import BytesIO
from operator import attrgetter

import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection

from cloudtrail_parquet.contract import PARTITION_COLUMNS
from cloudtrail_parquet.querying.chosen import ChosenParts
from cloudtrail_parquet.querying.files import PartFiles
from cloudtrail_parquet.records.json_columns import file_schema
from cloudtrail_parquet.reference.ddl import TABLE
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.storage import Entry

_COLUMNS = "columns.parquet"
_EXAMPLES = 1_000
_VERSION = re.compile(rb"cloudtrail_parquet\.schema_version\W+?(\d+)")
_ENCODING = re.compile(rb'"json_encoding":"(\w+)"')


def _value(before: str, form: str = "[^/]*") -> str:
    return f"regexp_extract(filename, '/{before}({form})', 1)"


def _number(before: str) -> str:
    return f"TRY_CAST({_value(before, '[0-9]*')} AS BIGINT)"  # a cast that may fail prunes nothing


_FOLDERS = {
    "account": f"url_decode({_value('account=')})",
    "region": f"url_decode({_value('region=')})",
    "year": _number("year="),
    "month": _number("month="),
    "day": _number("day="),
    "dt": f"TRY_CAST({_value('dt=')} AS DATE)",
}
"""The partition columns, by the names of files: of a filter on them DuckDB chooses files by it."""

_OF_DT = {
    "year": _number("dt="),
    "month": _number("dt=[0-9]*-"),
    "day": _number("dt=[0-9]*-[0-9]*-"),
}
"""What the view has besides a day's ``dt``, for queries that are the same for all layouts."""


def view_of(con: DuckDBPyConnection, files: PartFiles, chosen: ChosenParts) -> str:
    """The statement that makes the view; sets the variable that it reads, `PartFiles.variable`."""
    options = "filename = true, hive_partitioning = false"
    locations = files.locations
    if not _are_of_this_version(files, chosen):
        options += ", union_by_name = true"
        locations = [files.add(_COLUMNS, _without_rows(chosen)), *locations]
    con.execute(f"SET VARIABLE {files.variable} = $1", [locations])
    source = f"read_parquet(getvariable('{files.variable}'), {options})"
    described = con.execute(f"DESCRIBE FROM {source}").fetchall()
    columns = [_column(name, type_) for name, type_, *_ in described if name != "filename"]
    folders = {name: _FOLDERS[name] for name in sorted(PARTITION_COLUMNS[chosen.layout])}
    if "dt" in folders:
        folders |= _OF_DT
    columns += [f"{sql} AS {name}" for name, sql in folders.items()]
    wanted = " AND ".join(
        f"{name} IN ({', '.join(map(_text, sorted(values)))})"
        for name, values in chosen.columns.items()
    )
    condition = f"\nWHERE {wanted}" if wanted else ""
    return f"CREATE VIEW {TABLE} AS SELECT {', '.join(columns)}\nFROM {source}{condition}"


def _column(name: str, type_: str) -> str:
    """A column, with JSON in place of VARIANT, which no format of results has."""
    text = re.sub(r"\bVARIANT\b", "JSON", type_)
    return _name(name) if text == type_ else f"CAST({_name(name)} AS {text}) AS {_name(name)}"


def _are_of_this_version(files: PartFiles, chosen: ChosenParts) -> bool:
    """Whether all parts have the columns of this version, with their types, by their footers.

    Of a great many parts, the last written and some others stand for all. If they should not,
    DuckDB says that a column is missing, and nothing is read wrongly.
    """
    tails = files.tails(_examples(chosen.parts))
    found = {(_in(_VERSION, tail), _in(_ENCODING, tail)) for tail in tails}
    return len(found) == 1 and found.pop()[0] == str(SCHEMA_VERSION).encode()


def _in(pattern: re.Pattern[bytes], tail: bytes) -> bytes:
    match = pattern.search(tail)
    return match[1] if match else b""


def _without_rows(chosen: ChosenParts) -> bytes:
    """A part that has the columns of this version, and no rows."""
    file = BytesIO()
    pq.ParquetWriter(file, file_schema("string", chosen.layout), store_schema=False).close()
    return file.getvalue()


def _examples(parts: list[Entry]) -> list[Entry]:
    """All parts, or those of many that were written last and some others."""
    if len(parts) <= 2 * _EXAMPLES:
        return parts
    last = sorted(parts, key=attrgetter("modified"))[-_EXAMPLES:]
    return [*last, *parts[:: len(parts) // _EXAMPLES]]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
