"""Plans: looking for units in slices of an invocation each, and sending them on as they are found.

Slices are handed on before the time of an invocation is up; what has been sent is noted as a plan
goes on, for the next attempt to begin there. A plan of a single batch is converted at once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil, inf

from msgspec.structs import replace

from cloudtrail_parquet.contract import FUNCTION_S, MAX_UNITS, PLACE_COLUMNS
from cloudtrail_parquet.errors import NotEnoughTimeError, RefusedError, UsageError
from cloudtrail_parquet.function.events import ConvertEvent, PlanEvent, UnitRef
from cloudtrail_parquet.function.fanout import Fanout
from cloudtrail_parquet.function.progress import ProgressNote, TakenOverError
from cloudtrail_parquet.function.slices import Slice, SliceOfPlaces, SliceOfSpans, range_of
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import Place, span_of
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.deadline import NO_DEADLINE, Deadline
from cloudtrail_parquet.planning.listing import SpanSums
from cloudtrail_parquet.planning.plan import (
    Plan,
    PlannedUnit,
    Receipts,
    UnitRange,
    plan_units,
)
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery, discover
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import Stores

SLICE = 0.7
"""The share of the time that a slice may take; listings under way then are waited for."""

END = 0.15
"""The share of the time with which what is under way is given up."""

NOTED = 1 / 180
"""The share of the time after which units are sent, and that is noted: what a kill repeats."""

AS_LONG = 0.5
"""How long the slices that are handed on take, by what was seen so far, of how long they may."""

MAX_SLICES = 100
_BATCHES = 10  # held before they are sent: as many as the services take at a time


@dataclass
class _Outbox:
    """Planned units on their way.

    Attributes:
        batch_s: The time that a batch may take.
        fanout: Opens the fan-out.
        waiting: Units that have not been sent.
        planned: How many units there were.
        batches: How many batches were sent.
        days: The days of units with log files.
    """

    batch_s: float
    fanout: Callable[[], Fanout] | None
    waiting: list[PlannedUnit] = field(default_factory=list)
    planned: int = 0
    batches: int = 0
    days: set[date] = field(default_factory=set)
    _waiting_s: float = 0

    def add(self, units: Iterable[PlannedUnit]) -> None:
        """Add units."""
        for unit in units:
            self.waiting.append(unit)
            self._waiting_s += unit.seconds
            self.planned += 1
            if unit.files:  # a unit without any may turn out to have no records
                self.days.add(unit.unit.day)

    @property
    def is_full(self) -> bool:
        """Whether there are enough batches to be sent."""
        is_long = self._waiting_s >= _BATCHES * self.batch_s
        return is_long or len(self.waiting) >= _BATCHES * MAX_UNITS

    @property
    def is_single(self) -> bool:
        """Whether all units make no more than one batch."""
        packed = pack(self.waiting, self.batch_s, MAX_UNITS)
        return not self.batches and len([batch for batch, _ in zip(packed, range(2))]) < 2  # noqa: B905, PLR2004

    @property
    def counts(self) -> dict[str, int]:
        """How many units there were, and how many batches were sent."""
        return {"planned": self.planned, "batches": self.batches}

    def send(self) -> None:
        """Send what is waiting."""
        if self.waiting and self.fanout is not None:
            packed = pack(self.waiting, self.batch_s, MAX_UNITS)
            events = (ConvertEvent.of(unit.unit for unit in batch) for batch in packed)
            self.batches += self.fanout().send(events)
            self.waiting, self._waiting_s = [], 0


@dataclass(frozen=True)
class Planner:
    """Works on plan events.

    Attributes:
        stores: Source, dataset and state.
        settings: Conversion settings.
        fanout: Opens the fan-out; None to convert all in this invocation, however long that takes.
        telemetry: Receives metrics and log lines.
        whole_s: The seconds that the invocation had when it began.
        left_s: Returns the seconds that it has left.
        convert: Converts a single batch.
    """

    stores: Stores
    settings: Settings
    fanout: Callable[[], Fanout] | None
    telemetry: Telemetry
    whole_s: float
    left_s: Callable[[], float]
    convert: Callable[[list[UnitRef]], dict[str, int]]

    def run(self, event: PlanEvent, delivery: str) -> dict[str, int]:
        """Plan a range, or a slice of it, without the accounts that may not be listed.

        These are sent on as another plan, unless units span all accounts: then they are converted
        again once these may be listed. A plan of no other accounts fails.

        Args:
            event: The event.
            delivery: Its id, the same at each attempt; empty if it has none, and comes once.
        """
        note = None
        if self.fanout is not None and (event.plan or delivery):
            note = ProgressNote(self.stores.state, event, delivery)
            if note.is_resumed:
                self.telemetry.plan_resumed(event.plan or delivery)
        try:
            if note is not None and note.progress.is_divided:
                return self._repeat(note)
            return self._plan(event, note)
        except TakenOverError:
            self.telemetry.plan_taken_over(event.plan or delivery)
            return {"taken_over": 1}

    def _repeat(self, note: ProgressNote) -> dict[str, int]:
        """Hand on what an attempt before has divided, in case it was killed before it did."""
        slices = list(note.progress.left)
        if slices:
            self._hand_on(slices, note)
        return {"slices": len(slices)}

    def _plan(self, event: PlanEvent, note: ProgressNote | None) -> dict[str, int]:
        """Plan from where the note says, and dispatch the units and what is left."""
        source, wanted, start_s = self.stores.source, range_of(event), self.left_s()
        is_root = not event.plan
        if self._spans_accounts and (event.after or event.through):
            layout = self.settings.partition_layout
            what = f"after and through name accounts, and the layout {layout} has no folders of any"
            raise UsageError(what, "plan", "Leave them out")
        discovery = discover(source, self.settings.folders)
        discovery.check(event.accounts, event.regions, "plan")
        unlisted, done = frozenset(discovery.refused), wanted
        outbox = _Outbox(BATCH_S * self.whole_s / FUNCTION_S, self.fanout)
        try:
            left = event if note is None else note.progress.left[0]
            part = self._advance(left, discovery, note, outbox, start_s)
            slices = part.divide(self._number(part, start_s))
            if slices and not self._spans_accounts:  # which tell of the accounts after that
                done = wanted._replace(through=Place(*(slices[0].after or ("", ""))))
            if is_root:
                self._look_around(event, discovery, outbox)
            counts = self._dispatch(outbox, slices, is_daily=event.daily)
        finally:
            self.telemetry.unplaced(discovery.unplaced)
            # Also those of which only a region is refused, without which units are converted.
            for account, error in _refused(discovery, done).items():
                self.telemetry.account_refused(account, error)
        refused = {
            account: error
            for account, error in _refused(discovery, done).items()
            if account in unlisted
        }
        if refused:
            slices = self._leave_out(refused, event, discovery, slices)
            counts = {**counts, "accounts_refused": len(refused)}
        elif is_root and not slices and not (discovery.with_logs or (note and note.has_logs)):
            raise discovery.no_logs(source, wanted.holds)
        if slices or outbox.batches:
            self._hand_on(slices, note, part.sums)
        return counts

    @property
    def _spans_accounts(self) -> bool:
        return "account" in PLACE_COLUMNS[self.settings.partition_layout]

    def _advance(
        self,
        event: PlanEvent,
        discovery: Discovery,
        note: ProgressNote | None,
        outbox: _Outbox,
        start_s: float,
    ) -> Slice:
        """Plan as much of an event as there is time for, and send it now and then."""
        is_timed = note is not None and self.whole_s > 0
        deadline = Deadline(self.left_s, start_s * (1 - SLICE), start_s * END)
        plan = self._plan_of(event, discovery, deadline if is_timed else NO_DEADLINE)
        part: Slice = SliceOfSpans(event, plan)
        if self._spans_accounts:
            part = SliceOfPlaces(event, plan, note.progress.sums if note else None)
        began_s = noted_s = self.left_s()
        found = Counter[str]()
        with suppress(NotEnoughTimeError):
            for span in part.steps():
                outbox.add(span.due)
                found.update(steps=1, units=span.units, files=span.files)
                is_time = is_timed and noted_s - self.left_s() >= start_s * NOTED
                if part.left is not None and (is_time or outbox.is_full):
                    outbox.send()
                    if note is not None:
                        note.reach(part.left, part.sums, has_logs=bool(discovery.with_logs))
                    noted_s = self.left_s()
                    self.telemetry.plan_advanced(part.left, {**found, **outbox.counts})
        part.spent_s = began_s - self.left_s()
        return part

    def _plan_of(self, event: PlanEvent, discovery: Discovery, deadline: Deadline) -> Plan:
        # All parts are compared only on request; the daily run would list thousands of folders.
        dataset = None if event.daily else self.stores.dataset
        receipts = Receipts(self.stores.state, self.stores.clock.now(), dataset)
        options, wanted = PlanOptions.of(self.settings), range_of(event)
        source = self.stores.source
        return Plan(source, receipts, discovery, wanted, event.only, options, deadline)

    @staticmethod
    def _number(part: Slice, start_s: float) -> int:
        """How many invocations what is left will take, by what was seen so far."""
        needed_s = part.spent_s * part.to_do / part.done if part.done else inf
        slices = needed_s / (AS_LONG * SLICE * start_s) if start_s else 1
        return ceil(min(max(slices, 1), MAX_SLICES))

    def _look_around(self, event: PlanEvent, discovery: Discovery, outbox: _Outbox) -> None:
        """Do what is to be done once in a plan; a daily run completes what others have begun."""
        for location in discovery.without_logs:
            self.telemetry.without_logs(location)
        look_into_odd_siblings(self.stores.source, discovery)
        if not event.daily:
            return
        state, now = self.stores.state, self.stores.clock.now()
        receipts, options = Receipts(state, now), PlanOptions.of(self.settings)
        for other in self._unfinished(range_of(event)):
            source = self.stores.source
            outbox.add(plan_units(source, receipts, discovery, other, "outdated", options))

    def _unfinished(self, wanted: UnitRange) -> list[UnitRange]:
        """Units outside of a range that a run has begun to replace and not finished; tells of them.

        The daily run completes them. A run that is still under way is no older than an invocation.
        """
        others, now = list[UnitRange](), self.stores.clock.now()
        for unit, since in sorted(unfinished(self.stores.state).items()):
            if not wanted.holds_unit(unit) and now - since > timedelta(seconds=FUNCTION_S):
                self.telemetry.unfinished(unit, since)
                accounts, regions = ([name] if name else [] for name in unit.span)
                others.append(UnitRange.of(unit.day, unit.day, accounts, regions))
        return others

    def _dispatch(
        self,
        outbox: _Outbox,
        slices: list[PlanEvent],
        *,
        is_daily: bool,
    ) -> dict[str, int]:
        """Send the last units; those of a single batch are converted here."""
        oldest = min(outbox.days, default=None) if is_daily else None
        if self.fanout is None or (outbox.is_single and not slices):
            self.telemetry.planned(outbox.planned, min(outbox.planned, 1), oldest)
            return self.convert([UnitRef.of(unit.unit) for unit in outbox.waiting])
        outbox.send()
        self.telemetry.planned(outbox.planned, outbox.batches, oldest)
        return outbox.counts | ({"slices": len(slices)} if slices else {})

    def _leave_out(
        self,
        refused: Mapping[str, RefusedError],
        event: PlanEvent,
        discovery: Discovery,
        slices: list[PlanEvent],
    ) -> list[PlanEvent]:
        """Add a plan of the accounts that may not be listed, unless units span all accounts.

        Raises:
            RefusedError: There is nothing but such accounts, or nobody to send that plan to.
        """
        wanted, layout = range_of(event), self.settings.partition_layout
        has_others = any(
            wanted.holds(*place) and wanted.holds_span(span_of(Place(*place), layout))
            for place in discovery.trails
        )
        is_own = not self._spans_accounts
        if not slices and (not has_others or (self.fanout is None and is_own)):
            raise next(iter(refused.values()))
        own = replace(event, after=None, through=None, daily=False, plan="")
        return [*slices, replace(own, accounts=tuple(refused))] if is_own else slices

    def _hand_on(
        self, slices: list[PlanEvent], note: ProgressNote | None, sums: SpanSums | None = None
    ) -> None:
        """Send what is left to other invocations; noted before, so that it is divided once."""
        goes_on = note is not None and sums is not None and slices == list(note.progress.left)
        if note is not None and goes_on:
            note.reach(slices[0], sums)
        elif note is not None:
            note.divide(slices)
        if slices and self.fanout is not None:
            self.fanout().send(slices)
            self.telemetry.plan_divided(slices)
            if note is not None and not goes_on:
                note.divide(())


def _refused(discovery: Discovery, wanted: UnitRange) -> dict[str, RefusedError]:
    """The accounts of a slice that may not be listed, and why."""
    after, through = (end and end.account for end in (wanted.after, wanted.through))
    return {
        account: error
        for account, error in discovery.refused_of(wanted.accounts).items()
        if (after is None or after <= account) and (through is None or account <= through)
    }
