"""Reading environment files: all mistakes at once, each with file, field and what is legal."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cloudtrail_parquet.errors import MistakesError, UsageError
from cloudtrail_parquet.settings.settings import SettingSource, settings_of
from stacks.environment.fields import Environment
from stacks.environment.validate import contradictions

EXAMPLE = "example"
"""The file that explains every field; it is no environment."""

_LEGAL = {
    "string_type": "it has to be text in quotes",
    "int_type": "it has to be a whole number",
    "bool_type": "it has to be true or false",
    "tuple_type": "it has to be a list",
    "dict_type": "it has to be a table",
    "model_type": "it has to be a table",
}
"""What is wrong, by pydantic's names of errors."""


def load_all(folder: Path, only: str | None = None) -> dict[str, Environment]:
    """The environments of a folder by name, which is that of the file; without the example.

    Raises:
        UsageError: There is none, or not the one that is asked for, or some have mistakes: all
            mistakes of all files are named.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    wanted = files.keys() & {only} if only else files.keys() - {EXAMPLE}
    if not wanted:
        what = f"there is no {only or 'environment'} in it (but {', '.join(files) or 'nothing'})"
        raise UsageError(what, str(folder), f"Copy {EXAMPLE}.toml to {only or '<name>'}.toml")
    return load(*(files[name] for name in sorted(wanted)))


def load(*files: Path) -> dict[str, Environment]:
    """Read environment files.

    Raises:
        UsageError: Some cannot be read, or have mistakes; names all of them.
    """
    read = {path: _read(path) for path in files}
    environments = {path: one for path, one in read.items() if isinstance(one, Environment)}
    problems = [
        f"{path}: {problem}"
        for path, one in read.items()
        if not isinstance(one, Environment)
        for problem in one
    ]
    names = Counter((one.account, one.name) for one in environments.values())
    problems += [
        f"{path}: name = {one.name!r}: another environment of that account has it"
        for path, one in environments.items()
        if names[one.account, one.name] > 1
    ]
    if problems:
        hint = f"environments/{EXAMPLE}.toml explains every field"
        raise MistakesError.of(problems, "environments", hint)
    return {path.stem: one for path, one in environments.items()}


def _read(path: Path) -> Environment | list[str]:
    """The environment of a file, or what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:  # no text, no TOML
        return [f"it cannot be read ({error})"]
    raw.setdefault("name", f"cloudtrail-parquet-{path.stem}")
    problems = list(_settings_problems(raw.get("converter", {})))
    try:
        environment = Environment.model_validate(raw)
    except ValidationError as error:
        return [*map(_problem, error.errors()), *problems]
    return problems or list(contradictions(environment)) or environment


def _problem(error: ErrorDetails) -> str:
    """A mistake in a line: where, what stands there, what it has to be."""
    where, value = _dotted(error["loc"]), error["input"]
    match error["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(error["loc"][-1]), _fields_beside(error["loc"]), 1)
            return f"{where}: there is no such field" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        case "missing":
            return f"{where}: has to be given"
        case "value_error":
            return f"{where} = {value!r}: {error['ctx']['error']}"
        case "literal_error":
            return f"{where} = {value!r}: it has to be {error['ctx']['expected']}"
        case kind:
            return f"{where} = {value!r}: {_LEGAL.get(kind, error['msg'])}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """Where a field is, as in ``sources[0].bucket``."""
    of_names = (step for step in location if step != "[key]")  # of a table: that a name is wrong
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in of_names)
    return "".join(steps).removeprefix(".")


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    """The fields of the table that a location lies in."""
    table: type[BaseModel] = Environment
    for step in location[:-1]:
        if isinstance(step, str):
            table = _table_of(table.model_fields[step].annotation)
    return list(table.model_fields)


def _table_of(annotation: Any) -> type[BaseModel]:  # noqa: ANN401 - a type, or one in a generic
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_table_of(one) for one in get_args(annotation) if one is not type(None))


def _settings_problems(converter: object) -> Iterator[str]:
    """What is wrong with the converter's settings, found by the converter itself."""
    if not isinstance(converter, dict):
        return  # the table's own mistake
    try:
        settings_of(SettingSource("converter", converter))
    except MistakesError as error:
        yield from error.problems
