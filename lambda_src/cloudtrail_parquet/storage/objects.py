"""An object store behind obstore: S3, or memory for tests."""

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO, RawIOBase
from typing import Any, BinaryIO, Self

import obstore
import obstore.exceptions

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.storage.interface import POLL_S, RUN_AGAIN, RUN_LATER, Entry

_ABSENT = (FileNotFoundError, obstore.exceptions.NotFoundError)


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
                raise LeaseTimeoutError("another run holds this lease", self._at(key), RUN_LATER)
            time.sleep(POLL_S)
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
                raise StorageError(what, self._at(key), RUN_AGAIN) from error
            raise absent(key) from error
        except obstore.exceptions.BaseError as error:
            what = f"cannot be {done} ({str(error).partition(chr(10))[0]})"
            raise StorageError(what, self._at(key), RUN_AGAIN) from error

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
