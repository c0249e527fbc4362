"""The status of a dataset in a bucket: what is requested."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import run
from tests.layouts import convert_in
from tests.s3.faults import FaultProxy, error

SPEC = TreeSpec(accounts=2, regions=2, days=3, records=120)


@pytest.fixture
def uri(tmp_path: Path, s3: S3Client, new_bucket: Callable[[], str]) -> str:
    """A dataset and its state in a bucket."""
    generate_tree(tmp_path / "logs", SPEC)
    convert_in("account/region/year/month/day", tmp_path / "logs", tmp_path / "lake")
    bucket = new_bucket()
    for path in tmp_path.rglob("lake*/**/*"):
        if path.is_file():
            key = path.relative_to(tmp_path).as_posix()
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    return f"s3://{bucket}/lake?region=us-east-1"


def asked(proxy: FaultProxy, *command: object) -> tuple[str, Counter[str]]:
    """What a command prints, and the requests that it makes."""
    proxy.requests.clear()
    done = run(*command)
    kinds = Counter("LIST" if one.lists else one.method for one in proxy.requests)
    return done.stdout, kinds


def test_receipts_are_read_once_and_the_ledger_from_then_on(uri: str, proxy: FaultProxy) -> None:
    command = ("status", uri, "--to", "2026-01-13", "--no-parts", "--json")

    first, before = asked(proxy, *command)
    second, after = asked(proxy, *command)

    assert first == second
    assert '"state": "converted"' in first
    receipts = 4 * 4  # of three days and the one after, whose window holds their last log files
    assert before["GET"] - after["GET"] >= receipts - 2
    assert before["PUT"] == 2, "a month and the note"
    assert after["PUT"] <= 1, "the note"
    assert after["LIST"] <= 8 + 4 * 2


def test_who_may_only_read_is_told_the_same(uri: str, proxy: FaultProxy) -> None:
    for method in ("PUT", "DELETE", "POST"):
        proxy.add(error(403, "AccessDenied", method=method))
    command = ("status", uri, "--to", "2026-01-13", "--json")

    first, second = run(*command), run(*command)

    assert first == second
    assert first.returncode == 0
    assert '"state": "converted"' in first.stdout
    assert first.stderr.startswith("the ledger was not stored: ")
    assert "each status reads all receipts" in first.stderr
    assert "AccessDenied" in first.stderr
    assert len(first.stderr.splitlines()) == 1


def test_who_may_not_list_the_state_is_told_what_is_lacking(uri: str, proxy: FaultProxy) -> None:
    denied = error(403, "AccessDenied", when=lambda one: ".state" in str((one.path, one.query)))
    proxy.add(denied)

    done = run("status", uri, "--to", "2026-01-13")

    assert done.returncode == 2
    assert ".state" in done.stderr
    assert "cannot be read (AccessDenied" in done.stderr
