"""The command ``export``: the records of a dataset again, as CloudTrail delivered them."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Annotated, BinaryIO, Literal

import pyarrow as pa
import typer

from cloudtrail_parquet.batch.processes import cores
from cloudtrail_parquet.cli.arguments import Accounts, Dataset, Day, From, Regions, To, range_of
from cloudtrail_parquet.cli.new_file import check_outside, output_to
from cloudtrail_parquet.cli.output import INTERRUPTED, note, note_others
from cloudtrail_parquet.cli.progress import Amount, Meter, NoProgress, progress
from cloudtrail_parquet.dataset.delivered import WrittenTree, write_tree
from cloudtrail_parquet.dataset.export import ExportedParts, PartTexts, parts_to_export
from cloudtrail_parquet.dataset.json_lines import as_bytes
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.settings.settings import LOG_FOLDERS
from cloudtrail_parquet.storage import (
    local_path,
    open_existing,
    open_store,
    without_parameters,
)
from cloudtrail_parquet.wording import counted, size_of

Form = Literal["lines", "records", "aws"]

_AS = (
    "JSON lines, one for each record; one JSON document, as a log file holds it: "
    '{"Records":[…]}; log files in a tree as CloudTrail delivers it: AWSLogs/….'
)


def export(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    form: Annotated[Form, typer.Option("--as", help=_AS)] = "lines",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to a file, compressed if its name ends in .gz; with --as aws to a folder "
            "or a bucket. By default the records are printed.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file; write to a folder with other files.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON: the records; with -o, what has been written."),
    ] = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
) -> None:
    """Print the records of a dataset as JSON lines, as CloudTrail delivered them.

    Members that are null are left out, except in free-form fields such as requestParameters, which
    come back byte for byte.
    """
    wanted = range_of(day, first, last, account, region)
    names = sorted(wanted.accounts), sorted(wanted.regions)
    is_written = _is_written(form, output, dataset)
    parts = parts_to_export(open_existing(dataset, "dataset"), wanted.first, wanted.last, *names)
    note_others(parts.others)
    written = WrittenTree()
    try:
        if form == "aws":
            _write_tree(parts, str(output), written, force=force)
        else:
            _write_texts(parts, form, output, written, force=force)
    except KeyboardInterrupt:
        note(_interrupted(form, output if is_written else None))
        raise typer.Exit(INTERRUPTED) from None
    if is_written:
        _tell(str(output), written, as_json=as_json)


def _is_written(form: Form, output: str | None, dataset: str) -> bool:
    """Whether something is written, rather than printed.

    Raises:
        UsageError: It cannot be written there.
    """
    if output in {None, "-"}:
        if form == "aws":
            hint = "Name a folder or s3://bucket/prefix with -o"
            raise UsageError("a tree of log files needs a location", "--as aws", hint)
        return False
    check_outside(str(output), dataset)
    return True


def _interrupted(form: Form, output: str | None) -> str:
    if output is None:
        return "interrupted: records are missing at the end"
    if form == "aws":
        return f"interrupted: {output} is not complete; the same command goes on"
    return f"interrupted: {output} was not written"


def _write_texts(
    parts: ExportedParts, form: Form, output: str | None, written: WrittenTree, *, force: bool
) -> None:
    write = _write_lines if form == "lines" else _write_document
    with output_to(output, force=force) as sink, _metered(parts, shown=_may_show(output)) as meter:
        write(sink, _counted(parts.lines(cores()), meter, written))
    written.files, path = 1, local_path(output or "-")
    written.bytes = path.stat().st_size if path and path.is_file() else 0


def _may_show(output: str | None) -> bool:
    """Whether progress may be shown: not between records on a terminal."""
    return output not in {None, "-"} or not sys.stdout.isatty()


def _metered(parts: ExportedParts, *, shown: bool) -> AbstractContextManager[Meter]:
    size = sum(entry.size for entry in parts.entries)
    return progress("exporting", Amount(size, len(parts.entries)), "part", shown=shown)


def _counted(found: Iterable[PartTexts], meter: Meter, written: WrittenTree) -> Iterator[pa.Array]:
    """The texts; what they come from is added to the meter, and they to what is written."""
    entry, told = None, 0
    for rows, texts in found:
        if entry is not None and rows.entry != entry:
            meter.add(size=entry.size - told, items=1)
            told = 0
        entry = rows.entry
        size = entry.size * len(texts) // rows.footer.num_rows
        meter.add(size=size)
        told += size
        written.records += len(texts)
        yield texts


def _write_lines(sink: BinaryIO, found: Iterable[pa.Array]) -> None:
    sink.writelines(map(as_bytes, found))


def _write_document(sink: BinaryIO, found: Iterable[pa.Array]) -> None:
    """Write one document, with a line for each record."""
    sink.write(b'{"Records":[')
    for number, texts in enumerate(found):
        records = as_bytes(texts, ",\n")
        sink.write(b",\n" if number else b"\n")
        sink.write(records[: -len(b",\n")])
    sink.write(b"\n]}\n")


def _write_tree(parts: ExportedParts, output: str, written: WrittenTree, *, force: bool) -> None:
    with _metered(parts, shown=True) as meter:
        for partition in write_tree(parts, open_store(output), cores(), force=force):
            written.add(partition)
            meter.add(size=partition.part_bytes, items=partition.parts)


def _tell(output: str, written: WrittenTree, *, as_json: bool) -> None:
    where = without_parameters(output)
    if as_json:
        counts = {"records": written.records, "files": written.files, "bytes": written.bytes}
        print(json.dumps({"output": where, **counts}))
        return
    records, size = counted(written.records, "record"), size_of(written.bytes)
    if not written.folders:
        note(f"{where}: {records}, {size}")
        return
    note(f"{where}: {records} in {counted(written.files, 'log file')}, {size}")
    if further := sorted(written.folders - {*LOG_FOLDERS}):
        options = " ".join(f"--folder {name}" for name in further)
        note(f"{listed(further)} as well: convert reads them with {options}")
