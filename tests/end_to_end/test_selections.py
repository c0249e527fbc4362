"""Days, accounts and regions are selected alike by all commands that select any."""

from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cloudtrail_parquet import convert
from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.function.events import PlanEvent
from cloudtrail_parquet.planning.plan import DEFAULT_ONLY
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import run, succeed

SELECT = ("--day", "--from", "--to", "--account", "--region")
GROUP: Any = typer.main.get_command(cli.app)
COMMANDS: dict[str, Any] = {
    **GROUP.commands,
    **{f"backfill {name}": one for name, one in GROUP.commands["backfill"].commands.items()},
}
SELECTING = [
    name
    for name, command in COMMANDS.items()
    if {option for parameter in command.params for option in parameter.opts} & set(SELECT)
]


def options(command: str) -> dict[str, Any]:
    params = COMMANDS[command].params
    return {option: parameter for parameter in params for option in parameter.opts}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selections")
    generate_tree(folder / "logs", TreeSpec(accounts=1, regions=1, records=30))
    succeed("convert", folder / "logs", folder / "lake", "--workers", 1)
    return folder


def test_those_that_select_are_known() -> None:
    assert {"convert", "plan", "export", "backfill start"} <= set(SELECTING)


@pytest.mark.parametrize("command", SELECTING)
def test_all_options_that_select_are_there_and_mean_the_same(command: str) -> None:
    for name in SELECT:
        mine, theirs = options(command)[name], options("convert")[name]
        fills_in = " One alone fills in what records lack."  # which only sources have
        assert mine.help.removesuffix(fills_in) == theirs.help.removesuffix(fills_in)
        assert (mine.multiple, mine.metavar) == (theirs.multiple, theirs.metavar)


MISTAKES = {
    "--day goes without --from and --to": ["--day", "2026-01-10", "--from", "2026-01-10"],
    "is before the first": ["--from", "2026-01-11", "--to", "2026-01-10"],
    "999999999999": ["--account", "999999999999"],
    "mars-north-1": ["--region", "mars-north-1"],
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", ["convert", "plan", "export", "backfill start"])
def test_mistakes_are_told_alike(folder: Path, command: str, mistake: str) -> None:
    logs = [] if command == "export" else [folder / "logs"]
    more = ["--local"] if command == "backfill start" else []

    done = run(*command.split(), *logs, folder / "lake", *MISTAKES[mistake], *more)

    assert (done.returncode, done.stdout) == (2, "")
    assert mistake in done.stderr


@pytest.mark.parametrize("command", [name for name in COMMANDS if "--only" in options(name)])
def test_what_is_converted_by_default_is_the_same(command: str) -> None:
    only = options(command)["--only"]

    assert only.default == DEFAULT_ONLY or f"By default {DEFAULT_ONLY};" in only.help


def test_it_is_the_same_for_events_and_programs() -> None:
    day = date(2026, 1, 10)

    assert PlanEvent(day, day).only == DEFAULT_ONLY
    assert signature(convert).parameters["only"].default == DEFAULT_ONLY


def test_a_plan_is_by_default_of_what_is_outdated_and_of_all_without_a_dataset(
    folder: Path,
) -> None:
    of_dataset = succeed("plan", folder / "logs", folder / "lake", "--json")
    of_source = succeed("plan", folder / "logs", "--json")

    assert '"units": []' in of_dataset
    assert of_source.count('"why": ""') == 4
