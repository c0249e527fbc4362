from datetime import UTC, date, datetime, time, timedelta
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.deliveries import LogFile, Window, day_folder, log_file
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import (
    WHOLE,
    Bound,
    Owner,
    Place,
    Shard,
    Unit,
    check_unit,
    owner_day,
    owner_of,
    part_key,
    part_number,
    partition,
    shard_of,
    span_folder,
    span_of,
    state_key,
    state_unit,
    straggler_key,
    unit_of,
)
from cloudtrail_parquet.storage import Entry
from tests.builders import ACCOUNT, REGION, log_key

DAY = date(2026, 1, 10)
DELIVERED = datetime(2026, 1, 10, 12, 35, tzinfo=UTC)
COPIED = datetime(2026, 1, 10, 18, 0, 0, 123, tzinfo=UTC)

REGIONS = [
    "us-east-1",
    "us-gov-west-1",
    "us-gov-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "mx-central-1",
]
folder_names = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
)
units = st.builds(Unit, folder_names, folder_names, st.dates())
layouts = st.sampled_from(get_args(PartitionLayout))


def within(unit: Unit, layout: PartitionLayout) -> Unit:
    """The unit of a layout that holds another unit's records."""
    return Unit(*span_of(unit.span, layout), unit.day)


def found(key: str, day: date = DAY, modified: datetime = COPIED) -> tuple[datetime, bool]:
    file = log_file(Entry(key, 1, modified), day)
    assert (file.key, file.size) == (key, 1)
    return file.delivered, file.stamped


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("organization", [None, "o-exampleorgid"])
@pytest.mark.parametrize(
    "prefix", ["", "trail", "a/AWSLogs/b", "a_CloudTrail_b/2020_20200101T0000Z_x"]
)
@pytest.mark.parametrize(
    "folder", ["CloudTrail", "CloudTrail-NetworkActivity", "CloudTrail-Insight"]
)
def test_the_delivery_time_is_the_stamp_in_the_name(
    region: str, organization: str | None, prefix: str, folder: str
) -> None:
    key = log_key(
        ACCOUNT, region, DELIVERED, organization=organization, prefix=prefix, folder=folder
    )

    assert found(key) == (DELIVERED, True)


@pytest.mark.parametrize(
    "name",
    [
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_AbCdEfGhIjKlMnOp.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235ZAbCdEfGhIjKlMnOp.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_AbCdEfGhIjKlMnOp.json",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_AbCdEfGhIjKlMnOp",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_ABC_copy.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_A (2).json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_x_CloudTrail_{REGION}_20260110T1300Z_A.gz",
        f"copy_of_{ACCOUNT}_CloudTrail_{REGION}_20260110T1235Z_A.json.gz",
        f"an account_CloudTrail_{REGION}_20260110T1235Z_A.json.gz",
    ],
)
def test_names_that_are_a_little_different_have_a_stamp_too(name: str) -> None:
    assert found(f"x/{name}") == (DELIVERED, True)


@pytest.mark.parametrize(
    "name",
    [
        *("a.json.gz", "20260110T1235Z.json.gz", "events-2026-01-10.json", "", ".json.gz"),
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T123500Z_A.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20261310T1235Z_A.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_20260110T2435Z_A.json.gz",
        f"{ACCOUNT}_CloudTrail_{REGION}_00000110T1235Z_A.json.gz",
        f"{ACCOUNT}_CloudTrail-Digest_{REGION}_my_trail_{REGION}_20260110T123500Z.json.gz",
    ],
)
def test_a_name_without_a_stamp_is_taken_at_its_object_time(name: str) -> None:
    assert found(f"x/{name}") == (COPIED, False)


@given(st.datetimes(timezones=st.just(UTC)), st.dates(), st.booleans())
def test_the_delivery_time_lies_in_the_day_of_its_folder(
    moment: datetime,
    day: date,
    stamped: bool,  # noqa: FBT001
) -> None:
    stamp = f"{moment.year:04d}{moment:%m%dT%H%M}Z"
    key = f"{ACCOUNT}_CloudTrail_{REGION}_{stamp}_A.json.gz" if stamped else "a.json.gz"

    delivered, _ = found(key, day, moment)

    assert delivered.date() == day
    if moment.date() == day:
        assert delivered == (moment.replace(second=0, microsecond=0) if stamped else moment)


def test_a_delivery_time_outside_its_folder_moves_to_the_near_end_of_the_day() -> None:
    key = log_key(ACCOUNT, REGION, DELIVERED)

    assert found(key, date(2026, 1, 9))[0] == datetime(2026, 1, 9, 23, 59, 59, 999_999, tzinfo=UTC)
    assert found(key, date(2026, 1, 11))[0] == datetime(2026, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_first_and_the_last_day_have_folders_like_others(day: date) -> None:
    assert found("a.json.gz", day)[0].date() == day
    assert day_folder(day) in {"0001/01/01/", "9999/12/31/"}


def test_day_folders_are_written_as_cloudtrail_does() -> None:
    assert day_folder(DAY) == "2026/01/10/"
    assert f"/{day_folder(DAY)}" in log_key(ACCOUNT, REGION, DELIVERED)


# What we write.


def test_a_partition_is_a_hive_folder() -> None:
    unit = Unit("000000000012", "us-gov-west-1", date(2026, 3, 4))

    assert partition(unit) == "account=000000000012/region=us-gov-west-1/year=2026/month=03/day=04/"
    assert part_key(unit, 3) == f"{partition(unit)}part-00003.parquet"
    assert unit.name == "000000000012 us-gov-west-1 2026-03-04"


@example(Unit(ACCOUNT, REGION, DAY), date(999, 1, 1), 0, DEFAULT_LAYOUT)
@given(units, st.dates(), st.integers(0, 99_999), layouts)
def test_a_part_names_its_unit_and_its_owner_in_every_layout(
    unit: Unit, delivery_day: date, number: int, layout: PartitionLayout
) -> None:
    unit = within(unit, layout)
    own = part_key(unit, number, layout)
    straggler = straggler_key(unit, delivery_day, number, layout)

    assert unit_of(own) == unit_of(straggler) == unit
    assert owner_day(own, unit.day) == unit.day
    assert owner_day(straggler, unit.day) == delivery_day
    assert own != straggler


@given(units, units, layouts)
def test_units_do_not_share_a_folder(one: Unit, other: Unit, layout: PartitionLayout) -> None:
    one, other = within(one, layout), within(other, layout)
    folder, another = partition(one, layout), partition(other, layout)

    assert (folder == another) == (one == other)
    assert (state_key("receipts", one) == state_key("receipts", other)) == (one == other)
    assert one == other or not folder.startswith(another)


@given(units, layouts)
def test_what_the_state_has_of_a_unit_names_it_in_every_layout(
    unit: Unit, layout: PartitionLayout
) -> None:
    unit = within(unit, layout)

    assert state_unit(state_key("receipts", unit)) == unit
    assert partition(unit, layout).startswith(span_folder(unit, layout))
    assert "=/" not in partition(unit, layout) + state_key("receipts", unit)


@pytest.mark.parametrize(
    ("layout", "unit", "message"),
    [
        (DEFAULT_LAYOUT, Unit("", REGION, DAY), "it has no account, in the layout account/region"),
        ("account/dt", Unit(ACCOUNT, REGION, DAY), "it has a region, in the layout account/dt"),
        ("dt", Unit(ACCOUNT, "", DAY), "it has an account, in the layout dt"),
    ],
)
def test_a_unit_of_another_layout_is_refused(
    layout: PartitionLayout, unit: Unit, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_unit(unit, layout)
    check_unit(within(Unit(ACCOUNT, REGION, DAY), layout), layout)


def test_a_unit_that_spans_all_regions_is_named_by_what_it_has() -> None:
    unit = Unit("000000000012", "", DAY)

    assert unit.name == "000000000012 2026-01-10"
    assert unit.to_json() == {"account": "000000000012", "day": "2026-01-10"}
    assert unit.holds("000000000012", REGION)
    assert not unit.holds("000000000013", REGION)
    assert partition(unit, "account/dt") == "account=000000000012/dt=2026-01-10/"
    assert state_key("receipts", unit).startswith("receipts/account=000000000012/year=2026/")


@pytest.mark.parametrize(
    "key",
    [
        *("", "a.parquet", "account=1/region=a/year=2026/month=01/day=10/", "x/y/z.parquet"),
        "account=1/region=a/year=2026/month=01/day=10/a.json",
        "account=1/region=a/year=2026/month=02/day=30/a.parquet",
        "account=1/region=a/year=x/month=01/day=10/a.parquet",
        "account=1/region=a/year=2026/month=01/a.parquet",
        "region=a/account=1/year=2026/month=01/day=10/a.parquet",
    ],
)
def test_a_key_that_is_no_part_has_no_unit(key: str) -> None:
    assert unit_of(key) is None


def test_stragglers_of_another_day_are_told_apart_by_name() -> None:
    unit = Unit(ACCOUNT, REGION, DAY)

    assert straggler_key(unit, date(2026, 1, 12), 0).endswith("/straggler-20260112-00000.parquet")


# Who owns a record.

windows = st.builds(
    Window,
    st.one_of(st.just(900), st.integers(0, 5 * 86_400)),
    st.one_of(st.just(7200), st.integers(0, 5 * 86_400)),
)
delivery_times = st.one_of(
    st.datetimes(datetime(2025, 12, 20), datetime(2026, 1, 20), timezones=st.just(UTC)),  # noqa: DTZ001
    st.builds(
        lambda day, edge, off: (
            datetime.combine(day, time(), UTC) + timedelta(seconds=edge, microseconds=off)
        ),
        st.dates(date(2025, 12, 20), date(2026, 1, 20)),
        st.sampled_from([0, 7200, 86_400 - 900]),
        st.integers(-1, 1),
    ),
)
event_days = st.dates(date(2025, 12, 15), date(2026, 1, 25))


def owners(delivered: datetime, event_day: date, window: Window, units: list[date]) -> list[date]:
    """The unit days that write the record, by the rule that a conversion applies to its files."""
    folder = delivered.date()
    reading = [
        day for day in units if folder in window.delivery_days(day) and window.holds(delivered, day)
    ]
    return [
        day
        for day in reading
        if day == event_day or (day == folder and not window.holds(delivered, event_day))
    ]


@given(delivery_times, event_days, windows)
def test_every_record_has_exactly_one_owner_that_reads_its_file(
    delivered: datetime, event_day: date, window: Window
) -> None:
    every_day = [date(2025, 12, 1) + timedelta(days=n) for n in range(75)]
    planned = window.event_days(delivered.date())

    (owner,) = owners(delivered, event_day, window, every_day)

    assert owner in planned
    assert owner == (event_day if window.holds(delivered, event_day) else delivered.date())


@given(st.dates(), st.dates(), windows)
def test_a_unit_touches_a_folder_exactly_if_the_folder_touches_the_unit(
    day: date, folder: date, window: Window
) -> None:
    assert (folder in window.delivery_days(day)) == (day in window.event_days(folder))


@given(delivery_times, event_days, windows)
def test_a_delivery_in_a_window_has_passed_when_the_window_ends(
    delivered: datetime, day: date, window: Window
) -> None:
    if window.holds(delivered, day):
        assert delivered < window.ends(day)
        assert delivered.date() in window.delivery_days(day)


def test_the_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    window = Window(900, 7200)
    start = datetime.combine(DAY, time(), UTC)
    moment = timedelta(microseconds=1)

    assert window.holds(start - timedelta(seconds=900), DAY)
    assert not window.holds(start - timedelta(seconds=900) - moment, DAY)
    assert window.holds(start + timedelta(days=1, seconds=7200) - moment, DAY)
    assert not window.holds(start + timedelta(days=1, seconds=7200), DAY)
    assert window.delivery_days(DAY) == [date(2026, 1, 9), DAY, date(2026, 1, 11)]


def test_a_window_without_margins_is_the_day_itself() -> None:
    assert Window(0, 0).delivery_days(DAY) == Window(0, 0).event_days(DAY) == [DAY]


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_window_of_the_first_and_the_last_day_has_no_days_beyond(day: date) -> None:
    assert day in Window(900, 7200).delivery_days(day)
    assert day in Window(900, 7200).event_days(day)
    assert Window(900, 7200).holds(datetime.combine(day, time(12), UTC), day)


# Shards.

shards = st.integers(2, 99).flatmap(lambda of: st.builds(Shard, st.integers(1, of), st.just(of)))


def test_the_parts_of_a_shard_name_it() -> None:
    unit, shard = Unit(ACCOUNT, REGION, DAY), Shard(3, 12)

    own = part_key(unit, 4, shard=shard)
    straggler = straggler_key(unit, date(2026, 1, 12), 0, shard=shard)

    assert own == f"{partition(unit)}part-03of12-00004.parquet"
    assert straggler == f"{partition(unit)}straggler-20260112-03of12-00000.parquet"
    assert part_key(unit, 0) < own < straggler


@given(units, st.dates(), st.integers(0, 99_999), st.one_of(st.just(WHOLE), shards))
def test_a_part_names_its_shard(unit: Unit, delivered: date, number: int, shard: Shard) -> None:
    own = part_key(unit, number, shard=shard)
    straggler = straggler_key(unit, delivered, number, shard=shard)

    assert owner_of(own, unit.day) == Owner(unit.day, shard)
    assert owner_of(straggler, unit.day) == Owner(delivered, shard)
    assert shard_of(own) == shard_of(straggler) == shard
    assert (owner_day(own, unit.day), owner_day(straggler, unit.day)) == (unit.day, delivered)


@pytest.mark.parametrize(
    "name",
    [
        *("part-00of12-00000.parquet", "part-13of12-00000.parquet", "part-01of01-00000.parquet"),
        *("part-1of12-00000.parquet", "part-01of100-00000.parquet", "part-01of12.parquet"),
        *("straggler-01of12-00000.parquet", "straggler-20260230-01of12-00000.parquet"),
        "part-20260112-01of12-00000.parquet",
    ],
)
def test_a_file_of_no_possible_shard_is_not_ours(name: str) -> None:
    assert owner_of(f"x/{name}", DAY) is None


@pytest.mark.parametrize(("number", "of"), [(0, 1), (2, 1), (1, 0), (1, 100), (13, 12), (-1, 3)])
def test_there_is_no_such_shard(number: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"there is no shard {number} of {of}"):
        Shard(number, of)


@given(shards)
def test_the_name_of_a_shard_tells_it(shard: Shard) -> None:
    assert Shard.named(shard.name) == shard
    assert len(shard.siblings) == shard.of
    assert shard in shard.siblings


bounds_ = st.lists(
    st.builds(
        Bound, st.sampled_from(["1", "2"]), st.sampled_from(["a", "b"]), st.integers(0, 90_000)
    ),
    min_size=1,
    max_size=6,
    unique=True,
).map(lambda bounds: tuple(sorted(bounds)))


@given(units, st.dates(), bounds_)
def test_a_part_of_a_unit_that_is_cut_names_its_shard_and_the_digest_of_the_bounds(
    unit: Unit, delivered: date, bounds: tuple[Bound, ...]
) -> None:
    for shard in Shard.between(1, bounds).siblings:
        own = part_key(unit, 7, shard=shard)

        assert shard_of(own) == Shard.named(shard.name) == shard
        assert owner_of(straggler_key(unit, delivered, 0, shard=shard), unit.day) == Owner(
            delivered, shard
        )
        assert part_number(own) == 7
        assert shard.split == (len(bounds) + 1, shard.cut)
        assert shard != Shard(shard.number, shard.of)


@given(bounds_, st.sampled_from(["1", "2"]), st.sampled_from(["a", "b"]), delivery_times)
def test_every_log_file_is_read_by_one_of_the_shards_between_bounds(
    bounds: tuple[Bound, ...], account: str, region: str, delivered: datetime
) -> None:
    window, name = Window(900, 7200), f"x/{delivered}.json"
    for stamped in (True, False):
        file = LogFile(name, 1, delivered, stamped, Place(account, region))
        taken = [
            shard.number
            for shard in Shard.between(1, bounds).siblings
            if window.takes(shard, file, DAY)
        ]
        assert len(taken) == 1
        assert taken[0] == 1 + sum(bound <= window.position(file, DAY) for bound in bounds)


@pytest.mark.parametrize(
    "bounds", [(), (Bound("1", "a", 0),) * 2, (Bound("2", "a", 0), Bound("1", "a", 0))]
)
def test_bounds_out_of_order_make_no_shards(bounds: tuple[Bound, ...]) -> None:
    with pytest.raises(ValueError, match="bounds are in order"):
        Shard.between(1, bounds)


@pytest.mark.parametrize("name", ["", "1of2", "00of02", "03of02", "01of02.json", "aaofbb"])
def test_other_names_are_of_no_shard(name: str) -> None:
    assert Shard.named(name) is None


@given(delivery_times, event_days, windows, shards, st.booleans(), st.text(max_size=3))
def test_every_log_file_of_a_window_is_read_by_one_shard(  # noqa: PLR0913, PLR0917
    delivered: datetime,
    day: date,
    window: Window,
    shard: Shard,
    stamped: bool,  # noqa: FBT001
    name: str,
) -> None:
    file = LogFile(f"a/{name}", 1, delivered, stamped)

    readers = [one for one in shard.siblings if window.takes(one, file, day)]

    assert len(readers) == (1 if window.holds(delivered, day) or not stamped else 0)
    assert window.takes(WHOLE, file, day) or stamped


def test_shards_are_ranges_of_delivery_time() -> None:
    window, three = Window(900, 7200), Shard(1, 3).siblings
    start = datetime.combine(DAY, time(), UTC) - timedelta(seconds=900)
    range_ = timedelta(seconds=(86_400 + 900 + 7200) / 3)
    moment = timedelta(microseconds=1)

    for number, shard in enumerate(three):
        first = start + number * range_
        times = first - moment, first, first + range_ - moment, first + range_
        files = [LogFile("a", 1, delivered, stamped=True) for delivered in times]
        assert [window.takes(shard, file, DAY) for file in files] == [False, True, True, False]


def test_a_log_file_whose_name_has_no_time_stays_in_its_shard_when_it_is_copied() -> None:
    window, four = Window(900, 7200), Shard(1, 4).siblings
    names = [f"{number}.json.gz" for number in range(100)]

    def readers(prefix: str, modified: datetime) -> list[list[str]]:
        return [
            [
                name
                for name in names
                if window.takes(shard, LogFile(f"{prefix}{name}", 1, modified, stamped=False), DAY)
            ]
            for shard in four
        ]

    assert readers("", COPIED) == readers("other/place/", COPIED + timedelta(hours=3))
    assert all(len(mine) > 10 for mine in readers("", COPIED))
