"""A dataset in a bucket, below a folder that looks like one of a partition column."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.reference.ddl import render
from tests.end_to_end.trees import deliver, event
from tests.layouts import convert_in


@pytest.mark.slow
def test_polars_reads_a_bucket_with_the_code_that_is_printed(
    tmp_path: Path,
    new_bucket: Callable[[], str],
    s3: S3Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    deliver(tmp_path / "logs", event("a"), event("b"))
    dataset = convert_in("account/region/year/month/day", tmp_path / "logs", tmp_path / "dataset")
    bucket, prefix = new_bucket(), "env=prod/cloudtrail"
    for path in dataset.rglob("*.parquet"):
        key = f"{prefix}/{path.relative_to(dataset)}"
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    names: dict[str, Any] = {}

    exec(render("polars").replace("DATASET", f"s3://{bucket}/{prefix}"), names)  # noqa: S102

    rows = names["cloudtrail"].select("account", "year", "eventID").sort("eventID").collect().rows()
    assert rows == [("012345678901", 2026, "a"), ("012345678901", 2026, "b")]
