"""Converting many units, in this process or in several processes of one machine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import NamedTuple, Protocol

import pyarrow as pa

from cloudtrail_parquet.batch.days import Staged, Stretch, by_days
from cloudtrail_parquet.batch.preview import preview_unit
from cloudtrail_parquet.batch.processes import Worker, in_processes, killed
from cloudtrail_parquet.batch.tally import Job, JobTally, WorkersTally, WorkerTally
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import check_properties, record_properties
from cloudtrail_parquet.deliveries import LogFile, memory_of
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    StorageError,
    UnwritableError,
    of_system,
)
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.state.keys import split_units
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.together import Budget, at_a_time


def jobs_of(units: Iterable[Unit], discovery: Discovery) -> list[Job]:
    """The jobs for some units of a source."""
    return [
        Job(unit, tuple(discovery.trails_of(unit)), tuple(discovery.refused_in(unit)))
        for unit in units
    ]


class UnitAction(Protocol):
    """Converts a unit, or returns the receipt that converting it would write."""

    def __call__(  # noqa: PLR0913
        self,
        unit: Unit,
        trails: Iterable[str],
        stores: Stores,
        settings: Settings,
        *,
        admit: Callable[[list[LogFile]], None],
        refused: Iterable[str],
    ) -> Receipt | None:
        """See `convert_unit`."""
        ...


class Outcome(NamedTuple):
    """What came of a job: a receipt, or an error, or neither when there was nothing to convert.

    Attributes:
        unit: The unit of the job.
        receipt: The receipt of its conversion.
        error: The error that prevented it.
        looked: Whether there was anything to convert or replace: log files in the window, or an
            earlier conversion.
    """

    unit: Unit
    receipt: Receipt | None
    error: CloudTrailParquetError | None
    looked: bool = True


def convert_all(  # noqa: PLR0913
    jobs: Iterable[Job],
    locations: Locations,
    settings: Settings,
    workers: int,
    *,
    dry_run: bool = False,
    tally: WorkersTally | None = None,
) -> Iterator[Outcome]:
    """Convert units, several at a time in worker processes; a failure does not stop the others.

    Args:
        jobs: The units.
        locations: Locations of source, dataset and state.
        settings: Conversion settings.
        workers: How many worker processes; with one, the units are converted in this process. Each
            converts several units at a time where it has to wait for a store.
        dry_run: Whether only to find out what would be done.
        tally: Receives what is done, for so many workers; by default nobody asks.

    Yields:
        The outcome of each job, in the order in which they finish.

    Raises:
        UsageError: The dataset was made with other settings.
    """
    jobs, stores = list(jobs), locations.open()
    check_properties(stores, DatasetOptions.of(settings))
    if dry_run:
        yield from _outcomes(None, jobs, locations, settings, workers, tally)
        return
    with locations.tidied():
        splits = split_units(stores.state)
        yield from _outcomes(splits, jobs, locations, settings, workers, tally)


def _outcomes(  # noqa: PLR0913, PLR0917
    splits: frozenset[Unit] | None,
    jobs: list[Job],
    locations: Locations,
    settings: Settings,
    workers: int,
    tally: WorkersTally | None,
) -> Iterator[Outcome]:
    """Convert units, in processes if there are to be several; not really without ``splits``."""
    number = at_a_time(locations.open().parallel)
    workers = min(workers, len(jobs))
    if workers <= 1:
        share = tally.share() if tally else None
        yield from _convert_some(splits, jobs, locations, settings, number, share)
        return
    act = partial(_convert_portion, splits, locations, settings, number)
    yield from in_processes(act, jobs, workers, tally, _lost)


def _lost(job: Job) -> Outcome:
    return Outcome(job.unit, None, killed(job.unit.name))


def _convert_some(  # noqa: PLR0913, PLR0917
    splits: frozenset[Unit] | None,
    jobs: list[Job],
    locations: Locations,
    settings: Settings,
    number: int,
    share: WorkerTally | None,
) -> Iterator[Outcome]:
    """Convert units in this process, a number of them at a time; not really without ``splits``."""
    stores, act, days = _opened(locations), preview_unit, dict[Unit, Stretch]()
    if splits is not None:
        act = partial(convert_unit, splits=splits)
        days = Stretch.of((job.unit for job in jobs), stores, splits)
    begin = None if splits is None else _Begin(stores, _marks(locations), settings)
    convert = partial(_convert, act, days, stores, settings, Budget(), begin, share)
    with stores.dataset.staging(), stores.state.staging():  # else a folder is made for each unit
        yield from by_days(convert, jobs, lambda job: days.get(job.unit), number)


def _convert_portion(
    splits: frozenset[Unit] | None,
    locations: Locations,
    settings: Settings,
    number: int,
    jobs: list[Job],
) -> list[Outcome]:
    return list(_convert_some(splits, jobs, locations, settings, number, Worker.share))


class _Begin:
    """Records the properties of the dataset before the first unit that has something to convert.

    And before each one its month is marked. So a run that finds nothing leaves nothing behind.
    """

    def __init__(self, stores: Stores, marks: Marks, settings: Settings) -> None:
        self._stores, self._marks, self._settings = stores, marks, settings
        self._lock, self._done = threading.Lock(), False

    def __call__(self, unit: Unit) -> None:
        with self._lock:
            if not self._done:
                options = DatasetOptions.of(self._settings)
                record_properties(self._stores, options, LeaseOptions.of(self._settings))
                self._done = True
        self._marks.mark(unit.day)


def _convert(  # noqa: PLR0913, PLR0917
    act: UnitAction,
    all_days: dict[Unit, Stretch],
    stores: Stores,
    settings: Settings,
    budget: Budget,
    begin: _Begin | None,
    share: WorkerTally | None,
    job: Job,
) -> Outcome | Staged:
    if share is None:
        return _converted(act, all_days, stores, settings, budget, begin, job)
    tally = JobTally(share, job)
    outcome = _converted(act, all_days, tally.counting(stores), settings, budget, begin, job)
    if isinstance(outcome, Outcome):
        tally.finish()
    return outcome


def _converted(  # noqa: PLR0913, PLR0917
    act: UnitAction,
    all_days: dict[Unit, Stretch],
    stores: Stores,
    settings: Settings,
    budget: Budget,
    begin: _Begin | None,
    job: Job,
) -> Outcome | Staged:
    unit, looked, size = job.unit, False, 0

    try:
        with budget.share() as take:

            def admit(files: list[LogFile]) -> None:
                nonlocal looked, size
                looked, size = True, sum(file.size for file in files)
                if begin:
                    begin(unit)
                take(memory_of(files))

            days = all_days.get(unit)
            if days is None:
                receipt = act(unit, job.trails, stores, settings, admit=admit, refused=job.refused)
            elif (receipt := days.receipt(unit)) is None:
                converted = days.convert(unit, job.trails, settings, admit)
                if isinstance(converted, Staged):
                    return converted
                receipt = converted
    except UnwritableError as error:
        return Outcome(unit, None, error.of_unit(size))
    except CloudTrailParquetError as error:
        return Outcome(unit, None, error)
    except OSError as error:
        return Outcome(unit, None, of_system("converted", error.filename or unit.name, error))
    except pa.ArrowException as error:
        what, hint = f"could not be converted ({error})", "Fix the cause and run it again"
        return Outcome(unit, None, StorageError(what, unit.name, hint))
    return Outcome(unit, receipt, None, looked or receipt is not None)


@cache
def _opened(locations: Locations) -> Stores:
    return locations.open()


@cache
def _marks(locations: Locations) -> Marks:
    stores = _opened(locations)
    return Marks(stores.state, stores.clock)
