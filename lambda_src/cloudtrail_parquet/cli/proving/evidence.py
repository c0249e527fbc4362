"""The command ``evidence``: an event with all that proves it, in a zip file."""

import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

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
from cloudtrail_parquet.cli.new_file import check_outside, new_file
from cloudtrail_parquet.cli.output import FAILED, QUARANTINED, STDOUT, note, note_intake
from cloudtrail_parquet.cli.proving.public_keys import KeyFiles, public_keys
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.digests.evidence import case_of, zipped
from cloudtrail_parquet.digests.found_row import FoundRow, rows_of_event
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.proof import Step, prove, status_of
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.digests.vouching import Vouched, vouched
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.intake.opening import Intake, taken_in
from cloudtrail_parquet.planning.plan import UnitRange
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_existing, open_store, without_parameters
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import size_of

_DAY = timedelta(days=1)
_STATUS = (0, FAILED, FAILED, QUARANTINED)


def evidence(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The eventID.")],
    source: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="Folder or URI of the logs, with their digest files."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The zip file to write.")
    ],
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    key_files: KeyFiles = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a zip file with an event, its log file and what CloudTrail has signed of it.

    It holds a program that proves the event offline. Exit status: 0 all is proved; 1 something is
    wrong; 3 nothing is wrong, but not everything is proved.
    """
    wanted = range_of(day, first, last, account, region)
    check_outside(output, dataset)
    with taken_in(source, Settings(), wanted.only_place) as intake:
        note_intake(intake)
        rows = _rows(dataset, event_id, Locations.state_of(dataset, state), wanted)
        best = _best(rows, intake, key_files)
    if best is None:
        what = f"no log file of its unit holds the event {event_id}, as the dataset has it"
        raise UsageError(what, source, "Name the logs that the dataset was made from")
    members = case_of(event_id, without_parameters(dataset), *best)
    data, steps = zipped(members), list(prove(members))
    with new_file(output, force=force) as sink:
        sink.write(data)
    _tell(output, data, steps, as_json=as_json)
    if status := _STATUS[status_of(steps)]:
        raise typer.Exit(status)


class _RowInLogs(NamedTuple):
    """A row of the event, a log file that holds it, and the public keys of its digest file."""

    row: FoundRow
    found: Vouched
    keys: PublicKeys | None


def _best(rows: Iterator[FoundRow], intake: Intake, key_files: KeyFiles) -> _RowInLogs | None:
    """The first row and log file whose digest file is signed; else that has one; else the first."""
    best = None
    for row in rows:
        for found in vouched(intake.store, intake.discovery, row, _window(row)):
            keys = _keys_of(row, found, key_files)
            candidate = _RowInLogs(row, found, keys)
            if found.digest and (keys is None or found.is_signed(keys)):
                return candidate
            if best is None or (found.digest and not best.found.digest):
                best = candidate
    return best


def _keys_of(row: FoundRow, found: Vouched, key_files: KeyFiles) -> PublicKeys | None:
    """The public keys of the time of some digest files; None if there are neither."""
    if not found.digests:
        return None
    times = [moment for digest in found.digests for moment in (digest.start, digest.end)]
    period = Period(min(times) - _DAY, max(times) + _DAY)
    return public_keys(key_files, [row.place.region], period)


def _rows(dataset: str, event_id: str, state: str, wanted: UnitRange) -> Iterator[FoundRow]:
    """The rows of an event.

    Raises:
        UsageError: There are none.
    """
    stores = open_existing(dataset, "dataset"), open_store(state)
    rows = rows_of_event(
        *stores, event_id, wanted.first, wanted.last, wanted.accounts, wanted.regions
    )
    row = None
    for row in rows:
        yield row
    if row is None:
        what = f"no event {event_id} in what was selected"
        raise UsageError(what, without_parameters(dataset), "Select other days or places")


def _window(row: FoundRow) -> Window:
    """The window of the conversion that wrote a row, by its receipt; else the usual one."""
    values: dict[str, Any] = {"lookbehind_s": Settings().lookbehind_s}
    values["lookahead_s"] = Settings().lookahead_s
    for receipt in row.receipts:
        values |= json.loads(receipt)
    return Window(int(values["lookbehind_s"]), int(values["lookahead_s"]))


def _tell(output: str, data: bytes, steps: list[Step], *, as_json: bool) -> None:
    """Print what the proof says, and the hash by which the file is known."""
    digest = sha256(data).hexdigest()
    if as_json:
        proof = [step._asdict() for step in steps]
        print(json.dumps({"output": output, "bytes": len(data), "sha256": digest, "proof": proof}))
        return
    for step in steps:
        STDOUT.print(printable(f"{step.status}: {step.what}"), markup=False, soft_wrap=True)
    note(f"{output}: {size_of(len(data))}, SHA-256 {digest}")
