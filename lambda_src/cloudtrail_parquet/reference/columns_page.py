"""The page of the docs about columns, made from the schema.

python -m cloudtrail_parquet.reference.columns_page > docs/columns.md
"""

import sys
from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from cloudtrail_parquet.layout import Unit, partition
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.schema.columns import (
    PARTITION_SCHEMA,
    RECORD_VERSION,
    SCHEMA,
    SCHEMA_VERSION,
    about,
    kind,
    members,
)

_KINDS = {
    "text": "text",
    "account": "text",
    "json": "JSON text",
    "boolean": "boolean",
    "text-boolean": "boolean",
    "integer": "integer",
    "timestamp": "timestamp, UTC",
}
_KIND_NOTES = {"account": "account id", "text-boolean": "delivered as text"}

_PAGE = f"""\
# Columns

Made from `lambda_src/cloudtrail_parquet/schema/columns.py`; change that, then run
`python -m cloudtrail_parquet.reference.columns_page > docs/columns.md`.

Schema version {SCHEMA_VERSION}, for CloudTrail records up to version {RECORD_VERSION}. Every
column but `eventTime` can be null, and null is neither false nor empty. Account ids are text and
keep their leading zeros. JSON text is AWS's own, byte for byte, unless some JSON readers refuse it:
then it is changed where they do, and `unmapped` keeps the exact text
([reading.md](reading.md#text-that-some-readers-of-json-refuse)).

*since* is the `eventVersion` that brought the field; `+` marks a field that came without a new
version, and columns that the conversion adds have none.

"""
_PARTITIONS = """
## Partition columns

They are in the names of the folders, not in the files. These are those of the default
`partition_layout` ([settings.md](settings.md)). Others have one folder `dt=2026-01-09` for the
day, and where they have none for `account` or `region`, these are the last columns of the files.
A day is a day of `eventTime` in UTC. `cloudtrail-parquet schema --format` prints all of this for a
query engine and a layout.

"""


def columns_page() -> str:
    """The page of the docs about columns: Markdown, a row for each column and member."""
    rows = [row for field in SCHEMA for row in _page_rows(field.name, field)]
    folders = partition(Unit("012345678901", "us-east-1", date(2026, 1, 9))).rstrip("/").split("/")
    partitions = [
        (f"`{field.name}`", "text" if pa.types.is_string(field.type) else "integer", f"`{folder}`")
        for field, folder in zip(PARTITION_SCHEMA, folders, strict=True)
    ]
    columns = table(("column", "type", "since", "what it is"), rows)
    return f"{_PAGE}{columns}\n{_PARTITIONS}{table(('column', 'type', 'folder'), partitions)}\n"


def _page_rows(path: str, field: pa.Field) -> Iterator[tuple[str, str, str, str]]:
    alias = about(field, "alias")
    notes = [
        about(field, "about"),
        _KIND_NOTES.get(kind(field), ""),
        f"also read from `{alias}`" if alias else "",
    ]
    description = "; ".join(note for note in notes if note)
    yield f"`{path}`", _page_type(field), about(field, "since"), description
    below = f"{path}[]" if pa.types.is_list(field.type) else path
    for member in members(field.type):
        yield from _page_rows(f"{below}.{member.name}", member)


def _page_type(field: pa.Field) -> str:
    dtype = field.type
    if pa.types.is_struct(dtype):
        return "struct"
    if pa.types.is_list(dtype):
        return f"list of {_page_type(dtype.value_field)}"
    if pa.types.is_map(dtype):
        return f"map of {_page_type(dtype.key_field)} to {_page_type(dtype.item_field)}"
    return _KINDS[kind(field)]


if __name__ == "__main__":
    sys.stdout.write(columns_page())
