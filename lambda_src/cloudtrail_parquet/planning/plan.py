"""Planning a range of days: the units, their sizes, and which of them are due for conversion.

All of it comes from listings of the source, of the receipts and, where asked for, of the parts,
several places at a time. Neither keys nor units are held: a plan may be of years and of thousands
of accounts. Estimates are for a Lambda function of `MEMORY_MB`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, starmap
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.layout import Place, Unit, fits, span_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.cost import S3_GET, S3_PUT
from cloudtrail_parquet.planning.deadline import NO_DEADLINE, Deadline
from cloudtrail_parquet.planning.due import (
    NEVER,
    NO_RECEIPT,
    UNFINISHED,
    Present,
    why_outdated,
)
from cloudtrail_parquet.planning.listing import NOTHING_LISTED, Listing, Span, SpanPlan, list_place
from cloudtrail_parquet.planning.part_sizes import PartSizes
from cloudtrail_parquet.planning.ranges import (
    DEFAULT_ONLY,
    Only,
    PlannedUnit,
    Receipts,
    UnitRange,
)
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.state.keys import receipt_days
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore

__all__ = [
    "DEFAULT_ONLY",
    "Only",
    "Plan",
    "PlannedUnit",
    "Receipts",
    "SpanPlan",
    "UnitRange",
    "plan_units",
]

_NO_FILES = str(Fingerprint())
_LISTINGS, _SPANS, _RECEIPTS = 32, 4, 16  # asked for at a time; of each place, span and unit
_GETS = int(S3_PUT / S3_GET)  # so many cost as much as the listing that might spare them


T = TypeVar("T")


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
    for span in Plan(source, receipts, discovery, wanted, only, options).by_span():
        yield from span.due


class _Candidate(NamedTuple):
    """A unit of the range, and what it is to be compared with.

    Attributes:
        planned: The unit.
        has_receipt: Whether there is a receipt of it; None before one was asked for.
        parts: The parts of its span; None if parts are not compared.
    """

    planned: PlannedUnit
    has_receipt: bool | None
    parts: PartSizes | None


@dataclass(frozen=True)
class Plan:
    """A plan as it is made, span by span; see `plan_units`.

    Attributes:
        source: The source of the logs.
        receipts: What the units are compared with.
        discovery: What `discover.discover` found; receives what the listings show.
        wanted: The range of units.
        only: Which of these to select.
        options: How they would be converted.
        deadline: When no further span is begun, and when those under way are given up.
    """

    source: ReadStore
    receipts: Receipts
    discovery: Discovery
    wanted: UnitRange
    only: Only
    options: PlanOptions
    deadline: Deadline = NO_DEADLINE

    @property
    def spans(self) -> list[Place]:
        """The spans of the range, sorted."""
        return list(self.places_of)

    def by_span(self) -> Iterator[SpanPlan]:
        """What is found of each of the spans, in order; of the first ones if time is short.

        Raises:
            NotEnoughTimeError: The one after those is given up.
        """
        return self._concluded(self._listed())

    def gather(self, span: Span, places: Iterable[Place]) -> Iterator[Place]:
        """List places of a span, as long as there is time, and give each once that is done.

        Raises:
            NotEnoughTimeError: The one after those is given up.
        """
        asked = ((span.span, place) for place in self._in_time(places))
        for _, place, listing in ahead(self.source, self._list, asked, _LISTINGS):
            if place is not None:
                self._add(place, listing, span)
                yield place

    def conclude(self, span: Span) -> SpanPlan:
        """What is found of a span of which all places have been listed."""
        self._note_grain(span)
        (found,) = self._concluded(iter([span]))
        return found

    def _concluded(self, spans: Iterator[Span]) -> Iterator[SpanPlan]:
        due = list[PlannedUnit]()
        for answer in self._compared(spans):
            if isinstance(answer, SpanPlan):
                yield answer._replace(due=due)
                due = []
            elif answer is not None:
                due.append(answer)

    def _compared(self, spans: Iterator[Span]) -> Iterator[PlannedUnit | SpanPlan | None]:
        """The due units of each span, and then what was found of it."""
        if self.only == "all":
            for span in spans:
                yield from span.units()
                yield span.found()
            return
        state = self.receipts.state
        candidates = chain.from_iterable(ahead(state, self._candidates, spans, _SPANS))
        if self.only == "missing":  # nothing has to be read for that
            yield from map(self._compare, candidates)
        else:
            yield from ahead(state, self._compare, candidates, _RECEIPTS)

    @property
    def _open_units(self) -> frozenset[Unit]:
        return self._remembered("open units", self._look_for_open_units)

    @property
    def places_of(self) -> dict[Place, list[Place]]:
        """The places of each span that has one of the range, or a unit that is not finished."""
        return self._remembered("places", self._look_for_places)

    def _remembered(self, name: str, look: Callable[[], T]) -> T:
        """What was seen at the first look.

        Before Python 3.12 `functools.cached_property` lets one of all plans look at a time, and a
        look makes requests.
        """
        known: dict[str, Any] = vars(self)
        if name not in known:
            known[name] = look()
        found: T = known[name]
        return found

    def _look_for_open_units(self) -> frozenset[Unit]:
        return frozenset() if self.only == "all" else frozenset(unfinished(self.receipts.state))

    def _look_for_places(self) -> dict[Place, list[Place]]:
        layout = self.options.dataset.layout
        places_of = defaultdict[Place, list[Place]](list)
        for place in sorted(starmap(Place, self.discovery.trails)):
            places_of[span_of(place, layout)].append(place)
        chosen = {
            span
            for span, places in places_of.items()
            if any(self.wanted.holds(*place) for place in places)
        }
        for unit in self._open_units:  # planned even if its logs are gone
            is_refused = unit.account in self.discovery.refused
            if self.wanted.holds(*unit.span) and not is_refused and fits(unit, layout):
                chosen.add(unit.span)
        spans = sorted(filter(self.wanted.holds_span, chosen))
        return {span: places_of.get(span, []) for span in spans}

    def _listed(self) -> Iterator[Span]:
        """The spans, sorted, with the log files of all their places."""
        answers = ahead(self.source, self._list, self._asked(), _LISTINGS)
        for name, of_places in groupby(answers, itemgetter(0)):
            span = Span(name)
            for _, place, listing in of_places:
                if place is not None:
                    self._add(place, listing, span)
            self._note_grain(span)
            yield span

    def _note_grain(self, span: Span) -> None:
        for day in span.wanted:
            self.discovery.grain.add(day, span.days[day].files, span.days[day].bytes)

    def _asked(self) -> Iterator[tuple[Place, Place | None]]:
        """Spans, with their places or None, the first one and then as long as there is time."""
        for span, places in self._in_time(self.places_of.items()):
            yield from ((span, place) for place in places or (None,))

    def _in_time(self, items: Iterable[T]) -> Iterator[T]:
        """The first item, and others as long as there is time."""
        for number, item in enumerate(items):
            if number and not self.deadline.goes_on():
                return
            yield item

    def _list(
        self, asked: tuple[Place, Place | None]
    ) -> tuple[Place, Place | None, Listing | RefusedError]:
        """List a place; one that may not be listed keeps no other from being read."""
        span, place = asked
        if place is None:
            return span, None, NOTHING_LISTED
        self.deadline.check()
        trails, window = self.discovery.trails[place], self.options.dataset.window
        days = self.wanted.first, self.wanted.last
        named = None if span == place else place
        try:
            listing = list_place(self.source, trails, *days, window, named, self.deadline.check)
        except RefusedError as error:
            return span, place, error
        return span, place, listing

    def _add(self, place: Place, listing: Listing | RefusedError, span: Span) -> None:
        """Add the listing of a place to its span, and tell the discovery what it has shown."""
        if isinstance(listing, RefusedError):
            self.discovery.refused.setdefault(place.account, listing)
            return
        for day, of_day in listing.days.items():
            span.days[day].merge(of_day)
        if self.wanted.holds(*place):
            self.discovery.grain.places += 1
            self.discovery.unplaced.merge(listing.unplaced.found)
            self.discovery.grain.sample.merge(listing.sample)
            touched = {day for day, of_day in listing.days.items() if of_day.places}
            span.wanted.update(touched)
            if touched:
                self.discovery.with_logs.add(place)

    def _candidates(self, span: Span) -> list[_Candidate | SpanPlan]:
        """The units of a span that may be due, sorted, those without log files included; and it."""
        first, last, parts = self.wanted.first, self.wanted.last, None
        if self.only != "missing" and self.receipts.dataset is not None:
            layout = self.options.dataset.layout
            parts = PartSizes(self.receipts.dataset, span.span, first, last, layout)
        units = span.units()
        others = {unit for unit in self._open_units if unit.span == span.span}
        if not (units or parts or others):
            return [span.found()]
        is_asked_for = parts is not None or self.options.replace_shrunk or self.only == "missing"
        converted = None
        if is_asked_for or len(units) > _GETS:
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
        candidates = (
            _Candidate(unit, None if converted is None else unit.unit.day in converted, parts)
            for unit in sorted(units)
        )
        return [*candidates, span.found()]

    def _compare(self, candidate: _Candidate | SpanPlan) -> PlannedUnit | SpanPlan | None:
        """A unit with the reason why it is due; None if it is not. A span stays as it is."""
        if isinstance(candidate, SpanPlan):
            return candidate
        planned, unit = candidate.planned, candidate.planned.unit
        if candidate.has_receipt is False:
            return planned._replace(why=NO_RECEIPT if planned.fingerprint == _NO_FILES else NEVER)
        if self.only == "missing":
            return None
        if unit in self._open_units:
            return planned._replace(why=UNFINISHED)
        self.deadline.check()
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
