"""Temporary folders that do not outlive their process, even when it is killed."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "cloudtrail-parquet-"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder, removed at the end; those of processes that were killed are removed first.

    Each is locked by its process, and the system takes that lock back when the process dies. On
    Lambda, ``/tmp`` outlives a function that was stopped at its time limit.

    Args:
        parent: Where to make it; made, and removed when empty, if need be. By default where
            temporary files go.
    """
    place = parent or Path(tempfile.gettempdir())
    with suppress(FileNotFoundError):  # of a place that is not there there is nothing left
        for left in list(place.glob(f"{_PREFIX}*")):
            _remove_if_left(left)
    folder, lock = _make(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if parent is not None:
            with suppress(OSError):  # somebody else's parts wait there
                parent.rmdir()


def _make(place: Path) -> tuple[Path, int]:
    """A folder and its lock; others may remove it before it is locked, or the place while empty."""
    while True:
        if place.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
        with suppress(FileExistsError, FileNotFoundError):
            place.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            lock = _locked(folder)
            if lock is None:
                continue
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder, or None when another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
