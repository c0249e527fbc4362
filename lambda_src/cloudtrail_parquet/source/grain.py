"""How the log files of a source are spread over units: how many units a day, and how large."""

from dataclasses import dataclass, field
from datetime import date

SMALL_BYTES = 1_000_000
"""Gzipped bytes below which the Parquet file of a unit is mostly its footer and its indexes."""


@dataclass(slots=True)
class Grain:
    """The units that a plan has listed, as numbers.

    Attributes:
        units: How many units have log files in their windows.
        filled: How many of them have log files that were delivered on their day.
        small: How many of these are smaller than `SMALL_BYTES`.
        bytes: The size of all log files, as stored.
        days: The days of units with log files.
    """

    units: int = 0
    filled: int = 0
    small: int = 0
    bytes: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, day: date, files: int, size: int) -> None:
        """Add a unit, by its day, and by its log files and their size."""
        self.units += 1
        if files:
            self.filled += 1
            self.small += size < SMALL_BYTES
            self.bytes += size
            self.days.add(day)
