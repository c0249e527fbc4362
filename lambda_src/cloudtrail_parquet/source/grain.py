"""How the log files of a source are spread over units: how many units a day, and how large."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from heapq import heappush, heappushpop
from typing import NamedTuple
from zlib import crc32

SMALL_BYTES = 1_000_000
"""Gzipped bytes below which the Parquet file of a unit is mostly its footer and its indexes."""


SAMPLE_FOLDERS = 100
"""The folders of days of which a plan looks at a log file, to tell how all of them are stored."""


class Folder(NamedTuple):
    """The folder of a day: one of its log files, how many there are, and their size."""

    key: str
    files: int
    bytes: int


@dataclass(slots=True)
class Sample:
    """Some folders of days, as if drawn by lot, but always the same ones of a source."""

    _drawn: list[tuple[int, Folder]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Folder]:
        return (folder for _, folder in self._drawn)

    def add(self, folder: Folder) -> None:
        """Add a folder, which may displace another one."""
        lot = -crc32(folder.key.encode(errors="surrogateescape"))
        if len(self._drawn) < SAMPLE_FOLDERS:
            heappush(self._drawn, (lot, folder))
        else:
            heappushpop(self._drawn, (lot, folder))

    def merge(self, other: "Sample") -> None:
        """Add the folders that another listing has drawn."""
        for folder in other:
            self.add(folder)


@dataclass(slots=True)
class Grain:
    """The units that a plan has listed, as numbers.

    Attributes:
        places: How many places have been listed for them.
        units: How many units have log files in their windows.
        filled: How many of them have log files that were delivered on their day.
        small: How many of these are smaller than `SMALL_BYTES`.
        bytes: The size of all log files, as stored.
        days: The days of units with log files.
        sample: Some folders of days.
    """

    places: int = 0
    units: int = 0
    filled: int = 0
    small: int = 0
    bytes: int = 0
    days: set[date] = field(default_factory=set)
    sample: Sample = field(default_factory=Sample)

    def add(self, day: date, files: int, size: int) -> None:
        """Add a unit, by its day, and by its log files and their size."""
        self.units += 1
        if files:
            self.filled += 1
            self.small += size < SMALL_BYTES
            self.bytes += size
            self.days.add(day)
