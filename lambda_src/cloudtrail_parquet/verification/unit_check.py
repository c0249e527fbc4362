"""The verification of one unit: state, partition and source, one after the other."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.state.notes import Notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.verification.delivered import (
    Delivered,
    LateRecord,
    Reading,
    take,
)
from cloudtrail_parquet.verification.findings import Amounts, Finding, Kind
from cloudtrail_parquet.verification.logs import Bounds, Delivery, LogTree, different, records_in
from cloudtrail_parquet.verification.partitions import (
    LateRow,
    PartitionReader,
    PartitionScan,
    ids_of,
)
from cloudtrail_parquet.verification.receipts import (
    DatasetFacts,
    StateReader,
    rows_removed,
    rules_of,
    sums,
    written_by_place,
)
from cloudtrail_parquet.verification.rules import Discards, Masks
from cloudtrail_parquet.verification.tables import Comparison, Ref, compare, repeated
from cloudtrail_parquet.verification.values import id_of
from cloudtrail_parquet.wording import counted

_TRIES = 3  # a run may publish while its unit is looked at


@dataclass
class UnitResult:
    """What came of a unit.

    Attributes:
        unit: The unit.
        findings: What was found.
        amounts: How much was looked at.
        late_rows: Rows of its partition that other units own.
        late_records: Stragglers that it owns, in other partitions.
        excused: How many rows of straggler parts may be without a record.
    """

    unit: Unit
    findings: list[Finding] = field(default_factory=list)
    amounts: Amounts = field(default_factory=Amounts)
    late_rows: list[LateRow] = field(default_factory=list)
    late_records: list[LateRecord] = field(default_factory=list)
    excused: int = 0


@dataclass
class Inspector:
    """Verifies units, one by one.

    Attributes:
        dataset: The parts.
        receipts: What the state says.
        properties: What is the same for all of the dataset.
        masks: Mask what any of the units redacts.
        tree: The log files; None to verify parts and receipts alone.
        holds: Whether a place is looked at.
    """

    dataset: ReadStore
    receipts: StateReader
    properties: DatasetFacts
    masks: Masks
    tree: LogTree | None
    holds: Callable[[str, str], bool]

    def __post_init__(self) -> None:
        layout, masks = self.properties.layout, self.masks
        self.partitions = PartitionReader(self.dataset, self.receipts, layout, masks, self.holds)

    def verify(self, unit: Unit) -> UnitResult:
        """Verify a unit, again if it was converted meanwhile."""
        result = UnitResult(unit)
        for _ in range(_TRIES):
            notes, result = self.receipts.of(unit), UnitResult(unit)
            result.findings.extend(self._verify(unit, notes, result))
            is_faulty = any(finding.is_fault for finding in result.findings)
            if not is_faulty or self.receipts.of(unit).versions == notes.versions:
                break
        return result

    def _verify(self, unit: Unit, notes: Notes[Receipt], result: UnitResult) -> Iterator[Finding]:
        own, receipt = self.partitions.entries(unit), notes.receipt
        if self.receipts.is_open(unit, notes):
            what = "a run has begun to replace it, and has not ended"
            yield Finding(kind=Kind.UNFINISHED, unit=unit.name, what=what)
            return
        if receipt is None and notes.receipt_version is not None:
            what = "its receipt cannot be read, or is that of another unit"
            yield Finding(kind=Kind.RECEIPT_FALSE, unit=unit.name, what=what)
        if receipt is not None:
            yield from _of_receipt(receipt)
            yield from self.partitions.missing(unit, receipt, own)
        scan = PartitionScan()
        yield from self.partitions.scan(unit, receipt, own, scan)
        if receipt is not None and not scan.damaged:
            yield from self._rows_by_place(receipt, scan)
        scan.amounts.units = int(receipt is not None or bool(own))
        result.amounts.add(scan.amounts)
        result.late_rows = scan.late
        if receipt is None and notes.receipt_version is None and scan.own:
            what = f"it has {counted(len(scan.own), 'part')} and no receipt"
            yield Finding(kind=Kind.RECEIPT_MISSING, unit=unit.name, what=what)
        if self.tree is None or (receipt is None and not scan.own):
            yield from self._repeated(unit, scan, receipt)
            if self.tree is not None:
                yield from self._not_converted(unit, self.tree)
            return
        if receipt is None or not receipt.is_expired:
            yield from self._against_source(unit, notes, scan, result, self.tree)

    def _rows_by_place(self, receipt: Receipt, scan: PartitionScan) -> Iterator[Finding]:
        """What a receipt says of the rows of places, otherwise than parts with as many rows."""
        told = {
            place: rows for place, rows in written_by_place(receipt).items() if self.holds(*place)
        }
        there = scan.own_rows
        if receipt.is_expired or sum(told.values()) != there.total():
            return  # what is said of the parts tells that
        for place in sorted(told.keys() | there.keys()):
            said = told.get(place, 0)
            if said != there[place]:
                what = f"it says {counted(said, 'row')} of {' '.join(place)}"
                what += f"; its parts have {there[place]:,}"
                yield Finding(kind=Kind.RECEIPT_FALSE, unit=receipt.unit.name, what=what)

    def _repeated(
        self, unit: Unit, scan: PartitionScan, receipt: Receipt | None
    ) -> Iterator[Finding]:
        """Rows that are there twice, beyond the receipt's conflicts, which may come back alike."""
        again = repeated(scan.rows.table())
        if len(again) > (receipt.conflicts if receipt else 0):
            yield from self._about_rows(Kind.ROW_REPEATED, unit, scan, again, _REPEATED)

    def _not_converted(self, unit: Unit, tree: LogTree) -> Iterator[Finding]:
        files = [file for file in tree.files(unit, self.properties.bounds) if _is_of(file, unit)]
        if files:
            what = f"{counted(len(files), 'log file')} in its window, no receipt"
            yield Finding(kind=Kind.PENDING, unit=unit.name, what=what, count=len(files))

    def _against_source(
        self,
        unit: Unit,
        notes: Notes[Receipt],
        scan: PartitionScan,
        result: UnitResult,
        tree: LogTree,
    ) -> Iterator[Finding]:
        receipt, bounds = notes.receipt, self.properties.bounds
        if receipt is not None:
            bounds = Bounds(receipt.lookbehind_s, receipt.lookahead_s)
        reading = Reading(
            unit,
            receipt,
            self.receipts.identities(unit, notes) if receipt else None,
            bounds,
            Discards(rules_of(receipt.settings, "discard") if receipt else ()),
            self.masks,
            self.holds,
        )
        taken = Delivered()
        yield from take(tree, reading, taken)
        result.amounts.add(taken.amounts)
        result.late_records = taken.late
        compared = compare(scan.rows.table(), taken.records.table())
        again = list(_beyond(compared, taken, tree))
        yield from self._about_rows(Kind.ROW_REPEATED, unit, scan, again, _REPEATED)
        late = {(row.part, row.row) for row in scan.late}
        unknown = {(scan.keys[ref.number], ref.position) for ref in compared.unvouched}
        result.late_rows = [row for row in scan.late if (row.part, row.row) in unknown & late]
        yield from self._differences(unit, scan, taken, compared, result, tree)
        if receipt is not None and taken.is_whole and not (receipt.kept or receipt.rebuilt):
            yield from _counts(receipt, taken)

    def _differences(  # noqa: PLR0913, PLR0917
        self,
        unit: Unit,
        scan: PartitionScan,
        taken: Delivered,
        compared: Comparison,
        result: UnitResult,
        tree: LogTree,
    ) -> Iterator[Finding]:
        own = [ref for ref in compared.unvouched if ref.number in scan.own]
        discarded = [ref for ref in compared.discarded if ref.number in scan.own]
        yield from self._about_rows(Kind.NOT_DISCARDED, unit, scan, discarded, _DISCARDED)
        ids = self._ids(scan, own)
        by_id = {event_id: ref for ref, event_id in ids.items() if event_id}
        altered = set[Ref]()
        for finding in _missing(unit, taken, compared.missing, tree, damaged=scan.damaged):
            ref = by_id.get(finding.event_id)
            if ref is None:
                yield finding
                continue
            altered.add(ref)
            yield msgspec.structs.replace(
                finding,
                kind=Kind.RECORD_ALTERED,
                what="the row is not what its log file has",
                part=scan.keys[ref.number],
                row=ref.position,
            )
        rest = [ref for ref in own if ref not in altered]
        if len(rest) <= taken.excused:
            result.excused = taken.excused - len(rest)
            return
        for ref in rest:
            yield Finding(
                kind=Kind.ROW_UNVOUCHED,
                unit=unit.name,
                what=_UNVOUCHED,
                part=scan.keys[ref.number],
                row=ref.position,
                event_id=ids[ref],
            )

    def _about_rows(
        self, kind: Kind, unit: Unit, scan: PartitionScan, found: list[Ref], what: str
    ) -> Iterator[Finding]:
        for ref, event_id in self._ids(scan, found).items():
            part = scan.keys[ref.number]
            yield Finding(
                kind=kind, unit=unit.name, what=what, part=part, row=ref.position, event_id=event_id
            )

    def _ids(self, scan: PartitionScan, found: list[Ref]) -> dict[Ref, str]:
        ids = {
            number: ids_of(self.dataset, scan.keys[number]) for number in {r.number for r in found}
        }
        return {ref: ids[ref.number][ref.position].as_py() or "" for ref in found}


_REPEATED = "the same record stands before it"
_DISCARDED = "a rule of its settings discards its record"
_UNVOUCHED = "no log file of its window has its record"


def _of_receipt(receipt: Receipt) -> Iterator[Finding]:
    """What is to be said of a receipt alone."""
    unit = receipt.unit
    for what in sums(receipt):
        yield Finding(kind=Kind.RECEIPT_FALSE, unit=unit.name, what=what)
    if removed := rows_removed(receipt):
        what = f"{counted(removed, 'row')} of days that are too old have been removed"
        yield Finding(kind=Kind.REMOVED, unit=unit.name, what=what, count=removed)
    if receipt.rebuilt:
        what = "it was made again from the parts, and does not tell what was read"
        yield Finding(kind=Kind.REBUILT, unit=unit.name, what=what)


def _is_of(file: Delivery, unit: Unit) -> bool:
    return file.delivered.date() == unit.day


def _beyond(compared: Comparison, taken: Delivered, tree: LogTree) -> Iterator[Ref]:
    """The rows that repeat others, beyond the records that differ only in what does not come back.

    Two that differ in a null, for example, are two rows that are alike.
    """
    groups = groupby(compared.repeated, key=lambda one: one[1])
    for records, rows in groups:
        allowed = different(tree, taken.files, records) - 1
        yield from sorted(ref for ref, _ in rows)[max(0, allowed) :]


def _missing(
    unit: Unit, taken: Delivered, missing: list[Ref], tree: LogTree, *, damaged: bool
) -> Iterator[Finding]:
    """The records that have no row; of a unit with a damaged part, how many."""
    if damaged and missing:
        what = f"{counted(len(missing), 'record')} of its log files are in no part that can be read"
        yield Finding(kind=Kind.RECORD_MISSING, unit=unit.name, what=what, count=len(missing))
        return
    by_file = defaultdict[int, set[int]](set)
    for ref in missing:
        by_file[ref.number].add(ref.position)
    for number, positions in sorted(by_file.items()):
        file = taken.files[number]
        records = records_in(tree, file, positions)
        for position in sorted(positions):
            place = Place(file.place.account, file.place.region)
            yield Finding(
                kind=Kind.RECORD_MISSING,
                unit=unit.name,
                what=f"it is not in the partition of its day ({' '.join(place)})",
                event_id=id_of(records.get(position, {})),
                log_file=writable(file.key),
                record=position,
            )


def _taken_before(receipt: Receipt) -> int:
    """How many records had no row when a rule took rows: repeated ones, and those that expired."""
    is_of_rows = receipt.rewritten is not msgspec.UNSET
    return receipt.records.duplicate + rows_removed(receipt) if is_of_rows else 0


def _counts(receipt: Receipt, taken: Delivered) -> Iterator[Finding]:
    """What a receipt counts, counted once more.

    Of records that a rewrite has discarded there was one row, whose copies remain duplicates.
    """
    if receipt.additions:  # each counts the log files that are new to it, and reads no others
        return
    for name, count in taken.counts.items():
        said = getattr(receipt.records, name)
        again = _taken_before(receipt) if name == "discarded" else 0
        if not 0 <= count - said <= again:
            what = f"it says {counted(said, 'record')} {name}; its log files have {count:,}"
            yield Finding(kind=Kind.RECEIPT_FALSE, unit=receipt.unit.name, what=what)
