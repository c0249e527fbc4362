"""Working on an event: planning, sending units on to other invocations, and converting."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain

from msgspec.structs import replace as replace_in

from cloudtrail_parquet.contract import FUNCTION_S, MAX_UNITS, PLACE_COLUMNS
from cloudtrail_parquet.function.attempts import forget_old
from cloudtrail_parquet.function.converting import Invocation, convert_units
from cloudtrail_parquet.function.events import ConvertEvent, DailyEvent, Event, PlanEvent, UnitRef
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.plan import PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.reach import scheduled_days
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.state.notes import unfinished


class Function(Invocation):
    """The function with its stores and settings, for one invocation."""

    def run(self, event: Event) -> dict[str, int]:
        """Work on an event.

        Returns:
            Counts, for people who invoke the function by hand.

        Raises:
            CloudTrailParquetError: Some of it was not done; another attempt may help.
        """
        match event:
            case ConvertEvent(units):
                return convert_units(self, list(units))
            case PlanEvent():
                return self._plan(event, scheduled=False)
            case DailyEvent(days_back, count):
                forget_old(self.stores)
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
            return convert_units(self, list(map(UnitRef.of, to_convert)))
        sent = self.fanout().send(map(ConvertEvent.of, to_send))
        self.telemetry.planned(planned, sent, min(days, default=None))
        return {"planned": planned, "batches": sent}
