"""Whatever log files hold, a receipt stays small and its counts stay right."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.builders import ACCOUNT, REGION, log_file, log_key, record
from tests.end_to_end.program import Done, run

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
MANY = 3_000
LONG = "long" * 10_000


def convert(folder: Path, records: list[object], *options: object) -> Done:
    path = folder / "logs" / log_key(ACCOUNT, REGION, NOON)
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(*records))
    return run("convert", folder / "logs", folder / "out", "--json", "--workers", 1, *options)


def receipt_of(done: Done) -> dict[str, Any]:
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert len(line) < 500_000
    return found


def event(number: int, **changes: object) -> dict[str, Any]:
    return record(**{"eventID": f"id-{number}", "eventTime": "2026-01-10T11:58:00Z"} | changes)


def test_hostile_versions_and_names_are_the_commonest_thousand(tmp_path: Path) -> None:
    odd = [event(n, eventVersion=f"1.{n}", **{f"new{n}": n}) for n in range(MANY)]
    usual = [event(MANY + n, new=n) for n in range(5)]

    receipt = receipt_of(convert(tmp_path, [*odd, *usual]))

    assert receipt["records"]["written"] == MANY + 5
    for name, commonest in (("versions", "1.11"), ("unmapped", "new")):
        assert len(receipt[name]) == 1000
        assert receipt[name][commonest] >= 5


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    odd = event(1, eventVersion="1." + LONG, **{LONG: 1})

    receipt = receipt_of(convert(tmp_path, [odd]))

    assert max(map(len, [*receipt["versions"], *receipt["unmapped"]])) < 400
    assert receipt["records"]["written"] == 1


def test_of_very_many_bad_records_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    done = convert(tmp_path, [event(1), *[0] * MANY])

    receipt = receipt_of(done)
    assert receipt["records"]["quarantined"] == MANY
    assert [bad["record"] for bad in receipt["quarantined"]] == list(range(1, 1001))
    assert done.returncode == 3
    assert "quarantined: 2,000 more, which receipts count and do not name" in done.stderr


@pytest.mark.parametrize("number", [0, 2])
def test_a_file_that_cannot_be_read_is_named_before_bad_records(
    tmp_path: Path, number: int
) -> None:
    bad = tmp_path / "logs" / log_key(ACCOUNT, REGION, NOON.replace(minute=number), unique="Bad")
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"\x1f\x8b")
    (bad.parent / "other.json").write_bytes(log_file(*[0] * MANY))

    done = run("convert", tmp_path / "logs", tmp_path / "out", "--json", "--workers", 1)

    first, *others = receipt_of(done)["quarantined"]
    assert first["key"].endswith(bad.name)
    assert len(others) == 999
