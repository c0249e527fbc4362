from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, Shard, Unit, state_unit
from cloudtrail_parquet.state.keys import (
    StateKeys,
    intents,
    partition_lease,
    receipt_days,
    shards_of,
)
from cloudtrail_parquet.storage import open_store

UNIT = Unit("012345678901", "us-east-1", date(2026, 1, 10))

units = st.builds(
    Unit,
    st.from_regex(r"[0-9]{12}", fullmatch=True),
    st.sampled_from(["us-east-1", "x"]),
    st.dates(),
)
shards = st.integers(1, MAX_SHARDS).flatmap(
    lambda of: st.builds(Shard, st.integers(1, of), st.just(of))
)


@given(units, units, shards, shards)
def test_no_two_things_have_one_key(one: Unit, other: Unit, shard: Shard, another: Shard) -> None:
    keys = [
        *StateKeys.of(one, shard),
        *(StateKeys.of(other, another) if (one, shard) != (other, another) else ()),
        partition_lease(one),
    ]

    assert len(set(keys)) == len(keys)


@given(units, shards)
def test_a_key_tells_its_unit(unit: Unit, shard: Shard) -> None:
    keys = StateKeys.of(unit)

    assert {state_unit(keys.receipt), state_unit(keys.intent)} == {unit}
    if shard != WHOLE:
        assert state_unit(StateKeys.of(unit, shard).receipt) == unit


def test_what_is_kept_is_found_by_its_kind() -> None:
    state, shard = open_store("memory:///"), Shard(3, 12)
    state.write(StateKeys.of(UNIT).receipt, b"{}")
    state.write(StateKeys.of(UNIT, shard).intent, b"{}")
    state.write(StateKeys.of(UNIT.on(date(2026, 1, 11))).intent, b"{}")
    state.write("shards/readme.txt", b"somebody else's")

    assert receipt_days(state, UNIT.span) == {UNIT.day}
    assert shards_of(state, UNIT) == [shard]
    assert [unit.day.day for unit, _ in intents(state)] == [11, 10]
    assert all(entry.modified <= datetime.now(UTC) for _, entry in intents(state))
