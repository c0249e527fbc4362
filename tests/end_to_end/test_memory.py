"""Peak memory is set by configuration, not by the size of the day."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow.parquet as pq
import pytest
from isal import igzip

from cloudtrail_parquet.settings.settings import Settings
from tests.builders import ACCOUNT, REGION, as_text, envelope, log_key, record
from tests.end_to_end.program import command, succeed

pytestmark = pytest.mark.slow

SHAPE = "--accounts 1 --regions 1 --days 1 --records 50000 --json"
RECORDS, COPIES = 1_000_000, 17
HUGE_FILES, HUGE_RECORDS = 5, 30_000  # about 40 MB of JSON each; CloudTrail writes up to 50 MB
MAX_RSS_BYTES = 600 * 10**6

MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""  # a process of its own: a child starts with the peak of whoever forked it

_DRAWN = re.compile(rb'("(?:eventID|requestID)":")[0-9a-f]{8}-|("eventTime":"[^"]{17})(\d\d)Z')
_HEAD, _TAIL = b'{"Records":[', b"]}"


class Envelope(msgspec.Struct):
    Records: list[msgspec.Raw]


def redrawn(text: bytes) -> Callable[[int], bytes]:
    """Makes copies of a log file with other ids and other seconds."""
    kept, seconds, end = list[bytes](), list[int](), 0
    for match in _DRAWN.finditer(text):
        kept.append(text[end : match.end(1 if match[1] else 2)])
        seconds.append(-1 if match[1] else int(match[3]))
        end = match.end()
    kept.append(text[end:])

    def copied(copy: int) -> bytes:
        drawn = [b"%02dZ" % ((second + 2 * copy) % 60) for second in range(60)]
        drawn.append(b"%08x-" % (copy * 0x01234567 % (1 << 32)))  # at -1
        pieces = [b""] * (2 * len(kept) - 1)
        pieces[::2] = kept
        pieces[1::2] = [drawn[second] for second in seconds]
        return b"".join(pieces)

    return copied


def enlarge(tree: Path) -> None:
    """Add copies of all log files of a tree, in the folders of the first of them."""
    originals = sorted(tree.glob("AWSLogs/**/CloudTrail/**/*.json.gz"))
    texts = [gzip.decompress(path.read_bytes()) for path in originals]
    for path, text in zip(originals, texts, strict=True):
        copied = redrawn(text)
        for copy in range(1, COPIES):
            _write(path, copy, copied(copy))
    records = [
        bytes(one) for text in texts for one in msgspec.json.decode(text, type=Envelope).Records
    ]
    huge = redrawn(_HEAD + b",".join(records[:HUGE_RECORDS]) + _TAIL)
    for copy in range(COPIES, COPIES + HUGE_FILES):
        _write(originals[len(originals) // 2], copy, huge(copy))


def _write(original: Path, copy: int, text: bytes) -> None:
    name = original.name.removesuffix(".json.gz")
    path = original.with_name(f"{name[:-4]}{copy:04d}.json.gz")
    path.write_bytes(igzip.compress(text, compresslevel=1, mtime=0))


class Measured(NamedTuple):
    status: int
    stderr: str
    receipt: dict[str, Any]
    dataset: Path

    @property
    def peak_bytes(self) -> int:
        peak = int(self.stderr.rpartition("peak ")[2])
        return peak if sys.platform == "darwin" else peak * 1024


def measure(tree: Path, dataset: Path) -> Measured:
    """Convert one day of a tree in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", MEASURE),
            *command("convert", tree, dataset, "--day", "2026-01-10", "--workers", 1, "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    (receipt,) = map(json.loads, done.stdout.splitlines())
    return Measured(done.returncode, done.stderr, receipt, dataset)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("memory")
    tree, dataset = folder / "logs", folder / "dataset"
    succeed("generate", tree, *SHAPE.split(), folder=folder)
    enlarge(tree)
    return measure(tree, dataset)


def test_a_unit_of_a_million_records_needs_less_than_600_mb(measured: Measured) -> None:
    assert measured.status == 0, measured.stderr
    assert measured.receipt["records"]["written"] == RECORDS
    assert measured.peak_bytes < MAX_RSS_BYTES


def test_its_row_groups_are_as_large_as_the_settings_say(measured: Measured) -> None:
    (part,) = measured.dataset.rglob("*.parquet")
    metadata = pq.read_metadata(part)

    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]

    full = Settings().row_group_rows
    assert sum(rows) == RECORDS
    assert set(rows[:-1]) == {full}
    assert rows[-1] <= full


def test_of_many_files_that_become_large_one_is_in_memory(tmp_path: Path) -> None:
    space = b" " * (128 << 20)
    noon = datetime(2026, 1, 10, 12, tzinfo=UTC)
    for number in range(4):
        path = tmp_path / "logs" / log_key(ACCOUNT, REGION, noon, unique=f"{number:016d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        one = record(eventID=f"id-{number}", eventTime="2026-01-10T11:58:00Z")
        text = envelope([one]).replace(b"[", b"[" + space, 1)
        path.write_bytes(gzip.compress(text, compresslevel=1, mtime=0))

    measured = measure(tmp_path / "logs", tmp_path / "out")

    assert measured.receipt["records"]["written"] == 4
    assert measured.peak_bytes < 128 * 2**20 + 220 * 10**6


def test_a_log_file_of_300_mb_of_json_is_never_held_whole(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 10, 12, tzinfo=UTC)
    path = tmp_path / "logs" / log_key(ACCOUNT, REGION, noon)
    path.parent.mkdir(parents=True)
    one = as_text(record(eventID="00000000")).encode()
    count = 300 * 10**6 // len(one)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(_HEAD + one)
        for number in range(1, count):
            file.write(b"," + one.replace(b"00000000", b"%08d" % number))
        file.write(_TAIL)

    measured = measure(tmp_path / "logs", tmp_path / "out")

    assert measured.receipt["records"]["written"] == count
    assert measured.peak_bytes < 400 * 2**20
