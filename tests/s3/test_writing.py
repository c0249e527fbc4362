"""What is written appears whole or not at all, and nothing is left behind."""

import hashlib
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.storage import Store, open_store
from tests.s3.faults import Fault, FaultProxy, Request, error

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


def publish(store: Store, data: bytes, key: str = PART, version: str | None = None) -> None:
    with store.staging() as staging:
        with staging.create(key) as sink:
            sink.write(data)
        staging.publish(key, version)


def version_of(store: Store, key: str = PART) -> str:
    found = store.look(key)
    assert found is not None
    return found.version


@pytest.mark.parametrize("size", [0, 1000, 16 * MIB + 1, 64 * MIB])
def test_a_part_is_one_request_however_large_it_is(
    store: Store, proxy: FaultProxy, bucket: str, s3: S3Client, size: int
) -> None:
    data = os.urandom(size)

    publish(store, data)

    (put,) = proxy.requests
    assert (put.method, put.query, put.headers["if-none-match"]) == ("PUT", {}, "*")
    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == data


def test_what_is_sent_comes_with_its_checksum(store: Store, proxy: FaultProxy) -> None:
    data = bytes(17 * MIB)
    publish(store, data)
    store.swap("swapped", b"y", None)
    store.write("small", b"x")

    sums = [request.headers["x-amz-checksum-sha256"] for request in proxy.seen("PUT")]
    assert sums == [
        b64encode(hashlib.sha256(sent).digest()).decode() for sent in (data, b"y", b"x")
    ]


def test_a_part_replaces_the_version_that_was_seen(store: Store, proxy: FaultProxy) -> None:
    publish(store, b"old")
    seen = version_of(store)

    publish(store, b"new", version=seen)

    assert proxy.requests[-1].headers["if-match"].strip('"') == seen.strip('"')
    assert store.read(PART) == b"new"


def without_quotes(request: Request) -> bool:
    """Whether Ceph 18 would refuse it: it compares entity tags as they are kept."""
    return request.headers.get("if-match", "").startswith('"')


def test_a_server_that_compares_tags_without_quotes_is_understood_and_remembered(
    store: Store, proxy: FaultProxy
) -> None:
    proxy.add(error(412, "PreconditionFailed", when=without_quotes))
    publish(store, b"first")

    with proxy.recorded() as requests:
        publish(store, b"second", version=version_of(store))
        publish(store, b"third", version=version_of(store))
        store.remove(PART, version_of(store))

    asked = [(one.method, one.status) for one in requests if one.method != "GET"]
    assert asked == [("PUT", 412), ("HEAD", 200), ("PUT", 200), ("PUT", 200), ("DELETE", 204)]
    assert list(store.files("")) == []


def test_a_removal_finds_out_how_tags_are_compared_as_well(store: Store, proxy: FaultProxy) -> None:
    proxy.add(error(412, "PreconditionFailed", when=without_quotes))
    publish(store, b"first")

    store.remove(PART, version_of(store))

    assert [one.status for one in proxy.seen("DELETE")] == [412, 204]
    assert list(store.files("")) == []


def test_what_is_refused_for_its_version_is_not_asked_again_without_quotes(
    store: Store, proxy: FaultProxy
) -> None:
    publish(store, b"old")
    seen = version_of(store)
    store.write(PART, b"newer")
    proxy.clear()

    with pytest.raises(StorageError, match="the lease was lost"):
        publish(store, b"older", version=seen)

    assert [one.headers["if-match"] for one in proxy.seen("PUT")] == [seen]
    assert store.read(PART) == b"newer"


@pytest.mark.parametrize("before", [b"old", None])
def test_a_part_that_somebody_else_has_replaced_is_left_alone(
    store: Store, before: bytes | None
) -> None:
    seen = None
    if before is not None:
        store.write(PART, before)
        seen = version_of(store)
    store.write(PART, b"newer")

    with pytest.raises(StorageError, match=f"{PART}: the lease was lost"):
        publish(store, b"older", version=seen)

    assert store.read(PART) == b"newer"


def test_a_part_that_somebody_else_has_removed_is_not_put_again(store: Store) -> None:
    store.write(PART, b"old")
    seen = version_of(store)
    store.delete([PART])

    with pytest.raises(StorageError, match=f"{PART}: the lease was lost"):
        publish(store, b"older", version=seen)

    assert store.read_if_there(PART) is None


# What goes wrong on the way.


def said_busy(**chosen: Any) -> Fault:  # noqa: ANN401 - fields of a fault
    """The server does what it was asked for and says that it could not."""
    busy = error(503, "SlowDown").answer
    return Fault(method="PUT", lost="after", answer=busy, times=1, **chosen)


@pytest.mark.parametrize(
    "fault",
    [
        error(503, "SlowDown", times=2),
        error(500, "InternalError", method="PUT", times=2),
        Fault(method="PUT", lost="before", times=2),
        Fault(method="PUT", lost="after", times=1),
        said_busy(),
    ],
    ids=["busy", "failing", "broken", "answer-lost", "said-busy"],
)
@pytest.mark.parametrize("size", [1000, 17 * MIB])
@pytest.mark.parametrize("before", [b"old", None])
def test_what_passes_is_survived(  # noqa: PLR0913, PLR0917
    store: Store,
    proxy: FaultProxy,
    bucket: str,
    s3: S3Client,
    fault: Fault,
    size: int,
    before: bytes | None,
) -> None:
    seen = None
    if before is not None:
        store.write(PART, before)
        seen = version_of(store)
    proxy.add(Fault(**vars(fault)))
    data = os.urandom(size)

    publish(store, data, version=seen)

    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == data


@pytest.mark.parametrize("fault", [Fault(method="PUT", lost="after", times=1), said_busy()])
def test_what_was_swapped_without_an_answer_is_known_for_ours_by_its_content(
    store: Store, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.add(Fault(**vars(fault)))

    first = store.swap("receipt.json", b"one", None)
    assert first == version_of(store, "receipt.json")

    proxy.add(Fault(**vars(fault)))
    second = store.swap("receipt.json", b"two", first)
    assert second == version_of(store, "receipt.json") != first


@pytest.mark.parametrize("seen", [b"old", None])
def test_what_another_run_has_put_meanwhile_is_not_taken_for_ours(
    bucket: str, store: Store, proxy: FaultProxy, s3: S3Client, seen: bytes | None
) -> None:
    version = None
    if seen is not None:
        store.write("receipt.json", seen)
        version = version_of(store, "receipt.json")

    def put_by_another(_: Request) -> bool:
        s3.put_object(Bucket=bucket, Key="receipt.json", Body=b"theirs")
        return True

    proxy.add(Fault(method="PUT", lost="before", when=put_by_another, times=1))

    with pytest.raises(StorageError, match=r"receipt\.json: the lease was lost"):
        store.swap("receipt.json", b"ours", version)

    assert store.read("receipt.json") == b"theirs"


@pytest.mark.parametrize(
    "fault",
    [
        error(403, "AccessDenied", method="PUT"),
        error(500, "InternalError", method="PUT"),
        Fault(method="PUT", lost="before"),
    ],
    ids=["refused", "failing", "broken"],
)
def test_a_failed_upload_leaves_the_old_object_and_nothing_else(  # noqa: PLR0913, PLR0917
    store: Store, proxy: FaultProxy, bucket: str, s3: S3Client, scratch: Path, fault: Fault
) -> None:
    store.write(PART, b"old")
    seen = version_of(store)
    proxy.add(Fault(**vars(fault)))

    with pytest.raises(StorageError, match=f"{PART}: cannot be written"):
        publish(store, bytes(17 * MIB), version=seen)

    assert s3.get_object(Bucket=bucket, Key=PART)["Body"].read() == b"old"
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
        staging.publish("a", None)
        staging.publish("b", None)

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
