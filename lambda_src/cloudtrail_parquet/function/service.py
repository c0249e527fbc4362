"""What the function does with an event: plans, sends on and converts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from math import ceil
from traceback import walk_tb

from msgspec.structs import replace as replace_in

from cloudtrail_parquet.contract import FUNCTION_S, MAX_UNITS
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    NotEnoughTimeError,
    StorageError,
    TooLargeError,
    UsageError,
)
from cloudtrail_parquet.function.events import ConvertEvent, DailyEvent, Event, PlanEvent, UnitRef
from cloudtrail_parquet.function.fanout import Fanout
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, LogFile, Shard, Unit
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.plan import PlannedUnit, Range, Receipts, plan_units
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.reach import scheduled_days
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.state.notes import read_notes, shard_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores

START_S = 10
"""What an invocation may take before its first unit: listings, mostly."""

MARGIN_S = 20
"""Left at the end of an invocation for what it has begun, and for handing back the rest."""

LEASE_WAIT_S = 60
"""Waited at most for another run of a unit: an invocation that waits is paid for."""

SHARD_WAIT_S = 300
"""The same for a shard: shards are published one after the other, and are ready together."""

SHARDS_MORE = 2.5
"""Into how many times more shards than needed a unit is split: busy hours make larger ones, and a
shard is read again when another one has published a record of it meanwhile."""


@dataclass(frozen=True)
class Function:
    """A function with its places and settings, for one invocation.

    Attributes:
        stores: Where everything is.
        settings: How to convert.
        fanout: Opens where planned batches go; None to convert them in the invocation that plans.
        telemetry: Who is told.
        whole_s: How many seconds the invocation had when it began.
        left_s: How many are left of it.
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
            CloudTrailParquetError: Some of it was not done, and another attempt may help.
        """
        match event:
            case ConvertEvent(units):
                return self._convert(list(units))
            case PlanEvent():
                return self._plan(event, scheduled=False)
            case DailyEvent(days_back):
                today = self.stores.clock.now().date()
                days = scheduled_days(today, days_back, self.settings)
                return self._plan(PlanEvent(*days, only="outdated"), scheduled=True)

    def _plan(self, asked: PlanEvent, *, scheduled: bool) -> dict[str, int]:
        """Have units converted; accounts that may not be listed go on as a plan of their own.

        One of nothing but such accounts fails.
        """
        source, state = self.stores.source, self.stores.state
        of = Range(asked.first, asked.last, frozenset(asked.accounts), frozenset(asked.regions))
        found = discover(source, self.settings.folders)
        for place in found.without_logs:
            self.telemetry.without_logs(place)
        found.check(asked.accounts, asked.regions, "plan")
        refused = found.refused_of(of.accounts)
        for account, error in refused.items():
            self.telemetry.account_refused(account, error)
        # To compare all parts is asked for by hand; the daily run would list thousands of folders.
        receipts = Receipts(state, None if scheduled else self.stores.dataset)
        units = plan_units(source, receipts, found, of, asked.only, PlanOptions.of(self.settings))
        others = self._unfinished(of)
        if scheduled:
            units = chain(
                units,
                *(
                    plan_units(
                        source, receipts, found, one, "outdated", PlanOptions.of(self.settings)
                    )
                    for one in others
                ),
            )
        look_into_odd_siblings(source, found)
        try:
            counts = self._dispatch(units, scheduled=scheduled)
        finally:
            self.telemetry.unplaced(found.unplaced)
        if not refused:
            if not found.with_logs:
                raise found.no_logs(source, of.holds)
            return counts
        if self.fanout is None or not any(of.holds(*place) for place in found.trails):
            raise next(iter(refused.values()))
        self.fanout().send([replace_in(asked, accounts=tuple(refused))])
        return {**counts, "accounts_refused": len(refused)}

    def _unfinished(self, of: Range) -> list[Range]:
        """The units outside of a range that a run has begun to replace and not finished.

        A daily run completes them. A run that is still under way is no older than an invocation.
        """
        left, now = list[Range](), self.stores.clock.now()
        for unit, since in sorted(unfinished(self.stores.state).items()):
            inside = of.first <= unit.day <= of.last and of.holds(unit.account, unit.region)
            if not inside and now - since > timedelta(seconds=FUNCTION_S):
                self.telemetry.unfinished(unit, since)
                places = frozenset([unit.account]), frozenset([unit.region])
                left.append(Range(unit.day, unit.day, *places))
        return left

    def _dispatch(self, units: Iterator[PlannedUnit], *, scheduled: bool) -> dict[str, int]:
        """Send planned units on in batches, or convert them here if there is but one."""
        planned, days = 0, set[date]()

        def noted() -> Iterator[PlannedUnit]:
            nonlocal planned
            for one in units:
                planned += 1
                if scheduled and one.files:  # without any, it may turn out to have no records
                    days.add(one.unit.day)
                yield one

        batches = pack(noted(), BATCH_S * self.whole_s / FUNCTION_S, MAX_UNITS)
        first, second = next(batches, []), next(batches, [])
        of_units = ([one.unit for one in batch] for batch in chain((first, second), batches))
        if self.fanout is None or not second:
            here = list(chain.from_iterable(of_units))
            self.telemetry.planned(planned, min(planned, 1), min(days, default=None))
            return self._convert([UnitRef(*unit) for unit in here])
        sent = self.fanout().send(map(ConvertEvent.of, of_units))
        self.telemetry.planned(planned, sent, min(days, default=None))
        return {"planned": planned, "batches": sent}

    def _convert(self, units: list[UnitRef]) -> dict[str, int]:
        """Convert units; what is left of them goes to another invocation if this one got on.

        So it comes to an end: events become shorter, and one that nothing can be done of fails.
        """
        late = self.whole_s - self.left_s() > START_S  # other work has taken the time
        got_on, converted = False, 0
        left, failures = list[UnitRef](), list[CloudTrailParquetError]()
        if not units:
            return {"converted": 0, "handed_back": 0}
        dataset, lease = DatasetOptions.of(self.settings), LeaseOptions.of(self.settings)
        record_properties(self.stores, dataset, lease)
        accounts = Accounts(self.stores.source, self.settings.folders)
        for number, unit in enumerate(units):
            try:
                receipt = self._convert_unit(unit, accounts)
            except NotEnoughTimeError as error:
                left += units[number:]
                failures.append(error)
                got_on = got_on or late
                break
            except CloudTrailParquetError as error:
                if isinstance(error, TooLargeError) and self.fanout is not None:
                    shards = unit.split(error.shards)
                    self.fanout().send(ConvertEvent((shard,)) for shard in shards)
                    self.telemetry.handed_back(len(shards))
                    got_on = True
                    continue
                self.telemetry.failed(unit.unit, error)
                left.append(unit)
                failures.append(error)
            else:
                got_on = True
                if receipt is not None:
                    self.telemetry.converted(receipt)
                    converted += 1
        if failures and (self.fanout is None or not got_on):
            raise failures[0]
        if left and self.fanout is not None:
            self.fanout().send([ConvertEvent(tuple(left))])
            self.telemetry.handed_back(len(left))
        return {"converted": converted, "handed_back": len(left)}

    def _convert_unit(self, ref: UnitRef, accounts: Accounts) -> Receipt | None:
        """Convert a unit or a shard of it.

        Raises:
            UsageError: The source has no logs for it, and it was never converted.
        """
        unit, shard = ref.unit, Shard(*ref.shard)
        self._admit(unit, shard, [])
        holds_logs = False

        def admit(files: list[LogFile]) -> None:
            nonlocal holds_logs
            holds_logs = True  # it is asked only when there is something to convert
            self._admit(unit, shard, files)

        longest_s = LEASE_WAIT_S if shard == WHOLE else SHARD_WAIT_S
        wait_s = min(self.settings.lease_wait_s, longest_s, int(self.left_s() - MARGIN_S))
        settings = replace(self.settings, lease_wait_s=wait_s)
        with as_ours(unit.name):
            trails = self._trails(unit, accounts)
            receipt = convert_unit(unit, trails, self.stores, settings, admit, shard)
            if receipt is None and not holds_logs:
                raise accounts.no_logs(unit)
        return receipt

    def _trails(self, unit: Unit, accounts: Accounts) -> list[str]:
        """Where the logs of a unit lie: nowhere any longer, for one that was converted once."""
        try:
            return accounts.trails(unit)
        except UsageError:
            state = self.stores.state
            if read_notes(state, unit).is_void and not shard_notes(state, unit):
                raise
            return []

    def _admit(self, unit: Unit, shard: Shard, files: list[LogFile]) -> None:
        """Let a unit be converted if there is time for its log files.

        Raises:
            NotEnoughTimeError: Another invocation would have it.
            TooLargeError: No invocation has, but for shards of it.
            UsageError: No invocation has it for this shard.
        """
        needed_s = PlannedUnit(unit, len(files), sum(file.size for file in files)).seconds
        most_s, left_s = self.whole_s - START_S - MARGIN_S, self.left_s() - MARGIN_S
        if needed_s > most_s:
            what = f"needs about {needed_s:.0f} s; an invocation has {max(most_s, 0):.0f} s for it"
            hint = "Give the function more time, or convert it with the command line"
            if shard == WHOLE and most_s > 0:
                of = min(ceil(needed_s / most_s * SHARDS_MORE), MAX_SHARDS)
                raise TooLargeError(what, unit.name, hint, of)
            raise UsageError(what, unit.name, hint)
        if needed_s > left_s:
            what = f"needs about {needed_s:.0f} s; {max(left_s, 0):.0f} s are left"
            raise NotEnoughTimeError(what, unit.name, "Another invocation has to convert it")


@contextmanager
def as_ours(where: str) -> Iterator[None]:
    """Make errors of others ours, without their text, which may quote a record."""
    try:
        yield
    except CloudTrailParquetError:
        raise
    except Exception as error:
        frames = [(frame.f_globals["__name__"], no) for frame, no in walk_tb(error.__traceback__)]
        *_, at = (f"{name}:{no}" for name, no in frames if name.startswith("cloudtrail_parquet"))
        what = f"failed with {type(error).__name__} at {at}"
        if isinstance(error, OSError):  # no room in /tmp, mostly
            what += f" ({error.strerror})"
        hint = "It is tried again. If that does not help, please report this line"
        raise StorageError(what, where, hint) from error
