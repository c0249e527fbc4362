"""Packing planned units into batches, one for each invocation, and estimating their cost."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from math import ceil
from operator import attrgetter
from typing import Protocol, TypeVar

import msgspec

from cloudtrail_parquet.contract import MAX_UNITS, MEMORY_MB
from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, Bound, Shard
from cloudtrail_parquet.planning.cost import BYTES_PER_S, FILE_S, cost
from cloudtrail_parquet.planning.plan import PlannedUnit

BATCH_S = 240
"""The seconds that a batch may take of `FUNCTION_S`; an estimate, hence the margin."""


PIECES = 32, 16
"""How many shards are made of a unit that is cut closer, and of a shard: those of the third cut are
of one place where there are 8,000."""


class Timed(Protocol):
    """What takes some time."""

    @property
    def seconds(self) -> float:
        """How many seconds."""
        ...


T = TypeVar("T", bound=Timed)


def pack(units: Iterable[T], max_seconds: float, max_units: int) -> Iterator[list[T]]:
    """Pack units into batches, in order.

    Args:
        units: The units to pack.
        max_seconds: The time that a batch may take; a unit that takes longer is a batch of its own.
        max_units: The most units in a batch.
    """
    batch: list[T] = []
    taken = 0.0
    for unit in units:
        if batch and (taken + unit.seconds > max_seconds or len(batch) == max_units):
            yield batch
            batch, taken = [], 0.0
        batch.append(unit)
        taken += unit.seconds
    if batch:
        yield batch


def cut(files: Iterable[LogFile], shards: int, window: Window, day: date) -> tuple[Bound, ...]:
    """Cut a unit that spans many places into shards that take about the same time.

    Bounds are at the beginning of a place, or within one that takes longer than a shard should.
    The same log files are cut in the same way, whenever that is.

    Args:
        files: The log files of its window.
        shards: How many shards there should be; there may be fewer.
        window: The window.
        day: The day of the unit.
    """
    seconds = defaultdict[Bound, float](float)
    for file in files:
        seconds[window.position(file, day)] += FILE_S + file.size / BYTES_PER_S
    bounds, share, taken, before = list[Bound](), sum(seconds.values()) / shards, 0.0, None
    for position in sorted(seconds):
        if taken >= share * (len(bounds) + 1):
            begins = before is None or before[:2] != position[:2]
            bounds.append(position._replace(second=0) if begins else position)
        taken += seconds[position]
        before = position
    return tuple(bounds)


def cut_closer(shard: Shard, files: Iterable[LogFile]) -> tuple[Bound, ...]:
    """Cut what one shard of a unit reads, or all of the unit, between its places.

    The bounds that there are stay, so that one shard after the other may be cut closer, and that
    comes to an end.

    Args:
        shard: The shard, or `layout.WHOLE`.
        files: The log files that it reads.

    Returns:
        The bounds between all shards of the unit; none if all log files are of one place, or there
        are as many shards as there may be.
    """
    places = sorted({file.place for file in files})
    shards = min(PIECES[shard != WHOLE], MAX_SHARDS - len(shard.bounds))
    if min(len(places), shards) <= 1:
        return ()
    each = ceil(len(places) / shards)
    return tuple(sorted([*shard.bounds, *(Bound(*place, 0) for place in places[each::each])]))


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of a plan, and an estimate of what converting it takes.

    Attributes:
        units: How many units.
        files: How many log files they have.
        bytes: The size of these.
        batches: How many invocations convert them.
        largest: The name of the unit with the most bytes; None if there are no units.
        seconds: The estimated time of all invocations together.
        compute_dollars: The estimated cost of that time, on arm64 with `MEMORY_MB`.
        request_dollars: The estimated cost of their requests.
        dollars: Both together.
    """

    units: int
    files: int
    bytes: int
    batches: int
    largest: str | None
    seconds: float
    compute_dollars: float
    request_dollars: float
    dollars: float


def estimate(units: Iterable[PlannedUnit]) -> Estimate:
    """Estimate what converting some units takes."""
    count = files = size = batches = further_places = 0
    seconds, largest = 0.0, None
    for batch in pack(units, BATCH_S, MAX_UNITS):
        batches += 1
        count += len(batch)
        for unit in batch:
            files += unit.files
            size += unit.bytes
            further_places += max(unit.places - 1, 0)
            seconds += unit.seconds
            largest = max(largest or unit, unit, key=attrgetter("bytes"))
    spent = cost(
        units=count,
        files=files,
        further_places=further_places,
        invocations=batches,
        seconds=seconds,
        memory_mb=MEMORY_MB,
    )
    return Estimate(
        units=count,
        files=files,
        bytes=size,
        batches=batches,
        largest=largest and largest.unit.name,
        seconds=round(seconds, 1),
        compute_dollars=round(spent.compute, 4),
        request_dollars=round(spent.requests, 4),
        dollars=round(spent.total, 4),
    )
