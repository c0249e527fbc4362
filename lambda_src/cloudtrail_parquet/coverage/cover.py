"""What a dataset covers: receipts, then what the source and the parts say, then the gaps."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.causes.day_sets import DaySet
from cloudtrail_parquet.coverage.causes.digest_days import DigestDays
from cloudtrail_parquet.coverage.causes.gaps import Gaps
from cloudtrail_parquet.coverage.causes.record_days import RecordDays
from cloudtrail_parquet.coverage.causes.stops import FEW, MANY, Found, find_stops
from cloudtrail_parquet.coverage.comparison import UnitComparison
from cloudtrail_parquet.coverage.ledger import DAYS, HOT, SCHEMA
from cloudtrail_parquet.coverage.ranges import (
    CoveredRange,
    RangesByPlace,
    add_all,
    days_of,
    ranges_of,
    wanted_rows,
)
from cloudtrail_parquet.coverage.rollup import Ledger, roll_up
from cloudtrail_parquet.coverage.source_days import SourceDays, list_days
from cloudtrail_parquet.coverage.verdicts import STATES, Cause, CoverageState, Judge, Verdict
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.errors import listed as listed_names
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.state.marks import Month
from cloudtrail_parquet.storage import ReadStore, Stores
from cloudtrail_parquet.wording import counted

_DAY, _NUMBER = timedelta(days=1), "#number"
_AT_A_TIME, _FEW = 8, 2
"""Months that are read while others are looked at: of thousands of places some 10 MB each, and with
all columns 80."""
MOST_PARTS = 100_000
"""So many units have their parts listed without being asked for: a hundred listings or so."""


class Asked(NamedTuple):
    """What is to be told.

    Attributes:
        wanted: Days, accounts and regions; those that are still to come are left out. From
            `date.min` on stands for the first day that was seen, up to `date.max` for yesterday.
        options: How units would be converted now.
        parts: Whether parts are compared; None if they are not too many.
        fresh: Whether all receipts are listed.
    """

    wanted: UnitRange
    options: PlanOptions
    parts: bool | None = None
    fresh: bool = False


@dataclass
class Coverage:
    """What a dataset covers.

    Attributes:
        first: The first day that is told of; None if nothing is known of any day.
        last: The last day.
        ranges: By place, all days from the first to the last.
        ledger: What this was read from; its tables have more columns.
        remarks: What could not be looked into, in words.
    """

    first: date | None
    last: date | None
    ranges: RangesByPlace
    ledger: Ledger
    remarks: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[CoveredRange]:
        """All ranges, the worst states first, then by place and day."""
        every = (each for _, some in sorted(self.ranges.items()) for each in some)
        return iter(sorted(every, key=lambda each: STATES.index(each.verdict.state)))

    @property
    def is_lacking(self) -> bool:
        """Whether records may be lacking that there are, or were; or nobody can tell at all."""
        return self.first is None or any(each.verdict.is_lack for each in self)

    def counts(self) -> dict[tuple[CoverageState, Cause], int]:
        """How many days of places are in each state, for each cause; the worst first."""
        counts = Counter[tuple[CoverageState, Cause]]()
        for each in self:
            counts[each.verdict.state, each.verdict.cause] += each.days
        return dict(counts)

    def days(self) -> Iterator[tuple[Place, date, Verdict]]:
        """What is said of each place and day, by place and day."""
        for place, some in sorted(self.ranges.items()):
            for each in some:
                for number in range(each.days):
                    yield place, each.first + _DAY * number, each.verdict


def cover(
    stores: Stores, asked: Asked, source: tuple[ReadStore, Discovery] | None = None
) -> Coverage:
    """Tell of each account, region and day what a dataset has, and why where it has nothing.

    Args:
        stores: With the dataset and the state.
        asked: What is to be told.
        source: The source, and its accounts and regions; without one it is not known where there
            are log files.

    Raises:
        StorageError: The state or the source cannot be read.
        UsageError: Nothing is known of an account or a region that was asked for; or all days are
            still to come.
    """
    wanted, options = asked.wanted, asked.options
    now = stores.now()
    wanted = _up_to(wanted, now.date())
    ledger = roll_up(stores, fresh=asked.fresh)
    listed = list_days(*source, wanted, options.dataset) if source else None
    units = sum(stored.units for month, stored in ledger.months.items() if _touches(month, wanted))
    with_parts = units <= MOST_PARTS if asked.parts is None else asked.parts
    comparison = UnitComparison(stores, Judge(options, now), wanted, listed, with_parts=with_parts)
    if wanted.first == date.min:
        every = UnitRange(wanted.first, wanted.last)
        first = _first(ledger, wanted, listed) or comparison.first_of_parts
        first = first or _first(ledger, every, listed)  # of what is asked for, nothing is known
        if first is None or first > wanted.last:
            return Coverage(None, None, {}, ledger)
        wanted = comparison.wanted = wanted._replace(first=first)
    ranges, covered = _of_receipts(stores.state, ledger, comparison)
    orphans, late = comparison.orphans(), comparison.late()
    gaps = Gaps(wanted, covered, listed, orphans, late, comparison.rebuilt)
    _check_seen(gaps, stores.dataset.uri)
    layout, most = options.dataset.layout, MANY if units <= MOST_PARTS else FEW
    records, every_gap = RecordDays(ledger), [*gaps.gaps, *gaps.beside]
    found = find_stops(stores.dataset, layout, every_gap, covered, records, most)
    digests = DigestDays(listed.store, listed.discovery) if listed else None
    more = [*gaps.found, *gaps.explained(found, digests)]
    remarks = list(_remarks(ledger, gaps, found, digests))
    if not with_parts and asked.parts is None:
        remarks.append(
            f"the parts of {counted(units, 'unit')} were not compared; --parts does that"
        )
    return Coverage(wanted.first, wanted.last, _together(ranges, more), ledger, remarks)


def _remarks(ledger: Ledger, gaps: Gaps, found: Found, digests: DigestDays | None) -> Iterator[str]:
    """What was not looked into, and what nobody tells the cause of."""
    if ledger.since:
        some, when = counted(ledger.believed, "month"), f"{ledger.since:%Y-%m-%dT%H:%MZ}"
        yield f"receipts of {some} are as listed at {when}; --fresh lists them again"
    if found.unlooked:
        some = counted(found.unlooked, "partition")
        yield f"not looked into for records of trails: {some} beside gaps"
    if gaps.source and (seen := gaps.last_seen) and seen < gaps.wanted.last:
        yield f"of no account there are log files after {seen}"
    if digests and digests.unread:
        yield f"not read: digest files of {counted(digests.unread, 'day')} without log files"


def _up_to(wanted: UnitRange, today: date) -> UnitRange:
    """A range without days that are still to come; by default it ends yesterday."""
    if wanted.first > today:
        what = f"{wanted.first} has not come yet"
        raise UsageError(what, "days", f"Name days up to today, {today} (UTC)")
    last = today - _DAY if wanted.last == date.max else wanted.last
    return wanted._replace(last=min(max(last, wanted.first), today))


def _touches(month: Month, wanted: UnitRange) -> bool:
    return wanted.first <= month.last and month.first <= wanted.last


def _is_within(month: Month, wanted: UnitRange) -> bool:
    """Whether all rows of a month are wanted."""
    is_of_all = not wanted.accounts and not wanted.regions
    return is_of_all and wanted.first <= month.first and month.last <= wanted.last


def _of_receipts(
    state: ReadStore, ledger: Ledger, comparison: UnitComparison
) -> tuple[RangesByPlace, dict[Place, DaySet]]:
    """What is said of the wanted days that have a receipt; and all days that have one.

    What is wanted is told as it would be within the whole, so that a gap begins and ends where it
    does, and other places tell of it.
    """
    wanted, ranges = comparison.wanted, RangesByPlace()
    days = defaultdict[Place, list[tuple[date, date]]](list)
    columns, number = (SCHEMA, _FEW) if comparison.is_needed else (HOT, _AT_A_TIME)

    def read(month: Month) -> pa.Table:
        return ledger.table(month, columns if _touches(month, wanted) else DAYS)

    months = sorted(ledger.months)
    for month, table in zip(months, ahead(state, read, months, number), strict=True):
        if _touches(month, wanted):
            changed = comparison.changed(table) if comparison.is_needed else {}
            add_all(ranges, _ranges(table.select(HOT.names), changed, wanted, comparison.judge))
        if not _is_within(month, wanted):
            for place, first, last in days_of(table.select(DAYS.names)):
                days[place].append((first, last))
    for place, some in ranges.items():
        days[place] += ((each.first, each.last) for each in some)
    return ranges, {place: DaySet(some) for place, some in days.items()}


def _check_seen(gaps: Gaps, where: str) -> None:
    """Refuse accounts and regions that were never seen; most likely misspelt.

    Raises:
        UsageError: Names them, and those that were.
    """
    for kind, unseen, seen in gaps.unseen():
        if unseen:
            what = f"nothing is known of {kind} {listed_names(unseen)}"
            raise UsageError(what, where, f"There are: {listed_names(seen)}")


def _first(ledger: Ledger, wanted: UnitRange, listed: SourceDays | None) -> date | None:
    """The first day with a record, or of which a log file was delivered.

    The day before it may have a receipt as well, since its window touches that day.
    """
    days = [
        day
        for of_place in (listed.days.values() if listed else ())
        for day, delivered in of_place.items()
        if delivered.files
    ]
    for month in sorted(ledger.months):
        rows = wanted_rows(ledger.table(month, HOT), wanted)
        has_some = pc.or_(pc.greater(rows["written"], 0), pc.greater(rows["bytes"], 0))
        first: date | None = pc.min(rows["day"].filter(pc.fill_null(has_some, False))).as_py()  # noqa: FBT003
        if first is not None:
            days.append(first)
            break
    return min(days, default=None)


def _together(ranges: RangesByPlace, more: Iterable[CoveredRange]) -> RangesByPlace:
    every = [each for some in ranges.values() for each in some]
    every += more
    together = RangesByPlace()
    add_all(together, sorted(every, key=lambda each: (each.place, each.first)))
    return together


def _ranges(
    hot: pa.Table, by_row: Mapping[int, Verdict], wanted: UnitRange, judge: Judge
) -> Iterator[CoveredRange]:
    """The ranges of a month of the ledger.

    Args:
        hot: All its rows, with the columns `HOT`.
        by_row: What is said of rows that have changed, by their numbers.
        wanted: The rows to tell of.
        judge: What is said of the others.
    """
    changed = dict[int, Verdict]()
    if by_row:
        numbers = pa.array(range(hot.num_rows), pa.int32())
        numbered = wanted_rows(hot.append_column(_NUMBER, numbers), wanted)[_NUMBER]
        places = enumerate(numbered.to_pylist())
        changed = {place: by_row[number] for place, number in places if number in by_row}
    yield from ranges_of(wanted_rows(hot, wanted), judge, changed)
