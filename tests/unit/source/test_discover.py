from datetime import date, timedelta
from pathlib import Path

import obstore.store
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import Discovery, account_roots, discover, units
from cloudtrail_parquet.source.log_files import (
    window_files,
)
from cloudtrail_parquet.source.siblings import count_siblings
from cloudtrail_parquet.storage import (
    Level,
    LocalStore,
    ObjectStore,
    ReadStore,
    UnionStore,
    open_source,
    open_store,
)
from tests.builders import log_key
from tests.unit.source.trees import DAY, FOLDERS, NOON, ONE, ORGANIZATION, REGION, TWO, WINDOW, Tree


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
    assert count_siblings(store, found) == {
        **dict.fromkeys(others, "1 object"),
        "Config": "2 objects",
    }
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


def test_more_folders_than_can_be_looked_through_are_a_wrong_usage(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudtrail_parquet.source.discover._MAX_FOLDERS", 10)
    store = tree(*(f"results/{number}/x" for number in range(12)))

    with pytest.raises(UsageError, match=r"more than 10 folders.*Name the folder"):
        discover(store, FOLDERS)


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
