"""The function as Lambda runs it: real entry point, memory limit, bus, queues and a store."""

import dataclasses
import gzip
import io
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from cloudtrail_parquet.batch.workers import convert_all, jobs_of
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, MAX_UNITS, PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    LeaseTimeoutError,
    NotEnoughTimeError,
    RefusedError,
    StorageError,
    TooLargeError,
    UsageError,
)
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    DailyEvent,
    Event,
    PlanEvent,
    UnitRef,
    parse,
    to_text,
)
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.function.wiring import function_of
from cloudtrail_parquet.layout import Unit, shard_of, unit_of
from cloudtrail_parquet.sample_logs import TreeSpec, Truth, generate_tree
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, Lease, Level, open_store
from cloudtrail_parquet.storage.locations import Locations
from tests.builders import (
    ACCOUNT,
    REGION,
    WritableStores,
    ago,
    at,
    blank,
    log_file,
    log_key,
    record,
)
from tests.function.conftest import Deploy
from tests.function.deployment import ATTEMPTS, Carried, Deployment, contents
from tests.function.runtime import LAMBDA_SRC, SOURCE_TREE, TMP_MB, Outcome, Sandbox
from tests.s3.faults import Fault, Request, error, every
from tests.unit.counted import Counts

FATES = ("written", "straggled", "elsewhere", "duplicate", "discarded", "quarantined")
QUICK_S = 32
"""A time limit that makes batches of 13 small units, and leaves 2 s for each of them."""


# A day's schedule.


@dataclass(frozen=True)
class Daily:
    """What came of a schedule's event: planned, carried, converted, read back."""

    deployed: Deployment
    box: Sandbox
    tree: Path
    truth: Truth
    planned: Outcome
    carried: list[Carried]
    dataset: Path


@pytest.fixture(scope="module")
def daily(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Daily:
    folder, deployed = tmp_path_factory.mktemp("daily"), deploy()
    spec = TreeSpec(accounts=2, regions=3, days=2, records=600, duplicates=0.05, first_day=ago(6))
    truth = generate_tree(folder / "logs", spec)
    deployed.upload(folder / "logs")
    box = deployed.start()
    planned = box.invoke({"kind": "daily", "days_back": 4}, QUICK_S)
    carried = deployed.carry_events(box.invoke)
    dataset = download(deployed, folder / "lake")
    return Daily(deployed, box, folder / "logs", truth, planned, carried, dataset)


def download(deployed: Deployment, folder: Path) -> Path:
    """Put the dataset into a folder."""
    for key, data in deployed.objects("lake").items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(data)
    return folder


def test_a_schedule_has_its_units_converted_in_batches_by_way_of_the_bus(daily: Daily) -> None:
    units = [unit for one in daily.carried for unit in one.event["detail"]["units"]]

    assert daily.planned == Outcome(
        ok=True, payload={"planned": len(units), "batches": len(daily.carried)}
    )
    assert len(daily.carried) >= 2
    assert len({tuple(unit.values()) for unit in units}) == len(units)
    for one in daily.carried:
        count = len(one.event["detail"]["units"])
        assert one.outcomes == [Outcome(ok=True, payload={"converted": count, "handed_back": 0})]


def delivered(tree: Path) -> set[str]:
    """The distinct records of a tree, as JSON texts."""
    records = (
        record
        for path in tree.glob("AWSLogs/**/CloudTrail/**/*.json.gz")
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    )
    return {json.dumps(record, sort_keys=True) for record in records}


def marks_of(tree: Path) -> Counter[tuple[object, ...]]:
    """What tells records apart, and how often it was delivered as different records."""
    marks = Counter[tuple[object, ...]]()
    for text in delivered(tree):
        record = json.loads(text)
        time = datetime.fromisoformat(record["eventTime"])
        names = ("eventSource", "eventName", "eventID", "requestID")
        marks[int(time.timestamp()), *(record.get(name) for name in names)] += 1
    return marks


def by_duckdb(dataset: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(
            f"""SELECT account, region, make_date(year, month, day), eventTime::DATE,
                epoch(eventTime)::BIGINT, eventSource, eventName, eventID, requestID
            FROM read_parquet('{dataset}/**/*.parquet', hive_partitioning = true,
                hive_types = {{'account': VARCHAR, 'region': VARCHAR,
                               'year': BIGINT, 'month': BIGINT, 'day': BIGINT}})"""  # noqa: S608
        ).fetchall()


def by_polars(dataset: Path) -> list[tuple[Any, ...]]:
    hive = {"account": pl.String, "region": pl.String, "year": pl.Int64}
    found = pl.scan_parquet(
        f"{dataset}/**/*.parquet",
        hive_partitioning=True,
        hive_schema={**hive, "month": pl.Int64, "day": pl.Int64},
    ).select(
        "account",
        "region",
        pl.date("year", "month", "day"),
        pl.col("eventTime").dt.date().alias("happened"),
        pl.col("eventTime").dt.epoch("s").alias("seconds"),
        *("eventSource", "eventName", "eventID", "requestID"),
    )
    return found.collect().rows()


@pytest.mark.parametrize("read", [by_duckdb, by_polars])
def test_every_record_is_read_back_once_from_the_day_it_happened(
    daily: Daily, read: Callable[[Path], list[tuple[Any, ...]]]
) -> None:
    rows = read(daily.dataset)

    assert Counter(row[4:] for row in rows) == marks_of(daily.tree)
    assert all(row[2] == row[3] for row in rows)
    units = Counter((account, region, str(day)) for account, region, day, *_ in rows)
    assert units == {(one.account, one.region, one.day): one.records for one in daily.truth.units}


def test_the_receipts_add_up_and_so_do_the_metrics(daily: Daily) -> None:
    receipts, metrics = daily.deployed.receipts(), daily.box.metrics()
    sums = {name: sum(getattr(one.records, name) for one in receipts) for name in FATES}

    assert all(
        one.records.read == sum(getattr(one.records, fate) for fate in FATES) for one in receipts
    )
    assert sums["written"] == daily.truth.records
    assert sums["duplicate"] == daily.truth.duplicates
    for fate in ("written", "straggled", "duplicate", "discarded", "quarantined"):
        assert metrics[f"Records{fate.title()}"] == sums[fate]
    assert metrics["RecordsRead"] == sum(one.records.read for one in receipts)
    assert metrics["FilesRead"] == sum(one.files.read for one in receipts)
    assert metrics["BytesIn"] == sum(one.bytes_in for one in receipts)
    assert metrics["BytesOut"] == sum(map(len, daily.deployed.objects("lake").values()))
    assert metrics["UnitsConverted"] == metrics["UnitsSettled"] == len(receipts)
    assert metrics["UnitsPlanned"] == len(receipts)
    assert metrics["OldestUnsettledDays"] == 6
    assert {"UnitsFailed", "EventsRefused", "UnitsHandedBack"} & set(metrics) == set()


def test_nothing_is_left_behind_and_the_limits_are_kept(daily: Daily) -> None:
    assert daily.deployed.litter() == []
    assert 0 < daily.box.peak_tmp_bytes < TMP_MB << 20
    assert 50e6 < daily.box.peak_memory_bytes < 300e6


def test_a_second_schedule_finds_nothing_to_do(daily: Daily) -> None:
    before = daily.deployed.objects("lake")

    again = daily.box.invoke({"kind": "daily", "days_back": 4})

    assert again == Outcome(ok=True, payload={"converted": 0, "handed_back": 0})
    assert daily.box.lines("planned")[-1]["units"] == 0
    assert daily.deployed.objects("lake") == before


def put_log(
    deployed: Deployment, delivered: datetime, happened: datetime, padding: int = 0
) -> None:
    """Deliver a log file with one record; padding makes it larger."""
    unique = f"{delivered:%H%M}{happened:%d%H%M}".rjust(16, "0")
    key = log_key(ACCOUNT, REGION, delivered, unique=unique)
    one = record(eventTime=f"{happened:%Y-%m-%dT%H:%M:%SZ}", eventID=unique)
    body = log_file(one) + blank(padding)
    deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=f"org/{key}", Body=body)


def test_a_unit_is_converted_again_until_it_is_final(deployed: Deployment) -> None:
    week = "604800"
    for days in (6, 5):
        put_log(deployed, at(ago(days), 12), at(ago(days), 11))
    schedule = {"kind": "daily", "days_back": 4}

    early = deployed.start(CLOUDTRAIL_PARQUET_SETTLE_MARGIN_S=week)
    for converted in (2, 0):  # while nothing changes, nothing is done
        assert early.invoke(schedule).payload == {"converted": converted, "handed_back": 0}
    assert [one.settled for one in deployed.receipts()] == [False, False]

    later = deployed.start()
    assert later.invoke(schedule).payload == {"converted": 2, "handed_back": 0}
    assert [one.settled for one in deployed.receipts()] == [True, True]
    assert later.invoke(schedule).payload == {"converted": 0, "handed_back": 0}


def test_a_day_without_records_beside_a_log_file_is_not_told_as_unsettled(
    deployed: Deployment,
) -> None:
    put_log(deployed, at(ago(5), 0, 30), at(ago(5), 0, 25))  # in the window of the day before
    box = deployed.start()

    counts = [box.invoke({"kind": "daily", "days_back": 4}).payload for _ in range(2)]

    assert [one["converted"] for one in counts] == [1, 0]
    assert box.metrics()["OldestUnsettledDays"] == 5
    assert sorted(one.bytes_in > 0 for one in deployed.receipts()) == [False, True]


def test_a_window_of_days_is_looked_at_by_the_daily_run_until_it_has_passed(
    deployed: Deployment,
) -> None:
    put_log(deployed, at(ago(7), 12), at(ago(7), 11))
    put_log(deployed, at(ago(3), 12), at(ago(7), 11, 30))  # days late, and within the window
    box = deployed.start(CLOUDTRAIL_PARQUET_LOOKAHEAD_S=str(5 * 86_400))

    box.invoke({"kind": "daily"})
    deployed.carry_events(box.invoke)

    (receipt,) = [one for one in deployed.receipts() if one.day == ago(7)]
    assert receipt.records.written == 2
    rows = [
        pq.ParquetFile(io.BytesIO(data)).metadata.num_rows
        for key, data in deployed.objects("lake").items()
    ]
    assert sum(rows) == 2


def test_what_daily_runs_have_missed_is_converted_by_the_one_that_looks_further_back(
    deployed: Deployment,
) -> None:
    for days in (2, 20, 40):
        put_log(deployed, at(ago(days), 12), at(ago(days), 11))
    box = deployed.start()

    box.invoke({"kind": "daily"})
    assert [one.day for one in deployed.receipts()] == [ago(2)]
    box.invoke({"kind": "daily", "days": 35})

    assert sorted(one.day for one in deployed.receipts()) == [ago(20), ago(2)]
    assert box.metrics()["OldestUnsettledDays"] == 2  # as the daily run has found


# A backfill by the queue.


@pytest.mark.slow
def test_a_backfill_leaves_in_the_dead_letter_queue_what_cannot_be_done_and_nothing_else(
    deployed: Deployment, tmp_path: Path
) -> None:
    spec = TreeSpec(accounts=1, regions=1, days=14, records=60, late=0.1)
    truth = generate_tree(tmp_path / "logs", spec)
    expected = converted_on_disk(tmp_path)
    deployed.upload(tmp_path / "logs")
    bad = truth.units[4]
    day = date.fromisoformat(bad.day)
    part = f"{bad.account}/region={bad.region}/year={day:%Y}/month={day:%m}/day={day:%d}/part-"
    deployed.proxy.add(error(403, "AccessDenied", method="PUT", path=part))
    box = deployed.start()  # what comes by the queue goes on by the queue
    plan = {"kind": "plan", "from": "2026-01-09", "to": "2026-03-10"}
    invoke = partial(box.invoke, timeout_s=QUICK_S)

    deployed.send_messages(plan, "{")
    carried = deployed.map_queue(invoke, at_a_time=3)

    unit = {"account": bad.account, "region": bad.region, "day": bad.day}
    failing = {json.dumps({"kind": "convert", "units": [unit]}, separators=(",", ":")), "{"}
    assert Counter(deployed.dead_letters()) == Counter(failing)
    assert deployed.left_in_queue() == 0
    bodies = Counter(body for one in carried for body in failed_bodies(one))
    assert bodies == dict.fromkeys(failing, 3)
    assert len(box.lines("planned")) == 1
    assert box.lines("planned")[0]["batches"] >= 2
    assert {one["error_type"] for one in box.lines("message_failed")} == {
        "RefusedError",
        "UsageError",
    }
    missing = {key: data for key, data in expected.items() if key not in deployed.objects("lake")}
    assert len(missing) == 1
    assert part in next(iter(missing))
    assert not [
        one for one in deployed.receipts() if one.unit.day == day and one.region == bad.region
    ]

    deployed.proxy.clear()
    deployed.send_messages(*(failing - {"{"}))  # as a redrive would
    deployed.map_queue(invoke)

    assert deployed.objects("lake") == expected
    assert deployed.litter() == []
    assert deployed.left_in_queue() == 0


def failed_bodies(carried: Carried) -> list[str]:
    (outcome,) = carried.outcomes
    assert outcome.ok
    failed = {one["itemIdentifier"] for one in outcome.payload["batchItemFailures"]}
    return [one["body"] for one in carried.event["Records"] if one["messageId"] in failed]


def converted_on_disk(folder: Path) -> dict[str, bytes]:
    """The dataset of the tree in the folder ``logs`` of another one, without any of AWS."""
    locations = Locations.of(
        *(str(folder / name) for name in ("logs", "expected", "expected.state"))
    )
    settings, source = Settings(), locations.open().source
    found = discover(source, settings.folders)
    jobs = jobs_of(units(source, found, settings.window), found)
    failed = [one.error for one in convert_all(jobs, locations, settings, 1) if one.error]
    assert failed == []
    return contents(folder / "expected")


# Time.


DAY = date(2026, 1, 10)


class Sent(list[Event]):
    """Keeps the events that go to other invocations."""

    def send(self, events: Iterable[Event]) -> int:
        before = len(self)
        self.extend(events)
        return len(self) - before


class Spending(Telemetry):
    """Lets time pass with each unit."""

    def __init__(self, clock: "Clock", unit_s: float) -> None:
        super().__init__()
        self._clock, self._unit_s = clock, unit_s

    def converted(self, receipt: Receipt) -> None:
        super().converted(receipt)
        self._clock.left_s -= self._unit_s


@dataclass
class Clock:
    left_s: float


class Changed:
    """A store of which some methods are others."""

    def __init__(self, store: Any, **methods: Callable[..., Any]) -> None:  # noqa: ANN401
        self._store = store
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._store, name)


@dataclass
class Workbench:
    """A function in this process, over memory, with a clock of its own."""

    whole_s: float = 900
    left_s: float = 900
    unit_s: float = 0
    days: int = 4
    sent: Sent | None = field(default_factory=Sent)
    layout: PartitionLayout = DEFAULT_LAYOUT

    def __post_init__(self) -> None:
        self.clock = Clock(self.left_s)
        source, dataset, state = (open_store("memory:///") for _ in range(3))
        for store in (source, dataset, state):
            store.parallel = 1  # one unit after the other, as the clock is spent by each
            store.creates_once = False  # and each by itself
        self.stores = WritableStores(source, dataset, state)
        self.units = [Unit(ACCOUNT, REGION, DAY + timedelta(days=n)) for n in range(self.days)]
        for unit in self.units:
            happened = f"{unit.day}T11:00:00Z"
            key = log_key(ACCOUNT, REGION, at(unit.day, 12))
            self.stores.source.write(key, log_file(record(eventTime=happened)))

    def run(self) -> dict[str, int]:
        return self.work(ConvertEvent.of(self.units))

    def work(self, event: Event) -> dict[str, int]:
        clock, sent = self.clock, self.sent
        fanout = None if sent is None else lambda: sent
        telemetry = Spending(clock, self.unit_s)
        settings = Settings(partition_layout=self.layout)
        function = Function(
            self.stores, settings, fanout, telemetry, self.whole_s, lambda: clock.left_s
        )
        return function.run(event)

    @property
    def done(self) -> list[Unit]:
        """The units that have a receipt; there is no other trace of the others."""
        texts = {
            entry.key: self.stores.state.read(entry.key) for entry in self.stores.state.files("")
        }
        kinds = {key.partition("/")[0] for key in texts}
        assert kinds <= {"dataset.json", "identities", "ledger", "receipts"}
        receipts = [json.loads(text) for key, text in texts.items() if "receipts/" in key]
        days = [date.fromisoformat(one["day"]) for one in receipts]
        return [Unit(ACCOUNT, REGION, day) for day in sorted(days)]


def asked_for(days: int) -> Counter[str]:
    """What an invocation asks for that converts so many new days of a place."""
    counts, bench = Counts(), Workbench(days=days)
    for entry in bench.stores.source.files(""):
        counts.stores.source.write(entry.key, bench.stores.source.read(entry.key))
    bench.stores = counts.stores
    with counts.counting() as requests:
        assert bench.run() == {"converted": days, "handed_back": 0}
    assert len(bench.done) == days
    return requests


def test_new_days_of_one_place_are_published_together() -> None:
    one, ten = asked_for(1), asked_for(10)

    # One lists its place and its partition, and puts a lease, a part and a receipt; the rest is
    # what an invocation asks for once.
    assert ten["LIST"] - (one["LIST"] - 2) == 3
    assert ten["PUT"] - (one["PUT"] - 3) == 2 * 10


def test_new_days_that_there_is_no_time_for_are_handed_back() -> None:
    bench = Workbench(days=4)
    for store in (bench.stores.source, bench.stores.dataset, bench.stores.state):
        store.creates_once = True
    source = bench.stores.source

    def read(key: str) -> bytes:
        bench.clock.left_s -= 440
        return source.read(key)

    slow: Any = Changed(source, read=read)
    bench.stores = dataclasses.replace(bench.stores, source=slow)

    assert bench.run() == {"converted": 2, "handed_back": 2}

    assert bench.done == bench.units[:2]
    assert bench.sent == [ConvertEvent.of([unit]) for unit in bench.units[2:]]


def test_units_for_which_too_little_time_is_left_are_handed_back_untouched() -> None:
    bench = Workbench(unit_s=440)

    assert bench.run() == {"converted": 2, "handed_back": 2}

    assert bench.done == bench.units[:2]
    assert bench.sent == [ConvertEvent.of([unit]) for unit in bench.units[2:]]


def test_what_is_left_goes_on_side_by_side_and_not_in_a_long_chain() -> None:
    bench = Workbench(unit_s=60, days=100)
    links = Counter[int]()
    events = [(1, ConvertEvent.of(bench.units))]

    while events:
        link, event = events.pop()
        links[link] += 1
        again = Workbench(unit_s=60, days=0)
        again.stores = bench.stores
        again.work(event)
        events += [(link + 1, one) for one in again.sent or () if isinstance(one, ConvertEvent)]

    assert bench.done == bench.units
    assert links == {1: 1, 2: 13}  # 15 units are done at first; seven make an event


@pytest.mark.parametrize(("error", "most_links"), [(NotEnoughTimeError, 6), (StorageError, 8)])
def test_a_chain_ends_soon_even_where_each_event_does_a_third(
    monkeypatch: pytest.MonkeyPatch, error: type[CloudTrailParquetError], most_links: int
) -> None:
    links, done = list[int](), list[date]()
    units = [Unit(ACCOUNT, REGION, DAY + timedelta(days=n)) for n in range(MAX_UNITS)]
    events: list[tuple[int, Event]] = [(1, ConvertEvent.of(units))]

    def convert(_: object, ref: UnitRef) -> None:
        if len(done) >= most:
            raise error("what", "where", "hint")
        done.append(ref.day)

    monkeypatch.setattr("cloudtrail_parquet.function.converting._Batch._convert", convert)
    while events:
        link, event = events.pop()
        assert isinstance(event, ConvertEvent)
        most = len(done) + len(event.units) // 3 + 1
        links.append(link)
        again = Workbench(days=0)
        again.work(event)
        events += [(link + 1, one) for one in again.sent or ()]

    assert sorted(done) == [unit.day for unit in units]
    assert max(links) <= most_links


@pytest.mark.parametrize(("left_s", "looks"), [(-3, False), (20.5, False), (25, True)])
def test_an_event_that_comes_late_in_an_invocation_goes_to_another_one(
    left_s: float, *, looks: bool
) -> None:
    bench = Workbench(left_s=left_s)
    large = log_key(ACCOUNT, REGION, at(DAY, 13))
    bench.stores.source.write(large, bytes(20_000_000))  # 5 s
    source, listed = bench.stores.source, list[str]()

    def files(prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        listed.append(prefix)
        return source.files(prefix, *skip, after=after)

    watched: Any = Changed(source, files=files)
    bench.stores = dataclasses.replace(bench.stores, source=watched)

    assert bench.run() == {"converted": 0, "handed_back": 4}

    assert bench.done == []
    assert bench.sent == [ConvertEvent.of(bench.units)]
    assert bool(listed) == looks


def test_without_anywhere_to_hand_units_back_to_the_event_fails() -> None:
    bench = Workbench(unit_s=440, sent=None)

    with pytest.raises(NotEnoughTimeError, match=r"2026-01-12: needs about 1 s; 0 s are left"):
        bench.run()

    assert bench.done == bench.units[:2]


def test_an_event_that_gets_no_further_in_a_new_invocation_fails() -> None:
    bench = Workbench(whole_s=40, left_s=40)
    source = bench.stores.source

    def slow_level(prefix: str) -> Level:
        bench.clock.left_s = 20.2
        return source.level(prefix)

    slow: Any = Changed(source, level=slow_level)
    bench.stores = dataclasses.replace(bench.stores, source=slow)

    with pytest.raises(NotEnoughTimeError, match="2026-01-10: needs about 1 s; 0 s are left"):
        bench.run()

    assert bench.sent == []
    assert bench.done == []


def test_another_run_is_not_waited_for_longer_than_there_is_time() -> None:
    bench = Workbench(left_s=22, days=1)
    unit = bench.units[0]
    key = partition_lease(unit)
    begun = time.monotonic()

    with bench.stores.state.lease(key, 0, 900), pytest.raises(LeaseTimeoutError):
        bench.run()

    assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(28, "No space left on device"), r"OSError at .*\(No space left on device\)"),
        (
            KeyError("arn:aws:iam::1:user/ada"),
            r"KeyError at cloudtrail_parquet\.conversion\.leases:\d+",
        ),
        (StorageError("x", "y", "z"), "y: x. z"),
    ],
)
def test_one_unit_that_fails_is_handed_back_alone_and_stops_no_other(
    problem: Exception, said: str
) -> None:
    bench = Workbench()
    state, all_units = bench.stores.state, bench.units

    def lease(key: str, wait_s: float, expires_s: float) -> AbstractContextManager[Lease]:
        if "day=11" in key:
            raise problem
        return state.lease(key, wait_s, expires_s)

    broken: Any = Changed(state, lease=lease)
    bench.stores = dataclasses.replace(bench.stores, state=broken)

    assert bench.run() == {"converted": 3, "handed_back": 1}
    assert bench.sent == [ConvertEvent.of(all_units[1:2])]

    bench.units, bench.sent = all_units[1:2], Sent()
    with pytest.raises(StorageError, match=said) as raised:
        bench.run()

    assert bench.sent == []
    assert "ada" not in str(raised.value)


def test_a_unit_too_large_for_an_invocation_is_converted_in_shards() -> None:
    bench = Workbench(whole_s=35, left_s=35, days=1)  # 5 s for a unit, which is 20 MB
    for hour in range(1, 22, 3):
        happened = f"{DAY}T{hour:02d}:00:00Z"
        text = log_file(record(eventTime=happened, eventID=f"id-{hour}")) + blank(5_000_000)
        bench.stores.source.write(log_key(ACCOUNT, REGION, at(DAY, hour, 10)), text)

    assert bench.run() == {"converted": 0, "handed_back": 0}
    assert bench.sent is not None
    shards = [event for event in bench.sent if isinstance(event, ConvertEvent)]
    assert len(shards) > 2
    assert bench.done == []

    for event in reversed(shards):
        again = Workbench(whole_s=35, left_s=35, days=0)
        again.stores = bench.stores
        assert again.work(event)["handed_back"] == 0

    receipt = read_notes(bench.stores.state, bench.units[0]).receipt
    assert receipt is not None
    assert (receipt.records.written, receipt.files.read) == (8, 8)
    assert len(list(bench.stores.dataset.files(""))) > 2


def test_a_folded_unit_too_large_is_cut_between_its_places_and_within_large_ones() -> None:
    bench = Workbench(whole_s=35, left_s=35, days=0, layout="dt")  # 5 s for a unit
    places = [(ACCOUNT, REGION), *((f"00000000000{n}", "eu-west-1") for n in range(4))]
    for account, region in places:
        for hour in range(1, 22 if region == REGION else 3, 3):
            happened = f"{DAY}T{hour:02d}:00:00Z"
            text = log_file(record(eventTime=happened, eventID=f"id-{hour}")) + blank(5_000_000)
            bench.stores.source.write(log_key(account, region, at(DAY, hour, 10)), text)
    unit = Unit("", "", DAY)

    assert bench.work(ConvertEvent.of([unit])) == {"converted": 0, "handed_back": 0}
    assert bench.sent is not None
    shards = [event for event in bench.sent if isinstance(event, ConvertEvent)]
    (bounds,) = {event.units[0].bounds for event in shards}
    assert len(bounds) == len(shards) - 1 > 2
    assert {second > 0 for _, _, second in bounds} == {True, False}

    for event in reversed(shards):
        again = Workbench(whole_s=35, left_s=35, days=0, layout="dt")
        again.stores = bench.stores
        assert again.work(parse(json.loads(to_text(event))))["handed_back"] == 0

    receipt = read_notes(bench.stores.state, unit).receipt
    assert receipt is not None
    assert (receipt.records.written, receipt.files.read) == (11, 11)
    assert {key[:1] for key in receipt.places} == {"0", ACCOUNT[0]}
    assert all(shard_of(part.key).cut for part in receipt.parts)


def test_a_unit_too_large_stops_no_other_where_there_is_nowhere_to_send_shards() -> None:
    bench = Workbench(whole_s=35, left_s=35, days=3, sent=None)  # 5 s for a unit, which is 20 MB
    bench.stores.source.write(log_key(ACCOUNT, REGION, at(DAY, 13)), bytes(25_000_000))

    with pytest.raises(TooLargeError, match="2026-01-10: needs about 7 s; an invocation has 5 s"):
        bench.run()

    assert bench.done == bench.units[1:]


def test_a_unit_too_large_for_any_invocation_ends_up_with_what_has_failed(
    deployed: Deployment,
) -> None:
    put_log(deployed, at(DAY, 12), at(DAY, 11), padding=8_000_000)
    put_log(deployed, at(DAY + timedelta(days=4), 12), at(DAY + timedelta(days=4), 11))
    days = [{"account": ACCOUNT, "region": REGION, "day": f"2026-01-{day}"} for day in (10, 14)]
    box = deployed.start()
    invoke = partial(box.invoke, timeout_s=QUICK_S)

    deployed.invoke_asynchronously(invoke, {"kind": "convert", "units": days})
    deployed.carry_events(invoke)

    assert [one.unit.day.day for one in deployed.receipts()] == [14]
    (failed,) = (one["detail"]["units"] for one in deployed.failed)  # the shard with the file
    assert [{name: one[name] for name in days[0]} for one in failed] == [days[0]]
    assert len(failed[0]["shard"]) == 2
    said = [one["error"] for one in box.lines("unit_failed")]
    assert len(said) == 3  # Lambda tries the shard three times
    pattern = (
        r"2026-01-10: needs about 3 s; an invocation has [12] s for it\. Give the function more"
    )
    assert all(re.search(pattern, one) for one in said)
    assert deployed.litter() == []


# Names of units.


OTHER = "444455556666"
FIRST = Unit(ACCOUNT, REGION, DAY)


def bench_of_an_organization() -> Workbench:
    """An account by itself, and it and another one again below an organization."""
    bench = Workbench(days=2)
    for account in (ACCOUNT, OTHER):
        key = log_key(account, REGION, at(DAY, 13), organization="o-abcdefghij")
        bench.stores.source.write(key, log_file(record(eventTime=f"{DAY}T12:00:00Z")))
    return bench


WRONG_UNITS = {
    "an organization before the account": (Unit(f"o-abcdefghij/{OTHER}", REGION, DAY), OTHER),
    "an organization": (Unit("o-abcdefghij", REGION, DAY), OTHER),
    "a folder further up": (Unit("..", REGION, DAY), OTHER),
    "two folders further up": (Unit("../..", REGION, DAY), OTHER),
    "this folder": (Unit(".", REGION, DAY), OTHER),
    "no account": (Unit("", REGION, DAY), "Name the account as well"),
    "an account that lost its zero": (Unit(ACCOUNT.lstrip("0"), REGION, DAY), ACCOUNT),
    "a control character": (Unit(f"{ACCOUNT}\n", REGION, DAY), ACCOUNT),
    "a region that is misspelt": (Unit(ACCOUNT, "eucentral1", DAY), REGION),
    "a region of no account": (Unit(ACCOUNT, "..", DAY), REGION),
    "a region with a day": (Unit(ACCOUNT, f"{REGION}/2026", DAY), REGION),
    "no region": (Unit(ACCOUNT, "", DAY), "Name the region as well"),
    "a day without logs": (
        Unit(ACCOUNT, REGION, DAY + timedelta(days=40)),
        "days from 2026-01-10 to 2026-01-11",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_UNITS)
def test_a_unit_that_cannot_be_fails_alone_and_it_is_said_what_there_is(wrong: str) -> None:
    bench = bench_of_an_organization()
    unit, said = WRONG_UNITS[wrong]
    before = sorted(entry.key for entry in bench.stores.source.files(""))

    counts = bench.work(ConvertEvent.of([FIRST, unit, Unit(OTHER, REGION, DAY)]))

    assert counts == {"converted": 2, "handed_back": 1}
    assert bench.sent == [ConvertEvent.of([unit])]
    accounts = {unit_of(entry.key) for entry in bench.stores.dataset.files("")}
    assert accounts == {FIRST, Unit(OTHER, REGION, DAY)}
    assert sorted(entry.key for entry in bench.stores.source.files("")) == before

    bench.sent = Sent()
    with pytest.raises(UsageError, match=re.escape(said)):
        bench.work(ConvertEvent.of([unit]))
    assert bench.sent == []


def test_a_place_on_a_disk_is_not_left_by_the_name_of_an_account(tmp_path: Path) -> None:
    bench = Workbench(days=1)
    outside, source = open_store(tmp_path), open_store(tmp_path / "a" / "b")
    for store in (outside, source):
        key = log_key(ACCOUNT, REGION, at(DAY, 12))
        store.write(key, log_file(record(eventTime=f"{DAY}T11:00:00Z")))
    bench.stores = dataclasses.replace(bench.stores, source=source)

    with pytest.raises(UsageError, match="no logs for account"):
        bench.work(ConvertEvent.of([Unit(f"../../../AWSLogs/{ACCOUNT}", REGION, DAY)]))

    assert list(bench.stores.dataset.files("")) == []


def test_a_unit_whose_logs_are_gone_is_kept_though_its_account_is_gone_too() -> None:
    bench = Workbench(days=1)
    bench.run()
    parts = [entry.key for entry in bench.stores.dataset.files("")]
    source = bench.stores.source
    source.delete([entry.key for entry in source.files("")])
    source.write(log_key(OTHER, REGION, at(DAY, 12)), log_file(record()))

    assert bench.run() == {"converted": 1, "handed_back": 0}

    receipt = read_notes(bench.stores.state, FIRST).receipt
    assert receipt is not None
    assert receipt.kept
    assert [entry.key for entry in bench.stores.dataset.files("")] == parts


@pytest.mark.parametrize(
    ("accounts", "regions", "said"),
    [
        ((ACCOUNT.lstrip("0"),), (), f"{ACCOUNT}, {OTHER}"),
        ((ACCOUNT, "../.."), (), f"'../..'. There are: {ACCOUNT}, {OTHER}"),
        ((), ("us-east1",), f"us-east1. There are: {REGION}"),
    ],
)
def test_a_plan_that_names_what_is_not_there_fails_and_says_what_is(
    accounts: tuple[str, ...], regions: tuple[str, ...], said: str
) -> None:
    bench = bench_of_an_organization()

    with pytest.raises(UsageError, match=re.escape(said)):
        bench.work(PlanEvent(DAY, DAY, accounts=accounts, regions=regions, only="all"))

    assert (bench.sent, bench.done) == ([], [])


def test_accounts_are_listed_once_and_the_regions_of_each_once(deployed: Deployment) -> None:
    units = []
    for account in (ACCOUNT, OTHER):
        for day in (10, 14, 18):
            key = log_key(
                account, REGION, at(DAY.replace(day=day), 12), organization="o-abcdef1234"
            )
            body = log_file(record(eventTime=f"2026-01-{day}T11:00:00Z"))
            deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=f"org/{key}", Body=body)
            units.append({"account": account, "region": REGION, "day": f"2026-01-{day}"})
    box = deployed.start()
    deployed.proxy.clear()

    done = box.invoke({"kind": "convert", "units": units})

    assert done.payload == {"converted": 6, "handed_back": 0}
    listed = Counter(
        one.query.get("prefix", "")
        for one in deployed.proxy.requests
        if one.lists and one.query.get("delimiter") and "/logs-" in one.path
    )
    assert listed == dict.fromkeys(
        [
            "org/",
            "org/AWSLogs/",
            "org/AWSLogs/o-abcdef1234/",
            *(f"org/AWSLogs/o-abcdef1234/{one}/CloudTrail/" for one in (ACCOUNT, OTHER)),
        ],
        1,
    )


def test_messages_that_cannot_be_done_fail_by_themselves(deployed: Deployment) -> None:
    put_log(deployed, at(DAY, 12), at(DAY, 11))
    box = deployed.start()
    day = {"from": "2026-01-10", "to": "2026-01-10", "only": "all"}
    unit = {"account": ACCOUNT, "region": REGION, "day": "2026-01-10"}
    bodies: dict[str, Any] = {
        "good": {"body": json.dumps({"kind": "convert", "units": [unit]})},
        "without a body": {},
        "a body that is no text": {"body": {"kind": "daily"}},
        "a plan of an unknown account": {
            "body": json.dumps({"kind": "plan", **day, "accounts": [ACCOUNT.lstrip("0")]})
        },
        "a unit of an unknown region": {
            "body": json.dumps({"kind": "convert", "units": [{**unit, "region": "eucentral1"}]})
        },
    }
    records = [
        {"messageId": name, "eventSource": "aws:sqs", **body} for name, body in bodies.items()
    ]

    done = box.invoke({"Records": records})

    assert done.ok
    failed = [one["itemIdentifier"] for one in done.payload["batchItemFailures"]]
    assert failed == [name for name in bodies if name != "good"]
    assert [one.unit.region for one in deployed.receipts()] == [REGION]
    assert box.metrics()["EventsRefused"] == 2
    assert box.metrics()["MessagesFailed"] == len(failed)
    assert [one["message_id"] for one in box.lines("message_failed")] == failed


def test_a_message_without_an_id_is_refused_and_counted(deployed: Deployment) -> None:
    box = deployed.start()

    done = box.invoke({"Records": [{"eventSource": "aws:sqs"}]})

    assert not done.ok
    assert box.metrics()["EventsRefused"] == 1
    (line,) = box.lines("event_failed")
    assert line["error"].startswith("event: a message of SQS without messageId")


def visibilities(deployed: Deployment) -> list[int]:
    """The seconds for which the function has had messages hidden, in order."""
    target = "AmazonSQS.ChangeMessageVisibility"
    requests = [one for one in deployed.proxy.requests if one.headers.get("x-amz-target") == target]
    return [json.loads(one.body)["VisibilityTimeout"] for one in requests]


def test_a_message_that_has_failed_comes_again_within_minutes(deployed: Deployment) -> None:
    box = deployed.start()
    deployed.send_messages("{")

    carried = deployed.map_queue(box.invoke)

    assert [one.outcomes[0].ok for one in carried] == [True] * ATTEMPTS
    assert visibilities(deployed) == [120, 240, 480]
    assert deployed.dead_letters() == ["{"]


def test_so_does_one_that_a_wrong_environment_fails(deployed: Deployment) -> None:
    box = deployed.start(CLOUDTRAIL_PARQUET_PAGE_ROWS="0")
    deployed.send_messages("{")

    carried = deployed.map_queue(box.invoke)

    assert [one.outcomes[0].ok for one in carried] == [False] * ATTEMPTS
    assert visibilities(deployed) == [120, 240, 480]


def test_a_message_fails_in_the_same_way_if_it_cannot_come_again_soon(deployed: Deployment) -> None:
    def changes(request: Request) -> bool:
        return request.headers.get("x-amz-target", "").endswith("ChangeMessageVisibility")

    deployed.proxy.add(error(403, "AccessDenied", method="POST", when=changes))
    box = deployed.start()
    deployed.send_messages("{")

    carried = deployed.map_queue(box.invoke)

    assert [failed_bodies(one) for one in carried] == [["{"]] * ATTEMPTS
    assert len(box.lines("message_not_soon")) == ATTEMPTS
    assert "AccessDenied" in box.lines("message_not_soon")[0]["error"]


# Log files that no unit reads, and nothing to read.


def test_log_files_that_no_unit_reads_are_told_and_measured(deployed: Deployment) -> None:
    put_log(deployed, at(DAY, 12), at(DAY, 11))
    name = log_key(ACCOUNT, REGION, at(DAY, 13)).rpartition("/")[2]
    below = f"AWSLogs/{ACCOUNT}"
    folders = [f"{below}/", f"{below}/CloudTrail/{REGION}/2026/01/9/", f"{below}/cloudtrail/"]
    for number, folder in enumerate(folders):
        for other in range(number + 1):
            key = f"org/{folder}{name.replace('1300Z', f'130{other}Z')}"
            deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=key, Body=b"x")
    box = deployed.start()

    done = box.invoke({"kind": "plan", "from": "2026-01-10", "to": "2026-01-10"})

    assert done.payload == {"converted": 1, "handed_back": 0}
    told = {line["folder"]: line["files"] for line in box.lines("unplaced")}
    assert told == {folder: number + 1 for number, folder in enumerate(folders)}
    assert all(line["example"].startswith(line["folder"]) for line in box.lines("unplaced"))
    assert box.metrics()["FilesUnplaced"] == 6


def test_a_log_file_without_bytes_is_measured_and_in_the_receipt(deployed: Deployment) -> None:
    put_log(deployed, at(DAY, 12), at(DAY, 11))
    key = log_key(ACCOUNT, REGION, at(DAY, 13))
    deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=f"org/{key}", Body=b"")
    box = deployed.start()

    unit = {"account": ACCOUNT, "region": REGION, "day": "2026-01-10"}
    box.invoke({"kind": "convert", "units": [unit]})

    (receipt,) = deployed.receipts()
    assert [(one.files, one.example) for one in receipt.unplaced] == [(1, key)]
    assert box.metrics()["FilesUnplaced"] == 1
    assert box.lines("unit_converted")[0]["files_unplaced"] == 1


@pytest.mark.parametrize("only", ["missing", "outdated", "all"])
def test_a_plan_without_any_log_file_fails_and_says_which_days_there_are(only: Any) -> None:  # noqa: ANN401
    bench = Workbench(days=2)

    with pytest.raises(UsageError, match="days from 2026-01-10 to 2026-01-11"):
        bench.work(PlanEvent(DAY + timedelta(days=9), DAY + timedelta(days=19), only=only))
    with pytest.raises(UsageError, match=f"accounts {ACCOUNT}; regions {REGION}"):
        bench.work(DailyEvent())


@pytest.mark.parametrize("only", ["missing", "outdated"])
def test_a_plan_of_days_that_are_all_up_to_date_is_a_success(only: Any) -> None:  # noqa: ANN401
    bench = Workbench(days=2)
    bench.run()

    done = bench.work(PlanEvent(DAY, DAY + timedelta(days=1), only=only))

    assert done == {"converted": 0, "handed_back": 0}


# Faults.


@dataclass(frozen=True)
class Stumbling:
    """A tree in a deployment whose store stumbles, and what should come of it."""

    deployed: Deployment
    box: Sandbox
    expected: dict[str, bytes]
    units: list[dict[str, str]]
    records: dict[str, list[str]]

    def convert(self, **event: object) -> None:
        asked = event or {
            "kind": "plan",
            "from": "2026-01-09",
            "to": "2026-03-10",
            "only": "outdated",
        }
        self.deployed.invoke_asynchronously(self.box.invoke, asked)
        self.deployed.carry_events(self.box.invoke)

    @property
    def missing(self) -> list[str]:
        """Ids of records that are not in the dataset; nothing else is in it."""
        there = Counter(ids(self.deployed.objects("lake")))
        planted = Counter(one for some in self.records.values() for one in some)
        assert there <= planted
        return sorted((planted - there).elements())


def ids(parts: dict[str, bytes]) -> list[str]:
    """Something that every record of this tree has, and no two."""
    columns = ["eventTime", "eventID", "eventName", "requestID"]
    found = [pq.ParquetFile(io.BytesIO(data)).read(columns) for data in parts.values()]
    return [mark(row) for rows in found for row in rows.to_pylist()]


def mark(row: dict[str, Any]) -> str:
    when = row["eventTime"]
    seconds = when if isinstance(when, str) else f"{when:%Y-%m-%dT%H:%M:%SZ}"
    return " ".join(map(str, [seconds, row["eventName"], row.get("eventID"), row.get("requestID")]))


@pytest.fixture(scope="module")
def stumbling(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Stumbling:
    folder, deployed = tmp_path_factory.mktemp("faults"), deploy()
    generate_tree(folder / "logs", TreeSpec(accounts=2, regions=1, days=1, records=36, late=0.1))
    deployed.upload(folder / "logs")
    expected = converted_on_disk(folder)
    keys = [path.parts for path in (folder / "expected.state/receipts").rglob("*.json")]
    found = [[part.partition("=")[2].partition(".")[0] for part in parts[-5:]] for parts in keys]
    of_units = [
        {"account": account, "region": region, "day": "-".join(day)}
        for account, region, *day in sorted(found)
    ]
    records = {
        key: [mark(one) for one in json.loads(gzip.decompress(data))["Records"]]
        for key, data in contents(folder / "logs").items()
        if "/CloudTrail/" in key
    }
    return Stumbling(
        deployed, deployed.start(CLOUDTRAIL_PARQUET_LEASE_S="10"), expected, of_units, records
    )


@pytest.fixture
def afresh(stumbling: Stumbling) -> Iterator[Stumbling]:
    stumbling.box.log.clear()
    stumbling.deployed.failed.clear()
    for place in ("lake", "state"):
        stumbling.deployed.remove(place)
    yield stumbling
    stumbling.deployed.proxy.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        lambda: [error(503, "SlowDown", when=every(6))],
        lambda: [
            Fault(method="GET", lost="before", when=every(5)),
            Fault(method="PUT", lost="before", when=every(5)),
            Fault(method="POST", lost="before", when=every(3)),
        ],
        lambda: [Fault(method="GET", path=r"\.json\.gz$", keep_bytes=100, when=every(2))],
        lambda: [Fault(delay_s=0.2, when=every(15))],
        lambda: [error(500, "InternalError", path="/state-", times=8)],
        lambda: [
            Fault(method="PUT", lost="after", path="/lake-|/state-", when=every(4)),
            Fault(method="POST", lost="after", path="/lake-|/state-", when=every(3)),
        ],
        lambda: [error(400, "ExpiredToken", times=2)],
    ],
    ids=["busy", "resets", "truncated", "slow", "state-fails", "lost-answers", "expired-a-while"],
)
def test_what_passes_leaves_the_dataset_that_there_would_be_without(
    afresh: Stumbling, faults: Callable[[], list[Fault]]
) -> None:
    afresh.deployed.proxy.add(*faults())

    afresh.convert()

    assert afresh.deployed.failed == []
    assert afresh.deployed.objects("lake") == afresh.expected
    assert {one.status for one in afresh.deployed.receipts()} == {"complete"}
    # Units side by side share the faults, so that the removal of a lease may fail three times.
    assert [key for key in afresh.deployed.litter() if not key.startswith("leases/")] == []


def test_log_files_that_may_not_be_read_are_named_and_read_once_they_may(
    afresh: Stumbling,
) -> None:
    account = afresh.units[0]["account"]
    path = f"{account}/CloudTrail/.*gz$"
    afresh.deployed.proxy.add(error(403, "AccessDenied", method="GET", path=path))

    afresh.convert()

    receipts = afresh.deployed.receipts()
    named = {bad.key for one in receipts for bad in one.quarantined if bad.retryable}
    assert named == {key for key in afresh.records if f"/{account}/" in key}
    assert afresh.missing == sorted(one for key in named for one in afresh.records[key])
    assert {one.account for one in receipts if one.status == "partial"} == {account}
    metrics, partial_ones = afresh.box.metrics(), [one for one in receipts if one.quarantined]
    assert metrics["UnitsPartial"] == len(partial_ones) > 0
    assert metrics["FilesQuarantined"] == sum(one.files.quarantined for one in receipts)

    afresh.deployed.proxy.clear()
    afresh.convert()

    assert afresh.deployed.objects("lake") == afresh.expected
    assert afresh.deployed.litter() == []


def test_an_account_that_refuses_fails_alone_and_can_be_repeated(afresh: Stumbling) -> None:
    account = afresh.units[0]["account"]

    def refused(request: Request) -> bool:
        return f"/{account}/" in request.path + request.query.get("prefix", "")

    afresh.deployed.proxy.add(error(403, "AccessDenied", path="/logs-", when=refused))

    afresh.convert(kind="convert", units=afresh.units)

    refusing = [one for one in afresh.units if one["account"] == account]
    assert [one["detail"]["units"] for one in afresh.deployed.failed] == [refusing]
    others = {key: data for key, data in afresh.expected.items() if account not in key}
    assert afresh.deployed.objects("lake") == others
    said = [one["error"] for one in afresh.box.lines("unit_failed")]
    assert all("AccessDenied: injected). Allow it to these credentials" in one for one in said)
    assert afresh.deployed.litter() == []

    afresh.deployed.proxy.clear()
    for event in list(afresh.deployed.failed):  # as an operator would
        assert afresh.box.invoke(event).ok

    assert afresh.deployed.objects("lake") == afresh.expected


def test_a_plan_leaves_an_account_that_refuses_to_a_plan_of_its_own(afresh: Stumbling) -> None:
    account = afresh.units[0]["account"]

    def refused(request: Request) -> bool:
        return f"/{account}/" in request.query.get("prefix", "")

    afresh.deployed.proxy.add(error(403, "AccessDenied", path="/logs-", when=refused))

    afresh.convert()

    others = {key: data for key, data in afresh.expected.items() if account not in key}
    assert afresh.deployed.objects("lake") == others
    ((asked, named),) = [
        (one["detail"]["kind"], one["detail"]["accounts"]) for one in afresh.deployed.failed
    ]
    assert (asked, named) == ("plan", [account])
    lines = afresh.box.lines("account_refused")
    assert [one["account"] for one in lines] == [account] * 4  # of the schedule's, and three tries
    assert all(
        "AccessDenied: injected). Allow it to these credentials" in one["error"] for one in lines
    )
    assert afresh.box.metrics()["AccountsRefused"] == 4
    assert afresh.deployed.litter() == []

    afresh.deployed.proxy.clear()
    for event in list(afresh.deployed.failed):
        afresh.deployed.invoke_asynchronously(afresh.box.invoke, event)

    assert afresh.deployed.objects("lake") == afresh.expected


@pytest.mark.parametrize("sent", [None, Sent()])
def test_a_plan_of_nothing_but_accounts_that_refuse_fails(sent: Sent | None) -> None:
    bench = Workbench(sent=sent)
    other = log_key("123456789012", REGION, at(DAY, 12))
    bench.stores.source.write(other, log_file(record(eventTime=f"{DAY}T11:00:00Z")))
    source = bench.stores.source

    def level(prefix: str) -> Level:
        if "123456789012" in prefix:
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return source.level(prefix)

    refusing: Any = Changed(source, level=level)
    bench.stores = dataclasses.replace(bench.stores, source=refusing)
    asked = PlanEvent(DAY, DAY + timedelta(days=9), regions=(REGION,), only="all")

    if sent is None:  # nowhere to send it to
        with pytest.raises(RefusedError):
            bench.work(asked)
    else:
        counts = {"converted": 4, "handed_back": 0, "accounts_refused": 1}
        assert bench.work(asked) == counts
        (left,) = sent
        assert left == replace(asked, accounts=("123456789012",))
        sent.clear()
        with pytest.raises(RefusedError, match="123456789012"):
            bench.work(left)
        assert sent == []

    assert bench.done == bench.units


@pytest.mark.parametrize("layout", ["year/month/day", "dt"])
def test_units_that_span_accounts_are_planned_without_those_that_refuse(
    layout: PartitionLayout,
) -> None:
    bench = Workbench(whole_s=1, layout=layout)  # so short that each unit is a batch
    bench.stores.source.write(log_key(OTHER, REGION, at(DAY, 12)), log_file(record()))
    source = bench.stores.source

    def level(prefix: str) -> Level:
        if OTHER in prefix:
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return source.level(prefix)

    refusing: Any = Changed(source, level=level)
    bench.stores = dataclasses.replace(bench.stores, source=refusing)
    days = [DAY + timedelta(days=number) for number in range(4)]

    counts = bench.work(PlanEvent(DAY, days[-1]))

    assert counts == {"planned": 4, "batches": 4, "accounts_refused": 1}
    assert bench.sent == [ConvertEvent.of([Unit("", "", day)]) for day in days]
    with pytest.raises(RefusedError, match=OTHER):
        bench.work(PlanEvent(DAY, days[-1], accounts=(OTHER,)))


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "year/month/day"])
def test_an_hourly_run_after_which_nothing_was_delivered_reads_no_log_file_and_writes_nothing(
    layout: PartitionLayout,
) -> None:
    bench, today = Workbench(days=0, layout=layout), datetime.now(UTC).date()
    for days_back in range(5):
        day = today - timedelta(days=days_back)
        delivered = at(day, 0, 30)
        happened = f"{delivered - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
        key = log_key(ACCOUNT, REGION, delivered)
        bench.stores.source.write(key, log_file(record(eventTime=happened)))
    hourly = DailyEvent(days_back=0)
    assert bench.work(hourly)["converted"] > 0
    before = bench.stores

    def fail(*_: Any) -> Any:  # noqa: ANN401
        raise AssertionError

    bench.stores = WritableStores(
        Changed(before.source, read=fail, open=fail),
        Changed(before.dataset, swap=fail, write=fail, remove=fail, staging=fail),
        Changed(before.state, swap=fail, write=fail, remove=fail, lease=fail),
    )
    assert bench.work(hourly) == {"converted": 0, "handed_back": 0}

    bench.stores = before
    bench.stores.source.write(log_key(ACCOUNT, REGION, at(today, 0, 31)), log_file(record()))
    assert bench.work(hourly)["converted"] >= 1


def test_a_region_that_refuses_is_told_of_and_sends_no_plan_on() -> None:
    bench = Workbench(days=1, layout="account/dt")
    bench.stores.source.write(log_key(ACCOUNT, "us-east-1", at(DAY, 12)), log_file(record()))
    source = bench.stores.source

    def files(prefix: str, *skip: Any, **after: Any) -> Iterator[Entry]:  # noqa: ANN401
        if "us-east-1" in prefix:
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return source.files(prefix, *skip, **after)

    bench.stores = dataclasses.replace(bench.stores, source=Changed(source, files=files))

    assert bench.work(PlanEvent(DAY, DAY)) == {"converted": 1, "handed_back": 0}
    assert bench.sent == []
    receipt = read_notes(bench.stores.state, Unit(ACCOUNT, "", DAY)).receipt
    assert receipt is not None
    assert receipt.status == "partial"


def test_a_unit_that_spans_accounts_is_named_by_its_day_alone() -> None:
    bench = Workbench(whole_s=1, layout="dt")
    bench.work(PlanEvent(DAY, DAY + timedelta(days=1)))
    assert bench.sent is not None
    texts = [to_text(event) for event in bench.sent]

    assert texts == [
        f'{{"kind":"convert","units":[{{"day":"{day}"}}]}}' for day in ("2026-01-10", "2026-01-11")
    ]
    with pytest.raises(UsageError, match=r"it has an account, in the layout dt\. Leave it out"):
        bench.work(ConvertEvent.of([FIRST]))


def test_a_unit_that_spans_accounts_and_is_not_finished_is_completed_by_the_daily_run() -> None:
    today = datetime.now(UTC).date()
    bench = Workbench(whole_s=1, layout="dt")
    old, new = Unit("", "", DAY), [Unit("", "", today - timedelta(days=n)) for n in (2, 1)]
    for unit in new:
        bench.stores.source.write(log_key(ACCOUNT, REGION, at(unit.day, 12)), log_file(record()))
    begun = datetime.now(UTC) - timedelta(hours=1)
    state = bench.stores.state
    state.write(StateKeys.of(old).intent, b"{}")

    def files(prefix: str, *skip: Any, **after: Any) -> Iterator[Entry]:  # noqa: ANN401
        return (entry._replace(modified=begun) for entry in state.files(prefix, *skip, **after))

    bench.stores = dataclasses.replace(bench.stores, state=Changed(state, files=files))

    bench.work(DailyEvent())

    assert bench.sent == [ConvertEvent.of([unit]) for unit in (*new, old)]


def test_several_sources_are_converted_as_one(deployed: Deployment, tmp_path: Path) -> None:
    generate_tree(tmp_path / "logs", TreeSpec(accounts=2, regions=1, days=1, records=60, late=0.1))
    expected = converted_on_disk(tmp_path)
    (other,) = deployed.new_buckets("legacy")
    for number, (key, data) in enumerate(contents(tmp_path / "logs").items()):
        if number % 3 != 0:
            deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=f"org/{key}", Body=data)
        if number % 3 != 1:
            deployed.s3.put_object(Bucket=other, Key=key, Body=data)
    one = deployed.environment["CLOUDTRAIL_PARQUET_SOURCE"]
    (empty,) = deployed.new_buckets("new")
    box = deployed.start(CLOUDTRAIL_PARQUET_SOURCE=f"{one} s3://{other}?retries=2 s3://{empty}")
    event = {"kind": "plan", "from": "2026-01-09", "to": "2026-03-10"}

    deployed.invoke_asynchronously(box.invoke, event)
    deployed.carry_events(box.invoke)

    assert deployed.failed == []
    there = deployed.objects("lake")
    assert sorted(ids(there)) == sorted(ids(expected))
    assert set(there) == set(expected)
    receipts = deployed.receipts()
    assert sum(receipt.records.duplicate for receipt in receipts) > 0
    assert [line["place"] for line in box.lines("without_logs")] == [f"{empty}/"]
    assert box.invoke(event).payload == {"converted": 0, "handed_back": 0}


def test_credentials_that_expire_amid_the_work_lose_nothing_for_good(afresh: Stumbling) -> None:
    seen = iter(range(1_000_000))
    expired = error(400, "ExpiredToken", when=lambda _: next(seen) > 60)
    afresh.deployed.proxy.add(expired)

    afresh.convert()

    assert afresh.missing != []
    assert len(afresh.deployed.failed) == 1
    said = afresh.box.lines("event_failed")[-1]["error"]
    assert "(ExpiredToken: injected). Renew the credentials and run it again" in said

    afresh.deployed.proxy.clear()
    afresh.deployed.remove("state", "leases/")  # they would expire, too
    afresh.convert()

    assert afresh.missing == []
    assert afresh.deployed.objects("lake") == afresh.expected


@pytest.mark.slow
def test_an_invocation_that_is_ended_amid_publishing_is_completed_by_its_retry(
    afresh: Stumbling,
) -> None:
    def ends(_: Request) -> bool:
        afresh.box.kill()
        return False

    proxy = afresh.deployed.proxy
    proxy.add(Fault(method="PUT", path="/straggler-", when=ends))
    first = afresh.box.invoke({"kind": "convert", "units": afresh.units})
    assert first == Outcome(ok=False, payload={"errorType": "Runtime.ExitError"})
    assert afresh.deployed.litter() != []

    proxy.clear()
    afresh.deployed.remove("state", "leases/")  # rather than wait until they expire
    afresh.convert(kind="convert", units=afresh.units)

    assert afresh.deployed.objects("lake") == afresh.expected
    assert afresh.deployed.litter() == []


# Many at the same time.


@pytest.mark.slow
def test_28_runs_of_7_units_at_the_same_time_give_what_one_of_each_gives(
    deployed: Deployment, moto: str, tmp_path: Path
) -> None:
    generate_tree(tmp_path / "logs", TreeSpec(accounts=1, regions=1, days=4, records=60, late=0.1))
    expected = converted_on_disk(tmp_path)
    deployed.upload(tmp_path / "logs")
    settings = Settings(lease_wait_s=300)

    def opened() -> WritableStores:
        locations = (f"s3://{deployed.buckets[place]}" for place in ("logs", "lake", "state"))
        prefixes = ("org", "cloudtrail", "x")
        source, dataset, state = (
            open_store(f"{place}/{prefix}?endpoint={moto}")
            for place, prefix in zip(locations, prefixes, strict=True)
        )
        return WritableStores(source, dataset, state)

    stores = opened()
    record_properties(stores, DatasetOptions.of(settings), LeaseOptions.of(settings))
    found = discover(stores.source, settings.folders)
    chosen = units(stores.source, found, settings.window)
    assert len(chosen) == 7
    runs = chosen * 4
    Random(0).shuffle(runs)
    ready = threading.Barrier(len(runs))

    def run(unit: Unit) -> None:
        own = opened()
        ready.wait()
        convert_unit(unit, found.trails[unit.account, unit.region], own, settings)

    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(run, runs))

    assert deployed.objects("lake") == expected
    assert deployed.litter() == []
    assert len(set(ids(expected))) == 60


# From one invocation to the next.


def test_connections_of_the_last_invocation_are_not_used_again(deployed: Deployment) -> None:
    """While a function is frozen they are closed, and it learns of it only when it sends."""
    put_log(deployed, at(DAY, 12), at(DAY, 11))
    open_ones, closed = set[threading.Thread](), set[threading.Thread]()

    def is_closed(_: Request) -> bool:  # the proxy serves each connection in a thread of its own
        open_ones.add(threading.current_thread())
        return threading.current_thread() in closed

    deployed.proxy.add(Fault(lost="before", when=is_closed))
    given = {name: uri.replace("=2", "=0") for name, uri in deployed.environment.items()}
    box = deployed.start(SOURCE_TREE, **given)
    event = {"kind": "plan", "from": "2026-01-10", "to": "2026-01-10", "only": "all"}

    for _ in range(8):
        assert box.invoke(event).payload == {"converted": 1, "handed_back": 0}
        closed |= open_ones
    assert max(box.open_files) < 25  # nor are they kept


# What is told.


def planted(number: int) -> dict[str, Any]:
    """A record with names of its own in each kind of field; some of them odd."""
    unique = f"secret{number}"
    odd: dict[str, Any] = {} if number % 2 else {unique: unique, "readOnly": unique}
    return record(
        eventTime="2026-01-10T11:00:00Z",
        eventID=f"{unique}-id",
        userIdentity={
            "type": "IAMUser",
            "arn": f"arn:aws:iam::1:user/{unique}",
            "userName": unique,
        },
        sourceIPAddress=f"{unique}.example.com",
        userAgent=unique,
        requestParameters={unique: unique},
        errorMessage=f"User {unique} is not authorized",
        awsRegion=unique,
        **odd,
    )


def test_no_line_holds_anything_of_a_record(deployed: Deployment) -> None:
    good = log_file(*map(planted, range(6)))
    timeless = log_file({**planted(7), "eventTime": "secret"}, '{"secret8"}', '["secret9"]')
    bodies = [good, timeless, good[:-20], b"secret", gzip.compress(b"secret"), log_file(good.hex())]
    for number, body in enumerate(bodies):
        key = log_key(ACCOUNT, REGION, at(DAY, 12), unique=f"{number:016d}")
        deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=f"org/{key}", Body=body)
    box = deployed.start()

    done = box.invoke({"kind": "plan", "from": "2026-01-10", "to": "2026-01-10"})

    assert done.ok
    (line,) = box.lines("unit_converted")
    (receipt,) = deployed.receipts()
    assert len(receipt.quarantined) >= 4
    assert any("secret" in name for name in receipt.unmapped)
    assert line["records_quarantined"] == receipt.records.quarantined
    assert (line["status"], line["account"]) == ("partial", ACCOUNT)
    assert box.metrics()["UnitsPartial"] == 1
    assert all(json.loads(text) for text in box.log)  # each line is JSON
    assert not [text for text in box.log if "secret" in text]


def test_what_is_no_event_is_refused_and_it_is_said_what_would_be_one(
    deployed: Deployment,
) -> None:
    bad: list[Any] = [
        None,
        [],
        "daily",
        {},
        {"Records": []},
        {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
        {"kind": "weekly"},
        {"kind": "convert", "units": []},
        {"kind": "plan", "from": "2026-01-02", "to": "2026-01-01"},
        {"detail-type": "x", "detail": {"kind": "daily", "weeks": 1}},
    ]
    box = deployed.start()

    outcomes = [box.invoke(event) for event in bad]

    assert {(one.ok, one.payload["errorType"]) for one in outcomes} == {(False, "UsageError")}
    said = [one.payload["errorMessage"] for one in outcomes]
    assert [text for text in said if "docs/events.md" not in text] == [
        "event: to = 2026-01-01 is before from = 2026-01-02. Swap them"
    ]
    lines = box.lines("event_failed")
    assert [one["error"] for one in lines] == said
    assert len({one["request_id"] for one in lines}) == len(bad)
    assert box.metrics() == {"EventsRefused": len(bad)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"STATE": ""}, "not set: CLOUDTRAIL_PARQUET_STATE"),
        ({"DISPATCH": "sns"}, "Set it to events, queue or inline"),
        ({"DISPATCH": "queue", "QUEUE_URL": ""}, "not set: CLOUDTRAIL_PARQUET_QUEUE_URL"),
        ({"ROW_GROUP_ROWS": "0"}, "row_group_rows = '0'"),
        ({"COLOR": "red"}, "there is no setting color"),
        ({"PART_BYTES": "67108865"}, "s3://lake: part_bytes = 67,108,865 is too much for a bucket"),
    ],
)
def test_an_environment_that_is_wrong_is_refused(changes: dict[str, str], said: str) -> None:
    given = {"SOURCE": "s3://logs", "DATASET": "s3://lake", "STATE": "s3://state", **changes}

    with pytest.raises(UsageError, match=re.escape(said)):
        function_of({f"CLOUDTRAIL_PARQUET_{name}": value for name, value in given.items()})


def test_deployments_of_one_account_have_metrics_of_their_own(deployed: Deployment) -> None:
    put_log(deployed, at(DAY, 12), at(DAY, 11))
    box = deployed.start(POWERTOOLS_SERVICE_NAME="trails-dev")

    box.invoke({"kind": "plan", "from": "2026-01-10", "to": "2026-01-10"})

    assert {one["service"] for one in box.lines()} == {"trails-dev"}


def test_a_bus_that_takes_no_events_is_an_error_that_says_so(deployed: Deployment) -> None:
    for day in range(10, 30):
        put_log(deployed, at(DAY.replace(day=day), 12), at(DAY.replace(day=day), 11))
    box = deployed.start()
    denied = error(400, "AccessDeniedException", method="POST", path="^/$")
    deployed.proxy.add(denied)

    failed = box.invoke({"kind": "plan", "from": "2026-01-10", "to": "2026-01-30"}, QUICK_S)

    assert failed.payload["errorType"] == "StorageError"
    assert failed.payload["errorMessage"].startswith("event bus bus-")
    assert "events were not taken" in failed.payload["errorMessage"]


# Starting.

SLOW_TO_IMPORT = {
    *("asyncio", "boto3", "duckdb", "multiprocessing", "pandas", "polars", "rich", "typer"),
    *("aws_lambda_powertools.utilities.batch", "aws_lambda_powertools.utilities.data_classes"),
    *(
        "cloudtrail_parquet.api",
        "cloudtrail_parquet.cli.commands",
        "cloudtrail_parquet.sample_logs",
        "pyarrow.dataset",
        "urllib.request",
    ),
}


def test_the_entry_point_imports_what_it_needs_and_no_more() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import cloudtrail_parquet.handler, sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(LAMBDA_SRC)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(done.stdout.split()) & SLOW_TO_IMPORT == set()
