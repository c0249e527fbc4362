"""How many requests a unit costs beside those for its log files; LIST and PUT are the dear ones."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state import identities
from cloudtrail_parquet.state.keys import split_units
from cloudtrail_parquet.state.receipt import Receipt
from tests.builders import WritableStores, log_file
from tests.unit.counted import Counts
from tests.unit.deliveries import ACCOUNT, REGION, event

DAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, DAY)
TRAIL = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"


class At(SystemClock):
    """A clock that stands still."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


def convert(stores: WritableStores, settings: Settings | None = None) -> Receipt | None:
    return convert_unit(UNIT, [TRAIL], stores, settings or Settings(), splits=frozenset())


def quiet() -> Counts:
    counts = Counts()
    for hour in range(3):
        counts.deliver(NOON + timedelta(hours=hour), hour)
    return counts


def test_a_new_unit_lists_its_place_and_its_partition_and_puts_a_lease_a_part_and_a_receipt() -> (
    None
):
    counts = quiet()

    with counts.counting() as requests:
        assert convert(counts.stores) is not None

    # its notes twice, and twice whether the lease is still held
    assert requests == {"LOG": 3, "LIST": 2, "PUT": 3, "GET": 6, "DELETE": 1}


def test_the_names_of_many_log_files_are_put_beside_the_receipt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identities, "FEW", 2)
    counts = quiet()

    with counts.counting() as requests:
        convert(counts.stores)

    assert requests == {"LOG": 3, "LIST": 2, "PUT": 4, "GET": 7, "DELETE": 1}


def test_a_unit_that_is_replaced_has_an_intent() -> None:
    counts = quiet()
    convert(counts.stores)

    with counts.counting() as requests:
        convert(counts.stores, Settings(row_group_rows=2))

    # the lease, the intent, the part, the receipt; then lease and intent go
    assert requests == {"LOG": 3, "LIST": 2, "PUT": 4, "GET": 5, "DELETE": 2}


def test_an_addition_lists_the_place_and_the_partition_once() -> None:
    counts = quiet()
    stores = replace(counts.stores, clock=At(NOON + timedelta(hours=4)))
    convert(stores)
    counts.deliver(NOON + timedelta(hours=3), 3)

    with counts.counting() as requests:
        receipt = convert(stores)

    assert receipt is not None
    assert (receipt.additions, receipt.records.written) == (1, 4)
    # the lease, the intent, the part, the receipt; and the footer of the part that stays is read
    paid = {kind: requests[kind] for kind in ("LOG", "LIST", "PUT", "DELETE")}
    assert paid == {"LOG": 1, "LIST": 2, "PUT": 4, "DELETE": 2}


def test_an_addition_of_a_record_that_is_there_reads_it_again_after_it_has_seen_that() -> None:
    counts = quiet()
    stores = replace(counts.stores, clock=At(NOON + timedelta(hours=4)))
    convert(stores)
    records = [event(1, NOON + timedelta(hours=1)), event(7, NOON)]
    name = f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1500Z_again000000000000.json.gz"
    stores.source.write(f"{TRAIL}2026/01/10/{name}", log_file(*records))

    with counts.counting() as requests:
        receipt = convert(stores)

    assert receipt is not None
    assert (receipt.additions, receipt.records.written, receipt.records.duplicate) == (1, 4, 1)
    assert requests["LOG"] == 2


def test_an_unchanged_unit_is_not_planned_so_nothing_is_read_or_written() -> None:
    counts = quiet()
    convert(counts.stores)

    with counts.counting() as requests:
        settings, stores = Settings(), counts.stores
        known = discover(stores.source, settings.folders)
        receipts = Receipts(stores.state, stores.now(), None)
        wanted = UnitRange(DAY, DAY)
        options = PlanOptions.of(settings)
        planned = list(plan_units(stores.source, receipts, known, wanted, "outdated", options))

    assert planned == []
    assert requests.keys() == {"LIST", "GET"}


def test_a_folded_unit_lists_each_of_its_places_once() -> None:
    counts, accounts = Counts(), [f"{number:012}" for number in range(1, 5)]
    trails = [f"AWSLogs/{account}/CloudTrail/{REGION}/" for account in accounts]
    for account, trail in zip(accounts, trails, strict=True):
        name = f"{account}_CloudTrail_{REGION}_20260110T1200Z_0000000000000001.json.gz"
        counts.stores.source.write(f"{trail}2026/01/10/{name}", log_file(event(1, NOON)))
    unit, settings = Unit("", "", DAY), Settings(partition_layout="dt")

    with counts.counting() as requests:
        convert_unit(unit, trails, counts.stores, settings, splits=frozenset())

    # the partition before it reads, and under the lease; both leases, the part, the receipt
    assert requests == {"LOG": 4, "LIST": 4 + 2, "PUT": 4, "GET": 8, "DELETE": 2}


def test_the_shards_of_many_units_are_listed_once() -> None:
    counts = quiet()
    with counts.counting() as requests:
        splits = split_units(counts.stores.state)
    assert (splits, requests) == (frozenset(), {"LIST": 1})

    with counts.counting() as requests:
        convert_unit(UNIT, [TRAIL], counts.stores, Settings())
    assert requests["LIST"] == 2 + 1
