"""Planning a range of days: the units, their sizes, and which of them are due for conversion.

All of it comes from listings of the source, of the receipts and, where asked for, of the parts,
several places at a time. Neither keys nor units are held: a plan may be of years and of thousands
of accounts. Estimates are for a Lambda function of `MEMORY_MB`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, starmap
from typing import Literal, NamedTuple

from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Place, Unit, fits, span_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.cost import BYTES_PER_S, FILE_S, PLACE_S, UNIT_S
from cloudtrail_parquet.planning.due import (
    NEVER,
    NO_RECEIPT,
    UNFINISHED,
    Present,
    why_outdated,
)
from cloudtrail_parquet.planning.listing import Deliveries, Listing, list_place
from cloudtrail_parquet.planning.part_sizes import PartSizes
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.state.keys import receipt_days
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore

_NO_FILES = str(Fingerprint())
_LISTINGS, _SPANS, _RECEIPTS = 32, 4, 16  # asked for at a time; of each place, span and unit

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
        places: How many places have a log file in its window.
    """

    unit: Unit
    files: int
    bytes: int
    fingerprint: str = ""
    why: str = ""
    places: int = 1

    @property
    def seconds(self) -> float:
        """An estimate of how long its conversion takes."""
        more = max(self.places - 1, 0)
        return UNIT_S + more * PLACE_S + self.files * FILE_S + self.bytes / BYTES_PER_S


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
        """Whether an account and region are in the range; one that is "" stands for all."""
        return (not self.accounts or account in self.accounts or not account) and (
            not self.regions or region in self.regions or not region
        )

    def holds_unit(self, unit: Unit) -> bool:
        """Whether a unit may have something of the range."""
        return self.first <= unit.day <= self.last and self.holds(*unit.span)


class Receipts(NamedTuple):
    """What units are compared with.

    Attributes:
        state: The store of the receipts.
        now: The time, which tells whether a unit can be settled.
        dataset: The store of the parts, if these are to be compared with the receipts as well,
            which lists them.
    """

    state: ReadStore
    now: datetime
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

    A unit that spans several places is one of the range if a place of the range has a log file in
    its window; its figures and its fingerprint are those of all its places. Accounts that may not
    be listed are left out of them.

    Args:
        source: The source of the logs.
        receipts: What the units are compared with.
        discovery: What `discover.discover` found; receives the places that have log files, their
            grain, and the log files that no unit reads, as far as they are listed.
        wanted: The range of units.
        only: Which of these to select.
        options: How they would be converted.
    """
    open_units = frozenset[Unit]() if only == "all" else frozenset(unfinished(receipts.state))
    plan = _Plan(source, receipts, discovery, wanted, only, options, open_units)
    if only == "all":
        yield from chain.from_iterable(span.units() for span in plan.spans())
        return
    candidates = chain.from_iterable(ahead(receipts.state, plan.candidates, plan.spans(), _SPANS))
    if only == "missing":  # nothing has to be read for that
        yield from filter(None, map(plan.compared, candidates))
    else:
        yield from filter(None, ahead(receipts.state, plan.compared, candidates, _RECEIPTS))


class _Span(NamedTuple):
    """What the listings of all places of a span have shown.

    Attributes:
        span: The account and the region of its units, either of them "" if they span all of them.
        days: The log files of all places, by day.
        wanted: The days on whose windows a place of the range has a log file.
    """

    span: Place
    days: dict[date, Deliveries]
    wanted: set[date]

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


class _Candidate(NamedTuple):
    """A unit of the range, and what it is to be compared with.

    Attributes:
        planned: The unit.
        has_receipt: Whether there is a receipt of it.
        parts: The parts of its span; None if parts are not compared.
    """

    planned: PlannedUnit
    has_receipt: bool
    parts: PartSizes | None


@dataclass(frozen=True)
class _Plan:
    """The steps of a plan, in order; `plan_units` has the attributes."""

    source: ReadStore
    receipts: Receipts
    discovery: Discovery
    wanted: UnitRange
    only: Only
    options: PlanOptions
    open_units: frozenset[Unit]

    def spans(self) -> Iterator[_Span]:
        """The spans of the range, sorted, with the log files of all their places."""
        places_of = self._places()
        every = chain.from_iterable(places_of.values())
        listings = ahead(self.source, self._list, every, _LISTINGS)
        for name, places in places_of.items():
            span = _Span(name, defaultdict(Deliveries), set())
            for place in places:
                self._add(place, next(listings), span)
            for day in span.wanted:
                self.discovery.grain.add(day, span.days[day].files, span.days[day].bytes)
            yield span

    def _places(self) -> dict[Place, list[Place]]:
        """The places of each span that has one of the range, or a unit that is not finished."""
        layout = self.options.dataset.layout
        places_of = defaultdict[Place, list[Place]](list)
        for place in sorted(starmap(Place, self.discovery.trails)):
            places_of[span_of(place, layout)].append(place)
        chosen = {
            span
            for span, places in places_of.items()
            if any(self.wanted.holds(*place) for place in places)
        }
        for unit in self.open_units:  # planned even if its logs are gone
            is_refused = unit.account in self.discovery.refused
            if self.wanted.holds(*unit.span) and not is_refused and fits(unit, layout):
                chosen.add(unit.span)
        return {span: places_of.get(span, []) for span in sorted(chosen)}

    def _list(self, place: Place) -> Listing | RefusedError:
        """List a place; one that may not be listed keeps no other from being read."""
        trails, dataset = self.discovery.trails[place], self.options.dataset
        first, last = self.wanted.first, self.wanted.last
        named = None if span_of(place, dataset.layout) == place else place
        try:
            return list_place(self.source, trails, first, last, dataset.window, named)
        except RefusedError as error:
            return error

    def _add(self, place: Place, listing: Listing | RefusedError, span: _Span) -> None:
        """Add the listing of a place to its span, and tell the discovery what it has shown."""
        if isinstance(listing, RefusedError):
            self.discovery.refused.setdefault(place.account, listing)
            return
        for day, of_day in listing.days.items():
            span.days[day].merge(of_day)
        if self.wanted.holds(*place):
            self.discovery.unplaced.merge(listing.unplaced.folders)
            self.discovery.grain.sample.merge(listing.sample)
            touched = {day for day, of_day in listing.days.items() if of_day.places}
            span.wanted.update(touched)
            if touched:
                self.discovery.with_logs.add(place)

    def candidates(self, span: _Span) -> list[_Candidate]:
        """The units of a span that may be due, sorted, those without log files included."""
        first, last, parts = self.wanted.first, self.wanted.last, None
        if self.only != "missing" and self.receipts.dataset is not None:
            layout = self.options.dataset.layout
            parts = PartSizes(self.receipts.dataset, span.span, first, last, layout)
        units = span.units()
        others = {unit for unit in self.open_units if unit.span == span.span}
        if not (units or parts or others):
            return []
        converted = receipt_days(self.receipts.state, span.span, first, last)
        owners = parts.owners() if parts else ()
        others.update(owner for owner in owners if owner.day not in converted)
        if self.options.replace_shrunk:  # else what is left of those without log files is kept
            others.update(Unit(*span.span, day) for day in converted)
        with_files = {day for day, of_day in span.days.items() if of_day.places}
        units += (
            PlannedUnit(unit, 0, 0, _NO_FILES, places=0)
            for unit in others
            if unit.day not in with_files and first <= unit.day <= last
        )
        return [_Candidate(unit, unit.unit.day in converted, parts) for unit in sorted(units)]

    def compared(self, candidate: _Candidate) -> PlannedUnit | None:
        """A unit with the reason why it is due; None if it is not."""
        planned, unit = candidate.planned, candidate.planned.unit
        if not candidate.has_receipt:
            return planned._replace(why=NO_RECEIPT if planned.fingerprint == _NO_FILES else NEVER)
        if self.only == "missing":
            return None
        if unit in self.open_units:
            return planned._replace(why=UNFINISHED)
        options, dataset = self.options, self.options.dataset
        margin_s = options.settle_margin_s
        present = Present(
            fingerprint=planned.fingerprint,
            is_settled=dataset.window.has_passed(unit.day, self.receipts.now, margin_s),
            refused=[name for name in self.discovery.refused if unit.account in {"", name}],
            parts=candidate.parts,
        )
        is_reshaped = self.only == "reshaped"
        why = why_outdated(
            self.receipts.state,
            unit,
            present,
            options,
            reshaped=is_reshaped,
            incomplete=self.discovery.incomplete,
        )
        return planned._replace(why=why) if why else None
