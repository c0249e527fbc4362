"""Rows as text: how values are written, and tables."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.querying.as_text import texts_of

NULL = "NULL"
_GAP = "  "
_LEAST_WIDTH = 8
"""If a table's columns would be narrower on a terminal, each row is shown as lines instead."""


def rows_of(batch: pa.RecordBatch) -> Iterator[list[Any]]:
    """The rows of a batch as Python's values; maps are dictionaries."""
    columns = list(map(_values, batch.columns))
    return map(list, zip(*columns, strict=True)) if columns else iter([])


def _values(column: pa.Array) -> list[Any]:
    """Values of a column; those that Python has not are DuckDB's text, such as ``infinity``."""
    try:
        return list(column.to_pylist(maps_as_pydicts="lossy"))
    except (ArithmeticError, NotImplementedError, TypeError, ValueError):
        if len(column) > 1:
            half = len(column) // 2
            return [*_values(column[:half]), *_values(column[half:])]
        return list(texts_of(column).to_pylist())


def plain(value: Any) -> Any:  # noqa: ANN401
    """A value as JSON has it: times in UTC as ISO 8601, and null for numbers that JSON lacks."""
    for kind, make in _PLAIN:
        if isinstance(value, kind):
            return make(value)
    return str(value)


def _time(value: datetime) -> str:
    """``2026-01-10T10:00:00Z``, with a fraction if there is one; without a zone as it is."""
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


_PLAIN: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str | bool | int | None, lambda value: value),
    (float, lambda value: value if isfinite(value) else None),
    (datetime, _time),
    (date, date.isoformat),
    (Decimal, _number),
    (dict, lambda value: {str(plain(name)): plain(inner) for name, inner in value.items()}),
    (list | tuple, lambda value: list(map(plain, value))),
    (bytes, bytes.hex),
)
"""How values of a type are written; of two that a value has, the first."""


def json_of(value: Any) -> str:  # noqa: ANN401
    """A value as JSON text."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def printable_json(text: str) -> str:
    """JSON text on a line, safe to print: the same values, with escapes for what is not seen."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def text_of(value: Any) -> str:  # noqa: ANN401
    """A value as text; lists and structs are JSON."""
    simple = plain(value)
    if simple is None:
        return NULL
    return simple if isinstance(simple, str) else json_of(value)


def table_lines(names: Sequence[str], rows: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """A table, a line for each row.

    Args:
        names: The columns.
        rows: Texts of values.
        width: The lines are no longer than this, and values cut short for it; 0 for no limit.
    """
    columns = [[cell_len(text) for text in column] for column in zip(names, *rows, strict=True)]
    widths = [max(column) for column in columns]
    if width:
        widths = _fitted(widths, width - len(_GAP) * (len(names) - 1))
    head = [names, ["-" * one for one in widths]]
    return [_GAP.join(map(_cell, row, widths)).rstrip() for row in [*head, *rows]]


def _cell(text: str, width: int) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, width)


def _fitted(widths: list[int], width: int) -> list[int]:
    """Widths that make up at most a width: the widest columns give way."""
    limit, left, open_ = 0, width, len(widths)
    for one in sorted(widths):
        limit = max(1, left // open_)
        if one > limit:
            break
        left, open_ = left - one, open_ - 1
    else:
        return widths
    return [min(one, limit) for one in widths]


def fits(names: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> bool:
    """Whether a table of some rows is readable at a width: no column has to be cut too short."""
    wanted = [
        min(_LEAST_WIDTH, max(map(cell_len, column))) for column in zip(names, *rows, strict=True)
    ]
    return sum(wanted) + len(_GAP) * (len(names) - 1) <= width


def record_lines(names: Sequence[str], row: Sequence[str], number: int) -> list[str]:
    """A row as lines, one for each column that is not null."""
    shown = [(name, text) for name, text in zip(names, row, strict=True) if text != NULL]
    width = max((cell_len(name) for name, _ in shown), default=0)
    return [f"-- row {number}", *(f"{set_cell_size(name, width)}  {text}" for name, text in shown)]


def printable_row(row: Iterable[Any]) -> list[str]:
    """Texts of a row's values that are safe to print, each on one line."""
    return [printable(text_of(value)) for value in row]
