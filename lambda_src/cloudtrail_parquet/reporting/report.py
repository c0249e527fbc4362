"""A report of a dataset: from what its receipts and parts say to a page."""

from typing import NamedTuple

from cloudtrail_parquet.coverage.cover import Coverage
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.reporting.changes import compared, summary_in, summary_of
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.gathered import gather
from cloudtrail_parquet.reporting.page import page
from cloudtrail_parquet.reporting.tops import tops_of
from cloudtrail_parquet.storage import Stores

_FIRST = "There was no report before this one in its place."
_OTHER = "The report before this one was about another dataset, or other accounts or regions."
_UNREADABLE = "The report before this one could not be compared: its summary cannot be read."


class Report(NamedTuple):
    """A report.

    Attributes:
        html: The page.
        figures: What it shows.
    """

    html: str
    figures: ReportFigures


def make_report(
    stores: Stores,
    coverage: Coverage,
    wanted: UnitRange,
    *,
    top_days: int,
    before: bytes | None = None,
) -> Report:
    """Report on the days, accounts and regions of a range.

    Args:
        stores: With the dataset, of which only what occurs most often is read, and the state.
        coverage: What the dataset has of each day.
        wanted: The range.
        top_days: Of how many of the last days it is counted what occurs most often; 0 for none.
        before: The report that this one replaces; None if there is none.

    Raises:
        UsageError: Nothing is known of what is asked for.
        StorageError: The state cannot be read.
    """
    figures = gather(coverage, stores.state, wanted)
    if top_days:
        days = wanted._replace(first=figures.first)
        figures.tops = tops_of(stores.dataset, days, figures.last_of_records, top_days)
    made = f"{stores.now():%Y-%m-%dT%H:%M:%SZ}"
    selection = tuple(sorted(wanted.accounts)), tuple(sorted(wanted.regions))
    summary = summary_of(figures, stores.dataset.uri, made, selection)
    old = summary_in(before) if before else None
    changes = compared(old, summary) if old else None
    why_not = _FIRST if before is None else _UNREADABLE if old is None else _OTHER
    return Report(page(figures, summary, changes, why_not), figures)
