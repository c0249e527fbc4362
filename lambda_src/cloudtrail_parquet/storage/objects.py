"""An object store behind obstore: S3, or memory for tests."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from io import RawIOBase
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import obstore
import obstore.exceptions

from cloudtrail_parquet.storage.failures import (
    ABSENT,
    CLIENT_ERRORS,
    explained,
    is_lack_of_bucket,
    is_of_region,
    may_be_absent,
    may_be_done,
    may_pass,
)
from cloudtrail_parquet.storage.interface import Entry
from cloudtrail_parquet.storage.leases import ObjectLease, Stored, Version
from cloudtrail_parquet.storage.staging import ObjectStaging

_PAGE = 1000  # keys in a page of S3's
_CHUNK = 200  # entries handed over at a time; pages end where chunks do
_MULTIPART_FROM = 16 << 20
_UPLOAD_PART = 8 << 20  # at least 5 MiB; 10,000 of them are 78 GiB
_UPLOADS_AT_A_TIME = 2  # of one object, each in memory and within a minute
_PAUSES_S = (0.2, 1.0)  # before what the client does not try again is tried again

T = TypeVar("T")


def _always() -> bool:
    return True


class ObjectStore:
    """An object store behind obstore."""

    parallel = 16
    tops: tuple[str, ...] = ("",)

    def __init__(
        self,
        uri: str,
        client: Any,  # noqa: ANN401
        *,
        scratch: Path | None = None,
        moved: Callable[[Exception], Any] | None = None,
    ) -> None:
        """Use a store of obstore's.

        Args:
            uri: Where it is.
            client: The store.
            scratch: Where parts wait; by default where temporary files go.
            moved: Makes another client when this one's error says that the bucket is in another
                region, or raises.
        """
        self.uri = uri.rstrip("/")
        self._client = client
        self._scratch = scratch
        self._moved = moved

    def folders(self, prefix: str) -> list[str]:
        listed = self._ask(
            "listed",
            prefix,
            lambda client: obstore.list_with_delimiter(client, prefix.rstrip("/") or None),
        )
        return sorted(folder.rpartition("/")[2] for folder in listed["common_prefixes"])

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> Iterator[Entry]:
        first, last = skip or (None, "")
        for number, entry in enumerate(self._listed(prefix), start=1):
            if first is None or not first <= entry.key <= last:
                yield entry
            elif number % _PAGE == 0:  # the rest would be further requests
                yield from self._listed(prefix, after=last)
                return

    def _listed(self, prefix: str, after: str | None = None) -> Iterator[Entry]:
        listing = _Listing(prefix.rstrip("/") or None, after)
        while chunk := self._ask("listed", prefix, listing.more):
            for meta in chunk:
                yield Entry(meta["path"], meta["size"], meta["last_modified"])

    def read(self, key: str) -> bytes:
        return self._ask("read", key, lambda client: bytes(obstore.get(client, key).bytes()))

    def read_if_there(self, key: str) -> bytes | None:
        found = self.look(key)
        return None if found is None else found.data

    def look(self, key: str) -> Stored | None:
        """An object with its version, or None if there is none."""
        return self._ask("read", key, _if_there(key, lambda client: self._whole(client, key)))

    @staticmethod
    def _whole(client: Any, key: str) -> Stored:  # noqa: ANN401
        got = obstore.get(client, key)
        return Stored(bytes(got.bytes()), _version(got.meta), got.meta["last_modified"])

    def open(self, key: str) -> BinaryIO:
        size = self._ask("read", key, lambda client: obstore.head(client, key)["size"])
        return _ObjectFile(self, key, size)  # type: ignore[return-value]  # all that readers use

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        return self._ask(
            "read",
            key,
            lambda client: bytes(obstore.get_range(client, key, start=start, length=length)),
        )

    def write(self, key: str, data: bytes) -> None:
        self._ask("written", key, lambda client: obstore.put(client, key, data))

    def upload(self, key: str, path: Path) -> None:
        """Replace an object by a file, at once and whole; a failed upload is taken back."""
        multipart = path.stat().st_size > _MULTIPART_FROM
        self._ask(
            "written",
            key,
            lambda client: obstore.put(
                client,
                key,
                path,
                use_multipart=multipart,
                chunk_size=_UPLOAD_PART,
                max_concurrency=_UPLOADS_AT_A_TIME,
            ),
        )

    def create(self, key: str, data: bytes) -> Version | None:
        """Make an object, or return None: there is one already, perhaps this very one."""

        def create(client: Any) -> Version | None:  # noqa: ANN401
            try:
                return _version(obstore.put(client, key, data, mode="create"))
            except obstore.exceptions.AlreadyExistsError:
                return None

        return self._ask("leased", key, create, _always)

    def replace(self, key: str, data: bytes, version: Version) -> Version | None:
        """Replace this very version of an object, or return None: it stands no more.

        It may have been replaced by this very request, whose answer was lost.
        """

        def replace(client: Any) -> Version | None:  # noqa: ANN401
            try:
                return _version(obstore.put(client, key, data, mode=version))  # type: ignore[arg-type]
            except obstore.exceptions.PreconditionError as error:
                if is_lack_of_bucket(error):
                    raise
                return None

        return self._ask("leased", key, _if_there(key, replace), _always)

    def delete(self, keys: Iterable[str], again: Callable[[], bool] = _always) -> None:
        gone = list(keys)
        if gone:
            self._ask("deleted", gone[0], lambda client: obstore.delete(client, gone), again)

    def staging(self, name: str) -> ObjectStaging:
        del name
        return ObjectStaging(self.upload, self._scratch)

    def lease(self, key: str, wait_s: float, expires_s: float) -> ObjectLease:
        return ObjectLease(self, key, self._at(key), wait_s, expires_s)

    def _ask(
        self,
        done: str,
        key: str,
        request: Callable[[Any], T],
        again: Callable[[], bool] | None = None,
    ) -> T:
        """Make a request of the client, and turn its errors into ours.

        Args:
            done: What cannot be done if it fails: ``"read"``, ...
            key: Of the object that it is about.
            request: To be made of a client.
            again: For what the client makes only once: whether it may be made again when it may
                have been carried out without an answer.
        """
        try:
            return request(self._client)
        except CLIENT_ERRORS as error:
            return self._ask_again(done, key, request, error, again)

    def _ask_again(
        self,
        done: str,
        key: str,
        request: Callable[[Any], T],
        error: Exception,
        again: Callable[[], bool] | None,
    ) -> T:
        for pause in _PAUSES_S:
            if self._moved is not None and is_of_region(error):
                self._client = self._moved(error)
            elif may_pass(error):
                time.sleep(pause)
            elif again is not None and may_be_done(error):
                time.sleep(pause)
                if not again():
                    break
            else:
                break
            try:
                return request(self._client)
            except CLIENT_ERRORS as repeated:
                error = repeated
        raise explained(done, self._at(key), error) from error

    def _at(self, key: str) -> str:
        return f"{self.uri}/{key}"


def _if_there(key: str, request: Callable[[Any], T | None]) -> Callable[[Any], T | None]:
    """A request that answers None when there is no such object; without a bucket it fails.

    A refusal stands if a listing holds the object, the same before and after a request was refused.
    """

    def ask(client: Any) -> T | None:  # noqa: ANN401
        there: Any = None
        while True:
            try:
                return request(client)
            except ABSENT as error:
                if is_lack_of_bucket(error):
                    raise
                return None
            except obstore.exceptions.PermissionDeniedError as error:
                if not may_be_absent(error):
                    raise
                before, there = there, _listed_as(client, key, error)
                if there is None:
                    return None
                if there == before:  # otherwise it may have come since
                    raise

    return ask


def _listed_as(client: Any, key: str, refusal: Exception) -> Any:  # noqa: ANN401
    """What a listing says of an object, or None if it does not hold it.

    Raises:
        PermissionDeniedError: The listing is refused as well.
    """
    # The client lists folders only, so this lists one from just before the key on.
    folder, before = key.rpartition("/")[0] or None, key[:-1]
    try:
        chunks = obstore.list(client, folder, offset=before, chunk_size=1)  # no page ahead
        for listed in chain.from_iterable(chunks):
            if listed["path"] >= key:
                return listed if listed["path"] == key else None
    except CLIENT_ERRORS as error:
        if may_be_absent(error):
            raise refusal from error
        raise
    return None


def _version(said: Any) -> Version:  # noqa: ANN401
    """What a put or a get says of the version; a bucket may have none but tags."""
    return {name: said[name] for name in ("e_tag", "version") if said[name] is not None}


class _Listing:
    """A listing that goes on where it was when asked again after an error."""

    def __init__(self, folder: str | None, after: str | None) -> None:
        self._folder, self._after = folder, after
        self._chunks: Iterator[Any] | None = None

    def more(self, client: Any) -> Any:  # noqa: ANN401
        """The next entries, or None at the end."""
        try:
            if self._chunks is None:
                self._chunks = iter(
                    obstore.list(client, self._folder, offset=self._after, chunk_size=_CHUNK)
                )
            chunk = next(self._chunks, None)
        except CLIENT_ERRORS:
            self._chunks = None
            raise
        if chunk:
            self._after = chunk[-1]["path"]
        return chunk


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
