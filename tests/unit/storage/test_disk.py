import os
from pathlib import Path

import pytest

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.storage import (
    LocalStore,
    Store,
    open_store,
)
from cloudtrail_parquet.storage.scratch import scratch_folder
from tests.unit.storage.stores import PART, everything_in, in_threads, keys


def test_nothing_is_left_beside_the_store_after_publishing(store: Store, tmp_path: Path) -> None:
    with store.staging() as staging:
        staging.create(PART).close()
        staging.publish(PART, None)

    assert keys(store) == [PART]
    assert not list(tmp_path.glob("*staging*"))


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


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"a file where the folder should be")
    store = LocalStore(tmp_path / "store")

    with pytest.raises(StorageError):
        store.write("a/b", b"x")


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
