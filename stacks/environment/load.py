"""Environment files, read; all mistakes at once, each with file, field and what is legal."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cloudtrail_parquet.errors import MistakesError, UsageError
from cloudtrail_parquet.settings.settings import SettingSource, settings_of
from cloudtrail_parquet.settings.toml_file import read_toml
from stacks.environment.fields import Environment
from stacks.environment.mend import Mended, dotted, mended, near_field
from stacks.environment.shared import shared
from stacks.environment.validate import conflicts

EXAMPLE = "example"
"""The file that explains every field; not an environment itself."""

_NAME = re.compile(r"(?!constructor$)[a-z0-9][a-z0-9_-]{0,63}")
"""Names of environments, which are those of folders, too.

Without dots they are neither ``..`` nor that of a file or folder of ``dist``. The toolkit keeps
stacks in an object of JavaScript, where each object has a ``constructor``.
"""

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
    beside = [files[name] for name in sorted(files.keys() - wanted - {EXAMPLE})]
    return load(*(files[name] for name in sorted(wanted)), beside=beside)


def load(*files: Path, beside: Iterable[Path] = ()) -> dict[str, Environment]:
    """Read environment files.

    Args:
        files: The files.
        beside: Files of other environments, with which these must not share what exists once;
            their own mistakes do not matter.

    Raises:
        UsageError: Some cannot be read, or have mistakes; names all of them.
    """
    read: dict[Path, Mended] = {}
    problems: list[str] = []
    for path in files:
        if not _NAME.fullmatch(path.stem):
            problems.append(
                f"{path}: the file's name is that of the environment: up to 64 lower-case letters,"
                " digits, _ and -, not beginning with these two, and not constructor"
            )
        found, of_file = _read(path)
        problems += [f"{path}: {problem}" for problem in of_file]
        if found:
            read[path] = found
    others = {path: found for path in beside if (found := _read(path)[0])}
    told = shared({**read, **others})
    problems += [f"{path}: {problem}" for path, problem in told if path in read]
    if problems:
        hint = f"environments/{EXAMPLE}.toml explains every field"
        raise MistakesError.of(problems, "environments", hint)
    return {path.stem: found.environment for path, found in read.items()}


def _read(path: Path) -> tuple[Mended | None, list[str]]:
    """The environment of a file as far as it is legal, and what is wrong with it."""
    try:
        raw = read_toml(path)
    except ValueError as error:
        return None, [str(error)]
    raw.setdefault("name", f"cloudtrail-parquet-{path.stem}")
    found, problems = mended(raw), list[str]()
    try:
        Environment.model_validate(raw)
    except ValidationError as error:
        problems += map(_problem, error.errors())
    problems += _settings_problems(raw.get("converter", {}))
    told = (each.text for each in conflicts(found.environment) if found.knows(*each.fields))
    return found, [*problems, *told]


def _problem(error: ErrorDetails) -> str:  # noqa: PLR0911 - one for each kind
    """A mistake in one line: the field, its value, what is legal."""
    field, value = dotted(error["loc"]), error["input"]
    match error["type"]:
        case "extra_forbidden":
            near = near_field(error["loc"])
            return f"{field}: there is no such field" + (f"; did you mean {near}?" if near else "")
        case "missing":
            return f"{field}: has to be given"
        case "tuple_type" if isinstance(value, dict):
            return f"{field}: it has to be a list: write [[{field}]], with two brackets"
        case "model_type" if isinstance(value, list):
            return f"{field}: it has to be one table: write [{field}], with one bracket"
        case "value_error":
            return f"{field} = {value!r}: {error['ctx']['error']}"
        case "literal_error":
            return f"{field} = {value!r}: it has to be {error['ctx']['expected']}"
        case kind:
            return f"{field} = {value!r}: {_LEGAL.get(kind, error['msg'])}"


def _settings_problems(converter: object) -> Iterator[str]:
    """What the converter finds wrong with its settings."""
    if not isinstance(converter, dict):
        return  # told as a mistake of the field
    try:
        settings_of(SettingSource("converter", converter))
    except MistakesError as error:
        yield from error.problems
