"""The command ``expire``: days that are no longer kept."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.program import run, succeed
from tests.end_to_end.trees import contents, deliver, event

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
OLD, RECENT = NOW - timedelta(days=400), NOW - timedelta(days=40)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """An old day and a recent one, which has a straggler of the old one."""
    deliver(tmp_path / "logs", event("old", OLD), delivered=OLD)
    deliver(tmp_path / "logs", event("recent", RECENT), event("late", OLD), delivered=RECENT)
    succeed("convert", tmp_path / "logs", tmp_path / "lake")
    return tmp_path / "lake"


def test_old_days_go_with_their_stragglers_and_do_not_come_back(lake: Path) -> None:
    before = contents(lake.parent)

    dry = succeed("expire", lake, "--older-than", "1 year", "--dry-run")
    assert "would remove 2 parts, " in dry
    assert contents(lake.parent) == before

    done = run("expire", lake, "--older-than", "1 year")
    assert done.returncode == 0
    assert "removed 2 parts, " in done.stderr
    (left,) = lake.rglob("*.parquet")
    assert f"day={RECENT:%d}/part-" in str(left)

    logs = lake.with_name("logs")
    assert "up to date" in run("convert", logs, lake).stderr
    succeed("convert", logs, lake, "--only", "all", "--day", f"{OLD:%Y-%m-%d}")
    assert list(lake.rglob("*.parquet")) == [left]
    assert "nothing is older than" in succeed("expire", lake, "--older-than", "1y")


def test_receipts_tell_what_went(lake: Path) -> None:
    lines = succeed("expire", lake, "--older-than", "1y", "--json").splitlines()

    old, recent = map(json.loads, lines)
    assert [old["expired"][name] for name in ("parts", "rows", "is_own")] == [1, 1, True]
    assert [recent["expired"][name] for name in ("parts", "rows")] == [1, 1]
    assert (old["parts"], old["records"]["written"], len(recent["parts"])) == ([], 1, 1)


def test_what_has_expired_adds_up_also_in_another_layout(lake: Path, tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("later", RECENT + timedelta(days=1), account="999999999999"))
    before = OLD - timedelta(days=9)  # a day that no unit is of
    deliver(tmp_path / "logs", event("older", before), delivered=RECENT + timedelta(hours=1))
    succeed("convert", tmp_path / "logs", lake)
    succeed("expire", lake, "--older-than", "1y")
    succeed("verify", lake, "--source", tmp_path / "logs")

    succeed("rewrite", lake, tmp_path / "days", "--partition-layout", "dt")
    succeed("verify", tmp_path / "days")
    succeed("rewrite", tmp_path / "days", tmp_path / "places", "--partition-layout", "account/dt")
    succeed("verify", tmp_path / "places")


def test_an_age_that_is_none_is_told(lake: Path) -> None:
    done = run("expire", lake, "--older-than", "7 decades")

    assert done.returncode == 2
    assert "'7 decades' is not an age" in done.stderr


def test_a_unit_that_was_not_finished_is_told_and_the_others_go(lake: Path) -> None:
    unit = f"account=012345678901/region=eu-central-1/year={RECENT:%Y/month=%m/day=%d}.json"
    intent = lake.with_name("lake.state") / "intents" / unit
    intent.parent.mkdir(parents=True)
    intent.write_text('{"run": "other", "begun": "2026-01-01T00:00:00Z", "parts": []}')

    done = run("expire", lake, "--older-than", "1y")

    assert done.returncode == 1
    assert f"{RECENT:%Y-%m-%d}: a run that was replacing it has not finished" in done.stderr
    assert len(list(lake.rglob("part-*.parquet"))) == 1
