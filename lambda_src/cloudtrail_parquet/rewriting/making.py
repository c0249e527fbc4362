"""What is made of some units for another dataset: rows, parts and receipts, none published yet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import uuid4

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cloudtrail_parquet.contract import PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import WHOLE, Place, Unit, fits, shard_of, span_of, unit_of
from cloudtrail_parquet.rewriting.composed import (
    Composed,
    as_one,
    as_one_of_many,
    merged_identities,
    places_in,
)
from cloudtrail_parquet.rewriting.parts.files import ReadPart, read_part
from cloudtrail_parquet.rewriting.parts.outlets import Shape, UnitOutlet
from cloudtrail_parquet.rewriting.parts.rows import ChangedRows, RowChanger, places_of
from cloudtrail_parquet.rewriting.receipts import as_changed, differing
from cloudtrail_parquet.rewriting.standing import Standing
from cloudtrail_parquet.rewriting.wanted import wanted_of
from cloudtrail_parquet.schema.columns import SCHEMA
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.figures import Expired, Part, Rewritten, added, commonest
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.notes import known_identities
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Staging, Stores
from cloudtrail_parquet.version import __version__
from cloudtrail_parquet.wording import counted


class Making:
    """What is made of some units: one that spans all of them, or many of a single one.

    Attributes:
        targets: The units that are made, sorted.
        wanted: What their parts are to be like.
        runs: The runs that wrote the parts of which they are made.
    """

    def __init__(
        self,
        whole: Unit,
        standings: Sequence[Standing],
        source: Stores,
        before: PartitionLayout,
        settings: Settings,
    ) -> None:
        self._whole, self._standings, self._source = whole, standings, source
        self._receipts = [standing.receipt for standing in standings]
        self.wanted = wanted_of(_together(self._receipts), settings)
        self.runs = [receipt.run for receipt in self._receipts]
        self._before, self._after = before, self.wanted.options.dataset.layout
        self._is_one = fits(whole, self._after)
        self.targets = [whole] if self._is_one else self._parts_of(whole)
        self._changers: dict[str, RowChanger] = {}
        self._outlets: dict[Unit, UnitOutlet] = {}
        self._last: UnitOutlet | None = None

    def _parts_of(self, whole: Unit) -> list[Unit]:
        places = (place for receipt in self._receipts for place in places_in(receipt))
        return sorted({Unit(*span_of(place, self._after), whole.day) for place in places})

    @contextmanager
    def outlets(self, staging: Staging) -> Iterator[None]:
        """A context in which rows can be read; what is open at its end is closed."""
        fingerprint = as_one(self._whole, self._receipts).receipt.source_fingerprint
        for target in self.targets:
            known = fingerprint if self._is_one else ""
            shape = self._shape()
            self._outlets[target] = UnitOutlet(target, staging, self.wanted, shape, known)
        try:
            yield
        finally:
            for outlet in self._outlets.values():
                outlet.abandon()

    def _shape(self) -> Shape:
        is_other = PLACE_COLUMNS[self._before] != PLACE_COLUMNS[self._after]
        has_more = any(
            receipt.additions or any(shard_of(part.key) != WHOLE for part in receipt.parts)
            for receipt in self._receipts
        )
        regroups = any(self.wanted.regroups(receipt.settings) for receipt in self._receipts)
        sorts = any(self.wanted.sorts(receipt.settings) for receipt in self._receipts)
        return Shape(regroups=is_other or has_more or regroups, sorts=sorts)

    def read(self) -> None:
        """Read all parts, and stage those that are made of them.

        Raises:
            PartitionsChangedError: A part is another one by now.
            StorageError: A part is damaged, or has other rows than its receipt says.
            UsageError: A part is gone, or its receipt does not tell of its rows' places.
        """
        for standing in self._standings:
            days = {part.key: (unit_of(part.key) or standing.unit).day for part in standing.parts}
            own_first = sorted(standing.parts, key=lambda part: days[part.key] != self._whole.day)
            for part in own_first:
                self._read(standing, part, days[part.key])
        for outlet in self._outlets.values():
            outlet.pause()

    def _read(self, standing: Standing, part: Part, day: date) -> None:
        entry, dataset = standing.state_of(part), self._source.dataset
        if entry is None:
            return
        with read_part(dataset, entry) as file, readable(dataset, part.key):
            rows = file.file.metadata.num_rows
            if rows != part.rows:
                what = f"the part has {counted(rows, 'row')} in place of {part.rows:,}"
                raise StorageError(what, file.where, "Convert its day again, if the logs are there")
            self._take(standing, file, day)
        if day != self._whole.day and not self._shape().regroups:
            for outlet in self._outlets.values():
                outlet.pause(day)  # each was written by itself

    def _take(self, standing: Standing, file: ReadPart, day: date) -> None:
        changes = self.wanted.changes(file.schema_version, file.settings)
        if not self._is_one:
            changes = changes._replace(place_columns=PLACE_COLUMNS[self._before])
        changer = self._changers[file.key] = RowChanger(changes)
        for group in file.row_groups():
            rows = changer.changed(group, standing.unit.span, file.where)
            if self._is_one:
                self._outlets[self._whole].take(day, rows)
            else:
                self._divide(rows, standing.unit.span, day)

    def _divide(self, rows: ChangedRows, span: Place, day: date) -> None:
        """Give rows to the units of their places, of which one is open at a time."""
        names = [*SCHEMA.names, *PLACE_COLUMNS[self._after]]
        for place, first, number in places_of(rows.table, span):
            target = Unit(*span_of(place, self._after), self._whole.day)
            outlet = self._outlets.get(target)
            if outlet is None:
                what = f"its receipt does not tell of {place.account} {place.region}"
                raise UsageError(what, self._whole.name, "Convert it again")
            if self._last not in {None, outlet} and self._last is not None:
                self._last.pause()
            self._last = outlet
            table = rows.table.slice(first, number).select(names).combine_chunks()
            outlet.take(day, rows._replace(table=table))

    def receipts(self) -> Iterator[tuple[Receipt, Identities | None]]:
        """The receipts of all targets, with the identities of their log files if they are known."""
        changed = [self._changed(standing) for standing in self._standings]
        for target in self.targets:
            outlet, identities = self._outlets[target], None
            if self._is_one:
                composed, identities = as_one(target, changed), self._identities(target)
            else:
                composed = as_one_of_many(target, changed[0], outlet.stragglers)
            receipt = self._finished(composed, outlet)
            few = b"" if identities is None else identities.few
            yield replace(receipt, identities=few), identities

    def _changed(self, standing: Standing) -> Receipt:
        own, stragglers = list[RowChanger](), list[RowChanger]()
        for part in standing.parts:
            if (changer := self._changers.get(part.key)) is not None:
                (own if unit_of(part.key) == standing.unit else stragglers).append(changer)
        return as_changed(standing.receipt, self.wanted, own, stragglers, {})

    def _identities(self, target: Unit) -> Identities | None:
        state = self._source.state
        known = {
            standing.unit: known_identities(state, standing.unit, standing.notes)
            for standing in self._standings
        }
        return merged_identities(target, known)

    def _finished(self, composed: Composed, outlet: UnitOutlet) -> Receipt:
        receipt, parts = composed.receipt, outlet.all_parts
        before = self._receipts[0].settings
        rewritten = Rewritten(
            at=self._source.now(),
            dataset=self._source.dataset.uri,
            runs=self.runs,
            schema_version=min(receipt.schema_version for receipt in self._receipts),
            settings=differing(before, self.wanted.shaping),
            unknown=composed.unknown,
        )
        receipt = replace(
            receipt,
            parts=parts,
            bytes_out=sum(part.bytes for part in parts),
            expired=receipt.expired if self._is_one else _expired(receipt, outlet),
            unmapped=commonest(added([receipt.unmapped, outlet.inexact])),
            additions=0,
            run=uuid4().hex,
            converter=__version__,
            rewritten=rewritten,
        )
        receipt.records.check(receipt.unit.name)
        return receipt


def _expired(receipt: Receipt, outlet: UnitOutlet) -> Expired | UnsetType:
    """What of a part of a unit is no longer kept: the rows that it had, and that are not there."""
    if receipt.expired is UNSET:
        return UNSET
    there = sum(part.rows for part in outlet.all_parts)
    gone = receipt.records.written + receipt.records.straggled - there
    return replace(receipt.expired, rows=gone) if gone or receipt.expired.is_own else UNSET


def _together(receipts: Sequence[Receipt]) -> Mapping[str, Any]:
    """The settings of some receipts: rules of all of them, and else those of the first."""
    settings = dict(receipts[0].settings)
    for name in ("discard", "redact"):
        rules = [rule for receipt in receipts for rule in receipt.settings.get(name, [])]
        settings[name] = [rule for number, rule in enumerate(rules) if rule not in rules[:number]]
    return settings
