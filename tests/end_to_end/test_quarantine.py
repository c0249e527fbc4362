"""One bad log file of each kind among good ones: named with a reason, and the rest is converted."""

import base64
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from tests.builders import ACCOUNT, REGION, envelope, log_file, log_key, record
from tests.end_to_end.program import command, run

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
BOMB_BYTES = 1_100 << 20  # above the default limit of 1 GiB
BOMB_PIECE = bytes([0x20]) * (1 << 20)
MAX_RSS_BYTES = 600 * 10**6
_IDS = count()

MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""  # a process of its own: a child starts with the peak of whoever forked it


def event(**changes: object) -> dict[str, Any]:
    return record(**{"eventID": f"id-{next(_IDS)}", "eventTime": "2026-01-10T11:58:00Z"} | changes)


def deliver(tree: Path, name: str, data: bytes, delivered: datetime = NOON) -> str:
    """Put a log file into the tree; returns its key."""
    key = log_key(ACCOUNT, REGION, delivered, unique=name)
    (tree / key).parent.mkdir(parents=True, exist_ok=True)
    (tree / key).write_bytes(data)
    return key


def bomb() -> Iterator[bytes]:
    """A gzip stream of a log file with very much white space before its only record."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head, tail = b'{"Records":[', envelope([event()]).removeprefix(b'{"Records":[')
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    yield deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    piece = deflate.compress(BOMB_PIECE) + deflate.flush(zlib.Z_FULL_FLUSH)
    crc, pieces = zlib.crc32(head), BOMB_BYTES // len(BOMB_PIECE)
    for _ in range(pieces):  # after a full flush, the same bytes mean the same again
        crc = zlib.crc32(BOMB_PIECE, crc)
        yield piece
    yield deflate.compress(tail) + deflate.flush()
    size = len(head) + pieces * len(BOMB_PIECE) + len(tail)
    yield struct.pack("<LL", zlib.crc32(tail, crc), size & 0xFFFFFFFF)


class Bad(NamedTuple):
    """What is wrong with a log file, and the reason that a receipt should give."""

    data: bytes
    reason: str


WHOLE = log_file(event(), event())
BAD_FILES = {
    "cut": Bad(WHOLE[:-20], r"cut short"),
    "cutInTrailer": Bad(WHOLE[:-3], r"cut short"),
    "headerOnly": Bad(WHOLE[:10], r"cut short"),
    "flipped": Bad(WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], r"damaged"),
    "afterBrace": Bad(gzip.compress(envelope([event()]) + b',{"eventVersion"'), r"no JSON at byte"),
    "twoDocuments": Bad(gzip.compress(envelope([event()]) * 2 + b"}"), r"no JSON at byte"),
    "afterGzip": Bad(WHOLE + b"<html>", r"bytes follow|after the gzip"),
    "notJson": Bad(gzip.compress(b"<Error><Code>AccessDenied</Code></Error>"), r"an error of S3"),
    "halfJson": Bad(gzip.compress(envelope([event()])[:200]), r"damaged or cut short"),
    "noRecords": Bad(gzip.compress(b'{"Entries":[{}]}'), r"a JSON object with Entries"),
    "recordsNull": Bad(gzip.compress(b'{"Records":null}'), r"Records is not a JSON array"),
    "recordsTwice": Bad(gzip.compress(b'{"Records":[],"Records":[]}'), r"2 Records"),
    "bareList": Bad(gzip.compress(b"[{}]"), r"no record is in it"),
    "empty": Bad(gzip.compress(b""), r"empty"),
}
BAD_RECORDS = {
    "noTime": (event(eventTime=...), "no eventTime"),
    "nullTime": (event(eventTime=None), "no eventTime"),
    "badTime": (event(eventTime="yesterday"), "eventTime is not a time"),
    "text": ("not a record", "not a JSON object"),
    "number": (20260110, "not a JSON object"),
    "null": (None, "not a JSON object"),
    "list": ([event()], "not a JSON object"),
    "nan": (event(responseElements={"a": float("nan")}), r"invalid JSON at byte \d+"),
    "infinity": (event(responseElements=[float("-inf")]), r"invalid JSON at byte \d+"),
}
NO_UTF8 = b'{"eventTime":"2026-01-10T11:00:00Z","eventID":"latin","userAgent":"\xe9"}'


class Converted(NamedTuple):
    """Log files by the name of what is wrong with them, and what their conversion said."""

    tree: Path
    dataset: Path
    keys: dict[str, str]
    status: int
    stderr: str
    receipt: dict[str, Any]

    def quarantined(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.receipt["quarantined"] if one["key"] == self.keys[name]]

    def ids(self) -> set[str]:
        tables = (
            pq.read_table(path, partitioning=None)
            for path in self.dataset.rglob("*")
            if path.is_file()
        )
        return {one for table in tables for one in table["eventID"].to_pylist()}


def convert(tree: Path, dataset: Path, keys: dict[str, str]) -> Converted:
    done = run("convert", tree, dataset, "--json", "--workers", 1)
    receipts = {one["day"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert "2026-01-10" in receipts, done.stderr
    return Converted(tree, dataset, keys, done.returncode, done.stderr, receipts["2026-01-10"])


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    folder = tmp_path_factory.mktemp("quarantine")
    tree = folder / "logs"
    keys = {name: deliver(tree, name, bad.data) for name, bad in BAD_FILES.items()}
    for name, (bad, _) in BAD_RECORDS.items():
        among_good = [event(eventID=f"before {name}"), bad, event(eventID=f"after {name}")]
        keys[name] = deliver(
            tree, name, gzip.compress(json.dumps({"Records": among_good}).encode())
        )
    keys["latin"] = deliver(tree, "latin", gzip.compress(b'{"Records":[%s]}' % NO_UTF8))
    keys["good"] = deliver(tree, "good", log_file(event(eventID="good")))
    return convert(tree, folder / "dataset", keys)


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_log_file_stands_in_the_receipt_with_its_reason(
    converted: Converted, name: str
) -> None:
    (bad,) = converted.quarantined(name)

    assert re.search(BAD_FILES[name].reason, bad["reason"])
    assert "record" not in bad
    assert not bad.get("retryable")


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_stands_in_the_receipt_with_its_place_and_reason(
    converted: Converted, name: str
) -> None:
    (bad,) = converted.quarantined(name)

    assert bad["record"] == 1
    assert re.fullmatch(BAD_RECORDS[name][1], bad["reason"])


def test_all_that_can_be_read_is_converted(converted: Converted) -> None:
    beside = {f"{place} {name}" for name in BAD_RECORDS for place in ("before", "after")}

    assert converted.ids() == {"good", "latin"} | beside


def test_a_record_that_is_no_utf8_keeps_its_row_and_its_bytes(converted: Converted) -> None:
    (part,) = converted.dataset.rglob("*.parquet")
    (row,) = pq.read_table(part, filters=[("eventID", "=", "latin")], partitioning=None).to_pylist()

    assert row["userAgent"] == "\ufffd"
    assert base64.b64decode(json.loads(row["unmapped"])["invalidUtf8"]) == NO_UTF8
    assert not converted.quarantined("latin")


def test_the_receipt_is_partial_and_adds_up(converted: Converted) -> None:
    receipt = converted.receipt

    assert receipt["status"] == "partial"
    assert receipt["files"] == {
        "listed": len(converted.keys),
        "read": len(converted.keys) - len(BAD_FILES),
        "quarantined": len(BAD_FILES),
    }
    assert receipt["records"]["quarantined"] == len(BAD_RECORDS)
    assert receipt["records"]["written"] == len(converted.ids())


def test_the_exit_code_is_3_and_stderr_names_each_bad_file_once(converted: Converted) -> None:
    lines = [line for line in converted.stderr.splitlines() if line.startswith("quarantined:")]

    assert converted.status == 3
    for name in BAD_FILES.keys() | BAD_RECORDS.keys():
        assert sum(converted.keys[name] in line for line in lines) == 1
    assert len(lines) == len(BAD_FILES) + len(BAD_RECORDS)


def test_files_that_were_mended_are_all_converted_by_the_next_run(
    converted: Converted, tmp_path: Path
) -> None:
    tree = shutil.copytree(converted.tree, tmp_path / "logs")
    dataset = shutil.copytree(converted.dataset, tmp_path / "dataset")
    shutil.copytree(f"{converted.dataset}.state", tmp_path / "dataset.state")
    for name in BAD_FILES:
        (tree / converted.keys[name]).write_bytes(log_file(event(eventID=f"mended {name}")))
    for name in BAD_RECORDS:
        (tree / converted.keys[name]).write_bytes(
            log_file(
                event(eventID=f"before {name}"),
                event(eventID=f"mended {name}"),
                event(eventID=f"after {name}"),
            )
        )

    again = convert(tree, dataset, converted.keys)

    mended = {f"mended {name}" for name in (*BAD_FILES, *BAD_RECORDS)}
    assert again.status == 0, again.stderr
    assert again.receipt["status"] == "complete"
    assert again.ids() == converted.ids() | mended


def test_a_gzip_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    deliver(tree, "good", log_file(event(eventID="good")))
    key = deliver(tree, "bomb", b"".join(bomb()))
    assert (tree / key).stat().st_size < 4 << 20
    convert = command("convert", tree, dataset, "--workers", 1, "--json")

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *convert],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    (bad,) = [one for line in done.stdout.splitlines() for one in json.loads(line)["quarantined"]]
    assert done.returncode == 3
    assert (bad["key"], bad["reason"]) == (
        key,
        (
            "it inflates to more than max_inflated_bytes = 1073741824. "
            "Raise the limit if the file is genuine"
        ),
    )
    peak = int(done.stderr.rpartition("peak ")[2]) * (1 if sys.platform == "darwin" else 1024)
    assert peak < MAX_RSS_BYTES


def test_a_bad_file_near_midnight_is_told_in_both_days_and_counted_once(tmp_path: Path) -> None:
    midnight = NOON + timedelta(hours=12, minutes=5)
    key = deliver(tmp_path / "logs", "cut", WHOLE[:-20], midnight)
    deliver(tmp_path / "logs", "good", log_file(event(eventID="good")))

    as_json = run("convert", tmp_path / "logs", tmp_path / "one", "--json", "--workers", 1)
    as_table = run("convert", tmp_path / "logs", tmp_path / "other", "--workers", 1)

    receipts = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [(one["day"], one["quarantined"][0]["key"]) for one in receipts] == [
        ("2026-01-10", key),
        ("2026-01-11", key),
    ]
    assert as_json.stderr.count(key) == 1
    assert re.search(r"quarantined\W+1\b", as_table.stdout)


def test_a_file_that_is_damaged_later_takes_nothing_out_of_the_dataset(tmp_path: Path) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    keys = {name: deliver(tree, name, log_file(event(eventID=name))) for name in ("good", "cut")}
    convert(tree, dataset, keys)
    (tree / keys["cut"]).write_bytes(WHOLE[:-20])

    again = convert(tree, dataset, keys)

    assert again.status == 3
    assert again.ids() == {"good", "cut"}
    assert again.quarantined("cut")
    assert "kept as it was" in again.stderr


def test_a_dataset_that_is_gone_is_made_again_from_what_the_source_still_has(
    tmp_path: Path,
) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    keys = {name: deliver(tree, name, log_file(event(eventID=name))) for name in ("one", "two")}
    convert(tree, dataset, keys)
    shutil.rmtree(dataset)
    (tree / keys["two"]).unlink()

    again = convert(tree, dataset, keys)

    assert again.status == 0, again.stderr
    assert again.ids() == {"one"}


def deny(path: Path) -> None:
    path.chmod(0)


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


UNREADABLE = [
    pytest.param(
        deny, marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    ),
    link_to_nothing,
    link_to_itself,
]


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_a_file_that_cannot_be_read_stops_no_other_and_may_be_tried_again(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    keys = {name: deliver(tree, name, log_file(event(eventID=name))) for name in ("good", "away")}
    spoil(tree / keys["away"])

    done = convert(tree, dataset, keys)

    (bad,) = done.quarantined("away")
    assert bad["retryable"]
    assert "cannot be read" in bad["reason"]
    assert done.ids() == {"good"}
    assert done.status == 3


def test_a_folder_in_place_of_a_log_file_stops_nothing(tmp_path: Path) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    keys = {"good": deliver(tree, "good", log_file(event(eventID="good")))}
    (tree / log_key(ACCOUNT, REGION, NOON, unique="folder")).mkdir()

    done = convert(tree, dataset, keys)

    assert (done.status, done.ids()) == (0, {"good"})


def test_folder_markers_of_no_bytes_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    keys = {"good": deliver(tree, "good", log_file(event(eventID="good")))}
    (tree / keys["good"]).with_name("marker").write_bytes(b"")
    (tree / keys["good"]).with_name(".DS_Store").write_bytes(b"\0\0\0\1Bud1")

    done = convert(tree, dataset, keys)

    assert (done.status, done.ids()) == (0, {"good"})
