"""From typed records to Arrow columns.

Records become columns in small pieces that fit the memory caches. Nested fields (`userIdentity`
and the like) repeat a lot, so each distinct text of one is fitted once; until a row group is put
together, rows hold only its number. That narrow form is a *draft*; `Columns.finish` makes of it
the columns of the schema.
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
from cloudtrail_parquet.records.coerce import Leftovers, fit
from cloudtrail_parquet.records.decode import ABSENT, is_scalar
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.schema.columns import RECORD, SCHEMA, TIMESTAMP, kind

CODE = pa.int32()
KEYS = (
    pa.field("#key", pa.int64()),  # equal for records that may be the same, see duplicates
    pa.field("#file", pa.int32()),  # number of the log file in the unit's delivery order
    pa.field("#record", pa.int32()),  # index in the file's Records
)
"""What a draft holds beside the columns."""

_MAX_REMEMBERED = 5_000  # distinct texts of one column; about 3 MB of userIdentity
_TEXT_BOOLEANS = {"true": True, "false": False}
_FIELDS = {field.name: field for field in RECORD}


class Distinct:
    """The distinct values of one nested column, numbered in order of appearance.

    Numbers keep growing; `forget` drops values that no draft refers to any more.
    """

    def __init__(self, field: pa.Field) -> None:
        self._fit = fit(field)
        self._type = field.type
        self._numbers = _Numbers(0)
        self._pieces: list[pa.Array] = []
        self._first = 0  # number of the first value in the pieces
        self._since = 0  # number of the first value that may still be asked for by its text
        self.leftovers: dict[int, bytes] = {}

    def numbers(self, texts: Iterable[bytes | None]) -> list[int | None]:
        """The number of each text's value, None for none; texts not seen before are fitted."""
        if len(self._numbers) > _MAX_REMEMBERED:
            self._since = self._numbers.next
            self._numbers = _Numbers(self._since)
        known = self._numbers
        codes = [None if text is None else known[text] for text in texts]
        if known.new:
            self._add(known.new, known.next - len(known.new))
            known.new.clear()
        return codes

    def _add(self, texts: list[bytes], number: int) -> None:
        values = []
        for code, text in enumerate(texts, number):
            value, leftover = self._fit(text)
            values.append(value)
            if leftover is not None:
                self.leftovers[code] = leftover
        self._pieces.append(pa.array(values, self._type))

    def take(self, codes: pa.Array) -> pa.Array:
        """The values for an array of numbers."""
        if not self._pieces:
            return pa.nulls(len(codes), self._type)
        return self._values().take(self._places(codes))

    def take_member(self, codes: pa.Array, path: list[str]) -> pa.Array:
        """One member of the values for an array of numbers, so that the others need no copy."""
        if not self._pieces:
            return pa.nulls(len(codes), pa.string())
        return pc.struct_field(self._values(), path).take(self._places(codes))

    def _values(self) -> pa.Array:
        """The values, of which there are some, in one piece."""
        if len(self._pieces) > 1:
            self._pieces = [pa.concat_arrays(self._pieces)]
        return self._pieces[0]

    def _places(self, codes: pa.Array) -> pa.Array:
        return pc.subtract(codes, pa.scalar(self._first, CODE))

    def forget(self, waiting: pa.ChunkedArray) -> None:
        """Drop the values before all those that waiting drafts or remembered texts refer to."""
        lowest = pc.min(waiting).as_py()
        keep = self._since if lowest is None else min(self._since, lowest)
        if keep > self._first and self._pieces:
            kept = self._values().slice(keep - self._first)
            self._pieces = [kept.take(pa.array(range(len(kept)), CODE))]  # a copy frees the rest
            self._first = keep
            self.leftovers = {code: text for code, text in self.leftovers.items() if code >= keep}


class _Numbers(dict[bytes, int]):
    def __init__(self, first: int) -> None:
        self.next = first
        self.new: list[bytes] = []

    def __missing__(self, text: bytes) -> int:
        number = self[text] = self.next
        self.next += 1
        self.new.append(text)
        return number


class Columns:
    """Makes drafts from records and columns from drafts, for one unit.

    Attributes:
        unmapped: How many drafted rows hold something of this name in ``unmapped``; the names
            are dotted paths.
        derived: How many drafted rows have this column filled in.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._distinct = {
            field.name: Distinct(field) for field in RECORD if pa.types.is_nested(field.type)
        }
        self.draft_schema = pa.schema(
            [
                *(pa.field(f.name, CODE) if f.name in self._distinct else f for f in SCHEMA),
                *KEYS,
            ]
        )
        self.unmapped: Counter[str] = Counter()
        self.derived: Counter[str] = Counter()

    def draft(
        self,
        records: list[Any],
        times: pa.Array,
        leftovers: dict[int, Leftovers],
        derived: dict[int, list[str]],
        keys: list[pa.Array],
    ) -> pa.RecordBatch:
        """Arrange n records as a draft of n rows, in order.

        Args:
            records: `decode.Record`, upgraded.
            times: Their event times, int64 microseconds since 1970, without nulls.
            leftovers: By index: what did not fit, as `decode` found it; nested leftovers join it.
            derived: By index: names of the columns that the upgrade filled in.
            keys: The `KEYS`.
        """
        arrays = []
        # As tuples, which is many times faster than field by field.
        columns = list(zip(*map(astuple, records), strict=True)) or [()] * len(RECORD)
        for field, values in zip(RECORD, columns, strict=True):
            if field.name == "eventTime":
                arrays.append(times.cast(TIMESTAMP))
            elif _are_void(values):
                arrays.append(pa.nulls(len(values), self.draft_schema.field(field.name).type))
            elif field.name in self._distinct:
                arrays.append(self._codes(field.name, values, leftovers))
            else:
                arrays.append(self._redactor.column(field.name, _plain(field, values)))
        arrays.append(self._unmapped(len(records), leftovers))
        arrays.append(self._derived(len(records), derived))
        return pa.RecordBatch.from_arrays([*arrays, *keys], schema=self.draft_schema)

    def _codes(
        self, name: str, values: tuple[Any, ...], leftovers: dict[int, Leftovers]
    ) -> pa.Array:
        distinct, redactor = self._distinct[name], self._redactor
        texts = _texts(values)
        if redactor.concerns(name):
            texts = [text and redactor.members(name, text) for text in texts]
        codes = distinct.numbers(texts)
        if distinct.leftovers:
            for row, code in enumerate(codes):
                if code in distinct.leftovers:
                    leftovers.setdefault(row, []).append((name, distinct.leftovers[code]))
        return pa.array(codes, CODE)

    def _unmapped(self, rows: int, leftovers: dict[int, Leftovers]) -> pa.Array:
        if not leftovers:
            return pa.nulls(rows, pa.string())
        texts: list[bytes | None] = [None] * rows
        for row, parts in leftovers.items():
            kept = sorted(self._redactor.leftovers(parts))  # whichever path found them
            exact = jsontext.compose(kept)
            texts[row] = wrap(exact)
            self.unmapped.update(_names(kept))
            self.unmapped[EXACT_TEXT] += texts[row] is not exact
        return pa.array(texts, pa.string())

    def _derived(self, rows: int, derived: dict[int, list[str]]) -> pa.Array:
        if not derived:
            return pa.nulls(rows, SCHEMA.field("derived").type)
        for names in derived.values():
            self.derived.update(names)
        return pa.array([derived.get(row) for row in range(rows)], SCHEMA.field("derived").type)

    def sort_key(self, drafts: pa.Table, name: str) -> pa.Array:
        """What n drafts have in a leaf, however deep it is: n values."""
        column, *path = name.split(".")
        values = drafts[column].combine_chunks()
        return self._distinct[column].take_member(values, path) if path else values

    def finish(self, drafts: pa.Table) -> pa.Table:
        """Make the columns of the schema from n drafts: n rows, in order."""
        arrays = [
            self._distinct[field.name].take(drafts[field.name].combine_chunks())
            if field.name in self._distinct
            else drafts[field.name]
            for field in SCHEMA
        ]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def forget(self, waiting: Iterable[pa.Table]) -> None:
        """Let go of nested values that none of the waiting drafts refers to."""
        tables = list(waiting)
        for name, distinct in self._distinct.items():
            chunks = [chunk for table in tables for chunk in table[name].chunks]
            distinct.forget(pa.chunked_array(chunks, CODE))


def _plain(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if not is_scalar(field):
        values = _texts(values)
    elif kind(field) == "text-boolean":
        values = [None if text is None else _TEXT_BOOLEANS[text] for text in values]
    return pa.array(values, field.type)


def _are_void(values: tuple[Any, ...]) -> bool:
    """Whether no record has anything in a field; mostly the first one tells."""
    if not values:
        return True
    first = values[0]
    return (first is None or first is ABSENT) and values.count(first) == len(values)


def _texts(values: Iterable[msgspec.Raw]) -> list[bytes | None]:
    """The JSON texts of n values, None for what is null or was not delivered."""
    return [None if value is ABSENT or (text := bytes(value)) == NULL else text for value in values]


def _names(parts: Leftovers) -> list[str]:
    names = []
    for name, text in parts:
        names += _paths(name, _FIELDS.get(name), text)
    return names


def _paths(path: str, field: pa.Field | None, text: bytes) -> list[str]:
    """The dotted names of what a leftover holds, down to where the schema knows no more."""
    if field is None or not pa.types.is_struct(field.type) or text[:1] != b"{":
        return [jsontext.encodable(path)]
    known = {child.name: child for child in field.type}
    return [
        deeper
        for name, value in jsontext.members(text).items()
        for deeper in _paths(f"{path}.{name}", known.get(name), value)
    ]
