"""Marks: by month, that receipts of its days are about to be written.

The ledger of `coverage` keeps what receipts say. A listing of millions of them would cost more than
to read it, so a run leaves a mark of each month before it converts a unit of it. Whoever reads the
ledger lists only months that were marked since their receipts were listed last, or shortly before:
what was marked then may have been written later.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from threading import Lock
from typing import NamedTuple

from cloudtrail_parquet.clock import Clock
from cloudtrail_parquet.storage import Entry, Store

LEDGER = "ledger/"
"""The folder of the ledger and the marks, below the state."""

_MARK = re.compile(rf"{LEDGER}marks/year=(\d{{4}})/month=(\d\d)\.txt")
_AGAIN_S = 3600

LONGEST = timedelta(hours=24)
"""A receipt is written at most so long after its month was marked, whatever clocks say: a mark is
repeated after an hour, so this is how long converting one unit may take, with a margin."""


class Month(NamedTuple):
    """A month of days of events."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> "Month":
        """The month of a day."""
        return cls(day.year, day.month)

    @property
    def name(self) -> str:
        """``2026-01``."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def folder(self) -> str:
        """``year=2026/month=01``, without anything behind it."""
        return f"year={self.year:04d}/month={self.month:02d}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        if (self.year, self.month) == (date.max.year, date.max.month):
            return date.max
        following = date(self.year + self.month // 12, self.month % 12 + 1, 1)
        return following - timedelta(days=1)


class Marks:
    """Marks months, each at most once an hour."""

    def __init__(self, state: Store, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._lock = Lock()
        self._marked: dict[Month, float] = {}

    def mark(self, day: date) -> None:
        """Mark the month of a day, before a receipt of it is written.

        Raises:
            StorageError: The state cannot be written.
        """
        month, now = Month.of(day), self._clock.monotonic()
        with self._lock:
            before = self._marked.get(month)
            if before is None or now - before >= _AGAIN_S:
                text = f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}\n"
                self._state.write(f"{LEDGER}marks/{month.folder}.txt", text.encode())
                self._marked[month] = now


def marks_among(entries: Iterable[Entry]) -> dict[Month, Entry]:
    """The marks among the objects of the ledger's folder, by month."""
    found = ((_MARK.fullmatch(entry.key), entry) for entry in entries)
    return {Month(*map(int, match.groups())): entry for match, entry in found if match}
