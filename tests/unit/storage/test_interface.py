"""The same contract for a folder on a disk and for an object store."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore.store
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.storage import (
    Level,
    LocalStore,
    ObjectStore,
    Store,
    open_store,
)
from tests.unit.storage.stores import PART, everything_in, keys


@pytest.fixture
def unreachable() -> Store:
    """An object store that answers nothing, at once."""
    return ObjectStore(
        "s3://bucket",
        obstore.store.S3Store(
            "bucket",
            endpoint="http://127.0.0.1:9",
            region="us-east-1",
            skip_signature=True,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        ),
    )


@pytest.mark.parametrize(
    "key", ["a", PART, "x/AWSLogs/1/a b+c.json.gz", "é/漢", "a%20b/c=d", "a.b/~c"]
)
@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5_000])
def test_what_is_written_is_read_again(store: Store, key: str, data: bytes) -> None:
    store.write(key, data)

    assert store.read(key) == store.read_if_there(key) == data
    with store.open(key) as file:
        assert bytes(file.read()) == data
    assert [(entry.key, entry.size) for entry in store.files("")] == [(key, len(data))]


def test_an_open_object_can_seek(store: Store) -> None:
    store.write("a", b"0123456789")

    with store.open("a") as file:
        file.seek(-4, os.SEEK_END)
        assert bytes(file.read(2)) == b"67"
        file.seek(1)
        assert bytes(file.read(2)) == b"12"


def test_writing_again_replaces(store: Store) -> None:
    store.write(PART, b"a long one")
    store.write(PART, b"short")

    assert store.read(PART) == b"short"
    assert keys(store) == [PART]


def test_an_object_says_when_it_was_written(store: Store) -> None:
    store.write("a", b"")

    (entry,) = store.files("")
    assert abs(datetime.now(UTC) - entry.modified) < timedelta(minutes=1)


def test_an_object_that_is_not_there(store: Store) -> None:
    assert store.read_if_there("a/b") is None
    with pytest.raises(StorageError, match="a/b"):
        store.read("a/b")


def test_opening_an_object_that_is_not_there_is_a_storage_error(store: Store) -> None:
    with pytest.raises(StorageError, match="a/b"):
        store.open("a/b")


def test_deleting_leaves_the_others(store: Store) -> None:
    for key in ("a/b", "a/c", "d/e"):
        store.write(key, b"x")

    store.delete(["a/b", "a/b", "not/there", "d/e"])

    assert keys(store) == ["a/c"]
    assert store.folders("") == ["a"]  # no empty folders stay behind
    store.delete([])
    store.write("d/e", b"y")
    assert store.read("d/e") == b"y"


@given(
    st.lists(
        st.lists(st.text("ab.-=~ é/", min_size=1, max_size=3), min_size=1, max_size=3)
        .map("/".join)
        .filter(lambda key: not any(name in {"", ".", ".."} for name in key.split("/"))),
        max_size=6,
        unique=True,
    )
)
def test_objects_are_listed_sorted_by_key_in_every_kind_of_store(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    names = [name for name in names if not any(other.startswith(f"{name}/") for other in names)]
    disk, memory = LocalStore(tmp_path_factory.mktemp("store")), open_store("memory:///")
    for name in names:
        (disk.root / name).parent.mkdir(parents=True, exist_ok=True)
        (disk.root / name).write_bytes(b"x")
        memory.write(name, b"x")

    assert keys(disk) == keys(memory) == sorted(names)
    for prefix in {"", *(name.rpartition("/")[0] + "/" for name in names if "/" in name)}:
        assert (
            keys(disk, prefix)
            == keys(memory, prefix)
            == sorted(n for n in names if n.startswith(prefix))
        )
        assert disk.level(prefix) == memory.level(prefix)


def test_a_listing_may_begin_after_a_key(store: Store) -> None:
    keys = ["a-b/1", "a/1", "a/2/3", "a/2/4", "a/9", "b"]
    for key in keys:
        store.write(key, b"x")

    for after in ["", *keys, "a", "a/", "a/2", "a/2/", "a/2/3x", "a/3", "c"]:
        assert [entry.key for entry in store.files("", after=after)] == [
            key for key in keys if key > after
        ]
    assert [entry.key for entry in store.files("a/", after="a/2/3")] == ["a/2/4", "a/9"]
    assert [entry.key for entry in store.files("a/", after="b")] == []


def test_folders_are_those_directly_below_and_no_objects(store: Store) -> None:
    for key in ("a/b/c", "a/b2", "a/d/e/f", "ab/c", "g"):
        store.write(key, b"x")

    assert store.level("") == Level(["a", "ab"], ["g"])
    assert store.level("a/") == Level(["b", "d"], ["b2"])
    assert store.folders("") == ["a", "ab"]
    assert store.folders("a/") == ["b", "d"]
    assert store.folders("a/b/") == store.folders("nowhere/") == store.folders("g/") == []
    assert keys(store, "nowhere/") == []


def test_parts_are_there_once_they_are_published_and_not_before(store: Store) -> None:
    store.write(PART, b"old")
    with store.staging() as staging:
        for key in (PART, "b/new"):
            with staging.create(key) as sink:
                sink.write(b"1234")
                assert sink.tell() == 4
                sink.write(b"5")
        assert keys(store) == [PART]
        assert store.read(PART) == b"old"

        (old,) = store.files("")
        staging.publish(PART, old.version)
        staging.publish("b/new", None)

        assert keys(store) == [PART, "b/new"]
    assert store.read(PART) == store.read("b/new") == b"12345"


@pytest.mark.parametrize("closed", [True, False])
def test_parts_that_are_not_published_leave_nothing(
    store: Store, tmp_path: Path, *, closed: bool
) -> None:
    store.write(PART, b"old")
    before = everything_in(tmp_path)

    with store.staging() as staging:
        sink = staging.create(PART)
        sink.write(b"new")
        if closed:
            sink.close()

    assert store.read(PART) == b"old"
    assert everything_in(tmp_path) == before


def test_parts_not_closed_are_published_whole(store: Store) -> None:
    with store.staging() as staging:
        staging.create("a").write(b"x" * 10)
        staging.publish("a", None)

    assert store.read("a") == b"x" * 10


def test_a_part_is_published_only_over_what_was_seen(store: Store) -> None:
    store.write(PART, b"seen")
    (seen,) = store.files("")
    store.write(PART, b"newer")
    for version in (seen.version, None):
        with store.staging() as staging:
            staging.create(PART).write(b"older")
            with pytest.raises(StorageError, match="the lease was lost"):
                staging.publish(PART, version)

    assert store.read(PART) == b"newer"


@pytest.mark.amazon("conditions for removals")
def test_a_version_of_an_object_is_replaced_and_removed_but_no_other(store: Store) -> None:
    first = store.swap("a/b", b"1", None)
    second = store.swap("a/b", b"2", first)
    for act in (
        lambda: store.swap("a/b", b"3", first),
        lambda: store.swap("a/b", b"3", None),
        lambda: store.remove("a/b", first),
    ):
        with pytest.raises(StorageError, match="the lease was lost"):
            act()
    found = store.look("a/b")

    assert found is not None
    assert (found.data, found.version) == (b"2", second)
    store.remove("a/b", second)
    store.remove("a/b", second)
    assert store.look("a/b") is None


def test_a_store_is_opened_by_path_or_uri(tmp_path: Path) -> None:
    spaced = tmp_path / "a b"
    LocalStore(spaced).write("k", b"x")

    for uri in (spaced, str(spaced), f"file://{tmp_path}/a%20b"):
        assert open_store(uri).read("k") == b"x"
    assert isinstance(open_store("memory:///"), ObjectStore)


@pytest.mark.parametrize("uri", ["nothing://a/b"])
def test_a_uri_of_no_known_kind_is_a_wrong_usage(uri: str) -> None:
    with pytest.raises(UsageError):
        open_store(uri)


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.folders(""),
        lambda store: list(store.files("")),
        lambda store: store.read("a"),
        lambda store: store.read_if_there("a"),
        lambda store: store.open("a"),
        lambda store: store.write("a", b""),
        lambda store: store.delete(["a"]),
        lambda store: store.lease("a", 0, 1).__enter__(),
    ],
    ids=["folders", "files", "read", "read_if_there", "open", "write", "delete", "lease"],
)
def test_a_store_that_does_not_answer_is_a_storage_error(
    unreachable: Store, ask: Callable[[Store], object]
) -> None:
    with pytest.raises(StorageError):
        ask(unreachable)
