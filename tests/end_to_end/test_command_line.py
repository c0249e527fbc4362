"""The command line as scripts see it: exit codes, what is printed where, how places are named."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import FileIO
from pathlib import Path

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import LocalStore
from tests.builders import ACCOUNT, envelope, exact, normal
from tests.end_to_end.program import command, run, run_apart, succeed
from tests.end_to_end.trees import NOON, contents, deliver, event

ORGANIZATION = "o-abcdefghij"
OTHER_ACCOUNT = "123456789012"


def convert(source: object, dataset: object, *options: object, folder: Path | None = None) -> str:
    return succeed("convert", source, dataset, "--workers", 1, *options, folder=folder)


def exported(dataset: object, *options: object) -> list[str]:
    """The ids of the records that an export gives, sorted."""
    lines = succeed("export", dataset, *options).splitlines()
    return sorted(json.loads(line)["eventID"] for line in lines)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two accounts, two regions and three days; the tests leave it as it is."""
    tree = tmp_path_factory.mktemp("command line") / "logs"
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for region in ("eu-central-1", "us-east-1"):
            for number in range(3):
                when = NOON + timedelta(days=number)
                name = f"{account} {region} {when:%d}"
                deliver(tree, event(name, when), account=account, region=region, delivered=when)
    return tree


@pytest.fixture(scope="module")
def dataset(tree: Path) -> Path:
    """The tree, converted; the tests leave it as it is."""
    convert(tree, tree.parent / "dataset")
    return tree.parent / "dataset"


# Wrong usage.

WRONG = {
    "a date that is none": ["--day", "2026-02-30"],
    "a date in another form": ["--day", "10.01.2026"],
    "a day and a first day": ["--day", "2026-01-10", "--from", "2026-01-10"],
    "a day and a last day": ["--day", "2026-01-10", "--to", "2026-01-10"],
    "a last day before the first": ["--from", "2026-01-11", "--to", "2026-01-10"],
    "an account without logs": ["--account", "999999999999"],
    "one of two accounts without logs": ["--account", ACCOUNT, "--account", "999999999999"],
    "a region without logs": ["--region", "eu-centrl-1"],
    "no workers": ["--workers", "0"],
    "a folder that holds no event logs": ["--folder", "CloudTrail-Digest"],
    "the state inside the dataset": ["--state", "{out}/state"],
    "the state in place of the dataset": ["--state", "{out}"],
    "the state inside the dataset, on a detour": ["--state", "{out}/../out/state"],
    "the state among the logs": ["--state", "{tree}/AWSLogs/../AWSLogs/state"],
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_usage_ends_with_exit_code_2_and_writes_nothing(
    tree: Path, tmp_path: Path, mistake: str
) -> None:
    out = tmp_path / "out"

    done = run("convert", tree, out, *(text.format(out=out, tree=tree) for text in WRONG[mistake]))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_state_inside_the_dataset_is_refused_however_the_two_are_written(
    tree: Path, tmp_path: Path
) -> None:
    as_uri = run("convert", tree, tmp_path / "out", "--state", f"file://{tmp_path}/out/state")
    as_path = run("convert", tree, f"file://{tmp_path}/out", "--state", tmp_path / "out" / "state")

    assert (as_uri.returncode, as_path.returncode) == (2, 2)
    assert not list(tmp_path.iterdir())


def test_a_source_without_logs_ends_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    for source, said in (("photos", "there are no files in it"), ("nowhere", "there is no folder")):
        done = run("convert", tmp_path / source, tmp_path / "out")

        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_parts_too_large_for_a_bucket_end_with_exit_code_2_before_anything_is_asked(
    tree: Path, tmp_path: Path
) -> None:
    done = run("convert", tree, "s3://lake/trail?anonymous=true", "--part-bytes", "67108865")

    assert (done.returncode, done.stdout) == (2, "")
    said = "error: s3://lake/trail: part_bytes = 67,108,865 is too much for a bucket: a part is one"
    assert done.stderr.startswith(said)
    assert done.stderr.rstrip().endswith("Set part_bytes to 67108864 (64 MiB) or less")

    done = run("convert", tree, tmp_path / "out", "--part-bytes", "67108865")
    assert done.returncode == 0, done.stderr


def test_an_export_of_what_is_no_dataset_ends_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    for place in ("empty", "nowhere"):
        done = run("export", tmp_path / place)

        assert (done.returncode, done.stdout) == (2, "")
        assert place in done.stderr


def test_a_dataset_made_with_another_window_is_not_mixed_with_this_one(
    tree: Path, tmp_path: Path
) -> None:
    convert(tree, tmp_path / "out")
    noted = tmp_path / "out.state" / "dataset.json"
    noted.write_text(noted.read_text().replace('"lookahead_s":7200', '"lookahead_s":60'))
    before = contents(tmp_path)

    done = run("convert", tree, tmp_path / "out")

    assert done.returncode == 2
    assert "lookahead_s = 60" in done.stderr
    assert contents(tmp_path) == before


def test_a_dataset_may_take_in_further_folders_but_not_lose_any(tree: Path, tmp_path: Path) -> None:
    convert(tree, tmp_path / "out")
    convert(tree, tmp_path / "out", "--folder", "CloudTrail-NetworkActivity")

    done = run("convert", tree, tmp_path / "out")

    assert done.returncode == 2
    assert "folders = CloudTrail, CloudTrail-NetworkActivity; now" in done.stderr


def test_the_same_settings_are_no_mismatch(tree: Path, tmp_path: Path) -> None:
    convert(tree, tmp_path / "out")
    before = contents(tmp_path / "out")

    convert(tree, tmp_path / "out")

    assert contents(tmp_path / "out") == before


def test_a_partition_that_cannot_be_written_stops_no_other(tree: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "out" / f"account={ACCOUNT}" / "region=eu-central-1"
    blocked.parent.mkdir(parents=True)
    blocked.write_bytes(b"in the way")

    done = run("convert", tree, tmp_path / "out", "--json", "--workers", 1)

    units = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert sum(unit["status"] == "failed" for unit in units) == 3
    assert sum(unit["status"] == "complete" for unit in units) == 9


def test_a_part_that_was_damaged_is_mended_by_converting_again(tmp_path: Path) -> None:
    tree, late = tmp_path / "logs", NOON + timedelta(days=5)
    deliver(tree, event("in time"))
    deliver(tree, event("late"), event("in time"), delivered=late)
    convert(tree, tmp_path / "out")
    whole = contents(tmp_path / "out")
    (straggler,) = (tmp_path / "out").rglob("straggler-*.parquet")
    straggler.write_bytes(straggler.read_bytes()[:-100])

    first = run("convert", tree, tmp_path / "out", "--workers", 1)
    second = run("convert", tree, tmp_path / "out", "--workers", 1)

    assert "Traceback" not in first.stderr
    assert second.returncode == 0, second.stderr
    assert contents(tmp_path / "out") == whole


# What is incomplete, and stays so.


@pytest.mark.parametrize("layout", ["account/region/dt", "dt"])
def test_a_day_that_lacks_something_is_named_by_every_run(tmp_path: Path, layout: str) -> None:
    source, dataset = tmp_path / "logs", tmp_path / "lake"
    generate_tree(source, TreeSpec(accounts=1, regions=1, days=1, records=200))
    first, second, *_ = sorted(source.rglob("*.json.gz"))
    first.write_bytes(b"not gzip")
    command = ["convert", str(source), str(dataset), "--partition-layout", layout]

    assert run(*command).returncode == 3
    again = run(*command)

    assert again.returncode == 3
    assert "nothing to convert" in again.stderr
    assert "quarantined: 1 log file, 0 records" in again.stderr

    second.unlink()
    assert run(*command).returncode == 3
    assert "still incomplete: " in (last := run(*command)).stderr
    assert "kept as it was: 1 of " in last.stderr
    assert last.returncode == 3


def test_a_plan_with_another_layout_than_the_dataset_is_refused(tmp_path: Path) -> None:
    source, dataset = tmp_path / "logs", tmp_path / "lake"
    generate_tree(source, TreeSpec(accounts=1, regions=1, days=1, records=50))
    run("convert", str(source), str(dataset), "--partition-layout", "dt")

    done = run("plan", str(source), str(dataset), "--only", "outdated")

    assert done.returncode == 2
    assert "partition_layout = dt" in done.stderr


# What is up to date already.


@pytest.mark.parametrize("layout", ["account/region/dt", "account/dt", "year/month/day"])
def test_a_second_conversion_reads_no_log_file_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setenv("CLOUDTRAIL_PARQUET_PARTITION_LAYOUT", layout)
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    for hour, minute in ((12, 0), (0, 5), (23, 50)):  # the last two are in windows of other days
        when = NOON.replace(hour=hour, minute=minute)
        deliver(logs, event(f"{hour}", when), delivered=when)
    first = run("convert", logs, lake, "--workers", 1)
    assert first.returncode == 0, first.stderr
    written = stamps(tmp_path)
    for path in logs.rglob("*.json.gz"):
        path.write_bytes(bytes(path.stat().st_size))  # which nobody can read

    again = run("convert", logs, lake, "--workers", 1)

    line = "nothing to convert: 3 units are up to date; --only all converts them again\n"
    assert (again.returncode, again.stdout, again.stderr) == (0, "", line)
    for options in (["--json"], ["--dry-run"], ["--only", "missing"], ["--only", "reshaped"]):
        assert run("convert", logs, lake, *options) == again
    assert stamps(tmp_path) == written
    assert run("convert", logs, lake, "--only", "all", "--workers", 1).returncode == 3


def stamps(folder: Path) -> dict[str, int]:
    """When each file below a folder was last written, but for log files."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".json.gz")
    }


def test_a_conversion_goes_on_where_another_one_was_interrupted(
    tree: Path, dataset: Path, tmp_path: Path
) -> None:
    lake = shutil.copytree(dataset, tmp_path / "lake")
    state = shutil.copytree(f"{dataset}.state", tmp_path / "lake.state")
    (left,) = state.glob(f"receipts/account={ACCOUNT}/region=us-east-1/**/day=11.json")
    left.unlink()

    done = run("convert", tree, lake, "--workers", 1, "--json")

    (receipt,) = map(json.loads, done.stdout.splitlines())
    assert (receipt["region"], receipt["day"]) == ("us-east-1", "2026-01-11")
    assert contents(lake) == contents(dataset)


def test_a_selection_of_what_is_up_to_date_beside_what_is_not_has_nothing_to_do(
    tree: Path, dataset: Path, tmp_path: Path
) -> None:
    lake = shutil.copytree(dataset, tmp_path / "lake")
    state = shutil.copytree(f"{dataset}.state", tmp_path / "lake.state")
    (left,) = state.glob(f"receipts/account={ACCOUNT}/region=us-east-1/**/day=11.json")
    left.unlink()

    done = run("convert", tree, lake, "--account", OTHER_ACCOUNT, "--day", "2026-01-11")

    assert done.returncode == 0
    assert "nothing to convert: 2 units are up to date" in done.stderr


def test_an_account_selects_days_that_are_converted_with_all_accounts(
    tree: Path, tmp_path: Path
) -> None:
    other = tmp_path / "logs"
    shutil.copytree(tree, other)
    shutil.rmtree(other / "AWSLogs" / ACCOUNT / "CloudTrail" / "eu-central-1")
    shutil.rmtree(other / "AWSLogs" / ACCOUNT / "CloudTrail" / "us-east-1" / "2026" / "01" / "11")
    layout = ("--partition-layout", "dt")

    convert(other, tmp_path / "lake", "--account", ACCOUNT, *layout)

    days = ("10", "12")
    assert exported(tmp_path / "lake") == sorted(
        [f"{ACCOUNT} us-east-1 {day}" for day in days]
        + [
            f"{OTHER_ACCOUNT} {region} {day}"
            for day in days
            for region in ("eu-central-1", "us-east-1")
        ]
    )


def test_a_partition_that_was_kept_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    logs, lake = tmp_path / "logs", tmp_path / "lake"
    gone = deliver(logs, event("gone"))
    deliver(logs, event("there"), unique="B" * 16)
    convert(logs, lake)
    gone.unlink()
    assert run("convert", logs, lake, "--workers", 1).returncode == 3
    assert exported(lake) == ["gone", "there"]

    again = run("convert", logs, lake, "--workers", 1)
    assert "nothing to convert: 1 unit is up to date" in again.stderr

    convert(logs, lake, "--replace-shrunk")
    assert exported(lake) == ["there"]


# What is printed.


def test_json_prints_one_object_a_unit_on_stdout_and_nothing_else(
    tree: Path, tmp_path: Path
) -> None:
    done = run_apart("convert", tree, tmp_path / "out", "--json", "--workers", 2)

    units = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((unit["account"], unit["region"], unit["day"]) for unit in units) == [
        (account, region, f"2026-01-{day}")
        for account in (ACCOUNT, OTHER_ACCOUNT)
        for region in ("eu-central-1", "us-east-1")
        for day in (10, 11, 12)
    ]
    assert done.stderr == ""


def test_the_summary_counts_what_was_done(tree: Path, tmp_path: Path) -> None:
    words = convert(tree, tmp_path / "out").replace("│", " ").split()

    assert words[words.index("units") + 1] == "12"
    assert words[words.index("records") + 1] == "12"
    assert words[words.index("quarantined") + 1] == "0"


def test_folders_beside_the_logs_are_counted_on_stderr(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("mine"))
    for number in range(3):
        deliver(tmp_path / "logs", {}, folder="CloudTrail-Digest", unique=f"{number:016}")
    network = "CloudTrail-NetworkActivity"
    for folder in ("CloudTrail-Aggregated", "CloudTrail-Insight", network):
        deliver(tmp_path / "logs", {}, folder=folder)
    deliver(tmp_path / "logs", {}, folder="Config")
    deliver(tmp_path / "logs", {}, folder="backups")

    done = run("convert", tmp_path / "logs", tmp_path / "out", "--json", "--workers", 1)

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.splitlines() == [
        "not read: CloudTrail-Aggregated, 1 object; --folder CloudTrail-Aggregated reads them",
        "skipped CloudTrail-Digest: 3 objects, not event logs",
        "not read: CloudTrail-Insight, 1 object; --folder CloudTrail-Insight reads them",
        f"not read: {network}, 1 object; --folder {network} reads them",
        "skipped Config: 1 object, not event logs",
        "skipped backups: 1 object, not named like event logs",
    ]
    assert exported(tmp_path / "out") == ["mine"]


# Log files that no unit reads, and nothing to read.


def misplace(tree: Path, folder: str, data: bytes = b"x") -> str:
    """Put something named like a log file into a folder; its key."""
    name = deliver(tree, event("mine")).name
    (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / folder / name.replace("_2026", "_2025")).write_bytes(data)
    return f"{folder}/{name.replace('_2026', '_2025')}"


@pytest.mark.parametrize(
    "folder",
    [
        f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026-01-09",
        f"AWSLogs/a/b/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/10",
        f"awslogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/10",
        f"AWSLogs/{ACCOUNT}/cloudtrail/eu-central-1/2026/01/10",
    ],
)
def test_log_files_that_no_unit_reads_end_a_command_with_exit_code_3(
    tmp_path: Path, folder: str
) -> None:
    key = misplace(tmp_path / "logs", folder)

    done = run("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1)
    planned = run("plan", tmp_path / "logs", "--json")

    assert (done.returncode, planned.returncode) == (3, 3)
    for one in (done, planned):
        assert f"unplaced: {folder}/: 1 log file, such as {key}" in one.stderr.splitlines()
    assert json.loads(planned.stdout)["unplaced"] == [
        {"folder": f"{folder}/", "files": 1, "example": key}
    ]
    assert exported(tmp_path / "out") == ["mine"]


@pytest.mark.parametrize("option", ["--workers=2", "--dry-run"])
def test_a_log_file_without_bytes_is_told_once_and_ends_a_conversion_with_exit_code_3(
    tmp_path: Path, option: str
) -> None:
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/10"
    key = misplace(tmp_path / "logs", folder, b"")

    done = run("convert", tmp_path / "logs", tmp_path / "out", option)

    assert done.returncode == 3
    said = [line for line in done.stderr.splitlines() if line.startswith("unplaced: ")]
    assert said == [f"unplaced: {folder}/: 1 log file, such as {key}"]


def test_what_fails_counts_more_than_what_is_unplaced(tmp_path: Path) -> None:
    misplace(tmp_path / "logs", f"AWSLogs/{ACCOUNT}")
    blocked = tmp_path / "out" / f"account={ACCOUNT}"
    blocked.parent.mkdir(parents=True)
    blocked.write_bytes(b"in the way")

    done = run("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1)

    assert done.returncode == 1
    assert "unplaced: " in done.stderr


@pytest.mark.parametrize("command", ["convert", "plan"])
@pytest.mark.parametrize(
    "options",
    [
        ["--from", "2026-01-13"],
        ["--from", "2026-01-13", "--to", "2026-01-13"],  # beside a day with logs
        ["--to", "2026-01-01", "--account", ACCOUNT],
    ],
)
def test_a_selection_without_any_log_file_is_no_success_and_it_is_said_what_there_is(
    tree: Path, tmp_path: Path, command: str, options: list[str]
) -> None:
    done = run(command, tree, tmp_path / "out", *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert (
        f"no log files for what was selected. There are: accounts {ACCOUNT}, {OTHER_ACCOUNT};"
        " regions eu-central-1, us-east-1; days from 2026-01-10 to 2026-01-12"
    ) in done.stderr
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_day_of_which_only_a_file_beside_it_was_read_is_a_success(tmp_path: Path) -> None:
    evening = NOON.replace(
        hour=23, minute=50
    )  # in the window of the day after, whose records it lacks
    deliver(tmp_path / "logs", event("mine", evening), delivered=evening)

    done = run("convert", tmp_path / "logs", tmp_path / "out", "--day", "2026-01-11")

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_plan_of_what_is_converted_already_is_a_success(tree: Path, dataset: Path) -> None:
    for only in ("missing", "outdated"):
        done = run("plan", tree, dataset, "--only", only)

        assert done.returncode == 0
        assert done.stderr == ""


def test_a_plan_of_a_day_has_the_units_of_that_day(tree: Path) -> None:
    day = ["--day", "2026-01-11"]

    planned = run("plan", tree, *day, "--json")
    both = run("plan", tree, *day, "--to", "2026-01-12")

    assert {unit["day"] for unit in json.loads(planned.stdout)["units"]} == {"2026-01-11"}
    assert both.returncode == 2
    assert "--day goes without --from and --to" in both.stderr


def test_a_source_of_nothing_but_unplaced_log_files_is_no_success(tmp_path: Path) -> None:
    trail = f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1"
    folder = f"{trail}/2026-01-10"
    misplace(tmp_path / "logs", folder)
    shutil.rmtree(tmp_path / "logs" / trail / "2026")

    for name in ("convert", "plan"):
        done = run(name, tmp_path / "logs", tmp_path / "out")

        assert done.returncode == 2
        assert f"unplaced: {folder}/: 1 log file" in done.stderr
        assert "; no days" in done.stderr


def test_network_activity_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("call"))
    deliver(
        tmp_path / "logs",
        event("endpoint", eventType="AwsVpceEvent", managementEvent=..., eventCategory=...),
        folder="CloudTrail-NetworkActivity",
    )

    convert(tmp_path / "logs", tmp_path / "without")
    convert(tmp_path / "logs", tmp_path / "with", "--folder", "CloudTrail-NetworkActivity")

    assert exported(tmp_path / "without") == ["call"]
    assert exported(tmp_path / "with") == ["call", "endpoint"]


# Export.

FILTERS: dict[str, Callable[[str, str, int], bool]] = {
    "--day 2026-01-11": lambda _account, _region, day: day == 11,
    "--from 2026-01-11": lambda _account, _region, day: day >= 11,
    "--to 2026-01-11": lambda _account, _region, day: day <= 11,
    "--from 2026-01-11 --to 2026-01-11": lambda _account, _region, day: day == 11,
    f"--account {ACCOUNT}": lambda account, _region, _day: account == ACCOUNT,
    f"--account {ACCOUNT} --account {OTHER_ACCOUNT}": lambda *_: True,
    "--region us-east-1": lambda _account, region, _day: region == "us-east-1",
    f"--region us-east-1 --account {ACCOUNT} --day 2026-01-12": lambda account, region, day: (
        (account, region, day) == (ACCOUNT, "us-east-1", 12)
    ),
}


@pytest.mark.parametrize("options", FILTERS)
@pytest.mark.parametrize("command", ["export", "convert"])
def test_filters_select_units(
    tree: Path, dataset: Path, tmp_path: Path, command: str, options: str
) -> None:
    wanted = [
        name
        for name in exported(dataset)
        for account, region, day in [name.split()]
        if FILTERS[options](account, region, int(day))
    ]

    if command == "convert":
        convert(tree, tmp_path / "out", *options.split())
        found = exported(tmp_path / "out") if (tmp_path / "out").exists() else []
    else:
        found = exported(dataset, *options.split())

    assert found == wanted


NOTHING = {
    "--day 2026-01-15": "days from 2026-01-10 to 2026-01-12",
    "--from 2026-02-01": "days from 2026-01-10 to 2026-01-12",
    "--account 999999999999": f"{ACCOUNT}, {OTHER_ACCOUNT}",
    "--region us-east1": "eu-central-1, us-east-1",
}


@pytest.mark.parametrize("options", NOTHING)
def test_an_export_of_nothing_is_no_success_and_says_what_there_is(
    dataset: Path, options: str
) -> None:
    done = run("export", dataset, *options.split())

    assert (done.returncode, done.stdout) == (2, "")
    assert NOTHING[options] in done.stderr


def test_records_that_were_delivered_with_line_breaks_are_exported_one_a_line(
    tmp_path: Path,
) -> None:
    odd = event(
        "odd",
        userAgent="line\nbreak\u2028\u0085\r",
        requestParameters={"a": [1, {"b": "\n"}], "c": {}},
    ) | {"new": {"field": [1, 2]}}
    body = json.dumps({"Records": [odd, event("plain")]}, indent=2).replace("\n", "\r\n")
    deliver(tmp_path / "logs").write_bytes(gzip.compress(body.encode()))

    convert(tmp_path / "logs", tmp_path / "out")

    lines = succeed("export", tmp_path / "out").removesuffix("\n").split("\n")
    records = {one["eventID"]: one for one in map(json.loads, lines)}
    assert "\r" not in "".join(lines)
    assert records == {"odd": normal(odd), "plain": normal(event("plain"))}


def test_numbers_are_exported_with_the_digits_they_came_with(tmp_path: Path) -> None:
    numbers = '{"long": 12345678901234567890, "money": 1.10, "tiny": 1e-400, "minus": -0.0}'
    text = json.dumps(event("numbers", requestParameters="#")).replace('"#"', numbers)
    deliver(tmp_path / "logs").write_bytes(gzip.compress(envelope([text])))

    convert(tmp_path / "logs", tmp_path / "out")

    (line,) = succeed("export", tmp_path / "out").splitlines()
    assert numbers in line
    assert exact(line) == normal(exact(text))


def test_a_pipe_that_is_closed_early_ends_an_export_quietly(tmp_path: Path) -> None:
    many = [event(f"{number:06}") for number in range(3000)]  # more than a pipe holds
    deliver(tmp_path / "logs", *many)
    convert(tmp_path / "logs", tmp_path / "out")

    with subprocess.Popen(
        command("export", tmp_path / "out"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) != 2


def test_an_export_is_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("Zoë 漢 😀"))
    convert(tmp_path / "logs", tmp_path / "out")

    done = run_apart("export", tmp_path / "out", env={"PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["eventID"] == "Zoë 漢 😀"


# Layouts and ways to name a place.


def test_what_two_trails_deliver_to_one_bucket_stands_once(tmp_path: Path) -> None:
    tree = tmp_path / "logs"
    both, pretty = event("both"), json.dumps(event("both"), indent=1)
    deliver(tree, both, event("account trail"))
    deliver(tree, pretty, event("organization trail"), organization=ORGANIZATION)
    deliver(tree / "audit" / "2026", both, organization=ORGANIZATION)

    receipt = json.loads(convert(tree, tmp_path / "out", "--json"))

    assert exported(tmp_path / "out") == ["account trail", "both", "organization trail"]
    assert receipt["files"]["read"] == 3
    assert receipt["records"]["duplicate"] == 2


SOURCES = {
    "above AWSLogs": "here",
    "AWSLogs itself": "here/deep/er/AWSLogs",
    "AWSLogs with a slash": "here/deep/er/AWSLogs/",
    "with a slash": "here/deep/er/",
    "with dots": "here/./deep/../deep/er",
    "a link": "link",
    "a link to AWSLogs": "linked/AWSLogs",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_may_be_named_at_any_place_at_or_above_its_logs(
    tree: Path, dataset: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(tree, tmp_path / "here" / "deep" / "er")
    (tmp_path / "link").symlink_to("here/deep/er")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "AWSLogs").symlink_to("../here/deep/er/AWSLogs")

    convert(f"{tmp_path}/{SOURCES[name]}", tmp_path / "out")

    assert contents(tmp_path / "out") == contents(dataset)


def test_the_working_folder_may_be_awslogs_itself(
    tree: Path, dataset: Path, tmp_path: Path
) -> None:
    convert(".", tmp_path / "out", folder=tree / "AWSLogs")
    convert("..", tmp_path / "other", folder=tree / "AWSLogs" / ACCOUNT)

    assert contents(tmp_path / "out") == contents(tmp_path / "other") == contents(dataset)


DATASETS = {
    "out": "out",
    "out/": "out",
    "new/folder/out//": "new/folder/out",
    "with space/Ünïcode 漢/out": "with space/Ünïcode 漢/out",
    "100%/a#b?c/[out]*": "100%/a#b?c/[out]*",
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_may_have_any_path_and_its_state_lies_beside_it(
    tree: Path, dataset: Path, tmp_path: Path, name: str
) -> None:
    convert(tree, f"{tmp_path}/{name}")

    there = tmp_path / DATASETS[name]
    assert contents(there) == contents(dataset)
    assert {path.name for path in there.parent.iterdir()} == {there.name, f"{there.name}.state"}
    assert exported(f"{tmp_path}/{name}") == exported(dataset)


def test_places_may_be_named_from_the_working_folder(
    tree: Path, dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree, tmp_path / "logs")
    (tmp_path / "here").mkdir()

    convert("../logs", "out/", folder=tmp_path / "here")

    assert contents(tmp_path / "here" / "out") == contents(dataset)
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"out", "out.state"}


def test_a_source_may_have_spaces_and_letters_of_any_language(
    tree: Path, dataset: Path, tmp_path: Path
) -> None:
    odd = shutil.copytree(tree, tmp_path / "über uns" / "журнал 100%")

    convert(odd, tmp_path / "out")

    assert contents(tmp_path / "out") == contents(dataset)


def test_the_working_folder_may_be_the_dataset(tree: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    convert(tree, ".", folder=tmp_path / "out")

    assert contents(tmp_path / "out") == contents(dataset)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.state"}


def test_places_may_be_named_by_file_uris(tree: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "a b").symlink_to(tree)
    root = tmp_path.as_uri()

    convert(f"{root}/a%20b", f"{root}/out%20put/")

    assert contents(tmp_path / "out put") == contents(dataset)
    assert {path.name for path in tmp_path.iterdir()} == {"a b", "out put", "out put.state"}
    assert exported(f"{root}/out%20put") == exported(dataset)


def test_the_state_may_lie_elsewhere(tree: Path, dataset: Path, tmp_path: Path) -> None:
    convert(tree, tmp_path / "out", "--state", tmp_path / "notes" / "mine")

    assert contents(tmp_path / "out") == contents(dataset)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "notes"}
    assert {path.name for path in (tmp_path / "notes").iterdir()} == {"mine"}


def test_the_state_may_lie_on_another_file_system(
    tree: Path, dataset: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory = Path("/dev/shm")  # noqa: S108  another file system, if there is one
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    state = memory / tmp_path_factory.getbasetemp().name / tmp_path.name
    try:
        convert(tree, tmp_path / "out", "--state", state)
        assert contents(tmp_path / "out") == contents(dataset)
        assert LocalStore(state).folders("receipts/")
    finally:
        shutil.rmtree(state, ignore_errors=True)


FEW_OPEN_FILES = """
import resource, subprocess, sys
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
sys.exit(subprocess.call(sys.argv[1:]))
"""


def test_a_few_open_files_are_enough_for_stragglers_of_many_days(tmp_path: Path) -> None:
    old = [event(f"{days:03}", NOON - timedelta(days=days)) for days in range(100)]
    deliver(tmp_path / "logs", *old)
    convert = command("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1)

    done = subprocess.run(
        [sys.executable, "-c", FEW_OPEN_FILES, *convert],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert len(exported(tmp_path / "out")) == 100


SMALL_FILES_ONLY = """
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
sys.exit(subprocess.call(sys.argv[1:]))
"""


def test_a_part_for_which_the_disk_has_no_room_stops_no_other_unit(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", *(event(f"{os.urandom(32).hex()}") for _ in range(2000)))
    deliver(tmp_path / "logs", event("small"), account=OTHER_ACCOUNT)
    convert = command("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1)

    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES_ONLY, *convert],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(rf"error: {tmp_path}/out.state/staging/.*{ACCOUNT}.*: cannot be written", line)
    assert exported(tmp_path / "out") == ["small"]


def test_results_go_to_a_file_though_a_terminal_shows_how_far_it_is(
    tree: Path, tmp_path: Path
) -> None:
    terminal, end = os.openpty()
    with (tmp_path / "out.json").open("wb") as out, os.fdopen(terminal, "rb", 0) as shown:
        arguments = ("convert", tree, tmp_path / "lake", "--json", "--workers", 1)
        process = subprocess.Popen(command(*arguments), stdout=out, stderr=end)
        os.close(end)
        text = b"".join(iter(partial(_read, shown), b"")).decode()
        assert process.wait() == 0

    lines = (tmp_path / "out.json").read_text().splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"complete"}
    assert "converting" in text
    assert "settled" not in text


def _read(terminal: FileIO) -> bytes:
    """What a terminal shows next; nothing once nobody writes to it."""
    try:
        return terminal.read(4096)
    except OSError:  # as Linux says it
        return b""


def test_an_export_of_one_known_and_one_unknown_account_is_refused(
    tree: Path, tmp_path: Path
) -> None:
    convert(tree, tmp_path / "out")

    done = run("export", tmp_path / "out", "--account", ACCOUNT, "--account", "999999999999")

    assert done.returncode == 2
    assert done.stdout == ""
    assert "no logs for account 999999999999" in done.stderr
    assert ACCOUNT in done.stderr
