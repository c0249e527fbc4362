"""Work done in several processes of one machine, a portion at a time."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from cloudtrail_parquet.batch.tally import WorkersTally, WorkerTally
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.process import prepare_process

_PORTION = 16
"""Items that a worker process is given at once, where there are many."""

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


class Worker:
    """What a worker process keeps between its portions.

    Attributes:
        share: What it has done; None if nobody asks.
    """

    share: WorkerTally | None = None


def in_processes(
    act: Callable[[list[T]], list[R]],
    items: list[T],
    workers: int,
    tally: WorkersTally | None,
    lost: Callable[[T], R],
) -> Iterator[R]:
    """Act on many items in worker processes.

    Args:
        act: Acts on a portion; it is sent to the processes.
        items: The items.
        workers: How many processes.
        tally: Receives what is done, from `Worker.share`; None if nobody asks.
        lost: What to give for an item whose process was killed.

    Yields:
        What ``act`` returns, in the order in which portions finish.
    """
    size = max(1, min(_PORTION, len(items) // (4 * workers)))
    portions = [items[first : first + size] for first in range(0, len(items), size)]
    spawn = multiprocessing.get_context("spawn")  # fork would copy Arrow's threads' locks
    pool = ProcessPoolExecutor(workers, spawn, _prepare_worker, (tally,))
    with _interrupts_held():  # else one ends workers that have only begun to start
        futures: dict[Future[list[R]], list[T]] = {
            pool.submit(act, portion): portion for portion in portions
        }
    try:
        for future in as_completed(futures):
            try:
                yield from future.result()
            except BrokenProcessPool:
                yield from map(lost, futures[future])
    finally:  # at once, if the caller stops early
        pool.shutdown(wait=all(future.done() for future in futures), cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back meanwhile; processes that are started leave them to this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def killed(where: str) -> StorageError:
    """The error for a unit whose process was killed."""
    what = "a worker process was killed before this unit was done"
    hint = (
        "If memory ran out, use fewer workers; a program with several has to start "
        "its work below if __name__ == '__main__'. Then run it again"
    )
    return StorageError(what, where, hint)


def _prepare_worker(tally: WorkersTally | None) -> None:
    prepare_process()
    Worker.share = tally.share() if tally else None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when the main process is gone, even if it was killed."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
