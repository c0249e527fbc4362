"""Converting many units: in this process, or on one machine in several."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import NamedTuple, Protocol

import pyarrow as pa

from cloudtrail_parquet.conversion.convert import convert_unit, preview_unit
from cloudtrail_parquet.dataset.properties import check_properties, record_properties
from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError
from cloudtrail_parquet.layout import LogFile, Unit
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.storage.locations import Locations


class Job(NamedTuple):
    """A unit to convert, and the prefixes of the source below which its days lie."""

    unit: Unit
    trails: tuple[str, ...]


def jobs_of(units: Iterable[Unit], found: Discovery) -> list[Job]:
    """The jobs of some units of a source."""
    return [Job(unit, tuple(found.trails[unit.account, unit.region])) for unit in units]


class Act(Protocol):
    """Converts a unit, or says what that would do."""

    def __call__(
        self,
        unit: Unit,
        trails: Iterable[str],
        stores: Stores,
        settings: Settings,
        *,
        admit: Callable[[list[LogFile]], None],
    ) -> Receipt | None:
        """``admit`` is shown the log files before any is read."""
        ...


class Outcome(NamedTuple):
    """What came of a job: a receipt, or an error, or neither when there was nothing to convert.

    Attributes:
        unit: What was to be converted.
        receipt: What came of it.
        error: What prevented it.
        looked: Whether there was something to look at: log files in its window, or a last receipt.
    """

    unit: Unit
    receipt: Receipt | None
    error: CloudTrailParquetError | None
    looked: bool = True


def cores() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def convert_all(
    jobs: Iterable[Job],
    locations: Locations,
    settings: Settings,
    workers: int,
    *,
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Convert units, several at a time in processes of their own; one failure stops no other.

    Args:
        jobs: The units.
        locations: Where everything is.
        settings: How to do it.
        workers: How many processes; one is this one.
        dry_run: Only find out what would be done.

    Yields:
        An outcome a job, in the order in which they finish.

    Raises:
        UsageError: The dataset was made with other settings.
    """
    jobs = list(jobs)
    dataset = DatasetOptions.of(settings)
    if dry_run:
        check_properties(locations.open(), dataset)
    else:
        record_properties(locations.open(), dataset, LeaseOptions.of(settings))
    act: Act = preview_unit if dry_run else convert_unit
    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield _convert(act, job, locations, settings)
        return
    spawn = multiprocessing.get_context("spawn")  # fork would copy Arrow's threads' locks
    pool = ProcessPoolExecutor(workers, spawn, _prepare_worker)
    futures: dict[Future[Outcome], Job] = {
        pool.submit(_convert, act, job, locations, settings): job for job in jobs
    }
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                unit = futures[future].unit
                what = "a worker process was killed before this unit was done"
                hint = "If memory ran out, use fewer --workers; then run it again"
                yield Outcome(unit, None, StorageError(what, unit.name, hint))
    finally:  # at once, should the caller have had enough
        pool.shutdown(wait=all(future.done() for future in futures), cancel_futures=True)


def _prepare_worker() -> None:
    prepare_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that dispatches decides
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when the one that dispatches is gone, even if it was killed."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _convert(act: Act, job: Job, locations: Locations, settings: Settings) -> Outcome:
    looked = False

    def admit(_: list[LogFile]) -> None:
        nonlocal looked
        looked = True

    try:
        receipt = act(job.unit, job.trails, _opened(locations), settings, admit=admit)
    except CloudTrailParquetError as error:
        return Outcome(job.unit, None, error)
    except (OSError, pa.ArrowException) as error:  # no room on the disk, for one
        what, hint = f"could not be converted ({error})", "Mend that and run it again"
        return Outcome(job.unit, None, StorageError(what, job.unit.name, hint))
    return Outcome(job.unit, receipt, None, looked)


@cache
def _opened(locations: Locations) -> Stores:
    return locations.open()
