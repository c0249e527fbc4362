"""How much the workers of a command have done, in memory that they share with it.

Each worker has numbers of its own, so that none waits for another, and one that is killed leaves
no lock. They are added up by whoever shows them. What is counted are the stored bytes of log files
as they are read, so that a unit of many gigabytes does not seem to stand still.
"""

import multiprocessing
import threading
from collections.abc import Iterator, MutableSequence
from dataclasses import replace
from typing import BinaryIO, NamedTuple

from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.storage import Details, Entry, Level, ReadStore, Stored, Stores

_SPAWN = multiprocessing.get_context("spawn")
_NUMBERS = 3  # bytes, units, microseconds of work
_MICROSECONDS = 1_000_000


class Job(NamedTuple):
    """A unit to convert.

    Attributes:
        unit: The unit.
        trails: The prefixes of the source that hold the days of its places.
        refused: Its accounts that may not be listed.
        size: The stored bytes of its log files, as planned; 0 if that is not known.
        seconds: How long it was planned to take, in relation to others; 0 if that is not known.
    """

    unit: Unit
    trails: tuple[str, ...]
    refused: tuple[str, ...] = ()
    size: int = 0
    seconds: float = 0.0


class Done(NamedTuple):
    """How much is done: stored bytes, units, and seconds of the work that was planned."""

    bytes: int
    units: int
    seconds: float


class WorkerTally:
    """What one worker has done; several of its threads may add to it."""

    def __init__(self, numbers: MutableSequence[int], first: int) -> None:
        self._numbers, self._first, self._lock = numbers, first, threading.Lock()

    def add(self, *amounts: float) -> None:
        """Add bytes, units and microseconds."""
        with self._lock:
            for number, amount in enumerate(amounts, self._first):
                self._numbers[number] += round(amount)


class WorkersTally:
    """What all workers have done."""

    def __init__(self, workers: int) -> None:
        """Begin at nothing, for so many workers at most; one is the process itself."""
        size = _NUMBERS * workers
        self._numbers: MutableSequence[int] = [0] * size
        self._taken = None
        if workers > 1:
            self._numbers, self._taken = _SPAWN.RawArray("q", size), _SPAWN.Value("i", 0)

    def share(self) -> WorkerTally:
        """The share of another worker, which asks for it itself."""
        if self._taken is None:
            return WorkerTally(self._numbers, 0)
        with self._taken:
            number = self._taken.value
            self._taken.value += 1
        return WorkerTally(self._numbers, _NUMBERS * number)

    @property
    def done(self) -> Done:
        """All that is done by now."""
        numbers = list(self._numbers)
        size, units, work = (sum(numbers[first::_NUMBERS]) for first in range(_NUMBERS))
        return Done(size, units, work / _MICROSECONDS)


class JobTally:
    """What is done of one job. When it is finished, all that was planned is, whatever was read."""

    def __init__(self, share: WorkerTally, job: Job) -> None:
        self._share, self._job, self._lock = share, job, threading.Lock()
        self._read, self._work = 0, job.seconds * _MICROSECONDS

    def read(self, size: int) -> None:
        """Add stored bytes that were read; not more than there are, if some are read again."""
        with self._lock:
            if self._job.size:
                size = min(size, self._job.size - self._read)
            self._read += size
        self._share.add(size, 0, self._work_of(size))

    def finish(self) -> None:
        """Add the rest, and the unit."""
        rest = max(self._job.size - self._read, 0)
        self._share.add(rest, 1, self._work - self._work_of(self._read))

    def _work_of(self, size: int) -> float:
        return self._work * size / self._job.size if self._job.size else 0.0

    def counting(self, stores: Stores) -> Stores:
        """The same stores, with a source of which is noted what is read."""
        return replace(stores, source=_CountedSource(stores.source, self))


class _CountedSource:
    """A source that tells how many bytes of it are read."""

    def __init__(self, source: ReadStore, tally: JobTally) -> None:
        self._source, self._tally = source, tally
        self.uri, self.parallel, self.tops = source.uri, source.parallel, source.tops

    def read(self, key: str) -> bytes:
        data = self._source.read(key)
        self._tally.read(len(data))
        return data

    def folders(self, prefix: str) -> list[str]:
        return self._source.folders(prefix)

    def level(self, prefix: str) -> Level:
        return self._source.level(prefix)

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        return self._source.files(prefix, *skip, after=after)

    def read_if_there(self, key: str) -> bytes | None:
        return self._source.read_if_there(key)

    def look(self, key: str) -> Stored | None:
        return self._source.look(key)

    def details(self, key: str) -> Details | None:
        return self._source.details(key)

    def open(self, key: str) -> BinaryIO:
        return self._source.open(key)
