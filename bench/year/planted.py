"""A year of an organization with gaps of six causes: where they are, and what is to be told.

Each account's year is cut into slots of some days. At most one gap takes the middle of each, so
that there are days with records around it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Literal, NamedTuple

from cloudtrail_parquet.coverage.verdicts import Cause, CoverageState
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.sample_logs import REGIONS

GapCause = Literal["never converted", "deleted", "quiet", "trail stopped", "expired", "region"]
CAUSES: tuple[GapCause, ...] = GapCause.__args__  # type: ignore[attr-defined]
"""``never converted``: an outage of the converter, log files are there; ``deleted``: log files that
digest files name are gone; ``quiet``: nothing happened, as digest files say of every other one;
``trail stopped``: of a place, an account or the organization; ``expired``: log files are gone that
were not converted in time; ``region``: not enabled yet, or disabled."""

Said = tuple[CoverageState, Cause]

_STATES: dict[GapCause, CoverageState] = {
    **dict.fromkeys(CAUSES, "empty"),
    "never converted": "missing",
    "deleted": "missing",
}
_DAY = timedelta(days=1)
_EXPIRED, _NEAR = 3, 4
_MAY, _DAYS_OF_MAY = 120, 31
_STOPS = (
    ("StopLogging", "StartLogging"),
    ("DeleteTrail", "CreateTrail"),
    ("UpdateTrail", "UpdateTrail"),
    ("PutEventSelectors", "PutEventSelectors"),
)


@dataclass(frozen=True, kw_only=True)
class YearSpec:
    """The year to plan.

    Attributes:
        accounts: Accounts of the organization; half of ``gaps`` is enough.
        regions: Regions of each, 2 to 17.
        days: Days, from ``first_day`` on.
        gaps: Gaps, as many of each cause, so a multiple of six; at least 12.
        damaged: Days of places that have a log file which cannot be read.
        slot: Days of a slot, 8 or more: a third of it before a gap, which is no longer than that.
        seed: Any integer; another seed plants other gaps and draws other records.
        first_day: The first day, UTC.
    """

    accounts: int = 40
    regions: int = 6
    days: int = 365
    gaps: int = 60
    damaged: int = 20
    slot: int = 12
    seed: int = 0
    first_day: date = date(2025, 1, 1)

    @property
    def last_day(self) -> date:
        """The last day."""
        return self.first_day + _DAY * (self.days - 1)


class PlantedGap(NamedTuple):
    """A gap.

    Attributes:
        cause: Why.
        places: Of which places.
        first: The first day.
        last: The last day.
        has_digests: Whether there are digest files of its days, and of those around them.
    """

    cause: GapCause
    places: tuple[Place, ...]
    first: date
    last: date
    has_digests: bool = False

    @property
    def days(self) -> list[date]:
        """Its days."""
        return [self.first + _DAY * number for number in range((self.last - self.first).days + 1)]

    @property
    def units(self) -> list[tuple[Place, date]]:
        """Each of its places on each of its days."""
        return [(place, day) for place in self.places for day in self.days]

    @property
    def said(self) -> Said:
        """What is to be said of each."""
        return _STATES[self.cause], self.cause


class PlannedCall(NamedTuple):
    """A call whose record tells of a gap.

    Attributes:
        service: ``cloudtrail.amazonaws.com``.
        name: ``StopLogging``.
        parameters: ``{"name": "organization-trail"}``.
    """

    service: str
    name: str
    parameters: dict[str, str]


@dataclass
class Year:
    """What is planted.

    Attributes:
        spec: What was asked for.
        accounts: The accounts, twelve digits each.
        places: All places.
        gaps: The gaps.
        calls: Calls that tell of gaps, by the place and the day of their records.
        damaged: Days of places that have a log file which cannot be read.
    """

    spec: YearSpec
    accounts: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    gaps: list[PlantedGap] = field(default_factory=list)
    calls: dict[tuple[Place, date], list[PlannedCall]] = field(default_factory=dict)
    damaged: set[tuple[Place, date]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Plant the gaps.

        Raises:
            ValueError: There is no room for so many.
        """
        spec, self._rng = self.spec, Random(f"year/{self.spec.seed}")
        self.accounts = [str(n) for n in self._rng.sample(range(10**11, 10**12), spec.accounts)]
        self._regions = REGIONS[: spec.regions]
        self.places = [place for account in self.accounts for place in self._of(account)]
        self._slots = range(1, spec.days // spec.slot - 1)
        self._taken = set[tuple[str, int]]()
        each = spec.gaps // len(CAUSES)
        chosen = self._rng.sample(self.accounts, 3 * each - 2)
        stopped, late, new = (chosen[n : n + each] for n in (0, each - 1, 2 * each - 2))
        self._stop_all()
        self._expire(late[:-1])
        self._stop(stopped[:-1])
        self._enable(new)
        self._plant_alone(each)
        self._damage()

    def said(self) -> dict[tuple[Place, date], Said]:
        """What there is to say of each place and day."""
        days = [self._day(number) for number in range(self.spec.days)]
        said = dict.fromkeys(((place, day) for place in self.places for day in days), _CONVERTED)
        said |= dict.fromkeys(self.damaged, _DAMAGED)
        for gap in self.gaps:
            said |= dict.fromkeys(gap.units, gap.said)
        return said

    def _day(self, number: int) -> date:
        return self.spec.first_day + _DAY * number

    def _of(self, account: str) -> list[Place]:
        return [Place(account, region) for region in self._regions]

    def _free(self, account: str) -> list[int]:
        return [slot for slot in self._slots if (account, slot) not in self._taken]

    def _range(self, slot: int) -> tuple[int, int]:
        third = self.spec.slot // 3
        first = slot * self.spec.slot + third
        return first, first + self._rng.randrange(third)

    def _add(
        self, cause: GapCause, places: Iterable[Place], first: int, last: int, *, digests: bool
    ) -> None:
        days = self._day(first), self._day(last)
        self.gaps.append(PlantedGap(cause, tuple(places), *days, digests))

    def _call(self, place: Place, day: int, call: PlannedCall) -> None:
        self.calls.setdefault((place, self._day(day)), []).append(call)

    def _stop_all(self) -> None:
        """Stop the organization's trail."""
        slot = self._rng.choice(self._slots[len(self._slots) // 2 : -1])
        self._taken |= {(account, slot) for account in self.accounts}
        self._stop_some(self.places, *self._range(slot), _STOPS[0])

    def _stop(self, accounts: Sequence[str]) -> None:
        """Stop trails of accounts: one for good, and the second one in one region only."""
        for number, account in enumerate(accounts):
            places = self._of(account)
            names: Sequence[str] = _STOPS[number % len(_STOPS)]
            slot = self._rng.choice(self._free(account)[:-1])
            first, last = self._range(slot)
            if number == 0:
                slot, names = self._slots[-1], names[:1]
                first, last = self._range(slot)[0], self.spec.days - 1
            self._taken.add((account, slot))
            self._stop_some(places[:1] if number == 1 else places, first, last, names)

    def _stop_some(self, places: list[Place], first: int, last: int, names: Sequence[str]) -> None:
        """A gap that the records of its first place tell of."""
        self._add("trail stopped", places, first, last, digests=False)
        for day, name in zip((first - 1, last + 1), names, strict=False):
            member = "trailName" if name == "PutEventSelectors" else "name"
            named = {member: "organization-trail"}
            self._call(places[0], day, PlannedCall("cloudtrail.amazonaws.com", name, named))

    def _expire(self, accounts: Sequence[str]) -> None:
        """The first days of all; then in some accounts what was not converted in time.

        What is older than such a gap has expired as well, though it was converted.
        """
        self._add("expired", self.places, 0, _EXPIRED - 1, digests=False)
        for account in accounts:
            slot = self._rng.choice(self._slots[: max(len(self._slots) // 3, 1)])
            self._taken |= {(account, one) for one in self._slots if one <= slot}
            self._add("expired", self._of(account), *self._range(slot), digests=False)

    def _enable(self, accounts: Sequence[str]) -> None:
        """Regions that were enabled in May, as records tell of every other; one was disabled."""
        self._enabled = set[Place]()
        for number, account in enumerate(accounts):
            place = Place(account, self._regions[1 + number % (len(self._regions) - 1)])
            self._enabled.add(place)
            is_told, is_disabled = number % 2 == 0, number == 1
            day = self.spec.days * _MAY // 365
            day += self._rng.randrange(self.spec.days * _DAYS_OF_MAY // 365)
            days = (0 if is_told else _EXPIRED, day)
            if is_disabled:
                day = self._slots[-1] * self.spec.slot + self._rng.randrange(self.spec.slot)
                days = (day + 1, self.spec.days - 1)
            self._add("region", [place], *days, digests=False)
            if is_told or is_disabled:
                name = "DisableRegion" if is_disabled else "EnableRegion"
                call = PlannedCall("account.amazonaws.com", name, {"RegionName": place.region})
                self._call(Place(account, self._regions[0]), day, call)

    def _plant_alone(self, number: int) -> None:
        """Those gaps that are of one place, and of nothing around it."""
        free = [(account, slot) for account in self.accounts for slot in self._free(account)]
        causes = [cause for cause in CAUSES[:3] for _ in range(number)]
        if len(free) < len(causes):
            raise ValueError(f"no room for {self.spec.gaps} gaps in {self.spec}")
        chosen = zip(causes, self._rng.sample(free, len(causes)), strict=True)
        for n, (cause, (account, slot)) in enumerate(chosen):
            places = [place for place in self._of(account) if place not in self._enabled]
            digests = cause == "deleted" or (cause == "quiet" and n % 2 == 0)
            place = self._rng.choice(places)
            self._add(cause, [place], *self._range(slot), digests=digests)

    def _damage(self) -> None:
        """Choose days that are not beside a gap."""
        near = range(-_NEAR, _NEAR + 1)
        beside = {
            (place, day + _DAY * number)
            for gap in self.gaps
            for place, day in gap.units
            for number in near
        }
        while len(self.damaged) < self.spec.damaged:
            unit = self._rng.choice(self.places), self._day(self._rng.randrange(self.spec.days))
            if unit not in beside:
                self.damaged.add(unit)


_CONVERTED: Said = ("converted", "")
_DAMAGED: Said = ("partial", "quarantined")
