"""Consecutive days of a place together: fewer requests, the same rows, whoever else is at work."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.batch import days as module
from cloudtrail_parquet.batch.days import Stretch, by_days
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import CloudTrailParquetError, LeaseTimeoutError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state import identities
from cloudtrail_parquet.state.keys import partition_lease, split_units
from cloudtrail_parquet.state.notes import known_identities, read_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import open_store
from tests.builders import WritableStores
from tests.unit.counted import Counts
from tests.unit.deliveries import (
    ACCOUNT,
    REGION,
    checksums,
    deliver,
    deliver_all,
    deliveries,
    event,
    found,
    memory,
)
from tests.unit.mortal import Killed, KilledError, Mortal

FIRST = datetime(2026, 1, 10, 12, tzinfo=UTC)
SETTINGS = Settings(fetch_threads=1, lease_wait_s=0)
Converted = dict[Unit, Receipt | None]


def convert(
    stores: WritableStores, days: list[date], settings: Settings = SETTINGS, number: int = 4
) -> Converted:
    """Convert some days as a batch does."""
    splits = split_units(stores.state)
    trails = discover(stores.source, settings.folders).trails[ACCOUNT, REGION]
    units = [Unit(ACCOUNT, REGION, day) for day in days]
    stretches = Stretch.of(units, stores, splits)

    def admit(_: list[LogFile]) -> None:
        return None

    def act(unit: Unit) -> Any:  # noqa: ANN401
        if unit in stretches:
            return stretches[unit].convert(unit, trails, settings, admit)
        return convert_unit(unit, trails, stores, settings, admit, splits=splits)

    return dict(zip(units, by_days(act, units, stretches.get, number), strict=True))


def days_from(day: date, number: int) -> list[date]:
    return [day + timedelta(days=each) for each in range(number)]


def each_alone(stores: WritableStores, days: list[date], settings: Settings = SETTINGS) -> None:
    trails = discover(stores.source, settings.folders).trails[ACCOUNT, REGION]
    for day in days:
        convert_unit(Unit(ACCOUNT, REGION, day), trails, stores, settings)


def outdated(stores: WritableStores, settings: Settings = SETTINGS) -> list[date]:
    known = discover(stores.source, settings.folders)
    receipts = Receipts(stores.state, stores.now(), stores.dataset)
    wanted, options = UnitRange(date.min, date.max), PlanOptions.of(settings)
    units = plan_units(stores.source, receipts, known, wanted, "outdated", options)
    return [one.unit.day for one in units]


def quiet(number: int) -> tuple[Counts, list[date]]:
    counts = Counts()
    for day in range(number):
        for hour in range(3):
            counts.deliver(FIRST + timedelta(days=day, hours=hour), 10 * day + hour)
    return counts, days_from(FIRST.date(), number)


def test_ten_new_days_share_their_listings_and_put_a_part_and_a_receipt_each() -> None:
    counts, days = quiet(10)

    with counts.counting() as requests:
        splits, trails = frozenset[Unit](), [f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"]
        units = [Unit(ACCOUNT, REGION, day) for day in days]
        stretches = Stretch.of(units, counts.stores, splits)

        def act(unit: Unit) -> Any:  # noqa: ANN401
            return stretches[unit].convert(unit, trails, SETTINGS, lambda _: None)

        receipts = list(by_days(act, units, stretches.get, 8))

    assert all(receipts)
    # the place, and the partitions before and after the parts; notes twice, and the lease
    assert requests == {"LOG": 30, "LIST": 3, "PUT": 2 * 10, "GET": 5 * 10}
    assert (requests["LIST"] + requests["PUT"]) / 10 <= 2.5
    assert outdated(counts.stores) == []


def test_days_of_more_log_files_than_a_receipt_names_are_known_by_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts, days = quiet(3)
    monkeypatch.setattr(identities, "FEW", 0)

    convert(counts.stores, days)

    for day in days:
        unit = Unit(ACCOUNT, REGION, day)
        known = known_identities(counts.stores.state, unit, read_notes(counts.stores.state, unit))
        assert known is not None
        assert len(known) > 0


def test_days_that_are_replaced_share_the_listing_of_their_place() -> None:
    counts, days = quiet(10)
    convert(counts.stores, days)

    with counts.counting() as requests:
        convert(counts.stores, days, replace(SETTINGS, row_group_rows=2))

    # five to discover the place and the shards; the partition, lease, intent, part and receipt
    assert (requests["LIST"], requests["PUT"]) == (5 + 1 + 10, 4 * 10)


def test_only_consecutive_days_of_one_place_are_converted_together() -> None:
    stores, day = memory(), FIRST.date()
    units = [Unit(ACCOUNT, REGION, one) for one in [*days_from(day, 20), date(2026, 3, 1)]]
    other = [Unit(ACCOUNT, "us-east-1", day), Unit(ACCOUNT, "", day), Unit("", "", day)]

    stretches = Stretch.of([*units, *other], stores, frozenset(units[18:19]))

    assert sorted(stretches) == units[:18]
    assert len({id(each) for each in stretches.values()}) == 2
    assert len({id(stretches[unit]) for unit in units[:16]}) == 1


@hypothesis.settings(max_examples=25)
@given(files=deliveries(), number=st.sampled_from([1, 3]))
def test_the_rows_are_those_of_days_that_are_converted_one_by_one(
    files: list[Any], number: int
) -> None:
    stores, days = deliver_all(files)
    lone, _ = deliver_all(files)
    receipts = convert(stores, days, replace(SETTINGS, lease_wait_s=60), number)
    each_alone(lone, days)

    assert found(stores) == found(lone)
    assert outdated(stores) == outdated(lone) == []
    for unit in receipts:
        mine, theirs = (read_notes(one.state, unit).receipt for one in (stores, lone))
        assert (mine and mine.records.read) == (theirs and theirs.records.read)


@pytest.mark.parametrize(("name", "value"), [("_MOST_OBJECTS", 1), ("_AT_ONCE", 1)])
def test_however_little_is_held_the_rows_are_the_same(
    name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, days = quiet(5)
    monkeypatch.setattr(module, name, value)

    assert all(convert(counts.stores, days).values())

    assert sum(found(counts.stores).values()) == 15
    assert outdated(counts.stores) == []


# Others, and ends.

RECORDS = 8


def late() -> tuple[WritableStores, list[date]]:
    """Four days; a record of the second comes again on the fourth, and one only then."""
    stores = memory()
    for day in range(4):
        when = FIRST + timedelta(days=day)
        deliver(stores, when, [event(day, when), event(10 + day, when)])
    second = FIRST + timedelta(days=1)
    deliver(stores, FIRST + timedelta(days=3), [event(1, second), event(99, second)])
    return stores, days_from(FIRST.date(), 4)


def assert_whole(stores: WritableStores) -> None:
    """Whatever happened, the next runs have each record once, and true receipts."""
    for _ in range(2):
        each_alone(stores, outdated(stores))
    assert outdated(stores) == []
    assert sum(found(stores).values()) == len(found(stores)) == RECORDS + 1
    assert not unfinished(stores.state)
    keys = {entry.key for entry in stores.state.files("")}
    assert {key.partition("/")[0] for key in keys} == {"receipts"}


def test_a_run_that_is_killed_is_found_wherever_that_was() -> None:
    for changes in range(60):
        stores, days = late()
        with suppress(KilledError):
            convert(Killed(stores, changes).stores, days, number=1)
            break
        standing = Counter(found(stores))
        assert all(count == 1 for count in standing.values()), "no reader sees a record twice"
        assert_whole(stores)
    assert changes > 7


OTHERS: dict[str, Callable[[WritableStores, list[date]], object]] = {
    "many parts": lambda stores, days: each_alone(
        stores, days, replace(SETTINGS, row_group_rows=1, part_bytes=1)
    ),
    "stragglers alone": lambda stores, days: each_alone(stores, days[3:]),
    "days together": lambda stores, days: convert(stores, days, number=1),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_run_comes_between_wherever_that_is(
    other: Callable[[WritableStores, list[date]], object],
) -> None:
    for changes in range(60):
        came, (stores, days) = list[bool](), late()

        def come(
            stores: WritableStores = stores, days: list[date] = days, came: list[bool] = came
        ) -> None:
            came.append(True)
            with suppress(CloudTrailParquetError):  # it does not wait for leases
                other(stores, days)

        with suppress(CloudTrailParquetError):
            convert(interrupted(stores, changes, come), days, number=1)
        if not came:
            break
        assert_whole(stores)
    assert changes > 7


def test_days_together_come_between_what_another_run_does_wherever_that_is() -> None:
    for changes in range(60):
        came, (stores, days) = list[bool](), late()

        def come(
            stores: WritableStores = stores, days: list[date] = days, came: list[bool] = came
        ) -> None:
            came.append(True)
            with suppress(CloudTrailParquetError):
                convert(stores, days[:3], number=1)

        with suppress(CloudTrailParquetError):
            each_alone(interrupted(stores, changes, come), days[3:])
        if not came:
            break
        assert_whole(stores)
    assert changes > 4


def interrupted(stores: WritableStores, changes: int, act: Callable[[], object]) -> WritableStores:
    """Stores that let something happen just before the nth change."""
    left = changes

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            act()

    return WritableStores(stores.source, Mortal(stores.dataset, tick), Mortal(stores.state, tick))


def test_a_partition_in_which_somebody_publishes_is_left_to_them_until_they_are_done() -> None:
    stores, days = late()
    unit = Unit(ACCOUNT, REGION, days[0])

    with stores.state.lease(partition_lease(unit), 0, 900), pytest.raises(LeaseTimeoutError):
        convert(stores, days)

    assert read_notes(stores.state, unit).is_void
    assert read_notes(stores.state, unit._replace(day=days[1])).receipt is not None
    assert_whole(stores)


def test_on_a_disk_each_day_is_converted_by_itself(tmp_path: Any) -> None:  # noqa: ANN401
    disk = WritableStores(*(open_store(tmp_path / name) for name in ("a", "b", "c")))
    units = [Unit(ACCOUNT, REGION, day) for day in days_from(FIRST.date(), 3)]

    assert Stretch.of(units, disk, frozenset()) == {}


def test_what_was_read_is_dropped_if_nobody_publishes_it() -> None:
    stores, days = late()
    trails = discover(stores.source, SETTINGS.folders).trails[ACCOUNT, REGION]
    units = [Unit(ACCOUNT, REGION, day) for day in days]
    stretches = Stretch.of(units, stores, frozenset())

    def act(unit: Unit) -> Any:  # noqa: ANN401
        if unit == units[2]:
            raise KilledError
        return stretches[unit].convert(unit, trails, SETTINGS, lambda _: None)

    with pytest.raises(KilledError):
        list(by_days(act, units, stretches.get, 1))

    assert checksums(stores) == {}
    assert_whole(stores)
