"""The commands that look at a source: ``convert``, and ``plan``, which says what it would do."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, NoReturn

import typer

from cloudtrail_parquet.batch.workers import Outcome, convert_all, cores, jobs_of
from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Day,
    Folders,
    From,
    Logs,
    Regions,
    To,
    Which,
    range_of,
    with_folders,
)
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import (
    FAILED,
    INTERRUPTED,
    QUARANTINED,
    STDOUT,
    beside,
    collect,
    note,
    note_left_out,
    note_unfinished,
    note_unplaced,
    report,
    summary,
)
from cloudtrail_parquet.cli.plan_output import plan_table, print_reasons, print_rest, print_rows
from cloudtrail_parquet.clock import SYSTEM_CLOCK
from cloudtrail_parquet.dataset.properties import check_properties
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import estimate
from cloudtrail_parquet.planning.plan import PlannedUnit, Receipts, plan_units
from cloudtrail_parquet.planning.recommended import recommendation_line
from cloudtrail_parquet.planning.remarks import incomplete_lines, unfinished_except, up_to_date_line
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.planning.stored import look_at, stored_lines
from cloudtrail_parquet.settings.options import DatasetOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.siblings import count_siblings, look_into_odd_siblings
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore, Stores, open_store
from cloudtrail_parquet.storage.locations import Locations


@with_settings
def convert(  # noqa: PLR0913, PLR0917 - each is an option
    source: Logs,
    dataset: Annotated[str, typer.Argument(help="Folder or URI that receives the partitions.")],
    state: Annotated[
        str | None,
        typer.Option(help="Receipts and leases; by default DATASET with .state appended."),
    ] = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one for each processor.")
    ] = None,
    folder: Folders = None,
    only: Which = "outdated",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be done; write nothing.")
    ] = False,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Convert log files to partitions: of all days found, or some, those that are not up to date.

    The same command goes on after an interruption, and has nothing to do where nothing has changed.
    """
    started = time.monotonic()
    wanted = range_of(day, first, last, account, region)
    locations = Locations.of(source, dataset, state)
    locations.check(settings.part_bytes)
    settings = replace(settings, folders=with_folders(settings.folders, folder or []))
    selection, stores = Selection.of(locations.source, wanted, settings.folders), locations.open()
    due = selection.due(stores, only, settings)
    if due:
        note_recommendation(selection.discovery, settings)
    convert_here(
        due, selection, locations, settings, workers, started, dry_run=dry_run, as_json=as_json
    )


def convert_here(  # noqa: PLR0913, PLR0917
    due: list[PlannedUnit],
    selection: Selection,
    locations: Locations,
    settings: Settings,
    workers: int | None,
    started: float,
    *,
    dry_run: bool = False,
    as_json: bool = False,
) -> NoReturn:
    """Convert units on this machine, tell what came of them, and end with the status of that.

    Args:
        due: The units, in the order in which they are begun.
        selection: What they were selected from.
        locations: Locations of source, dataset and state.
        settings: Conversion settings.
        workers: How many processes; None for one for each processor.
        started: When the command was started, by the monotonic clock.
        dry_run: Whether only to find out what would be done.
        as_json: Whether to print each outcome as JSON, in place of totals.
    """
    units, stores = [planned.unit for planned in due], locations.open()
    jobs = jobs_of(units, selection.discovery)
    converting = convert_all(jobs, locations, settings, workers or cores(), dry_run=dry_run)
    outcomes = _collected(converting, due, as_json=as_json) if jobs else []
    _check_logs(selection, outcomes)
    note_unfinished(unfinished_except(stores.state, units))
    for name, count in sorted(count_siblings(selection.source, selection.discovery).items()):
        note(beside(name, count))
    note_unplaced(selection.discovery.unplaced)
    done = [outcome for outcome in outcomes if outcome.receipt or outcome.error]
    if not jobs:
        note(up_to_date_line(selection.discovery))
    elif dry_run:
        note("dry run: nothing was written; this is what would be")
    if jobs and not as_json:
        STDOUT.print(summary(done, time.monotonic() - started))
    raise typer.Exit(_status_of(done, selection))


def _collected(
    converting: Iterator[Outcome], due: list[PlannedUnit], *, as_json: bool
) -> list[Outcome]:
    try:
        return collect(converting, due, as_json=as_json)
    except KeyboardInterrupt:
        note(
            "interrupted: a unit that was being replaced is named by the next run; "
            "the same command goes on with what is left, unless it has --only all"
        )
        os._exit(INTERRUPTED)  # the workers end with this process


def _check_logs(selection: Selection, outcomes: list[Outcome]) -> None:
    """Collect what no unit reads, and make sure that there was a log file.

    Raises:
        UsageError: There was not; says what there is.
    """
    discovery = selection.discovery
    for outcome in outcomes:
        discovery.unplaced.merge(outcome.receipt.unplaced if outcome.receipt else ())
    looked = discovery.with_logs or any(outcome.looked for outcome in outcomes)
    if not looked and not selection.refused:
        look_into_odd_siblings(selection.source, discovery)
        note_unplaced(discovery.unplaced)
        raise selection.no_logs()


def _status_of(done: list[Outcome], selection: Selection) -> int:
    """Report what went wrong; returns the exit status."""
    status, discovery = report(done), selection.discovery
    for line in incomplete_lines(discovery):
        note(line)
    if note_left_out(selection):
        return FAILED
    needs_a_look = discovery.unplaced or discovery.incomplete
    return QUARANTINED if status == 0 and needs_a_look else status


@with_settings
def plan(  # noqa: PLR0913, PLR0917 - each is an option
    source: Logs,
    dataset: Annotated[
        str | None, typer.Argument(help="Folder or URI of the partitions; not needed with --state.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(help="Where receipts are; by default DATASET with .state appended."),
    ] = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    only: Which = "all",
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Report the units that are found, and their time and cost in AWS; convert nothing.

    By default all, converted or not. What convert will do: plan SOURCE DATASET --only outdated.
    """
    wanted = range_of(day, first, last, account, region)
    state = state or (Locations.of(source, dataset).state if dataset else None)
    if only != "all" and not state:
        raise UsageError(f"--only {only} needs receipts", "plan", "Name the DATASET or --state")
    selection = Selection.of(source, wanted, settings.folders)
    store, discovery = selection.source, selection.discovery
    receipts = Receipts(
        open_store(state) if state else store,  # never read when all units are planned
        SYSTEM_CLOCK.now(),
        open_store(dataset) if dataset else None,
    )
    if state:
        _check_dataset(store, dataset, state, settings)
    open_units = unfinished(receipts.state) if state else {}
    planned = plan_units(store, receipts, discovery, wanted, only, PlanOptions.of(settings))
    printed = print_rows(planned) if as_json else print_reasons(planned)
    total = estimate(_without(open_units, printed))
    stored = look_at(store, discovery.grain.sample, total.files, total.bytes)
    note_unfinished(open_units)
    look_into_odd_siblings(store, discovery)
    note_unplaced(discovery.unplaced)
    if not total.units and not discovery.with_logs and not selection.refused:
        raise selection.no_logs()
    if as_json:
        print_rest(total, stored, discovery.unplaced)
    else:
        STDOUT.print(plan_table(total))
    for line in stored_lines(stored) if stored else ():
        note(line)
    note_recommendation(discovery, settings)
    if note_left_out(selection):
        raise typer.Exit(FAILED)
    if discovery.unplaced:
        raise typer.Exit(QUARANTINED)


def _check_dataset(source: ReadStore, dataset: str | None, state: str, settings: Settings) -> None:
    """Refuse settings that a dataset must not be mixed with, as its conversion would."""
    notes = open_store(state)
    parts = open_store(dataset) if dataset else notes
    check_properties(Stores(source, parts, notes), DatasetOptions.of(settings))


def note_recommendation(discovery: Discovery, settings: Settings) -> None:
    """Print which partition layout would suit the source better, if one would."""
    if line := recommendation_line(discovery, settings.partition_layout):
        note(line)


def _without(
    open_units: dict[Unit, datetime], planned: Iterable[PlannedUnit]
) -> Iterator[PlannedUnit]:
    """Planned units, each of which is taken out of those that are not finished."""
    for entry in planned:
        open_units.pop(entry.unit, None)
        yield entry
