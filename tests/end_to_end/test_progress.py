"""Progress as it is seen: on a terminal, on one that cannot draw, and where there is none."""

import errno
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import Done, command, run_apart

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("progress") / "logs"
    generate_tree(logs, TreeSpec(records=300, days=2))
    return logs


def on_terminal(*arguments: object, shared: bool = False, **environment: str) -> Done:
    """Run a command whose stderr is a terminal; with ``shared`` stdout is that terminal, too."""
    controller, terminal = pty.openpty()
    with TemporaryFile() as results:
        process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=terminal if shared else results,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
        )
        os.close(terminal)
        seen = b"".join(iter(lambda: _read(controller), b""))
        os.close(controller)
        status = process.wait()
        results.seek(0)
        return Done(status, results.read().decode(), seen.decode())


def _read(controller: int) -> bytes:
    """What a terminal shows next; nothing when everybody has closed it, which Linux calls EIO."""
    try:
        return os.read(controller, 1 << 16)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise


def last_of(seen: str, verb: str) -> str:
    """The last line that tells how far it is, without colours."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", seen))]
    return [line for line in lines if line.startswith(verb)][-1]


def test_a_terminal_shows_bytes_and_units_and_stdout_has_only_results(
    logs: Path, tmp_path: Path
) -> None:
    done = on_terminal("convert", logs, tmp_path / "lake", "--workers", 2)

    assert done.returncode == 0
    assert re.fullmatch(
        r"converting ━{40} (\d+) kB of \1 kB, .*12 of 12 units.*",
        last_of(done.stderr, "converting"),
    )
    assert re.fullmatch(r"planning ━{40} \d+ kB, 4 of 4 places.*", last_of(done.stderr, "planning"))
    assert "\x1b" not in done.stdout
    assert "converting" not in done.stdout
    assert done.stderr.count("\x1b[?25l") == done.stderr.count("\x1b[?25h")  # the cursor is back


def test_json_on_a_terminal_is_not_disturbed(logs: Path, tmp_path: Path) -> None:
    done = on_terminal("convert", logs, tmp_path / "lake", "--json", shared=True)

    lines = ESCAPE.sub("", done.stderr).splitlines()
    receipts = [json.loads(line) for line in lines if line.startswith("{")]
    assert (done.returncode, len(receipts)) == (0, 12)


@pytest.mark.parametrize(
    ("arguments", "term"), [(["convert", "--no-progress"], "xterm"), (["plan"], "dumb")]
)
def test_nothing_is_drawn_if_it_is_not_wanted_or_cannot_be(
    logs: Path, tmp_path: Path, arguments: list[str], term: str
) -> None:
    name, *options = arguments
    done = on_terminal(name, logs, tmp_path / "lake", *options, TERM=term)

    assert done.returncode == 0
    assert not re.search(r"converting|planning|\x1b", done.stderr)


def test_without_colour_what_is_done_can_be_told_from_the_rest(tmp_path: Path) -> None:
    done = on_terminal("generate", tmp_path / "logs", "--records", 20_000, NO_COLOR="1")

    assert "\x1b[9" not in done.stderr
    assert re.search(r"generating ━+─+ [\d.]+ [kM]B, [\d,]+ of 20,000 records", done.stderr)


def test_a_short_run_is_silent_where_there_is_no_terminal(logs: Path, tmp_path: Path) -> None:
    lake, colours = tmp_path / "lake", {"FORCE_COLOR": "1"}  # rich takes that for a terminal
    done = run_apart("convert", logs, lake, "--workers", 1, env=colours)

    assert done.returncode == 0
    assert "converting" not in done.stderr
    assert "?25" not in done.stderr


def test_files_that_are_sorted_out_by_their_content_are_told(tmp_path: Path) -> None:
    got = tmp_path / "got"
    got.mkdir()
    record = {"eventVersion": "1.11", "eventTime": "2026-01-10T12:00:00Z", "eventName": "A"}
    place = {"awsRegion": "eu-central-1", "recipientAccountId": "012345678901"}
    for number in range(3):
        text = json.dumps({**record, **place, "eventID": str(number)})
        (got / f"{number}.json").write_text(text)

    done = on_terminal("convert", got, tmp_path / "lake", "--workers", 1)

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"opening \d+ bytes, .*3 files", last_of(done.stderr, "opening"))
