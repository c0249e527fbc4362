from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, Window
from cloudtrail_parquet.source import count_siblings, delivery_days, discover, units, window_files
from cloudtrail_parquet.storage import Store, open_store
from tests.builders import log_key

ONE, TWO = "012345678901", "999999999999"
ORGANIZATION = "o-exampleorgid"
REGION = "eu-central-1"
DAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
WINDOW = Window(900, 7200)
FOLDERS = ("CloudTrail",)

Tree = Callable[..., Store]


@pytest.fixture(params=["disk", "memory"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """Makes a store with objects of one byte at these keys."""

    def make(*keys: str, data: bytes = b"x") -> Store:
        store = open_store(tmp_path / "source" if request.param == "disk" else "memory:///")
        for key in keys:
            store.write(key, data)
        return store

    return make


def test_accounts_and_regions_of_both_layouts_are_found(tree: Tree) -> None:
    store = tree(
        log_key(ONE, "us-gov-west-1", NOON),
        log_key(ONE, REGION, NOON),
        log_key(ONE, REGION, NOON, organization=ORGANIZATION),
        log_key(TWO, "cn-north-1", NOON, organization=ORGANIZATION),
    )

    assert discover(store, FOLDERS).trails == {
        (ONE, "us-gov-west-1"): [f"AWSLogs/{ONE}/CloudTrail/us-gov-west-1/"],
        (ONE, REGION): [
            f"AWSLogs/{ONE}/CloudTrail/{REGION}/",
            f"AWSLogs/{ORGANIZATION}/{ONE}/CloudTrail/{REGION}/",
        ],
        (TWO, "cn-north-1"): [f"AWSLogs/{ORGANIZATION}/{TWO}/CloudTrail/cn-north-1/"],
    }


@pytest.mark.parametrize(
    "prefix", ["trail", "a/b/c", "AWSLogs", "x/AWSLogs", "AWSLogs/team", "AWSLogs/a/b"]
)
def test_trails_below_any_prefix_are_found(tree: Tree, prefix: str) -> None:
    store = tree(
        log_key(ONE, REGION, NOON, prefix=prefix),
        log_key(TWO, REGION, NOON, prefix=prefix, organization=ORGANIZATION),
    )

    assert set(discover(store, FOLDERS).trails) == {(ONE, REGION), (TWO, REGION)}


def test_the_same_account_below_two_prefixes_is_one_with_two_trails(tree: Tree) -> None:
    store = tree(log_key(ONE, REGION, NOON, prefix="old"), log_key(ONE, REGION, NOON, prefix="new"))

    assert discover(store, FOLDERS).trails == {
        (ONE, REGION): [f"{prefix}/AWSLogs/{ONE}/CloudTrail/{REGION}/" for prefix in ("new", "old")]
    }


def test_only_the_folders_asked_for_are_read_and_the_others_are_counted(tree: Tree) -> None:
    others = [
        "CloudTrail-Digest",
        "CloudTrail-Insight",
        "CloudTrail-Aggregated",
        "Config",
        "cloudtrail",
    ]
    store = tree(
        log_key(ONE, REGION, NOON),
        *(log_key(ONE, REGION, NOON, folder=folder) for folder in others),
        log_key(ONE, REGION, NOON, folder="Config", unique="2"),
    )

    found = discover(store, FOLDERS)

    assert found.trails == {(ONE, REGION): [f"AWSLogs/{ONE}/CloudTrail/{REGION}/"]}
    assert set(found.siblings) == set(others)
    assert count_siblings(store, found.siblings) == {**dict.fromkeys(others, "1"), "Config": "2"}


def test_other_folders_are_read_when_asked_for(tree: Tree) -> None:
    store = tree(
        log_key(ONE, REGION, NOON), log_key(ONE, REGION, NOON, folder="CloudTrail-Insight")
    )

    trails = discover(store, ("CloudTrail", "CloudTrail-Insight")).trails[ONE, REGION]

    assert trails == [
        f"AWSLogs/{ONE}/{folder}/{REGION}/" for folder in ("CloudTrail", "CloudTrail-Insight")
    ]


def test_a_source_may_be_named_at_its_root_folder(tmp_path: Path) -> None:
    open_store(tmp_path).write(log_key(ONE, REGION, NOON, prefix="trail"), b"x")

    found = discover(open_store(tmp_path / "trail" / "AWSLogs"), FOLDERS)

    assert found.trails == {(ONE, REGION): [f"{ONE}/CloudTrail/{REGION}/"]}


@pytest.mark.parametrize(
    "keys", [[], ["a/b/c.json"], ["AWSLogs"], ["awslogs/1/CloudTrail/r/2026/01/10/a"]]
)
def test_a_source_without_logs_is_a_wrong_usage(tree: Tree, keys: list[str]) -> None:
    with pytest.raises(UsageError, match="no AWSLogs folder"):
        discover(tree(*keys), FOLDERS)


def test_the_delivery_days_of_a_trail_are_its_day_folders_in_order(tree: Tree) -> None:
    days = [
        "2026/01/10",
        "2026/01/09",
        "2025/12/31",
        "2026/02/30",
        "2026/1/2",
        "notes/01/01",
        "2026/01/day",
    ]
    store = tree(*(f"{day}/a.json.gz" for day in days))

    assert list(delivery_days(store, "")) == [date(2025, 12, 31), date(2026, 1, 9), DAY]


def test_every_day_whose_window_touches_a_delivery_day_is_a_unit(tree: Tree) -> None:
    store = tree(
        log_key(TWO, REGION, NOON),
        log_key(ONE, REGION, NOON),
        log_key(ONE, REGION, NOON, organization=ORGANIZATION),
    )
    found = discover(store, FOLDERS)

    days = [date(2026, 1, 9), DAY, date(2026, 1, 11)]
    assert units(store, found, WINDOW) == [
        Unit(account, REGION, day) for account in (ONE, TWO) for day in days
    ]
    assert units(store, found, WINDOW, first=DAY, last=DAY) == [
        Unit(ONE, REGION, DAY),
        Unit(TWO, REGION, DAY),
    ]
    assert units(store, found, Window(0, 0)) == units(store, found, WINDOW, DAY, DAY)


def test_a_unit_reads_the_files_of_its_window_from_all_layouts_in_delivery_order(
    tree: Tree,
) -> None:
    deliveries = [
        (datetime(2026, 1, 9, 23, 40, tzinfo=UTC), None, "too-early"),
        (datetime(2026, 1, 9, 23, 45, tzinfo=UTC), ORGANIZATION, "a"),
        (datetime(2026, 1, 10, 0, 0, tzinfo=UTC), None, "b"),
        (NOON, ORGANIZATION, "d"),
        (NOON, None, "c"),
        (NOON, None, "c2"),
        (datetime(2026, 1, 11, 1, 55, tzinfo=UTC), None, "e"),
        (datetime(2026, 1, 11, 2, 0, tzinfo=UTC), None, "too-late"),
    ]
    keys = {
        unique: log_key(ONE, REGION, at, organization=org, unique=unique)
        for at, org, unique in deliveries
    }
    store = tree(*reversed(keys.values()))
    trails = discover(store, FOLDERS).trails[ONE, REGION]

    files = window_files(store, trails, Unit(ONE, REGION, DAY), WINDOW)

    assert [file.key for file in files] == [
        keys[unique] for unique in ("a", "b", "c", "c2", "d", "e")
    ]


@given(
    st.integers(0, 3 * 86_400),
    st.integers(0, 3 * 86_400),
    st.sets(st.integers(-5 * 1440, 5 * 1440), max_size=20),
)
def test_what_a_store_may_leave_out_is_outside_the_window(
    lookbehind_s: int, lookahead_s: int, minutes: set[int]
) -> None:
    window = Window(lookbehind_s, lookahead_s)
    midnight = datetime(2026, 1, 10, tzinfo=UTC)
    edges = {-lookbehind_s // 60, 1440 + lookahead_s // 60}
    deliveries = {
        log_key(ONE, REGION, at): at
        for minute in minutes | {edge + step for edge in edges for step in (-1, 0, 1)}
        for at in [midnight + timedelta(minutes=minute)]
    }
    store = open_store("memory:///")
    for key in deliveries:
        store.write(key, b"x")

    files = window_files(
        store, [f"AWSLogs/{ONE}/CloudTrail/{REGION}/"], Unit(ONE, REGION, DAY), window
    )

    inside = {key: at for key, at in deliveries.items() if window.holds(at, DAY)}
    assert [file.key for file in files] == sorted(inside, key=inside.__getitem__)


def test_days_outside_of_what_is_asked_for_are_left_out(tree: Tree) -> None:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1)]
    store = tree(*(f"{day:%Y/%m/%d}/a.json.gz" for day in days))

    for first in days:
        for last in days:
            found = list(delivery_days(store, "", first, last))
            assert found == [day for day in days if first <= day <= last]


def test_more_folders_than_can_be_looked_through_are_a_wrong_usage(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudtrail_parquet.source._MAX_FOLDERS", 10)
    store = tree(*(f"results/{number}/x" for number in range(12)))

    with pytest.raises(UsageError, match=r"more than 10 folders.*Name the folder"):
        discover(store, FOLDERS)


def test_markers_hidden_files_and_other_accounts_are_not_read(tree: Tree) -> None:
    store = tree(
        log_key(ONE, REGION, NOON),
        log_key(TWO, REGION, NOON),
        log_key(ONE, REGION + "1", NOON),
        f"AWSLogs/{ONE}/CloudTrail/{REGION}/2026/01/10/.partial.json.gz",
        f"AWSLogs/{ONE}/CloudTrail/{REGION}/2026/01/100/a.json.gz",
    )
    store.write(f"AWSLogs/{ONE}/CloudTrail/{REGION}/2026/01/10/empty.json.gz", b"")
    trails = discover(store, FOLDERS).trails[ONE, REGION]

    files = window_files(store, trails, Unit(ONE, REGION, DAY), WINDOW)

    assert [file.key for file in files] == [log_key(ONE, REGION, NOON)]


def test_files_in_deeper_folders_and_with_other_names_are_read_once_in_their_day(
    tree: Tree,
) -> None:
    folder = f"AWSLogs/{ONE}/CloudTrail/{REGION}/2026/01/10/"
    stray = log_key(ONE, REGION, datetime(2025, 5, 5, tzinfo=UTC)).rpartition("/")[2]
    keys = [f"{folder}{stray}", f"{folder}copy/a.json", f"{folder}b"]
    store = tree(*keys)

    readers = {
        key: [
            str(day)
            for day in [*(date(2026, 1, n) for n in range(8, 12)), date(2025, 5, 5)]
            for file in window_files(store, [folder[:-11]], Unit(ONE, REGION, day), WINDOW)
            if file.key == key and file.delivered.date() == day
        ]
        for key in keys
    }

    assert readers == {key: ["2026-01-10"] for key in keys}
