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
    """A new folder, removed at the end; those of killed processes are removed first.

    Each is locked by its process, and the system takes that lock back when the process dies. On
    Lambda, ``/tmp`` outlives a function that was stopped at its time limit.

    Args:
        parent: The folder to make it in, made if need be and removed when empty; by default that
            of temporary files.
    """
    above = parent or Path(tempfile.gettempdir())
    with suppress(FileNotFoundError):  # no folder, so nothing was left in it
        for left in list(above.glob(f"{_PREFIX}*")):
            _remove_if_unlocked(left)
    folder, lock = _make(above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if parent is not None:
            with suppress(OSError):  # another process has parts there
                parent.rmdir()


def _make(above: Path) -> tuple[Path, int]:
    """Make a folder and lock it; others may remove it before, or the one above while it is empty.

    Returns:
        The folder and its lock.
    """
    while True:
        if above.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
        with suppress(FileExistsError, FileNotFoundError):
            above.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
            lock = _try_lock(folder)
            if lock is None:
                continue
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Lock a folder; returns a descriptor that holds the lock, or None if another process does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_if_unlocked(folder: Path) -> None:
    with suppress(OSError):
        lock = _try_lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
