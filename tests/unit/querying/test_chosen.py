"""The parts in the folders asked for, and no listing of any other folder."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Place, Unit, part_key, span_of, straggler_key
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import choose
from cloudtrail_parquet.storage import ObjectStore
from tests.layouts import LAYOUTS
from tests.unit.counted import Counted

ACCOUNTS, REGIONS = ("012345678901", "123456789012"), ("eu-west-1", "us-east-1", "us-gov-east-1")
FIRST = date(2025, 12, 30)
DAYS = [FIRST + timedelta(number) for number in range(5)]
ALL = UnitRange.of(None, None)


def dataset(layout: PartitionLayout, requests: Counter[str] | None = None) -> ObjectStore:
    """A part and a straggler for each day of each place, and a file that is neither."""
    client = Counted(Counter() if requests is None else requests)
    store = ObjectStore("memory://lake", client)
    for unit in units(layout):
        store.write(part_key(unit, 0, layout), b"")
        store.write(straggler_key(unit, FIRST, 0, layout), b"")
    store.write("README.txt", b"")
    return store


def units(layout: PartitionLayout) -> list[Unit]:
    places = [Place(account, region) for account in ACCOUNTS for region in REGIONS]
    return sorted({Unit(*span_of(place, layout), day) for place in places for day in DAYS})


def keys(layout: PartitionLayout, wanted: Iterable[Unit]) -> list[str]:
    both = [(part_key(unit, 0, layout), straggler_key(unit, FIRST, 0, layout)) for unit in wanted]
    return sorted(key for pair in both for key in pair)


@given(
    st.sampled_from(LAYOUTS),
    st.none() | st.sampled_from(DAYS),
    st.integers(0, 5) | st.none(),
    st.sets(st.sampled_from(ACCOUNTS)),
    st.sets(st.sampled_from(REGIONS)),
)
def test_the_parts_of_all_that_is_wanted_are_chosen_and_no_others(
    layout: PartitionLayout,
    first: date | None,
    days: int | None,
    accounts: set[str],
    regions: set[str],
) -> None:
    last = None if days is None else (first or FIRST) + timedelta(days)
    wanted = UnitRange.of(first, last, accounts, regions)

    chosen = choose(dataset(layout), wanted)

    held = [unit for unit in units(layout) if wanted.holds_unit(unit)]
    assert chosen.layout == layout
    assert [part.key for part in chosen.parts] == keys(layout, held)
    folders = PARTITION_COLUMNS[layout]
    given_names = {"account": accounts, "region": regions}
    assert chosen.columns == {
        name: values for name, values in given_names.items() if values and name not in folders
    }


def test_one_day_of_one_place_is_found_with_a_listing_for_each_folder_above_it() -> None:
    requests = Counter[str]()
    store = dataset("account/region/year/month/day", requests)
    requests.clear()

    choose(store, UnitRange.of(FIRST, FIRST, ACCOUNTS[:1], REGIONS[:1]))

    # Five for the layout, two for accounts and regions, and one for the days.
    assert requests == {"LIST": 8}


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (
            UnitRange.of(None, None, ["999999999999"]),
            "no logs for account 999999999999. There are: 012345678901, ",
        ),
        (
            UnitRange.of(None, None, (), ["xx-east-9"]),
            "no logs for region xx-east-9. There are: eu-west-1, ",
        ),
        (
            UnitRange.of(date(2027, 1, 1), None),
            (
                "no partitions of the accounts, regions and days asked for. There are: "
                "accounts 012345678901, 123456789012; regions eu-west-1, us-east-1, us-gov-east-1; "
                "days from 2025-12-30 to 2026-01-03"
            ),
        ),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_is(wanted: UnitRange, problem: str) -> None:
    with pytest.raises(UsageError, match=problem.replace(".", r"\.")):
        choose(dataset("account/region/dt"), wanted)


NO_DATASET = {
    "part-0.parquet": "holds no parts of a dataset. Name the folder",
    "account=1/part.parquet": "holds no parts of a dataset. Name the folder",
    "AWSLogs/1/x.gz": "holds CloudTrail's logs, not a dataset. Convert them first",
}


@pytest.mark.parametrize("key", NO_DATASET)
def test_what_is_no_dataset_is_refused(key: str) -> None:
    store = ObjectStore("memory://lake", Counted(Counter()))
    store.write(key, b"")

    with pytest.raises(UsageError, match=re.escape(f"lake: {NO_DATASET[key]}")):
        choose(store, ALL)


def test_a_folder_without_partitions_does_not_hide_the_layout() -> None:
    store = dataset("account/dt")
    store.write("account=000000000000/notes.txt", b"")

    assert choose(store, ALL).layout == "account/dt"


def test_parts_come_with_their_sizes_and_times() -> None:
    store = dataset("dt")
    store.write(f"dt={FIRST}/part-00001.parquet", b"12345")

    chosen = choose(store, UnitRange.of(FIRST, FIRST))

    assert chosen.bytes == 5
    assert all(part.modified > datetime(2026, 1, 1, tzinfo=UTC) for part in chosen.parts)
