"""What a report shows, as numbers: of each place and day, of each day, of the whole range."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import NamedTuple

from cloudtrail_parquet.coverage.ranges import CoveredRange, RangesByPlace
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import Quarantined

DAY = timedelta(days=1)


@dataclass(slots=True)
class DayFigures:
    """What became of the log files delivered on a day, or of the days of a month, in all places.

    Attributes:
        written: Records of the day itself.
        late: Records of other days, which were delivered too late for these.
        duplicates: Records that were there already.
        discarded: Records that rules have left out.
        files: Log files in the window.
        log_bytes: Their stored bytes, each counted on the day of its delivery.
        parquet_bytes: Bytes of the parts.
        unreadable: Log files, and records in others, that could not be read; one that is read for
            two days counts on both.
    """

    written: int = 0
    late: int = 0
    duplicates: int = 0
    discarded: int = 0
    files: int = 0
    log_bytes: int = 0
    parquet_bytes: int = 0
    unreadable: int = 0

    @property
    def records(self) -> int:
        """All records that are in the dataset."""
        return self.written + self.late

    def add(self, other: "DayFigures") -> None:
        """Add what became of others."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @classmethod
    def sum(cls, figures: Iterable["DayFigures"]) -> "DayFigures":
        """What became of all."""
        total = cls()
        for each in figures:
            total.add(each)
        return total


class Unreadable(NamedTuple):
    """What could not be read for a unit.

    Attributes:
        unit: The name of the unit.
        entry: The log file, or the element of one, and the reason.
    """

    unit: str
    entry: Quarantined


class Counted(NamedTuple):
    """How often a name occurs.

    Attributes:
        name: The name.
        calls: Records that have it.
        failed: Those of them with an error.
    """

    name: str
    calls: int
    failed: int


class TopFigures(NamedTuple):
    """The names that occur most often in some days.

    Attributes:
        first: The first of the days.
        last: The last one.
        services: By ``eventSource``.
        principals: By the ARN of a role or user, or what else tells who it was.
        errors: By ``errorCode``; all of them have failed.
        calls: All records of these days.
        failed: Those of them with an error.
        why_not: Why nothing could be counted; empty otherwise.
    """

    first: date
    last: date
    services: tuple[Counted, ...] = ()
    principals: tuple[Counted, ...] = ()
    errors: tuple[Counted, ...] = ()
    calls: int = 0
    failed: int = 0
    why_not: str = ""


@dataclass(slots=True)
class ReportFigures:
    """All that a report shows.

    Attributes:
        first: The first day.
        last: The last day.
        coverage: What there is of each place and day.
        days: Figures by day, for days that have any.
        lateness: Late records by the number of days from their own to that of their delivery.
        unreadable: What could not be read, as far as it is named.
        unplaced: Log files that no unit reads.
        untold: Ranges of days that have parts, and no receipt that tells of them.
        rebuilt_days: Days of places of which only records and parts are known, since their receipts
            were made from these.
        is_shared: Whether figures of files, and of how late records came, are of other accounts or
            regions as well, which share units with those that were selected.
        tops: What occurs most often; None if that was not asked for.
    """

    first: date
    last: date
    coverage: RangesByPlace = field(default_factory=dict)
    days: dict[date, DayFigures] = field(default_factory=dict)
    lateness: dict[int, int] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    unplaced: list[Misplaced] = field(default_factory=list)
    untold: list[CoveredRange] = field(default_factory=list)
    rebuilt_days: int = 0
    is_shared: bool = False
    tops: TopFigures | None = None

    @property
    def untold_days(self) -> int:
        """How many days of places have parts, and no receipt that tells of them."""
        return sum(each.days for each in self.untold)

    @property
    def last_of_records(self) -> date:
        """The last day that has records, as far as is known; the last day of all if none has."""
        counted = [day for day, each in self.days.items() if each.written]
        return max(counted + [each.last for each in self.untold], default=self.last)

    @property
    def total(self) -> DayFigures:
        """The figures of all days."""
        return DayFigures.sum(self.days.values())

    @property
    def distinct(self) -> list[Unreadable]:
        """What could not be read, each once: a log file near midnight is read for two days."""
        return list({each.entry: each for each in self.unreadable}.values())

    @property
    def unreadable_count(self) -> int:
        """How many log files and records could not be read, those that are not named as well."""
        return self.total.unreadable - len(self.unreadable) + len(self.distinct)

    def states(self) -> dict[str, int]:
        """How many days of places are in each state."""
        counts: dict[str, int] = {}
        for each in self.ranges():
            counts[each.verdict.state] = counts.get(each.verdict.state, 0) + each.days
        return counts

    def ranges(self) -> Iterator[CoveredRange]:
        """All ranges of days, place by place."""
        return chain.from_iterable(self.coverage.values())

    @property
    def lacking(self) -> int:
        """How many days of places lack."""
        return sum(each.days for each in self.ranges() if each.verdict.is_lack)
