"""The ownership rule: every record once, in its own day, whatever is converted when."""

import dataclasses
import io
import itertools
import json
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit, owner_day, part_key, unit_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.state.receipt import Receipt
from tests.builders import WritableStores
from tests.unit.deliveries import (
    ACCOUNT,
    REGION,
    START,
    checksums,
    deliver,
    deliver_all,
    deliveries,
    event,
    expected,
    found,
    memory,
    rows,
)

SETTINGS = Settings(row_group_rows=4, fetch_threads=1)


def convert(stores: WritableStores, *days: date) -> list[Receipt | None]:
    found = discover(stores.source, SETTINGS.folders)
    there = {unit.day: unit for unit in units(stores.source, found, SETTINGS.window)}
    trails = found.trails[ACCOUNT, REGION]
    return [
        convert_unit(there[day], trails, stores, SETTINGS)
        for day in (days or sorted(there))
        if day in there
    ]


@given(deliveries(), st.data())
def test_every_record_stands_once_in_its_own_day_whatever_is_converted_when(
    files: list[tuple[datetime, list[dict[str, Any]], str]], data: st.DataObject
) -> None:
    stores, days = deliver_all(files)

    order = data.draw(st.lists(st.sampled_from(days), max_size=6)) + data.draw(
        st.permutations(days)
    )
    for day in order:
        convert(stores, day)
    everything = [record for _, records, _ in files for record in records]
    assert found(stores) == expected(everything)

    before = checksums(stores)
    again = data.draw(st.sampled_from(days))
    convert(stores, again)
    after = checksums(stores)
    assert found(stores) == expected(everything)
    foreign = [key for key in before if not _owned(key, again)]
    assert [before[key] for key in foreign] == [after.get(key) for key in foreign]


def _owned(key: str, day: date) -> bool:
    unit = unit_of(key)
    assert unit is not None
    return owner_day(key, unit.day) == day


def test_a_second_run_over_the_same_source_writes_the_same_bytes() -> None:
    stores = memory()
    for number in range(30):
        when = START + timedelta(hours=number)
        deliver(stores, when + timedelta(minutes=5), [event(number, when), event(number, when)])
    deliver(stores, START + timedelta(days=9), [event(100, START)])
    convert(stores)
    before = checksums(stores)

    convert(stores)

    assert checksums(stores) == before
    assert any("straggler-20260110-00000.parquet" in key for key in before)


def test_the_same_id_with_another_content_stays_and_is_counted() -> None:
    stores = memory()
    when = START + timedelta(hours=1)
    one, other = event(1, when), event(1, when) | {"errorCode": "Failed"}
    deliver(stores, when, [one, one])
    deliver(stores, when + timedelta(minutes=5), [other, one, other])

    (receipt,) = [one for one in convert(stores) if one]

    assert (receipt.records.written, receipt.records.duplicate) == (2, 3)
    assert receipt.conflicts == 1


def test_the_same_content_in_another_member_order_is_a_duplicate() -> None:
    stores = memory()
    when = START + timedelta(hours=1)
    one = event(1, when) | {"requestParameters": {"a": 1, "b": 2}}
    turned = dict(reversed(one.items())) | {"requestParameters": {"b": 2, "a": 1}}
    deliver(stores, when, [one])
    deliver(stores, when, [turned])

    (receipt,) = [one for one in convert(stores) if one]

    assert (receipt.records.written, receipt.records.duplicate) == (1, 1)


def test_numbers_written_differently_are_another_content() -> None:
    stores = memory()
    when = START + timedelta(hours=1)
    text = json.dumps({"Records": [event(1, when) | {"requestParameters": {"a": "#"}}]})
    for digits in ("1.1", "1.10"):
        key = f"{ACCOUNT}/CloudTrail/{REGION}/2026/01/01/x{digits}.json"
        stores.source.write(key, text.replace('"#"', digits).encode())

    (receipt,) = [one for one in convert(stores, date(2026, 1, 1)) if one]

    assert (receipt.records.written, receipt.conflicts) == (2, 1)


def test_a_duplicate_that_comes_long_after_its_row_group_has_left_is_found() -> None:
    stores = memory()
    for number in range(60):
        when = START + timedelta(minutes=number * 20)
        deliver(stores, when, [event(number, when)])
    deliver(
        stores,
        START + timedelta(hours=23),
        [event(0, START), event(30, START + timedelta(hours=10))],
    )

    (receipt,) = [one for one in convert(stores) if one]

    assert (receipt.records.written, receipt.records.duplicate) == (60, 2)


def test_rows_of_a_row_group_are_a_slice_of_time_clustered_by_service_and_call() -> None:
    stores = memory()
    for number in range(40):
        when = START + timedelta(minutes=number)
        names = {"eventSource": f"{'ba'[number % 2]}.amazonaws.com", "eventName": "YX"[number % 2]}
        deliver(stores, START + timedelta(minutes=50), [event(number, when) | names])
    convert(stores)

    (entry,) = stores.dataset.files("")
    part = pq.ParquetFile(io.BytesIO(stores.dataset.read(entry.key)))
    groups = [part.read_row_group(number).to_pylist() for number in range(part.num_row_groups)]

    assert [len(group) for group in groups] == [SETTINGS.row_group_rows] * 10
    for group in groups:
        keys = [(row["eventSource"], row["eventName"], row["eventTime"]) for row in group]
        assert keys == sorted(keys)
    times = [sorted(row["eventTime"] for row in group) for group in groups]
    assert all(a[-1] < b[0] for a, b in itertools.pairwise(times))


def test_a_partition_is_kept_when_its_source_has_lost_log_files() -> None:
    stores = memory()
    deliver(stores, START, [event(1, START)])
    deliver(stores, START + timedelta(hours=1), [event(2, START)])
    convert(stores)
    before = checksums(stores)
    stores.source.delete([next(iter(stores.source.files(""))).key])

    (receipt,) = [one for one in convert(stores) if one and one.day == START.date()]

    assert checksums(stores) == before
    assert (receipt.status, receipt.kept) == (
        "partial",
        "1 of 2 log files is gone from the source",
    )
    assert receipt.records.written == 2


def test_a_partition_is_kept_when_a_log_file_has_been_damaged_since() -> None:
    stores = memory()
    deliver(stores, START, [event(1, START)])
    convert(stores)
    before = checksums(stores)
    stores.source.write(next(iter(stores.source.files(""))).key, b"\x1f\x8b damaged")

    (receipt,) = [one for one in convert(stores) if one and one.day == START.date()]

    assert checksums(stores) == before
    assert receipt.kept == "1 of 1 record can no longer be read"
    assert receipt.quarantined


def test_a_shrunk_source_replaces_the_partition_when_that_is_asked_for() -> None:
    stores = memory()
    deliver(stores, START, [event(1, START)])
    deliver(stores, START + timedelta(hours=1), [event(2, START)])
    convert(stores)
    stores.source.delete([next(iter(stores.source.files(""))).key])
    trails = discover(stores.source, SETTINGS.folders).trails[ACCOUNT, REGION]

    convert_unit(
        Unit(ACCOUNT, REGION, START.date()),
        trails,
        stores,
        dataclasses.replace(SETTINGS, replace_shrunk=True),
    )

    assert [json.loads(text)["eventID"] for _, text in rows(stores)] == ["id-2"]


@pytest.mark.parametrize(
    "name", ["notes.txt", "compacted.parquet", "part-1.parquet.bak", "straggler-20269999-0.parquet"]
)
def test_what_others_put_into_a_partition_stays(name: str) -> None:
    stores = memory()
    deliver(stores, START, [event(1, START)])
    convert(stores)
    folder = next(iter(stores.dataset.files(""))).key.rpartition("/")[0]
    stores.dataset.write(f"{folder}/{name}", b"theirs")

    convert(stores)

    assert stores.dataset.read(f"{folder}/{name}") == b"theirs"


def test_parts_that_an_earlier_conversion_needed_and_this_one_does_not_are_removed() -> None:
    stores = memory()
    for number in range(20):
        when = START + timedelta(minutes=number)
        deliver(stores, when, [event(number, when)])
    trails = discover(stores.source, SETTINGS.folders).trails[ACCOUNT, REGION]
    unit = Unit(ACCOUNT, REGION, START.date())
    small_parts = dataclasses.replace(SETTINGS, part_bytes=1)

    convert_unit(unit, trails, stores, small_parts)
    several = len(list(stores.dataset.files("")))
    convert_unit(unit, trails, stores, SETTINGS)

    assert several == 5
    assert [entry.key for entry in stores.dataset.files("")] == [part_key(unit, 0)]
    assert len(rows(stores)) == 20
