"""What a question returns, in a format, to the terminal, to a pipe or into a file."""

import csv
import shutil
import sys
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from itertools import chain, islice
from typing import TextIO

import pyarrow.parquet as pq

from cloudtrail_parquet.cli.asking.rows import (
    fits,
    json_of,
    plain,
    printable_json,
    printable_row,
    record_lines,
    rows_of,
    table_lines,
)
from cloudtrail_parquet.cli.asking.words import Format
from cloudtrail_parquet.cli.new_file import check_outside, output_to
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.querying.engine import Result
from cloudtrail_parquet.wording import counted

_ROWS_SHOWN = 40
_RECORDS_SHOWN = 10


def write(result: Result, format_: Format, file: TextIO, *, is_terminal: bool) -> None:
    """Write all rows, but for a table on a terminal: that shows the first ones, and says so.

    A terminal is given escapes for what cannot be seen, since it may obey it; whatever else reads
    the rows is given the values as they are.
    """
    if format_ == "table":
        _write_table(result, file, is_terminal=is_terminal)
        return
    names = result.schema.names
    table = csv.writer(file, lineterminator="\n")
    if format_ == "csv":
        table.writerow(_csv_cell(name, is_terminal=is_terminal) for name in names)
    for row in _rows(result):
        if format_ == "csv":
            table.writerow(_csv_cell(value, is_terminal=is_terminal) for value in row)
        else:
            line = json_of(dict(zip(names, row, strict=True)))
            file.write(f"{printable_json(line) if is_terminal else line}\n")


def write_file(result: Result, format_: Format, location: str, *, force: bool) -> None:
    """Write all rows to a file, which is there once it is whole; ``-`` is standard output.

    Raises:
        UsageError: It cannot be written, or is there already.
    """
    with output_to(location, force=force) as file:
        if format_ == "parquet":
            with pq.ParquetWriter(file, result.schema, compression="zstd") as writer:
                for batch in result.batches:
                    writer.write_batch(batch)
        else:
            text = TextIOWrapper(file, encoding="utf-8", newline="")
            try:
                write(result, format_, text, is_terminal=file.isatty())
                text.flush()
            finally:
                text.detach()


def check_output(location: str | None, format_: Format, dataset: str) -> None:
    """Make sure that results can go where they are to go.

    Raises:
        UsageError: Parquet needs a file; or the file would lie in the dataset or its state.
    """
    if location is None and format_ == "parquet":
        raise UsageError("parquet needs a file", "--format", "Add --output FILE")
    if location is not None:
        check_outside(location, dataset)


def _rows(result: Result) -> Iterator[list[object]]:
    return chain.from_iterable(map(rows_of, result.batches))


def _csv_cell(value: object, *, is_terminal: bool) -> object:
    simple = plain(value)
    if isinstance(simple, dict | list | bool):
        line = json_of(value)
        return printable_json(line) if is_terminal else line
    return printable(simple) if is_terminal and isinstance(simple, str) else simple


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
        return f"{shown} of {counted(shown + further, 'row')}; --format csv or json prints all"
    return counted(shown, "row")


def writer_for(
    format_: Format, location: str | None, *, force: bool = False
) -> Callable[[Result], None]:
    """What results are given to, one after the other."""
    if location is not None:
        return lambda result: write_file(result, format_, location, force=force)
    return lambda result: write(result, format_, sys.stdout, is_terminal=sys.stdout.isatty())
