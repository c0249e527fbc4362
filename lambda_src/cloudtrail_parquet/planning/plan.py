"""Planning a range of days: the units, their sizes, and which of them are due for conversion.

All of it comes from listings of the source and of the receipts, a few accounts and regions at a
time. Units are held in memory, but never keys. Estimates are for a Lambda function of `MEMORY_MB`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, islice
from operator import itemgetter
from typing import Literal, NamedTuple

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.deliveries import Window, day_folder
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Place, Unit, owner_day, span_folder, unit_of
from cloudtrail_parquet.planning.due import (
    NEVER,
    NO_RECEIPT,
    UNFINISHED,
    Sizes,
    why_damaged,
    why_outdated,
)
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import delivered_file, is_log_file, minute_of, usual_keys
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.state.keys import receipt_days
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import Entry, ReadStore

BYTES_PER_S = 4_000_000
"""Gzipped bytes that one vCPU converts in a second; docs/performance.md has the measurements."""

FILE_S = 0.004
"""Seconds that a log file takes beside its bytes: a GET, of which several are under way at once."""

UNIT_S = 0.6
"""Seconds that a unit takes beside its files: leases, listings, a part and a receipt."""


_DAY_FOLDER = re.compile(r"(\d{4})/(\d\d)/(\d\d)/")
_NO_FILES = str(Fingerprint())
_AT_A_TIME = 32  # accounts and regions that are listed at once


Only = Literal["missing", "outdated", "reshaped", "all"]
"""Which units a plan selects: those never converted; also those that would get other rows, or whose
parts are not those of their receipt; also those whose files would look different; or all."""


class PlannedUnit(NamedTuple):
    """A unit, with the log files that were delivered on its day.

    Attributes:
        unit: The unit.
        files: How many log files.
        bytes: Their size as stored.
        fingerprint: The fingerprint of all log files in its window; empty if it is not needed.
        why: Why the unit is due, in words; empty if all units were asked for.
    """

    unit: Unit
    files: int
    bytes: int
    fingerprint: str = ""
    why: str = ""

    @property
    def seconds(self) -> float:
        """An estimate of how long its conversion takes."""
        return UNIT_S + self.files * FILE_S + self.bytes / BYTES_PER_S


class UnitRange(NamedTuple):
    """A range of days, of some accounts and regions; of all of them where these are empty."""

    first: date
    last: date
    accounts: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        first: date | None,
        last: date | None,
        accounts: Iterable[str] = (),
        regions: Iterable[str] = (),
    ) -> "UnitRange":
        """All days from one on, up to another, or between them.

        Raises:
            UsageError: The last day is before the first.
        """
        if first and last and last < first:
            what = f"the last day, {last}, is before the first, {first}"
            raise UsageError(what, "days", "Swap them")
        return cls(first or date.min, last or date.max, frozenset(accounts), frozenset(regions))

    def holds(self, account: str, region: str) -> bool:
        """Whether an account and region are in the range."""
        return (not self.accounts or account in self.accounts) and (
            not self.regions or region in self.regions
        )

    def holds_unit(self, unit: Unit) -> bool:
        """Whether a unit is wanted."""
        return self.first <= unit.day <= self.last and self.holds(unit.account, unit.region)


class Receipts(NamedTuple):
    """The stores that say which units were converted before.

    Attributes:
        state: The store of the receipts.
        dataset: The store of the parts, if these are to be compared with the receipts as well,
            which lists them all.
    """

    state: ReadStore
    dataset: ReadStore | None = None


def plan_units(  # noqa: PLR0913, PLR0917
    source: ReadStore,
    receipts: Receipts,
    discovery: Discovery,
    wanted: UnitRange,
    only: Only,
    options: PlanOptions,
) -> Iterator[PlannedUnit]:
    """Yield the units of a range that are due for conversion, sorted by account, region and day.

    Args:
        source: The source of the logs.
        receipts: The stores that say which units were converted before.
        discovery: What `discover.discover` found; receives the places that have log files, and the
            log files that no unit reads, as far as they are listed.
        wanted: The range of units.
        only: Which of these to select.
        options: How they would be converted.
    """
    open_units = frozenset[Unit]() if only == "all" else frozenset(unfinished(receipts.state))
    # Places of open units are planned even if their logs are gone.
    known = {unit[:2] for unit in open_units if unit.account not in discovery.refused}
    places = sorted(place for place in known.union(discovery.trails) if wanted.holds(*place))

    def plan_place(place: tuple[str, str]) -> list[PlannedUnit]:
        trails = discovery.trails.get(place, [])
        planned, unplaced = _sizes(source, place, trails, wanted, options.dataset.window)
        discovery.unplaced.merge(unplaced.folders)
        if planned:
            discovery.with_logs.add(place)
        if only == "all":
            return planned
        parts = None
        if only != "missing" and receipts.dataset is not None:
            parts = _parts(receipts.dataset, Unit(*place, wanted.last), options.dataset.layout)
        others = {unit for unit in open_units if unit[:2] == place}
        has_units = planned or parts or others
        converted = receipt_days(receipts.state, Place(*place)) if has_units else set[date]()
        others |= {unit for unit in _owners(parts or ()) if unit.day not in converted}
        planned = sorted(planned + _gone(planned, others, wanted))
        return list(_due(receipts.state, planned, converted, parts, open_units, only, options))

    if source.parallel == 1:
        for place in places:
            yield from plan_place(place)
        return
    waiting = iter(places)
    with ThreadPoolExecutor(_AT_A_TIME, "plan") as threads:
        running = [threads.submit(plan_place, place) for place in islice(waiting, _AT_A_TIME)]
        while running:
            yield from running.pop(0).result()
            running += [threads.submit(plan_place, place) for place in islice(waiting, 1)]


def _gone(
    planned: list[PlannedUnit], units: Iterable[Unit], wanted: UnitRange
) -> list[PlannedUnit]:
    """The units of a range that have no log file any more."""
    with_files = {unit.unit for unit in planned}
    return [
        PlannedUnit(unit, 0, 0, _NO_FILES)
        for unit in sorted(units)
        if unit not in with_files and wanted.first <= unit.day <= wanted.last
    ]


@dataclass(slots=True)
class _Day:
    """The log files in the window of a day (fingerprint), and those delivered on it (counts)."""

    is_touched: bool = False
    files: int = 0
    bytes: int = 0
    fingerprint: Fingerprint = field(default_factory=Fingerprint)


def _sizes(
    source: ReadStore,
    place: tuple[str, str],
    trails: Iterable[str],
    wanted: UnitRange,
    window: Window,
) -> tuple[list[PlannedUnit], Unplaced]:
    """The units of a place whose windows hold a log file, and the log files that no unit reads."""
    days, unplaced = defaultdict[date, _Day](_Day), Unplaced()
    for trail in trails:
        for day, files in groupby(
            _deliveries(source, trail, wanted, window, unplaced), itemgetter(0)
        ):
            windows = [
                (days[event_day], *window.seconds(event_day, day))
                for event_day in window.event_days(day)
            ]
            for _, entry, second in files:
                for totals, begin, end in windows:
                    if begin <= second < end:
                        totals.fingerprint.add(entry.key, entry.size)
                        totals.is_touched = True
                days[day].files += 1
                days[day].bytes += entry.size
    units = [
        PlannedUnit(Unit(*place, day), totals.files, totals.bytes, str(totals.fingerprint))
        for day, totals in sorted(days.items())
        if totals.is_touched and wanted.first <= day <= wanted.last
    ]
    return units, unplaced


def _deliveries(
    source: ReadStore, trail: str, wanted: UnitRange, window: Window, unplaced: Unplaced
) -> Iterator[tuple[date, Entry, float]]:
    """The log files below a trail's region that may be in the windows of a range of days.

    Each is given with the day of its folder, and the second of that day at which it was delivered.
    Log files that no unit reads go to ``unplaced``.
    """
    from_day = window.delivery_days(wanted.first)[0]
    to_day = window.delivery_days(wanted.last)[-1]
    folder, day, usual = "", None, ""
    for entry in source.files(trail, (trail, f"{trail}{day_folder(from_day)}")):
        if not entry.key.startswith(folder, len(trail)) or not folder:
            match = _DAY_FOLDER.match(entry.key, len(trail))
            if match is None:
                unplaced.add(entry.key)
                continue
            folder, day = match[0], _day(match)
            usual = usual_keys(trail, day) if day else ""
        if day is None:
            unplaced.add(entry.key)
        elif day > to_day:
            break
        elif not is_log_file(entry):
            unplaced.add(entry.key)
        elif day >= from_day:
            minute = minute_of(entry.key, usual)  # most names tell it, at a tenth of the CPU
            if minute is None:
                yield day, entry, window.second(delivered_file(entry, day, usual).delivered, day)
            else:
                yield day, entry, minute * 60


def _day(match: re.Match[str]) -> date | None:
    """The day of a folder; None for one that is not a day of the calendar."""
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def _due(  # noqa: PLR0913, PLR0917
    state: ReadStore,
    planned: list[PlannedUnit],
    converted: set[date],
    parts: Sizes | None,
    open_units: frozenset[Unit],
    only: Only,
    options: PlanOptions,
) -> Iterator[PlannedUnit]:
    """The units of a place that are due for conversion, with the reason."""
    for unit in planned:
        if unit.unit.day not in converted:
            yield unit._replace(why=NEVER if unit.fingerprint != _NO_FILES else NO_RECEIPT)
        elif only == "missing":
            continue
        elif unit.unit in open_units:
            yield unit._replace(why=UNFINISHED)
        else:
            why, receipt = why_outdated(
                state, unit.unit, unit.fingerprint, options, reshaped=only == "reshaped"
            )
            if not why and receipt is not None and parts is not None:
                why = why_damaged(receipt, parts)
            if why:
                yield unit._replace(why=why)


def _owners(keys: Iterable[str]) -> Iterator[Unit]:
    """The units that have written some parts, by the keys of these."""
    for key in keys:
        unit = unit_of(key)
        day = owner_day(key, unit.day) if unit else None
        if unit is not None and day is not None:
            yield unit.on(day)


def _parts(dataset: ReadStore, unit: Unit, layout: PartitionLayout) -> dict[str, int]:
    """The sizes of the parts of a unit's account and region, in bytes, by key."""
    entries = dataset.files(span_folder(unit, layout))
    return {entry.key: entry.size for entry in entries}
