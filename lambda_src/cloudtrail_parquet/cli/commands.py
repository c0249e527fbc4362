"""The command ``cloudtrail-parquet``.

Results go to stdout, everything else to stderr. Exit status: 0 success; 1 some unit failed; 2 wrong
usage, no log files, or a location that somebody has to see to first, such as a full disk; 3
finished, but something was quarantined, kept or lies where no unit reads it; 4 something is missing
from what status looked at; 5 what verify looked at is not as it should be.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from cloudtrail_parquet.cli.arguments import AsJson
from cloudtrail_parquet.cli.asking.command import query
from cloudtrail_parquet.cli.backfill.commands import backfill
from cloudtrail_parquet.cli.converting import convert
from cloudtrail_parquet.cli.door import enter
from cloudtrail_parquet.cli.exporting import export
from cloudtrail_parquet.cli.help_pages import WORDS, Commands, ExampleGroup
from cloudtrail_parquet.cli.history.expiring import expire
from cloudtrail_parquet.cli.history.reporting import report
from cloudtrail_parquet.cli.history.rewriting import rewrite
from cloudtrail_parquet.cli.history.status import status
from cloudtrail_parquet.cli.history.verifying import verify
from cloudtrail_parquet.cli.inspection_tables import tables
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import STDOUT, two_columns
from cloudtrail_parquet.cli.planning import plan
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.cli.proving.evidence import evidence
from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.dataset.inspection import inspect_location
from cloudtrail_parquet.errors import StorageError, UsageError, system_errors
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.reference.ddl import DdlFormat, render
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import check_spelling, local_path
from cloudtrail_parquet.version import __version__

_WORDS = "\n\n".join(f"{word}: {about}." for word, about in WORDS.items())
_HELP = f"AWS CloudTrail log files as small, fast, typed Parquet.\n\n{_WORDS}"

app = Commands(
    name="cloudtrail-parquet",
    cls=ExampleGroup,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback(help=_HELP)
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


app.command()(convert)
app.command()(plan)
app.command()(status)
app.command()(export)
app.command()(rewrite)
app.command()(expire)
app.command()(evidence)
app.command(
    context_settings={"ignore_unknown_options": True}  # which may be parameters of a query
)(query)
app.command()(verify)
app.command()(report)
app.add_typer(backfill, name="backfill")


@app.command()
def generate(  # noqa: PLR0913, PLR0917 - each is an option
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="Folder that receives AWSLogs/…; must be empty.")
    ],
    accounts: Annotated[int, typer.Option(metavar="N", help="How many accounts.")] = 2,
    regions: Annotated[int, typer.Option(metavar="N", help="How many regions an account has.")] = 2,
    days: Annotated[int, typer.Option(metavar="N", help="How many days.")] = 3,
    records: Annotated[int, typer.Option(metavar="N", help="How many distinct records.")] = 10_000,
    late: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of records delivered hours to weeks late.")
    ] = 0,
    duplicates: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of records delivered twice.")
    ] = 0,
    corrupt: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of log files that are damaged.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Another number makes another tree.")] = 0,
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Write digest files, too, and OUT.public-keys.json."),
    ] = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
) -> None:
    """Write a believable tree of sample log files, and print what it contains."""
    folder = _new_folder(out)
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
            digests=digests,
        )
    except ValueError as error:
        raise UsageError(
            str(error), "generate", "See cloudtrail-parquet generate --help"
        ) from error
    goal = Amount(items=records, work=records * (1 + duplicates))
    try:
        with system_errors("written", folder), progress("generating", goal, "record") as meter:
            truth = msgspec.to_builtins(generate_tree(folder, spec, meter.add))
    except StorageError:
        shutil.rmtree(folder / LOGS_ROOT, ignore_errors=True)
        raise
    if as_json:
        print(json.dumps(truth))
        return
    counts = {name: f"{value:,}" for name, value in truth.items() if isinstance(value, int)}
    STDOUT.print(two_columns({name.replace("_", " "): text for name, text in counts.items()}))
    for damaged in truth["corrupt_files"]:
        STDOUT.print(f"damaged: {damaged['key']}: {damaged['reason']}", soft_wrap=True)


def _new_folder(location: str) -> Path:
    """The path of a folder in which nothing lies yet.

    Raises:
        UsageError: Something does, or it is a file or no folder at all.
    """
    check_spelling(location)
    folder = local_path(location)
    if folder is None:
        what, hint = "is not on a disk, where alone logs are made", "Name a folder; then copy it"
        raise UsageError(what, location, hint)
    with system_errors("read", folder):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError("the folder is not empty", location, "Name a new one")
    return folder


@app.command()
@with_settings
def schema(
    format_: Annotated[
        DdlFormat, typer.Option("--format", help="Query engine or file format to print it for.")
    ] = "arrow",
    *,
    settings: Settings,
) -> None:
    """Print the schema of a dataset that is made with these settings."""
    print(render(format_, settings), end="")


@app.command()
@with_settings
def inspect(
    location: Annotated[
        str, typer.Argument(metavar="DATASET", help="A dataset, or one Parquet file of it.")
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


def main() -> NoReturn:
    """Run the command; print errors raised on purpose as a line, and exit with their status."""
    prepare_process()
    enter(app)
