"""The same contract for a folder on a disk and for an object store."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore.store
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError, UsageError
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
from cloudtrail_parquet.storage.scratch import scratch_folder

LAMBDA_SRC = Path(__file__).parents[3] / "lambda_src"
PART = "account=1/region=a/year=2026/month=01/day=10/part-00000.parquet"
LEASE = "leases/account=1/region=a.json"

HOLDER = """
import sys, time
from pathlib import Path
from cloudtrail_parquet.storage import LocalStore

with LocalStore(Path(sys.argv[1])).lease(sys.argv[2], 0, 900):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(tmp_path / "store" if request.param == "disk" else "memory:///")


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


def keys(store: ReadStore, prefix: str = "") -> list[str]:
    return [entry.key for entry in store.files(prefix)]


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# Reading and writing.


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


def test_folders_are_those_directly_below_and_no_objects(store: Store) -> None:
    for key in ("a/b/c", "a/b2", "a/d/e/f", "ab/c", "g"):
        store.write(key, b"x")

    assert store.level("") == Level(["a", "ab"], ["g"])
    assert store.level("a/") == Level(["b", "d"], ["b2"])
    assert store.folders("") == ["a", "ab"]
    assert store.folders("a/") == ["b", "d"]
    assert store.folders("a/b/") == store.folders("nowhere/") == store.folders("g/") == []
    assert keys(store, "nowhere/") == []


# Parts on their way.


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


def test_nothing_is_left_beside_the_store_after_publishing(store: Store, tmp_path: Path) -> None:
    with store.staging() as staging:
        staging.create(PART).close()
        staging.publish(PART, None)

    assert keys(store) == [PART]
    assert not list(tmp_path.glob("*staging*"))


def test_parts_not_closed_are_published_whole(store: Store) -> None:
    with store.staging() as staging:
        staging.create("a").write(b"x" * 10)
        staging.publish("a", None)

    assert store.read("a") == b"x" * 10


def test_what_a_killed_process_left_is_dropped_by_the_next_run_of_anything(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    with scratch_folder(tmp_path / "store.staging") as alive:
        left = alive.with_name("cloudtrail-parquet-killed")  # whose lock the system took back
        left.mkdir()
        (left / "part").touch()

        with store.staging():
            assert alive.is_dir()

        assert not left.exists()

    assert everything_in(tmp_path) == []


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


def test_staging_may_lie_elsewhere(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", staging=tmp_path / "scratch")

    with store.staging() as staging:
        staging.create(PART).write(b"x")
        assert everything_in(tmp_path)[0].startswith("scratch/")
        staging.publish(PART, None)

    assert everything_in(tmp_path) == [f"store/{PART}"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")  # noqa: S108
def test_staging_on_another_file_system_is_copied(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / f"staging-{os.getpid()}"  # noqa: S108
    store = open_store(tmp_path / "store", staging=elsewhere)

    store.write(PART, b"x")

    assert everything_in(tmp_path) == [f"store/{PART}"]
    assert not elsewhere.exists()


def test_stores_written_to_side_by_side_do_not_trip_each_other(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    failures: list[Exception] = []

    def work() -> None:
        for _ in range(200):
            try:
                with store.staging():
                    pass
            except OSError as error:
                failures.append(error)
                return

    in_threads(*[work] * 4)

    assert not failures


def in_threads(*tasks: Callable[[], None]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Leases.


def test_a_lease_keeps_a_second_holder_out(store: Store) -> None:
    with store.lease(LEASE, 0, 900):
        with pytest.raises(LeaseTimeoutError, match=LEASE), store.lease(LEASE, 0, 900):
            pass
        with store.lease(f"{LEASE}.other", 0, 900):
            pass
    with store.lease(LEASE, 0, 900):
        pass


def test_a_lease_that_is_held_may_be_checked(store: Store) -> None:
    with store.lease(LEASE, 0, 900) as lease:
        lease.check()


def test_a_lease_on_a_disk_is_lost_when_its_file_is_removed(tmp_path: Path) -> None:
    with LocalStore(tmp_path).lease(LEASE, 0, 900) as lease:
        (tmp_path / LEASE).unlink()
        with pytest.raises(StorageError, match="lost"):
            lease.check()


def test_a_lease_leaves_no_object_behind(store: Store) -> None:
    with store.lease(LEASE, 0, 900):
        pass

    assert keys(store) == []


def test_a_lease_is_given_back_when_its_work_fails(store: Store) -> None:
    with pytest.raises(KeyError), store.lease(LEASE, 0, 900):
        raise KeyError

    with store.lease(LEASE, 0, 900):
        pass


def test_a_second_holder_waits_for_the_first(store: Store) -> None:
    events: list[str] = []
    held = threading.Event()

    def first() -> None:
        with store.lease(LEASE, 0, 900):
            held.set()
            time.sleep(0.3)
            events.append("first")

    def second() -> None:
        held.wait()
        with store.lease(LEASE, 10, 900):
            events.append("second")

    in_threads(first, second)

    assert events == ["first", "second"]


def test_of_many_threads_one_at_a_time_holds_a_lease(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with store.lease(LEASE, 30, 900):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    in_threads(*[work] * 4)

    assert most == [1] * 4


def test_an_expired_lease_of_an_object_store_is_taken_over_and_kept_from_its_first_holder() -> None:
    store = open_store("memory:///")

    first, taken_over = store.lease(LEASE, 0, -10), store.lease(LEASE, 0, 900)
    first.__enter__()
    taken_over.__enter__()
    with pytest.raises(StorageError, match="lost"):
        first.__exit__(None, None, None)
    # the first holder has ended, and must not have given back what is no longer its own
    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass
    taken_over.__exit__(None, None, None)
    assert keys(store) == []


def test_a_lease_object_says_who_holds_it_and_until_when() -> None:
    store = open_store("memory:///")

    with store.lease(LEASE, 0, 900):
        lease = json.loads(store.read(LEASE))

    left = datetime.fromisoformat(lease["expires"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert lease["holder"]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lease."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), LEASE],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(LAMBDA_SRC)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lease_on_a_disk_keeps_other_processes_out_until_they_crash(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass

    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with store.lease(LEASE, 0, 900):
        pass
    assert everything_in(tmp_path) == []


# Locations and failures.


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


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"a file where the folder should be")
    store = LocalStore(tmp_path / "store")

    with pytest.raises(StorageError):
        store.write("a/b", b"x")


# Several locations as one.


class Asked(ObjectStore):
    """Notes the prefixes of listings."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, obstore.store.MemoryStore())
        self.prefixes: list[tuple[str, tuple[str, str] | None]] = []

    def level(self, prefix: str) -> Level:
        self.prefixes.append((prefix, None))
        return super().level(prefix)

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> Iterator[Entry]:
        self.prefixes.append((prefix, skip))
        return super().files(prefix, skip)


@pytest.fixture
def members() -> list[Asked]:
    """Four stores with the same keys."""
    stores = [Asked(f"s3://{name}") for name in ("two/a/b", "two/a-b", "one", "two/a/c")]
    for store in stores:
        for key in ("x/y/1", "x/y/2", "z"):
            store.write(key, store.uri.encode())
    return stores


TOPS = ["one/", "two/a-b/", "two/a/b/", "two/a/c/"]


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

    assert members[0].prefixes == [("x/", ("x/y/1", "x/y/1~")), ("x/", None)]
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


# Links on a disk.


def linked(root: Path, links: dict[str, str], files: tuple[str, ...] = ("a/f", "a/b/g")) -> Store:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"text")
    for name, target in links.items():
        (root / name).symlink_to(target)
    return open_store(root)


@pytest.mark.parametrize(
    "links",
    [
        {"a/loop": "."},
        {"a/b/loop": ".."},
        {"a/loop": "../a", "a/b/loop": "../b", "loop": "a/.."},
        {"a/b/loop": "../../.."},
        {"a/b/loop": "/"},
        {"a/b/one": "two", "a/b/two": ".."},
        {"a/loop": "loop"},
    ],
)
def test_links_to_a_folder_above_end_and_each_file_is_found_once(
    tmp_path: Path, links: dict[str, str]
) -> None:
    store = linked(tmp_path / "store", links)

    found = [entry.key for entry in store.files("")]
    assert [key for key in found if key.endswith(("f", "g"))] == ["a/b/g", "a/f"]
    assert store.folders("") == ["a"]
    assert store.folders("a/") == ["b"]
    assert store.folders("a/b/") == []
    assert [entry.key for entry in store.files("a/b/")][:1] == ["a/b/g"]


def test_links_to_other_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "h").write_bytes(b"text")
    store = linked(tmp_path / "store", {"a/other": "../../elsewhere"})

    assert [entry.key for entry in store.files("")] == ["a/b/g", "a/f", "a/other/deep/h"]
    assert store.folders("a/") == ["b", "other"]
    assert store.read("a/other/deep/h") == b"text"


def test_a_link_that_leads_back_through_another_place_ends(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "h").write_bytes(b"text")
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to("..")
    (tmp_path / "elsewhere" / "deep" / "home").symlink_to(tmp_path / "store")
    store = linked(tmp_path / "store", {"a/other": "../../elsewhere/deep"})

    assert [entry.key for entry in store.files("")] == ["a/b/g", "a/f", "a/other/h"]
