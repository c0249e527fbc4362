"""The command status: the summary first, then ranges; lines of JSON; its exit status."""

import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import run, succeed
from tests.layouts import LAYOUTS, convert_in

ROOT = Path(__file__).parents[2]
SPEC = TreeSpec(accounts=2, regions=2, days=3, records=200)
TO = ("--to", "2026-01-14")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("status")
    generate_tree(folder / "logs", SPEC)
    convert_in("account/region/year/month/day", folder / "logs", folder / "cloudtrail")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Logs, a dataset and its state, to be changed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def told(folder: Path, *options: object) -> list[dict[str, object]]:
    done = run("status", folder / "cloudtrail", *TO, "--json", *options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def days(ranges: list[dict[str, object]], state: str) -> int:
    return sum(int(str(one["days"])) for one in ranges if one["state"] == state)


def test_the_summary_comes_first_and_then_ranges_with_the_worst_first(folder: Path) -> None:
    lost = min((folder / "logs").rglob("*/CloudTrail/*/2026/01/12"))
    receipt = min((folder / "cloudtrail.state/receipts").rglob("day=11.json"))
    shutil.rmtree(lost)
    receipt.unlink()

    done = run("status", folder / "cloudtrail", "--source", folder / "logs", *TO)

    head, *lines = done.stdout.splitlines()
    assert head.startswith(f"{folder}/cloudtrail: 20 days of 4 places, 2026-01-10 to 2026-01-14")
    states = [line.split()[1] for line in lines if line.strip()[:1].isdigit()]
    assert states[0] == "outdated"
    ranges = [line.split()[0] for line in lines if line[:1].isalpha()]
    assert ranges == sorted(ranges, key=["outdated", "empty", "converted"].index)
    assert done.returncode == 4, "a receipt is missing"


def test_what_was_never_converted_is_exit_status_4(folder: Path) -> None:
    for path in (folder / "cloudtrail", folder / "cloudtrail.state"):
        for day in path.rglob("day=11*"):
            shutil.rmtree(day) if day.is_dir() else day.unlink()

    done = run("status", folder / "cloudtrail", "--source", folder / "logs", *TO)
    ranges = told(folder, "--source", folder / "logs")

    assert done.returncode == 4
    assert (days(ranges, "missing"), days(ranges, "converted")) == (4, 12)
    assert {one["cause"] for one in ranges if one["state"] == "missing"} == {"never converted"}
    succeed("convert", folder / "logs", folder / "cloudtrail")
    assert run("status", folder / "cloudtrail", "--source", folder / "logs", *TO).returncode == 0


def test_a_part_that_is_gone_is_exit_status_4_and_can_be_overlooked(folder: Path) -> None:
    min((folder / "cloudtrail").rglob("day=11/*.parquet")).unlink()
    dataset, until = folder / "cloudtrail", ("--to", "2026-01-12")

    assert run("status", dataset, *until).returncode == 4
    assert run("status", dataset, *until, "--no-parts").returncode == 0


@pytest.mark.parametrize("gone", ["cloudtrail", "cloudtrail/account=*"])
def test_parts_are_missing_as_well_where_their_whole_folder_is_gone(
    gone: str, folder: Path
) -> None:
    for each in folder.glob(gone):
        shutil.rmtree(each)
    (folder / "cloudtrail").mkdir(exist_ok=True)

    said = told(folder)

    assert days(said, "outdated") == 4 * 3
    assert days(said, "converted") == 4  # the day after, of which there was no part


@pytest.mark.parametrize("layout", [*LAYOUTS[1:2], "dt"])
def test_a_state_that_is_lost_is_made_again(made: Path, tmp_path: Path, layout: str) -> None:
    dataset = convert_in(layout, made / "logs", tmp_path / "cloudtrail")  # type: ignore[arg-type]
    rows = sum(int(str(one["records"])) for one in told(tmp_path))
    shutil.rmtree(tmp_path / "cloudtrail.state")

    nothing = run("status", dataset, *TO)
    done = run("status", dataset, *TO, "--rebuild")

    assert "it has parts, and no receipt: status --rebuild makes it" in nothing.stdout
    assert nothing.returncode == 4
    assert "recorded again: the properties of the dataset\nreceipts made again: " in done.stderr
    again = told(tmp_path)
    assert sum(int(str(one["records"])) for one in again) == rows == 200
    assert {one["cause"] for one in again if one["state"] == "converted"} == {"rebuilt"}
    succeed("convert", made / "logs", dataset, "--partition-layout", layout)
    assert {one["cause"] for one in told(tmp_path) if one["state"] == "converted"} == {""}


def test_days_accounts_and_regions_can_be_chosen(folder: Path) -> None:
    every = told(folder)
    account = str(every[0]["account"])

    some = told(folder, "--account", account, "--from", "2026-01-11")

    assert {one["account"] for one in some} == {account}
    assert min(date.fromisoformat(str(one["first"])) for one in some) == date(2026, 1, 11)
    assert run("status", folder / "nowhere").returncode == 2


def test_the_page_shows_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/status.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    for line, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", "".join(blocks), re.MULTILINE):
        program, *arguments = line.split()
        if program == "rm":
            shutil.rmtree(arguments[-1])
            continue
        printed = run(*arguments).stdout
        if arguments[0] == "status":
            assert [one.rstrip() for one in printed.splitlines()] == shown.splitlines(), line
