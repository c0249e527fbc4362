"""An object store behind obstore: S3, or memory for tests."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import obstore.exceptions

from cloudtrail_parquet.clock import SYSTEM_CLOCK, Clock
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.storage.interface import LOST, RUN_LATER, Entry, Level, Stored
from cloudtrail_parquet.storage.leases import ObjectLease
from cloudtrail_parquet.storage.object_readers import ObjectFile, ResumableListing
from cloudtrail_parquet.storage.s3_errors import (
    ABSENT,
    CLIENT_ERRORS,
    explained,
    is_lack_of_bucket,
    is_of_region,
    may_be_absent,
    may_be_done,
    may_pass,
)
from cloudtrail_parquet.storage.staging import ObjectStaging

_PAGE = 1000  # keys in a page of S3's
_PAUSES_S = (0.2, 1.0)  # before what the client does not try again is tried again

T = TypeVar("T")


def _always() -> bool:
    return True


class ObjectStore:
    """An object store behind obstore."""

    parallel = 16
    tops: tuple[str, ...] = ("",)

    def __init__(  # noqa: PLR0913
        self,
        uri: str,
        client: Any,  # noqa: ANN401
        *,
        scratch: Path | None = None,
        moved: Callable[[Exception], Any] | None = None,
        remove_if: Callable[[Any, str, str], bool] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Use a store of obstore's.

        Args:
            uri: Where it is.
            client: The store.
            scratch: Where parts wait; by default where temporary files go.
            moved: Makes another client when this one's error says that the bucket is in another
                region, or raises.
            remove_if: Has a client remove an object if it has a version, and says whether it is
                gone; may say no when it is not there. Without it objects are looked at and then
                removed.
            clock: For leases, and for pauses before requests are made again.
        """
        self.uri = uri.rstrip("/")
        self._client = client
        self._scratch = scratch
        self._moved = moved
        self._remove_if = remove_if
        self._clock = clock

    def folders(self, prefix: str) -> list[str]:
        return self.level(prefix).folders

    def level(self, prefix: str) -> Level:
        listed = self._ask(
            "listed",
            prefix,
            lambda client: client.list_with_delimiter(prefix.rstrip("/") or None),
        )
        return Level(
            sorted(folder.rpartition("/")[2] for folder in listed["common_prefixes"]),
            sorted(meta["path"].rpartition("/")[2] for meta in listed["objects"]),
        )

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> Iterator[Entry]:
        first, last = skip or (None, "")
        for number, entry in enumerate(self._listed(prefix), start=1):
            if first is None or not first <= entry.key <= last:
                yield entry
            elif number % _PAGE == 0:  # the rest would be further requests
                yield from self._listed(prefix, after=last)
                return

    def _listed(self, prefix: str, after: str | None = None) -> Iterator[Entry]:
        listing = ResumableListing(prefix.rstrip("/") or None, after)
        while chunk := self._ask("listed", prefix, listing.more):
            for meta in chunk:
                yield Entry(meta["path"], meta["size"], meta["last_modified"], _version(meta))

    def read(self, key: str) -> bytes:
        return self._ask("read", key, lambda client: bytes(client.get(key).bytes()))

    def read_if_there(self, key: str) -> bytes | None:
        found = self.look(key)
        return None if found is None else found.data

    def look(self, key: str) -> Stored | None:
        return self._ask("read", key, _if_there(key, lambda client: self._whole(client, key)))

    @staticmethod
    def _whole(client: Any, key: str) -> Stored:  # noqa: ANN401
        got = client.get(key)
        return Stored(bytes(got.bytes()), _version(got.meta), got.meta["last_modified"])

    def open(self, key: str) -> BinaryIO:
        size = self._ask("read", key, lambda client: client.head(key)["size"])
        return ObjectFile(self.read_range, key, size)  # type: ignore[return-value]  # all that readers use

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        return self._ask(
            "read",
            key,
            lambda client: bytes(client.get_range(key, start=start, length=length)),
        )

    def write(self, key: str, data: bytes) -> None:
        self._ask("written", key, lambda client: client.put(key, data))

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        written, found = self._swap(key, data, version, lambda: data)
        return written or found

    def upload(self, key: str, path: Path, version: str | None) -> str:
        """Replace one version of an object by a file, as `Staging.publish` does.

        That is a single request, however large the file is: S3 takes no conditions for an upload
        in several.
        """
        written, _ = self._swap(key, path, version, path.read_bytes)
        return written

    def _swap(
        self, key: str, data: bytes | Path, version: str | None, content: Callable[[], bytes]
    ) -> tuple[str, str]:
        """Put an object, and say which version was written, or else was found with its bytes."""
        if version is None:
            written = self._create("written", key, data)
        else:
            written = self._replace("written", key, data, version)
        if written is not None:
            return written, ""
        found = self.look(key)  # perhaps what we have put ourselves: the answer may have been lost
        if found is None or found.data != content():
            raise StorageError(LOST, self._at(key), RUN_LATER)
        return "", found.version

    def create(self, key: str, data: bytes) -> str | None:
        """Make an object, or return None: there is one already, perhaps this very one."""
        return self._create("leased", key, data)

    def _create(self, done: str, key: str, data: bytes | Path) -> str | None:
        def create(client: Any) -> str | None:  # noqa: ANN401
            try:
                return _version(client.put(key, data, mode="create", use_multipart=False))
            except obstore.exceptions.AlreadyExistsError:
                return None

        return self._ask(done, key, create, _always)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        """Replace this very version of an object, or return None: it is no longer there.

        It may have been replaced by this very request, whose answer was lost.
        """
        return self._replace("leased", key, data, version)

    def _replace(self, done: str, key: str, data: bytes | Path, version: str) -> str | None:
        def replace(client: Any) -> str | None:  # noqa: ANN401
            try:
                return _version(client.put(key, data, mode={"e_tag": version}, use_multipart=False))
            except obstore.exceptions.PreconditionError as error:
                if is_lack_of_bucket(error):
                    raise
                return None

        return self._ask(done, key, _if_there(key, replace), _always)

    def remove(self, key: str, version: str) -> None:
        remove_if = self._remove_if
        if remove_if is not None:
            remove = _if_there(key, lambda client: remove_if(client, key, version))
            removed = self._ask("deleted", key, remove, _always)
            # A removal whose answer was lost is repeated, and then there is no such version.
            is_gone = removed is not False or self.look(key) is None
        else:
            found = self.look(key)
            is_gone = found is None or found.version == version
            if found is not None and is_gone:
                self.delete([key])
        if not is_gone:
            raise StorageError(LOST, self._at(key), RUN_LATER)

    def delete(self, keys: Iterable[str], again: Callable[[], bool] = _always) -> None:
        gone = list(keys)
        if gone:
            self._ask("deleted", gone[0], lambda client: client.delete(gone), again)

    def staging(self) -> ObjectStaging:
        return ObjectStaging(self.upload, self._scratch)

    def lease(self, key: str, wait_s: float, expires_s: float) -> ObjectLease:
        return ObjectLease(self, key, self._at(key), wait_s, expires_s, self._clock)

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
                self._clock.sleep(pause)
            elif again is not None and may_be_done(error):
                self._clock.sleep(pause)
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
        chunks = client.list(folder, offset=before, chunk_size=1)  # no page ahead
        for listed in chain.from_iterable(chunks):
            if listed["path"] >= key:
                return listed if listed["path"] == key else None
    except CLIENT_ERRORS as error:
        if may_be_absent(error):
            raise refusal from error
        raise
    return None


def _version(said: Any) -> str:  # noqa: ANN401
    """What a put, a get or a listing says of the version: its entity tag."""
    return str(said["e_tag"] or "")
