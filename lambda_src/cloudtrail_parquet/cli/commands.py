"""The command ``cloudtrail-parquet``.

Results go to stdout, everything else to stderr. Exit status: 0 success; 1 some unit failed; 2 wrong
usage, or no log files; 3 finished, but something was quarantined, kept or lies where no unit reads
it.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Day,
    From,
    Logs,
    Regions,
    To,
    range_of,
    with_folders,
)
from cloudtrail_parquet.cli.inspection_tables import tables
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import (
    FAILED,
    INTERRUPTED,
    QUARANTINED,
    STDOUT,
    WRONG_USAGE,
    beside,
    collect,
    note,
    note_error,
    note_left_out,
    note_unfinished,
    note_unplaced,
    plan_table,
    report,
    summary,
    two_columns,
)
from cloudtrail_parquet.conversion.workers import Outcome, convert_all, cores, jobs_of
from cloudtrail_parquet.dataset.export import export_records
from cloudtrail_parquet.dataset.inspection import inspect_location
from cloudtrail_parquet.errors import CloudTrailParquetError, UsageError
from cloudtrail_parquet.planning.batches import estimate
from cloudtrail_parquet.planning.plan import Only, Receipts, plan_units
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.reference.ddl import DdlFormat, render
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.settings.options import DatasetOptions, PlanOptions
from cloudtrail_parquet.settings.settings import OPTIONAL_LOG_FOLDERS, Settings
from cloudtrail_parquet.source.siblings import count_siblings, look_into_odd_siblings
from cloudtrail_parquet.storage import open_store
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.version import __version__

app = typer.Typer(
    name="cloudtrail-parquet",
    help="AWS CloudTrail log files as small, fast, typed Parquet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """AWS CloudTrail log files as small, fast, typed Parquet."""


@app.command()
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
    folder: Annotated[
        list[str] | None,
        typer.Option(help=f"Also read this folder of logs: {' or '.join(OPTIONAL_LOG_FOLDERS)}."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only report what would be done; write nothing.")
    ] = False,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Convert log files to partitions: all days found, or those selected."""
    started = time.monotonic()
    wanted = range_of(day, first, last, account, region)
    locations = Locations.of(source, dataset, state)
    locations.check(settings.part_bytes)
    settings = replace(settings, folders=with_folders(settings.folders, folder or []))
    selection = Selection.of(locations.source, wanted, settings.folders)
    discovery, units = selection.discovery, selection.units(DatasetOptions.of(settings))
    if not units and not selection.refused:
        look_into_odd_siblings(selection.source, discovery)
        note_unplaced(discovery.unplaced)
        raise selection.no_logs()
    jobs = jobs_of(units, discovery)
    converting = convert_all(jobs, locations, settings, workers or cores(), dry_run=dry_run)
    outcomes = _collected(converting, len(jobs), as_json=as_json)
    note_unfinished(locations.open().state, set(units))
    for name, count in sorted(count_siblings(selection.source, discovery).items()):
        note(beside(name, count))
    done = [outcome for outcome in outcomes if outcome.receipt or outcome.error]
    for outcome in done:
        discovery.unplaced.merge(outcome.receipt.unplaced if outcome.receipt else ())
    note_unplaced(discovery.unplaced)
    if not any(outcome.looked for outcome in outcomes) and not selection.refused:
        raise selection.no_logs()
    if dry_run:
        note("dry run: nothing was written; this is what would be")
    if not as_json:
        STDOUT.print(summary(done, time.monotonic() - started))
    raise typer.Exit(_status_of(done, selection))


def _collected(converting: Iterator[Outcome], total: int, *, as_json: bool) -> list[Outcome]:
    try:
        return collect(converting, total, as_json=as_json)
    except KeyboardInterrupt:
        note(
            "interrupted: a unit that was being replaced is named by the next run; "
            "the same command converts all selected units again"
        )
        os._exit(INTERRUPTED)  # the workers end with this process


def _status_of(done: list[Outcome], selection: Selection) -> int:
    """Report what went wrong; returns the exit status."""
    status = report(done)
    if note_left_out(selection):
        return FAILED
    return QUARANTINED if status == 0 and selection.discovery.unplaced else status


@app.command()
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
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    only: Annotated[
        Only, typer.Option(help="Never converted; also outdated ones; also reshaped ones; all.")
    ] = "all",
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Report what is to be converted, and its time and cost in AWS; convert nothing."""
    wanted = range_of(None, first, last, account, region)
    state = state or (Locations.of(source, dataset).state if dataset else None)
    if only != "all" and not state:
        raise UsageError(f"--only {only} needs receipts", "plan", "Name the DATASET or --state")
    selection = Selection.of(source, wanted, settings.folders)
    store, discovery = selection.source, selection.discovery
    receipts = Receipts(
        open_store(state) if state else store,  # never read when all units are planned
        open_store(dataset) if dataset else None,
    )
    planned = list(plan_units(store, receipts, discovery, wanted, only, PlanOptions.of(settings)))
    if state:
        note_unfinished(receipts.state, {entry.unit for entry in planned})
    look_into_odd_siblings(store, discovery)
    note_unplaced(discovery.unplaced)
    if not discovery.with_logs and not selection.refused:
        raise selection.no_logs()
    total = estimate(planned)
    if as_json:
        rows = [
            {**entry.unit.to_json(), "files": entry.files, "bytes": entry.bytes, "why": entry.why}
            for entry in planned
        ]
        unplaced = msgspec.to_builtins(discovery.unplaced.folders)
        total_ = msgspec.to_builtins(total)
        print(json.dumps({"units": rows, "total": total_, "unplaced": unplaced}))
    else:
        for entry in planned if only != "all" else ():
            STDOUT.print(f"{entry.unit.name}: {entry.why}", markup=False, soft_wrap=True)
        STDOUT.print(plan_table(total))
    if note_left_out(selection):
        raise typer.Exit(FAILED)
    if discovery.unplaced:
        raise typer.Exit(QUARANTINED)


@app.command()
def export(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Annotated[str, typer.Argument(help="Folder or URI with the partitions.")],
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
) -> None:
    """Print the records of a dataset as JSON lines, as CloudTrail delivered them."""
    wanted = range_of(day, first, last, account, region)
    names = sorted(wanted.accounts), sorted(wanted.regions)
    for text in export_records(open_store(dataset), wanted.first, wanted.last, *names):
        sys.stdout.buffer.write(text.encode() + b"\n")


@app.command()
def generate(  # noqa: PLR0913, PLR0917 - each is an option
    out: Annotated[Path, typer.Argument(help="Folder that receives AWSLogs/…; must be empty.")],
    accounts: Annotated[int, typer.Option(help="Accounts.")] = 2,
    regions: Annotated[int, typer.Option(help="Regions of each account.")] = 2,
    days: Annotated[int, typer.Option(help="Days.")] = 3,
    records: Annotated[int, typer.Option(help="Distinct records in all.")] = 10_000,
    late: Annotated[
        float, typer.Option(help="Share of records delivered hours to weeks late.")
    ] = 0,
    duplicates: Annotated[float, typer.Option(help="Share of records delivered twice.")] = 0,
    corrupt: Annotated[float, typer.Option(help="Share of log files that are damaged.")] = 0,
    seed: Annotated[int, typer.Option(help="Another number makes another tree.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a believable tree of sample log files, and print what it contains."""
    if out.exists() and any(out.iterdir()):
        raise UsageError("the folder is not empty", str(out), "Name a new one")
    try:
        spec = TreeSpec(
            accounts=accounts,
            regions=regions,
            days=days,
            records=records,
            late=late,
            duplicates=duplicates,
            corrupt=corrupt,
            seed=seed,
        )
    except ValueError as error:
        raise UsageError(
            str(error), "generate", "See cloudtrail-parquet generate --help"
        ) from error
    truth = msgspec.to_builtins(generate_tree(out, spec))
    if as_json:
        print(json.dumps(truth))
        return
    counts = {name: f"{value:,}" for name, value in truth.items() if isinstance(value, int)}
    STDOUT.print(two_columns({name.replace("_", " "): text for name, text in counts.items()}))
    for damaged in truth["corrupt_files"]:
        STDOUT.print(f"damaged: {damaged['key']}: {damaged['reason']}", soft_wrap=True)


@app.command()
@with_settings
def schema(
    format_: Annotated[
        DdlFormat, typer.Option("--format", help="Query engine or file format to print it for.")
    ] = "arrow",
    *,
    settings: Settings,
) -> None:
    """Print the schema of the dataset that the settings make."""
    print(render(format_, settings), end="")


@app.command()
@with_settings
def inspect(
    location: Annotated[
        str, typer.Argument(metavar="place", help="A dataset or one Parquet file of it.")
    ],
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Show what Parquet files look like, and which settings have changed since they were written.

    Row groups, order, sizes by column, filters and metadata; settings are compared with today's.
    """
    inspected = inspect_location(location, settings.shaping())
    if as_json:
        print(json.dumps(inspected.to_json()))
    else:
        STDOUT.print(*tables(inspected))


def main() -> None:
    """Run the command; print errors raised on purpose as a line, and exit with their status."""
    prepare_process()
    try:
        app(standalone_mode=True)
    except UsageError as error:
        note_error(error)
        sys.exit(WRONG_USAGE)
    except CloudTrailParquetError as error:
        note_error(error)
        sys.exit(FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone
        sys.exit(FAILED)
