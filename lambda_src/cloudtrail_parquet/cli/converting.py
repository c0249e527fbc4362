"""The command ``convert``."""

import json
import os
import sys
import time
from dataclasses import replace
from typing import Annotated, Any, NoReturn

import typer

from cloudtrail_parquet.batch.processes import cores
from cloudtrail_parquet.batch.tally import Job, WorkersTally
from cloudtrail_parquet.batch.workers import Outcome, convert_all, jobs_of
from cloudtrail_parquet.cli.arguments import (
    AsJson,
    Day,
    Folders,
    From,
    Logs,
    OwnAccounts,
    OwnRegions,
    State,
    To,
    Which,
    Workers,
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
    next_lines,
    note,
    note_left_out,
    note_unfinished,
    note_unplaced,
    report,
    summary,
)
from cloudtrail_parquet.cli.planning import intake_of, note_recommendation, planning
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.intake.opening import Intake
from cloudtrail_parquet.planning.plan import DEFAULT_ONLY, PlannedUnit
from cloudtrail_parquet.planning.remarks import incomplete_lines, unfinished_except, up_to_date_line
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.siblings import count_siblings, look_into_odd_siblings
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted, size_of


@with_settings
def convert(  # noqa: PLR0913, PLR0917 - each is an option
    source: Logs,
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="Folder or URI that receives the partitions."),
    ],
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: OwnAccounts = None,
    region: OwnRegions = None,
    workers: Workers = None,
    folder: Folders = None,
    only: Which = DEFAULT_ONLY,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read all log files that are due, report what would be made of them, and write "
            "nothing; plan reads none, but files that have to be sorted out by their content.",
        ),
    ] = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
    *,
    settings: Settings,
) -> None:
    """Convert log files to Parquet: all days that are found, or some, unless they are up to date.

    The same command goes on after an interruption, and does nothing where nothing has changed.
    """
    started = time.monotonic()
    wanted = range_of(day, first, last, account, region)
    locations = Locations.of(source, dataset, state)
    locations.check(settings.part_bytes, writes=not dry_run)
    settings = replace(settings, folders=with_folders(settings.folders, folder or []))
    with intake_of(locations.source, settings, wanted) as intake:
        selection = Selection.within(intake.store, intake.discovery, wanted)
        locations = replace(locations, opener=intake.source)
        with planning(selection):
            due = selection.due(locations.open(), only, settings)
        if due:
            note_recommendation(selection.discovery, settings)
        convert_here(
            due,
            selection,
            locations,
            settings,
            workers,
            started,
            dry_run=dry_run,
            as_json=as_json,
            intake=intake,
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
    intake: Intake | None = None,
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
        intake: How the source was opened, if not as a delivered tree.
    """
    units, stores = [planned.unit for planned in due], locations.open()
    jobs = [
        job._replace(size=planned.bytes, seconds=planned.seconds)
        for job, planned in zip(jobs_of(units, selection.discovery), due, strict=True)
    ]
    outcomes = []
    if dry_run and jobs:
        note(_dry_run_line(due, intake))
    if jobs:
        number = workers or cores()
        outcomes = _collected(jobs, locations, settings, number, dry_run=dry_run, as_json=as_json)
    _check_logs(selection, outcomes)
    done = [outcome for outcome in outcomes if outcome.receipt or outcome.error]
    told = units if dry_run else [outcome.unit for outcome in done if outcome.error]
    unfinished = unfinished_except(stores.state, told)
    note_unfinished(unfinished)
    for name, count in sorted(count_siblings(selection.source, selection.discovery).items()):
        note(beside(name, count))
    note_unplaced(selection.discovery.unplaced)
    if not jobs:
        note(up_to_date_line(selection.discovery))
    elif dry_run:
        note("nothing was written; this is what would be")
    if as_json and intake and intake.left.count:
        sys.stdout.write(json.dumps({"left_out": intake.left.to_json()}) + "\n")
    if jobs and not as_json:
        made = "" if dry_run else locations.dataset
        _print_totals(done, time.monotonic() - started, intake, made)
    status = _status_of(done, selection, intake)
    is_left = not unfinished.keys().isdisjoint(units)
    raise typer.Exit(QUARANTINED if status == 0 and is_left else status)


def _print_totals(done: list[Outcome], seconds: float, intake: Intake | None, made: str) -> None:
    """Print totals, and what to do next with the dataset that was ``made``, if one was."""
    sorted_out, left_out = bool(intake and intake.files), intake.left.count if intake else 0
    STDOUT.print(summary(done, seconds, sorted_out=sorted_out, left_out=left_out))
    for line in next_lines(done, made, sorted_out=sorted_out) if made else ():
        STDOUT.print(printable(line), markup=False, soft_wrap=True)


def _dry_run_line(due: list[PlannedUnit], intake: Intake | None) -> str:
    """What a dry run reads, as far as the plan has listed it."""
    files, size = sum(planned.files for planned in due), sum(planned.bytes for planned in due)
    all_of = f"{counted(files, 'log file')}, {size_of(size)}" if files else "all log files"
    plan = "plan reads none"
    if intake and intake.files:
        plan = "plan, too, reads the files that had to be sorted out, and no other"
    return f"dry run: reads {all_of}, of {counted(len(due), 'unit')}; {plan}"


def _collected(  # noqa: PLR0913
    jobs: list[Job],
    locations: Locations,
    settings: Settings,
    workers: int,
    *,
    dry_run: bool,
    as_json: bool,
) -> list[Outcome]:
    """The outcomes of all jobs, in order of units; with JSON printed as they come."""
    tally, outcomes = WorkersTally(min(workers, len(jobs))), list[Outcome]()
    goal = Amount(sum(job.size for job in jobs), len(jobs), sum(job.seconds for job in jobs))
    converting = convert_all(jobs, locations, settings, workers, dry_run=dry_run, tally=tally)
    what = "reading" if dry_run else "converting"

    def look() -> Amount:
        return Amount(*tally.done)

    try:
        with progress(what, goal, "unit", look=look, shown=not (as_json and sys.stdout.isatty())):
            for outcome in converting:
                outcomes.append(outcome)
                if as_json and (outcome.receipt or outcome.error):
                    sys.stdout.write(json.dumps(_as_json(outcome)) + "\n")
                    sys.stdout.flush()
    except KeyboardInterrupt:
        note(
            "interrupted: a unit that was being replaced is named by the next run; "
            "the same command goes on with what is left, unless it has --only all"
        )
        os._exit(INTERRUPTED)  # the workers end with this process
    return sorted(outcomes, key=lambda outcome: outcome.unit)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.receipt:
        return outcome.receipt.to_json()
    return {**outcome.unit.to_json(), "status": "failed", "error": str(outcome.error)}


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


def _status_of(done: list[Outcome], selection: Selection, intake: Intake | None) -> int:
    """Report what went wrong; returns the exit status."""
    status = report(done, intake.source.path_of if intake else str)
    discovery = selection.discovery
    for line in incomplete_lines(discovery):
        note(line)
    if note_left_out(selection):
        return FAILED
    needs_a_look = discovery.unplaced or discovery.incomplete or (intake and intake.left.count)
    return QUARANTINED if status == 0 and needs_a_look else status
