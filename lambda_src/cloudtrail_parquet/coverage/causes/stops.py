"""When no log files were delivered, as records beside gaps tell: trails that were stopped."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.coverage.causes.day_sets import DaySet, day_after
from cloudtrail_parquet.coverage.causes.record_days import RecordDays
from cloudtrail_parquet.coverage.causes.trail_events import TrailEvent, trail_events
from cloudtrail_parquet.layout import Place, Unit, span_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.storage import ReadStore

_DAY = timedelta(days=1)
NEAR = 2
"""So many days beside a gap are looked into: the first or last one may hold no more than what was
delivered around midnight."""
MANY, FEW = 1_000, 50
"""So many partitions are looked into at most; of a dataset of very many units only a few."""
_AT_A_TIME = 16
_HOME = "us-east-1"
"""Where calls of AWS Account Management are recorded."""


class Gap(NamedTuple):
    """Days of a place with neither receipts nor log files, as far as that goes.

    Attributes:
        place: The place.
        first: The first day.
        last: The last day.
        is_leading: Whether nothing of the place comes before it.
        is_trailing: Whether nothing of the place comes after it.
    """

    place: Place
    first: date
    last: date
    is_leading: bool
    is_trailing: bool

    @property
    def beside(self) -> list[date]:
        """The days beside it that may tell why."""
        before = [] if self.is_leading else [self.first - _DAY * n for n in range(1, NEAR + 1)]
        after = [] if self.is_trailing else [self.last + _DAY * n for n in range(1, NEAR + 1)]
        return before + after

    @property
    def inside(self) -> list[date]:
        """The days of it, where it has an open end, on which the region may have been switched."""
        near = range(NEAR + 1)
        before_it = [self.last - _DAY * n for n in near] if self.is_leading else []
        after_it = [self.first + _DAY * (n - 1) for n in near] if self.is_trailing else []
        return before_it + after_it


class Stop(NamedTuple):
    """A time without deliveries.

    Attributes:
        place: The place whose gap told of it.
        first: The first day that it touches.
        last: The last day that it touches.
        basis: What that rests on, in words.
    """

    place: Place
    first: date
    last: date
    basis: str

    @property
    def edges(self) -> set[date]:
        """Its first and last days, and those next to them in it."""
        return {self.first, day_after(self.first), self.last - _DAY, self.last}


class Found(NamedTuple):
    """What was found beside gaps.

    Attributes:
        stops: Times without deliveries, by account.
        regions: The calls that enable or disable a region, by account and region.
        unlooked: How many partitions were not looked into.
        records: The days that have records.
    """

    stops: dict[str, list[Stop]]
    regions: dict[Place, list[TrailEvent]]
    unlooked: int
    records: RecordDays


def find_stops(  # noqa: PLR0913, PLR0917
    dataset: ReadStore,
    layout: PartitionLayout,
    gaps: Iterable[Gap],
    covered: Mapping[Place, DaySet],
    records: RecordDays,
    most: int = MANY,
) -> Found:
    """Look into the partitions beside gaps, first of those that most places of an account share.

    Args:
        dataset: The store of the parts.
        layout: Its layout.
        gaps: The gaps.
        covered: The days of each place that have a receipt.
        records: The days of each that have records.
        most: So many partitions are looked into at most.
    """
    gaps = list(gaps)
    shared = Counter((gap.place.account, gap.first) for gap in gaps)
    units = dict[Unit, None]()
    for gap in sorted(gaps, key=lambda gap: (-shared[gap.place.account, gap.first], gap)):
        beside = [(gap.place, day) for day in gap.beside]
        beside += [(Place(gap.place.account, _HOME), day) for day in gap.inside]
        units |= dict.fromkeys(
            Unit(*span_of(place, layout), day)
            for place, day in beside
            if day in covered.get(place, DaySet())
        )
    chosen = list(units)[:most]
    answers = ahead(dataset, lambda unit: trail_events(dataset, unit, layout), chosen, _AT_A_TIME)
    events = [event for answer in answers for event in answer]
    found = Found({}, {}, len(units) - len(chosen), records)
    for event in sorted(events):
        if event.action in {"enables", "disables"}:
            region = Place(event.place.account, event.subject)
            found.regions.setdefault(region, []).append(event)
    for gap in gaps:
        told = [event for event in events if event.place == gap.place]
        if stop := _stop_of(gap, told, records):
            found.stops.setdefault(gap.place.account, []).append(stop)
    return found


def _stop_of(gap: Gap, events: list[TrailEvent], records: RecordDays) -> Stop | None:
    """The time without deliveries that the records beside a gap tell of.

    What has records on a day between is not explained by them.
    """
    before = [event for event in events if event.time.date() < gap.first and _is_near(event, gap)]
    after = [event for event in events if event.time.date() > gap.last and _is_near(event, gap)]
    begins = [event for event in sorted(before) if event.action in {"stops", "changes", "starts"}]
    ends = [event for event in sorted(after) if event.action in {"starts", "changes"}]
    begin, end = begins[-1] if begins else None, ends[0] if ends else None
    if begin is not None and (
        begin.action == "starts" or _any_between(begin.time.date(), gap.first, gap.place, records)
    ):
        begin = None
    if end is not None and _any_between(gap.last, end.time.date(), gap.place, records):
        end = None
    if gap.is_leading and end is not None and end.action == "starts":
        return Stop(gap.place, gap.first, end.time.date(), f"before {end.words}")
    if begin is None or (begin.action == "changes" and end is None and not gap.is_trailing):
        return None
    if end is not None:
        return Stop(gap.place, begin.time.date(), end.time.date(), f"{begin.words}; {end.words}")
    last = date.max if gap.is_trailing else gap.last
    again = "" if gap.is_trailing else "; no record tells of its start"
    return Stop(gap.place, begin.time.date(), last, begin.words + again)


def _any_between(after: date, before: date, place: Place, records: RecordDays) -> bool:
    """Whether a place has records of a day between two others."""
    between = range(1, (before - after).days)
    return any(records.has_any(place, after + _DAY * number) for number in between)


def _is_near(event: TrailEvent, gap: Gap) -> bool:
    begin, end = gap.first - _DAY * NEAR, gap.last + _DAY * NEAR
    return _midnight(begin) <= event.time.replace(tzinfo=None) < _midnight(end + _DAY)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - compared with others of UTC
