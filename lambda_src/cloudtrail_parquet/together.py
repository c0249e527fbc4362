"""Work that is done at the same time in one process, in threads.

A unit waits for its stores most of the time, so others may be converted meanwhile. Small ones go
side by side; a large one waits for those under way, and has the memory of the process for itself.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

_AT_A_TIME = 8
_TOGETHER_BYTES = 1 << 20
"""Stored bytes of the log files of all units under way, which may inflate seventyfold: eight units
of 0.9 MB that do took 1.6 GB, and 1.2 when each waits for the one before."""

T = TypeVar("T")
R = TypeVar("R")


def at_a_time(parallel: int) -> int:
    """How many units are worth converting at a time, by how many requests are worth making.

    On a disk there is nothing to wait for.
    """
    return _AT_A_TIME if parallel > 1 else 1


def side_by_side(act: Callable[[T], R], items: Sequence[T], number: int) -> Iterator[R]:
    """The results of an action on each of some items, in order, some of them at a time."""
    if number == 1 or len(items) <= 1:
        yield from map(act, items)
        return
    with ThreadPoolExecutor(min(number, len(items)), "unit") as threads:
        futures = [threads.submit(act, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def ahead(act: Callable[[T], R], items: Iterable[T], number: int) -> Iterator[R]:
    """The results of an action on each of many items, in order, as they are taken.

    Only so many are under way or wait to be taken, however many items there are; with one, an item
    is acted on only when it is its turn.
    """
    if number == 1:
        yield from map(act, items)
        return
    waiting, threads = iter(items), ThreadPoolExecutor(number, "ahead")
    try:
        running = deque(threads.submit(act, item) for item in islice(waiting, number))
        while running:
            yield running.popleft().result()
            running.extend(threads.submit(act, item) for item in islice(waiting, 1))
    finally:  # without waiting for what is under way, which nobody takes any more
        threads.shutdown(wait=False, cancel_futures=True)


class Budget:
    """What is under way together may not exceed it, but for something that is larger by itself."""

    def __init__(self, capacity: int = _TOGETHER_BYTES) -> None:
        self._capacity = self._left = capacity
        self._changed = threading.Condition()
        self._turn = threading.Lock()  # else small shares could keep a large one waiting

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """A context with a function that takes a share, and waits until it is there."""
        taken = 0

        def take(wanted: int) -> None:
            nonlocal taken
            wanted = min(wanted, self._capacity)
            with self._turn, self._changed:
                self._changed.wait_for(lambda: self._left >= wanted)
                self._left -= wanted
                taken += wanted

        try:
            yield take
        finally:
            with self._changed:
                self._left += taken
                self._changed.notify_all()
