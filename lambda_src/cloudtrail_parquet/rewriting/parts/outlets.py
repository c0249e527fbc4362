"""The parts of a unit that is made of others' parts, as their rows come."""

from collections import Counter
from datetime import date

import pyarrow as pa

from cloudtrail_parquet.dataset.parts import footer_values
from cloudtrail_parquet.dataset.writer import PartsWriter
from cloudtrail_parquet.layout import Unit, part_key, straggler_key
from cloudtrail_parquet.rewriting.parts.arrange import Arranger, clustered
from cloudtrail_parquet.rewriting.parts.rows import ChangedRows
from cloudtrail_parquet.rewriting.wanted import Wanted
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.storage import Staging


class Shape:
    """How rows come, and how they go on.

    Attributes:
        regroups: Whether row groups are made anew.
        sorts: Whether the rows of each row group are put into another order.
    """

    def __init__(self, *, regroups: bool, sorts: bool) -> None:
        self.regroups, self.sorts = regroups, sorts


class _Outlet:
    """Parts of one owner in one partition."""

    def __init__(self, writer: PartsWriter, wanted: Wanted, shape: Shape) -> None:
        self._writer, self._options, self._shape = writer, wanted.options.rows, shape
        self._is_as_is = False
        self._arranger = Arranger(self._options, self._write)

    def take(self, rows: ChangedRows) -> None:
        if not rows.table.num_rows:
            return
        if rows.in_files != self._is_as_is:  # a part of another schema or encoding
            self._arranger.finish()
        self._is_as_is = rows.in_files
        if self._shape.regroups:
            self._arranger.add(rows.table)
        elif self._shape.sorts:
            self._write(clustered(rows.table, self._options))
        else:
            self._write(rows.table)

    def close(self) -> list[Part]:
        with self._writer:
            self._arranger.finish()
        return self._writer.parts

    @property
    def inexact(self) -> Counter[str]:
        return self._writer.inexact

    def abandon(self) -> None:
        self._writer.__exit__(ValueError, None)

    def _write(self, table: pa.Table) -> None:
        if self._is_as_is:
            self._writer.write_as_is(table)
        else:
            self._writer.write(table)


class UnitOutlet:
    """The parts of one unit, in its own partition and in others'.

    Attributes:
        parts: The parts that are done, by the day of the partition.
        inexact: Rows of which ``unmapped`` keeps an exact text, by name.
    """

    def __init__(
        self, unit: Unit, staging: Staging, wanted: Wanted, shape: Shape, fingerprint: str
    ) -> None:
        self.unit = unit
        self.parts: dict[date, list[Part]] = {}
        self.inexact = Counter[str]()
        self._staging, self._wanted, self._shape = staging, wanted, shape
        self._footer = footer_values(unit.name, fingerprint, wanted.shaping_json)
        self._open: dict[date, _Outlet] = {}

    def take(self, day: date, rows: ChangedRows) -> None:
        """Take rows of the partition of a day."""
        if day not in self._open:
            self._open[day] = _Outlet(self._writer(day), self._wanted, self._shape)
        self._open[day].take(rows)

    def pause(self, day: date | None = None) -> None:
        """Finish the parts that are open; of one day, or of all."""
        for each in [day] if day else list(self._open):
            if outlet := self._open.pop(each, None):
                self.parts.setdefault(each, []).extend(outlet.close())
                self.inexact += outlet.inexact

    def abandon(self) -> None:
        """Close what is open, whatever is in it."""
        for outlet in self._open.values():
            outlet.abandon()

    @property
    def all_parts(self) -> list[Part]:
        """All parts that are done: those of the own partition, then those of others."""
        own = self.parts.get(self.unit.day, [])
        others = (self.parts[day] for day in sorted(self.parts) if day != self.unit.day)
        return [*own, *(part for parts in others for part in parts)]

    @property
    def stragglers(self) -> dict[str, int]:
        """The rows in others' partitions, by day."""
        return {
            str(day): sum(part.rows for part in parts)
            for day, parts in sorted(self.parts.items())
            if day != self.unit.day and parts
        }

    def _writer(self, day: date) -> PartsWriter:
        first, layout = len(self.parts.get(day, [])), self._wanted.options.dataset.layout
        target, owner = self.unit.on(day), self.unit.day

        def key(number: int) -> str:
            if day == owner:
                return part_key(target, first + number, layout)
            return straggler_key(target, owner, first + number, layout)

        return PartsWriter(self._staging, self._wanted.options.writer, self._footer, key)
