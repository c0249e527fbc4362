"""A folder on a disk as a store."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import BinaryIO, Self, TypeVar
from urllib.parse import quote

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError, of_system, system_errors
from cloudtrail_parquet.storage.interface import LOST, RUN_LATER, Entry, Level, Stored
from cloudtrail_parquet.storage.scratch import SharedScratch, StagedFiles, scratch_folder

_MAX_ATTEMPTS = 100
_MAX_NAME_BYTES = 255
T = TypeVar("T")

_POLL_S = 0.2
"""Seconds until a run that waits for a lease tries again."""


class LocalStore:
    """A folder on a disk."""

    parallel = 1
    creates_once = False
    tops: tuple[str, ...] = ("",)

    def __init__(self, root: Path, staging: Path | None = None) -> None:
        self.root = root
        self.uri = str(self.root)
        self._scratch = SharedScratch(staging or self.root.with_name(f"{self.root.name}.staging"))

    def folders(self, prefix: str) -> list[str]:
        return self.level(prefix).folders

    def level(self, prefix: str) -> Level:
        folders, files = list[str](), list[str]()
        for entry in self._entries(prefix, beyond_link=self._is_beyond_a_link(prefix)):
            (folders if _is_folder(entry) else files).append(entry.name)
        return Level(sorted(folders), sorted(files))

    def _entries(self, prefix: str, *, beyond_link: bool) -> "list[os.DirEntry[str]]":
        """The entries of a folder; links to folders are followed, but not back to one above.

        Args:
            prefix: The key of the folder.
            beyond_link: Whether it is a link, or is below one.
        """
        path = f"{self.uri}/{prefix}"
        try:
            with os.scandir(path) as listing:
                entries = list(listing)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise of_system("read", path, error) from error
        if beyond_link or any(entry.is_symlink() for entry in entries):
            above = _folders_above(Path(path))
            entries = [entry for entry in entries if not _is_one_of(entry, above)]
        return entries

    def _is_beyond_a_link(self, prefix: str) -> bool:
        path = self.uri
        return any(os.path.islink(path := f"{path}/{step}") for step in prefix.split("/") if step)  # noqa: PTH114 - half of the time

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        return self._files(prefix, skip, after, beyond_link=self._is_beyond_a_link(prefix))

    def _files(
        self, prefix: str, skip: tuple[tuple[str, str], ...], after: str, *, beyond_link: bool
    ) -> Iterator[Entry]:
        entries = self._entries(prefix, beyond_link=beyond_link)
        entries.sort(key=lambda entry: entry.name + "/" * _is_folder(entry))
        for entry in entries:
            if _is_folder(entry):
                folder = f"{prefix}{entry.name}/"
                if folder > after or after.startswith(folder):
                    is_beyond = beyond_link or entry.is_symlink()
                    yield from self._files(folder, skip, after, beyond_link=is_beyond)
                continue
            key = f"{prefix}{entry.name}"
            if key <= after or any(first <= key <= last for first, last in skip):
                continue
            try:
                status = entry.stat()
            except OSError:  # a link to nothing: reading it will fail
                status = entry.stat(follow_symlinks=False)
            if S_ISREG(status.st_mode) or S_ISLNK(status.st_mode):
                yield Entry(key, status.st_size, _modified(status), _version(status))

    def read(self, key: str) -> bytes:
        path = self._path(key)
        with system_errors("read", path), path.open("rb", buffering=0) as file:
            return file.readall()

    def read_if_there(self, key: str) -> bytes | None:
        stored = self.look(key)
        return None if stored is None else stored.data

    def look(self, key: str) -> Stored | None:
        try:
            with self._path(key).open("rb") as file:
                status = os.fstat(file.fileno())
                return Stored(file.read(), _version(status), _modified(status))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise of_system("read", self._path(key), error) from error

    def details(self, key: str) -> None:
        del key  # there is nothing to say of a file on a disk

    def open(self, key: str) -> BinaryIO:
        with system_errors("read", self._path(key)):
            return self._path(key).open("rb")

    def write(self, key: str, data: bytes) -> None:
        self._write(key, data)

    def _write(self, key: str, data: bytes) -> str:
        with system_errors("written", self._path(key), len(data)), self.staging() as staging:
            with staging.create(key) as sink:
                sink.write(data)
            return staging.replace(key)

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        self.check(key, version)
        return self._write(key, data)

    def check(self, key: str, version: str | None) -> None:
        """Make sure that a file has a version, or that there is none.

        After that nobody else writes it who respects the lock that is held.

        Raises:
            StorageError: Somebody else has replaced it.
        """
        path = self._path(key)
        try:
            current = _version(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            current = None
        except OSError as error:
            raise of_system("read", path, error) from error
        if current != version:
            raise StorageError(LOST, str(path), RUN_LATER)

    def remove(self, key: str, version: str) -> None:
        if self._path(key).exists():
            self.check(key, version)
            self.delete([key])

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            with system_errors("removed", path), suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            self.tidy(path.parent)

    def tidy(self, folder: Path) -> None:
        """Remove a folder, and those above it up to the store's own, as far as they are empty."""
        with suppress(OSError):  # not empty
            while folder != self.root and folder.is_relative_to(self.root):
                folder.rmdir()
                folder = folder.parent

    def staging(self) -> "_LocalStaging":
        return _LocalStaging(self, self._scratch)

    @contextmanager
    def lease(self, key: str, wait_s: float, expires_s: float) -> Iterator["_LocalLease"]:
        """Hold a lock on a file, which the system takes back when its process ends."""
        del expires_s
        path = self._path(key)
        deadline = time.monotonic() + wait_s
        while True:
            with _opened_lock(path) as lock:
                is_locked = _try_lock(lock)
                if is_locked and _is_at(lock, path):
                    try:
                        yield _LocalLease(lock, path)
                    finally:
                        path.unlink(missing_ok=True)
                        self.tidy(path.parent)
                    return
            if time.monotonic() > deadline:
                raise LeaseTimeoutError("another run holds this lease", str(path), RUN_LATER)
            time.sleep(_POLL_S)

    def _path(self, key: str) -> Path:
        return Path(f"{self.uri}/{key}")


def _version(status: os.stat_result) -> str:
    """A file that has replaced another one differs from it in its inode or its time."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _folders_above(path: Path) -> set[tuple[int, int]]:
    """A folder and its parents, by its name and with links resolved: device and inode of each."""
    identities = set()
    for start in {path.absolute(), path.resolve()}:
        for folder in (start, *start.parents):
            with suppress(OSError):
                status = folder.stat()
                identities.add((status.st_dev, status.st_ino))
    return identities


def _is_one_of(entry: "os.DirEntry[str]", folders: set[tuple[int, int]]) -> bool:
    if not _is_folder(entry):
        return False
    status = entry.stat()
    return (status.st_dev, status.st_ino) in folders


def _opened_lock(path: Path) -> BinaryIO:
    with system_errors("written", path):
        return _in_folder(path.parent, lambda: path.open("ab"))


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether a locked file is still at its path: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class _LocalLease:
    def __init__(self, lock: BinaryIO, path: Path) -> None:
        self._lock, self._path = lock, path

    def check(self) -> None:
        if not _is_at(self._lock, self._path):
            raise StorageError(LOST, str(self._path), RUN_LATER)

    confirm = check


class _LocalStaging(StagedFiles):
    """Keeps parts that are not yet published in a folder that does not outlive its process."""

    _numbers = count()

    def __init__(self, store: LocalStore, scratch: SharedScratch) -> None:
        super().__init__()
        self._store, self._scratch = store, scratch
        self._open = ExitStack()
        self._folder: Callable[[], Path]

    def __enter__(self) -> Self:
        self._folder = self._open.enter_context(self._scratch.use())
        return self

    def create(self, key: str) -> BinaryIO:
        path = self._folder() / f"{next(self._numbers)}-{quote(key, safe='')}"[:_MAX_NAME_BYTES]
        sink = self._open.enter_context(path.open("wb"))
        self._staged[key] = path, sink
        return sink

    def publish(self, key: str, version: str | None) -> str:
        self._store.check(key, version)
        return self.replace(key)

    def replace(self, key: str) -> str:
        """Put a file in place, whatever is there; returns its version."""
        staged, sink = self._staged[key]
        target = self._store.root / key
        with system_errors("written", target):
            sink.close()
        with system_errors("written", target, staged.stat().st_size):
            try:
                self._put_in_place(staged, target)
            except OSError:
                self._store.tidy(target.parent)
                raise
            del self._staged[key]
            return _version(target.stat())

    def _put_in_place(self, staged: Path, target: Path) -> None:
        _sync(staged)
        try:
            _in_folder(target.parent, lambda: staged.replace(target))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy_in_place(staged, target)
        _sync(target.parent)

    def _copy_in_place(self, staged: Path, target: Path) -> None:
        """Put a file in place on another disk, by way of a folder beside the store."""
        root = self._store.root
        with scratch_folder(root.with_name(f"{root.name}.staging")) as folder:
            copy = folder / staged.name
            shutil.copyfile(staged, copy)
            _sync(copy)
            _in_folder(target.parent, lambda: copy.replace(target))

    def __exit__(self, *_: object) -> None:
        for staged, sink in self._staged.values():
            with suppress(OSError):  # a full disk, once more
                sink.close()
            staged.unlink(missing_ok=True)
        self._open.close()


def _in_folder(folder: Path, act: Callable[[], T]) -> T:
    """Act in a folder, made if need be, while others may remove it because it is empty."""
    for _ in range(_MAX_ATTEMPTS):
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return act()
    folder.mkdir(parents=True, exist_ok=True)
    return act()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
