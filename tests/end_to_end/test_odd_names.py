"""Names of log files and folders may hold anything: they stop nothing and forge nothing."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import ACCOUNT, log_file, log_key, record
from tests.end_to_end.program import Done, run_apart

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAYS = ["2026-01-10", "2026-01-11", "2026-01-12"]
LATIN = b"caf\xe9.json.gz"  # as old archives and network disks make names

linux = pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 on this system")


def event(day: int, number: int) -> dict[str, object]:
    time = f"{NOON + timedelta(days=day):%Y-%m-%dT11:00:00Z}"
    return record(eventID=f"{day}-{number}", eventTime=time)


def plant(logs: Path, odd: bytes, data: bytes) -> None:
    """Three days with a good log file each, and the odd one in the second."""
    for day in range(3):
        path = logs / log_key(ACCOUNT, "eu-central-1", NOON + timedelta(days=day))
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(event(day, 1)))
        if day == 1:
            (path.parent / os.fsdecode(odd)).write_bytes(data)


def receipts(done: Done) -> dict[str, dict[str, Any]]:
    return {one["day"]: one for one in map(json.loads, done.stdout.splitlines())}


def written(found: dict[str, dict[str, Any]]) -> list[object]:
    return [found[day]["records"]["written"] for day in DAYS]


@linux
@pytest.mark.parametrize("how", [["--workers", 1], ["--workers", 2], ["--dry-run"]])
def test_a_log_file_whose_name_is_no_utf8_is_read_like_any_other(
    tmp_path: Path, how: list[object]
) -> None:
    plant(tmp_path / "logs", LATIN, log_file(event(1, 2)))

    done = run_apart("convert", tmp_path / "logs", tmp_path / "out", "--json", *how)

    assert done.returncode == 0, done.stderr
    found = receipts(done)
    assert written(found) == [1, 2, 1]
    (name,) = found[DAYS[1]]["unstamped"]
    assert str(name).endswith(r"/caf\xe9.json.gz")


@linux
@pytest.mark.parametrize("how", [["--workers", 1], ["--workers", 2], ["--dry-run"]])
def test_a_damaged_log_file_whose_name_is_no_utf8_is_named_and_stops_nothing(
    tmp_path: Path, how: list[object]
) -> None:
    plant(tmp_path / "logs", LATIN, b"\x1f\x8bnothing")

    done = run_apart("convert", tmp_path / "logs", tmp_path / "out", "--json", *how)

    assert done.returncode == 3, done.stderr
    found = receipts(done)
    assert written(found) == [1, 1, 1]
    (bad,) = found[DAYS[1]]["quarantined"]
    assert bad["key"].endswith(r"/caf\xe9.json.gz")
    assert r"/caf\xe9.json.gz: the gzip stream is" in done.stderr


@linux
@pytest.mark.parametrize("layout", ["account/region/year/month/day", "year/month/day"])
@pytest.mark.parametrize(
    "odd", [f"{ACCOUNT}/CloudTrail/caf\xe9", "caf\xe9/CloudTrail/eu-central-1"]
)
def test_no_account_or_region_has_a_name_that_is_no_utf8(
    tmp_path: Path, odd: str, layout: str
) -> None:
    logs = tmp_path / "logs"
    plant(logs, b"good.json.gz", log_file(event(1, 2)))
    key = Path(log_key(ACCOUNT, "eu-central-1", NOON))
    lost = logs / os.fsdecode(f"AWSLogs/{odd}/2026/01/10/{key.name}".encode("latin-1"))
    lost.parent.mkdir(parents=True)
    lost.write_bytes(log_file(event(0, 9)))

    done = run_apart("convert", logs, tmp_path / "out", "--json", "--partition-layout", layout)

    assert done.returncode == 3, done.stderr
    assert sum(one["records"]["written"] for one in receipts(done).values()) == 4
    assert r"caf\xe9/" in done.stderr
    assert key.name in done.stderr


@linux
def test_a_day_with_a_name_that_is_no_utf8_is_planned_and_found_unchanged(tmp_path: Path) -> None:
    plant(tmp_path / "logs", LATIN, log_file(event(1, 2)))
    places = tmp_path / "logs", tmp_path / "out"

    before = run_apart("plan", *places, "--json")
    run_apart("convert", *places)
    after = run_apart("plan", *places, "--only", "outdated", "--json")

    assert [one["files"] for one in json.loads(before.stdout)["units"]][-2] == 2, before.stderr
    assert json.loads(after.stdout)["units"] == [], after.stderr


FORGED = "x\nerror: all is lost\x1b[2J\u202e.json.gz"


def test_a_name_forges_no_line_and_commands_no_terminal(tmp_path: Path) -> None:
    plant(tmp_path / "logs", FORGED.encode(), b"\x1f\x8bnothing")
    folder = tmp_path / "logs" / "AWSLogs" / ACCOUNT / "Other\nerror: :skull: [bold]too\x1b[1m"
    folder.mkdir()
    (folder / "a").write_bytes(b"")

    done = run_apart("convert", tmp_path / "logs", tmp_path / "out", env={"FORCE_COLOR": "1"})

    assert done.returncode == 3
    assert r"x\nerror: all is lost\x1b[2J\u202e.json.gz: the gzip" in done.stderr
    assert r"skipped Other\nerror: :skull: [bold]too\x1b[1m: 1 object," in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "\x1b[2J" not in done.stderr
    assert "\u202e" not in done.stderr


def test_the_receipt_keeps_the_name_that_can_be_written(tmp_path: Path) -> None:
    plant(tmp_path / "logs", FORGED.encode(), b"\x1f\x8bnothing")

    done = run_apart("convert", tmp_path / "logs", tmp_path / "out", "--json")

    (bad,) = receipts(done)[DAYS[1]]["quarantined"]
    assert str(bad["key"]).endswith(f"/{FORGED}")


def test_a_link_that_leads_back_ends_and_each_log_file_is_read_once(tmp_path: Path) -> None:
    counted = []
    for name in ("plain", "linked"):
        logs = tmp_path / name
        plant(logs, b"other.json.gz", log_file(event(1, 2)))
        if name == "linked":
            day = next(logs.rglob("11"))
            for folder, target in ((day, "."), (day, "../../.."), (day.parent, ".."), (logs, ".")):
                (folder / f"to {len(target)}").symlink_to(target)
        done = run_apart("convert", logs, tmp_path / f"{name} out", "--json", "--workers", 1)
        assert done.returncode == 0, done.stderr
        found = receipts(done)
        counted.append([(found[day]["files"], found[day]["records"]) for day in DAYS])

    assert counted[0] == counted[1]
