"""The command ``report``: one page about a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from cloudtrail_parquet.cli.arguments import (
    Accounts,
    Dataset,
    Day,
    From,
    Regions,
    State,
    To,
    range_of,
)
from cloudtrail_parquet.cli.history.status import Fresh, Parts, Source, coverage_of
from cloudtrail_parquet.cli.new_file import check_outside, output_to
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import note
from cloudtrail_parquet.errors import UsageError, system_errors
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores, local_path, open_existing, open_store
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted, size_of

_MOST_BYTES = 20_000_000
"""What is larger is not a report of ours."""

Page = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The page; the report that is there is compared and replaced. - for stdout.",
    ),
]

TopDays = Annotated[
    int,
    typer.Option(
        "--top-days",
        min=0,
        metavar="N",
        help="Of how many of the last days services, principals and errors are counted, for which "
        "the dataset is read; 0 for none.",
    ),
]

Force = Annotated[bool, typer.Option("--force", help="Replace a file that is not a report.")]


@with_settings
def report(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    output: Page = "report.html",
    source: Source = None,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    parts: Parts = None,
    fresh: Fresh = False,
    top_days: TopDays = 30,
    force: Force = False,
    *,
    settings: Settings,
) -> None:
    """Write one page about a dataset: gaps and their causes, volume, late records, sizes, changes.

    It needs no network to be read. What has changed is told from the report that it replaces.
    """
    from cloudtrail_parquet.reporting.report import make_report  # noqa: PLC0415 - DuckDB is slow

    wanted = range_of(day, first, last, account, region)
    check_outside(output, dataset)
    before = None if output == "-" else _before(output, force=force)
    store = open_existing(dataset, "dataset")
    stores = Stores(store, store, open_store(Locations.state_of(dataset, state)))
    coverage = coverage_of(stores, wanted, source, settings, parts=parts, fresh=fresh)
    made = make_report(stores, coverage, wanted, top_days=top_days, before=before)
    page = made.html.encode()
    with output_to(output, force=force or before is not None) as sink:
        sink.write(page)
    for remark in coverage.remarks:
        note(remark)
    if output != "-":
        places = counted(len(made.figures.coverage), "place")
        days = f"{made.figures.first} to {made.figures.last}"
        note(f"{output}: {places}, {days}, {size_of(len(page))}")


def _before(output: str, *, force: bool) -> bytes | None:
    """The report that is to be replaced; None if there is none.

    Raises:
        UsageError: Something else is there.
    """
    from cloudtrail_parquet.reporting.changes import is_report  # noqa: PLC0415

    path = local_path(output)
    if path is None or not path.is_file():
        return None
    with system_errors("read", path):
        page = _beginning(path)
    if is_report(page):
        return page
    if force or not page:
        return None
    raise UsageError("it is not a report", output, "Name another file, or replace it with --force")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)
