"""Working on an event: planning, sending units on to other invocations, converting, and so on."""

from functools import partial

from cloudtrail_parquet.function.attempts import forget_old
from cloudtrail_parquet.function.converting import Invocation, convert_units
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    DailyEvent,
    Event,
    ExpireEvent,
    PlanEvent,
    RewriteEvent,
)
from cloudtrail_parquet.function.plans import Planner
from cloudtrail_parquet.settings.reach import scheduled_days


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
                return self._plan(event)
            case DailyEvent(days_back, count):
                forget_old(self.stores)
                today = self.stores.clock.now().date()
                days = scheduled_days(today, days_back, self.settings, count)
                return self._plan(PlanEvent(*days, only="outdated", daily=not count))
            case RewriteEvent():
                # Loaded when needed: what converts starts without them.
                from cloudtrail_parquet.function.upkeep.rewriting import rewrite  # noqa: PLC0415

                return rewrite(self, event)
            case ExpireEvent():
                from cloudtrail_parquet.function.upkeep.expiring import expire  # noqa: PLC0415

                return expire(self, event)

    def _plan(self, event: PlanEvent) -> dict[str, int]:
        planner = Planner(
            stores=self.stores,
            settings=self.settings,
            fanout=self.fanout,
            telemetry=self.telemetry,
            whole_s=self.whole_s,
            left_s=self.left_s,
            convert=partial(convert_units, self),
        )
        return planner.run(event, self.delivery)
