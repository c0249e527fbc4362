"""What a question returns, in a format, to the terminal, to a pipe or into a file."""

import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import pyarrow.parquet as pq

from cloudtrail_parquet.cli.asking.rows import (
    fits,
    json_of,
    plain,
    printable_row,
    record_lines,
    rows_of,
    table_lines,
)
from cloudtrail_parquet.cli.asking.words import Format
from cloudtrail_parquet.errors import UsageError, of_system
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.querying.engine import Result
from cloudtrail_parquet.storage import is_below

_ROWS_SHOWN = 40
_RECORDS_SHOWN = 10


def write(result: Result, format_: Format, file: TextIO, *, is_terminal: bool) -> None:
    """Write all rows, but for a table on a terminal: that shows the first ones, and says so."""
    if format_ == "table":
        _write_table(result, file, is_terminal=is_terminal)
        return
    names = result.schema.names
    table = csv.writer(file, lineterminator="\n")
    if format_ == "csv":
        table.writerow(names)
    for row in _rows(result):
        if format_ == "csv":
            table.writerow(_csv_cell(value) for value in row)
        else:
            file.write(json_of(dict(zip(names, row, strict=True))) + "\n")


def write_file(result: Result, format_: Format, path: Path) -> None:
    """Write all rows to a file, which is there once it is whole.

    Raises:
        StorageError: It cannot be written.
    """
    with _replaced(path) as partial:
        if format_ == "parquet":
            with pq.ParquetWriter(partial, result.schema, compression="zstd") as writer:
                for batch in result.batches:
                    writer.write_batch(batch)
        else:
            with partial.open("w", encoding="utf-8", newline="") as file:
                write(result, format_, file, is_terminal=False)


def check_output(path: Path | None, format_: Format, dataset: str) -> None:
    """Make sure that results can go where they are to go.

    Raises:
        UsageError: Parquet needs a file; or the file would lie in the dataset.
    """
    if path is None:
        if format_ == "parquet":
            raise UsageError("parquet needs a file", "--format", "Add --output FILE")
    elif is_below(str(path), dataset):
        what = "lies in the dataset, where every file is read"
        raise UsageError(what, str(path), "Name a file elsewhere")


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file beside a path, which takes its place in the end."""
    partial: Path | None = None
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(number)
        partial = Path(name)
        yield partial
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        raise of_system("written", path, error) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _rows(result: Result) -> Iterator[list[object]]:
    return chain.from_iterable(map(rows_of, result.batches))


def _csv_cell(value: object) -> object:
    simple = plain(value)
    return json_of(value) if isinstance(simple, dict | list | bool) else simple


def _write_table(result: Result, file: TextIO, *, is_terminal: bool) -> None:
    names = list(map(printable, result.schema.names))
    rows: Iterator[list[str]] = map(printable_row, _rows(result))
    if not is_terminal:
        file.writelines(f"{line}\n" for line in table_lines(names, list(rows)))
        return
    width = shutil.get_terminal_size().columns
    shown = list(islice(rows, _ROWS_SHOWN))
    is_table = fits(names, shown, width)
    if is_table:
        lines = table_lines(names, shown, width)
    else:
        rows = chain(shown[_RECORDS_SHOWN:], rows)
        shown = shown[:_RECORDS_SHOWN]
        lines = [
            line
            for number, row in enumerate(shown, start=1)
            for line in record_lines(names, row, number)
        ]
    file.writelines(f"{line}\n" for line in lines)
    further = sum(1 for _ in rows)
    file.write(f"{_counted(len(shown), further)}\n")


def _counted(shown: int, further: int) -> str:
    if further:
        return f"{shown} of {shown + further:,} rows; --format csv or json prints all"
    return f"{shown} row{'s' * (shown != 1)}"


def writer_for(format_: Format, path: Path | None) -> Callable[[Result], None]:
    """What results are given to, one after the other."""
    if path is not None:
        return lambda result: write_file(result, format_, path)
    return lambda result: write(result, format_, sys.stdout, is_terminal=sys.stdout.isatty())
