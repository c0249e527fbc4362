"""Sources in a bucket that are not whole delivered trees."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet import UsageError, convert, export
from tests.builders import ACCOUNT, REGION, log_file, log_key, record
from tests.s3.faults import FaultProxy

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
KEY = log_key(ACCOUNT, REGION, NOON)
NAME = KEY.rpartition("/")[2]


def event(name: str) -> dict[str, object]:
    return record(eventID=name, recipientAccountId=ACCOUNT)


def converted(source: str, lake: Path) -> list[str]:
    """The ids of all records, after a conversion and another one, with nothing to do."""
    for outcome in convert(source, lake):
        assert outcome.receipt, outcome.error
    assert list(convert(source, lake)) == []
    return sorted(json.loads(text)["eventID"] for text in export(lake))


def test_a_flat_prefix_with_files_of_any_name(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    s3.put_object(Bucket=bucket, Key=f"got/flat/{NAME}", Body=log_file(event("a")))
    s3.put_object(Bucket=bucket, Key="got/flat/x.json", Body=log_file(event("b")))
    s3.put_object(Bucket=bucket, Key="got/flat/", Body=b"")
    s3.put_object(Bucket=bucket, Key="got/flatter/y.json", Body=log_file(event("c")))

    assert converted(f"s3://{bucket}/got/flat?retries=1", tmp_path / "lake") == ["a", "b"]
    assert converted(f"s3://{bucket}/got/flat/{NAME}", tmp_path / "single") == ["a"]
    assert converted(f"s3://{bucket}/got/flat/x.json?retries=1", tmp_path / "other") == ["b"]


@pytest.mark.parametrize("levels", range(1, 6))
def test_a_folder_below_awslogs_is_that_part_of_the_tree(
    s3: S3Client, bucket: str, tmp_path: Path, levels: int, proxy: FaultProxy
) -> None:
    s3.put_object(Bucket=bucket, Key=f"org/{KEY}", Body=log_file(event("a")))
    other = log_key("123456789012", REGION, NOON)
    s3.put_object(Bucket=bucket, Key=f"org/{other}", Body=log_file(event("b")))
    folder = KEY.rsplit("/", levels)[0]

    assert converted(f"s3://{bucket}/org/{folder}/?retries=1", tmp_path / "lake") == ["a"]
    assert converted(f"s3://{bucket}/org/{KEY}", tmp_path / "single") == ["a"]
    prefixes = {seen.query["prefix"] for seen in proxy.requests if seen.lists}
    assert prefixes
    assert all(prefix.startswith(f"org/{folder}") for prefix in prefixes), prefixes


def test_a_prefix_without_anything_is_a_wrong_usage(bucket: str, tmp_path: Path) -> None:
    for folder in ("", "nothing", f"AWSLogs/{ACCOUNT}/CloudTrail"):
        with pytest.raises(UsageError, match="there are no files in it"):
            convert(f"s3://{bucket}/{folder}".rstrip("/"), tmp_path / "lake")
