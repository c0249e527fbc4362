"""The investigations of ``queries/`` in Athena's SQL, ready for the table of an environment."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout

_QUERIES = Path(__file__).parents[1] / "queries"
_PARAMETER = re.compile(r"--   (\w+) +(.+?): (.+)")


class Investigation(NamedTuple):
    """A query over the table of a dataset.

    Attributes:
        name: That of its file.
        description: What it answers, and its parameters.
        text: The query, with a ``?`` for each parameter.
    """

    name: str
    description: str
    text: str


def investigations(layout: PartitionLayout, database: str, table: str) -> Iterator[Investigation]:
    """All of them, for the days of a range in one table.

    The names of folders are compared with parameters alone, so that Athena lists no other folders.
    """
    days, parameters, date = _DAYS["dt" in PARTITION_COLUMNS[layout]]
    for path in sorted((_QUERIES / "athena").glob("*.sql")):
        question, _, _ = (_QUERIES / path.name).read_text().partition("\n")
        own, notes, body = _divided(path.read_text())
        all_parameters = "; ".join([parameters, *own])
        yield Investigation(
            path.stem,
            f"{question.removeprefix('-- ')} Parameters: {all_parameters}",
            f"-- Parameters, in this order: {all_parameters}\n{notes}"  # noqa: S608 - our own
            "WITH cloudtrail AS (\n"
            f'    SELECT *, {date} AS date, "$path" AS path\n'
            f'    FROM "{database}"."{table}"\n'
            f"    WHERE {days}\n"
            f"){', ' if body.startswith('WITH ') else chr(10)}{body.removeprefix('WITH ')}",
        )


def _divided(text: str) -> tuple[list[str], str, str]:
    """The parameters of a query; the sentences of the comment at its head; and the query itself.

    The comment is that of all queries; its first line, which only names the query, is left out.
    """
    lines = text.splitlines(keepends=True)
    head = list(takewhile(lambda line: line.startswith("--"), lines))
    parameters = [match.groups() for line in head if (match := _PARAMETER.fullmatch(line.rstrip()))]
    own = [f"{name}, {about}, such as {example}" for name, example, about in parameters]
    notes = takewhile(lambda line: line.startswith("-- ") and line != "-- Parameters:\n", head[2:])
    return own, "".join(notes), "".join(lines[len(head) :])


_DAYS = {
    False: (
        "year = ? AND month = ? AND day BETWEEN ? AND ?",
        "year, month, first day, last day, such as 2026, 1, 10, 16",
        (
            "CAST(concat(CAST(year AS varchar), '-', lpad(CAST(month AS varchar), 2, '0'), '-',\n"
            "        lpad(CAST(day AS varchar), 2, '0')) AS date)"
        ),
    ),
    True: (
        "dt BETWEEN ? AND ?",
        "first day, last day, such as '2026-01-10', '2026-01-16'",
        "CAST(dt AS date)",
    ),
}
"""How a range of days is chosen, what its parameters are, and a row's day, without and with dt."""
