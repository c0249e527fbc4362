"""The README says nothing that is not so."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import duckdb
import polars as pl
import pytest
import typer.main

from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.contract import DEFAULT_LAYOUT
from cloudtrail_parquet.reference.ddl import DdlFormat
from cloudtrail_parquet.settings.settings import Settings
from tests.end_to_end.program import succeed
from tests.layouts import convert_in

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module", params=[DEFAULT_LAYOUT, "year/month/day"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    succeed("generate", folder / "logs", "--records", 500, "--days", 2)
    return convert_in(request.param, folder / "logs", folder / "cloudtrail")


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    (found,) = [one for one in blocks if containing in one]
    return str(found)


def test_the_duckdb_recipe_reads_the_dataset(dataset: Path) -> None:
    con = duckdb.connect()
    con.execute(block("sql", "read_parquet").replace("'cloudtrail/", f"'{dataset}/"))

    assert con.execute("SELECT count(*) FROM cloudtrail").fetchall() == [(500,)]
    types = con.execute("SELECT typeof(account), typeof(day) FROM cloudtrail LIMIT 1").fetchall()
    assert types == [("VARCHAR", "BIGINT")]


def test_the_polars_recipe_reads_the_dataset(dataset: Path) -> None:
    code = block("python", "scan_parquet").replace('"cloudtrail/"', f'"{dataset}/"')
    names: dict[str, Any] = {"pl": pl}
    exec(f"frame = {code}", names)  # noqa: S102 - the README's own words

    frame = names["frame"].collect()

    assert frame.height == 500
    assert frame.schema["account"] == pl.String
    assert frame.schema["day"] == pl.Int8


def test_every_command_and_option_is_named_with_its_command() -> None:
    text = README.read_text()
    settings = {f"--{one.name.replace('_', '-')}" for one in fields(Settings)}
    group: Any = typer.main.get_command(cli.app)
    commands = dict(group.commands)
    of_backfill = commands.pop("backfill").commands
    commands["backfill"] = of_backfill.pop("start")  # its name can be left out
    commands |= {f"backfill {name}": command for name, command in of_backfill.items()}
    for name, command in commands.items():
        assert f"| `{name} " in text
        for parameter in command.params:
            for option in set(parameter.opts) - settings:  # these are in docs/settings.md
                assert not option.startswith("--") or option in text, f"{name} {option}"


def test_every_format_of_the_schema_is_named() -> None:
    formats = "\\|".join(get_args(DdlFormat))

    assert f"`schema --format {formats} " in README.read_text()
