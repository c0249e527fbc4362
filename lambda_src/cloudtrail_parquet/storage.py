"""Where log files, parts, receipts and leases live: a folder on a disk, or an object store.

`open_store` takes a path or a URI. Keys are relative to it, with ``/`` between names, on a disk
too. A disk is read and written directly (an eighth of the CPU of a store client per small file);
everything else goes through obstore, whose in-memory store also serves the tests.
"""

import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO, RawIOBase
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol, Self
from urllib.parse import quote, unquote, urlsplit

import obstore
import obstore.exceptions
import obstore.store

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError, UsageError

_POLL_S = 0.2
_MAKE_TIMES = 100
_ABSENT = (FileNotFoundError, obstore.exceptions.NotFoundError)


class Entry(NamedTuple):
    """One object: its key, its size in bytes and when it was last written."""

    key: str
    size: int
    modified: datetime


class Staging(Protocol):
    """Parts on their way: nobody sees them before `publish`, and leaving the context drops them."""

    def create(self, key: str) -> BinaryIO:
        """Begin the object that is to replace ``key``."""
        ...

    def publish(self, keys: Iterable[str]) -> None:
        """Put objects in their places, in this order, each at once and whole."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Store(Protocol):
    """The few things that a conversion asks of a place. All of them raise StorageError."""

    uri: str

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below a prefix ("" or ending in "/"), sorted."""
        ...

    def files(self, prefix: str) -> Iterator[Entry]:
        """Everything below a prefix, sorted by key."""
        ...

    def read(self, key: str) -> bytes:
        """The whole of an object."""
        ...

    def read_if_there(self, key: str) -> bytes | None:
        """The whole of an object, or None if there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """An object as a file that can seek, for a Parquet reader."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Replace an object, at once and whole."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        ...

    def staging(self, name: str) -> Staging:
        """A place for parts on their way; ``name`` says whose, and its leftovers are dropped."""
        ...

    def lease(self, key: str, wait_s: float, expires_s: float) -> AbstractContextManager[None]:
        """Hold a lease while in the context.

        Raises:
            LeaseTimeoutError: Another holder kept it for all of ``wait_s``.
        """
        ...


class Stores(NamedTuple):
    """The three places of a conversion.

    Attributes:
        source: At or above ``AWSLogs``.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases.
    """

    source: Store
    dataset: Store
    state: Store


def open_store(uri: str | Path, *, staging: Path | None = None) -> Store:
    """The store at a path, a ``file://`` URI or any URI that obstore knows (``s3://``, ``memory://``).

    Args:
        uri: The place.
        staging: On a disk: where parts wait, best on the same file system.

    Raises:
        UsageError: The URI names no known kind of store.
    """
    path = local_path(uri)
    if path is not None:
        return LocalStore(path, staging)
    try:
        return ObjectStore(str(uri), obstore.store.from_url(str(uri)))
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise UsageError(
            f"not a usable location ({error})", str(uri), "Name a folder or s3://…"
        ) from error


def local_path(uri: str | Path) -> Path | None:
    """The absolute path of a place on a disk; None for any other place."""
    parts = urlsplit(str(uri))
    if not isinstance(uri, Path) and len(parts.scheme) > 1:  # one letter is a drive's
        if parts.scheme != "file":
            return None
        uri = unquote(parts.path)
    return Path(os.path.abspath(uri))  # noqa: PTH100 - without ".." in it, links as they are


class LocalStore:
    """A folder on a disk."""

    def __init__(self, root: Path, staging: Path | None = None) -> None:
        self.root = root
        self.uri = str(self.root)
        self._staging = staging or self.root.with_name(self.root.name + ".staging")

    def folders(self, prefix: str) -> list[str]:
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self._path(prefix)) as found,
        ):
            return sorted(entry.name for entry in found if entry.is_dir())
        return []

    def files(self, prefix: str) -> Iterator[Entry]:
        try:
            with os.scandir(self._path(prefix)) as found:
                entries = sorted(found, key=lambda entry: entry.name + "/" * _is_folder(entry))
        except (FileNotFoundError, NotADirectoryError):
            return
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
            return self._path(key).read_bytes()
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
    def lease(self, key: str, wait_s: float, expires_s: float) -> Iterator[None]:
        """Hold a lock on a file, which the system takes back when its process ends."""
        del expires_s
        path = self._path(key)
        deadline = time.monotonic() + wait_s
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as lock:
                if _lock(lock) and _is_at(lock, path):
                    try:
                        yield
                    finally:
                        path.unlink(missing_ok=True)
                    return
            if time.monotonic() > deadline:
                raise LeaseTimeoutError("another run holds this lease", str(path), _LATER)
            time.sleep(_POLL_S)

    def _path(self, key: str) -> Path:
        return self.root / key


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot be read ({error.strerror})", str(path), _AGAIN)


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
                raise StorageError(what, str(target), _AGAIN) from error

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


class ObjectStore:
    """An object store behind obstore."""

    def __init__(self, uri: str, store: Any) -> None:  # noqa: ANN401
        self.uri = uri.rstrip("/")
        self._store = store

    def folders(self, prefix: str) -> list[str]:
        with self._explained("listed", prefix):
            listed = obstore.list_with_delimiter(self._store, prefix.rstrip("/") or None)
        return sorted(folder.rpartition("/")[2] for folder in listed["common_prefixes"])

    def files(self, prefix: str) -> Iterator[Entry]:
        with self._explained("listed", prefix):
            pages = obstore.list(self._store, prefix.rstrip("/") or None)
            entries = [
                Entry(meta["path"], meta["size"], meta["last_modified"])
                for page in pages
                for meta in page
            ]
        yield from sorted(entries)

    def read(self, key: str) -> bytes:
        with self._explained("read", key):
            return bytes(obstore.get(self._store, key).bytes())

    def read_if_there(self, key: str) -> bytes | None:
        with suppress(FileNotFoundError), self._explained("read", key, absent=FileNotFoundError):
            return bytes(obstore.get(self._store, key).bytes())
        return None

    def open(self, key: str) -> BinaryIO:
        with self._explained("read", key):
            size = obstore.head(self._store, key)["size"]
        return _ObjectFile(self, key, size)  # type: ignore[return-value]  # all that readers use

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with self._explained("read", key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    def write(self, key: str, data: bytes) -> None:
        with self._explained("written", key):
            obstore.put(self._store, key, data)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with (
                suppress(FileNotFoundError),
                self._explained("deleted", key, absent=FileNotFoundError),
            ):
                obstore.delete(self._store, key)

    def staging(self, name: str) -> "_ObjectStaging":
        del name
        return _ObjectStaging(self)

    @contextmanager
    def lease(self, key: str, wait_s: float, expires_s: float) -> Iterator[None]:
        """Hold an object that only its creator may have made, until it expires."""
        deadline = time.monotonic() + wait_s
        token = uuid.uuid4().hex
        while not self._take(key, token, expires_s):
            if time.monotonic() > deadline:
                raise LeaseTimeoutError("another run holds this lease", self._at(key), _LATER)
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            held = self.read_if_there(key)
            if held is not None and json.loads(held)["holder"] == token:
                self.delete([key])

    def _take(self, key: str, token: str, expires_s: float) -> bool:
        expires = datetime.now(UTC) + timedelta(seconds=expires_s)
        lease = json.dumps({"holder": token, "expires": expires.isoformat()}).encode()
        with self._explained("leased", key):
            try:
                obstore.put(self._store, key, lease, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return self._take_over(key, lease)
        return True

    def _take_over(self, key: str, lease: bytes) -> bool:
        """Replace an expired lease, if nobody else has done so since it was read."""
        try:
            found = obstore.get(self._store, key)
            seen: Any = {
                name: found.meta[name]
                for name in ("e_tag", "version")  # a bucket may have no versions
                if found.meta[name] is not None
            }
            held = json.loads(bytes(found.bytes()))
            if datetime.fromisoformat(held["expires"]) >= datetime.now(UTC):
                return False
            obstore.put(self._store, key, lease, mode=seen)
        except (*_ABSENT, obstore.exceptions.PreconditionError):
            return False
        return True

    @contextmanager
    def _explained(
        self, done: str, key: str, absent: type[Exception] = StorageError
    ) -> Iterator[None]:
        """Turn the client's errors into ours, and that of a missing object into ``absent``."""
        try:
            yield
        except _ABSENT as error:
            if absent is StorageError:
                what = f"cannot be {done} (there is no such object)"
                raise StorageError(what, self._at(key), _AGAIN) from error
            raise absent(key) from error
        except obstore.exceptions.BaseError as error:
            what = f"cannot be {done} ({str(error).partition(chr(10))[0]})"
            raise StorageError(what, self._at(key), _AGAIN) from error

    def _at(self, key: str) -> str:
        return f"{self.uri}/{key}"


class _ObjectFile(RawIOBase):
    """Reads an object by ranges: obstore's own reader has no attribute ``closed``."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        super().__init__()
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        length = min(len(buffer), self._size - self._at)
        if length > 0:
            buffer[:length] = self._store.read_range(self._key, self._at, length)
            self._at += length
        return max(length, 0)


class _ObjectStaging:
    """Holds parts in memory until they are published."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._sinks: dict[str, _Kept] = {}

    def __enter__(self) -> Self:
        return self

    def create(self, key: str) -> BinaryIO:
        sink = self._sinks[key] = _Kept()
        return sink

    def publish(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._store.write(key, self._sinks[key].getvalue())

    def __exit__(self, *_: object) -> None:
        self._sinks.clear()


class _Kept(BytesIO):
    def close(self) -> None:
        """Keep the bytes: the writer of a part closes its sink before the part is published."""


_AGAIN = "Run it again when the store answers; nothing was replaced"
_LATER = "Run it again when the other run has finished"
