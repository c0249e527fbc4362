"""Slices of a plan: what one invocation does of it, step by step, and how the rest is divided.

Where units have an account, a slice is of some accounts and regions, sorted, and of all days.
Slices are independent and tile the plan, so a new account is in exactly one of them. They are
handed on side by side rather than one by the other: Lambda ends chains of about 16 invocations
by way of SQS. Source: Lambda Developer Guide, "Use Lambda recursive loop detection".

Where units span all accounts, each place has a share in every unit, so one invocation goes on with
the sums of another. No place is listed twice for that, which it would be for slices of days.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from msgspec.structs import replace

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.function.events import PlanEvent
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.cost import PAGE_KEYS
from cloudtrail_parquet.planning.listing import Span, SpanSums
from cloudtrail_parquet.planning.plan import Plan, SpanPlan, UnitRange

MAX_CHAIN = 8
"""The most invocations that go on with each other's sums, unless places have less than a page."""


def range_of(event: PlanEvent) -> UnitRange:
    """The units that an event is about."""
    wanted = UnitRange.of(event.first, event.last, event.accounts, event.regions)
    after, through = (end and Place(*end) for end in (event.after, event.through))
    return wanted._replace(after=after, through=through)


class Slice(ABC):
    """The steps of a plan event; what of it is left.

    Attributes:
        done: How many steps were done.
        spent_s: How long they took.
    """

    def __init__(self, event: PlanEvent, plan: Plan) -> None:
        """``plan`` is that of the event's range."""
        self._event, self._plan, self.done, self.spent_s = event, plan, 0, 0.0

    @abstractmethod
    def steps(self) -> Iterator[SpanPlan]:
        """What is found, step by step; there is at least one.

        Raises:
            NotEnoughTimeError: The next step is given up.
        """

    @property
    @abstractmethod
    def left(self) -> PlanEvent | None:
        """What is left after the steps so far; None if nothing is."""

    @property
    def sums(self) -> SpanSums | None:
        """What the steps so far have shown of what is left."""
        return None

    @property
    @abstractmethod
    def to_do(self) -> int:
        """How many steps are left."""

    @abstractmethod
    def divide(self, number: int) -> list[PlanEvent]:
        """Divide what is left into about so many events; if no step was done, also its days.

        Raises:
            UsageError: No step was done, and it is of a single day.
        """


class SliceOfSpans(Slice):
    """All days of some spans; a step is a span."""

    def __init__(self, event: PlanEvent, plan: Plan) -> None:
        super().__init__(event, plan)
        self._spans = plan.spans

    def steps(self) -> Iterator[SpanPlan]:
        """See `Slice.steps`."""
        for span in self._plan.by_span():
            self.done += 1
            yield span

    @property
    def left(self) -> PlanEvent | None:
        """See `Slice.left`."""
        if not self.to_do:
            return None
        return replace(self._event, after=self._spans[self.done - 1]) if self.done else self._event

    @property
    def to_do(self) -> int:
        """See `Slice.to_do`."""
        return len(self._spans) - self.done

    def divide(self, number: int) -> list[PlanEvent]:
        """See `Slice.divide`."""
        left, spans, slices = self.left, self._spans[self.done :], list[PlanEvent]()
        if left is None:
            return []
        if not self.done and len(spans) == 1:
            return _by_days(left, 2)
        if not self.done:
            slices = _by_days(replace(left, through=spans[0]), 2)
            left, spans = replace(left, after=spans[0]), spans[1:]
        number = min(number, len(spans))
        ends = [spans[len(spans) * part // number - 1] for part in range(1, number + 1)]
        for end in ends[:-1]:
            slices.append(replace(left, through=end))
            left = replace(left, after=end)
        return [*slices, left]


class SliceOfPlaces(Slice):
    """All days of the one span that has all places; a step is a place, and the last one sums up."""

    def __init__(self, event: PlanEvent, plan: Plan, sums: SpanSums | None) -> None:
        """``sums`` is what others have shown."""
        super().__init__(event, plan)
        self._last = sums.last if sums else None
        self._span = Span.of(Place("", ""), sums)
        places = plan.places_of.get(self._span.span, [])
        self._places = [place for place in places if self._last is None or place > self._last]
        self._before = len(places) - len(self._places)
        self._is_concluded = not plan.spans

    def steps(self) -> Iterator[SpanPlan]:
        """See `Slice.steps`."""
        if self._is_concluded:
            return
        for place in self._plan.gather(self._span, self._places):
            self._last, self.done = place, self.done + 1
            yield SpanPlan(place, 0, 0)
        if self.to_do == 1:
            found = self._plan.conclude(self._span)
            self._is_concluded = True
            yield found

    @property
    def left(self) -> PlanEvent | None:
        """See `Slice.left`."""
        return None if self._is_concluded else self._event

    @property
    def sums(self) -> SpanSums | None:
        """See `Slice.sums`."""
        return self._span.sums(self._last) if self._last and not self._is_concluded else None

    @property
    def to_do(self) -> int:
        """See `Slice.to_do`."""
        return 0 if self._is_concluded else len(self._places) - self.done + 1

    def divide(self, number: int) -> list[PlanEvent]:
        """See `Slice.divide`; the event itself goes on with the `sums`."""
        if self._is_concluded:
            return []
        if not self.done:
            return _by_days(self._event, 2)
        files = sum(of_day.files for of_day in self._span.days.values())
        listed = self._before + self.done
        is_long = number > MAX_CHAIN and files > listed * PAGE_KEYS  # else fewer days save nothing
        return _by_days(self._event, number) if is_long else [self._event]


def _by_days(event: PlanEvent, number: int) -> list[PlanEvent]:
    """The same places in about so many events of some days each."""
    days = (event.last - event.first).days + 1
    number = min(number, days)
    if number == 1:
        what = f"planning {event.first} takes longer than an invocation has"
        raise UsageError(what, "plan", "Give the function more time")
    ends = [days * part // number - 1 for part in range(number + 1)]
    return [
        replace(
            event,
            first=event.first + timedelta(days=before + 1),
            last=event.first + timedelta(days=end),
        )
        for before, end in pairwise(ends)
    ]
