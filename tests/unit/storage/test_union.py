import re
from collections.abc import Iterator
from pathlib import Path

import obstore.store
import pytest

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.storage import (
    Entry,
    Level,
    LocalStore,
    ObjectStore,
    ReadStore,
    UnionStore,
    open_source,
    open_store,
)
from tests.unit.storage.stores import keys


class Asked(ObjectStore):
    """Notes the prefixes of listings."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, obstore.store.MemoryStore())
        self.prefixes: list[tuple[str, tuple[tuple[str, str], ...]]] = []

    def level(self, prefix: str) -> Level:
        self.prefixes.append((prefix, ()))
        return super().level(prefix)

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        self.prefixes.append((prefix, skip))
        return super().files(prefix, *skip, after=after)


@pytest.fixture
def members() -> list[Asked]:
    """Four stores with the same keys."""
    stores = [Asked(f"s3://{name}") for name in ("two/a/b", "two/a-b", "one", "two/a/c")]
    for store in stores:
        for key in ("x/y/1", "x/y/2", "z"):
            store.write(key, store.uri.encode())
    return stores


TOPS = ["one/", "two/a-b/", "two/a/b/", "two/a/c/"]


def list_after(store: ReadStore, prefix: str, after: str) -> list[str]:
    return [entry.key for entry in store.files(prefix, after=after)]


def test_several_places_are_listed_like_one(members: list[Asked]) -> None:
    union, single = UnionStore(members), open_store("memory:///")
    for top in TOPS:
        for key in ("x/y/1", "x/y/2", "z"):
            single.write(top + key, f"s3://{top.rstrip('/')}".encode())

    assert union.tops == tuple(TOPS)
    prefixes = ["", "two/", "two/a/", "tw/", "nowhere/", "one/x/y/", "one/x/y/1/"]
    for prefix in prefixes + [top + below for top in TOPS for below in ("", "x/", "n/")]:
        assert union.level(prefix) == single.level(prefix)
        assert union.folders(prefix) == single.folders(prefix)
        assert keys(union, prefix) == keys(single, prefix)
        for after in ("one/x/y/1", "two/a", "two/a/b/", "two/a/b/x/y/1", "two/b"):
            assert list_after(union, prefix, after) == list_after(single, prefix, after)
    for key in keys(single):
        assert union.read(key) == union.read_if_there(key) == single.read(key)
        with union.open(key) as file:
            assert bytes(file.read()) == single.read(key)


def test_above_several_places_nothing_is_asked(members: list[Asked]) -> None:
    union = UnionStore(members)

    assert union.folders("") == ["one", "two"]
    assert union.folders("two/") == ["a", "a-b"]
    assert union.folders("two/a/") == ["b", "c"]

    assert [store.prefixes for store in members] == [[]] * 4


def test_a_listing_of_one_of_several_places_is_asked_of_it_alone(members: list[Asked]) -> None:
    union = UnionStore(members)

    list(union.files("two/a/b/x/", ("two/a/b/x/y/1", "two/a/b/x/y/1~")))
    union.folders("two/a/b/x/")

    assert members[0].prefixes == [("x/", (("x/y/1", "x/y/1~"),)), ("x/", ())]
    assert [store.prefixes for store in members[1:]] == [[]] * 3


def test_a_key_of_none_of_several_places_cannot_be_read(members: list[Asked]) -> None:
    union = UnionStore(members)

    for read in (union.read, union.read_if_there, union.open):
        with pytest.raises(StorageError, match=r"^three/x: cannot be read .*s3://one s3://two/a-b"):
            read("three/x")


def test_a_source_may_be_several_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    spaced = tmp_path / "two  s3 words"
    for name in ("a b", "c", spaced.name):
        LocalStore(tmp_path / name).write("k", name.encode())

    assert open_source(str(spaced)).read("k") == spaced.name.encode()
    assert open_source(f"file://{tmp_path}/a%20b").read("k") == b"a b"
    for between in (" ", "\n", "\t \n"):
        source = open_source(
            f"{spaced}{between}file://{tmp_path}/a%20b{between}file://{tmp_path}/c"
        )
        top = f"{tmp_path}/"[1:]
        assert source.tops == (f"{top}a b/", f"{top}c/", f"{top}two  s3 words/")
        assert [source.read(f"{one}k") for one in source.tops] == [b"a b", b"c", b"two  s3 words"]
    buckets = open_source(" s3://aa/x?region=eu-west-1 s3://bb?requester_pays=true\n")
    assert (buckets.tops, buckets.parallel) == (("aa/x/", "bb/"), 16)
    assert buckets.uri == "s3://aa/x s3://bb"


@pytest.mark.parametrize(
    ("locations", "said"),
    [
        ("s3://aa/x s3://aa/x/?region=eu-west-1", "is named twice"),
        ("s3://aa/x s3a://aa/x", "is named twice"),
        ("s3://aa/x/y s3://bb s3://aa", "s3://aa/x/y: lies in s3://aa, named as well"),
        ("/a file:///a/b", "file:///a/b: lies in /a, named as well"),
        ("/logs/a s3://logs", "its log files would be named like those of s3://logs"),
        ("/logs/a s3://logs/a", "its log files would be named like those of"),
        ("s3://aa s3://bb?colour=red", "unknown parameter colour"),
    ],
)
def test_places_of_which_one_lies_in_another_are_a_wrong_usage(
    locations: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(UsageError, match=re.escape(said)):
        open_source(locations)


def test_places_whose_names_only_begin_alike_lie_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert open_source("s3://aa/x s3://aa/xy s3://aab").tops == ("aa/x/", "aa/xy/", "aab/")
