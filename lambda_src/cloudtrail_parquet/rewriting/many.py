"""Rewriting many units, in this process or in several processes of one machine."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import pyarrow as pa

from cloudtrail_parquet.batch.processes import Worker, in_processes, killed
from cloudtrail_parquet.batch.tally import WorkersTally, WorkerTally
from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError, of_system
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.rewriting.elsewhere import Elsewhere, UnitBatch
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import LocalStore, Stores, open_store
from cloudtrail_parquet.together import side_by_side

_AT_A_TIME = 4  # each holds a part, of up to 64 MiB


class DatasetAndState(NamedTuple):
    """Where a dataset and its state lie, as paths or URIs."""

    dataset: str
    state: str

    def open(self) -> Stores:
        """Its stores; of the log files none is known, so the dataset stands in for their store."""
        state = open_store(self.state)
        staging = state.root / "staging" if isinstance(state, LocalStore) else None
        dataset = open_store(self.dataset, staging=staging)
        return Stores(dataset, dataset, state)


class RewriteJob(NamedTuple):
    """A unit to rewrite in place, or some to make another dataset's of.

    Attributes:
        batch: The units; a single one where it is rewritten in place.
        size: The bytes of their parts.
    """

    batch: UnitBatch
    size: int


class Rewrites(NamedTuple):
    """How jobs are done.

    Attributes:
        source: The dataset that is read.
        target: The one that is written; None for the same.
        before: How the one that is read is laid out.
        settings: What parts are to be like.
        is_open: See `Elsewhere`.
        anew: Whether parts that are so already are made anew where they are.
    """

    source: DatasetAndState
    target: DatasetAndState | None
    before: DatasetOptions
    settings: Settings
    is_open: bool = True
    anew: bool = False

    def action(self) -> Callable[[UnitBatch], list[Receipt]]:
        """What does a job; opens the stores."""
        stores, settings = _opened(self.source), self.settings
        if self.target is None:
            anew = self.anew
            return lambda batch: [
                rewrite_unit(unit, stores, settings, anew=anew, keys=batch.keys)
                for unit in batch.units
            ]
        target = _opened(self.target)
        return Elsewhere(stores, target, self.before, settings, is_open=self.is_open).rewrite


class Rewrote(NamedTuple):
    """What came of a job: receipts, or an error.

    Attributes:
        unit: The unit that names the job.
        receipts: The receipts that there are now.
        error: The error that prevented it.
    """

    unit: Unit
    receipts: list[Receipt]
    error: CloudTrailParquetError | None = None


def rewrite_all(
    jobs: list[RewriteJob], rewrites: Rewrites, workers: int, tally: WorkersTally | None = None
) -> Iterator[Rewrote]:
    """Do jobs, several at a time in worker processes; a failure does not stop the others.

    Yields:
        What came of each, in the order in which they finish.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield from _some(rewrites, tally.share() if tally else None, jobs)
        return
    yield from in_processes(partial(_portion, rewrites), jobs, workers, tally, _lost)


def _lost(job: RewriteJob) -> Rewrote:
    return Rewrote(job.batch.whole, [], killed(job.batch.whole.name))


def _portion(rewrites: Rewrites, jobs: list[RewriteJob]) -> list[Rewrote]:
    return list(_some(rewrites, Worker.share, jobs))


def _some(
    rewrites: Rewrites, share: WorkerTally | None, jobs: list[RewriteJob]
) -> Iterator[Rewrote]:
    stores = _opened(rewrites.target or rewrites.source)
    act, number = rewrites.action(), _AT_A_TIME if stores.parallel > 1 else 1

    def do(job: RewriteJob) -> Rewrote:
        outcome = _done(act, job.batch)
        if share is not None:
            share.add(job.size, len(job.batch.units))
        return outcome

    with stores.dataset.staging(), stores.state.staging():  # else a folder is made for each unit
        yield from side_by_side(do, jobs, number)


def _done(act: Callable[[UnitBatch], list[Receipt]], batch: UnitBatch) -> Rewrote:
    unit = batch.whole
    try:
        return Rewrote(unit, act(batch))
    except CloudTrailParquetError as error:
        return Rewrote(unit, [], error)
    except OSError as error:
        return Rewrote(unit, [], of_system("rewritten", error.filename or unit.name, error))
    except pa.ArrowException as error:
        what, hint = f"could not be rewritten ({error})", "Fix the cause and run it again"
        return Rewrote(unit, [], StorageError(what, unit.name, hint))


@cache
def _opened(location: DatasetAndState) -> Stores:
    return location.open()
