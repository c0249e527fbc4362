"""Errors raised on purpose, grouped by what the caller should do next.

CloudTrailParquetError
├── UsageError           fix the command or the settings, then start again
│   └── MistakesError    several of them, each on a line of its own
├── UnreadableLogError   the log file is damaged or is none: it is quarantined, the others go on
├── StorageError         retrying may help: nothing was replaced
│   └── RefusedError     not before it is allowed to these credentials
├── LeaseTimeoutError    another run holds the unit: try again when it has finished
├── NotEnoughTimeError   the invocation ends too soon to start this: another one has to
├── TooLargeError        no invocation has the time for it: it has to be split
└── ReconciliationError  the counts of a run do not meet: a defect, nothing was replaced
"""

from collections.abc import Iterable, Sequence
from typing import Self

from cloudtrail_parquet.printable import printable

_SHOWN = 20
_ITEM = "\n  "


def listed(names: Iterable[str]) -> str:
    """Names for an error's advice, sorted; of many the first ones."""
    ordered = sorted(set(names))
    more = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "") or "none"


class CloudTrailParquetError(Exception):
    """What went wrong, where, and what to do about it.

    As text it is one line that is safe to print, whatever the names in it hold.
    """

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what, where, hint)  # all three, so that a worker process can pickle it

    @property
    def what(self) -> str:
        """What went wrong, without the place and the advice."""
        return str(self.args[0])

    @property
    def lines(self) -> list[str]:
        """What to print, one line unless there are several mistakes."""
        what, where, hint = self.args
        return [printable(f"{where}: {what}. {hint}")]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class UsageError(CloudTrailParquetError):
    """The command or a setting is wrong."""


class MistakesError(UsageError):
    """Several things are wrong; ``what``, ``where`` and ``hint`` are shown line by line."""

    @classmethod
    def of(cls, problems: Sequence[str], where: str, hint: str) -> Self:
        """All problems at once: a single one in the first line, several on lines of their own."""
        lines = [printable(problem) for problem in problems]
        what = lines[0] if len(lines) == 1 else "".join(_ITEM + line for line in lines)
        return cls(what, where, hint)

    @property
    def problems(self) -> list[str]:
        """Each problem, safe to print."""
        return self.what.removeprefix(_ITEM).split(_ITEM)

    @property
    def lines(self) -> list[str]:
        """What to print."""
        what, where, hint = self.args
        return list(map(printable, f"{where}: {what}. {hint}".split("\n")))


class UnreadableLogError(CloudTrailParquetError):
    """The bytes of a log file do not hold CloudTrail records, or not to their end."""


class StorageError(CloudTrailParquetError):
    """The store did not do what was asked."""


class RefusedError(StorageError):
    """The store does not allow it to these credentials."""


class LeaseTimeoutError(CloudTrailParquetError):
    """Another run held the lease for longer than this one was willing to wait."""


class NotEnoughTimeError(CloudTrailParquetError):
    """What is left of an invocation is too short for a unit."""


class TooLargeError(CloudTrailParquetError):
    """A unit needs more time than any invocation has; ``shards`` says into how many to split it."""

    def __init__(self, what: str, where: str, hint: str, shards: int = 2) -> None:
        super().__init__(what, where, hint)
        self.shards = shards


class ReconciliationError(CloudTrailParquetError):
    """The counts of a run do not add up, so nothing of it may be published."""
