"""Asking a store for many things, some of them ahead of the answer that is looked at."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from cloudtrail_parquet import together
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
    yield from together.ahead(ask, questions, 1 if store.parallel == 1 else number)
