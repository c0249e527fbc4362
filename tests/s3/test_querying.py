"""Questions to a dataset in a bucket: what is requested, and what happens when that goes wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import run, succeed
from tests.layouts import convert_in
from tests.s3.faults import FaultProxy, error

SPEC = TreeSpec(accounts=2, regions=1, days=3, records=300)
SQL = "SELECT eventID, eventName, day FROM cloudtrail ORDER BY ALL"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("querying")
    generate_tree(folder / "logs", SPEC)
    return convert_in("account/region/year/month/day", folder / "logs", folder / "cloudtrail")


@pytest.fixture
def uri(dataset: Path, s3: S3Client, new_bucket: Callable[[], str]) -> str:
    """The same dataset in a bucket."""
    bucket = new_bucket()
    for path in dataset.rglob("*.parquet"):
        key = f"lake/{path.relative_to(dataset).as_posix()}"
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    return f"s3://{bucket}/lake?region=us-east-1"


@pytest.mark.parametrize("options", [[], ["--day", "2026-01-11"], ["--from", "2026-01-11"]])
def test_a_bucket_gives_the_rows_that_a_disk_gives(
    dataset: Path, uri: str, options: list[str]
) -> None:
    expected = succeed("query", dataset, SQL, "--format", "csv", *options)

    assert succeed("query", uri, SQL, "--format", "csv", *options) == expected


def test_only_ranges_of_the_parts_that_are_asked_for_are_requested(
    dataset: Path, uri: str, proxy: FaultProxy
) -> None:
    (account, *_) = sorted(path.name.removeprefix("account=") for path in dataset.iterdir())

    text = succeed(
        "query", uri, SQL, "--day", "2026-01-11", "--account", account, "--format", "json"
    )

    rows = list(map(json.loads, text.splitlines()))
    listed = [request for request in proxy.requests if request.lists]
    read = [request for request in proxy.requests if not request.lists]
    assert {row["day"] for row in rows} == {11}
    assert {request.method for request in read} == {"GET"}
    assert all(f"/account={account}/" in one.path and "/day=11/" in one.path for one in read)
    assert all("range" in request.headers for request in read)
    assert not any("day=10" in str(one.query) or "day=12" in str(one.query) for one in listed)
    parts = list(dataset.rglob(f"account={account}/**/day=11/*.parquet"))
    assert len(read) <= 3 * len(parts)


def test_a_part_that_cannot_be_read_is_named(uri: str, proxy: FaultProxy) -> None:
    proxy.add(error(403, "AccessDenied", method="GET", path=r"\.parquet$"))

    done = run("query", uri, SQL)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"^error: s3://.*/part-\d+\.parquet: ", done.stderr)
    assert done.stderr.count("\n") == 1


def test_what_passes_by_itself_is_asked_again(uri: str, proxy: FaultProxy) -> None:
    expected = succeed("query", uri, SQL)
    proxy.add(error(503, "SlowDown", method="GET", path=r"\.parquet$", times=3))

    assert succeed("query", uri, SQL) == expected


def test_a_bucket_without_a_dataset_is_a_mistake(new_bucket: Callable[[], str]) -> None:
    done = run("query", f"s3://{new_bucket()}/lake?region=us-east-1", SQL)

    assert done.returncode == 2
    assert "holds no parts of a dataset. Name the folder that convert has" in done.stderr
