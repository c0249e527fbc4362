"""Reading from a server that stumbles: what is tried again, how often, and what is said at last."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import ArchivedError, StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.settings.options import FetchOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.fetch import fetch
from cloudtrail_parquet.storage import Details, Store, Stores, open_store
from tests.builders import ACCOUNT, REGION, log_file, log_key, record
from tests.s3.faults import Answer, Fault, FaultProxy, Request, error, every

DATA = bytes(range(256)) * 8
KEY = "AWSLogs/a.json.gz"


@pytest.fixture
def store(bucket: str, s3: S3Client) -> Store:
    """A bucket with an object in it; a request is repeated three times."""
    s3.put_object(Bucket=bucket, Key=KEY, Body=DATA)
    return open_store(f"s3://{bucket}?retries=3")


@pytest.mark.parametrize(
    "fault",
    [
        error(503, "SlowDown", times=3),
        error(500, "InternalError", times=1),
        error(429, "TooManyRequests", times=1),
        Fault(lost="before", times=2),
        Fault(lost="after", times=2),
        Fault(keep_bytes=0, times=1),
        Fault(keep_bytes=1000, times=3),
        Fault(keep_bytes=2047, times=1),
    ],
    ids=["503", "500", "429", "lost-before", "lost-after", "none", "half", "nearly-all"],
)
@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.read(KEY),
        lambda store: store.read_if_there(KEY),
        lambda store: store.read_range(KEY, 0, 2048),
        lambda store: bytes(store.open(KEY).read()),
    ],
    ids=["read", "read_if_there", "read_range", "open"],
)
def test_what_passes_is_survived(
    store: Store, proxy: FaultProxy, fault: Fault, read: Callable[[Store], bytes]
) -> None:
    proxy.add(Fault(**vars(fault)))

    assert read(store) == DATA


def test_a_body_that_ends_early_again_and_again_is_given_up(
    store: Store, proxy: FaultProxy
) -> None:
    proxy.add(Fault(keep_bytes=100))

    with pytest.raises(StorageError, match=f"{KEY}: cannot be read .*body.*Run it again"):
        store.read(KEY)

    assert proxy.count("GET") == 3 * 4  # 3 times from the start, each time gone on with 3 times


def test_a_server_that_is_always_busy_is_given_up(store: Store, proxy: FaultProxy) -> None:
    proxy.add(error(503, "SlowDown", "Please reduce your request rate."))

    with pytest.raises(StorageError, match=r"SlowDown: Please reduce .*\. Run it again"):
        store.read(KEY)

    assert proxy.count() == 4
    waits = [
        later.at - earlier.at
        for earlier, later in zip(proxy.requests, proxy.requests[1:], strict=False)
    ]
    assert all(0.09 < wait < 1.5 for wait in waits)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDenied", "Allow it to these credentials"),
        (400, "ExpiredToken", "Renew the credentials"),
        (403, "InvalidAccessKeyId", "Check the credentials"),
        (403, "RequestTimeTooSkewed", "Set the clock"),
        (403, "InvalidObjectState", "restore"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.read(KEY),
        lambda store: store.write(KEY, b""),
        lambda store: store.folders("AWSLogs/"),
        lambda store: list(store.files("AWSLogs/")),
        lambda store: store.delete([KEY]),
        lambda store: store.lease("AWSLogs/", 0, 900).__enter__(),
    ],
    ids=["read", "write", "folders", "files", "delete", "lease"],
)
def test_a_refusal_is_told_at_once_with_what_to_do(  # noqa: PLR0913, PLR0917
    bucket: str,
    store: Store,
    proxy: FaultProxy,
    status: int,
    code: str,
    hint: str,
    ask: Callable[[Store], object],
) -> None:
    proxy.add(error(status, code, "It says why."))

    with pytest.raises(StorageError) as raised:
        ask(store)

    assert re.fullmatch(
        rf"s3://{bucket}/AWSLogs/\S*: cannot be \w+ \({code}: It says why\.\)\. .*{hint}.*",
        str(raised.value),
    )
    assert proxy.count() <= 3  # a lease that may have been made is looked for, and then listed


def test_a_refusal_without_a_body_is_told(store: Store, proxy: FaultProxy) -> None:
    proxy.add(Fault(method="HEAD", answer=error(403, "").answer))

    with pytest.raises(StorageError, match=r"403 Forbidden.*Allow it"):
        store.open(KEY)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.read("a"),
        lambda store: store.read_if_there("a"),
        lambda store: store.write("a", b""),
        lambda store: store.folders(""),
        lambda store: list(store.files("")),
        lambda store: store.delete(["a"]),
        lambda store: store.lease("a", 0, 900).__enter__(),
    ],
    ids=["read", "read_if_there", "write", "folders", "files", "delete", "lease"],
)
def test_a_bucket_that_is_not_there_is_told(ask: Callable[[Store], object]) -> None:
    with pytest.raises(StorageError, match=r"there is no such bucket.*Check the name"):
        ask(open_store("s3://there-is-none-of-this-name"))


@pytest.mark.parametrize("key", ["x//y", "x/../y", "x/./y"])
def test_keys_that_cannot_be_named_are_told_and_not_left_out(
    bucket: str, s3: S3Client, key: str
) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
    store = open_store(f"s3://{bucket}")

    with pytest.raises(StorageError, match="copy them elsewhere"):
        list(store.files(""))
    with pytest.raises(StorageError, match="copy them elsewhere"):
        store.read(key)


def test_an_object_replaced_while_it_is_read_is_read_as_one_of_the_two(
    bucket: str, store: Store, proxy: FaultProxy, s3: S3Client
) -> None:
    other = bytes(reversed(DATA)) + b"longer"

    def replace(request: Request) -> bool:
        if "range" in request.headers:
            s3.put_object(Bucket=bucket, Key=KEY, Body=other)
        return False

    proxy.add(Fault(when=replace), Fault(keep_bytes=100, times=1))

    assert store.read(KEY) == other


@pytest.mark.amazon("pages that the proxy shortens")
def test_a_listing_goes_on_where_its_connection_broke(
    bucket: str, proxy: FaultProxy, s3: S3Client
) -> None:
    keys = [f"a/{number:03d}" for number in range(450)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    proxy.page_size = 100
    proxy.add(
        error(503, "SlowDown", query="list-type", times=1),
        Fault(query="continuation-token", keep_bytes=200, when=every(3)),
    )

    store = open_store(f"s3://{bucket}?retries=3")

    assert [entry.key for entry in store.files("a/")] == keys


def test_a_file_that_cannot_be_read_is_given_back_as_an_error_and_the_others_are_read(
    bucket: str, proxy: FaultProxy, s3: S3Client
) -> None:
    text = log_file(gzipped=False)
    for name in "abc":
        s3.put_object(Bucket=bucket, Key=name, Body=text)
    proxy.add(Fault(path="/b$", keep_bytes=3))
    store = open_store(f"s3://{bucket}?retries=0")
    files = [LogFile(name, len(text), datetime.now(UTC), stamped=True) for name in "abc"]

    fetched = [got for _, got in fetch(store, files, FetchOptions.of(Settings()))]

    assert fetched[0] == fetched[2] == text
    assert isinstance(fetched[1], StorageError)


# How objects are stored.


@pytest.mark.amazon("storage classes and KMS keys")
@pytest.mark.parametrize(
    ("put", "expected"),
    [
        ({}, Details()),
        ({"StorageClass": "GLACIER"}, Details("GLACIER", is_archived=True)),
        ({"StorageClass": "DEEP_ARCHIVE"}, Details("DEEP_ARCHIVE", is_archived=True)),
        ({"StorageClass": "GLACIER_IR"}, Details("GLACIER_IR")),
        ({"ServerSideEncryption": "AES256"}, Details()),
        ({"ServerSideEncryption": "aws:kms"}, Details(needs_kms=True)),
        ({"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True}, Details()),
    ],
)
def test_a_bucket_tells_how_an_object_is_stored(
    bucket: str, store: Store, s3: S3Client, put: dict[str, Any], expected: Details
) -> None:
    s3.put_object(Bucket=bucket, Key=KEY, Body=DATA, **put)

    assert store.details(KEY) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "x-amz-storage-class": "INTELLIGENT_TIERING",
                "x-amz-archive-status": "ARCHIVE_ACCESS",
            },
            Details("ARCHIVE_ACCESS", is_archived=True),
        ),
        (
            {"x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"'},
            Details("GLACIER", is_archived=True),
        ),
        (
            {
                "x-amz-storage-class": "GLACIER",
                "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2026"',
            },
            Details("GLACIER"),
        ),
    ],
)
def test_what_is_restored_can_be_read_and_what_is_being_restored_cannot(
    store: Store, proxy: FaultProxy, headers: dict[str, str], expected: Details
) -> None:
    proxy.add(Fault(method="HEAD", answer=Answer(200, list(headers.items()), b"")))

    assert store.details(KEY) == expected


def test_a_store_that_does_not_tell_how_an_object_is_stored_is_an_error(
    store: Store, proxy: FaultProxy
) -> None:
    proxy.add(error(403, "AccessDenied", method="HEAD"))

    with pytest.raises(StorageError) as raised:
        store.details(KEY)

    assert "Signature" not in str(raised.value)


@pytest.mark.amazon("storage classes and KMS keys")
def test_an_archived_log_file_fails_its_unit_and_is_converted_once_it_is_restored(
    bucket: str, store: Store, s3: S3Client
) -> None:
    keys = [log_key(ACCOUNT, REGION, datetime(2026, 1, 10, hour, tzinfo=UTC)) for hour in (3, 12)]
    s3.put_object(Bucket=bucket, Key=keys[0], Body=log_file(record(eventID="a")))
    archived = log_file(record(eventID="b"))
    s3.put_object(Bucket=bucket, Key=keys[1], Body=archived, StorageClass="GLACIER")
    stores = Stores(store, open_store("memory:///"), open_store("memory:///"))
    unit = Unit(ACCOUNT, REGION, date(2026, 1, 10))
    trails = discover(store, ("CloudTrail",)).trails_of(unit)

    with pytest.raises(ArchivedError, match="It is archived: restore it"):
        convert_unit(unit, trails, stores, Settings())
    assert list(stores.dataset.files("")) == []
    assert not list(stores.state.files("receipts/"))

    s3.restore_object(Bucket=bucket, Key=keys[1], RestoreRequest={"Days": 1})
    receipt = convert_unit(unit, trails, stores, Settings())

    assert receipt is not None
    assert (receipt.records.written, receipt.quarantined) == (2, [])
