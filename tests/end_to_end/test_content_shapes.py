"""Files of a delivered tree that are not as trails write them: read, or named as what they are."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.builders import ACCOUNT, REGION, as_text, envelope, log_key, normal, record
from tests.end_to_end.program import run
from tests.unit.envelopes.test_shapes import SHAPES, Shape, as_lines, as_lookup_pages, one_line

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
TIME = "2026-01-10T11:58:00Z"
NAMES = ["One", "Two", "Three"]
RECORDS = [as_text(record(eventName=name, eventID=name, eventTime=TIME)) for name in NAMES]
CONTROL = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "CWL CONTROL MESSAGE"}]}


def deliver(tree: Path, data: bytes, name: str = "AbCdEfGhIjKlMnOp", **parts: Any) -> str:  # noqa: ANN401
    """Put a log file into the tree; returns its key."""
    key = log_key(ACCOUNT, REGION, NOON, unique=name, **parts)
    (tree / key).parent.mkdir(parents=True, exist_ok=True)
    (tree / key).write_bytes(data)
    return key


def rows(dataset: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(path, partitioning=None) for path in sorted(dataset.rglob("*.parquet"))]
    found = [row for table in tables for row in table.to_pylist()]
    return sorted(found, key=lambda row: str(row["eventID"]))


def receipt(stdout: str) -> dict[str, Any]:
    [one] = [each for each in map(json.loads, stdout.splitlines()) if each["day"] == "2026-01-10"]
    found: dict[str, Any] = one
    return found


def test_all_shapes_give_the_rows_of_the_plain_one(tmp_path: Path) -> None:
    deliver(tmp_path / "plain", gzip.compress(envelope(RECORDS)))
    run("convert", tmp_path / "plain", tmp_path / "expected")
    shapes: list[Shape] = SHAPES
    for number, shape in enumerate(shapes):
        deliver(tmp_path / "logs", gzip.compress(shape(RECORDS)), f"Shape{number:011}")

    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--json")

    counts = receipt(done.stdout)["records"]
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "dataset") == rows(tmp_path / "expected")
    assert (counts["written"], counts["duplicate"]) == (3, 3 * (len(shapes) - 1))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_export_prints_is_converted_back(tmp_path: Path, zipped: bool) -> None:  # noqa: FBT001
    deliver(tmp_path / "logs", gzip.compress(envelope(RECORDS)))
    run("convert", tmp_path / "logs", tmp_path / "dataset")
    printed = run("export", tmp_path / "dataset").stdout.encode()
    deliver(tmp_path / "again", gzip.compress(printed) if zipped else printed)

    done = run("convert", tmp_path / "again", tmp_path / "second")

    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "second") == rows(tmp_path / "dataset")


def test_a_bad_line_costs_no_other_and_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    text = as_lines(RECORDS[:2]) + b"\n<html>\n" + as_lines(RECORDS[2:]) + RECORDS[0][:50].encode()
    key = deliver(tmp_path / "logs", text)

    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--json")

    found = receipt(done.stdout)
    assert done.returncode == 3
    assert [row["eventID"] for row in rows(tmp_path / "dataset")] == sorted(NAMES)
    assert (found["status"], found["records"]["quarantined"]) == ("partial", 2)
    assert [(bad["record"], bad["reason"][:10]) for bad in found["quarantined"]] == [
        (2, "line 4: no"),
        (4, "line 6: in"),
    ]
    assert f"quarantined: {key} record 2: line 4: no JSON at byte 0" in done.stderr


def test_a_control_message_costs_no_record_and_is_counted(tmp_path: Path) -> None:
    message = {
        "messageType": "DATA_MESSAGE",
        "logStream": f"{ACCOUNT}_CloudTrail_{REGION}",
        "logEvents": [{"id": "1", "timestamp": 1, "message": text} for text in RECORDS],
    }
    member = [gzip.compress(json.dumps(each).encode()) for each in (CONTROL, message, CONTROL)]
    deliver(tmp_path / "logs", gzip.compress(b"".join(member)))

    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--json")
    summary = run("convert", tmp_path / "logs", tmp_path / "other").stdout

    found = receipt(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (found["status"], found["records"]["read"]) == ("complete", 5)
    assert found["records"]["discarded"] == 2
    assert found["discarded"] == {"kind: control message of CloudWatch Logs": 2}
    assert "records discarded by kind: control message of CloudWatch Logs" in summary


def test_a_file_that_is_something_else_says_what_it_is(tmp_path: Path) -> None:
    key = deliver(tmp_path / "logs", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")

    done = run("convert", tmp_path / "logs", tmp_path / "dataset")

    assert done.returncode == 3
    assert f"quarantined: {key}: it is a pointer of Git LFS. Fetch the file" in done.stderr


def test_records_of_lines_that_repeat_are_found_and_those_of_other_content_kept(
    tmp_path: Path,
) -> None:
    other = as_text(record(eventName="Other", eventID="One", eventTime=TIME))
    deliver(tmp_path / "logs", as_lines([*RECORDS, RECORDS[1]]), "AAAAAAAAAAAAAAAA")
    deliver(tmp_path / "logs", as_lookup_pages([*RECORDS, other]), "BBBBBBBBBBBBBBBB")

    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--json")

    assert receipt(done.stdout)["records"]["duplicate"] == 4
    assert [row["eventName"] for row in rows(tmp_path / "dataset")] == [
        *("One", "Other", "Three", "Two")
    ]


def test_a_large_file_of_lines_is_converted(tmp_path: Path) -> None:
    filler = {"a": "x" * 60_000}
    texts = [
        as_text(record(eventID=f"id-{n:04}", eventTime=TIME, requestParameters=filler))
        for n in range(1_200)
    ]
    deliver(tmp_path / "logs", gzip.compress(as_lines(texts), 1))

    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--json")

    assert done.returncode == 0, done.stderr
    assert receipt(done.stdout)["records"]["written"] == 1_200
    assert one_line(texts[7]) == texts[7]


# Further folders of event logs.


def aggregated(number: int) -> dict[str, Any]:
    """As CloudTrail writes it for the template API_ACTIVITY."""
    statistics = [{"name": "PutObject", "value": number}]
    return {
        "eventVersion": "1.0",
        "accountId": ACCOUNT,
        "eventId": f"id-{number}",
        "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent",
        "awsRegion": REGION,
        "eventSource": "s3.amazonaws.com",
        "timeWindow": {
            "windowStart": "2026-01-10T11:50:00Z",
            "windowEnd": "2026-01-10T11:55:00Z",
            "windowSize": "PT5M",
        },
        "summary": {"primaryDimension": {"dimension": "eventName", "statistics": statistics}},
    }


@pytest.mark.parametrize("shape", [envelope, lambda each: json.dumps(each).encode()])
def test_aggregated_records_are_read_when_asked_for(
    tmp_path: Path, shape: Callable[[list[Any]], bytes]
) -> None:
    records = [aggregated(1), aggregated(2), aggregated(1)]
    deliver(tmp_path / "logs", gzip.compress(envelope(RECORDS)))
    folder = "CloudTrail-Aggregated"
    deliver(tmp_path / "logs", gzip.compress(shape(records)), folder=folder)

    without = run("convert", tmp_path / "logs", tmp_path / "without")
    done = run("convert", tmp_path / "logs", tmp_path / "dataset", "--folder", folder, "--json")

    assert f"not read: {folder}, 1 object; --folder {folder} reads them" in without.stderr
    assert done.returncode == 0, done.stderr
    counts = receipt(done.stdout)["records"]
    assert (counts["written"], counts["duplicate"], counts["quarantined"]) == (5, 1, 0)
    printed = map(json.loads, run("export", tmp_path / "dataset").stdout.splitlines())
    assert [each for each in printed if "timeWindow" in each] == records[:2]


@pytest.mark.parametrize("folder", ["CloudTrail-Insight", "CloudTrail-NetworkActivity"])
def test_what_is_not_read_says_which_option_reads_it(tmp_path: Path, folder: str) -> None:
    one = as_text(record(eventID="other", eventTime=TIME, eventCategory=folder.partition("-")[2]))
    deliver(tmp_path / "logs", gzip.compress(envelope(RECORDS)))
    deliver(tmp_path / "logs", gzip.compress(envelope([one])), folder=folder)

    done = run("convert", tmp_path / "logs", tmp_path / "without")
    again = run("convert", tmp_path / "logs", tmp_path / "with", "--folder", folder)

    assert f"not read: {folder}, 1 object; --folder {folder} reads them" in done.stderr
    assert "not read" not in again.stderr
    assert len(rows(tmp_path / "with")) == len(rows(tmp_path / "without")) + 1


def test_half_of_a_surrogate_pair_makes_no_column_unreadable(tmp_path: Path) -> None:
    odd = record(eventID="odd", eventTime=TIME, requestParameters={"secretId": "nope~"})
    texts = [
        as_text(odd | {"userAgent": "a~"}).replace("~", "\\ud83d"),
        as_text(record(eventID="good", eventTime=TIME, requestParameters={"secretId": "db"})),
    ]
    deliver(tmp_path / "logs", gzip.compress(as_lookup_pages(texts)))

    run("convert", tmp_path / "logs", tmp_path / "dataset")

    table = duckdb.read_parquet(f"{tmp_path}/dataset/**/*.parquet").order("eventID")
    found = table.project(
        "eventID, requestParameters::JSON->>'$.secretId', unmapped::JSON IS NOT NULL"
    ).fetchall()
    assert found == [("good", "db", False), ("odd", "nope\ufffd", True)]
    printed = run("export", tmp_path / "dataset").stdout.splitlines()
    assert normal(json.loads(texts[0])) in map(json.loads, printed)
