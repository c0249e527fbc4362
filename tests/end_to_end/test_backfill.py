"""``backfill --local``: what days take is shown, asked about, and converted here, newest first."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.end_to_end.program import run
from tests.end_to_end.trees import NOON, deliver, event


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for number in range(4):
        when = NOON + timedelta(days=number)
        for region in ("eu-central-1", "us-east-1"):
            deliver(
                tmp_path / "logs", event(f"{region} {number}", when), region=region, delivered=when
            )
    return tmp_path / "logs"


def test_days_are_converted_here_the_newest_first_and_once(logs: Path, tmp_path: Path) -> None:
    last = NOON.date() + timedelta(days=2)
    options = (
        "backfill",
        logs,
        tmp_path / "lake",
        "--local",
        "--workers",
        1,
        "--to",
        last,
        "--json",
    )

    asked = run(*options)
    assert asked.returncode == 2
    assert (
        'nobody to ask "Convert them on this machine?", since there is no terminal' in asked.stderr
    )
    assert "units" in asked.stderr
    assert not (tmp_path / "lake").exists()

    done = run(*options, "--yes")
    assert done.returncode == 0, done.stderr
    converted = [json.loads(line)["day"] for line in done.stdout.splitlines()]
    assert converted == [str(last - timedelta(days=number // 2)) for number in range(6)]

    again = run(*options, "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to convert" in again.stderr


def test_the_log_folders_and_settings_are_those_of_convert(logs: Path, tmp_path: Path) -> None:
    folded = ("--partition-layout", "year/month/day", "--folder", "CloudTrail-Insight")

    done = run("backfill", logs, tmp_path / "lake", "--local", "--workers", 1, "--yes", *folded)

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "lake").rglob("year=*/month=*/day=*/*.parquet"))) == 4
    assert run("convert", logs, tmp_path / "lake", *folded).stderr.startswith("nothing to convert")


def test_without_any_log_there_is_nothing_to_send(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()

    done = run("backfill", tmp_path / "logs", tmp_path / "lake", "--local", "--yes")

    assert (done.returncode, done.stdout) == (2, "")
    assert "AWSLogs" in done.stderr
