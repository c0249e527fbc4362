"""What a backfill would convert or rewrite, and what that takes."""

from collections.abc import Iterator
from typing import NamedTuple

from cloudtrail_parquet.contract import MAX_UNITS, MEMORY_MB
from cloudtrail_parquet.dataset.properties import check_properties
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import BATCH_S, Estimate, estimate, pack
from cloudtrail_parquet.planning.cost import rewriting_cost
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, plan_units
from cloudtrail_parquet.planning.ranges import ToRewrite, UnitRange
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.planning.stored import StorageFacts, look_at
from cloudtrail_parquet.rewriting.other import check_layout, check_window, properties_of
from cloudtrail_parquet.rewriting.selection import PlannedRewrite, planned, units_in
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
    due = _due(selection, stores, only, settings)
    units = sorted(due, key=lambda each: _newest_first(each.unit))
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
    for unit in plan_units(source, receipts, discovery, wanted, only, options):
        yield unit._replace(fingerprint="", why="")


class RewriteSurvey(NamedTuple):
    """What a backfill would rewrite.

    Attributes:
        units: The units, newest days first.
        total: Their totals, with parts in place of log files.
        only: Which units of the dataset.
        stored: None: no log file is read.
    """

    units: list[PlannedRewrite]
    total: Estimate
    only: ToRewrite
    stored: StorageFacts | None = None

    @property
    def dollars(self) -> dict[str, float]:
        """See `Survey.dollars`."""
        total = self.total
        parts = {"compute": total.compute_dollars, "requests": total.request_dollars}
        return {**parts, "total": total.dollars}


def survey_rewrites(
    wanted: UnitRange, stores: Stores, only: ToRewrite, settings: Settings
) -> RewriteSurvey:
    """Look for the units of a dataset that a backfill would rewrite, by their receipts.

    Raises:
        UsageError: There is no such dataset, or its parts cannot be made so where they are.
    """
    found = properties_of(stores)
    check_window(found, settings)
    check_layout(found, settings)
    units = sorted(units_in(stores.state, wanted), key=_newest_first)
    due = list(planned(stores.state, units, only, settings))
    parts, size = sum(each.parts for each in due), sum(each.bytes for each in due)
    batches = sum(1 for _ in pack(due, BATCH_S, MAX_UNITS))
    seconds, largest = sum(each.seconds for each in due), max(due, key=_size_of, default=None)
    spent = rewriting_cost(len(due), parts, batches, seconds, MEMORY_MB)
    total = Estimate(
        units=len(due),
        files=parts,
        bytes=size,
        batches=batches,
        largest=largest and largest.unit.name,
        seconds=round(seconds, 1),
        compute_dollars=round(spent.compute, 4),
        request_dollars=round(spent.requests, 4),
        dollars=round(spent.total, 4),
    )
    return RewriteSurvey(due, total, only)


def _size_of(unit: PlannedRewrite) -> int:
    return unit.bytes


def _newest_first(unit: Unit) -> tuple[int, str, str]:
    return -unit.day.toordinal(), *unit.span
