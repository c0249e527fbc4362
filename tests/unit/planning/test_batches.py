from collections import Counter
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.layout import Place, Shard
from cloudtrail_parquet.planning.batches import cut
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
