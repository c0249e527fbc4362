from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.intake.arranged import Arranged, ArrangedStore
from cloudtrail_parquet.intake.narrowed import NarrowedStore
from cloudtrail_parquet.storage import Entry, Level, LocalStore, open_store

NOW = datetime(2026, 1, 10, 12, 30, 59, 123456, tzinfo=UTC)
NAMES = st.sampled_from(["a", "a0", "a.", "b c", "é", "\udce9", "AWSLogs", "a\n", "0"])
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def level_of(keys: set[str], prefix: str) -> Level:
    below = [key[len(prefix) :].split("/") for key in keys if key.startswith(prefix)]
    folders = {names[0] for names in below if len(names) > 1}
    return Level(sorted(folders), sorted(names[0] for names in below if len(names) == 1))


def in_order(keys: set[str]) -> list[str]:
    return sorted(keys, key=lambda key: key.encode(errors="surrogateescape"))


@given(st.sets(KEYS), KEYS, st.lists(KEYS, min_size=2, max_size=2), st.booleans())
def test_what_was_arranged_is_listed_as_any_store_lists_it(
    keys: set[str],
    after: str,
    ends: list[str],
    skips: bool,  # noqa: FBT001
) -> None:
    first, last = in_order(set(ends))[0], in_order(set(ends))[-1]
    skip = [(first, last)] if skips else []
    with TemporaryDirectory() as scratch:
        arranged = (Arranged(key, len(key), NOW) for key in keys)
        assert ArrangedStore.write(arranged, Path(scratch)) == len(keys)
        store = ArrangedStore(LocalStore(Path("/nowhere")), "x", Path(scratch))

        for prefix in ("", *(f"{key}/" for key in keys), "a/", "none/"):
            assert store.level(prefix) == level_of(keys, prefix)
            below = [key for key in in_order(keys) if key.startswith(prefix)]
            assert [*store.files(prefix)] == [Entry(key, len(key), NOW) for key in below]
            later = set(below) - {one for one in below if in_order({one, after})[0] == one}
            wanted = [
                key for key in in_order(later) if not skip or key not in between(later, first, last)
            ]
            assert [entry.key for entry in store.files(prefix, *skip, after=after)] == wanted
        del store


def between(keys: set[str], first: str, last: str) -> set[str]:
    return {
        key
        for key in keys
        if in_order({first, key})[0] == first and in_order({last, key})[-1] == last
    }


def test_a_file_is_read_where_it_lies_or_as_its_copy(tmp_path: Path) -> None:
    real, scratch = tmp_path / "real", tmp_path / "scratch"
    prefix = "AWSLogs/012345678901/CloudTrail/eu-central-1/2026/01/10/"
    open_store(real).write("deep/AWSLogs/x", b"real")
    open_store(scratch).write("7.json.gz", b"copy")
    files = [
        Arranged(f"{prefix}deep/AWSLogs/x", 4, NOW),
        Arranged(f"{prefix}deep/y/name", 4, NOW, "7.json.gz"),
    ]
    ArrangedStore.write(files, scratch)
    store = ArrangedStore(open_store(real), "x", scratch)

    assert [store.read(file.key) for file in files] == [b"real", b"copy"]
    with store.open(files[0].key) as file:
        assert file.read() == b"real"


def test_of_a_narrowed_store_one_folder_is_seen_and_the_way_to_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for key in ("a/b/c/1", "a/b/c/d/2", "a/b/3", "a/4", "b/5"):
        store.write(key, b"x")

    narrow = NarrowedStore(store, "a/b/c/", "x")

    assert [narrow.level(prefix) for prefix in ("", "a/", "a/b/", "b/", "a/b/cc/")] == [
        *(Level([name], []) for name in "abc"),
        Level([], []),
        Level([], []),
    ]
    assert narrow.level("a/b/c/") == Level(["d"], ["1"])
    for prefix, keys in (("", "1d"), ("a/", "1d"), ("a/b/c/", "1d"), ("a/b/c/d/", "d"), ("b/", "")):
        found = [entry.key.removeprefix("a/b/c/")[0] for entry in narrow.files(prefix)]
        assert "".join(found) == keys
    assert [entry.key for entry in narrow.files("", after="a/b/c/1")] == ["a/b/c/d/2"]
