"""What receipts say, unit by unit, compared with what the source and the dataset have."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.ledger import How, receipt_of_rows, unit_of_row
from cloudtrail_parquet.coverage.source_days import SourceDays
from cloudtrail_parquet.coverage.spans import spans_in
from cloudtrail_parquet.coverage.verdicts import NOT_FINISHED, Judge, Verdict
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.due import Present
from cloudtrail_parquet.planning.part_sizes import PartSizes
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.state.identities import is_without
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import Stores

_AT_A_TIME = 16
_OF_PLACES = ["account", "region", "day", "spans", "fingerprint", "place_fingerprint"]


@dataclass
class UnitComparison:
    """Compares units of a range.

    Attributes:
        stores: With the dataset and the state.
        judge: What is said of receipts.
        wanted: The range.
        listed: What the source has; None if it is not known.
        with_parts: Whether parts are listed and compared.
        rebuilt: Units of several places whose receipts were made again from parts, of the log files
            that there are: of places without rows these receipts tell nothing.
    """

    stores: Stores
    judge: Judge
    wanted: UnitRange
    listed: SourceDays | None
    with_parts: bool
    _parts: dict[Place, PartSizes] = field(default_factory=dict)
    rebuilt: set[Unit] = field(default_factory=set)
    _known: dict[Place, set[date]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        """See which units a run has not finished, and which parts there are."""
        self._open = frozenset(unfinished(self.stores.state))
        if self.with_parts:
            dataset = self.stores.dataset
            spans = [span for span in spans_in(dataset, "") if self.wanted.holds(*span)]
            answers = ahead(dataset, self._listed_parts, spans, _AT_A_TIME)
            self._parts = dict(zip(spans, answers, strict=True))

    def _listed_parts(self, span: Place) -> PartSizes:
        wanted, layout = self.wanted, self.judge.options.dataset.layout
        return PartSizes(self.stores.dataset, span, wanted.first, wanted.last, layout)

    def _parts_of(self, span: Place) -> PartSizes | None:
        """The parts of a span, none if its folder is gone; None if they are not compared."""
        if self.with_parts and span not in self._parts:
            self._parts[span] = self._listed_parts(span)
        return self._parts.get(span)

    @property
    def first_of_parts(self) -> date | None:
        """The first day that has written a part; None if parts are not known."""
        owners = (unit.day for parts in self._parts.values() for unit in parts.owners())
        return min(owners, default=None)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to compare with."""
        return self.with_parts or bool(self._open) or self.listed is not None

    def changed(self, table: pa.Table) -> dict[int, Verdict]:
        """What is said of the rows of units that are not as their receipts say, by row number.

        Args:
            table: All rows of a month, of all columns. Of a unit that spans thousands of places
                only the first row is looked at, unless something has changed.
        """
        verdicts = dict[Unit, Verdict]()
        for row in table.filter(table["is_first"]).to_pylist():
            unit = unit_of_row(row)
            self._known[unit.span].add(unit.day)
            self._note_rebuilt(unit, row)
            if self.wanted.holds_unit(unit) and (verdict := self._verdict(unit, row, table)):
                verdicts[unit] = verdict
        if not verdicts:
            return {}
        rows = table.select(_OF_PLACES).append_column("number", pa.array(range(table.num_rows)))
        days = pa.array({unit.day for unit in verdicts}, pa.date32())
        by_unit = defaultdict[Unit, list[dict[str, Any]]](list)
        for row in rows.filter(pc.is_in(rows["day"], days)).to_pylist():
            if (unit := unit_of_row(row)) in verdicts:
                by_unit[unit].append(row)
        return {
            row["number"]: verdicts[unit]
            for unit, some in by_unit.items()
            for row in self._concerned(unit, verdicts[unit], some)
        }

    def _note_rebuilt(self, unit: Unit, row: Mapping[str, Any]) -> None:
        if self.listed and not all(unit.span) and How.of_text(row["how"]).rebuilt:
            fingerprint = self.listed.fingerprints.get(unit)
            if fingerprint is not None and str(fingerprint) == row["fingerprint"]:
                self.rebuilt.add(unit)

    def _concerned(
        self, unit: Unit, verdict: Verdict, rows: Sequence[Mapping[str, Any]]
    ) -> Iterator[Mapping[str, Any]]:
        """The places of a unit that what is said of it concerns: whose log files have changed.

        One that has none any more is told as a unit is that has none: they have expired.
        """
        if verdict.cause != "files" or all(unit.span) or self.listed is None:
            yield from rows
            return
        now = {
            place: days[unit.day].fingerprint
            for place, days in self.listed.days.items()
            if unit.holds(*place) and unit.day in days
        }
        known = {Place(row["account"], row["region"]) for row in rows}
        new = [fingerprint for place, fingerprint in now.items() if place not in known]
        if is_without(rows[0]["fingerprint"], str(self.listed.fingerprints[unit]), new):
            return  # the log files of all others are those that it was made of
        for row in rows:
            place = Place(row["account"], row["region"])
            if place in now and row["place_fingerprint"] != now[place]:
                yield row

    def _verdict(self, unit: Unit, row: Mapping[str, Any], table: pa.Table) -> Verdict | None:
        if unit in self._open:
            return NOT_FINISHED
        how = How.of_text(row["how"])
        if how.status == "unreadable" or how.is_expired:
            return None
        fingerprint = self.listed.fingerprints.get(unit) if self.listed else None
        refused = self.listed.discovery.refused if self.listed else {}
        refused_here = [account for account in refused if unit.account in {"", account}]
        rows = [row, *(_rows_of(unit.day, refused_here, table) if refused_here else ())]
        receipt = receipt_of_rows(rows)
        present = Present(
            str(fingerprint or receipt.source_fingerprint),
            self.judge.has_passed(unit.day),
            refused_here,
            self._parts_of(unit.span),
        )
        return self.judge.compared(receipt, present, is_listed=fingerprint is not None)

    def late(self) -> dict[Place, set[date]]:
        """The days of which records came with those of other days, by place, where it is known."""
        return {span: parts.late_days() for span, parts in self._parts.items() if all(span)}

    def orphans(self) -> dict[Place, set[date]]:
        """The days of spans that have parts and no receipt, after all months were compared."""
        found = dict[Place, set[date]]()
        for span, parts in self._parts.items():
            owners = {unit.day for unit in parts.owners()}
            wanted = (day for day in owners if self.wanted.first <= day <= self.wanted.last)
            if lost := set(wanted) - self._known[span]:
                found[span] = lost
        return found


def _rows_of(day: date, accounts: Sequence[str], table: pa.Table) -> list[dict[str, Any]]:
    """The rows of some accounts on a day."""
    is_of_day = pc.equal(table["day"], pa.scalar(day))
    is_of_account = pc.is_in(table["account"].cast(pa.string()), pa.array(accounts, pa.string()))
    rows: list[dict[str, Any]] = table.filter(pc.and_(is_of_day, is_of_account)).to_pylist()
    return rows
