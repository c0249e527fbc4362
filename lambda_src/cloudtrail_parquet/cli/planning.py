"""The command ``plan``, and what it prints: unit by unit as they are found; none is held."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from cloudtrail_parquet.cli.arguments import (
    WHICH,
    AsJson,
    Day,
    Folders,
    From,
    Logs,
    OwnAccounts,
    OwnRegions,
    State,
    To,
    range_of,
    with_folders,
)
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import (
    FAILED,
    QUARANTINED,
    STDOUT,
    bytes_in,
    note,
    note_intake,
    note_left_out,
    note_unfinished,
    note_unplaced,
    two_columns,
)
from cloudtrail_parquet.cli.progress import Amount, Meter, NoProgress, progress
from cloudtrail_parquet.clock import SYSTEM_CLOCK
from cloudtrail_parquet.dataset.properties import check_properties
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.intake.left_out import Leftovers
from cloudtrail_parquet.intake.opening import Intake, taken_in
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import Estimate, estimate
from cloudtrail_parquet.planning.plan import (
    DEFAULT_ONLY,
    Only,
    PlannedUnit,
    Receipts,
    UnitRange,
    plan_units,
)
from cloudtrail_parquet.planning.recommended import recommendation_line
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.planning.stored import StorageFacts, look_at, stored_lines
from cloudtrail_parquet.settings.options import DatasetOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore, Stores, open_store
from cloudtrail_parquet.storage.locations import Locations

Planned = Annotated[
    str | None,
    typer.Argument(metavar="DATASET", help="Folder or URI of the partitions, if there are any."),
]


WhichOrAll = Annotated[
    Only | None,
    typer.Option(
        "--only",
        metavar="WHICH",
        help=f"{WHICH} By default {DEFAULT_ONLY}; without DATASET and --state, all.",
    ),
]


@with_settings
def plan(  # noqa: PLR0913, PLR0917 - each is an option
    source: Logs,
    dataset: Planned = None,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: OwnAccounts = None,
    region: OwnRegions = None,
    only: WhichOrAll = None,
    folder: Folders = None,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
    *,
    settings: Settings,
) -> None:
    """Show what there is to convert, and what time and money that takes in AWS; convert nothing.

    With DATASET that is what convert would do, and why; without it, all of SOURCE.

    No log file is read, unless only its content tells where it belongs: log files and parts are
    only listed.
    """
    wanted = range_of(day, first, last, account, region)
    state = _checked(source, dataset, state, settings) if dataset else state
    if only not in {"all", None} and not state:
        raise UsageError(f"--only {only} needs receipts", "plan", "Name the DATASET or --state")
    settings = replace(settings, folders=with_folders(settings.folders, folder or []))
    only = only or (DEFAULT_ONLY if state else "all")  # nothing is converted yet of a new dataset
    with intake_of(source, settings, wanted) as intake:
        selection = Selection.within(intake.store, intake.discovery, wanted)
        _plan(selection, dataset, state, only, settings, intake, as_json=as_json)
        if note_left_out(selection):
            raise typer.Exit(FAILED)
        if selection.discovery.unplaced or intake.left.count:
            raise typer.Exit(QUARANTINED)


def _plan(  # noqa: PLR0913, PLR0917
    selection: Selection,
    dataset: str | None,
    state: str | None,
    only: Only,
    settings: Settings,
    intake: Intake,
    *,
    as_json: bool,
) -> None:
    receipts = Receipts(
        open_store(state) if state else selection.source,  # never read when all units are planned
        SYSTEM_CLOCK.now(),
        open_store(dataset) if dataset else None,
    )
    open_units = dict[Unit, datetime]()
    if state:
        _check_dataset(selection.source, dataset, state, settings)
        open_units = unfinished(receipts.state)
    total = _planned(selection, receipts, only, settings, open_units, as_json=as_json)
    note_unfinished(open_units)
    _conclude(selection, total, intake, as_json=as_json)
    note_recommendation(selection.discovery, settings)


def _planned(  # noqa: PLR0913
    selection: Selection,
    receipts: Receipts,
    only: Only,
    settings: Settings,
    open_units: dict[Unit, datetime],
    *,
    as_json: bool,
) -> Estimate:
    """Print the units of a plan as they are found; units that are planned are not open any more."""
    source, discovery, wanted = selection.source, selection.discovery, selection.range
    planned = plan_units(source, receipts, discovery, wanted, only, PlanOptions.of(settings))
    printed = print_rows(planned) if as_json else print_reasons(planned)
    with planning(selection, shown=not (as_json and sys.stdout.isatty())):
        return estimate(_without(open_units, printed))


def _conclude(selection: Selection, total: Estimate, intake: Intake, *, as_json: bool) -> None:
    """Print the totals, what no unit reads, and how the log files are stored.

    Raises:
        UsageError: There was no log file.
    """
    discovery = selection.discovery
    stored = look_at(selection.source, discovery.grain.sample, total.files, total.bytes)
    look_into_odd_siblings(selection.source, discovery)
    note_unplaced(discovery.unplaced)
    if not total.units and not discovery.with_logs and not selection.refused:
        raise selection.no_logs()
    if as_json:
        print_rest(total, stored, discovery.unplaced, intake.left)
    else:
        STDOUT.print(plan_table(total, sorted_out=bool(intake.files)))
    for line in stored_lines(stored) if stored else ():
        note(line)


def _checked(source: str, dataset: str, state: str | None, settings: Settings) -> str:
    """The location of the state, after all have been checked as convert would."""
    locations = Locations.of(source, dataset, state)
    locations.check(settings.part_bytes, writes=False)
    return locations.state


def _check_dataset(source: ReadStore, dataset: str | None, state: str, settings: Settings) -> None:
    """Refuse settings that a dataset must not be mixed with, as its conversion would."""
    notes = open_store(state)
    parts = open_store(dataset) if dataset else notes
    check_properties(Stores(source, parts, notes), DatasetOptions.of(settings))


@contextmanager
def intake_of(source: str, settings: Settings, wanted: UnitRange) -> Iterator[Intake]:
    """Open a source, show how much of it has been sorted out meanwhile, and tell what it is."""
    with ExitStack() as opened:
        with progress("opening", Amount(), "file") as meter:
            taken = taken_in(source, settings, wanted.only_place, meter.add)
            intake = opened.enter_context(taken)
        note_intake(intake)
        yield intake


def planning(selection: Selection, *, shown: bool = True) -> AbstractContextManager[Meter]:
    """Show how far a plan is: places listed, and the bytes of the units found in them."""
    wanted, discovery = selection.range, selection.discovery
    places = sum(wanted.holds(*place) for place in discovery.trails)

    def look() -> Amount:
        return Amount(discovery.grain.bytes, discovery.grain.places)

    return progress("planning", Amount(items=places), "place", look=look, shown=shown)


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


def print_reasons(planned: Iterable[PlannedUnit]) -> Iterator[PlannedUnit]:
    """Print a line for each unit that is due for a reason, when its turn comes."""
    for entry in planned:
        if entry.why:
            STDOUT.print(f"{entry.unit.name}: {entry.why}", markup=False, soft_wrap=True)
        yield entry


def print_rows(planned: Iterable[PlannedUnit]) -> Iterator[PlannedUnit]:
    """Print the beginning of a JSON object: a list of the units, as their turn comes."""
    before = '{"units": ['
    for entry in planned:
        row = {**entry.unit.to_json(), "files": entry.files, "bytes": entry.bytes, "why": entry.why}
        sys.stdout.write(before + json.dumps(row))
        before = ", "
        yield entry


def print_rest(
    total: Estimate, stored: StorageFacts | None, unplaced: Unplaced, left: Leftovers
) -> None:
    """Print the rest of the object that `print_rows` began, or all of it if there were no units."""
    rest = {
        "total": total,
        "stored": stored,
        "unplaced": unplaced.found,
        "left_out": left.to_json(),
    }
    text = json.dumps(msgspec.to_builtins(rest))
    sys.stdout.write(("]" if total.units else '{"units": []') + f", {text[1:]}\n")


def plan_table(total: Estimate, *, sorted_out: bool = False) -> Table:
    """The totals of a plan; ``sorted_out`` is that of `output.summary`."""
    rows = {
        "units": f"{total.units:,}",
        "log files": f"{total.files:,}",
        bytes_in(sorted_out=sorted_out): f"{total.bytes:,}",
        "largest unit": total.largest or "",
        "invocations": f"{total.batches:,}",
        "seconds in all": f"{total.seconds:,.0f}",
        "dollars": f"{total.dollars:,.2f}",
    }
    return two_columns(rows)
