"""The order of rows and their row groups, as a conversion arranges them."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.conversion.collate import BORDER_ROWS
from cloudtrail_parquet.dataset.writer import order_by
from cloudtrail_parquet.settings.options import RowOptions

Emit = Callable[[pa.Table], None]


def clustered(table: pa.Table, options: RowOptions) -> pa.Table:
    """The rows of a row group, by place and then as ``sort_by`` says; ties by time."""
    return _taken(table, _clustering(table, _by_time(table, options), options))


class Arranger:
    """Takes rows, place by place and about in the order of time, and emits row groups.

    As `conversion.collate` does: row groups are slices of time of one place, or some small places,
    and where rows name their account one ends at its border from some rows on. No more than a row
    group and a quarter is held.
    """

    def __init__(self, options: RowOptions, emit: Emit) -> None:
        self._options, self._emit = options, emit
        self._enough_rows = options.group_rows * 5 // 4
        self._enough_bytes = options.group_bytes * 5 // 4
        self._waiting: list[pa.Table] = []
        self._last: str | None = None

    def add(self, table: pa.Table) -> None:
        """Take rows."""
        for account, rows in self._by_account(table):
            if account != self._last and self._rows >= BORDER_ROWS:
                self.finish()
            self._last = account
            self._waiting.append(rows)
            while self._is_enough():
                self._emit_first()

    def finish(self) -> None:
        """Emit all rows that still wait."""
        while self._rows:
            self._emit_first()

    @property
    def _rows(self) -> int:
        return sum(table.num_rows for table in self._waiting)

    def _is_enough(self) -> bool:
        rows = self._rows
        size = sum(table.nbytes for table in self._waiting)
        return rows >= self._enough_rows or (rows > 0 and size >= self._enough_bytes)

    def _by_account(self, table: pa.Table) -> list[tuple[str | None, pa.Table]]:
        if not self._options.place_columns:
            return [(None, table)]
        names = table[self._options.place_columns[0]].combine_chunks()
        return [
            (name, table.filter(pc.equal(names, name)))
            for name in sorted(names.unique().to_pylist())
        ]

    def _emit_first(self) -> None:
        """Emit the first waiting rows, by place and time, as one row group."""
        table = pa.concat_tables(self._waiting).combine_chunks()
        order = _by_time(table, self._options)
        rows = min(table.num_rows, self._options.group_rows)
        group = self._first(table, order, rows)
        while group.nbytes > self._options.group_bytes and rows > 1:
            rows = max(1, min(rows - 1, rows * self._options.group_bytes // group.nbytes))
            group = self._first(table, order, rows)
        self._emit(group)
        rest = order[rows:]
        self._waiting = [table.take(rest)] if len(rest) else []  # a copy frees the others

    def _first(self, table: pa.Table, order: pa.Array, rows: int) -> pa.Table:
        return _taken(table, _clustering(table, order[:rows], self._options))


def _by_time(table: pa.Table, options: RowOptions) -> pa.Array:
    """The indexes of rows by place and then by time."""
    return order_by(_keys(table, [*options.place_columns, "eventTime"]))


def _clustering(table: pa.Table, order: pa.Array, options: RowOptions) -> pa.Array:
    """Indexes of rows that are in order of time, by place and then as ``sort_by`` says."""
    if not options.sort_by:
        return order
    keys = _keys(table, [*options.place_columns, *options.sort_by])
    return order.take(order_by(keys.take(order)))


def _taken(table: pa.Table, order: pa.Array) -> pa.Table:
    """Some rows of a table, in an order."""
    if order.equals(pa.arange(0, table.num_rows).cast(order.type)):
        return table.combine_chunks()
    return table.take(order).combine_chunks()


def _keys(table: pa.Table, names: list[str]) -> pa.Table:
    return pa.table([_leaf(table, name) for name in names], names=names)


def _leaf(table: pa.Table, name: str) -> pa.Array:
    column, *members = name.split(".")
    values = table[column].combine_chunks()
    return pc.struct_field(values, members) if members else values
