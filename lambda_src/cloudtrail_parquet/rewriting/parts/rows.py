"""Rows of a part as they are to be from now on: schema, rules, columns of place."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import unwrap, wrap
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.json_columns import as_texts, file_schema
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.rewriting.parts.upgraded import upgraded
from cloudtrail_parquet.schema.columns import JSON_COLUMNS, SCHEMA, UNMAPPED, JsonEncoding
from cloudtrail_parquet.settings.rules import Discard, Discarder, Redact

_OF_RULES = ("eventSource", "eventName", "sourceIPAddress")
_OF_JSON = {path.partition(".")[0] for path in JSON_COLUMNS}


class Changes(NamedTuple):
    """What is to become of rows.

    Attributes:
        schema: Whether they are of an older schema.
        encoding: How files hold free-form columns from now on.
        discard: Rules for rows that are no longer kept.
        redact: Rules for values that are no longer kept.
        place_columns: Which of account and region are columns from now on.
    """

    schema: bool
    encoding: JsonEncoding
    discard: tuple[Discard, ...]
    redact: tuple[Redact, ...]
    place_columns: tuple[str, ...]


class ChangedRows(NamedTuple):
    """Some rows, changed.

    Attributes:
        table: The rows: of `SCHEMA`, or, if nothing of their JSON is touched, as files hold them;
            then the columns of place.
        in_files: Whether they are as files hold them.
    """

    table: pa.Table
    in_files: bool


class RowChanger:
    """Changes rows, row group by row group.

    Attributes:
        discarded: Rows that rules have discarded, by place and rule.
        redactor: Counts values that rules have removed.
        unmapped: How many more rows hold something under a name in ``unmapped``, or how many less,
            but for what the writer puts there.
        derived: How many more rows have a column filled in, or how many less, by column.
    """

    def __init__(self, changes: Changes) -> None:
        self.discarded: dict[Place, Counter[str]] = {}
        self.redactor = Redactor(changes.redact)
        self.unmapped, self.derived = Counter[str](), Counter[str]()
        self._changes = changes
        self._discarder = Discarder(changes.discard) if changes.discard else None

    def changed(self, table: pa.Table, span: Place, where: str) -> ChangedRows:
        """Change the rows of one row group.

        Args:
            table: The rows as a file holds them.
            span: The account and region of their unit, of which those that are "" are columns.
            where: The part, for errors.

        Raises:
            UsageError, ValueError: See `upgraded`.
        """
        table, changes = self._kept(table.combine_chunks(), span), self._changes
        is_same = not changes.schema and not changes.redact and self._is_encoded(table)
        rows = table.select([name for name in table.column_names if name in SCHEMA.names])
        if not is_same:
            rows, inexact = as_texts(rows)
            self.unmapped.subtract(inexact)
            rows = self._of_schema(rows, _places(table, span), where)
            if changes.redact:
                rows = self._redacted(rows)
        for name in changes.place_columns:
            column = pa.repeat(getattr(span, name), table.num_rows)
            rows = rows.append_column(name, table[name] if name in table.column_names else column)
        return ChangedRows(rows, is_same)

    def _of_schema(self, rows: pa.Table, places: list[Place], where: str) -> pa.Table:
        """Rows of the current schema."""
        if not self._changes.schema:
            return pa.Table.from_arrays([rows[name] for name in SCHEMA.names], schema=SCHEMA)
        rows, again = upgraded(rows, places, self.redactor, where)
        self.unmapped.update(again.unmapped)
        self.derived.update(again.derived)
        return rows

    def _is_encoded(self, table: pa.Table) -> bool:
        """Whether rows are as files are to hold them."""
        wanted = file_schema(self._changes.encoding)
        names = [name for name in table.column_names if name in SCHEMA.names]
        return names == wanted.names and all(
            table.schema.field(name).type == wanted.field(name).type for name in names
        )

    def _kept(self, table: pa.Table, span: Place) -> pa.Table:
        """The rows that no rule discards."""
        if self._discarder is None or not table.num_rows:
            return table
        gone = self._discarder.discarded(*(table[name].to_pylist() for name in _OF_RULES))
        if not gone:
            return table
        for row, rule in gone.items():
            self.discarded.setdefault(_place(table, row, span), Counter())[rule] += 1
        keep = pa.array([row not in gone for row in range(table.num_rows)], pa.bool_())
        return table.filter(keep).combine_chunks()

    def _redacted(self, rows: pa.Table) -> pa.Table:
        columns = [
            self._redacted_column(name, column.combine_chunks()) if name in _OF_JSON else column
            for name, column in zip(rows.column_names, rows.columns, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=rows.schema)

    def _redacted_column(self, name: str, column: pa.Array) -> pa.Array:
        if name == UNMAPPED:
            return pa.array(map(self._redacted_unmapped, column.to_pylist()), pa.string())
        if not pa.types.is_struct(column.type):
            return self.redactor.column(name, column)
        if not self.redactor.concerns(name):
            return column
        members = [
            self.redactor.column(f"{name}.{child.name}", member)
            for child, member in zip(column.type, column.flatten(), strict=True)
        ]
        return pa.StructArray.from_arrays(members, fields=list(column.type), mask=column.is_null())

    def _redacted_unmapped(self, text: str | None) -> str | None:
        if text is None:
            return None
        exact = unwrap(text.encode())
        members = list(jsontext.members(exact).items())
        redacted = self.redactor.unmapped(members)
        return text if redacted == members else wrap(jsontext.compose(redacted)).decode()


def _places(table: pa.Table, span: Place) -> list[Place]:
    values = (
        table[name].to_pylist()
        if name in table.column_names
        else [getattr(span, name)] * table.num_rows
        for name in Place._fields
    )
    return list(map(Place, *values))


def _place(table: pa.Table, row: int, span: Place) -> Place:
    values = (
        table[name][row].as_py() if name in table.column_names else getattr(span, name)
        for name in Place._fields
    )
    return Place(*values)


def places_of(table: pa.Table, span: Place) -> Iterable[tuple[Place, int, int]]:
    """The places of rows that are sorted by place: each with its first row and their number."""
    if not table.num_rows:
        return
    names = [name for name in Place._fields if name in table.column_names]
    if not names:
        yield span, 0, table.num_rows
        return
    changes = pa.array([False] * (table.num_rows - 1), pa.bool_())
    for name in names:
        column = table[name].combine_chunks()
        changes = pc.or_(changes, pc.not_equal(column[1:], column[:-1]))
    firsts = [0, *(row + 1 for row in pc.indices_nonzero(changes).to_pylist())]
    for first, last in zip(firsts, [*firsts[1:], table.num_rows], strict=True):
        yield _place(table, first, span), first, last - first
