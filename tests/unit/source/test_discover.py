from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore.store
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Unit, Window
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import Discovery, account_roots, discover, units
from cloudtrail_parquet.source.log_files import (
    delivered_file,
    delivery_days,
    usual_keys,
    window_files,
)
from cloudtrail_parquet.source.siblings import count_siblings
from cloudtrail_parquet.storage import (
    Entry,
    Level,
    LocalStore,
    ObjectStore,
    ReadStore,
    Store,
    UnionStore,
    open_source,
    open_store,
)
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
        "cloud-trail",
    ]
    store = tree(
        log_key(ONE, REGION, NOON),
        *(log_key(ONE, REGION, NOON, folder=folder) for folder in others),
        log_key(ONE, REGION, NOON, folder="Config", unique="2"),
    )

    found = discover(store, FOLDERS)

    assert found.trails == {(ONE, REGION): [f"AWSLogs/{ONE}/CloudTrail/{REGION}/"]}
    assert set(found.siblings) == set(others)
    assert count_siblings(store, found) == {**dict.fromkeys(others, "1"), "Config": "2"}
    assert not found.unplaced


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
    monkeypatch.setattr("cloudtrail_parquet.source.discover._MAX_FOLDERS", 10)
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


# Names.

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

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> list[Entry]:
        below = [entry for entry in self._entries if entry.key.startswith(prefix)]
        if skip is None or not self.skips:
            return below
        return [entry for entry in below if not skip[0] <= entry.key <= skip[1]]


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


# Several places.


def in_memory(uri: str) -> ObjectStore:
    return ObjectStore(uri, obstore.store.MemoryStore())


PLACES = ["s3://one", "s3://two/a/b", "s3://two/a-b", "s3://three/AWSLogs", "/data/logs"]

log_keys = st.builds(
    lambda prefix, account, region, minute, organization, folder: log_key(
        account,
        region,
        NOON + timedelta(minutes=minute),
        prefix=prefix,
        organization=organization,
        folder=folder,
    ),
    st.sampled_from(["", "x", "x/y"]),
    st.sampled_from([ONE, TWO]),
    st.sampled_from(["us-east-1", REGION]),
    st.integers(-2000, 2000),
    st.sampled_from([None, ORGANIZATION]),
    st.sampled_from(["CloudTrail", "CloudTrail-Digest"]),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), log_keys | st.sampled_from(["a", "notes/b"])),
        min_size=1,
        max_size=12,
    )
)
def test_several_places_are_one_with_their_names_above(keys: list[tuple[str, str]]) -> None:
    places = {uri: in_memory(uri) for uri in PLACES}
    union, single = UnionStore(places.values()), in_memory("s3://all")
    for uri, key in keys:
        below = key.removeprefix("AWSLogs/") if uri.endswith("AWSLogs") else key
        places[uri].write(below, b"x")
        single.write(f"{uri.rpartition('//')[2].strip('/')}/{below}", b"x")

    def trails(source: ReadStore) -> Discovery | None:
        try:
            found = discover(source, FOLDERS)
        except UsageError:
            return None
        found.without_logs.clear()
        return found

    found = trails(union)

    assert found == trails(single)
    assert set(account_roots(union)) == {"three/AWSLogs/", *account_roots(single)}
    if found is not None:
        assert units(union, found, WINDOW) == units(single, found, WINDOW)
        for unit in units(union, found, WINDOW):
            of = found.trails[unit.account, unit.region]
            read, expected = (window_files(one, of, unit, WINDOW) for one in (union, single))
            assert [(file.key, file.delivered) for file in read] == [
                (file.key, file.delivered) for file in expected
            ]
            assert all(union.read(file.key) == b"x" for file in read)
            assert set(Accounts(union, FOLDERS).trails(unit)) == set(of)


def test_a_place_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("abcdefghijklmnop")
    LocalStore(deep).write(log_key(ONE, REGION, NOON), b"x")
    LocalStore(tmp_path / "other").write(log_key(TWO, REGION, NOON), b"x")

    found = discover(open_source(f"file://{deep} file://{tmp_path}/other"), FOLDERS)

    assert set(found.trails) == {(ONE, REGION), (TWO, REGION)}
    assert found.without_logs == []


def test_of_several_places_one_may_have_no_logs_yet(tree: Tree) -> None:
    union = UnionStore([tree(log_key(ONE, REGION, NOON)), in_memory("s3://new/trail")])

    found = discover(union, FOLDERS)

    assert set(found.trails) == {(ONE, REGION)}
    assert found.without_logs == ["new/trail/"]


def test_several_places_without_any_logs_are_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"^s3://one s3://two: no AWSLogs folder"):
        discover(UnionStore([in_memory("s3://one"), in_memory("s3://two")]), FOLDERS)


# Accounts that may not be listed.


class Refusing(ObjectStore):
    """Does not list folders in whose prefixes one of some texts is."""

    refused: tuple[str, ...] = ()

    def level(self, prefix: str) -> Level:
        if any(text in prefix for text in self.refused):
            raise RefusedError("cannot be listed (AccessDenied)", f"{self.uri}/{prefix}", "Allow")
        return super().level(prefix)


@pytest.fixture
def refusing() -> Refusing:
    store = Refusing("s3://logs", obstore.store.MemoryStore())
    for account in (ONE, TWO):
        store.write(log_key(account, REGION, NOON), b"x")
        store.write(log_key(account, REGION, NOON, folder="Config"), b"x")
        store.write(log_key(account, REGION, NOON, organization=ORGANIZATION), b"x")
    return store


@pytest.mark.parametrize(
    "refused", [f"AWSLogs/{ONE}/", f"{ORGANIZATION}/{ONE}/CloudTrail/"], ids=["account", "logs"]
)
def test_an_account_that_may_not_be_listed_is_left_out_whole(
    refusing: Refusing, refused: str
) -> None:
    refusing.refused = (refused,)

    found = discover(refusing, FOLDERS)

    assert set(found.trails) == {(TWO, REGION)}
    assert set(found.refused) == set(found.refused_of([ONE])) == set(found.refused_of([])) == {ONE}
    assert found.refused_of([TWO]) == {}
    assert refused in str(found.refused[ONE])


def test_an_account_is_left_out_when_one_of_several_places_refuses_it(refusing: Refusing) -> None:
    other = in_memory("s3://other")
    for account in (ONE, TWO):
        other.write(log_key(account, REGION, NOON), b"x")
    refusing.refused = (f"AWSLogs/{ONE}/",)

    found = discover(UnionStore([refusing, other]), FOLDERS)

    assert set(found.trails) == {(TWO, REGION)}
    assert len(found.trails[TWO, REGION]) == 3
    assert set(found.refused) == {ONE}


@pytest.mark.parametrize("refused", [(ONE, TWO), ("AWSLogs/",), (f"{ORGANIZATION}/",), ("",)])
def test_where_nothing_may_be_listed_that_is_the_error(
    refusing: Refusing, refused: tuple[str, ...]
) -> None:
    refusing.refused = refused

    with pytest.raises(RefusedError, match=r"^s3://logs/.*: cannot be listed"):
        discover(refusing, FOLDERS)


def test_a_folder_that_is_no_account_may_hold_any_and_must_be_listed(refusing: Refusing) -> None:
    refusing.write(log_key(ONE, REGION, NOON, prefix="AWSLogs/team"), b"x")
    refusing.refused = ("AWSLogs/team/",)

    with pytest.raises(RefusedError, match="AWSLogs/team/"):
        discover(refusing, FOLDERS)
