"""Planned units in batches, each for one invocation, and what they come to."""

from collections.abc import Iterable, Iterator
from operator import attrgetter

import msgspec

from cloudtrail_parquet.contract import MAX_UNITS, MEMORY_MB
from cloudtrail_parquet.planning.cost import cost
from cloudtrail_parquet.planning.plan import PlannedUnit

BATCH_S = 240
"""What a batch of units may take of that; since it is a guess, there is room."""


def pack(units: Iterable[PlannedUnit], seconds: float, most: int) -> Iterator[list[PlannedUnit]]:
    """Pack units into batches, in order.

    Args:
        units: What to pack.
        seconds: What a batch may take; a unit that takes longer is a batch of its own.
        most: Units of a batch.
    """
    batch: list[PlannedUnit] = []
    taken = 0.0
    for one in units:
        if batch and (taken + one.seconds > seconds or len(batch) == most):
            yield batch
            batch, taken = [], 0.0
        batch.append(one)
        taken += one.seconds
    if batch:
        yield batch


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan comes to.

    Attributes:
        units: How many units.
        files: Their log files.
        bytes: Their bytes.
        batches: Invocations that convert them.
        largest: The unit with the most bytes; None without any.
        seconds: What the invocations take together, at a guess.
        dollars: What they and their requests cost, on arm64 with `MEMORY_MB`.
    """

    units: int
    files: int
    bytes: int
    batches: int
    largest: str | None
    seconds: float
    dollars: float


def estimate(units: Iterable[PlannedUnit]) -> Estimate:
    """What converting some units takes."""
    count = files = size = batches = 0
    seconds, largest = 0.0, None
    for batch in pack(units, BATCH_S, MAX_UNITS):
        batches += 1
        count += len(batch)
        for one in batch:
            files += one.files
            size += one.bytes
            seconds += one.seconds
            largest = max(largest or one, one, key=attrgetter("bytes"))
    spent = cost(
        units=count, files=files, invocations=batches, seconds=seconds, memory_mb=MEMORY_MB
    )
    return Estimate(
        units=count,
        files=files,
        bytes=size,
        batches=batches,
        largest=largest and largest.unit.name,
        seconds=round(seconds, 1),
        dollars=round(spent.total, 4),
    )
