"""Environment files, read; all mistakes at once, each with file, field and what is legal."""

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
from stacks.environment.validate import conflicts

EXAMPLE = "example"
"""The file that explains every field; not an environment itself."""

_LEGAL = {
    "string_type": "it has to be text in quotes",
    "int_type": "it has to be a whole number",
    "bool_type": "it has to be true or false",
    "tuple_type": "it has to be a list",
    "dict_type": "it has to be a table",
    "model_type": "it has to be a table",
}
"""What is legal, by pydantic's names of errors."""


def load_all(folder: Path, only: str | None = None) -> dict[str, Environment]:
    """The environments of a folder by name, which is that of the file; without the example.

    Raises:
        UsageError: The folder has no environment, or not the one asked for, or some have mistakes;
            names all mistakes of all files.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    wanted = files.keys() & {only} if only else files.keys() - {EXAMPLE}
    if not wanted:
        what = f"there is no {only or 'environment'} here (found: {', '.join(files) or 'nothing'})"
        raise UsageError(what, str(folder), f"Copy {EXAMPLE}.toml to {only or '<name>'}.toml")
    return load(*(files[name] for name in sorted(wanted)))


def load(*files: Path) -> dict[str, Environment]:
    """Read environment files.

    Raises:
        UsageError: Some cannot be read, or have mistakes; names all of them.
    """
    environments: dict[Path, Environment] = {}
    problems: list[str] = []
    for path in files:
        outcome = _read(path)
        if isinstance(outcome, Environment):
            environments[path] = outcome
        else:
            problems += [f"{path}: {problem}" for problem in outcome]
    names = Counter((each.account, each.name) for each in environments.values())
    problems += [
        f"{path}: name = {each.name!r}: another environment of that account has it"
        for path, each in environments.items()
        if names[each.account, each.name] > 1
    ]
    if problems:
        hint = f"environments/{EXAMPLE}.toml explains every field"
        raise MistakesError.of(problems, "environments", hint)
    return {path.stem: environment for path, environment in environments.items()}


def _read(path: Path) -> Environment | list[str]:
    """The environment of a file, or what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:  # not text, or not TOML
        return [f"it cannot be read ({error})"]
    raw.setdefault("name", f"cloudtrail-parquet-{path.stem}")
    problems = list(_settings_problems(raw.get("converter", {})))
    try:
        environment = Environment.model_validate(raw)
    except ValidationError as error:
        return [*map(_problem, error.errors()), *problems]
    return problems or list(conflicts(environment)) or environment


def _problem(error: ErrorDetails) -> str:
    """A mistake in one line: the field, its value, what is legal."""
    field, value = _dotted(error["loc"]), error["input"]
    match error["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(error["loc"][-1]), _fields_beside(error["loc"]), 1)
            return f"{field}: there is no such field" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        case "missing":
            return f"{field}: has to be given"
        case "value_error":
            return f"{field} = {value!r}: {error['ctx']['error']}"
        case "literal_error":
            return f"{field} = {value!r}: it has to be {error['ctx']['expected']}"
        case kind:
            return f"{field} = {value!r}: {_LEGAL.get(kind, error['msg'])}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """The path of a field, as in ``sources[0].bucket``."""
    names = (step for step in location if step != "[key]")  # a wrong name in a table
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in names)
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
    return next(_table_of(part) for part in get_args(annotation) if part is not type(None))


def _settings_problems(converter: object) -> Iterator[str]:
    """What the converter finds wrong with its settings."""
    if not isinstance(converter, dict):
        return  # told as a mistake of the field
    try:
        settings_of(SettingSource("converter", converter))
    except MistakesError as error:
        yield from error.problems
