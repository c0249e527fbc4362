"""What ``convert`` says at its end: what was made of what, and how to go on."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import Done, run
from tests.end_to_end.trees import NOON, deliver, event

GROUP: Any = typer.main.get_command(cli.app)
LINES = re.compile(
    r"(?P<where>.+): 60 records of 2 days; "
    r"[\d.]+ kB of log files have become [\d.]+ kB of Parquet\n"
    r"next: cloudtrail-parquet (?P<next>.+)\n$"
)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("summary") / "logs"
    generate_tree(logs, TreeSpec(accounts=1, regions=1, days=2, records=60))
    return logs


def convert(logs: Path, lake: Path, *options: object) -> Done:
    done = run("convert", logs, lake, "--workers", 1, *options)
    assert done.returncode == 0, done.stderr
    return done


def test_the_last_lines_say_what_was_made_and_what_to_run_next(logs: Path, tmp_path: Path) -> None:
    lake = tmp_path / "my lake"

    found = LINES.search(convert(logs, lake).stdout)

    assert found is not None
    assert found["where"] == str(lake)
    command, *arguments = shlex.split(found["next"])
    assert (command, arguments) == ("query", [str(lake), "--list"])


@pytest.mark.skipif("query" not in GROUP.commands, reason="there is no command query yet")
def test_what_is_to_be_run_next_works(logs: Path, tmp_path: Path) -> None:
    found = LINES.search(convert(logs, tmp_path / "my lake").stdout)

    assert found is not None
    assert run(*shlex.split(found["next"])).returncode == 0


def test_they_are_left_out_of_json_and_where_nothing_was_written(
    logs: Path, tmp_path: Path
) -> None:
    for options in (["--json", "--dry-run"], ["--dry-run"], ["--json"], []):
        done = convert(logs, tmp_path / "lake", *options)

        assert "next:" not in done.stdout + done.stderr


def test_days_are_counted_that_have_stragglers_only(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("late", NOON - timedelta(days=5)), event("noon"))

    done = convert(tmp_path / "logs", tmp_path / "lake")

    assert "2 records of 2 days; " in done.stdout


def test_a_dry_run_says_first_that_it_reads_everything(logs: Path, tmp_path: Path) -> None:
    files = len(list(logs.rglob("*_CloudTrail_*.json.gz")))

    dry = convert(logs, tmp_path / "lake", "--dry-run")
    every = convert(logs, tmp_path / "lake", "--dry-run", "--only", "all")

    first = dry.stderr.splitlines()[0]
    line = rf"dry run: reads {files} log files, [\d.]+ kB, of \d units; plan reads none"
    assert re.fullmatch(line, first)
    assert every.stderr.startswith("dry run: reads all log files, of ")
    assert not (tmp_path / "lake").exists()
