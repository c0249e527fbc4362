"""Arguments and options that several commands have, and what they select."""

import re
from datetime import date
from typing import Annotated

import typer

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.plan import Only, UnitRange
from cloudtrail_parquet.planning.ranges import check_names
from cloudtrail_parquet.settings.settings import OPTIONAL_LOG_FOLDERS

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Logs = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder, file or URI with logs, as trails deliver them or as people have them "
        "(docs/sources.md); several URIs go into one argument, with spaces.",
    ),
]


Trees = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or URI at or above AWSLogs; several URIs go into one argument, with spaces.",
    ),
]


Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Folder or URI of the partitions.")]


Day = Annotated[str | None, typer.Option("--day", help="Only this day.", metavar="D")]


From = Annotated[str | None, typer.Option("--from", help="From this day on.", metavar="D")]


To = Annotated[str | None, typer.Option("--to", help="Up to this day.", metavar="D")]


Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ID", help="Only this account; repeat it for more."),
]


Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="NAME", help="Only this region; repeat it for more."),
]


OwnAccounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        metavar="ID",
        help="Only this account; repeat it for more. One alone fills in what records lack.",
    ),
]


OwnRegions = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        metavar="NAME",
        help="Only this region; repeat it for more. One alone fills in what records lack.",
    ),
]


Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--folder",
        metavar="NAME",
        help=f"Also read this folder of logs: {' or '.join(OPTIONAL_LOG_FOLDERS)}.",
    ),
]


WHICH = (
    "missing: never converted; outdated: also what would get other rows; reshaped: also what "
    "would get other files; or all."
)


State = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Receipts and leases; by default DATASET.state."),
]


Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processes; by default one for each processor."),
]


Which = Annotated[
    Only,
    typer.Option("--only", metavar="WHICH", help=WHICH),
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def range_of(
    day: str | None,
    first: str | None,
    last: str | None,
    accounts: list[str] | None,
    regions: list[str] | None,
) -> UnitRange:
    """What the options of a command select.

    Raises:
        UsageError: A day is not one, or they contradict each other.
    """
    if day and (first or last):
        raise UsageError("--day goes without --from and --to", "options", "Use one or the other")
    check_names(accounts or (), regions or ())
    only = _date("--day", day)
    from_, to = only or _date("--from", first), only or _date("--to", last)
    return UnitRange.of(from_, to, accounts or (), regions or ())


def _date(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    hint = "Write year, month and day (UTC) with hyphens: 2026-01-10"
    if not _DAY.fullmatch(text):
        raise UsageError(f"{text!r} is not a day", option, hint)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"there is no day {text}", option, hint) from error


def with_folders(folders: tuple[str, ...], further: list[str]) -> tuple[str, ...]:
    """The log folders that the settings name, and those of the option ``--folder``.

    Raises:
        UsageError: A folder does not hold event logs.
    """
    for name in further:
        if name not in OPTIONAL_LOG_FOLDERS:
            raise UsageError(
                f"{name} is not a folder of event logs",
                "--folder",
                f"Use {' or '.join(OPTIONAL_LOG_FOLDERS)}",
            )
    return tuple(dict.fromkeys([*folders, *sorted(further)]))
