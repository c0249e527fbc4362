"""Days without a receipt: whether something is missing, and if not, why there is nothing.

What is said rests on what is listed and on records; where these do not tell, that is said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from cloudtrail_parquet.coverage.causes.day_sets import DaySet, cut
from cloudtrail_parquet.coverage.causes.digest_days import DigestDay, DigestDays
from cloudtrail_parquet.coverage.causes.stops import Found, Gap, Stop
from cloudtrail_parquet.coverage.ranges import CoveredRange, RangesByPlace
from cloudtrail_parquet.coverage.source_days import DayFiles, SourceDays
from cloudtrail_parquet.coverage.verdicts import NO_RECEIPT, Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.ranges import UnitRange

_DAY = timedelta(days=1)
_HOURS = 24
_NEVER = Verdict("missing", "never converted", "log files are in the source")
_QUIET = "no log files are listed"
_NOT_TOLD = "SOURCE was not named"


def covered_days(ranges: RangesByPlace) -> dict[Place, DaySet]:
    """The days of each place that have a receipt."""
    return {
        place: DaySet((each.first, each.last) for each in some) for place, some in ranges.items()
    }


@dataclass
class Gaps:
    """All days of some places, of a range, without a receipt.

    Attributes:
        wanted: The days, accounts and regions.
        covered: The days of each place that have a receipt.
        source: What the source has; None if it is not known.
        orphans: The days that have parts and no receipt.
        found: Ranges of days that have something, though no receipt.
        gaps: Ranges of days that have nothing, as far as is known.
    """

    wanted: UnitRange
    covered: Mapping[Place, DaySet]
    source: SourceDays | None
    orphans: Mapping[Place, Collection[date]]
    found: list[CoveredRange] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find them."""
        self._accounts = _by_account(self.covered)
        self._all = DaySet(days for some in self.covered.values() for days in some)
        listed = self.source.days if self.source else {}
        places = self.covered.keys() | listed.keys() | self.orphans.keys()
        for place in sorted(place for place in places if self.wanted.holds(*place)):
            self._find(place)
        seen = {place.account for place in places}
        for account in self.source.discovery.refused if self.source else ():
            if account not in seen and self.wanted.holds(account, ""):
                whole = self.wanted.first, self.wanted.last
                self.gaps.append(Gap(Place(account, ""), *whole, True, True))  # noqa: FBT003

    def _find(self, place: Place) -> None:
        listed = self.source.days.get(place, {}) if self.source else {}
        covered, orphans = self.covered.get(place, DaySet()), self.orphans.get(place, ())
        there = DaySet([*covered, *((day, day) for day in (*listed, *orphans))])
        ends = [day for days in there for day in days]
        for day in sorted({*listed, *orphans}):
            if day not in covered and self.wanted.first <= day <= self.wanted.last:
                verdict = NO_RECEIPT if day in orphans else _NEVER
                files = listed.get(day, DayFiles())
                figures = files.files, files.bytes
                self.found.append(CoveredRange(place, day, day, verdict, *figures))
        for first, last in there.gaps(self.wanted.first, self.wanted.last):
            is_leading, is_trailing = not ends or last < ends[0], not ends or first > ends[-1]
            self.gaps.append(Gap(place, first, last, is_leading, is_trailing))

    def explained(self, found: Found, digests: DigestDays | None) -> Iterator[CoveredRange]:
        """The gaps, each cut into ranges of which the same is said.

        Args:
            found: What records beside the gaps tell.
            digests: What digest files tell; None without a source.
        """
        for gap in self.gaps:
            stops = _nearest(found.stops, gap.place)
            borders = [day for stop in stops for day in (stop.first, _next(stop.last))]
            borders += [_next(event.time.date()) for event in found.regions.get(gap.place, ())]
            borders += self._account(gap.place).borders(gap.first, gap.last)
            borders += self._all.borders(gap.first, gap.last)
            if self.source:
                oldest = (self.source.first, self.source.oldest.get(gap.place))
                borders += [day for day in oldest if day]
            for first, last in cut(gap.first, gap.last, borders):
                piece = gap._replace(first=first, last=last, end=gap.last)
                verdict = self._verdict(piece, stops, found)
                if digests is not None and verdict.cause in {"quiet", "region"}:
                    yield from _by_digests(piece, verdict, digests)
                else:
                    yield CoveredRange(gap.place, first, last, verdict)

    def _account(self, place: Place) -> DaySet:
        return self._accounts.get(place.account, DaySet())

    def _verdict(  # noqa: PLR0911 - one for each cause
        self, gap: Gap, stops: Iterable[Stop], found: Found
    ) -> Verdict:
        """What is said of days that do not differ in anything that is known of them."""
        place, day, source = gap.place, gap.first, self.source
        if source and (why := source.refused(place.account)):
            return Verdict("empty", "refused", f"the account may not be listed: {why}")
        for stop in stops:
            if stop.first <= day <= stop.last and self._concerns(stop, place, day):
                return Verdict("empty", "trail stopped", stop.basis)
        if region := self._region(gap, found):
            return region
        if source is None:
            return Verdict("unknown", "no receipt", _NOT_TOLD)
        oldest, is_silent = source.oldest.get(place), day not in self._account(place)
        if is_silent and source.first is not None and day < source.first:
            return Verdict(
                "empty", "expired", f"older than all that is listed, from {source.first} on"
            )
        if gap.is_leading:
            return Verdict("empty", "region", f"not enabled or not used before {_next(gap.end)}")
        if oldest is not None and day >= oldest:
            return Verdict("empty", "quiet", _QUIET)
        if is_silent:
            since = f"from {oldest} on" if oldest else "none of the place"
            return Verdict("empty", "expired", f"older than its log files that are listed, {since}")
        return Verdict("empty", "quiet", f"{_QUIET}; older ones have expired")

    def _region(self, gap: Gap, found: Found) -> Verdict | None:
        """What calls that enable or disable the region tell of a gap."""
        action = "enables" if gap.is_leading else "disables" if gap.is_trailing else ""
        for event in found.regions.get(gap.place, ()):
            day = event.time.date()
            is_outside = day >= gap.first if gap.is_leading else day <= gap.first
            if event.action == action and is_outside:
                when = "before" if gap.is_leading else "after"
                return Verdict("empty", "region", f"not enabled {when} {event.words}")
        return None

    def _concerns(self, stop: Stop, place: Place, day: date) -> bool:
        """Whether a stop that one place tells of is why another one has nothing on a day."""
        if stop.place == place:
            return True
        if stop.place.account == place.account:
            return day not in self._account(place)
        return day not in self._all  # then it was a trail of the organization


def _nearest(stops: Mapping[str, list[Stop]], place: Place) -> list[Stop]:
    """All stops: those that the place itself tells of, then its account's, then those of others."""
    every = [stop for some in stops.values() for stop in some]
    distance = lambda stop: (stop.place != place, stop.place.account != place.account)  # noqa: E731
    return sorted(every, key=distance)


def _by_account(covered: Mapping[Place, DaySet]) -> dict[str, DaySet]:
    """The days of each account of which any region has a receipt."""
    ranges = defaultdict[str, list[tuple[date, date]]](list)
    for place, days in covered.items():
        ranges[place.account] += days
    return {account: DaySet(some) for account, some in ranges.items()}


def _by_digests(gap: Gap, verdict: Verdict, digests: DigestDays) -> Iterator[CoveredRange]:
    """Days without log files, by what digest files say; as before where there are none."""
    told = digests.look(gap.place, gap.first, gap.last)
    before: CoveredRange | None = None
    for day in _days(gap.first, gap.last):
        each = CoveredRange(gap.place, day, day, _told(told.get(day), verdict))
        joined = before.joined(each) if before else None
        if before and joined is None:
            yield before
        before = joined or each
    if before:
        yield before


def _told(digest: DigestDay | None, verdict: Verdict) -> Verdict:
    if digest is None:
        return verdict
    if digest.named:
        return Verdict(
            "missing", "deleted", "digest files name log files that are not in the source"
        )
    if digest.read < digest.digests:
        return Verdict("empty", "quiet", f"{_QUIET}; some digest files cannot be read")
    if digest.digests < _HOURS:
        return Verdict("empty", "quiet", f"{_QUIET}, and digest files of some hours say so")
    return Verdict("empty", "quiet", f"{_QUIET}, and digest files of all hours say so")


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + _DAY * number


def _next(day: date) -> date:
    return day if day == date.max else day + _DAY
