"""Planning a range of days: the units, their sizes, which want converting, and in what batches.

All of it comes from listings, of the source and of the receipts, a few accounts and regions at a
time: what is held are units, never keys. Estimates are for a Lambda function of `MEMORY_MB`.
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
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, Window, day_folder, owner_day, place_folder, unit_of
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
"""Gzipped bytes that one vCPU converts in a second; docs/performance.md has what was measured."""

FILE_S = 0.004
"""Seconds that a log file takes beside its bytes: a GET, of which some go at a time."""

UNIT_S = 0.6
"""Seconds that a unit takes beside its files: leases, listings, a part and a receipt."""


_DAY_FOLDER = re.compile(r"(\d{4})/(\d\d)/(\d\d)/")
_NO_FILES = str(Fingerprint())
_AT_A_TIME = 32  # accounts and regions that are looked at together


Only = Literal["missing", "outdated", "reshaped", "all"]
"""Which units a plan takes: those never converted; those too whose rows would come out otherwise or
whose parts are not those of their receipt; those too whose files would look otherwise; or all."""


class PlannedUnit(NamedTuple):
    """A unit, with the log files that were delivered on its day.

    Attributes:
        unit: The unit.
        files: How many log files.
        bytes: Their size as stored.
        fingerprint: Of all log files in its window; empty where they were not asked for.
        why: Why it wants converting, in words; empty where all units do.
    """

    unit: Unit
    files: int
    bytes: int
    fingerprint: str = ""
    why: str = ""

    @property
    def seconds(self) -> float:
        """How long its conversion may take."""
        return UNIT_S + self.files * FILE_S + self.bytes / BYTES_PER_S


class Range(NamedTuple):
    """Days from one to another, of some accounts and regions or (empty) all."""

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
    ) -> "Range":
        """All days from one on, up to another, or between them.

        Raises:
            UsageError: The last day is before the first.
        """
        if first and last and last < first:
            what = f"the last day, {last}, is before the first, {first}"
            raise UsageError(what, "days", "Swap them")
        return cls(first or date.min, last or date.max, frozenset(accounts), frozenset(regions))

    def holds(self, account: str, region: str) -> bool:
        """Whether an account and region are wanted."""
        return (not self.accounts or account in self.accounts) and (
            not self.regions or region in self.regions
        )

    def holds_unit(self, unit: Unit) -> bool:
        """Whether a unit is wanted."""
        return self.first <= unit.day <= self.last and self.holds(unit.account, unit.region)


class Receipts(NamedTuple):
    """What units are compared with that were converted before.

    Attributes:
        state: Where the receipts are.
        dataset: Where the parts are, if they are to be compared with the receipts as well: that
            lists them all.
    """

    state: ReadStore
    dataset: ReadStore | None = None


def plan_units(  # noqa: PLR0913, PLR0917
    source: ReadStore,
    receipts: Receipts,
    found: Discovery,
    of: Range,
    only: Only,
    options: PlanOptions,
) -> Iterator[PlannedUnit]:
    """Yield the units of a range that want converting, sorted by account, region and day.

    Args:
        source: Where the logs are.
        receipts: What there is already.
        found: What `discover.discover` found; receives where there are log files, and those that no
            unit reads, as far as they are listed.
        of: Which units are meant.
        only: Those never converted; or also those converted before but outdated; or also those
            whose files would look otherwise; or all.
        options: How they would be converted.
    """
    open_ = frozenset[Unit]() if only == "all" else frozenset(unfinished(receipts.state))
    known = {unit[:2] for unit in open_ if unit.account not in found.refused}  # logs may be gone
    places = sorted(place for place in known.union(found.trails) if of.holds(*place))

    def look(place: tuple[str, str]) -> list[PlannedUnit]:
        trails = found.trails.get(place, [])
        sized, unplaced = _sizes(source, place, trails, of, options.dataset.window)
        found.unplaced.merge(unplaced.folders)
        if sized:
            found.with_logs.add(place)
        if only == "all":
            return sized
        there = None
        if only != "missing" and receipts.dataset is not None:
            there = _parts(receipts.dataset, Unit(*place, of.last), options.dataset.layout)
        left = {unit for unit in open_ if unit[:2] == place}
        converted = receipt_days(receipts.state, *place) if sized or there or left else set[date]()
        left |= {unit for unit in _owners(there or ()) if unit.day not in converted}
        sized = sorted(sized + _gone(sized, left, of))
        return list(_wanted(receipts.state, sized, converted, there, open_, only, options))

    if source.parallel == 1:
        for place in places:
            yield from look(place)
        return
    waiting = iter(places)
    with ThreadPoolExecutor(_AT_A_TIME, "plan") as threads:
        looking = [threads.submit(look, place) for place in islice(waiting, _AT_A_TIME)]
        while looking:
            yield from looking.pop(0).result()
            looking += [threads.submit(look, place) for place in islice(waiting, 1)]


def _gone(sized: list[PlannedUnit], units: Iterable[Unit], of: Range) -> list[PlannedUnit]:
    """Units of a range that no log file is left of."""
    there = {one.unit for one in sized}
    return [
        PlannedUnit(unit, 0, 0, _NO_FILES)
        for unit in sorted(units)
        if unit not in there and of.first <= unit.day <= of.last
    ]


@dataclass(slots=True)
class _Day:
    """What lies in the window of a day, and was delivered on it."""

    is_touched: bool = False
    files: int = 0
    bytes: int = 0
    fingerprint: Fingerprint = field(default_factory=Fingerprint)


def _sizes(
    source: ReadStore, place: tuple[str, str], trails: Iterable[str], of: Range, window: Window
) -> tuple[list[PlannedUnit], Unplaced]:
    """The units of an account and region whose windows hold a log file; and what none reads."""
    days, unplaced = defaultdict[date, _Day](_Day), Unplaced()
    for trail in trails:
        for day, files in groupby(_deliveries(source, trail, of, window, unplaced), itemgetter(0)):
            windows = [(days[one], *window.seconds(one, day)) for one in window.event_days(day)]
            for _, entry, second in files:
                for one, begin, end in windows:
                    if begin <= second < end:
                        one.fingerprint.add(entry.key, entry.size)
                        one.is_touched = True
                days[day].files += 1
                days[day].bytes += entry.size
    units = [
        PlannedUnit(Unit(*place, day), one.files, one.bytes, str(one.fingerprint))
        for day, one in sorted(days.items())
        if one.is_touched and of.first <= day <= of.last
    ]
    return units, unplaced


def _deliveries(
    source: ReadStore, trail: str, of: Range, window: Window, unplaced: Unplaced
) -> Iterator[tuple[date, Entry, float]]:
    """The log files below a trail's region that windows of a range may hold.

    Each with the day of its folder, and the second of that day at which it was delivered. Log files
    that no unit reads go to ``unplaced``.
    """
    from_day, to_day = window.delivery_days(of.first)[0], window.delivery_days(of.last)[-1]
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
            minute = minute_of(entry.key, usual)  # which most names tell, at a tenth of the CPU
            if minute is None:
                yield day, entry, window.second(delivered_file(entry, day, usual).delivered, day)
            else:
                yield day, entry, minute * 60


def _day(match: re.Match[str]) -> date | None:
    """The day of a folder; None for one that is no day."""
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def _wanted(  # noqa: PLR0913, PLR0917
    state: ReadStore,
    sized: list[PlannedUnit],
    converted: set[date],
    there: Sizes | None,
    open_: frozenset[Unit],
    only: Only,
    options: PlanOptions,
) -> Iterator[PlannedUnit]:
    """The units of an account and region that want converting, with why."""
    for one in sized:
        if one.unit.day not in converted:
            yield one._replace(why=NEVER if one.fingerprint != _NO_FILES else NO_RECEIPT)
        elif only == "missing":
            continue
        elif one.unit in open_:
            yield one._replace(why=UNFINISHED)
        else:
            why, receipt = why_outdated(
                state, one.unit, one.fingerprint, options, reshaped=only == "reshaped"
            )
            if not why and receipt is not None and there is not None:
                why = why_damaged(receipt, there)
            if why:
                yield one._replace(why=why)


def _owners(keys: Iterable[str]) -> Iterator[Unit]:
    """The units that have written parts."""
    for key in keys:
        unit = unit_of(key)
        day = owner_day(key, unit.day) if unit else None
        if unit is not None and day is not None:
            yield unit.on(day)


def _parts(dataset: ReadStore, unit: Unit, layout: PartitionLayout) -> dict[str, int]:
    """The parts of an account and region: bytes by key."""
    entries = dataset.files(place_folder(unit, layout))
    return {entry.key: entry.size for entry in entries}
