"""The log files of a place by day: how many, how large, and a fingerprint of each window.

Listings of several places are summed day by day, for units that span them; no key is held. A span
of very many places may be listed in portions by several invocations: the sums of one are stored,
and the next goes on.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Self

import msgspec

from cloudtrail_parquet.deliveries import Window, day_folder
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.planning.ranges import PlannedUnit
from cloudtrail_parquet.source.grain import Folder, Sample
from cloudtrail_parquet.source.log_files import TIMES, delivered_file, is_log_file, usual_keys
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.identities import Fingerprint, digest_of, fingerprint_of, known_as
from cloudtrail_parquet.storage import Entry, ReadStore

_DAY_FOLDER = re.compile(r"(\d{4})/(\d\d)/(\d\d)/")
_SECONDS = {time: minute * 60 for minute, time in enumerate(TIMES)}
_NO_KEY = "/"  # begins no key


@dataclass(slots=True)
class Deliveries:
    """The log files of a day.

    Attributes:
        files: How many were delivered on the day.
        bytes: Their size as stored.
        places: How many places have a log file in the day's window.
        fingerprint: The fingerprint of all log files in that window.
    """

    files: int = 0
    bytes: int = 0
    places: int = 0
    fingerprint: Fingerprint = field(default_factory=Fingerprint)

    def merge(self, other: "Deliveries") -> None:
        """Add those of another place on the same day."""
        self.files += other.files
        self.bytes += other.bytes
        self.places += other.places
        self.fingerprint.merge(other.fingerprint)


class Listing(NamedTuple):
    """What the listing of a place has shown.

    Attributes:
        days: Its log files by day, of the days that were asked for.
        unplaced: Log files that no unit reads.
        sample: Some of the folders of its days.
    """

    days: dict[date, Deliveries]
    unplaced: Unplaced
    sample: Sample


NOTHING_LISTED = Listing({}, Unplaced(), Sample())


def list_place(  # noqa: PLR0913, PLR0917
    source: ReadStore,
    trails: Iterable[str],
    first: date,
    last: date,
    window: Window,
    named: Place | None = None,
    check: Callable[[], None] = lambda: None,
) -> Listing:
    """List the log files in the windows of a place's days, from the first to the last one.

    Nothing is listed that sorts before the first folder of these windows, however old the place is.

    Args:
        source: The source of the logs.
        trails: The prefixes that hold the days of the place.
        first: The first day.
        last: The last day.
        window: The window of a day.
        named: The place, if units span others as well: log files are known by it, too.
        check: Called before each day; raises if there is no time to go on.
    """
    days, unplaced, sample = defaultdict[date, Deliveries](Deliveries), Unplaced(), Sample()
    for trail in trails:
        listed = _deliveries(source, trail, first, last, window, unplaced)
        for day, files in groupby(listed, itemgetter(0)):
            check()
            windows = [
                (days[event_day], *window.seconds(event_day, day))
                for event_day in window.event_days(day)
            ]
            key, count, size = "", 0, 0
            for _, entry, second in files:
                key, count, size = entry.key, count + 1, size + entry.size
                digest = 0
                for totals, begin, end in windows:
                    if begin <= second < end:
                        digest = digest or digest_of(known_as(key, named), entry.size)
                        totals.fingerprint.total += digest
                        totals.places = 1
            days[day].files += count
            days[day].bytes += size
            sample.add(Folder(key, count, size))
    in_range = {day: totals for day, totals in days.items() if first <= day <= last}
    return Listing(in_range, unplaced, sample)


def _deliveries(  # noqa: PLR0913, PLR0917
    source: ReadStore, trail: str, first: date, last: date, window: Window, unplaced: Unplaced
) -> Iterator[tuple[date, Entry, float]]:
    """The log files below a trail's region that may be in the windows of a range of days.

    Each is given with the day of its folder, and the second of that day at which it was delivered.
    Log files that no unit reads go to ``unplaced``.
    """
    from_day = window.delivery_days(first)[0]
    to_day = window.delivery_days(last)[-1]
    before = "" if first == date.min else f"{trail}{day_folder(from_day)}"
    folder, day, usual, begin, end = "", None, _NO_KEY, 0, 0
    for entry in source.files(trail, after=before):
        key = entry.key
        if key.startswith(usual) and entry.size:  # as nearly all do, at a tenth of the CPU
            second = _SECONDS.get(key[begin:end])
            if second is not None and day is not None:
                yield day, entry, second
                continue
        if not folder or not key.startswith(folder, len(trail)):
            match = _DAY_FOLDER.match(key, len(trail))
            if match is None:
                unplaced.add_any(key, entry.size)
                continue
            folder, day = match[0], _day(match)
            if day is not None and day > to_day:
                break
            is_asked = day is not None and day >= from_day
            usual = usual_keys(trail, day) if day and is_asked else _NO_KEY
            begin, end = len(usual), len(usual) + len(next(iter(_SECONDS)))
        if day is None or not is_log_file(entry):
            unplaced.add_any(key, entry.size)
        elif day >= from_day:
            yield day, entry, window.second(delivered_file(entry, day, usual).delivered, day)


def _day(match: re.Match[str]) -> date | None:
    """The day of a folder; None for one that is not a day of the calendar."""
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


class SpanPlan(NamedTuple):
    """What a plan has found of a span.

    Attributes:
        span: The account and the region of its units, either of them "" if they span all of them.
        units: How many units of the range have a log file in their windows.
        files: How many log files these have.
        due: The units that are due, sorted.
    """

    span: Place
    units: int
    files: int
    due: Sequence[PlannedUnit] = ()


class DaySums(msgspec.Struct, frozen=True, array_like=True):
    """The log files of a day in the places that were listed; as `Deliveries`, and as text.

    Attributes:
        day: The day.
        files: How many were delivered on the day.
        bytes: Their size as stored.
        places: How many places have a log file in the day's window.
        fingerprint: The fingerprint of all log files in that window.
        wanted: Whether one of these places is of the range.
    """

    day: date
    files: int
    bytes: int
    places: int
    fingerprint: str
    wanted: bool


class SpanSums(msgspec.Struct, frozen=True):
    """A span of which some places were listed, to be stored.

    Attributes:
        account: With ``region`` the last place that was listed.
        region: See ``account``.
        days: Its log files by day.
    """

    account: str
    region: str
    days: tuple[DaySums, ...]

    @property
    def last(self) -> Place:
        """The last place that was listed."""
        return Place(self.account, self.region)


@dataclass(frozen=True, slots=True)
class Span:
    """What the listings of places of a span have shown.

    Attributes:
        span: The account and the region of its units, either of them "" if they span all of them.
        days: The log files of its places, by day.
        wanted: The days on whose windows a place of the range has a log file.
    """

    span: Place
    days: dict[date, Deliveries] = field(default_factory=lambda: defaultdict(Deliveries))
    wanted: set[date] = field(default_factory=set)

    @classmethod
    def of(cls, span: Place, sums: SpanSums | None) -> Self:
        """A span of which some places have been listed, or none."""
        listed = cls(span)
        for of_day in sums.days if sums else ():
            fingerprint = fingerprint_of(of_day.fingerprint)
            figures = of_day.files, of_day.bytes, of_day.places
            listed.days[of_day.day] = Deliveries(*figures, fingerprint)
            if of_day.wanted:
                listed.wanted.add(of_day.day)
        return listed

    def sums(self, last: Place) -> SpanSums:
        """The same to be stored; ``last`` is the last place that was listed."""
        days = (
            DaySums(
                day,
                of_day.files,
                of_day.bytes,
                of_day.places,
                str(of_day.fingerprint),
                day in self.wanted,
            )
            for day, of_day in sorted(self.days.items())
        )
        return SpanSums(*last, tuple(days))

    def units(self) -> list[PlannedUnit]:
        """The units of the range whose windows hold a log file, sorted."""
        return [
            PlannedUnit(
                Unit(*self.span, day),
                files=of_day.files,
                bytes=of_day.bytes,
                fingerprint=str(of_day.fingerprint),
                places=of_day.places,
            )
            for day, of_day in sorted(self.days.items())
            if day in self.wanted
        ]

    def found(self) -> SpanPlan:
        """What was found of it, before any unit is compared."""
        files = sum(self.days[day].files for day in self.wanted)
        return SpanPlan(self.span, len(self.wanted), files)
