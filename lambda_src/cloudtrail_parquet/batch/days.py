"""Consecutive days of one place that are converted together, with fewer requests.

Listings are shared: one of the place has the log files of all windows, one the partitions. And days
that were never converted are published without leases: each as a single part, in a partition where
nothing of the unit's stands. docs/architecture.md says why nothing is lost or doubled by that. In
all other cases, and whenever somebody else is at work, a unit is converted by itself.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple, TypeVar, cast

from cloudtrail_parquet.conversion.convert import convert_unit, is_small, publish_read
from cloudtrail_parquet.conversion.guard import belongs_to
from cloudtrail_parquet.conversion.leases import HeldLeases
from cloudtrail_parquet.conversion.publish import PartitionsChangedError
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.task import Look, Task, task_of
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Unit, owner_of, partition, unit_of
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.log_files import TooManyFilesError, each, files_of_days
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Entry, Stores, files_between
from cloudtrail_parquet.together import side_by_side

_MOST_DAYS = 16
"""So many days are converted together: a few pages of a listing, and parts to be staged."""

_MOST_OBJECTS = 10_000
"""A place with more objects in these days is not quiet; 3 MB of names."""

_AT_ONCE = 32
"""So many units are read before any of them is published."""

T = TypeVar("T")
R = TypeVar("R")


class Staged:
    """In place of what became of a unit: its part is staged, to be published with others."""


class _Read(NamedTuple):
    """A unit whose log files have been read.

    Attributes:
        run: With the unit's parts, staged.
        started: When it began, by the monotonic clock.
        held: Holds the staging area.
    """

    run: Run
    started: float
    held: ExitStack

    @property
    def is_single(self) -> bool:
        """Whether a part in its own partition, and a receipt that names its log files, are all."""
        own = list(map(unit_of, self.run.parts)) == [self.run.unit]
        return own and bool(self.run.identities.few)


class Stretch:
    """Consecutive days of one place."""

    def __init__(self, units: Sequence[Unit], stores: Stores, splits: Container[Unit]) -> None:
        """Prepare; nothing is asked yet.

        Args:
            units: Their units, in order.
            stores: Source, dataset and state.
            splits: See `convert_unit`.
        """
        self._units, self._stores, self._splits = units, stores, splits
        self._asking = Lock()
        self._tasks: dict[Unit, Task[Any]] | None = None
        self._parts = dict[Unit, list[Entry]]()
        self._read = dict[Unit, _Read]()
        self._published = dict[Unit, Receipt]()
        self._left = dict[Unit, Task[Any]]()

    @classmethod
    def of(
        cls, units: Iterable[Unit], stores: Stores, splits: Container[Unit]
    ) -> "dict[Unit, Stretch]":
        """The days among some units that are worth converting together, by unit.

        On a disk none are: requests cost nothing there, and only a lease says who is first.
        """
        if not (stores.dataset.creates_once and stores.state.creates_once):
            return {}
        single = sorted(unit for unit in set(units) if all(unit.span) and unit not in splits)
        found = dict[Unit, Stretch]()
        for _, numbered in groupby(enumerate(single), lambda each: (each[1].span, _since(*each))):
            days = [unit for _, unit in numbered]
            for first in range(0, len(days), _MOST_DAYS):
                some = days[first : first + _MOST_DAYS]
                if len(some) > 1:
                    found |= dict.fromkeys(some, cls(some, stores, splits))
        return found

    def receipt(self, unit: Unit) -> Receipt | None:
        """The receipt of a unit that was published with the others."""
        return self._published.get(unit)

    def convert(
        self,
        unit: Unit,
        trails: Iterable[str],
        settings: Settings,
        admit: Callable[[list[LogFile]], str | None],
    ) -> Receipt | Staged | None:
        """Convert one of the days; or read it, so that `publish` publishes it with others.

        If `receipt` has none after that, this is called again, which converts it by itself.

        Args:
            unit: The day.
            trails: See `convert_unit`; the same for all days.
            settings: Conversion settings, which differ in how long a lease is waited for.
            admit: See `convert_unit`.

        Raises:
            CloudTrailParquetError: See `convert_unit`.
        """
        alone = partial(convert_unit, unit, trails, self._stores, settings, splits=self._splits)
        if unit in self._published or unit in self._left:
            before = self._left.get(unit)
            return self._published.get(unit) or alone(admit, seen=before, is_stale=True)
        if unit in self._read:
            run, started, held = self._read.pop(unit)
            with held, suppress(PartitionsChangedError):
                admit(run.task.files)
                return publish_read(run, HeldLeases(), started)
            return alone(seen=run.task, is_stale=True)
        with self._asking:
            if self._tasks is None:
                self._tasks = self._look(tuple(trails), ConversionOptions.of(settings))
            task = self._tasks.pop(unit, None)
        if task is None or not self._is_new(task):
            return alone(admit, seen=task)
        if set_aside := admit(task.files):
            return alone(lambda _: set_aside, seen=task)
        with ExitStack() as held:
            started = self._stores.clock.monotonic()
            run = Run(task, held.enter_context(self._stores.dataset.staging()))
            run.published.see(unit.day, self._parts[unit])
            run.read()
            self._read[unit] = _Read(run, started, held.pop_all())
        return Staged()

    def _look(self, trails: Sequence[str], options: ConversionOptions) -> dict[Unit, Task[Any]]:
        """The tasks of all days; none if a store does not answer, which each unit will say.

        In the order of `task_of`: notes, then log files; and then the partitions.
        """
        stores, window = self._stores, options.dataset.window
        try:
            notes = each(stores.state, partial(read_notes, stores.state), self._units)
            listed, days = stores.now(), [unit.day for unit in self._units]
            found = files_of_days(stores.source, trails, days, window, _MOST_OBJECTS)
            tasks = {
                unit: self._task(unit, options, Look(noted, listed, files, empty.folders))
                for unit, noted in zip(self._units, notes, strict=True)
                for files, empty in [found[unit.day]]
            }
            if sum(task.notes.is_void for task in tasks.values()) > 1:
                self._parts = self._list(options)
        except (StorageError, TooManyFilesError):
            return {}
        return tasks

    def _task(self, unit: Unit, options: ConversionOptions, seen: Look[Any]) -> Task[Any]:
        return task_of(
            unit, (), self._stores, options, WHOLE, seen=seen, own_first=False, was_split=False
        )

    def _list(self, options: ConversionOptions) -> dict[Unit, list[Entry]]:
        """The parts in the partitions of all days, from one listing."""
        layout = options.dataset.layout
        folders = {partition(unit, layout): unit for unit in self._units}
        first, *_, last = folders
        parts: dict[Unit, list[Entry]] = {unit: [] for unit in self._units}
        for entry in files_between(self._stores.dataset, first, last):
            unit = folders.get(entry.key[: len(first)])
            if unit is not None:
                parts[unit].append(entry)
        return parts

    def _is_new(self, task: Task[Any]) -> bool:
        """Whether a unit was never converted, is small, and has no parts in its partition."""
        if not (task.notes.is_void and task.window and is_small(task)):
            return False
        return task.unit in self._parts and not _own(task, self._parts[task.unit])

    def publish(self, number: int) -> None:
        """Publish what has been read, so many units at a time; never raises for a store's sake.

        Those are meant that have a single part, in their own partition. First the parts; then, from
        one listing, what others have published meanwhile; and then the receipts of those for which
        that makes no difference.
        """
        single = [unit for unit, one in sorted(self._read.items()) if one.is_single]
        with ExitStack() as stack:
            read = [self._read.pop(unit) for unit in single]
            for one in read:
                stack.push(one.held)
                self._left[one.run.unit] = one.run.task
            versions = list(side_by_side(self._put, read, number))
            put = [each for each in zip(read, versions, strict=True) if each[1] is not None]
            if not put:
                return
            try:
                parts = self._list(read[0].run.task.options)
            except StorageError:
                return
            finish = partial(self._finish, parts=parts)
            for (one, _), receipt in zip(put, side_by_side(finish, put, number), strict=True):
                if receipt is not None:
                    self._published[one.run.unit] = receipt
                    del self._left[one.run.unit]

    def _put(self, one: _Read) -> str | None:
        """Put the part of a unit where there is none.

        Returns:
            Its version; empty if the same bytes were there already. None if somebody else is
            publishing, or has published. Whoever takes the lease of the partition after it was seen
            to be free will find the part.
        """
        state, unit = self._stores.state, one.run.unit
        try:
            if not read_notes(state, unit).is_void:
                return None
            version = one.run.staging.publish(one.run.parts[0], None)
            return version if state.look(partition_lease(unit)) is None else None
        except (StorageError, OSError):
            return None

    def _finish(
        self, put: tuple[_Read, str | None], parts: dict[Unit, list[Entry]]
    ) -> Receipt | None:
        """Write the receipt of a unit, unless something is there that its part was not made for.

        Args:
            put: The unit, and the version of its part.
            parts: What there is in the partitions.
        """
        (run, started, _), version = put
        unit, task, there = run.unit, run.task, parts[run.unit]
        own = [(entry.key, entry.version) for entry in _own(task, there)]
        if [key for key, _ in own] != run.parts or version not in {"", own[0][1]}:
            return None
        try:
            if run.published.refresh(unit.day, run.duplicates.keys(unit.day), there):
                return None
            receipt = run.receipt(self._stores.clock.monotonic() - started)
            self._stores.state.swap(StateKeys.of(unit).receipt, to_text(receipt), None)
        except StorageError:
            return None
        return receipt

    def close(self) -> None:
        """Drop what has been read and will not be published."""
        for unit in list(self._read):
            self._read.pop(unit).held.close()


def _since(number: int, unit: Unit) -> int:
    """The same for consecutive days that have consecutive numbers."""
    return unit.day.toordinal() - number


def _own(task: Task[Any], parts: Iterable[Entry]) -> list[Entry]:
    """The parts of a unit among those in its partition."""
    day = task.unit.day
    return [one for one in parts if belongs_to(task.unit, owner_of(one.key, day), task.goes)]


def by_days(
    act: Callable[[T], R | Staged],
    items: Sequence[T],
    days_of: Callable[[T], Stretch | None],
    number: int,
) -> Iterator[R]:
    """The results of an action on each of some units, in order, so many of them at a time.

    Args:
        act: Converts a unit, by its `Stretch` if there is one, and then again if it was staged.
        items: The units.
        days_of: The days that a unit is one of.
        number: How many to convert at a time.
    """
    for groups, some in _portions(items, days_of):
        if not groups:
            yield from cast("Iterator[R]", side_by_side(act, some, number))
            continue
        try:
            results = list(side_by_side(act, some, number))
            list(side_by_side(lambda days: days.publish(number), groups, number))
            paired = zip(some, results, strict=True)
            staged = [item for item, result in paired if isinstance(result, Staged)]
            again = cast("Iterator[R]", side_by_side(act, staged, number))
            for result in results:
                yield next(again) if isinstance(result, Staged) else result
        finally:
            for days in groups:
                days.close()


def _portions(
    items: Sequence[T], days_of: Callable[[T], Stretch | None]
) -> Iterator[tuple[list[Stretch], list[T]]]:
    """The items in order, in pieces; those of days in some dozens, none of which are cut."""
    groups, some = list[Stretch](), list[T]()
    for days, same in groupby(items, days_of):
        if some and (bool(groups) != (days is not None) or (groups and len(some) >= _AT_ONCE)):
            yield groups, some
            groups, some = [], []
        groups += [days] if days is not None and days not in groups else []
        some += same
    if some:
        yield groups, some
