"""What a newcomer has at hand is converted where it lies; what is nothing of ours is named."""

import errno
import gzip
import io
import json
import os
import re
import sqlite3
import sys
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet import convert as convert_in_a_program
from tests.builders import ACCOUNT, REGION, log_file, log_key
from tests.end_to_end.program import Done, run
from tests.end_to_end.trees import NOON, deliver, event

OTHER = "123456789012"
NAME = log_key(ACCOUNT, REGION, NOON).rpartition("/")[2]

linux = pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 on this system")


def owned(name: str, when: datetime = NOON, /, **changes: object) -> dict[str, Any]:
    whole = event(name, when, recipientAccountId=ACCOUNT, awsRegion=REGION) | changes
    return {member: value for member, value in whole.items() if value is not ...}


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def put(folder: Path, name: str | bytes, data: bytes) -> Path:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def convert(source: object, lake: Path, *options: object, status: int = 0) -> Done:
    done = run("convert", source, lake, "--workers", 1, *options)
    assert done.returncode == status, done.stderr
    return done


def ids(lake: Path) -> dict[str, list[str]]:
    """The events of a dataset: for each partition its ids."""
    found: dict[str, list[str]] = {}
    for part in sorted(lake.rglob("*.parquet")):
        account, region, *day = (name.partition("=")[2] for name in part.parts[-6:-1])
        rows = pq.ParquetFile(part).read(["eventID"])["eventID"].to_pylist()
        found.setdefault(f"{account} {region} {'-'.join(day)}", []).extend(rows)
    return {partition: sorted(rows) for partition, rows in found.items()}


HERE = f"{ACCOUNT} {REGION} 2026-01-10"

TREE = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/10"
BELOW = ["AWSLogs", *(TREE.rsplit("/", number)[0] for number in range(5)), TREE]


@pytest.mark.parametrize("below", dict.fromkeys(BELOW))
def test_a_folder_at_any_level_below_awslogs(tmp_path: Path, below: str) -> None:
    deliver(tmp_path / "logs", event("wanted"))
    deliver(tmp_path / "logs", event("other"), account=OTHER)
    whole = tmp_path / "logs" / below

    convert(whole, tmp_path / "lake")

    assert ids(tmp_path / "lake")[HERE] == ["wanted"]
    assert (f"{OTHER} {REGION} 2026-01-10" in ids(tmp_path / "lake")) == (below == "AWSLogs")
    planned = json.loads(run("plan", whole, "--json").stdout)["units"]
    assert {one["account"] for one in planned} >= {ACCOUNT}
    again = convert(whole, tmp_path / "lake", status=0)
    assert "nothing to convert" in again.stderr


@pytest.mark.parametrize("part", ["o-abcdefghij", f"o-abcdefghij/{OTHER}"])
def test_an_organization_or_an_account_of_it(tmp_path: Path, part: str) -> None:
    deliver(tmp_path, event("of it"), account=OTHER, organization="o-abcdefghij")
    deliver(tmp_path, event("own trail"))

    convert(tmp_path / "AWSLogs" / part, tmp_path / "lake")

    assert ids(tmp_path / "lake") == {f"{OTHER} {REGION} 2026-01-10": ["of it"]}


def test_a_day_of_a_tree_is_the_day_of_the_whole_tree(tmp_path: Path) -> None:
    """Converted from a folder first, and from the tree later, nothing is twice or gone."""
    midnight = NOON.replace(hour=0, minute=1)
    deliver(tmp_path / "logs", event("evening", midnight), delivered=midnight)
    deliver(tmp_path / "logs", event("noon"))
    deliver(
        tmp_path / "logs",
        event("before", NOON - timedelta(days=1)),
        unique="B" * 16,
        delivered=NOON - timedelta(days=1),
    )

    convert(tmp_path / "logs" / TREE, tmp_path / "lake")
    first = ids(tmp_path / "lake")
    convert(tmp_path / "logs", tmp_path / "lake")
    convert(tmp_path / "logs", tmp_path / "at once")

    assert first[HERE] == ["noon"]
    assert ids(tmp_path / "lake") == ids(tmp_path / "at once")


def test_a_flat_folder_and_a_single_file_with_names_of_cloudtrails(tmp_path: Path) -> None:
    path = put(tmp_path / "flat", NAME, log_file(event("a")))
    other = NAME.replace(ACCOUNT, OTHER).replace("1200Z", "1305Z")
    put(tmp_path / "flat", f"deeper down/{other}", log_file(event("b")))

    convert(tmp_path / "flat", tmp_path / "lake")
    convert(path, tmp_path / "single")

    both = {HERE: ["a"], f"{OTHER} {REGION} 2026-01-10": ["b"]}
    assert ids(tmp_path / "lake") == both
    assert ids(tmp_path / "single") == {HERE: ["a"]}
    exported = run("export", tmp_path / "lake").stdout.splitlines()
    assert sorted(json.loads(line)["eventID"] for line in exported) == ["a", "b"]


@pytest.mark.parametrize("top", ["", f"{ACCOUNT}/", f"{ACCOUNT}/CloudTrail/", "backup/awslogs/"])
def test_a_tree_without_awslogs(tmp_path: Path, top: str) -> None:
    stripped = TREE.removeprefix("AWSLogs/")
    above = top if "awslogs" in top else ""
    put(tmp_path / "logs", f"{above}{stripped}/{NAME}", log_file(event("a")))
    put(
        tmp_path / "logs",
        f"{above}{stripped}/renamed by hand.json.gz",
        log_file(event("b", awsRegion=...)),
    )

    convert(tmp_path / "logs" / top, tmp_path / "lake")

    assert ids(tmp_path / "lake") == {HERE: ["a", "b"]}


@pytest.mark.parametrize("between", ["team_a", "team a/prod", "o-X", "a/b/c"])
@pytest.mark.parametrize("beside", [False, True])
def test_folders_between_awslogs_and_the_account(
    tmp_path: Path, between: str, *, beside: bool
) -> None:
    put(tmp_path / "logs", f"{TREE.replace('/', f'/{between}/', 1)}/{NAME}", log_file(event("a")))
    is_deep = "/" in between
    if beside:
        deliver(tmp_path / "logs", event("b"), account=OTHER)

    status = 3 if beside and is_deep else 0  # then it is told which file no unit reads
    done = convert(tmp_path / "logs", tmp_path / "lake", status=status)

    assert (ids(tmp_path / "lake").get(HERE) == ["a"]) == (status == 0)
    assert (NAME in done.stderr) == (status == 3)


def test_files_of_any_name_go_where_their_records_say(tmp_path: Path) -> None:
    there = {"recipientAccountId": OTHER, "awsRegion": "us-west-2"}
    tomorrow = owned("c", NOON + timedelta(days=1))
    put(tmp_path / "got", "answer.json", log_file(owned("a"), owned("b", **there)))
    put(tmp_path / "got", "sub/lines.txt", lines(tomorrow, owned("d")))
    put(tmp_path / "got", "sub/lines.txt.gz", gzip.compress(lines(owned("e"))))

    done = convert(tmp_path / "got", tmp_path / "lake")

    assert ids(tmp_path / "lake") == {
        HERE: ["a", "d", "e"],
        f"{ACCOUNT} {REGION} 2026-01-11": ["c"],
        f"{OTHER} us-west-2 2026-01-10": ["b"],
    }
    assert "read 3 files to find out about the places and days of 5 records" in done.stderr
    again = convert(tmp_path / "got", tmp_path / "lake")
    assert "nothing to convert: 3 units are up to date" in again.stderr


def test_our_own_export_comes_back_as_it_was(tmp_path: Path) -> None:
    for number in range(3):
        when = NOON + timedelta(days=number)
        deliver(
            tmp_path / "logs", event(f"{number}", when, recipientAccountId=ACCOUNT), delivered=when
        )
    convert(tmp_path / "logs", tmp_path / "lake")
    put(tmp_path, "exported.jsonl", run("export", tmp_path / "lake").stdout.encode())

    convert(tmp_path / "exported.jsonl", tmp_path / "back")

    assert ids(tmp_path / "back") == ids(tmp_path / "lake")


def test_one_account_and_region_fill_in_what_records_lack(tmp_path: Path) -> None:
    bare = owned("bare", recipientAccountId=..., awsRegion=...)
    put(tmp_path / "got", "x.json", lines(bare, owned("whole")))

    done = convert(tmp_path / "got", tmp_path / "without", status=3)
    convert(tmp_path / "got", tmp_path / "with", "--account", ACCOUNT, "--region", REGION)

    assert ids(tmp_path / "without") == {HERE: ["whole"]}
    assert "x.json line 1: it does not name an account and a region. Say which with" in done.stderr
    assert ids(tmp_path / "with") == {HERE: ["bare", "whole"]}


def test_what_belongs_nowhere_is_named_with_its_line_and_costs_nothing_else(tmp_path: Path) -> None:
    no_time = owned("t", eventTime=...)
    bad = lines(owned("a")) + b'{"eventVersion": oops\n' + lines(no_time, owned("b"))
    put(tmp_path / "got", "some.jsonl", bad)
    put(tmp_path / "got", NAME, log_file(event("c")))

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a", "b", "c"]}
    assert "left out: some.jsonl line 2: " in done.stderr
    assert "left out: some.jsonl line 3: it has no eventTime. " in done.stderr
    assert run("plan", tmp_path / "got").returncode == 3


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(NAME, log_file(event("z")))
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(NAME))
    return data.getvalue()


FOREIGN: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a zip archive": ("logs.zip", zipped, "zip archive"),
    "a tar archive": ("logs.tar", tarred, "tar archive"),
    "a gzipped tar archive": ("logs.tgz", lambda: gzip.compress(tarred()), "tar archive"),
    "a text": ("README.txt", lambda: b"Read me first.\n", "text"),
    "an empty file": ("empty.json", bytes, "empty"),
    "a cut gzip stream": (
        "cut.json.gz",
        lambda: gzip.compress(lines(event("x")))[:-9],
        "cut short",
    ),
    "a page": ("page.json", lambda: b"<!DOCTYPE html><p>Sign in", "HTML"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_named_with_what_it_looks_like(tmp_path: Path, kind: str) -> None:
    name, make, word = FOREIGN[kind]
    put(tmp_path / "got", name, make())

    alone = run("convert", tmp_path / "got", tmp_path / "lake")
    assert alone.returncode == 2
    assert f"{name}: " in alone.stderr
    assert word in alone.stderr
    assert not (tmp_path / "lake.state").exists()

    put(tmp_path / "got", NAME, log_file(event("a")))
    done = convert(tmp_path / "got", tmp_path / "lake", status=3)
    assert ids(tmp_path / "lake") == {HERE: ["a"]}
    assert f"left out: {name}: " in done.stderr


def test_hidden_files_are_not_looked_at(tmp_path: Path) -> None:
    put(tmp_path / "got", NAME, log_file(event("a")))
    put(tmp_path / "got", ".DS_Store", b"\x00\x00\x00\x01Bud1")
    put(tmp_path / "got", f".Trash/{NAME}", log_file(event("trashed")))

    done = convert(tmp_path / "got", tmp_path / "lake")

    assert ids(tmp_path / "lake") == {HERE: ["a"]}
    assert "skipped: 2 hidden files" in done.stderr


@pytest.mark.parametrize("command", ["convert", "plan"])
def test_a_folder_with_nothing_in_it(tmp_path: Path, command: str) -> None:
    (tmp_path / "got").mkdir()

    done = run(command, tmp_path / "got", tmp_path / "lake")

    assert done.returncode == 2
    assert f"{tmp_path}/got: there are no files in it. " in done.stderr


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder in ("monday", "tuesday"):
        put(tmp_path / "got", f"{folder}/events.json", lines(owned(folder), owned("both")))
        put(tmp_path / "got", f"{folder}/{NAME}", log_file(event(f"name {folder}"), event("twice")))

    convert(tmp_path / "got", tmp_path / "lake")

    expected = ["both", "monday", "name monday", "name tuesday", "tuesday", "twice"]
    assert ids(tmp_path / "lake") == {HERE: expected}


def test_a_file_that_is_written_anew_adds_and_takes_nothing(tmp_path: Path) -> None:
    """Such as the answer of a command, day after day under one name."""
    got = put(tmp_path, "events.json", lines(owned("a"), owned("b")))
    convert(got, tmp_path / "lake")
    put(tmp_path, "events.json", lines(owned("b"), owned("c"), owned("d"), owned("e")))

    done = convert(got, tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a", "b", "c", "d", "e"]}
    assert "kept as it was" in done.stderr


def test_stray_files_beside_a_tree_are_named_with_what_to_do(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a"))
    put(tmp_path / "logs", f"strays/{NAME.replace('1200', '1300')}", log_file(event("b")))

    done = convert(tmp_path / "logs", tmp_path / "lake", status=3)
    convert(tmp_path / "logs" / "strays", tmp_path / "lake", status=3)

    assert "unplaced: strays/: 1 log file, such as strays/" in done.stderr
    assert "name their folder as a source of its own" in done.stderr
    assert ids(tmp_path / "lake") == {HERE: ["a", "b"]}


@pytest.mark.parametrize(
    "name",
    [
        "mix/more.jsonl",
        "lookup.json",
        "AWSLogs/x.jsonl",
        f"AWSLogs/{ACCOUNT}/x.jsonl",
        f"{TREE}/../x.jsonl",
    ],
)
def test_records_beside_a_tree_are_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    deliver(tmp_path / "logs", event("a"))
    path = put(tmp_path / "logs", name, lines(owned("b")))
    key = str(path.resolve().relative_to(tmp_path / "logs"))

    planned = run("plan", tmp_path / "logs", "--json")
    done = convert(tmp_path / "logs", tmp_path / "lake", status=3)
    convert(path.resolve(), tmp_path / "lake", status=3)

    assert f": 1 file of other names, such as {key}" in done.stderr
    assert "name them as a source of their own" in done.stderr
    assert planned.returncode == 3
    (unplaced,) = json.loads(planned.stdout)["unplaced"]
    assert (unplaced["example"], unplaced["is_unnamed"]) == (key, True)
    assert ids(tmp_path / "lake") == {HERE: ["a", "b"]}


def test_one_of_several_sources_may_be_flat(tmp_path: Path) -> None:
    deliver(tmp_path / "tree", event("a"))
    put(tmp_path / "flat", NAME.replace("1200", "1300"), log_file(event("b")))
    put(tmp_path / "got", "x.json", lines(owned("c"), {"eventVersion": "1"}))
    source = " ".join(f"file://{tmp_path}/{name}" for name in ("tree", "flat", "got"))

    done = convert(source, tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a", "b", "c"]}
    assert "left out: x.json line 2" in done.stderr


def test_digests_and_other_logs_among_them_are_counted_as_in_a_tree(tmp_path: Path) -> None:
    insight = NAME.replace("CloudTrail", "CloudTrail-Insight")
    digest = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_my_trail_{REGION}_20260110T112345Z.json.gz"
    for name in (NAME, insight, digest):
        put(tmp_path / "got", name, log_file(event(name)))

    done = convert(tmp_path / "got", tmp_path / "lake")
    convert(tmp_path / "got", tmp_path / "both", "--folder", "CloudTrail-Insight")

    assert ids(tmp_path / "lake") == {HERE: [NAME]}
    assert "skipped CloudTrail-Digest: 1 object" in done.stderr
    assert "not read: CloudTrail-Insight, 1 object" in done.stderr
    assert ids(tmp_path / "both") == {HERE: sorted([NAME, insight])}


def test_links_are_followed_and_lead_nowhere_twice(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", NAME, log_file(event("a")))
    put(tmp_path / "got", "x.json", lines(owned("b")))
    (tmp_path / "got" / "linked").symlink_to("../elsewhere")
    (tmp_path / "got" / "back").symlink_to(".")
    (tmp_path / "got" / "lost.json").symlink_to("nothing")

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a", "b"]}
    assert "left out: lost.json: cannot be read" in done.stderr


@linux
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    put(tmp_path / "got", b"caf\xe9/caf\xe9.json", lines(owned("a"), {"no": "record"}))
    put(tmp_path / "got", b"caf\xe9/" + NAME.encode(), log_file(event("b")))
    put(tmp_path / "got", b"1_caf\xe9_" + NAME.encode(), b"\x1f\x8bnothing")

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a", "b"]}
    assert r"left out: caf\xe9/caf\xe9.json line 2: " in done.stderr
    assert rf"left out: 1_caf\xe9_{NAME}: " in done.stderr


def test_a_damaged_file_with_a_name_of_cloudtrails_is_quarantined_by_its_path(
    tmp_path: Path,
) -> None:
    put(tmp_path / "got", f"deep/{NAME}", log_file(event("a"))[:-9])

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert f"quarantined: deep/{NAME}: " in done.stderr


HOSTILE_PLACES: dict[str, dict[str, object]] = {
    "a way up": {"recipientAccountId": "../../../etc", "awsRegion": ".."},
    "no account of twelve digits": {"recipientAccountId": "1" * 13},
    "an account of other digits": {"recipientAccountId": "\u0661" * 12},
    "a region with a line": {"awsRegion": "eu-central-1\nerror: all is lost"},
    "a region without end": {"awsRegion": "x-" * 5000},
    "objects": {"recipientAccountId": {"a": 1}, "awsRegion": ["eu-central-1"]},
    "a time that is none": {"eventTime": "2026-02-30T10:00:00Z"},
    "a time before the calendar": {"eventTime": "0000-01-01T00:00:00Z"},
}


MALFORMED: dict[str, list[object]] = {
    "recipientAccountId": [
        *("12345670001", "12345670001.0", "abc", " "),
        *(12345670001.0, True, 10**12, [ACCOUNT], {}),
    ],
    "awsRegion": ["..", "US-EAST-1", "us-east-1 ", f"us-{'east' * 75}", 7, ["us-east-1"]],
}


@pytest.mark.parametrize("member", MALFORMED)
def test_who_names_a_malformed_place_is_not_filed_under_another(
    tmp_path: Path, member: str
) -> None:
    kind = {"recipientAccountId": "account", "awsRegion": "region"}[member]
    bad: list[object] = [owned("bad", **{member: value}) for value in MALFORMED[member]]
    bad += [
        {"detail-type": "x", "detail": owned("bad", **{member: ...}), kind: value}
        for value in MALFORMED[member]
    ]
    good = [owned("a"), *(owned("b", **{member: none}) for none in (None, "", ...))]
    lone = b"".join(lines(each).replace(b"bad", rb"\ud800") for each in bad)
    put(tmp_path / "got", "x.jsonl", lines(*good, *bad) + lone)

    done = convert(
        tmp_path / "got", tmp_path / "lake", "--account", ACCOUNT, "--region", REGION, status=3
    )

    assert ids(tmp_path / "lake") == {HERE: ["a", "b", "b", "b"]}
    told = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert all(f": it names the {kind} " in line for line in told)
    assert len(told) >= len(bad)
    assert re.search(rf"left out +│ +{2 * len(bad)} ", done.stdout)


@pytest.mark.parametrize("kind", HOSTILE_PLACES)
def test_hostile_places_and_days_lead_nowhere(tmp_path: Path, kind: str) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a"), owned("bad", **HOSTILE_PLACES[kind])))

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: ["a"]}
    assert "left out: x.json line 2: it" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"got", "lake", "lake.state"}
    assert not [line for line in done.stderr.splitlines() if line.startswith("error")]


def test_an_account_that_is_a_number_has_its_zeros_again(tmp_path: Path) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a", recipientAccountId=int(ACCOUNT))))

    convert(tmp_path / "got", tmp_path / "lake")

    assert ids(tmp_path / "lake") == {HERE: ["a"]}


def test_notifications_of_s3_are_named_as_such(tmp_path: Path) -> None:
    told = {"eventVersion": "2.1", "eventSource": "aws:s3", "s3": {"object": {"key": "x"}}}
    notice = log_file(owned("n", **told))
    put(tmp_path / "got", "notice.json", notice)
    put(tmp_path / "got", "x.json", lines(owned("v2", eventVersion="2.0")))
    sns = {"Type": "Notification", "MessageId": "1", "Message": gzip.decompress(notice).decode()}
    put(tmp_path / "got", "sns.json", lines(sns))
    put(tmp_path / "got", "sqs.json", lines({"Messages": [{"MessageId": "1", "Body": "{}"}]}))

    done = convert(
        tmp_path / "got", tmp_path / "lake", "--account", ACCOUNT, "--region", REGION, status=3
    )

    exported = run("export", tmp_path / "lake").stdout.splitlines()
    assert [json.loads(line)["eventID"] for line in exported] == ["v2"]
    assert "left out: notice.json .Records[0]: it is a notification of S3, " in done.stderr
    assert "Convert the log files that it names" in done.stderr
    assert "left out: sns.json: it is a notification of SNS" in done.stderr
    assert "left out: sqs.json: it is messages of SQS" in done.stderr


def test_aggregated_events_belong_where_and_when_their_window_begins(tmp_path: Path) -> None:
    window = {"windowStart": "2026-01-10T12:00:00Z", "windowEnd": "2026-01-10T12:05:00Z"}
    gone = {"eventTime": ..., "recipientAccountId": ..., "eventCategory": "Aggregated"}
    aggregated = owned("a", **gone, accountId=ACCOUNT, timeWindow=window)
    put(tmp_path / "got", "x.json", lines(aggregated))

    convert(tmp_path / "got", tmp_path / "lake")

    assert ids(tmp_path / "lake") == {HERE: ["a"]}


def test_folders_and_names_made_to_mislead(tmp_path: Path) -> None:
    """A folder named like a log file; a path within AWSLogs of a day that is none; odd names."""
    put(tmp_path / "got", f"{NAME}/{NAME}", log_file(event("a")))
    put(tmp_path / "got", f"{ACCOUNT}/CloudTrail/{REGION}/2026/13/40/{NAME}", log_file(event("b")))
    put(tmp_path / "got", f"{NAME[:-8]}-index.sqlite", lines(owned("c")))
    put(tmp_path / "got", "AWSLogs", lines(owned("d")))
    put(tmp_path / "got", "1.json.gz/2.json.gz", lines(owned("e")))
    put(tmp_path / "got", "a\nerror: forged\x1b[2J", lines(owned("f"), [1]))

    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    assert ids(tmp_path / "lake") == {HERE: list("abcdef")}
    assert r"left out: a\nerror: forged\x1b[2J line 2" in done.stderr


@pytest.mark.parametrize("source", ["lake", "lake.state"])
def test_a_dataset_or_its_state_is_not_taken_for_files(tmp_path: Path, source: str) -> None:
    put(tmp_path / "got", "x.json", lines(owned("b")))
    convert(tmp_path / "got", tmp_path / "lake")

    done = run("convert", tmp_path / source, tmp_path / "other")
    within = run("convert", tmp_path / "got", tmp_path / "got" / "lake")

    assert (done.returncode, within.returncode) == (2, 2)
    assert "not CloudTrail's logs" in done.stderr
    assert "the dataset would lie in the source" in within.stderr


def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path: Path) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a"), owned("b")))

    done = convert(tmp_path / "got", tmp_path / "lake", "--dry-run", "--json")

    (receipt,) = map(json.loads, done.stdout.splitlines())
    assert receipt["records"]["written"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"got"}


def test_sizes_are_said_of_what_they_are(tmp_path: Path) -> None:
    padded = [owned(f"{n}", userAgent="x" * 20_000) for n in range(50)]
    put(tmp_path / "got", "x.json", lines(*padded, owned("z", NOON - timedelta(days=1))))

    dry = convert(tmp_path / "got", tmp_path / "lake", "--dry-run")
    planned = run("plan", tmp_path / "got")
    done = convert(tmp_path / "got", tmp_path / "lake")

    assert ": 1.1 MB, gzipped as log files " in done.stderr
    assert "bytes in, sorted out and gzipped" in done.stdout
    assert "51 records of 2 days; " in done.stdout
    assert "of log files, as sorted out and gzipped, have become" in done.stdout
    assert "bytes in, sorted out and gzipped" in planned.stdout
    assert "; plan, too, reads the files that had to be sorted out, and no other" in dry.stderr


def test_what_is_left_out_is_counted_and_alike_ones_are_named_once(tmp_path: Path) -> None:
    bad = [owned(f"{n}", eventTime=...) for n in range(105)]
    put(tmp_path / "got", "x.json", lines(owned("a"), *bad, {"no": "record"}))

    planned = json.loads(run("plan", tmp_path / "got", "--json").stdout)["left_out"]
    as_json = convert(tmp_path / "got", tmp_path / "lake", "--dry-run", "--json", status=3)
    done = convert(tmp_path / "got", tmp_path / "lake", status=3)

    told = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert len(told) == 5
    assert told[3] == "left out: and 102 more like x.json line 4: it has no eventTime"
    assert "line 107" in told[4]
    assert re.search(r"left out +│ +106 ", done.stdout)
    receipt, left_out = map(json.loads, as_json.stdout.splitlines())
    assert receipt["records"]["written"] == 1
    assert planned == left_out["left_out"]
    assert (planned["count"], planned["hidden"]) == (106, 0)
    assert [one["where"] for one in planned["named"]] == [
        f"x.json line {line}" for line in (2, 3, 4, 107)
    ]


def test_a_hidden_file_that_is_named_itself_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "got", ".x.jsonl", lines(owned("a")))

    convert(path, tmp_path / "lake")

    assert ids(tmp_path / "lake") == {HERE: ["a"]}


@pytest.mark.parametrize("source", ["/dev/stdin", "pipe", "/dev/null"])
def test_a_stream_is_to_be_saved_first(tmp_path: Path, source: str) -> None:
    os.mkfifo(tmp_path / "pipe")

    done = convert(tmp_path / source, tmp_path / "lake", status=2)

    assert "it is a stream, which can be read only once. Save it to a file" in done.stderr


def test_several_workers_read_what_one_has_arranged(tmp_path: Path) -> None:
    for number in range(6):
        when = NOON + timedelta(days=number)
        name = log_key(ACCOUNT, REGION, when).rpartition("/")[2]
        put(tmp_path / "got", name, log_file(event(f"f{number}", when)))
        put(
            tmp_path / "got",
            f"{number}.json",
            lines(owned(f"l{number}", when)),
        )

    done = run("convert", tmp_path / "got", tmp_path / "lake", "--workers", 2)

    assert done.returncode == 0, done.stderr
    assert list(ids(tmp_path / "lake").values()) == [[f"f{n}", f"l{n}"] for n in range(6)]


def test_nothing_is_left_in_the_folder_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a")))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))

    convert(tmp_path / "got", tmp_path / "lake")
    run("convert", tmp_path / "nothing", tmp_path / "other")
    run("plan", tmp_path / "got")

    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_is_no_log_is_not_taken_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a log")
    deliver(tmp_path, event("beside"))

    done = run("convert", tmp_path / "notes.txt", tmp_path / "lake", "--workers", 1)

    assert done.returncode == 2
    assert "notes.txt: it is text, but not JSON" in done.stderr
    assert not (tmp_path / "lake").exists()


def test_a_full_folder_of_temporary_files_says_how_much_room_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a")))

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path), len(data))

    monkeypatch.setattr(Path, "write_bytes", full)
    done = run("convert", tmp_path / "got", tmp_path / "lake")

    assert done.returncode == 2
    assert "cannot be written (No space left on device) after 0 bytes. " in done.stderr
    assert "set TMPDIR to a folder with room for a third of their JSON text" in done.stderr
    assert not (tmp_path / "lake.state").exists()


@pytest.mark.parametrize("pages", [0, 2, 20])
def test_a_folder_of_temporary_files_that_is_full_while_files_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int
) -> None:
    for number in range(200):
        put(tmp_path / "got", f"{'long' * 40}{number}/{NAME}", log_file(event("a")))
    connect = sqlite3.connect

    class Full(sqlite3.Connection):
        def executescript(self, sql: str, /) -> sqlite3.Cursor:
            done = super().executescript(sql) if pages else super().cursor()
            self.execute(f"PRAGMA max_page_count = {pages or 1}")
            return done if pages else super().executescript(sql)

    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **more: connect(*args, **more, factory=Full)
    )
    done = run("convert", tmp_path / "got", tmp_path / "lake")

    assert done.returncode == 2
    assert "cannot be written (database or disk is full: " in done.stderr
    assert "Set TMPDIR to a folder with more room" in done.stderr
    assert not (tmp_path / "lake.state").exists()


def test_programs_get_the_same_and_are_warned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "got", "x.json", lines(owned("a"), {"no": "record"}))

    (outcome,) = convert_in_a_program(tmp_path / "got", tmp_path / "lake")

    assert outcome.receipt
    assert ids(tmp_path / "lake") == {HERE: ["a"]}
    assert "left out: x.json line 2: " in caplog.text
