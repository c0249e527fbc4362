import gzip
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import StorageError, UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.settings.options import FetchOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.fetch import fetch
from cloudtrail_parquet.storage import ReadStore, Store, open_store

DELIVERED = datetime(2026, 1, 10, tzinfo=UTC)


def put(store: Store, name: str, data: bytes) -> LogFile:
    store.write(name, data)
    return LogFile(name, len(data), DELIVERED, stamped=True)


@given(st.lists(st.sampled_from([1, 1_000, 16_384, 16_385, 60_000]), max_size=12), st.data())
def test_files_of_all_sizes_come_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from(["memory:///", str(tmp_path_factory.mktemp("logs"))]))
    store, ahead = open_store(place), data.draw(st.sampled_from([1, 20_000, 2 << 20]))
    texts = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    files = [put(store, f"{number}", text) for number, text in enumerate(texts)]

    fetched = list(fetch(store, files, FetchOptions.of(Settings(fetch_ahead_bytes=ahead))))

    assert fetched == list(zip(files, texts, strict=True))


@pytest.mark.parametrize("size", [100, 100_000])
def test_what_cannot_be_read_comes_as_an_error_in_its_place(tmp_path: Path, size: int) -> None:
    store, text = open_store(str(tmp_path)), os.urandom(size)
    good = put(store, "good", text)
    cut = put(store, "cut", gzip.compress(text)[:-1])
    gone = good._replace(key="gone")

    fetched = [got for _, got in fetch(store, [cut, good, gone, good], FetchOptions.of(Settings()))]

    assert [fetched[1], fetched[3]] == [text, text]
    assert isinstance(fetched[0], UnreadableLogError)
    assert isinstance(fetched[2], StorageError)


def test_a_large_file_comes_uninflated(tmp_path: Path) -> None:
    store, text = open_store(str(tmp_path)), bytes(65 << 20)
    file = put(store, "large", gzip.compress(text, compresslevel=0))

    ((_, large),) = fetch(store, [file], FetchOptions.of(Settings()))

    assert isinstance(large, LargeText)
    assert large.whole() == text


@pytest.mark.parametrize(("size", "elsewhere"), [(16_384, False), (16_385, True)])
def test_only_what_is_worth_a_thread_is_read_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, elsewhere: bool
) -> None:
    store = open_store(str(tmp_path))
    file = put(store, "a", bytes(size))
    readers: list[int] = []
    read = type(store).read

    def noted(self: Store, key: str) -> bytes:
        readers.append(threading.get_ident())
        return read(self, key)

    monkeypatch.setattr(type(store), "read", noted)
    list(fetch(store, [file], FetchOptions.of(Settings())))

    assert [reader != threading.get_ident() for reader in readers] == [elsewhere]


def test_small_files_are_read_by_the_dozen_when_there_are_many() -> None:
    store = open_store("memory:///")
    options = FetchOptions.of(Settings(fetch_threads=2))
    threads: dict[str, int] = {}

    class Noting:
        parallel = 16

        def read(self, key: str) -> bytes:
            threads[key] = threading.get_ident()
            return store.read(key)

    files = [put(store, f"{number:03d}", bytes([number % 7]) * 10) for number in range(300)]
    files[40] = put(store, "large", bytes(20_000))

    fetched = list(fetch(cast("ReadStore", Noting()), files, options))

    assert [file for file, _ in fetched] == files
    assert all(text == store.read(file.key) for file, text in fetched)
    assert len({threads[file.key] for file in files[:16]}) == 1
    assert len(set(threads.values())) <= 2


def test_of_files_that_become_large_unexpectedly_one_is_in_memory_at_a_time() -> None:
    store, options = open_store("memory:///"), FetchOptions.of(Settings())
    bomb = put(store, "bomb", gzip.compress(bytes(40 << 20)))

    first, second = (fetch(store, [bomb], options) for _ in range(2))
    assert len(next(first)[1]) == 40 << 20  # type: ignore[arg-type]
    waiting = threading.Thread(target=lambda: next(second), daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert list(first) == []
    waiting.join(20)
    assert not waiting.is_alive()
