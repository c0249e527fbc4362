"""The queries that come with the program: ``queries/NAME.sql``, and versions for other engines.

Each begins with a comment that says what it finds, what it is given, and where the idea is from:

    -- Which calls were made with an access key?
    --
    -- Further sentences, if there is more to say.
    --
    -- Parameters:
    --   key    AKIAIOSFODNN7EXAMPLE: the id of the access key (required)
    --   since  2026-01-11: the first day; without it, all days that are read
    -- Source: where the idea comes from.

A parameter has a name, an example, whose form its values have, and an explanation. The query reads
it with ``getvariable('key')``, which is NULL if it is not given. In a query for Athena, whose
parameters are written ``?``, they are listed in the order in which they stand.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from difflib import get_close_matches
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from cloudtrail_parquet.errors import UsageError, listed

Dialect = Literal["duckdb", "athena", "polars"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "queries", _PACKAGE.parents[1] / "queries")
"""Where they are in an installed package, and in a checkout."""

_FILES: dict[Dialect, str] = {
    "duckdb": "{name}.sql",
    "athena": "athena/{name}.sql",
    "polars": "polars/{name}.py",
}
_MARK = re.compile(r"(?:--|#) ?")
_PARAMETER = re.compile(r"  (?P<name>\w+) +(?P<example>\S.*?): +(?P<about>\S.*)")
_REQUIRED = "(required)"
_DAY = re.compile(r"(?:DATE ')?\d{4}-\d\d-\d\d'?", re.ASCII)  # as in SQL, if it is Athena's
_NUMBER = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)  # and not an account

Value = str | int | date


class Parameter(NamedTuple):
    """What a query is given.

    Attributes:
        name: As the query reads it.
        example: A value of the form that all have.
        about: What it means, and what the query does without it.
        is_required: Whether the query says nothing without it.
    """

    name: str
    example: str
    about: str
    is_required: bool

    def value(self, text: str) -> Value:
        """The value that a text stands for: a day or a number if the example is one.

        Raises:
            UsageError: It is not what the example is.
        """
        make, what = _FORMS.get(self._form, (str, "a text"))
        try:
            return make(text)
        except ValueError as error:
            what = f"{text!r} is not {what}"
            raise UsageError(what, self.option, f"Write {self.example}") from error

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def _form(self) -> str:
        if _DAY.fullmatch(self.example):
            return "day"
        return "number" if _NUMBER.fullmatch(self.example) else "text"


def _day(text: str) -> date:
    if len(text) != len("2026-01-11"):  # Python reads further forms
        raise ValueError(text)
    return date.fromisoformat(text)


_FORMS: dict[str, tuple[Callable[[str], Value], str]] = {
    "day": (_day, "a day"),
    "number": (int, "a number"),
}


class Query(NamedTuple):
    """A query of the library.

    Attributes:
        name: That of its file.
        title: What it finds, in a sentence.
        about: Further sentences; empty if there is no more to say.
        parameters: What it is given, in order.
        source: Where the idea comes from; empty if it is our own.
        text: The whole file.
    """

    name: str
    title: str
    about: str
    parameters: tuple[Parameter, ...]
    source: str
    text: str


def parse(name: str, text: str) -> Query:
    """Read a query with the comment at its head.

    Raises:
        ValueError: The comment does not have the form above; says in which line.
    """
    head = list(takewhile(_MARK.match, text.splitlines()))
    title, *lines = [_MARK.sub("", line, count=1) for line in head] or [""]
    if not title.strip():
        raise ValueError(f"{name}, line 1: no sentence that says what it finds")
    sections: dict[str, list[tuple[int, str]]] = {"": [], "Parameters": [], "Source": []}
    section = ""
    for number, line in enumerate(lines, start=2):
        word, colon, rest = line.partition(":")
        if colon and word in sections:
            section, line = word, rest  # noqa: PLW2901 - what follows the heading
        if line.strip():
            sections[section].append((number, line))
    return Query(
        name=name,
        title=title.strip(),
        about=_joined(sections[""]),
        parameters=tuple(_parameters(name, sections["Parameters"])),
        source=_joined(sections["Source"]),
        text=text,
    )


def _joined(lines: list[tuple[int, str]]) -> str:
    return " ".join(line.strip() for _, line in lines)


def _parameters(name: str, lines: list[tuple[int, str]]) -> Iterator[Parameter]:
    """The parameters; a line that is indented more goes on with the one before."""
    wholes: list[tuple[int, str]] = []
    for number, line in lines:
        if wholes and line.startswith("   "):
            first, begun = wholes.pop()
            wholes.append((first, f"{begun} {line.strip()}"))
        else:
            wholes.append((number, line))
    for number, line in wholes:
        match = _PARAMETER.fullmatch(line.rstrip())
        if match is None:
            raise ValueError(f"{name}, line {number}: not '  name  example: explanation'")
        about = match["about"]
        yield Parameter(
            match["name"],
            match["example"],
            about.replace(_REQUIRED, "").strip(),
            about.endswith(_REQUIRED),
        )


@cache
def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])


def names(dialect: Dialect = "duckdb") -> list[str]:
    """The names of the queries that there are for an engine, sorted."""
    return sorted(path.stem for path in _folder().glob(_FILES[dialect].format(name="*")))


def queries() -> Iterator[Query]:
    """All queries for DuckDB, by name."""
    return map(query, names())


def query(name: str, dialect: Dialect = "duckdb") -> Query:
    """A query by its name.

    Raises:
        UsageError: There is none of this name, or none for this engine; names the nearest.
    """
    if name not in names():
        near = get_close_matches(name, names(), 3, 0.5) or _with_its_words(name)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        what = "there is no query of this name, and it is not SQL"
        raise UsageError(what, name, f"{hint}query --list shows all")
    if name not in names(dialect):
        what, hint = f"there is no version for {dialect}", f"There are: {listed(names(dialect))}"
        raise UsageError(what, name, hint)
    path = _folder() / _FILES[dialect].format(name=name)
    return parse(name, path.read_text(encoding="utf-8"))


def _with_its_words(name: str) -> list[str]:
    words = set(re.split(r"\W|_", name.lower())) - {""}
    return [known for known in names() if words & set(known.split("_"))][:3]
