"""The prompt of ``query``: one question after the other, over the same dataset."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudtrail_parquet.cli.asking.words import Format, Words, is_sql, question_of
from cloudtrail_parquet.cli.output import note, note_error
from cloudtrail_parquet.errors import CloudTrailParquetError, UsageError
from cloudtrail_parquet.querying.library import names

if TYPE_CHECKING:
    from cloudtrail_parquet.querying.engine import Engine

_HELP = """\
SQL over cloudtrail, ended by ;     SELECT eventName, count(*) FROM cloudtrail GROUP BY ALL;
a query, with its parameters        calls_of_an_access_key --key AKIAIOSFODNN7EXAMPLE
.list                               the queries
.schema                             the columns
.quit, or Ctrl-D                    leave; Ctrl-C ends a query that runs, or drops what is typed"""
_COMMANDS = (".help", ".list", ".quit", ".schema")


def prompt(engine: "Engine", format_: Format, listing: Callable[[], None]) -> None:
    """Read questions from the terminal and answer each, until there are no more.

    An error, or Ctrl-C, ends a question and not the prompt.
    """
    from cloudtrail_parquet.cli.asking.formats import writer_for  # noqa: PLC0415 - loads DuckDB

    if format_ == "parquet":
        raise UsageError("parquet needs a file", "--format", "Name a query, and --output FILE")
    _edit_lines()
    note("cloudtrail-parquet: .help for help")
    write = writer_for(format_, None)
    for text in _texts():
        try:
            if text in {".list", ".help"}:
                listing() if text == ".list" else sys.stdout.write(f"{_HELP}\n")
                continue
            _answer(engine, "DESCRIBE cloudtrail" if text == ".schema" else text, write)
        except CloudTrailParquetError as error:
            note_error(error)
        except KeyboardInterrupt:
            note("interrupted")


def _answer(engine: "Engine", text: str, write: Callable[..., None]) -> None:
    words = Words.of([text], ()) if is_sql(text) and not _is_name(text) else _split(text)
    question = question_of(words.plain[0], words)
    engine.assign(question.variables)
    for result in engine.ask(question.text):
        write(result)


def _is_name(text: str) -> bool:
    """Whether a text begins with the name of a query."""
    return text.split(None, 1)[0] in names()


def _split(text: str) -> Words:
    try:
        words = Words.of(shlex.split(text), ())
    except ValueError as error:
        raise UsageError(f"cannot be read ({error})", "query", "Close the quotes") from error
    if len(words.plain) > 1:
        raise UsageError(f"{words.plain[1]!r} is one word too many", "query", "See .list")
    return words


def _texts() -> Iterator[str]:
    """What is typed: commands and names of queries are a line, SQL goes on to a semicolon."""
    lines: list[str] = []
    while True:
        try:
            line = input("   ...> " if lines else "query> ")
        except EOFError:
            sys.stdout.write("\n")
            return
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            lines.clear()
            continue
        if not lines and not line.strip():
            continue
        if not lines and line.strip() == ".quit":
            return
        is_line = line.strip().startswith(".") or _is_name(line.strip() or ".")
        lines.append(line)
        if (is_line and len(lines) == 1) or line.rstrip().endswith(";"):
            yield "\n".join(lines).strip().rstrip(";").strip()
            lines.clear()


def _edit_lines() -> None:
    """Have lines edited and completed, where Python can."""
    with suppress(ImportError):
        import readline  # noqa: PLC0415 - not everywhere

        words = [*_COMMANDS, *names()]
        readline.set_completer(
            lambda text, number: dict(enumerate(w for w in words if w.startswith(text))).get(number)
        )
        readline.set_completer_delims(" ")
        readline.parse_and_bind("tab: complete")
