"""What the words of the command line ask: a query of the library with its parameters, or SQL."""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.querying.library import Dialect, Parameter, Query, Value, query

_OPTION = re.compile(r"--([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")
_GIVEN = {"dataset"}
"""Variables that have the chosen parts, so nobody gives them a value."""

Format = Literal["table", "csv", "json", "parquet"]

_SEE_HELP = "See cloudtrail-parquet query --help, and --list for the parameters of queries"


class Words(NamedTuple):
    """The words of a command line.

    Attributes:
        plain: Those that are neither options nor their values.
        options: Options that the command does not know, which may be parameters of a query.
        variables: What ``--param`` gives, by name.
        own: Options of the command that a query may have as parameters, too: a day, for example.
    """

    plain: list[str]
    options: dict[str, str]
    variables: dict[str, str]
    own: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def of(cls, words: Iterable[str], pairs: Iterable[str]) -> "Words":
        """Tell options from other words.

        Args:
            words: The words, without the options that the command knows.
            pairs: What ``--param`` has: ``name=value``.

        Raises:
            UsageError: An option has no value, or is there twice; or a pair is none.
        """
        plain, options, variables = list[str](), dict[str, str](), dict[str, str]()
        rest = iter(words)
        for word in rest:
            match = _OPTION.fullmatch(word)
            if match is None:
                plain.append(word)
                continue
            name, value = match[1], match[2] if match[2] is not None else next(rest, None)
            if value is None:
                raise UsageError("has no value", f"--{name}", f"Write --{name} VALUE")
            _add(options, name, value)
        for pair in pairs:
            name, sign, value = pair.partition("=")
            if not sign or not name.isidentifier():
                raise UsageError(
                    f"{pair!r} is not NAME=VALUE", "--param", "Write --param key=AKIA…"
                )
            _add(variables, name, value)
        return cls(plain, options, variables)

    def with_own(
        self, day: str | None, accounts: list[str] | None, regions: list[str] | None
    ) -> "Words":
        """With the command's own options that a query may have as parameters, too."""
        own = {"day": [day] if day else [], "account": accounts, "region": regions}
        values = {name: given[0] for name, given in own.items() if given and len(given) == 1}
        return self._replace(own=values)


def _add(options: dict[str, str], name: str, value: str) -> None:
    name = name.replace("-", "_")
    if name in options:
        raise UsageError("is there twice", f"--{name.replace('_', '-')}", "Give it once")
    options[name] = value


class Question(NamedTuple):
    """What is asked.

    Attributes:
        text: SQL.
        variables: The values of its variables, by name; None for those that have none.
    """

    text: str
    variables: dict[str, Value | None]


def is_sql(text: str) -> bool:
    """Whether a text is SQL rather than the name of a query."""
    return re.search(r"[\s;(*]", text.strip()) is not None


def question_of(text: str, words: Words) -> Question:
    """A question: the name of a query with its parameters, or SQL with variables.

    Raises:
        UsageError: There is no such query; or its parameters are others, or not all are there.
    """
    if not text.strip():
        raise UsageError("there is nothing to ask", "query", "Write the name of a query, or SQL")
    if is_sql(text):
        if words.options:
            raise UsageError("there is no such option", f"--{min(words.options)}", _SEE_HELP)
        if given := [name for name in words.variables if name.lower() in _GIVEN]:
            what = f"{given[0]} is the location of the dataset, which is given"
            raise UsageError(what, "--param", "Name the variable otherwise")
        return Question(text, dict(words.variables))
    found = query(text.strip())
    values = values_of(found, words)
    missing = [one for one in visible(found) if one.is_required and values[one.name] is None]
    if missing:
        needed = " ".join(f"{each.option} {each.example}" for each in missing)
        raise UsageError("needs a parameter", found.name, f"Add {needed}: {missing[0].about}")
    return Question(found.text, values)


def visible(found: Query) -> list[Parameter]:
    """The parameters of a query that somebody gives: not the location of the dataset."""
    return [each for each in found.parameters if each.name not in _GIVEN]


def values_of(found: Query, words: Words) -> dict[str, Value | None]:
    """The values of a query's parameters, as options give them.

    Raises:
        UsageError: It has no such parameter, or a value has another form.
    """
    parameters = {each.name: each for each in visible(found)}
    values: dict[str, Value | None] = {
        name: each.value(words.own[name]) if name in words.own else None
        for name, each in parameters.items()
    }
    for name, text in {**words.options, **words.variables}.items():
        if name not in parameters:
            options = " ".join(f"{each.option} {each.example}" for each in parameters.values())
            hint = f"It has {options}" if options else "It has none"
            raise UsageError(f"has no parameter --{name.replace('_', '-')}", found.name, hint)
        values[name] = parameters[name].value(text)
    return values


def given_sql(file: Path | None, plain: list[str]) -> str | None:
    """The text of a file, or of stdin if it is piped or named ``-``; None if a prompt is wanted.

    Raises:
        UsageError: The file cannot be read, or is not text; or there is a question beside it.
    """
    if plain and file is not None:
        what = f"a question is asked already: {plain[0]!r}"
        raise UsageError(what, "--file", "Ask one of them")
    if plain and plain != ["-"]:
        return plain[0]
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        if plain or not sys.stdin.isatty():
            return sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        raise UsageError(what, str(file or "stdin"), "Name a file with SQL") from error
    return None


def filled_in(found: Query, values: Mapping[str, Value | None], dialect: Dialect) -> str:
    """The text of a query with the values that are given in it; the others stay parameters."""
    literals = {name: _literal(value) for name, value in values.items() if value is not None}
    if dialect != "athena":
        return _VARIABLE.sub(lambda match: literals.get(match[1], match[0]), found.text)
    names = iter(found.parameters)

    def fill(match: re.Match[str]) -> str:
        parameter = next(names, None) if match[0] == "?" else None
        return literals.get(parameter.name, "?") if parameter else match[0]

    return _CODE.sub(fill, found.text)


_CODE = re.compile(r"--.*|'(?:[^']|'')*'|\?")
"""Question marks, and what may have some that are none: comments and texts."""


def _literal(value: Value) -> str:
    if isinstance(value, date):
        return f"DATE '{value}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
