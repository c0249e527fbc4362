"""Adding log files to a unit, of which the others need not be read again, or cannot be."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.conversion.addition import MAX_ADDITIONS
from cloudtrail_parquet.dataset.parts import footer_value, read_footer
from cloudtrail_parquet.layout import WHOLE, Place, Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import read_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt, to_text
from tests.builders import WritableStores
from tests.examples import FEW
from tests.unit.conversion import test_places as places
from tests.unit.deliveries import START, checksums, event, expected, memory
from tests.unit.deliveries import found as rows_of
from tests.unit.mortal import Killed, KilledError

PLACE, OTHER, *_ = places.PLACES
DEFAULT: PartitionLayout = "account/region/year/month/day"
UNIT = Unit(*PLACE, START.date())
HIDDEN = {"name": "hidden", "keys": ["password"]}
LAYOUTS = list(get_args(PartitionLayout))


class At(SystemClock):
    """A clock that stands still."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def during(hours: float) -> WritableStores:
    """Empty stores, at an hour of the unit's day."""
    stores = memory()
    clock = At(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours))
    return WritableStores(stores.source, stores.dataset, stores.state, clock=clock)


def at(stores: WritableStores, hours: float) -> WritableStores:
    """The same stores at another hour."""
    clock = At(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours))
    return WritableStores(stores.source, stores.dataset, stores.state, clock=clock)


def put(stores: WritableStores, *numbers: int, minute: int = 0) -> list[dict[str, Any]]:
    """Deliver a log file of these records to the unit's day."""
    when = START + timedelta(hours=3)
    records = [event(number, when) for number in numbers]
    places.deliver(stores, [(PLACE, when + timedelta(minutes=minute), records)])
    return records


def convert(stores: WritableStores, **settings: object) -> Receipt:
    known = places.deliver(stores, [])
    receipt = places.convert(stores, known, UNIT, DEFAULT, WHOLE, **settings)
    assert receipt is not None
    return receipt


@contextmanager
def reading(stores: WritableStores) -> Iterator[list[str]]:
    """The keys of the log files that are read meanwhile."""
    keys, read = list[str](), stores.source.read

    def noted(key: str) -> bytes:
        keys.append(key)
        return read(key)

    stores.source.read = noted  # type: ignore[method-assign]
    yield keys
    stores.source.read = read  # type: ignore[method-assign]


def due(stores: WritableStores, **settings: object) -> list[str]:
    """Why units are outdated."""
    known = places.deliver(stores, [])
    receipts = Receipts(stores.state, stores.clock.now(), stores.dataset)
    everything, options = UnitRange.of(None, None), PlanOptions.of(make_settings(**settings))
    planned = plan_units(stores.source, receipts, known, everything, "outdated", options)
    return [one.why for one in planned]


def lose(stores: WritableStores) -> None:
    """Remove all log files, as a lifecycle rule does."""
    stores.source.delete([entry.key for entry in list(stores.source.files(""))])


def test_a_provisional_hour_reads_new_log_files_only() -> None:
    stores = during(5)
    first = put(stores, 1, 2)
    convert(stores)
    stood = checksums(stores)
    second = put(stores, 3, 4, 2, minute=7)

    with reading(stores) as keys:
        receipt = convert(stores)

    assert len(set(keys)) == 1
    assert rows_of(stores) == expected(first + second)
    assert {key: checksums(stores)[key] for key in stood} == stood
    assert [part.rows for part in receipt.parts] == [2, 2]
    assert (receipt.files.listed, receipt.records.read, receipt.records.written) == (2, 5, 4)
    assert receipt.records.duplicate == 1
    assert (receipt.status, receipt.additions, receipt.settled) == ("complete", 1, False)
    assert places.add_up(receipt)


def test_an_addition_without_records_of_the_day_counts_what_was_read_before() -> None:
    stores, day = during(48), datetime(2026, 1, 1, tzinfo=UTC)
    for hours in (0.1, 24.1):  # in the window of the day, with a record of the day before or after
        delivered = day + timedelta(hours=hours)
        happened = delivered - timedelta(hours=0.2) if hours < 1 else delivered
        places.deliver(stores, [(PLACE, delivered, [event(int(hours), happened)])])
        known = places.deliver(stores, [])
        places.convert(stores, known, UNIT, DEFAULT)

    receipt = read_notes(stores.state, UNIT).receipt
    assert receipt is not None
    assert (receipt.files.listed, receipt.records.elsewhere, receipt.parts) == (2, 2, [])


def test_the_run_that_settles_a_day_converts_it_as_a_whole() -> None:
    stores = during(5)
    records = put(stores, 1, 2)
    convert(stores)
    records += put(stores, 3, minute=7)
    assert convert(stores).additions == 1
    records += put(stores, 4, minute=9)

    receipt = convert(at(stores, 40))

    assert (receipt.settled, receipt.additions, len(receipt.parts)) == (True, 0, 1)
    assert rows_of(stores) == expected(records)


def test_after_some_additions_a_unit_is_converted_as_a_whole() -> None:
    stores = during(5)
    records = put(stores, 0)
    convert(stores)
    additions = []
    for number in range(1, MAX_ADDITIONS + 3):
        records += put(stores, number, minute=number)
        additions.append(convert(stores).additions)

    assert additions == [*range(1, MAX_ADDITIONS + 1), 0, 1]
    assert rows_of(stores) == expected(records)


def test_what_is_late_is_added_to_a_unit_whose_log_files_have_expired() -> None:
    stores = memory()
    records = put(stores, 1, 2)
    convert(stores)
    lose(stores)
    records += put(stores, 2, 3, minute=30)

    receipt = convert(stores)

    assert rows_of(stores) == expected(records)
    assert (receipt.status, receipt.additions) == ("partial", 1)
    assert receipt.kept == "1 of 1 log file is gone from the source"
    assert places.add_up(receipt)
    lose(stores)
    records += put(stores, 4, minute=50)
    assert convert(stores).records.written == 4
    assert rows_of(stores) == expected(records)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {"json_encoding": "json"}),
        ({}, {"discard": [{"name": "calls", "eventName": ["Call"]}]}),
        ({"redact": [HIDDEN]}, {}),
    ],
    ids=["another encoding", "another rule discards", "a rule redacted"],
)
def test_what_joins_parts_of_other_rules_is_made_as_they_were(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    stores = memory()
    records = put(stores, 1)
    convert(stores, **before)
    lose(stores)
    records += put(stores, 2, minute=30)

    receipt = convert(stores, **now)

    assert rows_of(stores) == expected(records)
    assert (receipt.status, receipt.additions) == ("partial", 1)
    assert receipt.settings == make_settings(**before).shaping()
    footers = [read_footer(stores.dataset, part.key) for part in receipt.parts]
    made = [json.loads(footer_value(footer, "settings")) for footer in footers]
    assert made == [receipt.settings] * 2
    assert due(stores, **now) == []


def test_what_joins_parts_of_an_older_schema_leaves_the_receipt_at_that() -> None:
    stores = memory()
    records = put(stores, 1)
    older = replace(convert(stores), schema_version=SCHEMA_VERSION - 1)
    stores.state.write(StateKeys.of(UNIT).receipt, to_text(older))
    lose(stores)
    records += put(stores, 2, minute=30)

    receipt = convert(stores)

    assert rows_of(stores) == expected(records)
    assert (receipt.additions, receipt.schema_version) == (1, SCHEMA_VERSION - 1)


def test_rows_join_those_of_which_less_was_redacted_once_these_are_rewritten() -> None:
    stores = memory()
    records = put(stores, 1)
    convert(stores)
    lose(stores)
    late = put(stores, 2, minute=30)

    receipt = convert(stores, redact=[HIDDEN])

    assert rows_of(stores) == expected(records)
    assert receipt.kept
    assert due(stores, redact=[HIDDEN]) == []
    rewrite_unit(UNIT, stores, make_settings(redact=[HIDDEN]))
    assert due(stores, redact=[HIDDEN])
    convert(stores, redact=[HIDDEN])
    assert rows_of(stores) == expected(records + late)
    assert due(stores, redact=[HIDDEN]) == []


def test_a_log_file_that_was_replaced_is_read_with_all_others() -> None:
    stores = during(5)
    put(stores, 1)
    (entry,) = stores.source.files("")
    convert(stores)
    other = memory()
    records = put(other, 1, 2, 3)
    (larger,) = other.source.files("")
    stores.source.write(entry.key, other.source.read(larger.key))
    records += put(stores, 4, minute=5)

    receipt = convert(stores)

    assert receipt.additions == 0
    assert rows_of(stores) == expected(records)


def test_a_part_that_is_gone_is_made_again_with_what_is_new() -> None:
    stores = during(5)
    records = put(stores, 1)
    convert(stores)
    stores.dataset.delete([entry.key for entry in list(stores.dataset.files(""))])
    records += put(stores, 2, minute=5)

    assert convert(stores).additions == 0
    assert rows_of(stores) == expected(records)


@pytest.mark.parametrize("gone", [False, True], ids=["all there", "the first file gone"])
@pytest.mark.parametrize("then_gone", [False, True], ids=["", "the second gone after the kill"])
def test_an_addition_that_was_killed_is_completed_wherever_that_was(
    gone: bool,  # noqa: FBT001
    then_gone: bool,  # noqa: FBT001
) -> None:
    for changes in range(100):
        stores = during(5)
        records = put(stores, 1, 2)
        convert(stores)
        if gone:
            lose(stores)
        records += put(stores, 3, 4, minute=30)
        with suppress(KilledError):
            killed = Killed(stores, changes).stores
            convert(dataclasses.replace(killed, clock=stores.clock))
            break
        wanted = expected(records)
        if then_gone:
            lose(stores)
            wanted = rows_of(stores)
        wanted += expected(put(stores, 5, minute=45))

        convert(stores)

        assert rows_of(stores) == wanted, changes
        assert not unfinished(stores.state)
        receipt = read_notes(stores.state, UNIT).receipt
        assert receipt is not None
        there = {entry.key: entry.size for entry in stores.dataset.files("")}
        assert {part.key: part.bytes for part in receipt.parts} == there
    else:
        pytest.fail("it is never done")
    assert changes > 3


@FEW
@given(places.deliveries(), st.sampled_from(LAYOUTS), st.data())
def test_a_source_that_grows_gives_the_same_rows_in_every_layout(
    files: list[places.File], layout: PartitionLayout, data: st.DataObject
) -> None:
    stores = during(0)
    known = places.deliver(stores, files[:1])
    for number, file in enumerate(files):
        known = places.deliver(stores, [file] if number else [])
        hours = data.draw(st.sampled_from([5, 30, 60, 2000]), label="hours")
        units = places.units_of(stores, known, layout)
        for unit in data.draw(st.lists(st.sampled_from(units), unique=True), label="units"):
            receipt = places.convert(at(stores, hours), known, unit, layout)
            assert receipt is None or places.add_up(receipt)
    for unit in places.units_of(stores, known, layout):
        places.convert(at(stores, 2000), known, unit, layout)

    assert places.found(stores) == places.expected(files)


def odd(stores: WritableStores, place: Place, *numbers: int) -> str:
    """Deliver a log file whose name bears neither place nor time; all have the same size."""
    account, region = place
    key = f"{account}/CloudTrail/{region}/2026/01/01/1.json"
    text = json.dumps({"Records": [event(number, START) for number in numbers]})
    stores.source.write(key, text.ljust(4000).encode())
    return key


def events(*numbers: int) -> Counter[str]:
    return Counter(json.dumps(event(number, START), sort_keys=True) for number in numbers)


def kept_rows(stores: WritableStores) -> Counter[str]:
    return Counter(row[3] for row in places.found(stores).elements())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("expired", [False, True])
def test_log_files_of_one_name_in_several_places_are_told_apart(
    layout: PartitionLayout,
    expired: bool,  # noqa: FBT001
) -> None:
    stores, (first, second, third, _) = memory(), places.PLACES

    def convert_all() -> None:
        known = places.deliver(stores, [])
        for unit in places.units_of(stores, known, layout):
            places.convert(stores, known, unit, layout)

    odd(stores, second, 2)
    key = odd(stores, third, 3)
    convert_all()
    if expired:
        stores.source.delete([key])
    odd(stores, first, 1)
    convert_all()

    assert kept_rows(stores) == events(1, 2, 3)


def test_log_files_of_one_name_in_one_place_are_read_as_a_whole() -> None:
    stores = during(5)
    convert_of = odd(stores, PLACE, 1)
    convert(stores)
    text = stores.source.read(convert_of).replace(b'"id-1"', b'"id-2"')
    stores.source.write(f"o-abcdefghij/{convert_of}", text)

    receipt = convert(stores)

    assert receipt.additions == 0
    assert kept_rows(stores) == events(1) + Counter(
        json.dumps({**event(1, START), "eventID": "id-2"}, sort_keys=True) for _ in "x"
    )


def test_a_damaged_log_file_that_was_mended_is_read_when_another_has_expired() -> None:
    stores = memory()
    put(stores, 1)
    (first,) = stores.source.files("")
    put(stores, 2, minute=5)
    (damaged,) = (one for one in stores.source.files("") if one.key != first.key)
    good = stores.source.read(damaged.key)
    stores.source.write(damaged.key, good[:-20])
    assert convert(stores).files.quarantined == 1
    stores.source.delete([first.key])
    stores.source.write(damaged.key, good)

    receipt = convert(stores)

    assert (receipt.files.listed, receipt.files.read, receipt.files.quarantined) == (2, 2, 0)
    assert sum(rows_of(stores).values()) == receipt.records.written == 2
    assert receipt.quarantined == []
    assert places.add_up(receipt)


def test_what_a_run_with_other_settings_left_out_is_added_by_the_next_one() -> None:
    stores = memory()
    records = put(stores, 1)
    convert(stores)
    lose(stores)
    records += put(stores, 2, minute=30)

    assert due(stores, redact=[HIDDEN])
    convert(stores, redact=[HIDDEN])

    assert due(stores, redact=[HIDDEN]) == []
    assert due(stores) == ["log files of its window have changed since it was kept"]
    convert(stores)
    assert rows_of(stores) == expected(records)
    assert due(stores) == []


def test_a_unit_whose_state_is_lost_takes_what_comes_after_its_log_files_have_expired() -> None:
    stores = memory()
    records = put(stores, 1, 2)
    convert(stores)
    stores.state.delete(
        [one.key for one in list(stores.state.files("")) if "dataset" not in one.key]
    )
    lose(stores)
    records += put(stores, 3, minute=10)
    convert(stores)

    for number in (4, 5):
        records += put(stores, number, minute=10 * number)
        receipt = convert(stores)
        assert rows_of(stores) == expected(records)
        assert (receipt.status, bool(receipt.kept)) == ("partial", True)
