"""Leases in a bucket: one holder at a time, whatever the server and the other holders do."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.storage import ObjectStore, Store, open_store
from cloudtrail_parquet.storage.leases import ObjectLease
from tests.s3.faults import Fault, FaultProxy, Request, error, every, only_below

LEASE = "leases/units/account=1/region=a.json"


@pytest.fixture
def store(bucket: str) -> ObjectStore:
    opened = open_store(f"s3://{bucket}?retries=1")
    assert isinstance(opened, ObjectStore)
    return opened


def keys(store: Store) -> list[str]:
    return [entry.key for entry in store.files("")]


def put_lease(s3: S3Client, bucket: str, ends_s: float, seconds: float) -> None:
    """A lease of somebody else, put now, that ends so many seconds from now by their clock."""
    expires = datetime.now(UTC) + timedelta(seconds=ends_s)
    content = {"holder": "somebody", "expires": expires.isoformat(), "seconds": seconds}
    s3.put_object(Bucket=bucket, Key=LEASE, Body=json.dumps(content).encode())


def after(condition: Callable[[], bool], at_most_s: float = 10) -> None:
    deadline = time.monotonic() + at_most_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_lost(lease: ObjectLease) -> bool:
    try:
        lease.check()
    except StorageError:
        return True
    return False


@pytest.mark.slow
def test_of_64_holders_one_at_a_time_holds_a_lease(bucket: str, store: ObjectStore) -> None:
    inside: list[int] = []
    most: list[int] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            with open_store(f"s3://{bucket}").lease(LEASE, 120, 900) as lease:
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                lease.check()
                inside.pop()
        except Exception as error:  # noqa: BLE001 - a thread's errors are nobody's
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert most == [1] * 64
    assert keys(store) == []


def test_a_waiting_run_asks_less_than_twice_a_second(
    bucket: str, store: ObjectStore, proxy: FaultProxy, s3: S3Client
) -> None:
    put_lease(s3, bucket, 900, 900)

    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 4, 900):
        pass

    assert 4 <= len(proxy.requests) < 2 * 4
    assert {request.method for request in proxy.requests[2:]} == {"GET"}


# Time.


def test_a_lease_is_renewed_while_it_is_held(store: ObjectStore, proxy: FaultProxy) -> None:
    with store.lease(LEASE, 0, 1.5) as lease:
        first = json.loads(store.read(LEASE))
        time.sleep(2)
        lease.check()
        last = json.loads(store.read(LEASE))

    assert first["holder"] == last["holder"]
    expires = [datetime.fromisoformat(one["expires"]) for one in (first, last)]
    assert expires[1] - expires[0] > timedelta(seconds=1.2)
    renewals = [request for request in proxy.seen("PUT") if "if-match" in request.headers]
    assert 3 <= len(renewals) <= 6
    assert keys(store) == []


@pytest.mark.slow
def test_a_lease_held_for_long_is_not_taken_over(bucket: str, store: ObjectStore) -> None:
    with store.lease(LEASE, 0, 1) as lease:
        with pytest.raises(LeaseTimeoutError), open_store(f"s3://{bucket}").lease(LEASE, 8, 1):
            pass
        lease.check()


@pytest.mark.parametrize(
    ("ends_s", "seconds", "taken"),
    [
        (-7, -7, True),
        (-3, -3, False),  # clocks differ a little
        (-3600, 900, False),  # the holder's clock is behind the store's
        (900, -7, False),
    ],
)
def test_a_lease_is_taken_over_when_it_has_expired_by_all_clocks(  # noqa: PLR0913
    bucket: str, store: ObjectStore, s3: S3Client, ends_s: float, seconds: float, *, taken: bool
) -> None:
    put_lease(s3, bucket, ends_s, seconds)

    if taken:
        with store.lease(LEASE, 0, 900) as lease:
            lease.check()
        assert keys(store) == []
    else:
        with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
            pass


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"{}", b'{"expires": 5, "seconds": 0}'])
def test_what_is_no_lease_is_left_alone_for_as_long_as_one(
    bucket: str, store: ObjectStore, s3: S3Client, body: bytes
) -> None:
    s3.put_object(Bucket=bucket, Key=LEASE, Body=body)

    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass
    with store.lease(LEASE, 0, -10):
        pass


# Losing it.


@contextmanager
def lost_at_its_end(lease: ObjectLease) -> Iterator[None]:
    lease.__enter__()
    yield
    with pytest.raises(StorageError, match=f"{LEASE}: the lease was lost"):
        lease.__exit__(None, None, None)


def test_a_lease_that_another_holder_took_is_lost_and_left_to_them(
    bucket: str, store: ObjectStore, s3: S3Client
) -> None:
    lease = store.lease(LEASE, 0, 0.9)
    with lost_at_its_end(lease):
        lease.check()
        put_lease(s3, bucket, 900, 900)
        after(lambda: is_lost(lease))

    assert json.loads(store.read(LEASE))["holder"] == "somebody"


def test_a_lease_that_was_removed_is_lost(bucket: str, store: ObjectStore, s3: S3Client) -> None:
    lease = store.lease(LEASE, 0, 0.9)
    with lost_at_its_end(lease):
        s3.delete_object(Bucket=bucket, Key=LEASE)
        after(lambda: is_lost(lease))


def test_a_lease_that_cannot_be_renewed_in_time_is_lost(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    lease = store.lease(LEASE, 0, 0.9)
    with lost_at_its_end(lease):
        proxy.add(error(503, "SlowDown"))
        assert not is_lost(lease)
        after(lambda: is_lost(lease))


def test_a_renewal_that_fails_is_tried_again(store: ObjectStore, proxy: FaultProxy) -> None:
    with store.lease(LEASE, 0, 6) as lease:
        proxy.add(error(403, "AccessDenied", method="PUT", times=2))
        after(lambda: proxy.count("PUT") >= 1 + 3, at_most_s=4.5)  # by thirds: 4.8 s
        lease.check()

    assert keys(store) == []


def test_the_error_of_the_work_is_told_rather_than_that_of_the_lease(
    bucket: str, store: ObjectStore, s3: S3Client
) -> None:
    def work() -> None:
        with store.lease(LEASE, 0, 0.9) as lease:
            s3.delete_object(Bucket=bucket, Key=LEASE)
            after(lambda: is_lost(lease))
            raise KeyError

    with pytest.raises(KeyError):
        work()


def test_a_lease_that_cannot_be_given_back_is_no_error(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    with store.lease(LEASE, 0, 900):
        proxy.add(error(403, "AccessDenied", method="POST"))

    assert keys(store) == [LEASE]


# Where a missing lease is forbidden: S3 tells only who may list the bucket that there is none.


@pytest.fixture
def narrowed(bucket: str, store: ObjectStore, proxy: FaultProxy) -> ObjectStore:
    """The same place, of which only the leases may be listed."""
    proxy.add(*only_below(f"/{bucket}/leases/"))
    return store


def test_an_expired_lease_is_taken_over_where_a_missing_one_is_forbidden(
    bucket: str, narrowed: ObjectStore, s3: S3Client
) -> None:
    put_lease(s3, bucket, -7, -7)

    for _ in range(2):
        with narrowed.lease(LEASE, 0, 900) as lease:
            lease.check()
            with pytest.raises(LeaseTimeoutError), narrowed.lease(LEASE, 0, 900):
                pass

    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_lease_given_back_while_it_was_waited_for_is_taken_where_a_missing_one_is_forbidden(
    bucket: str, narrowed: ObjectStore, s3: S3Client
) -> None:
    put_lease(s3, bucket, 900, 900)
    waiting = threading.Timer(0.1, s3.delete_object, kwargs={"Bucket": bucket, "Key": LEASE})
    waiting.start()

    with narrowed.lease(LEASE, 10, 900) as lease:
        lease.check()


def test_an_expired_lease_removed_by_another_is_taken_where_a_missing_one_is_forbidden(
    bucket: str, narrowed: ObjectStore, proxy: FaultProxy, s3: S3Client
) -> None:
    def remove(request: Request) -> bool:
        if "if-match" in request.headers:
            s3.delete_object(Bucket=bucket, Key=LEASE)
        return False

    put_lease(s3, bucket, -7, -7)
    proxy.clear()
    proxy.add(Fault(when=remove), *only_below(f"/{bucket}/leases/"))

    with narrowed.lease(LEASE, 5, 900) as lease:
        lease.check()

    replaced = [request for request in proxy.seen("PUT") if "if-match" in request.headers]
    assert [request.status for request in replaced] in ([403], [412])  # 412 of Ceph


def test_a_lease_that_was_removed_is_lost_where_a_missing_one_is_forbidden(
    bucket: str, narrowed: ObjectStore, s3: S3Client
) -> None:
    lease = narrowed.lease(LEASE, 0, 6)
    with lost_at_its_end(lease):
        s3.delete_object(Bucket=bucket, Key=LEASE)
        after(lambda: is_lost(lease), at_most_s=4)  # by its renewal: it expires later


@pytest.mark.slow
def test_of_16_holders_one_at_a_time_holds_a_lease_where_a_missing_one_is_forbidden(
    narrowed: ObjectStore,
) -> None:
    inside: list[int] = []

    def work(_: int) -> int:
        with narrowed.lease(LEASE, 120, 900):
            inside.append(1)
            most = len(inside)
            time.sleep(0.01)
            inside.pop()
            return most

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(work, range(16))) == [1] * 16


# Answers that do not come.


def lost_answers() -> list[Fault]:
    executed = Fault(method="PUT", lost="after", times=1)
    busy = error(500, "InternalError").answer
    return [executed, replace(executed, answer=busy)]


@pytest.mark.parametrize("fault", lost_answers(), ids=["broken", "said-busy"])
def test_a_lease_whose_answer_was_lost_is_held(
    store: ObjectStore, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.add(replace(fault))

    with store.lease(LEASE, 0, 900) as lease:
        lease.check()
        with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
            pass

    assert keys(store) == []


@pytest.mark.parametrize("fault", lost_answers(), ids=["broken", "said-busy"])
def test_a_lease_is_still_held_when_the_answer_of_a_renewal_was_lost(
    store: ObjectStore, proxy: FaultProxy, fault: Fault
) -> None:
    with store.lease(LEASE, 0, 1.5) as lease:
        proxy.add(replace(fault))
        time.sleep(2)
        lease.check()

    assert keys(store) == []


# Connections that break.


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_connection_that_breaks_costs_no_lease(
    store: ObjectStore, proxy: FaultProxy, lost: str
) -> None:
    proxy.add(Fault(method="PUT", lost=lost, times=1), Fault(method="POST", lost=lost, times=1))

    with store.lease(LEASE, 0, 900) as lease:
        lease.check()
        with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
            pass

    assert keys(store) == []


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lease_is_taken_over_at_once_when_the_connection_breaks(
    bucket: str, store: ObjectStore, proxy: FaultProxy, s3: S3Client, lost: str
) -> None:
    put_lease(s3, bucket, -3600, -3600)
    takes_over = lambda request: "if-match" in request.headers  # noqa: E731
    proxy.add(Fault(method="PUT", when=takes_over, lost=lost, times=1))

    with store.lease(LEASE, 0, 900) as lease:
        lease.check()

    assert keys(store) == []


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lease_is_renewed_when_connections_break(
    store: ObjectStore, proxy: FaultProxy, lost: str
) -> None:
    with store.lease(LEASE, 0, 3) as lease:
        proxy.add(Fault(method="PUT", lost=lost, when=every(2)))
        time.sleep(4)
        lease.check()

    assert keys(store) == []


def test_what_a_broken_connection_may_have_removed_is_not_removed_from_its_next_holder(
    bucket: str, store: ObjectStore, proxy: FaultProxy, s3: S3Client
) -> None:
    def put_by_another(_: Request) -> bool:
        put_lease(s3, bucket, 900, 900)
        return False

    with store.lease(LEASE, 0, 900):
        proxy.add(
            Fault(method="POST", lost="after", times=1),
            Fault(method="GET", path=LEASE, when=put_by_another),
        )

    assert proxy.count("POST") == 1
    assert json.loads(store.read(LEASE))["holder"] == "somebody"


def test_another_holder_is_not_taken_for_oneself_when_a_connection_breaks(
    bucket: str, store: ObjectStore, proxy: FaultProxy, s3: S3Client
) -> None:
    def put_by_another(_: Request) -> bool:
        put_lease(s3, bucket, 900, 900)
        return True

    proxy.add(Fault(method="PUT", lost="before", when=put_by_another, times=1))

    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass

    assert json.loads(store.read(LEASE))["holder"] == "somebody"
