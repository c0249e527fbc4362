"""Temporary folders that do not outlive their process, even when it is killed."""

import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self

from cloudtrail_parquet.errors import LocationError, system_errors

_MAX_ATTEMPTS = 100
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
    above = parent or _temporary()
    _remove_left(above)
    with system_errors("written", above):
        folder, lock = _make(above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if parent is not None:
            _remove_if_empty(parent)


class SharedScratch:
    """A `scratch_folder` for all who need one at the same time, in any thread of the process."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._changing = threading.Lock()
        self._users = 0
        self._folder: Path | None = None
        self._open = ExitStack()

    @contextmanager
    def use(self) -> Iterator[Callable[[], Path]]:
        """A function that returns the folder, which is made when it is first needed.

        It is removed when nobody uses it any more.
        """
        with self._changing:
            if not self._users:
                _remove_left(self._parent)
            self._users += 1
        try:
            yield self._made
        finally:
            with self._changing:
                self._users -= 1
                if not self._users:
                    self._folder = None
                    self._open.close()
                    _remove_if_empty(self._parent)

    def _made(self) -> Path:
        with self._changing:
            if self._folder is None:
                self._folder = self._open.enter_context(scratch_folder(self._parent))
            return self._folder


class StagedFiles:
    """Parts by key, each with its temporary file, until they are published."""

    def __init__(self) -> None:
        self._staged: dict[str, tuple[Path, BinaryIO]] = {}

    def rename(self, key: str, name: str) -> None:
        self._staged[name] = self._staged.pop(key)


class ObjectStaging(StagedFiles):
    """Keeps parts in a temporary folder until they are published."""

    def __init__(self, upload: Callable[[str, Path, str | None], str], parent: Path | None) -> None:
        """``upload`` replaces a version of an object by a file; its folder is in ``parent``."""
        super().__init__()
        self._upload, self._parent = upload, parent
        self._open = ExitStack()
        self._folder = Path()
        self._numbers = count()

    def __enter__(self) -> Self:
        self._folder = self._open.enter_context(scratch_folder(self._parent))
        return self

    def create(self, key: str) -> BinaryIO:
        path = self._folder / f"{next(self._numbers):05d}"
        sink = self._open.enter_context(path.open("wb"))
        self._staged[key] = path, sink
        return sink

    def publish(self, key: str, version: str | None) -> str:
        path, sink = self._staged[key]
        sink.close()
        new_version = self._upload(key, path, version)
        path.unlink()  # there may be little room
        return new_version

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # none can be written
        hint = "Name one in the environment: TMPDIR=/path"
        raise LocationError("there is no folder for them", "temporary files", hint) from error


def _remove_left(above: Path) -> None:
    """Remove the folders of killed processes."""
    with suppress(FileNotFoundError):  # no folder, so nothing was left in it
        for left in list(above.glob(f"{_PREFIX}*")):
            _remove_if_unlocked(left)


def _remove_if_empty(parent: Path) -> None:
    with suppress(OSError):  # another process has parts there, or there is none
        parent.rmdir()


def _make(above: Path) -> tuple[Path, int]:
    """Make a folder and lock it; others may remove it before, or the one above while it is empty.

    Returns:
        The folder and its lock.
    """
    for _ in range(_MAX_ATTEMPTS):
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
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(above))


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
