"""The command line from bucket to bucket, compared with the same conversion on a disk."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from mypy_boto3_s3 import S3Client

import cloudtrail_parquet
from cloudtrail_parquet.dataset.delivered import write_tree
from cloudtrail_parquet.dataset.export import export_records, parts_to_export
from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import open_store
from tests.s3.faults import Fault, FaultProxy, error, every, only_below

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
SPEC = TreeSpec(accounts=2, regions=1, days=2, records=150, late=0.05, duplicates=0.05)


class Locations(NamedTuple):
    """The same logs on a disk and in a bucket, and two more buckets."""

    tree: Path
    records: int
    logs: str
    lake: str
    state: str

    @property
    def arguments(self) -> list[str]:
        return [
            f"s3://{self.logs}/org?requester_pays=true",
            f"s3://{self.lake}/cloudtrail?region=us-east-1",
            "--state",
            f"s3://{self.state}/x",
        ]


@pytest.fixture
def locations(tmp_path: Path, s3: S3Client, new_bucket: Callable[[], str]) -> Locations:
    tree = tmp_path / "logs"
    truth = generate_tree(tree, SPEC)
    made = Locations(tree, truth.records, new_bucket(), new_bucket(), new_bucket())
    for key, data in contents(tree).items():
        s3.put_object(Bucket=made.logs, Key=f"org/{key}", Body=data)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def objects(s3: S3Client, bucket: str) -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {
        one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed
    }


def convert(*arguments: str, scratch: Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, receipts and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "cloudtrail_parquet.cli", "convert", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(LAMBDA_SRC), "TMPDIR": str(scratch)},
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
def test_a_conversion_between_buckets_gives_what_one_on_a_disk_gives(
    locations: Locations, tmp_path: Path, s3: S3Client, proxy: FaultProxy
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    status, receipts, said = convert(
        str(locations.tree), str(tmp_path / "lake"), "--workers", "1", scratch=scratch
    )
    assert status == 0, said
    expected = {f"cloudtrail/{key}": data for key, data in contents(tmp_path / "lake").items()}

    # A server that is busy, breaks connections and cuts bodies short now and then.
    proxy.add(
        error(503, "SlowDown", when=every(7)),
        Fault(method="GET", lost="before", when=every(11)),
        Fault(method="GET", path=r"\.json\.gz$", keep_bytes=50, when=every(5)),
        Fault(method="PUT", lost="after", when=every(13)),
    )
    # One unit after the other: of a record that two units own, the first one keeps its copy.
    status, from_buckets, said = convert(*locations.arguments, "--workers", "1", scratch=scratch)
    assert status == 0, said
    first = objects(s3, locations.lake)

    assert first == expected
    assert sum(one["records"]["written"] for one in from_buckets) == sum(
        one["records"]["written"] for one in receipts
    )

    status, _, said = convert(*locations.arguments, "--workers", "2", scratch=scratch)
    assert status == 0, said

    assert objects(s3, locations.lake) == expected
    assert not [key for key in first if not key.endswith(".parquet")]
    state = objects(s3, locations.state)
    assert state
    assert not [key for key in state if "/leases/" in key or "/intents/" in key]
    for bucket in (locations.lake, locations.state):
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert list(scratch.iterdir()) == []
    for key, data in objects(s3, locations.lake).items():
        (tmp_path / "read" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "read" / key).write_bytes(data)
    with duckdb.connect() as connection:
        glob = f"{tmp_path}/read/cloudtrail/**/*.parquet"
        rows = connection.execute(f"SELECT count(*) FROM read_parquet('{glob}')").fetchone()  # noqa: S608
    assert rows == (locations.records,)


@pytest.mark.slow
def test_a_conversion_needs_to_list_no_more_than_the_prefixes_of_its_places(
    locations: Locations, tmp_path: Path, s3: S3Client, proxy: FaultProxy
) -> None:
    status, _, said = convert(*locations.arguments, "--workers", "1", scratch=tmp_path)
    assert status == 0, said
    expected = objects(s3, locations.lake)
    for bucket in (locations.lake, locations.state):
        for key in objects(s3, bucket):
            s3.delete_object(Bucket=bucket, Key=key)
    for path in (
        f"/{locations.logs}/org/",
        f"/{locations.lake}/cloudtrail/",
        f"/{locations.state}/x/",
    ):
        proxy.add(*only_below(path))

    for _ in range(2):
        status, _, said = convert(*locations.arguments, "--workers", "1", scratch=tmp_path)
        assert status == 0, said
        assert objects(s3, locations.lake) == expected

    state = objects(s3, locations.state)
    assert len([key for key in state if key.startswith("x/receipts/")]) >= 4
    refused = {one.path for one in proxy.seen(path=f"^/{locations.state}/") if one.status == 403}
    assert refused  # of receipts and of what else was not there yet

    proxy.clear()
    receipt = min(key for key in state if key.startswith("x/receipts/"))
    proxy.add(error(403, "AccessDenied", "No.", method="GET", path=receipt))
    status, _, said = convert(*locations.arguments, scratch=tmp_path)
    assert status == 2
    assert f"{receipt}: cannot be read (AccessDenied: No.)" in said
    assert objects(s3, locations.lake) == expected


@pytest.mark.slow
def test_a_log_file_that_cannot_be_read_is_quarantined_and_read_by_the_next_run(
    locations: Locations, tmp_path: Path, proxy: FaultProxy
) -> None:
    bad = min(contents(locations.tree))
    proxy.add(Fault(method="GET", path=f"{bad}$", keep_bytes=20))
    source, *others = locations.arguments

    status, receipts, said = convert(f"{source}&retries=1", *others, scratch=tmp_path)

    assert status == 3
    quarantined = [one for receipt in receipts for one in receipt["quarantined"]]
    assert {(one["key"], one["retryable"]) for one in quarantined} == {(bad, True)}
    assert f"quarantined: {bad}: cannot be read" in said
    assert "(retry may help)" in said

    proxy.clear()
    status, receipts, said = convert(source, *others, scratch=tmp_path)

    assert status == 0, said
    assert not [one for receipt in receipts for one in receipt["quarantined"]]


@pytest.mark.slow
def test_a_place_that_refuses_fails_with_what_to_do(
    locations: Locations, tmp_path: Path, proxy: FaultProxy
) -> None:
    proxy.add(error(403, "AccessDenied", "No.", path=f"^/{locations.lake}"))

    status, _, said = convert(*locations.arguments, scratch=tmp_path)

    assert status == 2
    assert f"error: s3://{locations.lake}/cloudtrail/" in said
    assert "(AccessDenied: No.). Allow it to these credentials" in said
    assert "Traceback" not in said


# Several buckets.


class Split(NamedTuple):
    """The same logs as one folder and dealt out to two buckets; a third of them are in both."""

    tree: Path
    keys: set[str]
    both: set[str]
    source: str
    buckets: tuple[str, str]


@pytest.fixture
def split(tmp_path: Path, s3: S3Client, new_bucket: Callable[[], str]) -> Split:
    tree, buckets = tmp_path / "logs", (new_bucket(), new_bucket())
    generate_tree(tree, SPEC)
    keys = sorted(key for key in contents(tree) if "/CloudTrail/" in key)
    for number, key in enumerate(keys):
        data = (tree / key).read_bytes()
        for place in {0: [0], 1: [1], 2: [0, 1]}[number % 3]:
            s3.put_object(
                Bucket=buckets[place], Key=("org/" if place == 0 else "") + key, Body=data
            )
    source = f"s3://{buckets[0]}/org?region=us-east-1 s3://{buckets[1]}"
    return Split(tree, set(keys), set(keys[2::3]), source, buckets)


def records(dataset: str | Path) -> list[bytes]:
    return sorted(one.encode() for one in export_records(open_store(dataset)))


@pytest.mark.slow
def test_two_buckets_are_one_source_of_which_every_record_is_there_once(
    split: Split, tmp_path: Path, new_bucket: Callable[[], str]
) -> None:
    one_worker = ("--workers", "1")  # of a record that two units own, the first keeps its copy
    status, merged, said = convert(
        str(split.tree), str(tmp_path / "lake"), *one_worker, scratch=tmp_path
    )
    assert status == 0, said
    lake = f"s3://{new_bucket()}/lake"

    status, receipts, said = convert(split.source, lake, *one_worker, scratch=tmp_path)

    assert status == 0, said
    assert records(lake) == records(tmp_path / "lake")
    assert {(one["account"], one["day"]) for one in receipts} == {
        (one["account"], one["day"]) for one in merged
    }
    own = {key.partition("_")[0].rpartition("/")[2] for key in split.both}
    assert own == {one["account"] for one in receipts}  # both accounts are in both buckets
    for one, other in zip(
        sorted(receipts, key=unit_of_receipt), sorted(merged, key=unit_of_receipt), strict=True
    ):
        assert one["records"]["written"] == other["records"]["written"]
        assert one["files"]["read"] >= other["files"]["read"]
    assert sum(one["records"]["duplicate"] for one in receipts) > sum(
        one["records"]["duplicate"] for one in merged
    )

    status, _, said = convert(split.source, lake, "--workers", "2", scratch=tmp_path)
    assert status == 0, said
    assert records(lake) == records(tmp_path / "lake")


def unit_of_receipt(receipt: dict[str, Any]) -> tuple[str, str, str]:
    return receipt["account"], receipt["region"], receipt["day"]


@pytest.mark.slow
def test_an_account_that_one_bucket_refuses_is_left_out_and_told(
    split: Split, tmp_path: Path, proxy: FaultProxy, new_bucket: Callable[[], str]
) -> None:
    account = min(split.keys).split("/")[1]
    lake = f"s3://{new_bucket()}/lake"
    proxy.add(
        error(
            403,
            "AccessDenied",
            path=split.buckets[1],
            when=lambda one: f"/{account}/" in one.query.get("prefix", ""),
        )
    )

    status, receipts, said = convert(split.source, lake, scratch=tmp_path)

    assert status == 1
    assert receipts
    assert account not in {one["account"] for one in receipts}
    wanted = f"error: account {account} is left out: s3://{split.buckets[1]}/AWSLogs/{account}/: "
    assert wanted + "cannot be listed (AccessDenied: injected). Allow it" in said

    status, _, said = convert(split.source, lake, "--account", account, scratch=tmp_path)
    assert (status, wanted in said) == (1, True)
    others = sorted({one["account"] for one in receipts})
    status, _, said = convert(split.source, lake, "--account", others[0], scratch=tmp_path)
    assert status == 0, said
    with pytest.raises(RefusedError, match=f"/{account}/: cannot be listed"):
        cloudtrail_parquet.convert(split.source, lake)
    outcomes = cloudtrail_parquet.convert(split.source, lake, accounts=others, only="all")
    assert {one.unit.account for one in outcomes if one.receipt} == set(others)

    proxy.clear()
    status, receipts, said = convert(split.source, lake, scratch=tmp_path)
    assert status == 0, said
    assert account in {one["account"] for one in receipts}


@pytest.mark.slow
def test_a_bucket_receives_records_as_log_files_and_they_are_converted_from_there(
    tmp_path: Path, new_bucket: Callable[[], str], s3: S3Client
) -> None:
    generate_tree(tmp_path / "logs", SPEC)
    status, *_ = convert(str(tmp_path / "logs"), str(tmp_path / "lake"), scratch=tmp_path)
    assert status == 0
    bucket = new_bucket()
    tree = open_store(f"s3://{bucket}/copy")

    written = list(write_tree(parts_to_export(open_store(tmp_path / "lake")), tree, 2))

    keys = objects(s3, bucket).keys()
    assert len(keys) == sum(each.files for each in written)
    assert all(key.startswith("copy/AWSLogs/") for key in keys)
    status, *_ = convert(f"s3://{bucket}/copy", str(tmp_path / "again"), scratch=tmp_path)
    assert status == 0
    assert records(tmp_path / "again") == records(tmp_path / "lake")
