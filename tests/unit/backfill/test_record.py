from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloudtrail_parquet.backfill.record import (
    Backfill,
    change_record,
    new_id,
    read_record,
    read_units,
    write_record,
)
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.storage import open_store

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
BACKFILL = Backfill(
    id="20260110T120000Z-3f9a",
    begun=NOW,
    queue="https://sqs.eu-central-1.amazonaws.com/123456789012/q",
    first=date(2026, 1, 1),
    last=date(2026, 1, 9),
    only="outdated",
    units=3,
    files=30,
    bytes=300,
    seconds=1.5,
    dollars=0.25,
    messages=2,
)

days = st.dates(date(2024, 2, 20), date(2024, 3, 10))
units = st.builds(Unit, st.sampled_from(["", "012345678901"]), st.sampled_from(["", "r"]), days)


@given(st.sets(units), st.sets(units))
def test_the_units_of_a_backfill_are_those_that_it_was_begun_with(
    some: set[Unit], others: set[Unit]
) -> None:
    state = open_store("memory:///")

    write_record(state, BACKFILL, some)

    found = read_units(state, BACKFILL.id)
    assert {unit for unit in some | others if found.holds(unit)} == some
    assert found.since <= datetime.now(UTC)


def test_the_last_record_is_read_unless_another_is_named() -> None:
    state = open_store("memory:///")
    later = replace(BACKFILL, id=new_id(datetime(2026, 1, 11, tzinfo=UTC)))
    for backfill in (later, BACKFILL):
        write_record(state, backfill, [])

    assert read_record(state, None) == later
    assert read_record(state, BACKFILL.id) == BACKFILL
    for wrong in ("20260109T120000Z-0000", "../dataset", f"{BACKFILL.id}.units"):
        with pytest.raises(UsageError, match=f"The newest are: {later.id}, {BACKFILL.id}"):
            read_record(state, wrong)


def test_changes_of_others_stay_when_a_record_is_changed() -> None:
    state = open_store("memory:///")
    write_record(state, BACKFILL, [])

    change_record(state, BACKFILL.id, cancelled=NOW)
    changed = change_record(state, BACKFILL.id, sent=2)

    assert changed == replace(BACKFILL, cancelled=NOW, sent=2) == read_record(state, None)


def test_a_damaged_record_is_named() -> None:
    state = open_store("memory:///")
    write_record(state, BACKFILL, [])
    for ending in (".json", ".units.json"):
        state.write(f"backfills/{BACKFILL.id}{ending}", b"{")

    for read in (read_record, read_units):
        with pytest.raises(UsageError, match=f"{BACKFILL.id} cannot be read .* Remove backfills/"):
            read(state, BACKFILL.id)
