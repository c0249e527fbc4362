"""Several folders of logs as one source, on the command line."""

import json
from pathlib import Path

import pytest

from tests.builders import ACCOUNT
from tests.end_to_end.program import run
from tests.end_to_end.trees import NOON, deliver, event

OTHER_ACCOUNT = "123456789012"


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Two folders; one account is in both, with a log file of each its own and one in common."""
    for name in ("old trail", "org"):
        deliver(tmp_path / name, event("both"), event("2"), unique="A")
        deliver(tmp_path / name, event(name), event("both"), unique=f"B{name[:3]}")
    deliver(tmp_path / "org", event("alone"), account=OTHER_ACCOUNT)
    return f"file://{tmp_path}/old%20trail file://{tmp_path}/org"


def ids(dataset: Path, account: str) -> list[str]:
    done = run("export", dataset, "--account", account)
    return sorted(json.loads(line)["eventID"] for line in done.stdout.splitlines())


def test_two_folders_give_one_dataset_with_every_record_once(source: str, tmp_path: Path) -> None:
    done = run("convert", source, tmp_path / "lake", "--workers", 1, "--json")

    assert done.returncode == 0, done.stderr
    assert ids(tmp_path / "lake", ACCOUNT) == ["2", "both", "old trail", "org"]
    assert ids(tmp_path / "lake", OTHER_ACCOUNT) == ["alone"]
    receipts = {one["account"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert receipts[ACCOUNT]["files"]["read"] == 4
    assert receipts[ACCOUNT]["records"]["duplicate"] == 4


def test_two_folders_are_planned_as_one_source(source: str, tmp_path: Path) -> None:
    done = run("plan", source, tmp_path / "lake", "--json")

    units = json.loads(done.stdout)["units"]
    assert {one["account"]: one["files"] for one in units} == {ACCOUNT: 4, OTHER_ACCOUNT: 1}


def test_a_damaged_file_is_named_with_its_folder(source: str, tmp_path: Path) -> None:
    damaged = deliver(tmp_path / "org", event("x"), unique="C")
    damaged.write_bytes(damaged.read_bytes()[:-9])

    done = run("convert", source, tmp_path / "lake", "--workers", 1)

    assert done.returncode == 3
    assert f"quarantined: {str(damaged)[1:]}: " in done.stderr


def test_a_folder_without_logs_is_named_and_stops_no_other(source: str, tmp_path: Path) -> None:
    for command in ("convert", "plan"):
        done = run(command, f"{source} file://{tmp_path}/new", tmp_path / "lake")

        assert done.returncode == 0, done.stderr
        assert f"no AWSLogs folder yet in {str(tmp_path)[1:]}/new/\n" in done.stderr


def test_folders_of_which_one_lies_in_another_are_a_wrong_usage(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a"), delivered=NOON)

    done = run("convert", f"{tmp_path} file://{tmp_path}/logs", tmp_path / "lake")

    assert done.returncode == 2
    assert f"file://{tmp_path}/logs: lies in {tmp_path}, named as well. Name each" in done.stderr


def test_a_folder_that_is_added_makes_what_was_converted_outdated(
    source: str, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    first = source.split(maxsplit=1)[0]
    assert run("convert", first, lake, "--workers", 1).returncode == 0
    assert ids(lake, ACCOUNT) == ["2", "both", "old trail"]

    units = json.loads(run("plan", source, lake, "--only", "outdated", "--json").stdout)["units"]
    assert run("convert", source, lake, "--workers", 1).returncode == 0

    assert [one["account"] for one in units] == [ACCOUNT, OTHER_ACCOUNT]
    assert ids(lake, ACCOUNT) == ["2", "both", "old trail", "org"]


def test_a_folder_that_is_left_out_leaves_what_was_made_with_it(
    source: str, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    assert run("convert", source, lake, "--workers", 1).returncode == 0

    done = run("convert", source.split(maxsplit=1)[0], lake, "--workers", 1)

    assert done.returncode == 3
    assert "2 of 4 log files are gone from the source" in done.stderr
    assert ids(lake, ACCOUNT) == ["2", "both", "old trail", "org"]
