"""What commands say: progress, sums and tables; what went wrong, in lines and an exit status."""

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.conversion.workers import Outcome
from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import Estimate
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.settings import (
    LOG_FOLDERS,
    OPTIONAL_LOG_FOLDERS,
    OTHER_FOLDERS,
    UNREAD_LOG_FOLDERS,
)
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.figures import Quarantined
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore

FAILED, WRONG_USAGE, QUARANTINED, INTERRUPTED = 1, 2, 3, 130

STDOUT = Console(highlight=False)
_STDERR = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Say something beside the results, on one line, whatever the names in it hold."""
    _STDERR.print(printable(text), markup=False, emoji=False, soft_wrap=True)


def note_error(error: CloudTrailParquetError) -> None:
    """Say what went wrong."""
    first, *more = error.lines
    note(f"error: {first}")
    for line in more:
        note(line)


def beside(name: str, count: str) -> str:
    """What is said of a folder beside the logs, with so many objects that are not read."""
    if name in OPTIONAL_LOG_FOLDERS:
        return f"not read: {name}, {count} objects; --folder {name} reads them"
    if name in LOG_FOLDERS:
        return f"not read: {name}, {count} objects; the setting folders leaves it out"
    if name in UNREAD_LOG_FOLDERS:
        return f"not read: {name}, {count} objects; they are event logs in another form"
    if name in OTHER_FOLDERS:
        return f"skipped {name}: {count} objects that are no event logs"
    return f"skipped {name}: {count} objects that are not named like event logs"


def note_unplaced(unplaced: Unplaced) -> None:
    """Say which log files no unit reads, and where they would be read."""
    for one in unplaced.folders:
        count = f"{one.files:,}{' or more' if one.more else ''} log file{'s'[: one.files != 1]}"
        note(f"unplaced: {one.folder or 'the source'}: {count}, such as {one.example}")
    if unplaced:
        right = f"{LOGS_ROOT}/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/"
        note(
            f"no unit reads these {unplaced.files:,}: they have to lie in {right} and not be empty"
        )


def note_unfinished(state: ReadStore, units: Collection[Unit]) -> None:
    """Name the units, other than some, that a run has begun to replace and not finished."""
    for unit, since in sorted(unfinished(state).items()):
        if unit not in units:
            began = f"a run began to replace it at {since:%Y-%m-%d %H:%M} UTC"
            note(f"not finished: {unit.name}: {began}; if it has ended, convert that day again")


def note_left_out(selection: Selection) -> bool:
    """Say what a source is lacking, and whether that is selected accounts."""
    for place in selection.found.without_logs:
        note(f"no {LOGS_ROOT} folder yet in {place}")
    for account, error in selection.refused.items():
        note(f"error: account {account} is left out: {error}")
    return bool(selection.refused)


def collect(found: Iterable[Outcome], total: int, *, as_json: bool) -> list[Outcome]:
    """Wait for all outcomes, printed as they come if as JSON; by unit."""
    outcomes = []
    columns = (
        TextColumn("converting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("units"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns,
        console=_STDERR,
        transient=True,
        disable=not _STDERR.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else results would go to the terminal as well
    ) as bar:
        task = bar.add_task("convert", total=total)
        for outcome in found:
            bar.advance(task)
            outcomes.append(outcome)
            if as_json and (outcome.receipt or outcome.error):
                sys.stdout.write(json.dumps(_as_json(outcome)) + "\n")
                sys.stdout.flush()
    return sorted(outcomes, key=lambda outcome: outcome.unit)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.receipt:
        return outcome.receipt.to_json()
    return {**outcome.unit.to_json(), "status": "failed", "error": str(outcome.error)}


def summary(outcomes: list[Outcome], seconds: float) -> Table:
    """What conversions came to."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    rows: dict[str, str] = {
        "units": f"{len(outcomes):,}",
        "records": f"{sum(one.records.written + one.records.straggled for one in receipts):,}",
        "stragglers": f"{sum(one.records.straggled for one in receipts):,}",
        "duplicates": f"{sum(one.records.duplicate for one in receipts):,}",
        "quarantined": f"{len(_quarantined(outcomes)):,}",
        "bytes in": f"{sum(one.bytes_in for one in receipts):,}",
        "bytes out": f"{sum(one.bytes_out for one in receipts):,}",
        "seconds": f"{seconds:.1f}",
    }
    for rule, records in _total(receipt.discarded for receipt in receipts):
        rows[f"records discarded by {rule}"] = f"{records:,}"
    for rule, values in _total(receipt.redacted for receipt in receipts):
        rows[f"values redacted by {rule}"] = f"{values:,}"
    return two_columns(rows)


def _total(counts: Iterable[dict[str, int]]) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return sorted(total.items())


def _quarantined(outcomes: list[Outcome]) -> list[Quarantined]:
    """What was quarantined, each once: a file near midnight is read for two days."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    return list(dict.fromkeys(bad for receipt in receipts for bad in receipt.quarantined))


def _unnamed(outcomes: list[Outcome]) -> int:
    """How many log files and records are quarantined that the receipts, being full, do not name."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    counts = (one.files.quarantined + one.records.quarantined for one in receipts if not one.kept)
    named = (len(one.quarantined) for one in receipts if not one.kept)
    return sum(counts) - sum(named)


def report(outcomes: list[Outcome]) -> int:
    """Say what went wrong, and with which exit status that ends."""
    bad = _quarantined(outcomes)
    for one in bad:
        place = one.key if one.record is None else f"{one.key} record {one.record}"
        note(f"quarantined: {place}: {one.reason}{' (retry may help)' if one.retryable else ''}")
    if unnamed := _unnamed(outcomes):
        note(f"quarantined: {unnamed:,} more, which receipts count and do not name")
    kept = [one.receipt for one in outcomes if one.receipt and one.receipt.kept]
    for receipt in kept:
        note(f"kept as it was: {receipt.unit.name}: {receipt.kept} (see --replace-shrunk)")
    failures = [outcome.error for outcome in outcomes if outcome.error]
    for error in failures:
        note_error(error)
    return FAILED if failures else QUARANTINED if bad or kept else 0


def plan_table(total: Estimate) -> Table:
    """What a plan comes to."""
    rows = {
        "units": f"{total.units:,}",
        "log files": f"{total.files:,}",
        "bytes in": f"{total.bytes:,}",
        "largest unit": total.largest or "",
        "invocations": f"{total.batches:,}",
        "seconds in all": f"{total.seconds:,.0f}",
        "dollars": f"{total.dollars:,.2f}",
    }
    return two_columns(rows)


def two_columns(rows: dict[str, str]) -> Table:
    """A table of names and values."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table
