"""From typed records to Arrow columns.

Records become columns in small pieces that fit the memory caches. Nested fields (`userIdentity`
and the like) repeat a lot, so each distinct text of one is coerced once; until a row group is put
together, rows hold only its index in a dictionary. Rows in that narrow form are *encoded rows*;
`Columns.materialize` makes the columns of the schema from them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.jsontext import NULL
from cloudtrail_parquet.formats.strict_json import EXACT_TEXT, wrap
from cloudtrail_parquet.records.coerce import Unmapped, coercer
from cloudtrail_parquet.records.decode import ABSENT
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.schema.columns import RECORD, SCHEMA, TIMESTAMP, kind

INDEX = pa.int32()
KEYS = (
    pa.field("#key", pa.int64()),  # equal for records that may be the same, see records.keys
    pa.field("#file", pa.int32()),  # number of the log file in the unit's delivery order
    pa.field("#record", pa.int32()),  # index in the file's Records
)
"""The further columns of encoded rows."""

_MAX_REMEMBERED = 5_000  # distinct texts of one column; about 3 MB of userIdentity
_TEXT_BOOLEANS = {"true": True, "false": False}

# Made once, since a unit may have a single record.
_FIELDS = {field.name: field for field in RECORD}
_KINDS = {name: kind(field) for name, field in _FIELDS.items()}
_COERCERS = {
    name: coercer(field) for name, field in _FIELDS.items() if pa.types.is_nested(field.type)
}
_ENCODED_TYPES = {field.name: INDEX if field.name in _COERCERS else field.type for field in SCHEMA}


class DictionaryColumn:
    """The dictionary of one nested column: its distinct values in order of appearance.

    Indices keep growing; `forget` drops values that no encoded row refers to any more.

    Attributes:
        unmapped: By index, the JSON text of what the column does not hold of a value.
    """

    def __init__(self, field: pa.Field) -> None:
        self._coerce, self._type = _COERCERS[field.name], field.type
        self._known = _Indices(0)
        self._pieces: list[pa.Array] = []
        self._first = 0  # index of the first value in the pieces
        self._since = 0  # index of the first value that may still be asked for by its text
        self.unmapped: dict[int, bytes] = {}

    def indices(self, texts: Iterable[bytes | None]) -> list[int | None]:
        """The index of each text's value, or None; texts not seen before are coerced."""
        if len(self._known) > _MAX_REMEMBERED:
            self._since = self._known.next
            self._known = _Indices(self._since)
        known = self._known
        indices = [None if text is None else known[text] for text in texts]
        if known.new:
            self._add(known.new, known.next - len(known.new))
            known.new.clear()
        return indices

    def _add(self, texts: list[bytes], first: int) -> None:
        values = []
        for index, text in enumerate(texts, first):
            value, rest = self._coerce(text)
            values.append(value)
            if rest is not None:
                self.unmapped[index] = rest
        self._pieces.append(pa.array(values, self._type))

    def materialize(self, indices: pa.Array) -> pa.Array:
        """The values for n indices."""
        if not self._pieces:
            return pa.nulls(len(indices), self._type)
        return self._values().take(self._positions(indices))

    def materialize_member(self, indices: pa.Array, path: list[str]) -> pa.Array:
        """One member of the values for n indices, without a copy of the others."""
        if not self._pieces:
            return pa.nulls(len(indices), pa.string())
        return pc.struct_field(self._values(), path).take(self._positions(indices))

    def _values(self) -> pa.Array:
        """All values as one array; there has to be a piece."""
        if len(self._pieces) > 1:
            self._pieces = [pa.concat_arrays(self._pieces)]
        return self._pieces[0]

    def _positions(self, indices: pa.Array) -> pa.Array:
        return pc.subtract(indices, pa.scalar(self._first, INDEX))

    def forget(self, waiting: pa.ChunkedArray) -> None:
        """Drop the values below all indices that waiting rows or remembered texts refer to."""
        lowest = pc.min(waiting).as_py()
        keep = self._since if lowest is None else min(self._since, lowest)
        if keep > self._first and self._pieces:
            kept = self._values().slice(keep - self._first)
            self._pieces = [kept.take(pa.array(range(len(kept)), INDEX))]  # a copy frees the rest
            self._first = keep
            self.unmapped = {index: text for index, text in self.unmapped.items() if index >= keep}


class _Indices(dict[bytes, int]):
    def __init__(self, first: int) -> None:
        self.next = first
        self.new: list[bytes] = []

    def __missing__(self, text: bytes) -> int:
        index = self[text] = self.next
        self.next += 1
        self.new.append(text)
        return index


class Columns:
    """Encodes the records of one unit, and makes columns of encoded rows.

    Attributes:
        unmapped_counts: Encoded rows with something in ``unmapped``, by its dotted path.
        derived_counts: Encoded rows that have this column filled in, by column.
        encoded_schema: The columns of encoded rows.
    """

    encoded_schema = pa.schema(
        [
            *(
                pa.field(field.name, INDEX) if field.name in _COERCERS else field
                for field in SCHEMA
            ),
            *KEYS,
        ]
    )

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._dictionaries = {name: DictionaryColumn(_FIELDS[name]) for name in _COERCERS}
        self.unmapped_counts: Counter[str] = Counter()
        self.derived_counts: Counter[str] = Counter()

    def encode(
        self,
        records: list[Any],
        times: pa.Array,
        unmapped: dict[int, Unmapped],
        derived: dict[int, list[str]],
        keys: list[pa.Array],
    ) -> pa.RecordBatch:
        """Encode n records as n rows, in order.

        Args:
            records: `decode.Record`, upgraded.
            times: Their event times, int64 microseconds since 1970, without nulls.
            unmapped: By row: what `decode` could not coerce; nested columns add to it.
            derived: By row: names of the columns that the upgrade filled in.
            keys: A column for each of `KEYS`.
        """
        arrays = []
        # As tuples, which is many times faster than field by field.
        columns = list(zip(*map(astuple, records), strict=True)) or [()] * len(RECORD)
        for name, values in zip(_FIELDS, columns, strict=True):
            if name == "eventTime":
                arrays.append(times.cast(TIMESTAMP))
            elif _are_void(values):
                arrays.append(pa.nulls(len(values), _ENCODED_TYPES[name]))
            elif name in self._dictionaries:
                arrays.append(self._encoded(name, values, unmapped))
            else:
                arrays.append(self._redactor.column(name, _plain(name, values)))
        arrays.append(self._unmapped_column(len(records), unmapped))
        arrays.append(self._derived_column(len(records), derived))
        return pa.RecordBatch.from_arrays([*arrays, *keys], schema=self.encoded_schema)

    def _encoded(
        self, name: str, values: tuple[Any, ...], unmapped: dict[int, Unmapped]
    ) -> pa.Array:
        dictionary, redactor = self._dictionaries[name], self._redactor
        texts = _texts(values)
        if redactor.concerns(name):
            texts = [text and redactor.members(name, text) for text in texts]
        indices = dictionary.indices(texts)
        if dictionary.unmapped:
            for row, index in enumerate(indices):
                if index in dictionary.unmapped:
                    unmapped.setdefault(row, []).append((name, dictionary.unmapped[index]))
        return pa.array(indices, INDEX)

    def _unmapped_column(self, rows: int, unmapped: dict[int, Unmapped]) -> pa.Array:
        if not unmapped:
            return pa.nulls(rows, pa.string())
        texts: list[bytes | None] = [None] * rows
        for row, parts in unmapped.items():
            kept = sorted(self._redactor.unmapped(parts))  # whichever path found them
            exact = jsontext.compose(kept)
            texts[row] = wrap(exact)
            self.unmapped_counts.update(unmapped_names(kept))
            self.unmapped_counts[EXACT_TEXT] += texts[row] is not exact
        return pa.array(texts, pa.string())

    def _derived_column(self, rows: int, derived: dict[int, list[str]]) -> pa.Array:
        if not derived:
            return pa.nulls(rows, SCHEMA.field("derived").type)
        for names in derived.values():
            self.derived_counts.update(names)
        return pa.array([derived.get(row) for row in range(rows)], SCHEMA.field("derived").type)

    def sort_key(self, encoded: pa.Table, name: str) -> pa.Array:
        """The n values of a leaf, however deep, in n encoded rows."""
        column, *path = name.split(".")
        values = encoded[column].combine_chunks()
        return self._dictionaries[column].materialize_member(values, path) if path else values

    def materialize(self, encoded: pa.Table) -> pa.Table:
        """Make the columns of the schema from n encoded rows, in order."""
        arrays = [
            self._dictionaries[name].materialize(encoded[name].combine_chunks())
            if name in self._dictionaries
            else encoded[name]
            for name in SCHEMA.names
        ]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def forget(self, waiting: Iterable[pa.Table]) -> None:
        """Drop nested values that none of the waiting rows refers to."""
        tables = list(waiting)
        for name, dictionary in self._dictionaries.items():
            chunks = [chunk for table in tables for chunk in table[name].chunks]
            dictionary.forget(pa.chunked_array(chunks, INDEX))


def _plain(name: str, values: Sequence[Any]) -> pa.Array:
    if _KINDS[name] == "json":
        values = _texts(values)
    elif _KINDS[name] == "text-boolean":
        values = [None if text is None else _TEXT_BOOLEANS[text] for text in values]
    return pa.array(values, _ENCODED_TYPES[name])


def _are_void(values: tuple[Any, ...]) -> bool:
    """Whether no record has anything in a field; the first value mostly tells."""
    if not values:
        return True
    first = values[0]
    return (first is None or first is ABSENT) and values.count(first) == len(values)


def _texts(values: Iterable[msgspec.Raw]) -> list[bytes | None]:
    """The JSON texts of n values; None for null and for what was not delivered."""
    return [None if value is ABSENT or (text := bytes(value)) == NULL else text for value in values]


def unmapped_names(parts: Unmapped) -> list[str]:
    """The dotted names under which something is unmapped, as receipts count them."""
    names = []
    for name, text in parts:
        names += _paths(name, _FIELDS.get(name), text)
    return names


def _paths(path: str, field: pa.Field | None, text: bytes) -> list[str]:
    """The dotted names in an unmapped text, as deep as the schema has names."""
    if field is None or not pa.types.is_struct(field.type) or text[:1] != b"{":
        return [jsontext.encodable(path)]
    known = {child.name: child for child in field.type}
    return [
        deeper
        for name, value in jsontext.members(text).items()
        for deeper in _paths(f"{path}.{name}", known.get(name), value)
    ]
