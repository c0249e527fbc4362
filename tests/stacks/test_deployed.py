"""Commands about an environment that is applied take everything from the outputs of Terraform."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cloudtrail_parquet.errors import UsageError
from stacks.deployed import command_of, read_outputs
from tests.stacks.conftest import ROOT

QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/lake-backfill"
OUTPUTS = {
    "backfill_url": QUEUE,
    "event_bus": "lake",
    "failures_url": f"{QUEUE.removesuffix('backfill')}failures",
    "function_name": "lake",
    "variables": {
        "CLOUDTRAIL_PARQUET_DATASET": "s3://lake/cloudtrail",
        "CLOUDTRAIL_PARQUET_PARTITION_LAYOUT": "year/month/day",
        "CLOUDTRAIL_PARQUET_SOURCE": "s3://logs s3://old-logs?region=us-east-1",
        "CLOUDTRAIL_PARQUET_STATE": "s3://lake/cloudtrail.state",
    },
}
STATE = ["--state", "s3://lake/cloudtrail.state"]
SETTINGS = {"CLOUDTRAIL_PARQUET_PARTITION_LAYOUT": "year/month/day"}


def test_start_names_the_places_the_queue_and_the_settings_of_the_function() -> None:
    arguments, environment = command_of(OUTPUTS, "prod", "start", ["--from", "2026-01-01"])

    source = "s3://logs s3://old-logs?region=us-east-1"
    places = [source, "s3://lake/cloudtrail", *STATE, "--queue", QUEUE]
    assert arguments == ["backfill", "start", *places, "--from", "2026-01-01"]
    assert environment == SETTINGS


def test_rewrite_names_dataset_state_queue_and_the_settings_of_the_function() -> None:
    arguments, environment = command_of(OUTPUTS, "prod", "rewrite", ["--to", "2020-12-31"])

    places = ["s3://lake/cloudtrail", *STATE, "--queue", QUEUE]
    assert arguments == ["backfill", "rewrite", *places, "--to", "2020-12-31"]
    assert environment == SETTINGS


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_what_is_about_a_record_names_dataset_and_state(command: str) -> None:
    arguments, _ = command_of(OUTPUTS, "prod", command, ["--json"])

    assert arguments == ["backfill", command, "s3://lake/cloudtrail", *STATE, "--json"]


def test_redrive_names_both_queues_the_bus_and_the_log() -> None:
    arguments, _ = command_of(OUTPUTS, "prod", "redrive", [])

    failures = ["--failures", OUTPUTS["failures_url"], "--bus", "lake"]
    log = ["--log", "/aws/lambda/lake"]
    assert arguments == ["backfill", "redrive", *failures, *log, "--queue", QUEUE]


def test_without_a_queue_for_backfills_only_failures_are_sent_again() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "backfill_url"}

    assert "--queue" not in command_of(outputs, "prod", "redrive", [])[0]
    with pytest.raises(UsageError, match=r"^environments/prod\.toml: there is no queue"):
        command_of(outputs, "prod", "start", [])


class Applied(NamedTuple):
    """A folder with a synthesised environment, and a Terraform that says what it is told."""

    folder: Path

    def terraform(self, *lines: str) -> str:
        path = self.folder / "terraform"
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)
        return str(path)

    def say(self, outputs: Mapping[str, Any]) -> str:
        text = json.dumps({name: {"value": value} for name, value in outputs.items()})
        (self.folder / "outputs.json").write_text(text)
        return self.terraform(f"cat '{self.folder}/outputs.json'")

    def run(self, terraform: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join(map(str, (ROOT, ROOT / "lambda_src")))
        return subprocess.run(
            [sys.executable, "-m", "stacks.deployed", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "TERRAFORM": terraform},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Applied:
    (tmp_path / "cdktf.out/stacks/prod").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return Applied(tmp_path)


def test_an_environment_that_is_not_ready_is_one_line_that_says_what_to_do(
    applied: Applied,
) -> None:
    failing = applied.terraform("echo 'Error: Backend initialization required' >&2", "exit 1")
    with pytest.raises(UsageError, match=r"Backend initialization required\). Run make plan"):
        read_outputs("prod", failing)
    with pytest.raises(UsageError, match=r"has no outputs, or those of an older version\. Apply"):
        read_outputs("prod", applied.say({}))
    with pytest.raises(UsageError, match=r"stacks/dev: is not synthesised here\. Run make plan"):
        read_outputs("dev", applied.say(OUTPUTS))
    with pytest.raises(UsageError, match=r"^no/terraform: cannot be run .* Install Terraform"):
        read_outputs("prod", "no/terraform")


def test_the_command_is_run_and_its_status_passed_on(applied: Applied) -> None:
    done = applied.run(applied.say(OUTPUTS), "prod", "status", "--help")
    assert (done.returncode, "Usage:" in done.stdout) == (0, True), done.stderr

    places = {"CLOUDTRAIL_PARQUET_STATE": str(applied.folder / "state")}
    outputs = {**OUTPUTS, "variables": {**OUTPUTS["variables"], **places}}  # type: ignore[dict-item]
    without = applied.run(applied.say(outputs), "prod", "status")
    assert without.returncode == 2
    assert "there is no record of a backfill" in without.stderr

    usage = applied.run("terraform", "prod", "stop")
    assert usage.returncode == 2
    assert "invalid choice: 'stop'" in usage.stderr


def make(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run make, without installing anything."""
    ready = ("-o", ".venv/.ready", "-o", ".venv/.dependencies")
    kept = {name: value for name, value in os.environ.items() if name not in {"ENV", "MAKEFLAGS"}}
    return subprocess.run(
        ["make", *ready, *words], cwd=ROOT, env=kept, capture_output=True, text=True, check=False
    )


def test_make_names_the_environment_and_the_days() -> None:
    days = ("FROM=2026-01-01", "TO=2026-01-31")
    wanted = "-m stacks.deployed 'prod' start --from '2026-01-01' --to '2026-01-31' --yes"

    assert wanted in make("-n", "backfill", "ENV=prod", *days, "BACKFILL_ARGS=--yes").stdout
    redrive = make("-n", "redrive", "ENV=prod", "REASON=is archived").stdout
    assert "'prod' redrive --reason 'is archived'" in redrive
    assert (
        "'prod' status --watch" in make("-n", "status", "ENV=prod", "BACKFILL_ARGS=--watch").stdout
    )
    assert "'prod' cancel" in make("-n", "cancel", "ENV=prod").stdout
    without_days = make("backfill", "ENV=prod", days[0])
    assert without_days.returncode == 2
    assert without_days.stderr.startswith("error: which days? For example: make backfill ENV=prod")
    assert make("redrive").stderr.startswith("error: which environment? For example: make redrive")
