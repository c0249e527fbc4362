"""What is written appears whole or not at all, and nothing is left behind."""

import hashlib
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.storage import Store, open_store
from tests.s3.faults import Fault, FaultProxy, error

MIB = 1 << 20
PART = "account=1/region=a/year=2026/month=01/day=10/part-00000.parquet"
LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
KILLED = """
import os, signal, sys
from pathlib import Path
from cloudtrail_parquet.storage import open_store

staging = open_store("s3://bucket", staging=Path(sys.argv[1])).staging().__enter__()
staging.create("a").write(b"x")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def store(bucket: str, scratch: Path) -> Store:
    return open_store(f"s3://{bucket}?retries=2", staging=scratch)


def publish(store: Store, data: bytes, key: str = PART) -> None:
    with store.staging() as staging:
        with staging.create(key) as sink:
            sink.write(data)
        staging.publish([key])


def unfinished(s3: S3Client, bucket: str) -> list[str]:
    return [one["Key"] for one in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


@pytest.mark.parametrize(("size", "parts"), [(0, 0), (16 * MIB, 0), (16 * MIB + 1, 3)])
def test_a_large_part_is_uploaded_in_pieces(  # noqa: PLR0913, PLR0917
    store: Store, proxy: FaultProxy, bucket: str, s3: S3Client, size: int, parts: int
) -> None:
    data = os.urandom(size)

    publish(store, data)

    assert proxy.count("PUT", query="partNumber") == parts
    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == data
    assert unfinished(s3, bucket) == []


def test_what_is_sent_comes_with_its_checksum(store: Store, proxy: FaultProxy) -> None:
    data = bytes(17 * MIB)
    publish(store, data)
    store.write("small", b"x")

    sums = [request.headers["x-amz-checksum-sha256"] for request in proxy.seen("PUT")]
    pieces = [data[at : at + 8 * MIB] for at in range(0, len(data), 8 * MIB)]
    assert sorted(sums) == sorted(
        b64encode(hashlib.sha256(piece).digest()).decode() for piece in [*pieces, b"x"]
    )


@pytest.mark.parametrize(
    "fault",
    [
        error(503, "SlowDown", times=2),
        error(500, "InternalError", query="partNumber", times=2),
        error(200, "InternalError", method="POST", query="uploadId", times=1),
        Fault(method="PUT", lost="before", times=2),
        Fault(method="PUT", lost="after", times=1),
        Fault(method="POST", query="uploadId", lost="after", times=1),
    ],
    ids=["busy", "part", "completion", "broken", "answer-lost", "completion-lost"],
)
@pytest.mark.parametrize("size", [1000, 17 * MIB])
def test_what_passes_is_survived(  # noqa: PLR0913, PLR0917
    store: Store, proxy: FaultProxy, bucket: str, s3: S3Client, fault: Fault, size: int
) -> None:
    proxy.add(Fault(**vars(fault)))
    data = os.urandom(size)

    publish(store, data)

    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == data
    assert unfinished(s3, bucket) == []


@pytest.mark.parametrize(
    "fault",
    [
        error(403, "AccessDenied", method="PUT"),
        error(500, "InternalError", method="PUT"),
        error(500, "InternalError", method="PUT", when=lambda one: one.query["partNumber"] == "3"),
        Fault(method="PUT", lost="before"),
        error(403, "AccessDenied", method="POST", query="uploadId"),
        error(500, "InternalError", method="POST", query="uploadId"),
        error(200, "InternalError", method="POST", query="uploadId"),
        error(403, "AccessDenied", method="POST", query="uploads"),
    ],
    ids=[
        *("refused", "failing", "last", "broken"),
        *("end-refused", "end-failing", "end-failing-late", "begin-refused"),
    ],
)
def test_a_failed_upload_leaves_the_old_object_and_nothing_else(  # noqa: PLR0913, PLR0917
    store: Store, proxy: FaultProxy, bucket: str, s3: S3Client, scratch: Path, fault: Fault
) -> None:
    store.write(PART, b"old")
    proxy.add(Fault(**vars(fault)))

    with pytest.raises(StorageError, match=f"{PART}: cannot be written"):
        publish(store, bytes(17 * MIB))

    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == b"old"
    assert unfinished(s3, bucket) == []
    assert not scratch.exists()


def test_parts_wait_in_a_folder_and_make_room_when_published(store: Store, scratch: Path) -> None:
    with store.staging() as staging:
        for key in "ab":
            staging.create(key).write(bytes(MIB))
        staging.publish("a", None)

        left = [path for path in scratch.rglob("*") if path.is_file()]
        assert len(left) == 1
    assert not scratch.exists()


def test_the_same_part_may_be_begun_again(store: Store) -> None:
    with store.staging() as staging:
        for key, data in (("a", b"1"), ("a", b"2"), ("b", b"3")):
            with staging.create(key) as sink:
                sink.write(data)
        staging.publish(["a", "b"])

    assert (store.read("a"), store.read("b")) == (b"2", b"3")


def test_what_a_killed_process_left_is_removed_by_the_next(store: Store, scratch: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(LAMBDA_SRC)}
    subprocess.run([sys.executable, "-c", KILLED, str(scratch)], env=environment, check=False)
    (left,) = scratch.iterdir()

    with store.staging(), store.staging():
        folders = list(scratch.iterdir())
        assert len(folders) == 2  # those in use are left alone
        assert left not in folders
    assert not scratch.exists()


def test_many_objects_are_deleted_in_one_request(store: Store, proxy: FaultProxy) -> None:
    for key in "abc":
        store.write(key, b"x")
    proxy.clear()

    store.delete(["a", "b", "not/there"])
    store.delete([])

    assert len(proxy.requests) == 1
    assert [entry.key for entry in store.files("")] == ["c"]


def test_an_object_that_may_not_be_deleted_is_told(store: Store, proxy: FaultProxy) -> None:
    said = (
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code>"
        b"<Message>No.</Message></Error></DeleteResult>"
    )
    refused = error(200, "").answer
    assert refused is not None
    refused.body = said
    proxy.add(Fault(method="POST", answer=refused))

    with pytest.raises(StorageError, match=r"cannot be deleted \(AccessDenied: No\.\)\. Allow it"):
        store.delete(["a"])


@pytest.mark.parametrize("lost", ["before", "after"])
def test_objects_are_deleted_when_a_connection_breaks(
    store: Store, proxy: FaultProxy, lost: str
) -> None:
    for key in "abc":
        store.write(key, b"x")
    proxy.add(Fault(method="POST", lost=lost, times=2))

    store.delete(["a", "b"])

    assert [entry.key for entry in store.files("")] == ["c"]


def test_a_connection_that_always_breaks_is_told(store: Store, proxy: FaultProxy) -> None:
    proxy.add(Fault(method="POST", lost="before"))

    with pytest.raises(StorageError, match="a: cannot be deleted"):
        store.delete(["a"])

    assert proxy.count("POST") == 3
