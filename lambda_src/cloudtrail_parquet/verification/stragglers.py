"""Stragglers: delivered for one unit, in the partition of another; compared when both are known."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import pyarrow as pa

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.verification.delivered import LateRecord
from cloudtrail_parquet.verification.findings import Finding, Kind
from cloudtrail_parquet.verification.partitions import LateRow
from cloudtrail_parquet.verification.parts import DAMAGE, rows_by_id
from cloudtrail_parquet.verification.receipts import has_removed
from cloudtrail_parquet.verification.tables import DISCARDED, REQUIRED
from cloudtrail_parquet.verification.unit_check import Inspector, UnitResult
from cloudtrail_parquet.wording import counted


class OpenStragglers:
    """Collects what units leave open, and settles it in the end."""

    def __init__(self) -> None:
        self._checked: set[Unit] = set()
        self._excused: dict[Unit, int] = {}
        self._rows: dict[Unit, list[LateRow]] = defaultdict(list)
        self._records: dict[Unit, list[LateRecord]] = defaultdict(list)

    def add(self, result: UnitResult) -> None:
        """Take what a unit has left open."""
        self._checked.add(result.unit)
        if result.excused:
            self._excused[result.unit] = result.excused
        for row in result.late_rows:
            self._rows[row.owner].append(row)
        if result.late_records:
            self._records[result.unit] += result.late_records

    def settle(self, inspector: Inspector) -> Iterator[Finding]:
        """Compare the rows of straggler parts with the stragglers that their owners have."""
        for owner in sorted(self._rows.keys() | self._records.keys()):
            if owner in self._checked:
                yield from self._settle(inspector, owner)
            else:
                rows = self._rows[owner]
                what = f"it owns {counted(len(rows), 'straggler')} of the days looked at"
                yield Finding(kind=Kind.ELSEWHERE, unit=owner.name, what=what, count=len(rows))

    def _settle(self, inspector: Inspector, owner: Unit) -> Iterator[Finding]:
        rows, records = self._rows.get(owner, []), self._records.get(owner, [])
        needs: dict[bytes, int] = {}
        for record in records:
            needs[record.digest] = max(record.need, needs.get(record.digest, DISCARDED))
        unvouched = [row for row in rows if row.digest not in needs]
        for row in rows:
            if needs.get(row.digest) == DISCARDED:
                what = "a rule of the settings discards its record"
                yield _of_row(Kind.NOT_DISCARDED, row, what)
        there = {row.digest for row in rows}
        wanted = [one for one in records if one.need == REQUIRED and one.digest not in there]
        missing = list(_not_found(inspector, owner, wanted))
        by_id = {row.event_id: row for row in unvouched if row.event_id}
        for record in missing:
            altered = by_id.pop(record.event_id, None)
            yield _of_record(record, owner, altered)
            if altered is not None:
                unvouched.remove(altered)
        if len(unvouched) > self._excused.get(owner, 0):
            for row in unvouched:
                what = f"no log file of {owner.name} has its record"
                yield _of_row(Kind.ROW_UNVOUCHED, row, what)


def _not_found(
    inspector: Inspector, owner: Unit, wanted: Iterable[LateRecord]
) -> Iterator[LateRecord]:
    """The stragglers, each once, that are in no part of the partition of their day."""
    by_day: dict[Unit, dict[bytes, LateRecord]] = defaultdict(dict)
    for record in wanted:
        by_day[owner.on(record.day)][record.digest] = record
    receipt = inspector.receipts.of(owner).receipt
    for target, records in sorted(by_day.items()):
        if has_removed(receipt, target.day) or inspector.receipts.noted(target).is_expired:
            continue  # its rows are no longer kept
        ids = pa.array({record.event_id for record in records.values()}, pa.string())
        for entry in inspector.partitions.entries(target):
            try:
                for row in rows_by_id(inspector.dataset, entry, target, inspector.masks, ids):
                    records.pop(row.digest, None)
            except (StorageError, *DAMAGE):
                continue  # a damaged part does not vouch for anything
        yield from records.values()


def _of_row(kind: Kind, row: LateRow, what: str) -> Finding:
    return Finding(
        kind=kind,
        unit=row.unit.name,
        what=what,
        part=row.part,
        row=row.row,
        event_id=row.event_id,
    )


def _of_record(record: LateRecord, owner: Unit, row: LateRow | None) -> Finding:
    target = owner.on(record.day)
    what = f"it is a straggler of {target.name}, and not in its partition"
    if row is not None:
        what = "the row is not what its log file has"
    return Finding(
        kind=Kind.RECORD_MISSING if row is None else Kind.RECORD_ALTERED,
        unit=owner.name,
        what=what,
        part="" if row is None else row.part,
        row=None if row is None else row.row,
        event_id=record.event_id,
        log_file=writable(record.log_file),
        record=record.record,
    )
