"""The command ``status``: what a dataset covers, the summary first, then ranges of days."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Annotated, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Dataset,
    Day,
    From,
    Regions,
    State,
    To,
    range_of,
)
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import MISSING, STDOUT, note
from cloudtrail_parquet.cli.planning import intake_of
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.coverage.cover import Asked, Coverage, cover
from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.coverage.rebuild import rebuild
from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.dataset.properties import known_properties
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.options import LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores, open_existing, open_store
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted

_NAMED, _SHOWN = 5, 20

Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help="The logs, to be listed: without them it is not known whether a day without a receipt "
        "has log files.",
    ),
]

Parts = Annotated[
    bool | None,
    typer.Option(
        "--parts/--no-parts",
        help="Compare parts with receipts, which lists them; by default if there are up to "
        "100,000 units.",
    ),
]

Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="List all receipts, also of months that the ledger is sure of."),
]

Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild", help="First make receipts that are lost or damaged again, from the parts."
    ),
]


@with_settings
def status(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    source: Source = None,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    parts: Parts = None,
    fresh: Fresh = False,
    rebuild_: Rebuild = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
    *,
    settings: Settings,
) -> None:
    """Tell of each account, region and day what the dataset has, and why where it has nothing.

    Days from the first one seen to yesterday, worst first. Exit status 4 means that something is
    missing, or that nobody can tell.
    """
    wanted = range_of(day, first, last, account, region)
    store = open_existing(dataset, "dataset")
    stores = Stores(store, store, open_store(Locations.state_of(dataset, state)))
    if rebuild_:
        with progress("rebuilding", Amount(), "unit") as meter:
            rebuilt = rebuild(
                stores, LeaseOptions.of(settings), settings.settle_margin_s, meter.add
            )
        for line in rebuilt.lines():
            note(line)
    coverage = coverage_of(stores, wanted, source, settings, parts=parts, fresh=fresh)
    _print(coverage, dataset, as_json=as_json)
    for line in _remarks(coverage):
        note(line)
    if coverage.is_lacking:
        raise typer.Exit(MISSING)


def coverage_of(  # noqa: PLR0913
    stores: Stores,
    wanted: UnitRange,
    source: str | None,
    settings: Settings,
    *,
    parts: bool | None,
    fresh: bool,
) -> Coverage:
    """What a dataset covers, as the options of `status` ask for it."""
    settings = _as_made(settings, stores)
    asked = Asked(wanted, PlanOptions.of(settings), parts, fresh)
    if not source:
        return cover(stores, asked)
    with intake_of(source, settings, wanted) as intake:
        return cover(stores, asked, (intake.store, intake.discovery))


def _as_made(settings: Settings, stores: Stores) -> Settings:
    """Settings with those of the dataset that are the same for all of it."""
    made = known_properties(stores)
    if made is None:
        return settings
    return replace(
        settings,
        lookbehind_s=made.lookbehind_s,
        lookahead_s=made.lookahead_s,
        folders=tuple(sorted(made.folders | set(settings.folders))),
        partition_layout=made.partition_layout,
    )


def _remarks(coverage: Coverage) -> Iterator[str]:
    if coverage.first is None:
        yield "nothing is known of any day: no receipts, and no parts were seen"
    yield from coverage.remarks
    if coverage.ledger.unstored:
        why = coverage.ledger.unstored
        yield f"the ledger was not stored: {why}; each status reads all receipts until it is"


def _print(coverage: Coverage, dataset: str, *, as_json: bool) -> None:
    if as_json:
        for each in coverage:
            sys.stdout.write(json.dumps(each.to_json()) + "\n")
        return
    if coverage.first is None or coverage.last is None:
        return
    ranges = list(coverage)
    days, places = sum(each.days for each in ranges), len({each.place for each in ranges})
    what = f"{counted(days, 'day')} of {counted(places, 'place')}"
    STDOUT.print(
        Text(printable(f"{dataset}: {what}, {coverage.first} to {coverage.last}")), soft_wrap=True
    )
    STDOUT.print(_summary(coverage))
    for line in range_lines(ranges):
        STDOUT.print(Text(printable(line)), soft_wrap=True)


def _summary(coverage: Coverage) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    for (state, cause), days in coverage.counts().items():
        table.add_row(f"{days:,}", state, cause)
    return table


def range_lines(ranges: Iterable[CoveredRange]) -> Iterator[str]:
    """Ranges in two lines each: what and why, and of which places, which may be several.

    Of a state and cause those that most days are in, by day, and how many there are beyond these.
    """
    alike = defaultdict[_Alike, list[Place]](list)
    for each in ranges:
        alike[_Alike(each.verdict, each.first, each.last)].append(each.place)
    by_cause = defaultdict[tuple[str, str], list[_Alike]](list)
    for one in alike:
        by_cause[one.verdict[:2]].append(one)
    for cause, every in by_cause.items():
        every.sort(key=lambda one: one.days * len(alike[one]), reverse=True)
        for one in sorted(every[:_SHOWN], key=itemgetter(1, 2)):
            yield one.words
            yield f"  {_names(alike[one])}"
        if more := every[_SHOWN:]:
            days = sum(one.days * len(alike[one]) for one in more)
            what = ": ".join(filter(None, cause))
            rest = counted(len(more), "more range")
            yield f"{what}: {rest}, {counted(days, 'day')}; --json has all"


class _Alike(NamedTuple):
    """What is said of some places, on the same days."""

    verdict: Verdict
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def words(self) -> str:
        """State, days, and why."""
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        why = ", ".join(filter(None, (self.verdict.cause, self.verdict.basis)))
        return f"{self.verdict.state} {days}{': ' if why else ''}{why}"


def _names(places: Iterable[Place]) -> str:
    """Places by account, of which only some are named."""
    accounts = [(account, list(some)) for account, some in groupby(places, itemgetter(0))]
    named = [
        " ".join(filter(None, (account or "all accounts", ", ".join(region for _, region in some))))
        for account, some in accounts[:_NAMED]
    ]
    more = len(accounts) - _NAMED
    return "; ".join([*named, *([f"{counted(more, 'more account')}"] if more > 0 else [])])
