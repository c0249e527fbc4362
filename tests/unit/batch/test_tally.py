"""How much workers have done, as they tell it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from time import sleep
from typing import Any

import pytest

from cloudtrail_parquet.batch.tally import Done, Job, JobTally, WorkersTally, WorkerTally
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.storage import Stores, open_store

UNIT = Unit("012345678901", "eu-central-1", date(2026, 1, 10))


def job(size: int = 0, seconds: float = 0.0) -> Job:
    return Job(UNIT, (), size=size, seconds=seconds)


def test_a_giant_unit_is_told_of_while_it_is_read() -> None:
    tally = WorkersTally(1)
    giant = JobTally(tally.share(), job(1000, 8.0))
    told = []
    for _ in range(3):
        giant.read(250)
        told.append(tally.done)
    giant.finish()

    assert told == [Done(250, 0, 2), Done(500, 0, 4), Done(750, 0, 6)]
    assert tally.done == Done(1000, 1, 8)


@pytest.mark.parametrize("read", [[], [400], [1000], [900, 900, 900]])
def test_whatever_is_read_all_of_a_finished_unit_is_done(read: list[int]) -> None:
    """An addition reads less than was planned, one that begins again more."""
    tally = WorkersTally(1)
    one = JobTally(tally.share(), job(1000, 3.0))
    for size in read:
        one.read(size)
    assert tally.done.bytes == min(sum(read), 1000)
    one.finish()

    assert tally.done == Done(1000, 1, 3)


def test_of_a_unit_of_unknown_size_all_that_is_read_is_told() -> None:
    tally = WorkersTally(1)
    one = JobTally(tally.share(), job(seconds=0.5))
    one.read(700)
    one.read(700)
    one.finish()

    assert tally.done == Done(1400, 1, 0.5)


def test_workers_and_their_threads_add_up() -> None:
    tally = WorkersTally(2)
    shares = [tally.share(), tally.share()]

    def work(share: WorkerTally) -> None:
        for _ in range(500):
            share.add(3, 1, 10)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, shares * 4))

    assert tally.done == Done(8 * 500 * 3, 8 * 500, 8 * 500 * 10 / 1e6)


class Slow(list[int]):
    """Numbers that let another thread go on once they are read."""

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - as lists have it
        number = super().__getitem__(index)
        sleep(0)
        return number


def test_threads_of_a_worker_lose_nothing() -> None:
    numbers = Slow([0, 0, 0])
    share = WorkerTally(numbers, 0)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: share.add(1, 1, 1), range(400)))

    assert list(numbers) == [400, 400, 400]


def test_a_counting_source_is_the_source_and_tells_what_is_read() -> None:
    store: Any = open_store("memory:///")
    for name in ("a/1", "a/2"):
        store.write(name, b"12345")
    tally = WorkersTally(1)
    source: Any = JobTally(tally.share(), job(100)).counting(Stores(store, store, store)).source

    assert source.read("a/1") == b"12345"
    assert tally.done.bytes == 5
    for same in ("uri", "parallel", "tops"):
        assert getattr(source, same) == getattr(store, same)
    assert source.folders("") == ["a"]
    assert source.level("a/") == store.level("a/")
    assert [entry.key for entry in source.files("a/", after="a/1")] == ["a/2"]
    assert source.read_if_there("b") is None
    assert source.look("a/2").data == source.open("a/2").read() == b"12345"
    assert source.details("a/1") == store.details("a/1")
