"""Objects that are not there, where S3 does not say so: it tells only who may list the bucket."""

from collections.abc import Callable

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.errors import RefusedError, StorageError
from cloudtrail_parquet.storage import Store, open_store
from tests.s3.faults import Fault, FaultProxy, Request, error, only_below

KEY = "receipts/day=10.json"


@pytest.fixture
def put(s3: S3Client, bucket: str) -> Callable[..., None]:
    def put(*keys: str, body: bytes = b"1") -> None:
        for key in keys:
            s3.put_object(Bucket=bucket, Key=f"x/{key}", Body=body)

    return put


@pytest.fixture
def store(bucket: str, proxy: FaultProxy) -> Store:
    """A place of which the bucket may be listed and no more."""
    proxy.add(*only_below(f"/{bucket}/x/"))
    return open_store(f"s3://{bucket}/x?retries=1")


@pytest.mark.parametrize(
    "others",
    [
        [],
        ["receipts/day=09.json", "receipts/day=11.json"],
        [KEY + "x", KEY + "/b", KEY[:-1], KEY[:-1] + "m"],
        ["receipts", "receiptt/day=10.json", "receipts/day=10/x.json"],
    ],
)
def test_an_object_that_is_not_there_is_told_from_one_that_is_refused(
    store: Store, proxy: FaultProxy, put: Callable[..., None], others: list[str]
) -> None:
    put(*others)

    assert store.read_if_there(KEY) is None
    assert [request.lists for request in proxy.requests] == [False, True]

    put(KEY)

    assert store.read_if_there(KEY) == b"1"
    assert proxy.count() == 3  # nothing more is asked about what is there


@pytest.mark.amazon("pages that the proxy shortens")
def test_few_keys_are_listed_to_find_that_one_is_not_there(
    store: Store, proxy: FaultProxy, put: Callable[..., None]
) -> None:
    put(*(f"receipts/day={day:02d}.json" for day in range(1, 32) if day != 10))
    proxy.page_size = 2

    assert store.read_if_there(KEY) is None
    assert len([request for request in proxy.requests if request.lists]) == 1


@pytest.mark.parametrize("may_list", [True, False])
def test_an_object_that_is_refused_is_an_error(
    store: Store, proxy: FaultProxy, put: Callable[..., None], *, may_list: bool
) -> None:
    put(KEY[:-1] + "m", KEY)
    proxy.clear()
    proxy.add(error(403, "AccessDenied", "Not yours.", path=KEY))
    if not may_list:
        proxy.add(error(403, "AccessDenied", "No list.", query="list-type"))

    with pytest.raises(RefusedError, match=rf"{KEY}: cannot be read \(AccessDenied: Not yours"):
        store.read_if_there(KEY)

    assert proxy.count() == (4 if may_list else 2)


def test_where_nothing_may_be_listed_an_object_may_be_there(
    bucket: str, store: Store, proxy: FaultProxy
) -> None:
    proxy.clear()
    proxy.add(*only_below(f"/{bucket}/another/"))

    with pytest.raises(RefusedError, match="AccessDenied"):
        store.read_if_there(KEY)


def test_an_object_that_comes_while_it_is_looked_for_is_read(
    store: Store, proxy: FaultProxy, put: Callable[..., None]
) -> None:
    def comes(request: Request) -> bool:
        if request.lists:
            put(KEY, body=b"2")
        return False

    proxy.clear()
    proxy.add(Fault(when=comes), error(403, "AccessDenied", path=KEY, times=1))

    assert store.read_if_there(KEY) == b"2"


def test_an_object_that_is_another_one_each_time_is_looked_for_until_it_is_read(
    store: Store, proxy: FaultProxy, put: Callable[..., None]
) -> None:
    numbers = iter(range(10))

    def comes(request: Request) -> bool:
        if request.lists:
            put(KEY, body=b"%d" % next(numbers))
        return False

    proxy.clear()
    proxy.add(Fault(when=comes), error(403, "AccessDenied", path=KEY, times=4))

    assert store.read_if_there(KEY) == b"3"


@pytest.mark.parametrize(
    ("status", "code"), [(403, "InvalidAccessKeyId"), (400, "ExpiredToken"), (503, "SlowDown")]
)
@pytest.mark.parametrize("asked", ["the object", "the listing"])
def test_what_is_wrong_otherwise_is_no_sign_of_absence(
    store: Store, proxy: FaultProxy, status: int, code: str, asked: str
) -> None:
    proxy.clear()
    if asked == "the listing":
        proxy.add(error(403, "AccessDenied", path=KEY))
    proxy.add(error(status, code))

    with pytest.raises(StorageError, match=rf"{KEY}: cannot be read \({code}"):
        store.read_if_there(KEY)
