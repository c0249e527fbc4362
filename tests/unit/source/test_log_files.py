from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.log_files import (
    delivered_file,
    delivery_days,
    usual_keys,
    window_files,
)
from cloudtrail_parquet.storage import (
    Entry,
    open_store,
)
from tests.builders import log_key
from tests.unit.source.trees import DAY, FOLDERS, NOON, ONE, ORGANIZATION, REGION, TWO, WINDOW, Tree


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


TRAIL = f"AWSLogs/{ONE}/CloudTrail/{REGION}/"


times_of_day = st.one_of(
    st.from_regex(r"\A[0-9]{4}Z", fullmatch=True),
    st.from_regex(r"\A[0-9]{0,6}[^/\\]?", fullmatch=True),
)


endings = st.one_of(
    st.sampled_from(["", "_AbCdEfGhIjKlMnOp.json.gz", "_ABC_copy.json.gz", "~", "é", ".json"]),
    st.just(f"_x_CloudTrail_{REGION}_20260110T0010Z_A.json.gz"),
)


names = st.one_of(
    st.builds(
        lambda day, time, ending: f"{ONE}_CloudTrail_{REGION}_202601{day:02d}T{time}{ending}",
        st.integers(8, 12),
        times_of_day,
        endings,
    ),
    st.text(st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), max_size=5),
)


class Skipping:
    """Log files of no bytes but a size, of which a listing leaves out what it may, or does not."""

    parallel = 1
    skips = True

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = sorted(entries)

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> list[Entry]:
        below = [entry for entry in self._entries if entry.key.startswith(prefix)]
        if not self.skips:
            return below
        return [
            entry
            for entry in below
            if entry.key > after and not any(first <= entry.key <= last for first, last in skip)
        ]


@given(
    st.lists(st.tuples(st.integers(9, 11), names, st.integers(0, 3 * 1440)), max_size=10),
    st.integers(0, 30) | st.just(900) | st.integers(0, 2 * 86_400),
    st.just(7200) | st.integers(0, 2 * 86_400),
)
@example([(11, f"{ONE}_CloudTrail_{REGION}_20260111T1200Z_ABC_copy.json.gz", 1450)], 900, 7200)
@example([(11, f"{ONE}_CloudTrail_{REGION}_20260111T1260Z_A.json.gz", 1450)], 900, 7200)
@example([(11, f"{ONE}_CloudTrail_{REGION}_20260111T123500Z_A.json.gz", 1450)], 900, 7200)
def test_any_name_is_found_whether_a_store_leaves_some_out_or_not(
    named: list[tuple[int, str, int]], lookbehind_s: int, lookahead_s: int
) -> None:
    start = datetime(2026, 1, 9, 0, 10, tzinfo=UTC)
    store: Any = Skipping(
        [
            Entry(f"{TRAIL}2026/01/{day:02d}/{name}", 1, start + timedelta(minutes=minute))
            for day, name, minute in named
        ]
    )
    unit, window = Unit(ONE, REGION, DAY), Window(lookbehind_s, lookahead_s)

    left_out = window_files(store, [TRAIL], unit, window)
    store.skips = False

    assert left_out == window_files(store, [TRAIL], unit, window)


@pytest.mark.parametrize(
    ("time", "delivered", "stamped"),
    [
        ("1235Z_A.json.gz", "12:35", True),
        ("1235Z_A_copy.json.gz", "12:35", True),
        ("1235Z (2).json.gz", "12:35", True),
        ("1260Z_A.json.gz", "12:59", False),
        ("123500Z_A.json.gz", "12:34", False),
        ("12.json.gz", "11:59", False),
        ("2359Zé", "23:59", True),
        ("9999Z_A.json.gz", "18:01", False),
        (".json.gz", "18:01", False),
    ],
)
def test_a_name_is_delivered_where_it_sorts(time: str, delivered: str, *, stamped: bool) -> None:
    usual = usual_keys(TRAIL, DAY)

    file = delivered_file(Entry(usual + time, 1, NOON.replace(hour=18, minute=1)), DAY, usual)

    assert (f"{file.delivered:%H:%M}", file.stamped) == (delivered, stamped)
