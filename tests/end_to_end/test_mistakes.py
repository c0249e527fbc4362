"""Mistakes: each is one line that says what to do, and leaves nothing behind."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloudtrail_parquet.cli import converting, exporting
from tests.builders import ACCOUNT
from tests.end_to_end.mistakes import (
    ALL,
    Mistake,
    at_home,
    no_credentials,
    page_of,
    row,
    standing,
)
from tests.end_to_end.program import Done, command, run, run_apart
from tests.end_to_end.trees import deliver, event

PAGE = Path(__file__).parents[2] / "docs/troubleshooting.md"
_AGAIN = "run python -m tests.end_to_end.mistakes > docs/troubleshooting.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with logs and a dataset; the tests leave it as it is."""
    folder = tmp_path_factory.mktemp("home").resolve()
    at_home(folder)
    return folder


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: f"{mistake.what}-{mistake.typed}"[:60])
def test_a_mistake_is_told_in_a_line_as_the_page_has_it_and_leaves_nothing(
    home: Path, tmp_path: Path, mistake: Mistake
) -> None:
    cells = row(mistake, home, tmp_path.resolve() / "here")

    assert f"| {' | '.join(cells)} |" in PAGE.read_text(), _AGAIN


def test_the_page_has_these_mistakes_and_no_others() -> None:
    lines = re.findall(r"\| [^|]+ \| `[^|]+` \| `error.+\| \d \|", PAGE.read_text())
    rows = [line[2:-2].split(" | ") for line in lines]

    assert len(rows) == len(ALL) > 40
    assert PAGE.read_text() == page_of(dict(zip(ALL, rows, strict=True))), _AGAIN


# What the table cannot show: streams, and runs that find nothing.


def shell(line: str, folder: Path, **environment: str) -> Done:
    """Run a line of a shell, in which CLI is the program."""
    done = subprocess.run(
        ["bash", "-c", line.replace("CLI", " ".join(command()))],
        capture_output=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={**os.environ, **environment},
    )
    return Done(done.returncode, *(text.decode() for text in (done.stdout, done.stderr)))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("CLI schema >&-", "stdout: is closed"),
        ("CLI export cloudtrail > /dev/full", "cannot be written (No space left"),
        ("CLI --help > /dev/full", "cannot be written (No space left"),
        ("CLI backfill logs new --local <&-", "there is no terminal"),
    ],
)
def test_results_that_cannot_be_written_are_a_line(home: Path, line: str, told: str) -> None:
    done = shell(line, home)

    assert done.returncode == 2
    assert told in only_error(done)


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_without_stderr_the_status_tells(home: Path, stream: str) -> None:
    assert shell(f"CLI convert nowhere new {stream}", home).returncode == 2
    assert shell(f"CLI inspect cloudtrail {stream}", home).returncode == 0


def test_what_a_terminal_cannot_show_is_escaped(home: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}

    done = shell("CLI inspect cloudtrail; CLI inspect nöwhere", home, **ascii_only)

    assert done.stdout.isascii()
    assert "+---" in done.stdout
    assert "there is no folder n\\xf6where" in only_error(done)


def test_a_dataset_whose_name_is_not_text_is_converted_and_shown(
    home: Path, tmp_path: Path
) -> None:
    dataset = os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9")

    done = run("convert", home / "logs", dataset, "--workers", 1)
    shown = run_apart("inspect", dataset)

    assert (done.returncode, shown.returncode) == (0, 0)
    assert "d\\xe9" in shown.stdout


def test_a_run_without_a_home_and_a_folder_for_temporary_files_does_well(
    home: Path, tmp_path: Path
) -> None:
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        command("convert", home / "logs", tmp_path / "new", "--workers", 1),
        capture_output=True,
        check=False,
        timeout=60,
        env={**bare, "TMPDIR": "/nowhere", "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("which", ["all", "outdated"])
@pytest.mark.parametrize("there", [["new.state"], []])
def test_a_run_that_finds_nothing_leaves_nothing(
    tmp_path: Path, which: str, there: list[str]
) -> None:
    day = f"logs/AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/10"
    for name in (day, *there):
        (tmp_path / name).mkdir(parents=True)
    before = standing(tmp_path)

    done = run("convert", tmp_path / "logs", tmp_path / "new", "--only", which, "--workers", 1)

    assert done.returncode == 2
    assert "no log files for what was selected" in only_error(done)
    assert standing(tmp_path) == before


def test_locks_leave_no_folders(home: Path) -> None:
    assert not (home / "cloudtrail.state/leases").exists()
    assert not list(home.glob("*.staging"))


def test_a_dataset_beside_other_files_is_read(home: Path, tmp_path: Path) -> None:
    for name in ("README.md", ".DS_Store", "other.parquet"):
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / name).write_text("not a part")

    done = run("convert", home / "logs", tmp_path / "new", "--workers", 1)
    exported = run("export", tmp_path / "new")

    assert (done.returncode, exported.returncode) == (0, 0)
    assert len(exported.stdout.splitlines()) == 2


def test_sources_that_nothing_has_been_delivered_to_are_no_mistake(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a"))

    done = run(
        "convert", f"{tmp_path}/logs file://{tmp_path}/new", tmp_path / "out", "--workers", 1
    )

    assert done.returncode == 0, done.stderr


def only_error(done: Done) -> str:
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    return line


# Anything at all.

MANY = 30
"""Examples of each: a command takes tens of milliseconds."""

_WORDS = (
    *("convert", "plan", "export", "inspect", "schema", "backfill", "start", "status", "cancel"),
    *("query", "--key", "--list", "--print", "--max-bytes", "SELECT 1", "calls_of_an_access_key"),
    *("logs", "cloudtrail", "cloudtrail.state", "new", "new/x", ".", "", "-", "--", "nowhere"),
    *(
        "s.toml",
        "s3://",
        "s3:/b",
        "arn:aws:s3:::b",
        "https://x/y",
        "~",
        "~x/y",
        "file:",
        "file://h",
    ),
    *("--settings", "--day", "--from", "--to", "--account", "--region", "--state", "--only"),
    *("--folder", "--json", "--dry-run", "--help", "--workers", "--format", "--yes", "--id"),
    *("--row-group-rows", "--sort-by", "--discard", "--partition-layout", "--page-checksums"),
    *("2026-01-10", "2026-13-01", "0", "-1", "1", "1e9", "99999999999999999999", "all", "duckdb"),
    *(ACCOUNT, "eu-central-1", "eu-central-1a", "a,b", "{", "[]", "[{}]", "null", "\0", "\udce9"),
)
_TEXT = st.text(st.characters(blacklist_characters="/\\."), max_size=6)
_TOML = (
    *("compression", "sort_by", "discard", "redact", "page_rows", "bloom_fpp", "column_encoding"),
    *(" = ", "=", "\n", "[", "]", "[[", "]]", "{", "}", '"', "'", ",", ".", "zstd", "eventName"),
    *("1", "-1", "nan", "true", "2026-01-10", "name", "keys", "\ufeff", "#", "\\u0000", '"""'),
)


@contextmanager
def copy_of(home: Path) -> Iterator[Path]:
    """A folder with links to what is at home; nobody is signed in to AWS, one process does all."""
    with tempfile.TemporaryDirectory() as name:
        for there in home.iterdir():
            (Path(name) / there.name).symlink_to(there)
        one = [patch.object(module, "cores", lambda: 1) for module in (exporting, converting)]
        with chdir(name), no_credentials(), one[0], one[1]:
            yield Path(name)


def check(done: Done, arguments: Sequence[str]) -> None:
    """Whatever was typed: a status that is documented, and a line if it says that it was wrong."""
    assert done.returncode in {0, 1, 2, 3}, arguments
    assert "Traceback" not in done.stderr, arguments
    if done.returncode == 2 and "Usage:" not in done.stdout + done.stderr:
        only_error(done)


@settings(max_examples=MANY)
@given(st.lists(st.sampled_from(_WORDS) | _TEXT, max_size=7))
@example(["inspect", "file:"])
@example(["convert", "logs", "new", "--state", "\0"])
@example(["schema", "--discard", "[[[[" * 500])
def test_anything_may_be_typed(home: Path, arguments: list[str]) -> None:
    with copy_of(home):
        check(run(*arguments), arguments)


@settings(max_examples=MANY)
@given(st.binary(max_size=40) | st.lists(st.sampled_from(_TOML), max_size=12).map("".join))
@example(b"\xff\xfea\x00")
@example("a = " + "[" * 9000)
@example("a = " + "9" * 5000)
def test_a_settings_file_may_hold_anything(home: Path, content: bytes | str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    with copy_of(home) as folder:
        (folder / "s.toml").write_bytes(data)
        check(run("schema", "--settings", "s.toml"), [repr(data)])


@settings(max_examples=MANY)
@given(st.binary(max_size=200), st.sampled_from(["PAR1", ""]))
def test_a_part_may_hold_anything(home: Path, content: bytes, mark: str) -> None:
    key = f"new/account={ACCOUNT}/region=eu-central-1/year=2026/month=01/day=10/part-00000.parquet"
    with copy_of(home) as folder:
        (folder / key).parent.mkdir(parents=True)
        (folder / key).write_bytes(mark.encode() + content + mark.encode())
        for arguments in (["inspect", "new"], ["export", "new"], ["inspect", key]):
            check(run(*arguments), arguments)


@settings(max_examples=MANY)
@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"status":"ok"}']))
def test_the_state_may_hold_anything(home: Path, content: bytes) -> None:
    with copy_of(home) as folder:
        for key in ("dataset.json", f"receipts/account={ACCOUNT}/region=eu-central-1/x.json"):
            path = folder / "new.state" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for arguments in (["plan", "logs", "new"], ["backfill", "status", "new"]):
            check(run(*arguments), arguments)
