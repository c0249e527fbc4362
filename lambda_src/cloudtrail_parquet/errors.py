"""Errors raised on purpose, grouped by what the caller should do next.

CloudTrailParquetError
├── UsageError           fix the command or the settings, then start again
│   └── MistakesError    several of them, each on a line of its own
├── UnreadableLogError   the log file is damaged or not one at all: quarantined, the others go on
├── StorageError         retrying may help: nothing was replaced
│   ├── LocationError    retrying helps only once somebody has seen to it: a name, credentials, ...
│   │   ├── UnwritableError  ... to the disk, which is full or read-only
│   │   └── RefusedError     ... to what these credentials, or this user, are allowed to do
│   └── ArchivedError    retrying helps only once the object is restored: not quarantined
├── LeaseTimeoutError    another run holds the unit: try again when it has finished
├── NotEnoughTimeError   the invocation ends too soon to start this: another one has to
├── TooLargeError        no invocation has the time for it: it has to be split
├── ProcessEndedError    it ends each process that converts it: it needs more memory or time
├── SupersededError      the unit has been cut in another way: nothing is left to do
└── ReconciliationError  the counts of a run do not meet: a defect, nothing was replaced
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.wording import counted, plural_of

_RETRY = "Run it again when the disk answers; nothing was replaced"
_ROOM = "Make room there, or name a location on another disk; the same command then goes on"
_WRITABLE = "Name a location that can be written"
_ALLOW = "Allow it to this user, or name another location"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _WRITABLE,
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.ENOTDIR: "Name a folder",
    errno.EISDIR: "Name a file",
    errno.ENOENT: "Check its name",
    errno.EEXIST: "Something else has this name: name another",
    errno.ENAMETOOLONG: "Name a shorter one",
    errno.ELOOP: "Its links lead in a circle: name the folder itself",
    errno.EMFILE: "Allow more of them (ulimit -n), or use fewer --workers",
    errno.ENFILE: "Close some programs, and run it again",
}
"""What to do about an error of the system that does not go by itself, by its number (errno(3))."""

_MAX_LISTED = 20
_ITEM = "\n  "


def listed(names: Iterable[str]) -> str:
    """Names for an error's advice, sorted; of a long list only the first ones."""
    ordered = sorted(set(names))
    hidden = len(ordered) - _MAX_LISTED
    ending = f" and {hidden:,} more" if hidden > 0 else ""
    return ", ".join(ordered[:_MAX_LISTED]) + ending or "none"


class CloudTrailParquetError(Exception):
    """What went wrong, where, and what to do about it.

    Its text is one line that is safe to print, whatever the names in it hold.
    """

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what, where, hint)  # all three, so that a worker process can pickle it

    @property
    def what(self) -> str:
        """What went wrong, without the location and the advice."""
        return str(self.args[0])

    @property
    def what_to_do(self) -> str:
        """What went wrong and what to do about it, for where the location is told already."""
        what, _, hint = self.args
        return f"{what}. {hint}" if hint else what

    @property
    def lines(self) -> list[str]:
        """The lines to print: one unless there are several mistakes."""
        what, where, hint = self.args
        return [printable(f"{where}: {what}. {hint}")]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class UsageError(CloudTrailParquetError):
    """The command or a setting is wrong."""


class MistakesError(UsageError):
    """Several things are wrong; each is printed on a line of its own."""

    @classmethod
    def of(cls, problems: Sequence[str], where: str, hint: str) -> Self:
        """Report all problems at once: a single one on the first line, several on their own."""
        lines = [printable(problem) for problem in problems]
        what = lines[0] if len(lines) == 1 else "".join(_ITEM + line for line in lines)
        return cls(what, where, hint)

    @property
    def problems(self) -> list[str]:
        """Each problem, safe to print."""
        return self.what.removeprefix(_ITEM).split(_ITEM)

    @property
    def lines(self) -> list[str]:
        """The lines to print."""
        what, where, hint = self.args
        return list(map(printable, f"{where}: {what}. {hint}".split("\n")))


class UnreadableLogError(CloudTrailParquetError):
    """A log file does not hold CloudTrail records, or breaks off before its end."""


class StorageError(CloudTrailParquetError):
    """The store did not do what was asked."""


class LocationError(StorageError):
    """Somebody has to see to a location first: correct its name, renew credentials, make room."""


class UnwritableError(LocationError):
    """Nothing can be written to a disk: it is full, or read-only."""

    def of_unit(self, log_bytes: int) -> Self:
        """The same, of a unit whose log files have so many bytes."""
        what, where, hint = self.args
        size = counted(log_bytes, "byte")
        needs = f"; the log files of its unit have {size}, its parts about as many"
        return type(self)(f"{what}{needs}", where, hint)


class RefusedError(LocationError):
    """The store denies it to these credentials, or the system to this user."""


class ArchivedError(StorageError):
    """The object lies in an archive, from which it has to be restored before it can be read."""


class LeaseTimeoutError(CloudTrailParquetError):
    """Another run held the lease for longer than this one was to wait."""


class NotEnoughTimeError(CloudTrailParquetError):
    """The rest of an invocation is too short for a unit."""


class TooLargeError(CloudTrailParquetError):
    """A unit needs more time than any invocation has.

    Attributes:
        shards: How many shards to split it into.
        bounds: The bounds to cut it at, as `layout.Bound`; empty for slices of its window.
    """

    def __init__(
        self,
        what: str,
        where: str,
        hint: str,
        shards: int = 2,
        bounds: tuple[tuple[str, str, int], ...] = (),
    ) -> None:
        super().__init__(what, where, hint)
        self.shards, self.bounds = shards, bounds


class ProcessEndedError(CloudTrailParquetError):
    """Whatever process converted it was ended, for lack of memory or time."""


class SupersededError(CloudTrailParquetError):
    """A shard is one of a cut that another cut of its unit has replaced."""


class ReconciliationError(CloudTrailParquetError):
    """The counts of a run do not add up, so nothing of it may be published."""


_TYPES: dict[str, type[StorageError]] = {
    _ROOM: UnwritableError,
    _WRITABLE: UnwritableError,
    _ALLOW: RefusedError,
    _RETRY: StorageError,
}


def of_system(
    done: str, where: str | os.PathLike[str], error: OSError, needed: int | None = None
) -> StorageError:
    """An error of the system as one of ours: the only place where these become words.

    Args:
        done: Completes "cannot be": ``"read"``, ``"written"``, ...
        where: The path that this is about.
        error: The error.
        needed: How many bytes were to be written, if that is known.
    """
    number, reason = error.errno or 0, error.strerror or str(error) or type(error).__name__
    hint = _HINTS.get(number, _RETRY)
    if hint == _ROOM:
        wanted = "" if needed is None else f", and this needs {needed:,}"
        free = _free_bytes(Path(where))
        reason += f": {counted(free, 'byte')} {plural_of(free, 'is', 'are')} free{wanted}"
    elif number == errno.ENOTDIR and (file := _file_above(Path(where))):
        reason += f": {file} is a file"
    return _TYPES.get(hint, LocationError)(f"cannot be {done} ({reason})", os.fspath(where), hint)


@contextmanager
def system_errors(
    done: str, where: str | os.PathLike[str], needed: int | None = None
) -> Iterator[None]:
    """A context in which errors of the system become ours, as `of_system` has it.

    Raises:
        StorageError: The system has refused something, or failed.
    """
    try:
        yield
    except OSError as error:
        raise of_system(done, where, error, needed) from error


def existing(path: Path) -> Path:
    """A path, or the nearest of the folders above it that exists."""
    return next((each for each in (path, *path.parents) if os.path.exists(each)), Path("/"))  # noqa: PTH110 - no errors


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(existing(path)).free
    except OSError:
        return 0


def _file_above(path: Path) -> Path | None:
    found = existing(path)
    return None if os.path.isdir(found) else found  # noqa: PTH112
