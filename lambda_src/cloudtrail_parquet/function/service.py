"""Working on an event: planning, sending units on to other invocations, and converting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from itertools import chain
from traceback import walk_tb

from msgspec.structs import replace as replace_in

from cloudtrail_parquet.contract import FUNCTION_S, MAX_UNITS, PLACE_COLUMNS
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.deliveries import LogFile, memory_of
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    NotEnoughTimeError,
    StorageError,
    TooLargeError,
    UsageError,
)
from cloudtrail_parquet.function.admission import MARGIN_S, START_S, Admission
from cloudtrail_parquet.function.events import ConvertEvent, DailyEvent, Event, PlanEvent, UnitRef
from cloudtrail_parquet.function.fanout import Fanout
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import WHOLE, Unit, check_unit
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.plan import PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.reach import scheduled_days
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.state.keys import split_units
from cloudtrail_parquet.state.notes import read_notes, shard_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.together import Budget, at_a_time, side_by_side

LEASE_WAIT_S = 60
"""The longest wait for another run of a unit: a waiting invocation is paid for."""

SHARD_WAIT_S = 300
"""The same for a shard: shards are ready together and published one after the other."""


@dataclass(frozen=True)
class Function:
    """The function with its stores and settings, for one invocation.

    Attributes:
        stores: Source, dataset and state.
        settings: Conversion settings.
        fanout: Opens the fan-out for planned batches; None to convert these in the same invocation.
        telemetry: Receives metrics and log lines.
        whole_s: The seconds that the invocation had when it began.
        left_s: Returns the seconds that it has left.
    """

    stores: Stores
    settings: Settings
    fanout: Callable[[], Fanout] | None
    telemetry: Telemetry
    whole_s: float = 0
    left_s: Callable[[], float] = lambda: 0

    def run(self, event: Event) -> dict[str, int]:
        """Work on an event.

        Returns:
            Counts, for people who invoke the function by hand.

        Raises:
            CloudTrailParquetError: Some of it was not done; another attempt may help.
        """
        match event:
            case ConvertEvent(units):
                return self._convert(list(units))
            case PlanEvent():
                return self._plan(event, scheduled=False)
            case DailyEvent(days_back, count):
                today = self.stores.clock.now().date()
                days = scheduled_days(today, days_back, self.settings, count)
                return self._plan(PlanEvent(*days, only="outdated"), scheduled=not count)

    def _plan(self, event: PlanEvent, *, scheduled: bool) -> dict[str, int]:
        """Plan and convert a range without the accounts that may not be listed.

        These are sent on as another plan, unless units span all accounts: then they are converted
        again once these may be listed. A plan of no other accounts fails.
        """
        source, state = self.stores.source, self.stores.state
        options = PlanOptions.of(self.settings)
        wanted = UnitRange.of(event.first, event.last, event.accounts, event.regions)
        discovery = discover(source, self.settings.folders)
        for location in discovery.without_logs:
            self.telemetry.without_logs(location)
        discovery.check(event.accounts, event.regions, "plan")
        refused = discovery.refused_of(wanted.accounts)
        # All parts are compared only on request; the daily run would list thousands of folders.
        now = self.stores.clock.now()
        receipts = Receipts(state, now, None if scheduled else self.stores.dataset)
        units = plan_units(source, receipts, discovery, wanted, event.only, options)
        others = self._unfinished(wanted)
        if scheduled:
            plans = (
                plan_units(source, receipts, discovery, other, "outdated", options)
                for other in others
            )
            units = chain(units, *plans)
        look_into_odd_siblings(source, discovery)
        try:
            counts = self._dispatch(units, scheduled=scheduled)
        finally:
            self.telemetry.unplaced(discovery.unplaced)
            # Also those of which only a region is refused, without which units are converted.
            for account, error in discovery.refused_of(wanted.accounts).items():
                self.telemetry.account_refused(account, error)
        if not refused:
            if not discovery.with_logs:
                raise discovery.no_logs(source, wanted.holds)
            return counts
        spans_accounts = "account" in PLACE_COLUMNS[self.settings.partition_layout]
        has_others = any(wanted.holds(*place) for place in discovery.trails)
        if not has_others or (self.fanout is None and not spans_accounts):
            raise next(iter(refused.values()))
        if self.fanout is not None and not spans_accounts:
            self.fanout().send([replace_in(event, accounts=tuple(refused))])
        return {**counts, "accounts_refused": len(refused)}

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

    def _dispatch(self, units: Iterator[PlannedUnit], *, scheduled: bool) -> dict[str, int]:
        """Send planned units on in batches; a single batch is converted here."""
        planned, days = 0, set[date]()

        def counted() -> Iterator[PlannedUnit]:
            nonlocal planned
            for unit in units:
                planned += 1
                if scheduled and unit.files:  # a unit without any may turn out to have no records
                    days.add(unit.unit.day)
                yield unit

        batches = pack(counted(), BATCH_S * self.whole_s / FUNCTION_S, MAX_UNITS)
        first, second = next(batches, []), next(batches, [])
        to_send = ([unit.unit for unit in batch] for batch in chain((first, second), batches))
        if self.fanout is None or not second:
            to_convert = list(chain.from_iterable(to_send))
            self.telemetry.planned(planned, min(planned, 1), min(days, default=None))
            return self._convert(list(map(UnitRef.of, to_convert)))
        sent = self.fanout().send(map(ConvertEvent.of, to_send))
        self.telemetry.planned(planned, sent, min(days, default=None))
        return {"planned": planned, "batches": sent}

    def _convert(self, units: list[UnitRef]) -> dict[str, int]:
        """Convert units; those left over go to another invocation if this one made progress.

        So this ends: events become shorter, and an event without any progress fails.
        """
        late = self.whole_s - self.left_s() > START_S  # other work has taken the time
        has_progress, converted = False, 0
        left, failures = list[UnitRef](), list[CloudTrailParquetError]()
        if not units:
            return {"converted": 0, "handed_back": 0}
        dataset, lease = DatasetOptions.of(self.settings), LeaseOptions.of(self.settings)
        record_properties(self.stores, dataset, lease)
        batch = _Batch(
            Accounts(self.stores.source, self.settings.folders), split_units(self.stores.state)
        )
        attempt = partial(self._attempt, batch)
        results = side_by_side(attempt, units, at_a_time(self.stores.parallel))
        for unit, result in zip(units, results, strict=True):
            if isinstance(result, NotEnoughTimeError):
                left.append(unit)
                failures.append(result)
                has_progress = has_progress or late
            elif isinstance(result, TooLargeError) and self.fanout is not None:
                shards = unit.split(result.shards, result.bounds)
                self.fanout().send(ConvertEvent((shard,)) for shard in shards)
                self.telemetry.handed_back(len(shards))
                has_progress = True
            elif isinstance(result, CloudTrailParquetError):
                self.telemetry.failed(unit.unit, result)
                left.append(unit)
                failures.append(result)
            else:
                has_progress = True
                if result is not None:
                    self.telemetry.converted(result)
                    converted += 1
        if failures and (self.fanout is None or not has_progress):
            raise failures[0]
        if left and self.fanout is not None:
            self.fanout().send([ConvertEvent(tuple(left))])
            self.telemetry.handed_back(len(left))
        return {"converted": converted, "handed_back": len(left)}

    def _attempt(self, batch: "_Batch", ref: UnitRef) -> Receipt | CloudTrailParquetError | None:
        """Convert a unit, or return why that failed; once time is short, none is begun."""
        if batch.is_late is not None:
            return batch.is_late
        try:
            return self._convert_unit(ref, batch)
        except NotEnoughTimeError as error:
            batch.is_late = error
            return error
        except CloudTrailParquetError as error:
            return error

    def _convert_unit(self, ref: UnitRef, batch: "_Batch") -> Receipt | None:
        """Convert a unit or a shard of it.

        Raises:
            UsageError: It is not a unit of the layout; or the source has no logs for it, and it
                was never converted.
        """
        unit, shard, accounts = ref.unit, ref.one, batch.accounts
        check_unit(unit, self.settings.partition_layout)
        admission = Admission(self.whole_s, self.left_s, self.settings.window)
        admission.admit(unit, shard, [], batch.seconds)
        holds_logs = False

        def admit(files: list[LogFile]) -> None:
            nonlocal holds_logs
            holds_logs = True  # called only when there is something to convert
            batch.under_way[ref] = admission.admit(unit, shard, files, batch.seconds)
            take(memory_of(files))

        longest_s = LEASE_WAIT_S if shard == WHOLE else SHARD_WAIT_S
        wait_s = min(self.settings.lease_wait_s, longest_s, int(self.left_s() - MARGIN_S))
        settings = replace(self.settings, lease_wait_s=wait_s)
        try:
            with translated_errors(unit.name), batch.budget.share() as take:
                trails, refused = self._trails(unit, accounts), accounts.refused(unit)
                receipt = convert_unit(
                    unit, trails, self.stores, settings, admit, shard, refused, batch.splits
                )
                if receipt is None and not holds_logs:
                    raise accounts.no_logs(unit)
        finally:
            batch.under_way.pop(ref, None)
        return receipt

    def _trails(self, unit: Unit, accounts: Accounts) -> list[str]:
        """The prefixes that hold a unit's logs; none if it was converted and its logs are gone."""
        try:
            return accounts.trails(unit)
        except UsageError:
            state = self.stores.state
            if read_notes(state, unit).is_void and not shard_notes(state, unit):
                raise
            return []


@dataclass
class _Batch:
    """What the units of an event have in common.

    Attributes:
        accounts: The accounts of the source.
        splits: The units that were split when the invocation began.
        budget: What units under way may read together.
        under_way: The units under way, with the seconds that each needs.
        is_late: Why no further unit is begun, once there is not enough time.
    """

    accounts: Accounts
    splits: frozenset[Unit]
    budget: Budget = field(default_factory=Budget)
    under_way: dict[UnitRef, float] = field(default_factory=dict)
    is_late: NotEnoughTimeError | None = None

    @property
    def seconds(self) -> float:
        """What the units under way need together."""
        return sum(list(self.under_way.values()))


@contextmanager
def translated_errors(where: str) -> Iterator[None]:
    """Turn errors of others into ours, without their text, which may quote a record."""
    try:
        yield
    except CloudTrailParquetError:
        raise
    except Exception as error:
        frames = [(frame.f_globals["__name__"], no) for frame, no in walk_tb(error.__traceback__)]
        *_, at = (f"{name}:{no}" for name, no in frames if name.startswith("cloudtrail_parquet"))
        what = f"failed with {type(error).__name__} at {at}"
        if isinstance(error, OSError):  # mostly a full /tmp
            what += f" ({error.strerror})"
        hint = "It is tried again. If that does not help, please report this line"
        raise StorageError(what, where, hint) from error
