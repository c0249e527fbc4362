"""What a backfill would convert, and what that takes."""

from collections.abc import Iterator
from typing import NamedTuple

from cloudtrail_parquet.dataset.properties import check_properties
from cloudtrail_parquet.planning.batches import Estimate, estimate
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, plan_units
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.planning.stored import StorageFacts, look_at
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores


class Survey(NamedTuple):
    """What a backfill would convert.

    Attributes:
        units: The units, newest days first.
        total: Their totals; each of its batches is a message.
        stored: How their log files are stored; None if nothing is known of that.
    """

    units: list[PlannedUnit]
    total: Estimate
    stored: StorageFacts | None

    @property
    def dollars(self) -> dict[str, float]:
        """The estimated cost, in dollars, by what it is for, and all of it as ``total``."""
        classes = self.stored.classes if self.stored else ()
        parts = {
            "compute": self.total.compute_dollars,
            "requests": self.total.request_dollars,
            "kms": self.stored.kms_dollars if self.stored else 0.0,
            "retrieval": sum((of.dollars for of in classes), start=0.0),
        }
        return {**parts, "total": round(sum(parts.values()), 4)}


def survey(selection: Selection, stores: Stores, only: Only, settings: Settings) -> Survey:
    """Look for the units that a backfill would convert; parts are compared as well.

    All units are held, about 300 bytes each.

    Raises:
        UsageError: The dataset was made with settings that it must not be mixed with.
    """
    units = sorted(_due(selection, stores, only, settings), key=_newest_first)
    total = estimate(units)
    sample = selection.discovery.grain.sample
    stored = look_at(selection.source, sample, total.files, total.bytes) if units else None
    return Survey(units, total, stored)


def _due(
    selection: Selection, stores: Stores, only: Only, settings: Settings
) -> Iterator[PlannedUnit]:
    options = PlanOptions.of(settings)
    check_properties(stores, options.dataset)
    receipts = Receipts(stores.state, stores.clock.now(), stores.dataset)
    source, discovery, wanted = selection.source, selection.discovery, selection.range
    for planned in plan_units(source, receipts, discovery, wanted, only, options):
        yield planned._replace(fingerprint="", why="")


def _newest_first(planned: PlannedUnit) -> tuple[int, str, str]:
    return -planned.unit.day.toordinal(), *planned.unit.span
