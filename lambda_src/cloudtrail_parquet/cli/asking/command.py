"""The command ``query``."""

import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import typer
from rich.table import Table
from rich.text import Text

from cloudtrail_parquet.cli.arguments import Accounts, Day, From, Regions, To, range_of
from cloudtrail_parquet.cli.asking.ending import ended_by_signals
from cloudtrail_parquet.cli.asking.options import (
    AsFormat,
    Asked,
    Explain,
    Force,
    ForEngine,
    ListQueries,
    MaxBytes,
    Output,
    Parameters,
    PrintQuery,
    SqlFile,
)
from cloudtrail_parquet.cli.asking.prompt import prompt
from cloudtrail_parquet.cli.asking.words import (
    Question,
    Words,
    filled_in,
    given_sql,
    is_sql,
    question_of,
    values_of,
    visible,
)
from cloudtrail_parquet.cli.output import INTERRUPTED, STDOUT, note, note_others
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.plan import UnitRange
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.querying.library import Dialect, Parameter, queries
from cloudtrail_parquet.querying.library import query as query_named
from cloudtrail_parquet.storage import open_existing
from cloudtrail_parquet.wording import counted, size_of

if TYPE_CHECKING:
    from cloudtrail_parquet.querying.chosen import ChosenParts
    from cloudtrail_parquet.querying.engine import Engine, Result
    from cloudtrail_parquet.querying.estimate import ReadEstimate

_PARTS_NAMED = 10
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class _Source(NamedTuple):
    """What is read: the location of a dataset, and the part of it that options select."""

    dataset: str
    wanted: UnitRange


def query(  # noqa: PLR0913, PLR0917 - each is an option
    words: Asked = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    format_: AsFormat = "table",
    output: Output = None,
    force: Force = False,
    file: SqlFile = None,
    param: Parameters = None,
    explain: Explain = False,
    max_bytes: MaxBytes = None,
    list_: ListQueries = False,
    print_: PrintQuery = False,
    dialect: ForEngine = "duckdb",
) -> None:
    """Ask a dataset, with a query that comes with the program or with SQL over `cloudtrail`.

    Only the folders that days, accounts and regions name are read. Without NAME or SQL there is a
    prompt.
    """
    asked = Words.of(words or (), param or ())
    if list_:
        STDOUT.print(_listing())
        return
    if print_:
        _print(asked.with_own(day, account, region), dialect)
        return
    limit = None if max_bytes is None else _bytes(max_bytes)
    dataset, *rest = asked.plain or [""]
    if not dataset or len(rest) > 1:
        what = f"{rest[1]!r} is one word too many" if dataset else "no dataset is named"
        raise UsageError(what, "query", "Write query DATASET NAME, and SQL in quotes")
    text = given_sql(file, rest)
    source = _Source(dataset, range_of(day, first, last, account, region))
    question = None if text is None else question_of(text, asked.with_own(day, account, region))
    if question and (first or last) and question.variables.get("day", "") is None:
        what = "is about one day, which --from and --to do not say"
        raise UsageError(what, str(text), "Add --day 2026-01-11 in place of them")
    if question is None:
        options = {"--output": output, "--explain": explain, "--max-bytes": max_bytes}
        _check_prompt({**options, "--param": param})
    _need_duckdb()
    if question is None:
        with ended_by_signals(), _engine(source) as engine:
            prompt(engine, format_, lambda: STDOUT.print(_listing()))
        return
    from cloudtrail_parquet.cli.asking.formats import check_output, writer_for  # noqa: PLC0415

    check_output(output, format_, dataset)
    with ended_by_signals(), _engine(source) as engine:
        engine.assign(question.variables)
        if explain or limit is not None:
            _look_ahead(engine, question, limit, explain=explain)
        if not explain:
            _answer(engine, question, writer_for(format_, output, force=force))


def _check_prompt(options: Mapping[str, object]) -> None:
    """Make sure that no option is given that the prompt has no use for.

    Raises:
        UsageError: One is.
    """
    given = [name for name, value in options.items() if value]
    if given:
        what = "is for a question, and none is asked"
        raise UsageError(what, given[0], "Add a question, or leave it out")


def _answer(engine: "Engine", question: Question, write: Callable[["Result"], None]) -> None:
    """Write what a question returns; Ctrl-C ends it, and then a file has nothing of it."""
    try:
        for result in engine.ask(question.text):
            write(result)
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(INTERRUPTED) from None


def _need_duckdb() -> None:
    """Make sure that DuckDB is there; imported only now, since that takes a quarter of a second.

    Raises:
        UsageError: It is not.
    """
    try:
        import_module("duckdb")
        import_module("fsspec")
    except ModuleNotFoundError as error:
        hint = "Install the package with what it requires: pip install cloudtrail-parquet"
        raise UsageError(f"{error.name} is not installed", "query", hint) from error


def _engine(source: _Source) -> "Engine":
    """DuckDB with what is to be read."""
    from cloudtrail_parquet.querying.chosen import choose  # noqa: PLC0415
    from cloudtrail_parquet.querying.engine import Engine  # noqa: PLC0415

    store = open_existing(source.dataset, "dataset")
    chosen = choose(store, source.wanted)
    note_others(chosen.others)
    return Engine(store, chosen)


def _look_ahead(engine: "Engine", question: Question, limit: int | None, *, explain: bool) -> None:
    """Print what would be read, or refuse to read more than a limit."""
    from cloudtrail_parquet.querying.estimate import estimate  # noqa: PLC0415

    expected = estimate(engine, question.text)
    if explain:
        STDOUT.print(_explanation(expected, engine.chosen))
    if limit is None:
        return
    if expected.bytes > limit:
        what = f"it would read about {size_of(expected.bytes)}, more than {size_of(limit)}"
        hint = "Ask about fewer days, accounts or columns, or raise --max-bytes"
        raise UsageError(what, "query", hint)
    engine.files.limit = engine.files.counts["bytes"] + limit


def _explanation(expected: "ReadEstimate", chosen: "ChosenParts") -> Table:
    """What would be read, as a table."""
    folders = len({part.key.rpartition("/")[0] for part in chosen.parts})
    about = f"{expected.footers:,} of {expected.parts:,} footers"
    rows = {
        "partitions": f"{folders:,}",
        "parts in them": f"{len(chosen.parts):,}, {counted(chosen.bytes, 'byte')}",
        "parts to read": f"{expected.parts:,}, {counted(expected.part_bytes, 'byte')}",
        "columns": ", ".join(expected.columns) or "none",
        "bytes to read": f"about {expected.bytes:,}, by {about}",
    }
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(Text(name), Text(printable(value)))
    return table


def _listing() -> Table:
    """The queries with what they find and are given."""
    table = Table("query", "what it finds", "parameters")
    for each in queries():
        table.add_row(each.name, each.title, "\n".join(map(_usage, visible(each))))
    return table


def _usage(parameter: Parameter) -> str:
    usage = f"{parameter.option} {parameter.example}"
    return usage if parameter.is_required else f"[{usage}]"


def _print(asked: Words, dialect: Dialect) -> None:
    """Print a query with the values that are given in it."""
    name = asked.plain[-1] if asked.plain else ""
    if not name or is_sql(name):
        raise UsageError("no query is named", "--print", "Name one that query --list shows")
    found = query_named(name, dialect)
    sys.stdout.write(filled_in(found, values_of(found, asked), dialect).rstrip("\n") + "\n")


def _bytes(text: str) -> int:
    """The number of bytes that a text such as ``10GB`` says.

    Raises:
        UsageError: It says none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size", "--max-bytes", "Write 500MB or 10GB")
    return round(float(match[1]) * _UNITS[match[2].upper()])
