"""Days without a receipt: whether something is missing, and if not, why there is nothing.

What is said rests on what is listed and on records; where these do not tell, that is said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from cloudtrail_parquet.coverage.causes.day_sets import DaySet, cut, day_after
from cloudtrail_parquet.coverage.causes.digest_days import DigestDay, DigestDays
from cloudtrail_parquet.coverage.causes.record_days import RecordDays
from cloudtrail_parquet.coverage.causes.stops import NEAR, Found, Gap, Stop
from cloudtrail_parquet.coverage.ranges import CoveredRange, RangesByPlace, add_all
from cloudtrail_parquet.coverage.source_days import DayFiles, SourceDays
from cloudtrail_parquet.coverage.verdicts import LATE, NO_RECEIPT, REBUILT, Verdict
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.planning.ranges import UnitRange

_DAY = timedelta(days=1)
_HOURS = 24
_NEVER = Verdict("missing", "never converted", "log files are in the source")
_QUIET = "no log files are listed"
_NOT_TOLD = "SOURCE was not named"


@dataclass
class Gaps:
    """All days of some places, of a range, without a receipt.

    Attributes:
        wanted: The days, accounts and regions.
        covered: The days of each place that have a receipt, wanted or not.
        source: What the source has; None if it is not known.
        orphans: The days that have parts and no receipt.
        late: The days of which records came in log files of other days.
        rebuilt: Units of all log files that there are, whose receipts name only places with rows.
        found: Ranges of days that have something, though no receipt.
        gaps: Days that have nothing, as far as is known; of each gap at least one is wanted.
        beside: Gaps of other places that may tell why.
    """

    wanted: UnitRange
    covered: Mapping[Place, DaySet]
    source: SourceDays | None
    orphans: Mapping[Place, Collection[date]]
    late: Mapping[Place, Collection[date]] = field(default_factory=dict)
    rebuilt: Collection[Unit] = ()
    found: list[CoveredRange] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    beside: list[Gap] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find them."""
        self._accounts = _by_account(self.covered)
        self._all = DaySet(days for some in self.covered.values() for days in some)
        ends = [day for days in self._all for day in days]
        ends += [self.wanted.first, self.wanted.last]
        self._ends = min(ends), max(ends)
        listed = self.source.days if self.source else {}
        refused = self.source.discovery.refused if self.source else {}
        places = self.covered.keys() | listed.keys() | self.orphans.keys()
        self._named = [place for place in places if all(place)]
        found = self.source.discovery.trails if self.source else {}
        self._places = {*places, *map(Place._make, found)}
        self._places |= {Place(account, "") for account in refused}
        for place in sorted(place for place in places if self.wanted.holds(*place)):
            self._find(place)
        for account in refused.keys() - {place.account for place in places}:
            if self.wanted.holds(account, ""):
                whole = self.wanted.first, self.wanted.last
                self.gaps.append(Gap(Place(account, ""), *whole, True, True))  # noqa: FBT003
        self._look_beside(place for place in self.covered if not self.wanted.holds(*place))

    @property
    def last_seen(self) -> date | None:
        """The last day with a receipt or log files, of any place; None if there is none."""
        days = [last for _, last in self._all]
        days += [day for some in (self.source.days if self.source else {}).values() for day in some]
        return max(days, default=None)

    def unseen(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Wanted accounts and regions of which nothing was ever seen, and all that were.

        Each by the word for it. Where a name is not known, all may have been.
        """
        wanted = self.wanted.accounts, self.wanted.regions
        for which, (kind, names) in enumerate(zip(Place._fields, wanted, strict=True)):
            seen = {place[which] for place in self._places}
            yield kind, [] if "" in seen else sorted(names - seen), sorted(seen)

    def _find(self, place: Place) -> None:
        ranges = RangesByPlace()
        add_all(ranges, self._without_receipt(place))
        self.found += ranges.get(place, ())
        self.gaps += self._gaps_of(place, (self.wanted.first, self.wanted.last))

    def _without_receipt(self, place: Place) -> Iterator[CoveredRange]:
        """The wanted days of a place that have something, though no receipt."""
        covered, listed = self.covered.get(place, DaySet()), self._listed(place)
        orphans = self._orphans(place)
        for day in sorted({*listed, *orphans}):
            if day not in covered and self.wanted.first <= day <= self.wanted.last:
                files = listed.get(day, DayFiles())
                figures = files.files, files.bytes
                verdict = NO_RECEIPT if day in orphans else _NEVER
                if any(Unit(*span, day) in self.rebuilt for span in _spans(place)):
                    verdict = REBUILT  # and the place has no rows
                yield CoveredRange(place, day, day, verdict, *figures)

    def _listed(self, place: Place) -> Mapping[date, DayFiles]:
        return self.source.days.get(place, {}) if self.source else {}

    def _orphans(self, place: Place) -> Collection[date]:
        """The days on which the unit of a place has parts and no receipt, whatever it spans.

        Where places are known that it may be about, these are told of, and not the span itself.
        """
        if not all(place) and any(place.account in {"", one.account} for one in self._named):
            return ()
        return {day for span in _spans(place) for day in self.orphans.get(span, ())}

    def _gaps_of(self, place: Place, *among: tuple[date, date]) -> Iterator[Gap]:
        """The gaps of a place that have a day in one of some ranges.

        One without a name has none of its own: it stands for places that are not known.
        """
        if not all(place) and not (self.source and self.source.refused(place.account)):
            return
        covered, others = self.covered.get(place, DaySet()), self._orphans(place)
        there = DaySet([*covered, *((day, day) for day in (*self._listed(place), *others))])
        ends = [day for days in there for day in days]
        for first, last in there.gaps(*self._ends):
            if any(begin <= last and first <= end for begin, end in among):
                is_leading, is_trailing = not ends or last < ends[0], not ends or first > ends[-1]
                yield Gap(place, first, last, is_leading, is_trailing)

    def _look_beside(self, others: Iterable[Place]) -> None:
        """Find gaps of places that were not asked for, on days on which their accounts are silent.

        Those of other accounts matter where everybody is: see `_concerns`.
        """
        days = self.wanted.first, self.wanted.last
        accounts = {gap.place.account for gap in self.gaps}
        everywhere = list(self._all.gaps(*days))
        for place in sorted(others):
            is_near = place.account in accounts
            silent = list(self._account(place).gaps(*days)) if is_near else everywhere
            if self.gaps and silent:
                self.beside += self._gaps_of(place, *silent)

    def explained(self, found: Found, digests: DigestDays | None) -> Iterator[CoveredRange]:
        """The wanted days of the gaps, cut into ranges of which the same is said.

        Args:
            found: What records tell.
            digests: What digest files tell; None without a source.
        """
        for gap in self.gaps:
            stops = _nearest(found.stops, gap.place)
            edges = [day for stop in stops for day in stop.edges]
            borders = [border for day in edges for border in (day, day_after(day))]
            borders += [day_after(event.time.date()) for event in found.regions.get(gap.place, ())]
            borders += self._account(gap.place).borders(gap.first, gap.last)
            borders += self._all.borders(gap.first, gap.last)
            if self.source:
                oldest = (self.source.first, self.source.oldest.get(gap.place))
                borders += [day for day in oldest if day]
            ends = max(gap.first, self.wanted.first), min(gap.last, self.wanted.last)
            for first, last in cut(*ends, borders):
                verdict = self._verdict(gap, first, stops, found)
                each = CoveredRange(gap.place, first, last, verdict)
                asks = digests if verdict.cause in {"quiet", "region"} else None
                for told in _by_digests(each, asks) if asks else (each,):
                    yield from self._with_late(told)

    def _with_late(self, told: CoveredRange) -> Iterator[CoveredRange]:
        """A range, of which quiet days may have records all the same."""
        late = [day for day in self.late.get(told.place, ()) if told.first <= day <= told.last]
        if told.verdict.cause != "quiet" or not late:
            yield told
            return
        borders = [border for day in late for border in (day, day_after(day))]
        for first, last in cut(told.first, told.last, borders):
            verdict = LATE if first in late else told.verdict
            yield CoveredRange(told.place, first, last, verdict)

    def _account(self, place: Place) -> DaySet:
        return self._accounts.get(place.account, DaySet())

    def _verdict(  # noqa: PLR0911 - one for each cause
        self, gap: Gap, day: date, stops: Iterable[Stop], found: Found
    ) -> Verdict:
        """What is said of a day of a gap."""
        place, source = gap.place, self.source
        if source and (why := source.refused(place.account)):
            return Verdict("empty", "refused", f"the account may not be listed: {why}")
        for stop in stops:
            if stop.first <= day <= stop.last and self._concerns(stop, gap, day, found.records):
                return Verdict("empty", "trail stopped", stop.basis)
        if region := self._region(gap, day, found):
            return region
        if source is None:
            return Verdict("unknown", "no receipt", _NOT_TOLD)
        oldest, is_silent = source.oldest.get(place), day not in self._account(place)
        if is_silent and source.first is not None and day < source.first:
            return Verdict(
                "empty", "expired", f"older than all that is listed, from {source.first} on"
            )
        if gap.is_leading:
            return Verdict(
                "empty", "region", f"not enabled or not used before {day_after(gap.last)}"
            )
        if gap.is_trailing or (oldest is not None and day >= oldest):
            return Verdict("empty", "quiet", _QUIET)
        if is_silent:
            since = f"from {oldest} on" if oldest else "none of the place"
            return Verdict("empty", "expired", f"older than its log files that are listed, {since}")
        return Verdict("empty", "quiet", f"{_QUIET}; older ones have expired")

    def _region(self, gap: Gap, day: date, found: Found) -> Verdict | None:
        """What calls that enable or disable the region tell of a day of a gap."""
        action = "enables" if gap.is_leading else "disables" if gap.is_trailing else ""
        for event in found.regions.get(gap.place, ()):
            switched = event.time.date()
            is_outside = switched >= day if gap.is_leading else switched <= day
            if event.action == action and is_outside:
                when = "before" if gap.is_leading else "after"
                return Verdict("empty", "region", f"not enabled {when} {event.words}")
        return None

    def _concerns(self, stop: Stop, gap: Gap, day: date, records: RecordDays) -> bool:
        """Whether a stop that one place tells of is why another one has nothing on a day.

        A place that had something after the stop, or has it again before its end, is not concerned.
        Around its ends what is delivered about midnight may be all that others have of a day.
        """
        if stop.place == gap.place:
            return True
        is_since = gap.is_leading or (gap.first - stop.first).days <= NEAR
        is_until = gap.is_trailing or (stop.last - gap.last).days <= NEAR
        if not (is_since and is_until):
            return False
        is_own = stop.place.account == gap.place.account
        there = self._account(gap.place) if is_own else self._all
        if day not in there:
            return True  # if of others, then it was a trail of the organization
        whose = Place(gap.place.account if is_own else "", "")
        return day in stop.edges and not records.has_any(whose, day)


def _spans(place: Place) -> set[Place]:
    """The spans of units that may have a place, in any layout."""
    return {place, Place(place.account, ""), Place("", "")}


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


def _by_digests(silent: CoveredRange, digests: DigestDays) -> Iterator[CoveredRange]:
    """Days without log files, by what digest files say; as before where there are none."""
    told = digests.look(silent.place, silent.first, silent.last)
    before: CoveredRange | None = None
    for day in _days(silent.first, silent.last):
        each = CoveredRange(silent.place, day, day, _told(told.get(day), silent.verdict))
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
