"""What commands print: totals and tables; what went wrong, and the exit status."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from shlex import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cloudtrail_parquet.batch.workers import Outcome
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    LocationError,
    RefusedError,
    UnwritableError,
    UsageError,
)
from cloudtrail_parquet.intake.opening import Intake
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.remarks import (
    unfinished_lines,
    unplaced_lines,
    without_logs_lines,
)
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.settings import LOG_FOLDERS, OPTIONAL_LOG_FOLDERS, OTHER_FOLDERS
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.figures import Quarantined
from cloudtrail_parquet.wording import counted, size_of

FAILED, WRONG_USAGE, QUARANTINED, MISSING, INTERRUPTED = 1, 2, 3, 4, 130

STDOUT = Console(highlight=False)
STDERR = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Print a line to stderr; it stays one line, whatever the names in it hold."""
    STDERR.print(printable(text), markup=False, emoji=False, soft_wrap=True)


def note_error(error: CloudTrailParquetError) -> None:
    """Print what went wrong."""
    first, *further = error.lines
    note(f"error: {first}")
    for line in further:
        note(line)


def note_others(number: int) -> None:
    """Print how many Parquet files in the partitions asked for are not read, if there are any."""
    if number:
        files = counted(number, "Parquet file")
        note(f"not read: {files} in partitions, named as no part that convert writes")


def note_errors(errors: Iterable[CloudTrailParquetError]) -> None:
    """Print what went wrong; what has befallen many alike, such as a full disk, once."""
    alike: dict[object, list[CloudTrailParquetError]] = {}
    for number, error in enumerate(errors):
        key: object = number
        if isinstance(error, LocationError):
            key = error.args[2] if isinstance(error, UnwritableError) else error.args
        alike.setdefault(key, []).append(error)
    for first, *others in alike.values():
        note_error(first)
        if others:
            note(f"{len(others):,} more failed in the same way")


def status_of(error: CloudTrailParquetError) -> int:
    """The exit status for an error: whether somebody has to mend something, or it may pass."""
    return WRONG_USAGE if isinstance(error, UsageError | LocationError) else FAILED


def beside(name: str, objects: str) -> str:
    """The line about a folder beside the logs, with its objects that are not read, counted."""
    if name in OPTIONAL_LOG_FOLDERS:
        return f"not read: {name}, {objects}; --folder {name} reads them"
    if name in LOG_FOLDERS:
        return f"not read: {name}, {objects}; the setting folders leaves it out"
    if name in OTHER_FOLDERS:
        return f"skipped {name}: {objects}, not event logs"
    return f"skipped {name}: {objects}, not named like event logs"


def note_intake(intake: Intake) -> None:
    """Print what was done about a source that is not a delivered tree, and what is left out."""
    if intake.files:
        records, files = counted(intake.records, "record"), counted(intake.files, "file")
        sizes = f"{size_of(intake.bytes)}, gzipped as log files {size_of(intake.copied_bytes)}"
        note(f"read {files} to find out about the places and days of {records}: {sizes}")
    if intake.left.hidden:
        note(f"skipped: {counted(intake.left.hidden, 'hidden file')}")
    for line in intake.left.lines():
        note(line)


def note_unplaced(unplaced: Unplaced) -> None:
    """Print which log files no unit reads, and where they would be read."""
    for line in unplaced_lines(unplaced):
        note(line)


def note_unfinished(open_units: Mapping[Unit, datetime]) -> None:
    """Print which units a run has begun to replace and not finished, and since when."""
    for line in unfinished_lines(open_units):
        note(line)


def note_left_out(selection: Selection) -> bool:
    """Print what the source lacks; returns whether selected accounts are left out."""
    for line in without_logs_lines(selection.discovery):
        note(line)
    for account, error in selection.refused.items():
        note(f"error: account {account} is left out: {error}")
    return bool(selection.refused)


def bytes_in(*, sorted_out: bool) -> str:
    """The name of the figure of log files' bytes; of those that were sorted out it is another."""
    return "bytes in, sorted out and gzipped" if sorted_out else "bytes in"


def summary(
    outcomes: list[Outcome], seconds: float, *, sorted_out: bool = False, left_out: int = 0
) -> Table:
    """The totals of conversions.

    Args:
        outcomes: What came of the units.
        seconds: How long the command took.
        sorted_out: Whether log files were made of the files of the source.
        left_out: How many files, or elements of files, belong nowhere.
    """
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    records = [receipt.records for receipt in receipts]
    rows: dict[str, str] = {
        "units": f"{len(outcomes):,}",
        "records": f"{sum(counts.written + counts.straggled for counts in records):,}",
        "stragglers": f"{sum(counts.straggled for counts in records):,}",
        "duplicates": f"{sum(counts.duplicate for counts in records):,}",
        "quarantined": f"{len(_quarantined(outcomes)):,}",
        bytes_in(sorted_out=sorted_out): f"{sum(receipt.bytes_in for receipt in receipts):,}",
        "bytes out": f"{sum(receipt.bytes_out for receipt in receipts):,}",
        "seconds": f"{seconds:.1f}",
    }
    if left_out:
        rows["left out"] = f"{left_out:,}"
    for rule, count in _total(receipt.discarded for receipt in receipts):
        rows[f"records discarded by {rule}"] = f"{count:,}"
    for rule, count in _total(receipt.redacted for receipt in receipts):
        rows[f"values redacted by {rule}"] = f"{count:,}"
    return two_columns(rows)


def next_lines(outcomes: list[Outcome], dataset: str, *, sorted_out: bool = False) -> Iterator[str]:
    """What was made of what, and where, and how to go on; nothing if there are no records.

    Args:
        outcomes: What came of the units.
        dataset: The location of the dataset.
        sorted_out: Whether log files were made of the files of the source.
    """
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    records = sum(receipt.records.written + receipt.records.straggled for receipt in receipts)
    if records:
        days = {str(receipt.day) for receipt in receipts if receipt.records.written}
        days.update(*(receipt.stragglers for receipt in receipts))
        before = size_of(sum(receipt.bytes_in for receipt in receipts))
        made = ", as sorted out and gzipped," if sorted_out else ""
        after = size_of(sum(receipt.bytes_out for receipt in receipts))
        facts = f"{counted(records, 'record')} of {counted(len(days), 'day')}"
        yield f"{dataset}: {facts}; {before} of log files{made} have become {after} of Parquet"
        yield f"next: cloudtrail-parquet query {quote(dataset)} --list"


def _total(counts: Iterable[dict[str, int]]) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for by_rule in counts:
        total.update(by_rule)
    return sorted(total.items())


def _quarantined(outcomes: list[Outcome]) -> list[Quarantined]:
    """What was quarantined, each only once: a file near midnight is read for two days."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    return list(dict.fromkeys(bad for receipt in receipts for bad in receipt.quarantined))


def _unnamed(outcomes: list[Outcome]) -> int:
    """How many quarantined log files and records the receipts count but are too full to name."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    written = [receipt for receipt in receipts if not receipt.kept]
    counts = (receipt.files.quarantined + receipt.records.quarantined for receipt in written)
    return sum(counts) - sum(len(receipt.quarantined) for receipt in written)


def report(outcomes: list[Outcome], path_of: Callable[[str], str] = str) -> int:
    """Print what went wrong; returns the exit status.

    Args:
        outcomes: What came of the units.
        path_of: Where a person finds a log file, by its key.
    """
    quarantined = _quarantined(outcomes)
    for bad in quarantined:
        where = path_of(bad.key) + ("" if bad.record is None else f" record {bad.record}")
        note(f"quarantined: {where}: {bad.reason}{' (retry may help)' if bad.retryable else ''}")
    if unnamed := _unnamed(outcomes):
        note(f"quarantined: {unnamed:,} more, which receipts count and do not name")
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt]
    kept = [receipt for receipt in receipts if receipt.kept]
    for receipt in kept:
        note(f"kept as it was: {receipt.unit.name}: {receipt.kept} (see --replace-shrunk)")
    failures = [outcome.error for outcome in outcomes if outcome.error]
    note_errors(failures)
    if failures:
        of_disk = all(isinstance(error, UnwritableError | RefusedError) for error in failures)
        return WRONG_USAGE if of_disk else FAILED
    return QUARANTINED if quarantined or kept else 0


def two_columns(rows: dict[str, str]) -> Table:
    """A table of names and values."""
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table
