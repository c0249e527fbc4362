"""Planning a range of days: the units, their sizes, which want converting, and in what batches.

All of it comes from listings, of the source and of the receipts, a few accounts and regions at a
time: what is held are units, never keys. Estimates are for a Lambda function of `MEMORY_MB`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

import msgspec

from cloudtrail_parquet.config import Settings
from cloudtrail_parquet.cost import cost
from cloudtrail_parquet.events import MAX_UNITS, Only
from cloudtrail_parquet.layout import Unit, Window, day_folder
from cloudtrail_parquet.receipt import Receipt, read_receipt, receipt_days
from cloudtrail_parquet.schema import SCHEMA_VERSION
from cloudtrail_parquet.source import Discovery, delivered_file, minute_of, usual_keys
from cloudtrail_parquet.storage import Entry, Store

MEMORY_MB = 1769
"""One whole vCPU. Source: Lambda Developer Guide, "Configure Lambda function memory"."""

BYTES_PER_S = 4_000_000
"""Gzipped bytes that one vCPU converts in a second; docs/performance.md has what was measured."""

FILE_S = 0.004
"""Seconds that a log file takes beside its bytes: a GET, of which some go at a time."""

UNIT_S = 0.6
"""Seconds that a unit takes beside its files: leases, listings, a part and a receipt."""

FUNCTION_S = 900
"""The longest that a Lambda function may run."""

BATCH_S = 240
"""What a batch of units may take of that; since it is a guess, there is room."""


_DAY_FOLDER = re.compile(r"(\d{4})/(\d\d)/(\d\d)/")
_AT_A_TIME = 32  # accounts and regions that are looked at together


class Sized(NamedTuple):
    """A unit, with the log files that were delivered on its day: how many, and their bytes."""

    unit: Unit
    files: int
    bytes: int

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

    def holds(self, account: str, region: str) -> bool:
        """Whether an account and region are wanted."""
        return (not self.accounts or account in self.accounts) and (
            not self.regions or region in self.regions
        )


def plan(  # noqa: PLR0913, PLR0917
    source: Store, state: Store, found: Discovery, of: Range, only: Only, settings: Settings
) -> Iterator[Sized]:
    """Yield the units of a range that want converting, sorted by account, region and day.

    Args:
        source: Where the logs are.
        state: Where the receipts are.
        found: What `source.discover` found.
        of: Which units are meant.
        only: Those never converted; or also those converted before but `outdated`; or all.
        settings: Their window is used.
    """
    places = sorted(place for place in found.trails if of.holds(*place))

    def look(place: tuple[str, str]) -> list[Sized]:
        sized = _sizes(source, place, found.trails[place], of, settings.window)
        return list(_wanted(state, place, sized, only))

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


@dataclass(slots=True)
class _Delivered:
    """What was delivered on one day, in the order of keys, which is that of time.

    Attributes:
        usual: How the keys of that day usually begin.
        first: The first log file.
        last: The last one.
        files: How many there are.
        bytes: Their size.
        odd: Whether a name is not as CloudTrail gives them, so that the order is another one.
    """

    usual: str
    first: Entry
    last: Entry
    files: int = 0
    bytes: int = 0
    odd: bool = False

    def add(self, entry: Entry) -> None:
        """Take the next log file."""
        self.last = entry
        self.files += 1
        self.bytes += entry.size
        self.odd = self.odd or minute_of(entry.key, self.usual) is None

    def reaches(self, day: date, event_day: date, window: Window) -> bool:
        """Whether a file of this day lies in the window of another, as far as one can tell."""
        ends = (delivered_file(entry, day, self.usual) for entry in (self.first, self.last))
        return self.odd or any(window.holds(one.delivered, event_day) for one in ends)


def _sizes(
    source: Store, place: tuple[str, str], trails: Iterable[str], of: Range, window: Window
) -> list[Sized]:
    """The units of an account and region whose windows hold a log file."""
    from_day, to_day = window.delivery_days(of.first)[0], window.delivery_days(of.last)[-1]
    files: dict[date, int] = defaultdict(int)
    sizes: dict[date, int] = defaultdict(int)
    for trail in trails:
        for day, delivered in _deliveries(source, trail, from_day, to_day).items():
            files[day] += delivered.files
            sizes[day] += delivered.bytes
            for event_day in window.event_days(day):
                if delivered.reaches(day, event_day, window):
                    files[event_day] += 0  # it is there, if only by this
    return [
        Sized(Unit(*place, day), files[day], sizes[day])
        for day in sorted(files)
        if of.first <= day <= of.last
    ]


def _deliveries(source: Store, trail: str, from_day: date, to_day: date) -> dict[date, _Delivered]:
    """What was delivered below a trail's region, by day, from one day to another."""
    found: dict[date, _Delivered] = {}
    folder, day, usual = "", None, ""
    for entry in source.files(trail, (trail, f"{trail}{day_folder(from_day)}")):
        if not entry.key.startswith(folder, len(trail)) or not folder:
            match = _DAY_FOLDER.match(entry.key, len(trail))
            if match is None:
                continue
            folder, day = match[0], _day(match)
            usual = usual_keys(trail, day) if day else ""
        if day is None:
            continue
        if day > to_day:
            break
        if day >= from_day and entry.size:
            found.setdefault(day, _Delivered(usual, entry, entry)).add(entry)
    return found


def _day(match: re.Match[str]) -> date | None:
    """The day of a folder; None for one that is no day."""
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def _wanted(
    state: Store, place: tuple[str, str], sized: list[Sized], only: Only
) -> Iterator[Sized]:
    if only == "all" or not sized:
        yield from sized
        return
    converted = receipt_days(state, *place)
    for one in sized:
        if one.unit.day not in converted:
            yield one
        elif only == "outdated":
            receipt = read_receipt(state, one.unit)
            if receipt is None or outdated(receipt, one):
                yield one


def outdated(receipt: Receipt, now: Sized) -> bool:
    """Whether a conversion would give something else than the one that wrote a receipt.

    That is so when its window had not passed, when the schema has changed since, when a log file
    could not be read that may be readable now, or when the log files of the day have changed.
    """
    return (
        not receipt.settled
        or receipt.schema_version < SCHEMA_VERSION
        or receipt.bytes_in != now.bytes
        or any(bad.retryable for bad in receipt.quarantined)
    )


def pack(units: Iterable[Sized], seconds: float, most: int) -> Iterator[list[Sized]]:
    """Pack units into batches, in order.

    Args:
        units: What to pack.
        seconds: What a batch may take; a unit that takes longer is a batch of its own.
        most: Units of a batch.
    """
    batch: list[Sized] = []
    taken = 0.0
    for one in units:
        if batch and (taken + one.seconds > seconds or len(batch) == most):
            yield batch
            batch, taken = [], 0.0
        batch.append(one)
        taken += one.seconds
    if batch:
        yield batch


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan comes to.

    Attributes:
        units: How many units.
        files: Their log files.
        bytes: Their bytes.
        batches: Invocations that convert them.
        largest: The unit with the most bytes; None without any.
        seconds: What the invocations take together, at a guess.
        dollars: What they and their requests cost, on arm64 with `MEMORY_MB`.
    """

    units: int
    files: int
    bytes: int
    batches: int
    largest: str | None
    seconds: float
    dollars: float


def estimate(units: Iterable[Sized]) -> Estimate:
    """What converting some units takes."""
    count = files = size = batches = 0
    seconds, largest = 0.0, None
    for batch in pack(units, BATCH_S, MAX_UNITS):
        batches += 1
        count += len(batch)
        for one in batch:
            files += one.files
            size += one.bytes
            seconds += one.seconds
            largest = max(largest or one, one, key=attrgetter("bytes"))
    spent = cost(
        units=count, files=files, invocations=batches, seconds=seconds, memory_mb=MEMORY_MB
    )
    return Estimate(
        units=count,
        files=files,
        bytes=size,
        batches=batches,
        largest=largest and largest.unit.name,
        seconds=round(seconds, 1),
        dollars=round(spent.total, 4),
    )
