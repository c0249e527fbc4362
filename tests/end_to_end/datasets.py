"""Datasets made by the program with some settings, and what is found in them."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pytest

from tests.builders import exact
from tests.end_to_end.program import run, succeed

Json = dict[str, Any]
NOTHING: Mapping[str, str] = MappingProxyType({})
PREFIX = "CLOUDTRAIL_PARQUET_"


def toml_of(settings: Json) -> str:
    """Lists and tables of texts are the same in TOML and JSON, but for the sign of equality."""
    lines = []
    for name, value in settings.items():
        inline = re.sub(r'("\w+"):', r"\1 =", json.dumps(value))
        lines.append(f"{name} = {inline}")
    return "\n".join(lines)


def convert(
    logs: Path,
    dataset: Path,
    *options: object,
    toml: str = "",
    environment: Mapping[str, str] = NOTHING,
) -> list[Json]:
    """Convert with settings from a file, from the environment and as options; the receipts."""
    file = dataset.with_suffix(".toml")
    file.write_text(toml)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(PREFIX + name, value)
        arguments = ("convert", logs, dataset, "--workers", 1, "--json", "--settings", file)
        done = run(*arguments, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def exported(dataset: Path) -> Counter[str]:
    return Counter(succeed("export", dataset).splitlines())


def by_value(lines: Iterable[str]) -> Counter[str]:
    """Records whatever the order of their members, numbers by their digits."""
    return Counter(json.dumps(exact(line), sort_keys=True) for line in lines)


def parts(dataset: Path) -> list[Path]:
    return sorted(dataset.rglob("*.parquet"))


def part(dataset: Path) -> Path:
    (one,) = parts(dataset)
    return one


def ask(query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Ask DuckDB."""
    with duckdb.connect() as connection:
        return connection.execute(query, list(map(str, parameters))).fetchall()


def said(path: Path) -> Json:
    """The settings in a footer, read by DuckDB."""
    ((text,),) = ask(
        "SELECT decode(value) FROM parquet_kv_metadata(?) "
        "WHERE decode(key) = 'cloudtrail_parquet.settings'",
        path,
    )
    found: Json = json.loads(text)
    return found
