"""Free-form columns as files hold them: text, text marked as JSON, or VARIANT.

Within a conversion free-form values are AWS's own JSON text. Files hold that text if every reader
accepts it (`strict`); ``json`` marks it with Parquet's logical type, ``variant`` encodes it. A
value that a column cannot hold exactly is written as nearly as possible, and its original text is
kept in ``unmapped``, so that nothing is lost. ``unmapped`` itself stays text, and `strict`.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.formats import jsontext, variant_decode, variant_encode
from cloudtrail_parquet.formats.strict_json import (
    EXACT_TEXT,
    is_wrapped,
    strict_column,
    unwrap,
    wrap,
)
from cloudtrail_parquet.schema.columns import (
    JSON_COLUMNS,
    PLACE_FIELDS,
    PLACE_SCHEMAS,
    SCHEMA,
    UNMAPPED,
    JsonEncoding,
    kind,
)

PATHS = tuple(path for path in JSON_COLUMNS if path != UNMAPPED)
"""The columns that may be VARIANT."""

_TOP_LEVEL = frozenset(path.partition(".")[0] for path in PATHS)
_Write = Callable[[pa.Array], tuple[pa.Array, list[int]]]
"""Makes the column of a file from JSON texts, and gives the indexes of the rows it changes."""


@cache
def file_schema(encoding: JsonEncoding, layout: PartitionLayout = DEFAULT_LAYOUT) -> pa.Schema:
    """`SCHEMA` as files of a layout have it, and then account and region if no folder has them."""
    types = {"string": pa.string(), "json": pa.json_(), "variant": variant_encode.VARIANT_STORAGE}
    columns = [_file_field(field, types[encoding], encoding) for field in SCHEMA]
    return pa.schema([*columns, *PLACE_SCHEMAS[layout]])


def _file_field(field: pa.Field, json_type: pa.DataType, encoding: JsonEncoding) -> pa.Field:
    if pa.types.is_struct(field.type):
        members = [_file_field(member, json_type, encoding) for member in field.type]
        return field.with_type(pa.struct(members))
    if kind(field) != "json" or (field.name == UNMAPPED and encoding == "variant"):
        return field
    return field.with_type(json_type)


def as_in_files(table: pa.Table, encoding: JsonEncoding) -> tuple[pa.Table, Counter[str]]:
    """Write the free-form columns of n rows of `SCHEMA`, and maybe others, as files hold them.

    Returns:
        n rows of `file_schema`, and for each free-form column how many of them keep a value in
        ``unmapped`` because the column does not hold it exactly.
    """
    write: _Write = variant_encode.encode_column if encoding == "variant" else strict_column
    inexact: dict[str, list[int]] = {}
    written = {
        field.name: _rewrite(field.name, field, table[field.name].combine_chunks(), write, inexact)
        for field in SCHEMA
        if field.name in _TOP_LEVEL
    }
    texts = table[UNMAPPED].to_pylist() if inexact else []
    wrapped = sum(map(_is_wrapped, texts))
    for path, rows in inexact.items():
        originals = _leaf(table, path)
        for row in rows:
            texts[row] = _keep_exact(texts[row], path.split("."), originals[row].as_py())
    if inexact:
        written[UNMAPPED] = pa.array(texts, pa.string())
    counts = Counter({path: len(rows) for path, rows in inexact.items()})
    counts[EXACT_TEXT] += sum(map(_is_wrapped, texts)) - wrapped
    columns = [written.get(field.name, table[field.name]) for field in SCHEMA]
    if encoding == "json":
        in_files = pa.Table.from_arrays(columns, schema=SCHEMA).cast(file_schema("json"))
    else:
        in_files = pa.Table.from_arrays(columns, schema=file_schema(encoding))
    for name in table.column_names[len(SCHEMA) :]:
        in_files = in_files.append_column(PLACE_FIELDS[name], table[name])
    return in_files, +counts


def _rewrite(
    path: str, field: pa.Field, column: pa.Array, write: _Write, inexact: dict[str, list[int]]
) -> pa.Array:
    """The column as files hold it; adds the rows that are not exact to ``inexact``, by path."""
    if path in PATHS:
        values, rows = write(column)
        if rows:
            inexact[path] = rows
        return values
    if pa.types.is_struct(field.type):
        members = [
            _rewrite(f"{path}.{child.name}", child, member, write, inexact)
            for child, member in zip(field.type, column.flatten(), strict=True)
        ]
        names = [child.name for child in field.type]
        return pa.StructArray.from_arrays(members, names, mask=column.is_null())
    return column


def _leaf(table: pa.Table, path: str) -> pa.Array:
    name, *members = path.split(".")
    column = table[name].combine_chunks()
    return pc.struct_field(column, members) if members else column


def _keep_exact(unmapped: str | None, path: list[str], text: str) -> str:
    """Add the text of a value to what is unmapped, with fields in the order of their names."""
    exact = unwrap(unmapped.encode()) if unmapped else b"{}"
    fields = jsontext.members(_with_member(exact, path, text.encode()))
    return wrap(jsontext.compose(sorted(fields.items()))).decode()


def _with_member(whole: bytes, path: list[str], text: bytes) -> bytes:
    name, *below = path
    members = jsontext.members(whole)
    members[name] = _with_member(members.get(name, b"{}"), below, text) if below else text
    return jsontext.compose([*members.items()])


def as_texts(table: pa.Table) -> tuple[pa.Table, Counter[str]]:
    """Undo `as_in_files`: n rows with their free-form columns as the JSON text that came.

    Args:
        table: n rows as files of any encoding hold them; some columns may be missing.

    Returns:
        The n rows, and the counts that `as_in_files` gave when it wrote them.

    Raises:
        ValueError: A VARIANT is damaged.
    """
    exact: dict[str, dict[int, str]] = {}
    counts = Counter[str]()
    unmapped = table[UNMAPPED].to_pylist() if UNMAPPED in table.column_names else []
    for row, whole in enumerate(unmapped):
        if whole is not None and any(name in whole for name in _TOP_LEVEL):
            rest = _taken_out(whole, row, table, exact)
            counts[EXACT_TEXT] += _is_wrapped(whole) - _is_wrapped(rest)
            unmapped[row] = rest
    counts.update({path: len(rows) for path, rows in exact.items()})
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == UNMAPPED:
            columns.append(pa.array(unmapped, pa.string()))
        elif name in _TOP_LEVEL:
            columns.append(_in_text(name, column.combine_chunks(), exact))
        else:
            columns.append(column)
    return pa.table(columns, names=table.column_names), +counts


def _taken_out(
    unmapped: str, row: int, table: pa.Table, exact: dict[str, dict[int, str]]
) -> str | None:
    """What is unmapped without the exact texts of columns, which are added to ``exact``."""
    whole, has_any = unwrap(unmapped.encode()), False
    for path in PATHS:
        name, *members = path.split(".")
        if name not in table.column_names:
            continue
        value = table[name][row].as_py()
        for member in members:
            value = None if value is None else value.get(member)
        if (
            value is None
        ):  # nothing that came lies in the column: the text is that of something else
            continue
        whole, text = _without_member(whole, [name, *members])
        if text is not None:
            exact.setdefault(path, {})[row], has_any = text.decode(), True
    if not has_any:
        return unmapped
    return None if not jsontext.members(whole) else wrap(whole).decode()


def _without_member(whole: bytes, path: list[str]) -> tuple[bytes, bytes | None]:
    """An object without a member, and the member's text; None if it has none."""
    name, *below = path
    if whole[:1] != b"{":
        return whole, None
    members = jsontext.members(whole)
    if name not in members:
        return whole, None
    text = members.pop(name)
    if below:
        rest, found = _without_member(text, below)
        if found is None:
            return whole, None
        if jsontext.members(rest):
            members[name] = rest
        text = found
    return jsontext.compose([*members.items()]), text


def _in_text(path: str, column: pa.Array, exact: dict[str, dict[int, str]]) -> pa.Array:
    """A column, or a member of it, with JSON texts in place of what files hold."""
    if path not in PATHS:
        members = [
            _in_text(f"{path}.{child.name}", member, exact)
            for child, member in zip(column.type, column.flatten(), strict=True)
        ]
        names = [child.name for child in column.type]
        return pa.StructArray.from_arrays(members, names, mask=column.is_null())
    if isinstance(column, pa.ExtensionArray):
        texts = column.storage
    elif pa.types.is_struct(column.type):
        values = column.to_pylist()
        texts = pa.array([None if one is None else text_of(one) for one in values], pa.string())
    else:
        texts = column
    if originals := exact.get(path):
        mask = pa.array([row in originals for row in range(len(texts))], pa.bool_())
        rows = pa.array([originals[row] for row in sorted(originals)], pa.string())
        texts = pc.replace_with_mask(texts, mask, rows)
    return texts


def _is_wrapped(unmapped: str | None) -> bool:
    return unmapped is not None and is_wrapped(unmapped.encode())


def text_of(value: Any) -> str:  # noqa: ANN401
    """The JSON text of a free-form value of `pyarrow.Table.to_pylist`.

    Args:
        value: Text, or the ``metadata`` and ``value`` of a VARIANT.
    """
    if isinstance(value, str):
        return value
    return variant_decode.decode(value["metadata"], value["value"]).decode()
