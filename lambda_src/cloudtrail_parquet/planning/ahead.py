"""Asking a store for many things, some of them ahead of the answer that is looked at."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from cloudtrail_parquet.storage import ReadStore

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    store: ReadStore, ask: Callable[[T], R], questions: Iterable[T], number: int
) -> Iterator[R]:
    """The answers to many questions, in order, as they are taken.

    Only so many are under way or wait to be taken, however many questions there are, each with a
    thread, whose stack takes memory. A store that answers at once is asked only when it is a
    question's turn.
    """
    if store.parallel == 1:
        yield from map(ask, questions)
        return
    waiting = iter(questions)
    with ThreadPoolExecutor(number, "plan") as threads:
        running = deque(threads.submit(ask, question) for question in islice(waiting, number))
        try:
            while running:
                yield running.popleft().result()
                running.extend(threads.submit(ask, question) for question in islice(waiting, 1))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
