"""The command ``export``: to standard output, to a file, as a tree of log files."""

import gzip
import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrail_parquet.dataset.export import ExportedParts, PartTexts
from cloudtrail_parquet.wording import size_of
from tests.end_to_end.program import command, run, run_apart, succeed
from tests.end_to_end.trees import NOON, contents, deliver, event
from tests.layouts import convert_in

RECORDS = 40


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    events = [
        event(f"{number:06}", requestParameters={"n": "é" * 300}) for number in range(RECORDS)
    ]
    deliver(folder / "logs", *events)
    deliver(folder / "logs", event("other"), account="999999999999")
    return convert_in("account/dt", folder / "logs", folder / "dataset")


@pytest.fixture(scope="module")
def lines(dataset: Path) -> str:
    return succeed("export", dataset)


def test_json_is_what_is_printed_anyway(dataset: Path, lines: str) -> None:
    assert len(lines.splitlines()) == RECORDS + 1
    assert succeed("export", dataset, "--json") == lines
    assert succeed("export", dataset, "-o", "-") == lines


def test_a_document_is_read_as_a_log_file(dataset: Path, lines: str) -> None:
    document = json.loads(succeed("export", dataset, "--as", "records"))

    assert document == {"Records": [json.loads(line) for line in lines.splitlines()]}


def test_a_file_holds_what_is_printed_and_one_in_gz_is_compressed(
    dataset: Path, lines: str, tmp_path: Path
) -> None:
    plain, packed, again = (tmp_path / name for name in ("a.jsonl", "a.jsonl.gz", "b.gz"))

    done = run("export", dataset, "-o", plain)
    for path in (packed, again):
        succeed("export", dataset, "--output", path)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{plain}: {RECORDS + 1} records, {size_of(len(lines.encode()))}\n"
    assert plain.read_text() == lines
    assert gzip.decompress(packed.read_bytes()).decode() == lines
    assert packed.read_bytes() == again.read_bytes()
    assert len(list(tmp_path.iterdir())) == 3


def test_json_with_a_file_says_what_has_been_written(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    told = json.loads(succeed("export", dataset, "-o", path, "--json"))

    assert told == {
        "output": str(path),
        "records": RECORDS + 1,
        "files": 1,
        "bytes": path.stat().st_size,
    }


def test_a_file_that_is_there_is_replaced_only_if_that_is_forced(
    dataset: Path, lines: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("evidence")

    refused = run("export", dataset, "-o", path)

    hint = "Name another, or replace it with --force"
    assert (refused.returncode, refused.stderr) == (2, f"error: {path}: the file exists. {hint}\n")
    assert path.read_text() == "evidence"
    succeed("export", dataset, "-o", path, "--force")
    assert path.read_text() == lines


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "{dataset}/a.jsonl"], "{dataset}/a.jsonl: it lies in the dataset"),
        (["-o", "{dataset}.state/a"], "{dataset}.state/a: it lies in the state of the dataset"),
        (["-o", "{here}"], "{here}: it is a folder. Name a file in it"),
        (["-o", "{here}/no/a"], "{here}/no/a: there is no folder {here}/no"),
        (["-o", " "], "--output: the location is empty"),
        (["-o", "s3://bucket/a"], "Use a pipe: -o - | aws s3 cp - s3://bucket/a; or --as aws"),
        (["-o", "https://b/a"], "https://b/a: a file is written to a disk"),
        (["-o", "/dev/full"], "/dev/full: it cannot be written (No space left on device)"),
        (["--as", "aws"], "--as aws: a tree of log files needs a location"),
        (["--as", "aws", "-o", "-"], "--as aws: a tree of log files needs a location"),
        (["--as", "aws", "-o", "{here}"], "{here}: it is not empty"),
        (["--as", "aws", "-o", "{dataset}/x"], "{dataset}/x: it lies in the dataset"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(
    options: list[str], said: str, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    names = {"dataset": dataset, "here": tmp_path}

    done = run("export", dataset, *(option.format(**names) for option in options))

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said.format(**names) in done.stderr
    assert done.stderr.count("\n") == 1
    assert contents(tmp_path) == {"mine": b"mine"}


def test_a_disk_that_is_full_leaves_no_half_file(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    done = subprocess.run(
        command("export", dataset, "-o", path),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)),
    )

    said = f"error: {path}: it cannot be written (File too large). Make room"
    assert (done.returncode, done.stderr[: len(said)]) == (2, said)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_standard_output_on_a_full_disk_is_one_line(dataset: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("export", dataset), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.stderr.startswith("error: standard output: it cannot be written (No space left")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_an_interrupt_leaves_no_half_file(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ExportedParts.lines

    def interrupted(parts: ExportedParts, threads: int) -> Iterator[PartTexts]:
        yield next(lines(parts, threads))
        raise KeyboardInterrupt

    monkeypatch.setattr(ExportedParts, "lines", interrupted)
    path = tmp_path / "a.jsonl.gz"
    done = run("export", dataset, "-o", path)

    assert (done.returncode, done.stderr) == (130, f"interrupted: {path} was not written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_read_by_those_who_read_others(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    succeed("export", dataset, "-o", tmp_path / "a")

    assert (tmp_path / "a").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_pipe_is_written_to(dataset: Path, lines: str) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" -o >(cat)', "bash", *command("export", dataset)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == lines


def test_a_tree_of_log_files_becomes_the_same_dataset(
    dataset: Path, lines: str, tmp_path: Path
) -> None:
    tree, again = tmp_path / "tree", tmp_path / "again"

    done = run("export", dataset, "--as", "aws", "-o", tree)

    size = sum(map(len, contents(tree).values()))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{tree}: {RECORDS + 1} records in 2 log files, {size_of(size)}\n"
    assert all(name.startswith("AWSLogs/") for name in contents(tree))
    succeed("convert", tree, again, "--workers", 1, "--partition-layout", "account/dt")
    assert succeed("export", again) == lines
    told = succeed("export", dataset, "--as", "aws", "-o", tmp_path / "other", "--json")
    assert json.loads(told)["files"] == 2
    assert contents(tmp_path / "other") == contents(tree)


def test_log_files_in_further_folders_come_with_the_option_that_reads_them(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a", eventCategory="Insight"), folder="CloudTrail-Insight")
    deliver(tmp_path / "logs", event("b"))
    option = ("--folder", "CloudTrail-Insight")
    succeed("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1, *option)

    done = run("export", tmp_path / "out", "--as", "aws", "-o", tmp_path / "tree")

    assert "CloudTrail-Insight as well: convert reads them with --folder CloudTrail-Insight" in (
        done.stderr
    )
    succeed("convert", tmp_path / "tree", tmp_path / "again", "--workers", 1, *option)
    assert succeed("export", tmp_path / "again") == succeed("export", tmp_path / "out")


def test_the_help_says_that_null_members_are_left_out() -> None:
    said = " ".join(run_apart("export", "--help", env={"COLUMNS": "200"}).stdout.split())

    assert "Members that are null are left out" in said


def test_the_selection_decides_what_is_written(dataset: Path, tmp_path: Path) -> None:
    succeed("export", dataset, "--as", "aws", "-o", tmp_path / "tree", "--account", "9" * 12)

    (name,) = contents(tmp_path / "tree")
    assert name.startswith(f"AWSLogs/999999999999/CloudTrail/eu-central-1/{NOON:%Y/%m/%d}/")
