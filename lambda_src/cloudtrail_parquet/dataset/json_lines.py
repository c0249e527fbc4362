"""From many rows back to the records that were delivered, column by column.

The texts are those of `from_arrow.restore_json`, byte for byte. Arrow joins them from the columns;
Python objects are made only of what is rare: the map of web identity attributes, what is unmapped,
and VARIANT values.
"""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.records.from_arrow import restore_json, value_writer, write_json
from cloudtrail_parquet.records.json_columns import text_of
from cloudtrail_parquet.schema.columns import RECORD, UNMAPPED, kind

_ESCAPES = {byte: jsontext.quote(chr(byte)).decode()[1:-1] for byte in (*b'\\"', *range(ord(" ")))}
"""How JSON writes the characters that strings cannot hold; the backslash, which all of them have,
is replaced first."""

_PLAIN = bytes(set(range(256)) - _ESCAPES.keys())
_LINE_ENDS = {end: re.compile(end.encode()) for end in "\n\r"}
_NAMES = frozenset(RECORD.names)
_NULL = pa.scalar(None, pa.string())
_ABSENT = "replace"  # by nothing, as each member begins with its comma; "skip" drops whole rows

Writer = Callable[[pa.Array], pa.Array]
"""Makes JSON texts, string, of n values; null of null."""


def restore_texts(batch: pa.RecordBatch) -> pa.Array:
    """The delivered records of n rows, as JSON texts.

    Args:
        batch: Rows as files of any ``json_encoding`` and layout hold them.

    Returns:
        n texts, string.

    Raises:
        ValueError: The rows hold what no conversion writes, such as text that is not UTF-8.
    """
    derived, members = _derived(batch), []
    for name, write_column in _WRITERS.items():
        if name in batch.schema.names and _has_values(column := batch.column(name)):
            member = _member(name, write_column(column))
            members.append(pc.if_else(derived[name], _NULL, member) if name in derived else member)
    texts = _objects(members, len(batch))
    if UNMAPPED in batch.schema.names and _has_values(column := batch.column(UNMAPPED)):
        texts = pc.replace_with_mask(texts, column.is_valid(), _overlaid(texts, column, batch))
    texts.validate(full=True)
    return texts


def on_one_line(texts: pa.Array) -> pa.Array:
    """JSON texts with spaces in place of line ends, which are white space outside of strings."""
    for end, pattern in _LINE_ENDS.items():
        if pattern.search(_bytes_of(texts)):
            texts = pc.replace_substring(texts, end, " ")
    return texts


def as_bytes(texts: pa.Array, end: str = "\n") -> memoryview:
    """The bytes of n texts, string, each with an end."""
    return _bytes_of(pc.binary_join_element_wise(texts, end, ""))


def _bytes_of(column: pa.Array) -> memoryview:
    """The bytes of all texts of a column together, without a copy."""
    _, offsets, data = column.buffers()
    if not data:
        return memoryview(b"")
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[column.offset] : ends[column.offset + len(column)]]


def _has_values(column: pa.Array) -> bool:
    return bool(column.null_count < len(column))


def _derived(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """For each column that the upgrade has filled in, whether it has in each row."""
    if "derived" not in batch.schema.names:
        return {}
    column, rows = batch.column("derived"), pa.arange(0, len(batch))
    names, owners = column.flatten(), pc.list_parent_indices(column)
    return {
        name: pc.is_in(rows, owners.filter(pc.equal(names, name)))
        for name in names.unique().to_pylist()
    }


def _overlaid(known: pa.Array, unmapped: pa.Array, batch: pa.RecordBatch) -> pa.Array:
    """The texts of the rows with something unmapped, which is laid over what the columns gave."""
    rows = pc.indices_nonzero(unmapped.is_valid())
    pairs = zip(known.take(rows).to_pylist(), _text(unmapped.take(rows)).to_pylist(), strict=True)
    texts = [_with_members(record, unwrap(text.encode())) for record, text in pairs]
    over_columns = [number for number, text in enumerate(texts) if text is None]
    if over_columns:
        found = batch.take(rows.take(pa.array(over_columns))).to_pylist()
        for number, row in zip(over_columns, found, strict=True):
            texts[number] = restore_json(row)
    return pa.array(texts, pa.string())


def _with_members(record: str, unmapped: bytes) -> str | None:
    """A record with what is unmapped; None if that concerns a column."""
    members = jsontext.members(unmapped)
    if not _NAMES.isdisjoint(members):
        return None
    added = {name: text for name, text in members.items() if text != jsontext.NULL}
    known, further = record[1:-1], write_json(added).decode()[1:-1]
    return f"{{{known}{',' if known and further else ''}{further}}}"


def _member(name: str, values: pa.Array) -> pa.Array:
    """The members of n objects with this name, after a comma; null without a value."""
    return pc.binary_join_element_wise(f',"{name}":', values, "")


def _objects(members: Sequence[pa.Array], number: int) -> pa.Array:
    """Make so many objects of their members, of which any may be null."""
    if not members:
        return pa.repeat("{}", number)
    texts = pc.binary_join_element_wise(*members, "}", "", null_handling=_ABSENT)
    objects = pc.binary_replace_slice(texts, 0, 1, "{")
    return pc.if_else(pc.equal(texts, "}"), "{}", objects)


def _writer(field: pa.Field) -> Writer:
    dtype = field.type
    if pa.types.is_struct(dtype):
        return _struct_writer({child.name: _writer(child) for child in dtype})
    if pa.types.is_list(dtype):
        return _list_writer(_writer(dtype.value_field))
    return _object_by_object(field) if pa.types.is_map(dtype) else _LEAVES[kind(field)]


def _struct_writer(writers: dict[str, Writer]) -> Writer:
    def write_structs(column: pa.Array) -> pa.Array:
        children = dict(zip((child.name for child in column.type), column.flatten(), strict=True))
        members = [
            _member(name, write_child(children[name]))
            for name, write_child in writers.items()
            if name in children and _has_values(children[name])
        ]
        objects = _objects(members, len(column))
        return pc.if_else(column.is_valid(), objects, _NULL) if column.null_count else objects

    return write_structs


def _list_writer(write_items: Writer) -> Writer:
    def write_lists(column: pa.Array) -> pa.Array:
        items = pc.fill_null(write_items(column.flatten()), jsontext.NULL.decode())
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        ends = pc.cumulative_sum(lengths).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), ",")
        lists = pc.binary_join_element_wise("[", joined, "]", "")
        return pc.if_else(column.is_valid(), lists, _NULL) if column.null_count else lists

    return write_lists


def _object_by_object(field: pa.Field) -> Writer:
    write_value = value_writer(field)

    def write_values(column: pa.Array) -> pa.Array:
        texts = [
            None if value is None else write_json(write_value(value)).decode()
            for value in column.to_pylist()
        ]
        return pa.array(texts, pa.string())

    return write_values


def _text(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _write_text(column: pa.Array) -> pa.Array:
    """Quote texts as JSON does, and escape nothing but what has to be."""
    return pc.binary_join_element_wise('"', _escaped(column), '"', "")


def _escaped(column: pa.Array) -> pa.Array:
    special = set(bytes(_bytes_of(column)).translate(None, _PLAIN))
    for byte, escape in _ESCAPES.items() if special else ():
        if byte in special:
            column = pc.replace_substring(column, chr(byte), escape)
    return column


def _write_json(column: pa.Array) -> pa.Array:
    if pa.types.is_struct(column.type):
        texts = (None if value is None else text_of(value) for value in column.to_pylist())
        return pa.array(texts, pa.string())
    return _text(column)


def _write_booleans(column: pa.Array) -> pa.Array:
    return pc.if_else(column, "true", "false")


def _write_text_booleans(column: pa.Array) -> pa.Array:
    return pc.if_else(column, '"true"', '"false"')


def _write_integers(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _write_times(column: pa.Array) -> pa.Array:
    """Write times as `formats.eventtime.format_time` does."""
    texts = column.cast(pa.timestamp("us")).cast(pa.string())  # 2026-01-10 12:34:56.000000
    texts = pc.replace_substring(pc.binary_replace_slice(texts, 10, 11, "T"), ".000000", "")
    return pc.binary_join_element_wise('"', texts, 'Z"', "")


_LEAVES: dict[str, Writer] = {
    "text": _write_text,
    "account": _write_text,
    "json": _write_json,
    "boolean": _write_booleans,
    "text-boolean": _write_text_booleans,
    "integer": _write_integers,
    "timestamp": _write_times,
}
_WRITERS = {field.name: _writer(field) for field in RECORD}
