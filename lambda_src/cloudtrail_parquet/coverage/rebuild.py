"""Receipts made again from the parts, where they were lost or cannot be read.

What was published says which rows there are, what they were made of and how; what only log files
can give stays unknown, and the receipt says so: `Receipt.rebuilt`. Nothing of the dataset is
touched. A receipt that can be read is never replaced, nor one of a unit that a run is replacing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import pyarrow.parquet as pq
from msgspec.structs import astuple

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.dataset.parts import footer_value, parts_in, place_columns, readable
from cloudtrail_parquet.dataset.properties import DatasetProperties, layout_of, record_again
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.layout import WHOLE, Place, SplitId, Unit, owner_of, shard_of, unit_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.state.figures import Part, PlaceFigures, Records, by_place
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.notes import read_notes, unfinished
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of, to_text
from cloudtrail_parquet.storage import Entry, ReadStore, Stores
from cloudtrail_parquet.wording import counted, plural_of

_AT_A_TIME = 16
_NAMED = 20


@dataclass
class Rebuilt:
    """What became of the receipts of all units that have parts.

    Attributes:
        made: How many were made again.
        there: How many were there, or are being replaced.
        left: The units without a receipt for which none could be made, and why.
        properties: Whether the properties of the dataset were recorded again.
    """

    made: int = 0
    there: int = 0
    left: list[tuple[Unit, str]] = field(default_factory=list)
    properties: bool = False

    def lines(self) -> Iterator[str]:
        """The same in words."""
        if self.properties:
            yield "recorded again: the properties of the dataset"
        yield f"receipts made again: {self.made:,}; there already: {self.there:,}"
        for unit, why in self.left[:_NAMED]:
            yield f"no receipt made: {unit.name}: {why}; convert it again"
        if (more := len(self.left) - _NAMED) > 0:
            yield f"no receipt made: {counted(more, 'more unit')}"


class _PartFacts(NamedTuple):
    """What a part tells.

    Attributes:
        entry: Its object.
        rows: Its rows by place; by that of the unit if its rows do not name theirs.
        metadata: What its footer says about its origin.
    """

    entry: Entry
    rows: Counter[Place]
    schema_version: int
    fingerprint: str
    converter: str
    settings: str


def rebuild(
    stores: Stores,
    lease: LeaseOptions,
    margin_s: int,
    tell: Callable[[int, int], object] = lambda _size, _units: None,
) -> Rebuilt:
    """Make the receipts of all units that have parts and no receipt, and the dataset's properties.

    Each is written under the lease of the unit's partition, so no run publishes meanwhile.

    Args:
        stores: With the dataset and the state.
        lease: How leases are held.
        margin_s: Seconds after its window until a day is settled.
        tell: Receives the bytes of parts that were looked at since it was called last, and the
            number of units.

    Raises:
        StorageError: A store does not answer.
        UsageError: The dataset has no parts whose properties are known.
    """
    done, found = Rebuilt(), set[DatasetProperties]()
    layout = layout_of(stores)
    marks, open_units = Marks(stores.state, stores.clock), frozenset(unfinished(stores.state))
    maker = _Maker(stores, lease, margin_s, layout, open_units, marks)
    units = _units_with_parts(stores.dataset)
    for unit, parts, why in ahead(stores.state, maker.make, units, _AT_A_TIME):
        tell(sum(part.entry.size for part in parts), 1)
        found.update(filter(None, (_properties(part.settings) for part in parts)))
        if why is None:
            done.there += 1
        elif why:
            done.left.append((unit, why))
        else:
            done.made += 1
    done.properties = record_again(stores, found, lease)
    return done


def _units_with_parts(dataset: ReadStore) -> Iterator[tuple[Unit, list[Entry]]]:
    """The units that own parts, span by span, each with its parts in all partitions."""
    entries = ((unit_of(entry.key), entry) for entry in dataset.files(""))
    ours = ((unit.span, unit, entry) for unit, entry in entries if unit is not None)
    for _, some in groupby(ours, itemgetter(0)):
        owned = defaultdict[Unit, list[Entry]](list)
        for _, unit, entry in some:
            owner = owner_of(entry.key, unit.day)
            if owner is not None:
                owned[unit.on(owner.day)].append(entry)
        yield from sorted(owned.items())


class _Maker(NamedTuple):
    """Makes receipts; see `rebuild`."""

    stores: Stores
    lease: LeaseOptions
    margin_s: int
    layout: PartitionLayout
    open_units: frozenset[Unit]
    marks: Marks

    def make(self, owned: tuple[Unit, list[Entry]]) -> tuple[Unit, list[_PartFacts], str | None]:
        """Make the receipt of a unit, unless there is one.

        Returns:
            The unit; what its parts tell, if they were read; and why no receipt was made: empty if
            one was, None if there was one already.
        """
        unit, entries = owned
        state, key = self.stores.state, StateKeys.of(unit).receipt
        if unit in self.open_units or self._has_receipt(unit):
            return unit, [], None
        try:
            wait_s, expires_s = self.lease
            with state.lease(partition_lease(unit), wait_s, expires_s) as held:
                notes = read_notes(state, unit)
                if notes.receipt is not None or notes.intent_version is not None:
                    return unit, [], None
                entries = self._as_they_are(unit, entries)
                if why := _is_mixed({shard_of(entry.key).split for entry in entries}, entries):
                    return unit, [], why
                parts = [_read(self.stores.dataset, entry) for entry in entries]
                if not parts:
                    return unit, [], "its parts were removed meanwhile"
                self.marks.mark(unit.day)
                held.confirm()
                state.swap(key, to_text(self._receipt(unit, parts)), notes.receipt_version)
        except (StorageError, LeaseTimeoutError) as error:
            return unit, [], error.what
        return unit, parts, ""

    def _has_receipt(self, unit: Unit) -> bool:
        notes = read_notes(self.stores.state, unit)
        return notes.receipt is not None or notes.intent_version is not None

    def _as_they_are(self, unit: Unit, entries: list[Entry]) -> list[Entry]:
        """The parts of a unit, of which those in its own partition may have changed."""
        own = [
            entry
            for entry in parts_in(self.stores.dataset, unit, self.layout)
            if (owner := owner_of(entry.key, unit.day)) is not None and owner.day == unit.day
        ]
        return own + [entry for entry in entries if unit_of(entry.key) != unit]

    def _receipt(self, unit: Unit, parts: list[_PartFacts]) -> Receipt:
        rows, days = defaultdict[Place, list[int]](lambda: [0, 0]), Counter[str]()
        for part in parts:
            day = (unit_of(part.entry.key) or unit).day
            for place, count in part.rows.items():
                rows[place][day != unit.day] += count
            if day != unit.day:
                days[str(day)] += part.rows.total()
        settings = {part.settings for part in parts}
        (only,) = settings if len(settings) == 1 else ("",)
        made = _properties(only) or next(filter(None, map(_properties, sorted(settings))), None)
        window = Window(made.lookbehind_s, made.lookahead_s) if made else Window(0, 0)
        fingerprints = {part.fingerprint for part in parts}
        last = max(part.entry.modified for part in parts)
        written, straggled = (sum(some) for some in zip(*rows.values(), strict=True))
        return receipt_of(
            unit,
            Made(
                converted_at=last.replace(microsecond=0),
                schema_version=min(part.schema_version for part in parts),
                lookbehind_s=window.lookbehind_s,
                lookahead_s=window.lookahead_s,
                folders=tuple(sorted(made.folders)) if made else (),
                source_fingerprint=fingerprints.pop() if len(fingerprints) == 1 else "",
                settings=_json_object(only),
                converter=max(part.converter for part in parts),
            ),
            Read(),
            Rows(
                records=_records(written, straggled),
                stragglers=dict(sorted(days.items())),
                places=by_place(
                    {
                        place: PlaceFigures("read", records=astuple(_records(*counts)))
                        for place, counts in rows.items()
                    }
                ),
            ),
            [
                Part(key=part.entry.key, rows=part.rows.total(), bytes=part.entry.size)
                for part in parts
            ],
            is_complete=True,
            settled=window.has_passed(unit.day, last, self.margin_s),
            rebuilt=True,
        )


def _records(written: int, straggled: int) -> Records:
    return Records(read=written + straggled, written=written, straggled=straggled)


def _is_mixed(splits: set[SplitId], entries: Iterable[Entry]) -> str:
    """Why some parts may not be all of a unit, or more than all; empty if they are one whole."""
    if len(splits) > 1:
        return "it has parts of several splits"
    shards = {shard_of(entry.key) for entry in entries}
    lack = max((shard.of for shard in shards), default=1) - len(shards)
    if shards - {WHOLE} and lack > 0:
        return f"{counted(lack, 'shard')} of it {plural_of(lack, 'has', 'have')} no part"
    return ""


def _read(dataset: ReadStore, entry: Entry) -> _PartFacts:
    """What a part tells; its rows are read only where they name their places."""
    with readable(dataset, entry.key), dataset.open(entry.key) as file:
        part = pq.ParquetFile(file)
        footer, columns = part.metadata, place_columns(part.metadata)
        unit, rows = unit_of(entry.key), Counter[Place]()
        span = unit.span if unit else Place("", "")
        if columns and footer.num_rows:
            counts = part.read(columns=columns).group_by(columns).aggregate([([], "count_all")])
            for row in counts.to_pylist():
                place = Place(row.get("account", span.account), row.get("region", span.region))
                rows[place] += row["count_all"]
        else:
            rows[span] += footer.num_rows
        return _PartFacts(
            entry,
            rows,
            int(footer_value(footer, "schema_version") or 0),
            footer_value(footer, "source_fingerprint"),
            footer_value(footer, "converter"),
            footer_value(footer, "settings"),
        )


def _properties(settings: str) -> DatasetProperties | None:
    try:
        return msgspec.json.decode(settings, type=DatasetProperties)
    except msgspec.DecodeError:
        return None


def _json_object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
