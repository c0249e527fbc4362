"""What is found in a bucket, and with how many requests."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery, account_roots, discover, units
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.source.siblings import count_siblings, look_into_odd_siblings
from cloudtrail_parquet.storage import ReadStore, Store, open_source, open_store
from tests.builders import log_key
from tests.s3.conftest import S3_SERVER
from tests.s3.faults import Fault, FaultProxy, Request, error

ACCOUNT, REGION = "012345678901", "eu-central-1"
TRAIL = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"
DAY = date(2026, 1, 10)
UNIT = Unit(ACCOUNT, REGION, DAY)
WINDOW = Window(900, 7200)
MIDNIGHT = datetime(2026, 1, 10, tzinfo=UTC)
FOLDERS = ("CloudTrail",)

Fill = Callable[[Iterable[str]], Store]


@pytest.fixture
def fill(bucket: str, s3: S3Client) -> Fill:
    """Puts objects of one byte into the bucket, if possible past HTTP: what finds them counts."""

    def put(keys: Iterable[str]) -> Store:
        if S3_SERVER == "moto":
            backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
            for key in keys:
                backend.put_object(bucket, key, b"x")
        else:
            with ThreadPoolExecutor(8) as pool:
                deque(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
        return open_store(f"s3://{bucket}")

    return put


def folder_of(day: date) -> str:
    return f"{TRAIL}{day:%Y/%m/%d}/"


def delivered_evenly(day: date, number: int) -> list[str]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [
        log_key(ACCOUNT, REGION, start + timedelta(days=1) * one / number, unique=f"{one:016d}")
        for one in range(number)
    ]


def lists(proxy: FaultProxy, prefix: str = "") -> list[Request]:
    return [
        request
        for request in proxy.requests
        if request.lists and request.query.get("prefix", "").startswith(prefix)
    ]


# The files of a window.


@pytest.mark.amazon("pages of a thousand keys each")
@pytest.mark.slow
def test_of_the_days_around_only_the_hours_of_the_window_are_listed(
    fill: Fill, proxy: FaultProxy
) -> None:
    before, after = DAY - timedelta(days=1), DAY + timedelta(days=1)
    early, late = delivered_evenly(before, 20_000), delivered_evenly(after, 20_000)
    store = fill([*early, *delivered_evenly(DAY, 1_500), *late])

    files = window_files(store, [TRAIL], UNIT, WINDOW)

    # The day before to its first full page and from its last hours on, with the day itself; then
    # the first hours of the day after, to the end of a page, and what sorts after its usual names.
    assert len(lists(proxy)) == 1 + 4 + 1
    found = {file.key for file in files}
    assert len(found) == len(files) == 20_000 / 96 + 1_500 + 20_000 / 12
    assert {key for key in early if key.rpartition("_")[0][-6:] >= "T2345Z"} <= found
    assert {key for key in late if key.rpartition("_")[0][-6:] < "T0200Z"} <= found


def test_days_of_one_page_are_listed_together_whatever_lies_before_and_after(
    fill: Fill, proxy: FaultProxy
) -> None:
    days = [DAY + timedelta(days=number) for number in (-1, 0, 1)]
    before = delivered_evenly(DAY - timedelta(days=2), 1_500)
    after = delivered_evenly(DAY + timedelta(days=2), 1_500)
    store = fill([*before, *(key for day in days for key in delivered_evenly(day, 96)), *after])

    assert len(window_files(store, [TRAIL], UNIT, WINDOW)) == 1 + 96 + 8
    assert len(lists(proxy)) == 1


def test_large_folders_between_the_days_of_a_window_are_not_listed(
    fill: Fill, proxy: FaultProxy
) -> None:
    odd = [f"{folder_of(DAY).rstrip('/')}_copy/{number:04d}" for number in range(3_000)]
    days = [DAY + timedelta(days=number) for number in (0, 1)]
    store = fill([*odd, *(key for day in days for key in delivered_evenly(day, 96))])

    assert len(window_files(store, [TRAIL], UNIT, WINDOW)) == 96 + 8
    assert len(lists(proxy)) == 2


@pytest.mark.amazon("pages of a thousand keys each")
def test_odd_names_wherever_they_sort_are_found(fill: Fill, proxy: FaultProxy) -> None:
    # Their object time is now, long after their day: they count as delivered at its end.
    folder = folder_of(DAY - timedelta(days=1))
    stem = f"{folder}{ACCOUNT}_CloudTrail_{REGION}_"
    odd = [
        f"{folder}!first",
        f"{folder}{ACCOUNT}_CloudTrail-Copy.json.gz",
        f"{stem}20260108T1200Z_other-day.json.gz",
        f"{stem}20260109.json.gz",
        f"{stem}20260109T",
        f"{stem}20260109T.json.gz",
        f"{stem}20260109T9999Z_no-time.json.gz",
        f"{stem}20260110T1200Z_next-day.json.gz",
        f"{folder}copy/{ACCOUNT}_CloudTrail_{REGION}_20260109T1200Z.bak",
        f"{folder}é",
        f"{folder}~last",
    ]
    store = fill([*delivered_evenly(DAY - timedelta(days=1), 2_400), *odd])

    found = {file.key for file in window_files(store, [TRAIL], UNIT, WINDOW)}

    late = {key for key in odd if "20260108T" not in key and "/copy/" not in key}
    assert late <= found
    assert len(found) == len(late) + 2_400 / 96
    assert len(lists(proxy)) == 2


def test_a_listing_is_asked_for_page_by_page(fill: Fill, proxy: FaultProxy) -> None:
    store = fill(f"a/{number:04d}" for number in range(2_500))

    entries = store.files("a/")
    assert next(entries).key == "a/0000"
    assert len(lists(proxy)) == 1
    assert sum(1 for _ in entries) == 2_499
    assert len(lists(proxy)) == 3


@pytest.mark.parametrize(
    "page_size", [None, pytest.param(7, marks=pytest.mark.amazon("pages that the proxy shortens"))]
)
@pytest.mark.parametrize(
    ("first", "last"),
    [("a/03", "a/05"), ("a/03x", "a/04~"), ("a/", "a/99"), ("b", "c"), ("0", "1")],
)
def test_only_what_may_be_skipped_is_left_out(
    fill: Fill, proxy: FaultProxy, page_size: int | None, first: str, last: str
) -> None:
    keys = [f"a/{number:02d}" for number in range(30)]
    proxy.page_size = page_size
    store = fill(keys)

    found = [entry.key for entry in store.files("a/", (first, last))]
    later = [entry.key for entry in store.files("a/", ("a/25", "a/26"), (first, last), after="a/1")]

    assert found == [key for key in keys if not first <= key <= last]
    assert later == [key for key in found if key > "a/1" and key not in {"a/25", "a/26"}]


def test_folders_are_listed_several_at_a_time(fill: Fill, proxy: FaultProxy) -> None:
    trails = [f"AWSLogs/{account}/CloudTrail/{REGION}/" for account in range(10)]
    store = fill(f"{trail}2026/01/10/a.json.gz" for trail in trails)
    proxy.add(Fault(delay_s=0.2))

    started = time.monotonic()
    files = window_files(store, trails, UNIT, WINDOW)

    assert len(files) == 10
    assert len(lists(proxy)) == 10
    assert time.monotonic() - started < 10 * 0.2 / 2  # 16 at a time


# Accounts, regions and days.


def test_discovery_lists_each_folder_down_to_the_regions_once_and_no_objects(
    fill: Fill, proxy: FaultProxy
) -> None:
    accounts = [f"{number:012d}" for number in range(5)]
    regions = ["eu-central-1", "eu-west-1", "us-east-1"]
    store = fill(
        log_key(account, region, MIDNIGHT + timedelta(days=day), folder=folder, prefix="trail")
        for account in accounts
        for region in regions
        for folder in ("CloudTrail", "CloudTrail-Digest")
        for day in range(20)
    )

    found = discover(store, FOLDERS)

    assert len(found.trails) == 15
    assert len(found.siblings["CloudTrail-Digest"]) == 5
    assert all(request.query.get("delimiter") == "/" for request in lists(proxy))
    # the bucket, the trail, its AWSLogs; then each account and its CloudTrail
    assert len(proxy.requests) == 1 + 1 + 1 + 2 * len(accounts)


def test_days_are_looked_for_only_where_they_are_asked_for(fill: Fill, proxy: FaultProxy) -> None:
    store = fill(
        log_key(ACCOUNT, REGION, datetime(year, month, day, tzinfo=UTC))
        for year in range(2020, 2027)
        for month in range(1, 13)
        for day in (1, 15)
    )
    found = discover(store, FOLDERS)
    proxy.clear()

    days = units(store, found, WINDOW, date(2026, 1, 1), date(2026, 1, 31))

    assert [unit.day.day for unit in days] == [1, 2, 14, 15, 16, 31]
    assert len(proxy.requests) == 1 + 2 + 3  # the trail; two years; December, January, February


def test_objects_beside_the_logs_are_counted_to_a_thousand(fill: Fill, proxy: FaultProxy) -> None:
    digests = [
        log_key(ACCOUNT, REGION, MIDNIGHT, folder="CloudTrail-Digest", unique=f"{number:05d}")
        for number in range(2_500)
    ]
    others = [log_key(ACCOUNT, REGION, MIDNIGHT, folder="Config", unique=str(n)) for n in range(3)]
    store = fill([log_key(ACCOUNT, REGION, MIDNIGHT), *digests, *others])
    found = discover(store, FOLDERS)
    proxy.clear()

    counts = count_siblings(store, found)

    assert counts == {"CloudTrail-Digest": "1,000 or more objects", "Config": "3 objects"}
    assert len(proxy.requests) == 2


def test_what_is_unplaced_costs_an_ordinary_source_no_request(
    fill: Fill, proxy: FaultProxy
) -> None:
    accounts = [f"{number:012d}" for number in range(3)]
    keys = [
        log_key(account, region, MIDNIGHT + timedelta(days=day), folder=folder)
        for account in accounts
        for region in ("eu-central-1", "us-east-1")
        for folder in ("CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight", "Config")
        for day in range(3)
    ]
    store = fill(keys)
    receipts = Receipts(open_store("memory:///"), datetime.now(UTC))

    def planned() -> Discovery:
        found = discover(store, FOLDERS)
        of = UnitRange(DAY, DAY + timedelta(days=2))
        assert (
            len(list(plan_units(store, receipts, found, of, "all", PlanOptions.of(Settings()))))
            == 3 * 2 * 3
        )
        look_into_odd_siblings(store, found)
        return found

    assert not planned().unplaced
    # the bucket, AWSLogs; each account and its CloudTrail; and each region's days
    assert len(proxy.requests) == 2 + 3 * 2 + 3 * 2

    fill(f"{key.replace('/CloudTrail/', '/cloudtrail/')}" for key in keys[:3])
    fill([f"AWSLogs/{accounts[0]}/{keys[0].rpartition('/')[2]}"])
    proxy.clear()

    assert planned().unplaced.files == 3 + 1
    assert len(proxy.requests) == 2 + 3 * 2 + 3 * 2 + 1


def test_odd_folders_cost_a_request_each_however_much_they_hold(
    fill: Fill, proxy: FaultProxy
) -> None:
    name = log_key(ACCOUNT, REGION, MIDNIGHT).rpartition("/")[2].removesuffix(".json.gz")
    odd = ["2026-01-09/", "2026/1/9/", "2026/02/30/"]
    keys = [f"{TRAIL}{folder}{name}{n}.json.gz" for folder in odd for n in range(1_100)]
    store = fill([log_key(ACCOUNT, REGION, MIDNIGHT), *keys])
    found = discover(store, FOLDERS)
    proxy.clear()

    units(store, found, WINDOW)

    assert [(one.files, one.more) for one in found.unplaced.folders] == [(1000, True)] * 3
    # the region, the year, January, February; and the odd ones
    assert len(proxy.requests) == 4 + 3


# Several buckets, and what may not be listed.


def refused(account: str) -> Fault:
    return error(
        403,
        "AccessDenied",
        when=lambda one: one.lists and f"/{account}/" in one.query.get("prefix", ""),
    )


def test_an_account_that_may_not_be_listed_is_named_and_stops_no_other(
    fill: Fill, proxy: FaultProxy
) -> None:
    others = [f"{number:012d}" for number in range(40)]
    store = fill(log_key(account, REGION, MIDNIGHT) for account in [ACCOUNT, *others])
    proxy.add(refused(ACCOUNT))

    found = discover(store, FOLDERS)

    assert {account for account, _ in found.trails} == set(others)
    (error_,) = found.refused.values()
    assert str(error_).startswith(f"{store.uri}/AWSLogs/{ACCOUNT}/: cannot be listed (AccessDenied")


def test_a_store_that_fails_is_not_taken_for_one_that_refuses(
    bucket: str, fill: Fill, proxy: FaultProxy
) -> None:
    fill([log_key(ACCOUNT, REGION, MIDNIGHT), log_key("999999999999", REGION, MIDNIGHT)])
    proxy.add(error(503, "SlowDown", when=lambda one: ACCOUNT in one.query.get("prefix", "")))

    with pytest.raises(StorageError, match="SlowDown"):
        discover(open_store(f"s3://{bucket}?retries=0"), FOLDERS)


@pytest.fixture
def two(bucket: str, new_bucket: Callable[[], str], fill: Fill, s3: S3Client) -> ReadStore:
    """Two buckets with an account in both; the first has it below a prefix."""
    other = new_bucket()
    fill([log_key(ACCOUNT, REGION, MIDNIGHT, prefix="org/trail")])
    for account in (ACCOUNT, "999999999999"):
        s3.put_object(Bucket=other, Key=log_key(account, REGION, MIDNIGHT), Body=b"x")
    return open_source(f"s3://{bucket}/org/trail?retries=0 s3://{other}?region=us-east-1")


def test_several_buckets_are_looked_through_at_the_cost_of_each(
    two: Store, bucket: str, proxy: FaultProxy
) -> None:
    found = discover(two, FOLDERS)

    assert {of: len(trails) for of, trails in found.trails.items()} == {
        (ACCOUNT, REGION): 2,
        ("999999999999", REGION): 1,
    }
    levels = [one.path.split("/")[1] for one in lists(proxy)]
    # Each: the place, AWSLogs, and for each account itself and its logs.
    assert levels.count(bucket) == 4
    assert len(levels) == 4 + 6
    files = window_files(two, found.trails[ACCOUNT, REGION], UNIT, WINDOW)
    assert len(files) == 2
    assert {two.read(file.key) for file in files} == {b"x"}
    assert f"{bucket}/org/trail/AWSLogs/" in min(file.key for file in files) + max(
        file.key for file in files
    )


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket")])
def test_a_bucket_that_cannot_be_listed_is_an_error_that_names_it(
    two: Store, bucket: str, proxy: FaultProxy, status: int, code: str
) -> None:
    proxy.add(error(status, code, path=f"/{bucket}"))

    for ask in (lambda: discover(two, FOLDERS), lambda: account_roots(two)):
        with pytest.raises(StorageError, match=f"^s3://{bucket}/org/trail/: cannot be listed"):
            ask()
