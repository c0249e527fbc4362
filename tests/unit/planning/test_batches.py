from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, Bound, Place, Shard
from cloudtrail_parquet.planning.batches import cut, cut_closer
from tests.unit.deliveries import START

WINDOW, DAY = Window(900, 7200), date(2026, 1, 1)
PLACES = [Place(account, region) for account in ("1", "2", "3") for region in ("a", "b")]

files = st.builds(
    lambda place, number, size, minute: LogFile(
        f"{place}/{number}", size, START + timedelta(minutes=minute), minute % 7 > 0, place
    ),
    st.sampled_from(PLACES),
    st.integers(),
    st.integers(1, 40_000_000),
    st.integers(0, 1439),
)


def readers(file: LogFile, shards: list[Shard]) -> list[Shard]:
    return [shard for shard in shards if WINDOW.takes(shard, file, DAY)]


@given(st.lists(files, min_size=1, max_size=60), st.integers(2, 9), st.randoms())
def test_a_cut_depends_on_the_log_files_alone_and_each_is_read_once(
    some: list[LogFile], shards: int, random: st.DataObject
) -> None:
    bounds = cut(some, shards, WINDOW, DAY)

    assert len(bounds) < shards
    random.shuffle(some)  # type: ignore[attr-defined]
    assert cut(some, shards, WINDOW, DAY) == bounds
    if bounds:
        siblings = Shard.between(1, bounds).siblings
        assert all(len(readers(file, siblings)) == 1 for file in some)


def delivered(place: Place, count: int) -> list[LogFile]:
    moments: list[datetime] = [START + timedelta(minutes=10 * number) for number in range(count)]
    return [LogFile(f"{place}/{when}", 1_000_000, when, True, place) for when in moments]  # noqa: FBT003


def test_shards_take_about_the_same_and_small_places_whole() -> None:
    some = [file for place in PLACES for file in delivered(place, 100 if place is PLACES[2] else 5)]

    bounds = cut(some, 4, WINDOW, DAY)

    siblings = Shard.between(1, bounds).siblings
    counts = Counter(readers(file, siblings)[0].number for file in some)
    assert sum(counts.values()) == 125
    assert max(counts.values()) < 2 * 125 / 4
    by_place = {
        place: {readers(f, siblings)[0] for f in some if f.place == place} for place in PLACES
    }
    assert {len(shards) for place, shards in by_place.items() if place is not PLACES[2]} == {1}
    assert len(by_place[PLACES[2]]) > 2


@pytest.mark.parametrize(("number", "rounds"), [(2, 1), (32, 1), (33, 2), (510, 2), (8000, 3)])
def test_a_few_cuts_leave_one_place_to_the_shard_that_is_cut_closer(
    number: int, rounds: int
) -> None:
    places = [Place(f"{n:012d}", "a") for n in range(number)]
    some = [LogFile(f"{place}", 1, START, True, place) for place in places]  # noqa: FBT003
    shard, read, cuts = WHOLE, some, 0

    while bounds := cut_closer(shard, read):
        siblings = Shard.between(1, bounds).siblings
        assert set(shard.bounds) <= set(bounds)
        assert len(siblings) <= MAX_SHARDS
        assert all(len(readers(file, siblings)) == 1 for file in some[:: number // 20 + 1])
        shard = readers(some[number // 3], siblings)[0]
        read, cuts = [file for file in some if WINDOW.takes(shard, file, DAY)], cuts + 1

    assert (len(read), cuts) == (1, rounds)


@given(st.lists(files, min_size=1, max_size=60), st.integers(2, 9), st.data())
def test_a_shard_with_bounds_within_places_is_cut_between_places_alone(
    some: list[LogFile], shards: int, data: st.DataObject
) -> None:
    before = cut(some, shards, WINDOW, DAY)
    shard = data.draw(st.sampled_from(Shard.between(1, before).siblings if before else [WHOLE]))
    read = [file for file in some if WINDOW.takes(shard, file, DAY)]

    bounds = cut_closer(shard, read)

    assert bool(bounds) == (len({file.place for file in read}) > 1)
    if bounds:
        closer = {readers(file, Shard.between(1, bounds).siblings)[0] for file in read}
        assert set(before) <= set(bounds)
        assert all(bound.second == 0 for bound in set(bounds) - set(before))
        assert len(closer) > 1


def test_a_unit_of_as_many_shards_as_there_may_be_is_cut_no_closer() -> None:
    places = [Place(f"{n:03d}", "a") for n in range(300)]
    shard = Shard.between(99, tuple(Bound(*place, 0) for place in places[:98]))

    assert cut_closer(shard, [file for place in places[98:] for file in delivered(place, 1)]) == ()
