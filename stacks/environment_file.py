"""Reading environment files: all mistakes at once, each with file, field and what is legal."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cloudtrail_parquet.config import Source, settings_of
from cloudtrail_parquet.dispatch import Places
from cloudtrail_parquet.errors import UsageError
from stacks.environment import Environment

EXAMPLE = "example"
"""The file that explains every field; it is no environment."""

ENVIRONMENT_BYTES = 4096
"""What Lambda allows all environment variables of a function together (Lambda quotas)."""

_OTHERS_BYTES = 512  # variables that the stack adds


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
    places = Counter((one.account, one.region, one.name) for one in environments.values())
    problems += [
        f"{path}: name = {one.name!r}: another environment of that region has it"
        for path, one in environments.items()
        if places[one.account, one.region, one.name] > 1
    ]
    if problems:
        what = "".join(f"\n  {problem}" for problem in problems)
        raise UsageError(
            what, "environments", f"\nenvironments/{EXAMPLE}.toml explains every field"
        )
    return {path.stem: one for path, one in environments.items()}


def _read(path: Path) -> Environment | list[str]:
    """The environment of a file, or what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return [f"it cannot be read ({error})"]
    raw.setdefault("name", f"cloudtrail-parquet-{path.stem}")
    problems = list(_settings_problems(raw.get("converter", {})))
    try:
        environment = Environment.model_validate(raw)
    except ValidationError as error:
        return [*map(_problem, error.errors()), *problems]
    return problems or list(_contradictions(environment)) or environment


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
        case _:
            return f"{where} = {value!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """Where a field is, as in ``sources[0].bucket``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
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
        settings_of(Source("converter", converter))
    except UsageError as error:
        yield from (line.strip() for line in error.what.strip().split("\n"))


def _contradictions(environment: Environment) -> Iterator[str]:
    """What is wrong with fields that are each legal alone."""
    dataset, state = environment.dataset, environment.state_place
    if not (dataset.prefix or environment.state):
        yield "state: has to be given where the dataset is a whole bucket: it lies outside of it"
        return
    try:
        Places.of(**{name.lower(): uri for name, uri in environment.places.items()})
    except UsageError as error:
        yield str(error)
    if state.bucket == dataset.bucket and state.create:
        yield "state.create: it lies in the dataset's bucket; give dataset.create instead"
    for name, place in (("dataset", dataset), ("state", state)):
        elsewhere = place.region not in {None, environment.region}
        if place.create and (elsewhere or place.account not in {None, environment.account}):
            yield f"{name}.create: a bucket is made in the region and account of the function"
        if place.create and place.bucket in {one.bucket for one in environment.sources}:
            yield f"{name}.create: {place.bucket} is a source, so it is there"
    queue, most = environment.backfill_queue, environment.function.reserved_concurrency
    if queue.enabled and most is not None and queue.max_concurrency >= most:
        yield (
            f"backfill_queue.max_concurrency = {queue.max_concurrency}: it has to be less than"
            f" function.reserved_concurrency = {most}, or the daily run finds no room"
        )
    if environment.catalogue.enabled and environment.settings.json_encoding == "variant":
        yield "catalogue.enabled: Athena cannot read json_encoding = 'variant'"
    variables = environment.variables
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size > (most_bytes := ENVIRONMENT_BYTES - _OTHERS_BYTES):
        longest = max(variables, key=lambda name: len(variables[name]))
        yield (
            f"the function's environment would have {size:,} bytes, and Lambda allows"
            f" {most_bytes:,} of them: shorten {longest}"
        )
