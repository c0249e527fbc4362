"""Environment files for tests: legal ones, changed in places."""

import json
import re
from copy import deepcopy
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cloudtrail_parquet.errors import MistakesError
from stacks.environment.fields import Environment
from stacks.environment.load import load
from stacks.environment.validate import conflicts

KEY = "arn:aws:kms:eu-central-1:111122223333:key/11111111-0000-4000-8000-000000000000"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"
BOUNDARY = "arn:aws:iam::111122223333:policy/team/boundary"
ROLE = "arn:aws:iam::111122223333:role/deploy"
SOURCE = {"bucket": "org-logs"}
LEAST = {
    "region": "eu-central-1",
    "sources": [SOURCE],
    "dataset": {"bucket": "lake", "prefix": "cloudtrail"},
}
WITH = {
    "state": {"bucket": "lake-state"},
    "workgroup": {"bucket": "results"},
    "vpc": {"subnets": ["subnet-0a"], "security_groups": ["sg-0a"]},
    "backend": {"bucket": "terraform", "key": "a.tfstate", "region": "eu-central-1"},
}
"""Tables that need fields of their own as soon as they are there."""


def table(**changes: object) -> dict[str, Any]:
    """An environment file that is legal but for the changes, whose names have __ for dots."""
    return changed({name.replace("__", "."): value for name, value in changes.items()})


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    raw: dict[str, Any] = deepcopy(LEAST)
    for path, value in changes.items():
        *above, name = path.split(".")
        inner = raw
        for step in above:
            if step.endswith("[]"):
                inner = inner[step[:-2]][0]
            else:
                inner = inner.setdefault(step, deepcopy(WITH.get(step, {})))
        inner[name] = value
    return raw


def at(raw: Any, path: str) -> Any:  # noqa: ANN401 - whatever a file holds
    """What stands at a path, of several tables in the first one; KeyError if nothing does."""
    for step in path.split("."):
        raw = raw[step.removesuffix("[]")]
        raw = raw[0] if step.endswith("[]") else raw
    return raw


def toml(value: object) -> str:
    """A value as TOML has it in one line."""
    match value:
        case dict():
            return f"{{{', '.join(f'{toml(name)} = {toml(one)}' for name, one in value.items())}}}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case date():
            return value.isoformat()
        case float():
            return str(value) if value % 1 else f"{value:f}"
    return json.dumps(value)


def read(*tables: dict[str, Any]) -> list[Environment]:
    """The environments of files ``a.toml``, ``b.toml`` and so on."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{chr(ord('a') + n)}.toml") for n in range(len(tables))]
        for path, one in zip(paths, tables, strict=True):
            lines = (f"{toml(name)} = {toml(value)}\n" for name, value in one.items())
            path.write_text("".join(lines), encoding="utf-8")
        return list(load(*paths).values())


def problems(*tables: dict[str, Any]) -> list[str]:
    """What is wrong with files: lines that begin with the file's name."""
    with pytest.raises(MistakesError) as caught:
        read(*tables)
    return [re.sub(r"^.*?/([a-z]\.toml: )", r"\1", line) for line in caught.value.problems]


def problem(**changes: object) -> str:
    (one,) = problems(table(**changes))
    return one


def scheduled(daily: str, **converter: int) -> Environment:
    raw: dict[str, Any] = {
        "name": "trails",
        "region": "eu-central-1",
        "sources": [{"bucket": "org-logs"}],
        "dataset": {"bucket": "lake", "prefix": "cloudtrail"},
        "schedule": {"daily": daily},
        "converter": converter,
    }
    return Environment.model_validate(raw)


def schedule_conflicts(one: Environment) -> list[str]:
    return [told.text for told in conflicts(one) if told.text.startswith("schedule.daily: ")]
