"""A folder on a disk as a store."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import BinaryIO, Self
from urllib.parse import quote

from cloudtrail_parquet.errors import LeaseTimeoutError, RefusedError, StorageError
from cloudtrail_parquet.storage.interface import LOST, RUN_AGAIN, RUN_LATER, Entry

_MAKE_TIMES = 100
_POLL_S = 0.2
"""How often a run that waits for a lease tries again."""


class LocalStore:
    """A folder on a disk."""

    parallel = 1
    tops: tuple[str, ...] = ("",)

    def __init__(self, root: Path, staging: Path | None = None) -> None:
        self.root = root
        self.uri = str(self.root)
        self._staging = staging or self.root.with_name(self.root.name + ".staging")

    def folders(self, prefix: str) -> list[str]:
        return sorted(entry.name for entry in self._entries(prefix) if _is_folder(entry))

    def _entries(self, prefix: str) -> "list[os.DirEntry[str]]":
        path = self._path(prefix)
        try:
            with os.scandir(path) as found:
                return list(found)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(path, error) from error

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> Iterator[Entry]:
        del skip  # a folder is read whole
        entries = self._entries(prefix)
        entries.sort(key=lambda entry: entry.name + "/" * _is_folder(entry))
        for entry in entries:
            if _is_folder(entry):
                yield from self.files(f"{prefix}{entry.name}/")
                continue
            try:
                status = entry.stat()
            except OSError:  # a link to nothing: whoever reads it will be told
                status = entry.stat(follow_symlinks=False)
            if S_ISREG(status.st_mode) or S_ISLNK(status.st_mode):
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield Entry(prefix + entry.name, status.st_size, modified)

    def read(self, key: str) -> bytes:
        try:
            with self._path(key).open("rb", buffering=0) as file:
                return file.readall()
        except OSError as error:
            raise _unreadable(self._path(key), error) from error

    def read_if_there(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return self._path(key).read_bytes()
        return None

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except OSError as error:
            raise _unreadable(self._path(key), error) from error

    def write(self, key: str, data: bytes) -> None:
        with self.staging(f"write {key}") as staging:
            with staging.create(key) as sink:
                sink.write(data)
            staging.publish([key])

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                path.parent.rmdir()

    def staging(self, name: str) -> "_LocalStaging":
        return _LocalStaging(self, self._staging / quote(name, safe=""))

    @contextmanager
    def lease(self, key: str, wait_s: float, expires_s: float) -> Iterator["_LocalLease"]:
        """Hold a lock on a file, which the system takes back when its process ends."""
        del expires_s
        path = self._path(key)
        deadline = time.monotonic() + wait_s
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as lock:
                if _lock(lock) and _is_at(lock, path):
                    try:
                        yield _LocalLease(lock, path)
                    finally:
                        path.unlink(missing_ok=True)
                    return
            if time.monotonic() > deadline:
                raise LeaseTimeoutError("another run holds this lease", str(path), RUN_LATER)
            time.sleep(_POLL_S)

    def _path(self, key: str) -> Path:
        return self.root / key


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unreadable(path: Path, error: OSError) -> StorageError:
    kind = RefusedError if isinstance(error, PermissionError) else StorageError
    return kind(f"cannot be read ({error.strerror})", str(path), RUN_AGAIN)


def _lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether a locked file still stands at its path: its last holder may have removed it."""
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


class _LocalStaging:
    def __init__(self, store: LocalStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._sinks: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        _in_folder(self._folder, lambda: None)
        return self

    def create(self, key: str) -> BinaryIO:
        sink = self._sinks[key] = self._staged(key).open("wb")
        return sink

    def _staged(self, key: str) -> Path:
        return self._folder / quote(key, safe="")

    def publish(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._sinks[key].close()
            target = self._store.root / key
            try:
                _put_in_place(self._staged(key), target)
            except OSError as error:
                what = f"cannot be written ({error.strerror})"
                raise StorageError(what, str(target), RUN_AGAIN) from error

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks.values():
            sink.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # somebody else's parts wait there
            self._folder.parent.rmdir()


def _put_in_place(staged: Path, target: Path) -> None:
    _sync(staged)
    try:
        _in_folder(target.parent, lambda: staged.replace(target))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        hidden = target.with_name(f".{target.name}.partial")  # the state is on another disk
        _in_folder(target.parent, lambda: shutil.copyfile(staged, hidden))
        _sync(hidden)
        hidden.replace(target)
    _sync(target.parent)


def _in_folder(folder: Path, act: Callable[[], object]) -> None:
    """Do something in a folder that may have to be made, while others remove it as empty."""
    for _ in range(_MAKE_TIMES):
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            act()
            return
    folder.mkdir(parents=True, exist_ok=True)
    act()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
