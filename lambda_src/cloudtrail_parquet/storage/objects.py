"""An object store behind obstore: S3, or memory for tests."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import obstore.exceptions

from cloudtrail_parquet.clock import SYSTEM_CLOCK, Clock
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.storage.interface import LOST, RUN_LATER, Details, Entry, Level, Stored
from cloudtrail_parquet.storage.leases import ObjectLease
from cloudtrail_parquet.storage.object_readers import ObjectFile, ResumableListing
from cloudtrail_parquet.storage.s3_errors import (
    ABSENT,
    CLIENT_ERRORS,
    EntityTags,
    explained,
    is_lack_of_bucket,
    is_of_region,
    may_be_absent,
    may_be_done,
    may_pass,
)
from cloudtrail_parquet.storage.scratch import ObjectStaging

_PAGE = 1000  # keys in a page of a listing in S3
_PAUSES_S = (0.2, 1.0)  # before each new attempt at what the client does not retry

T = TypeVar("T")


def _always() -> bool:
    return True


class ObjectStore:
    """An object store behind obstore."""

    parallel = 16
    creates_once = True
    tops: tuple[str, ...] = ("",)

    def __init__(  # noqa: PLR0913
        self,
        uri: str,
        client: Any,  # noqa: ANN401
        *,
        scratch: Path | None = None,
        moved: Callable[[Exception], Any] | None = None,
        remove_if: Callable[[Any, str, str], bool] | None = None,
        details_of: Callable[[Any, str], Details] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Use an obstore client.

        Args:
            uri: Location of the store.
            client: Makes the requests.
            scratch: Folder for parts that are not yet published; by default that of temporary
                files.
            moved: Makes another client when an error says that the bucket is in another region, or
                raises.
            remove_if: Has a client remove an object if it has a version, and returns whether it is
                gone; may say no when it is not there. Without it objects are looked at and then
                removed.
            details_of: Asks how an object is stored; without it nothing is known of that.
            clock: For leases, and for pauses before requests are repeated.
        """
        self.uri = uri.rstrip("/")
        self._client = client
        self._scratch = scratch
        self._moved = moved
        self._remove_if = remove_if
        self._details_of = details_of
        self._clock = clock
        self._tags = EntityTags()

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

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        ranges = deque(sorted(skip))
        start: str | None = after
        while start is not None:
            start = yield from self._files(prefix, start, ranges)

    def _files(
        self, prefix: str, after: str, skip: deque[tuple[str, str]]
    ) -> Generator[Entry, None, str | None]:
        """The objects up to a page that ends in a range to skip; returns the end of that range."""
        for number, entry in enumerate(self._listed(prefix, after), start=1):
            while skip and skip[0][1] < entry.key:
                skip.popleft()
            if not skip or entry.key < skip[0][0]:
                if entry.key > after:  # the client leaves out the slash at its end
                    yield entry
            elif number % _PAGE == 0:  # the rest would be further requests
                return skip.popleft()[1]
        return None

    def _listed(self, prefix: str, after: str) -> Iterator[Entry]:
        listing = ResumableListing(prefix.rstrip("/") or None, after or None)
        while chunk := self._ask("listed", prefix, listing.next_chunk):
            for meta in chunk:
                yield Entry(meta["path"], meta["size"], meta["last_modified"], _version(meta))

    def read(self, key: str) -> bytes:
        return self._ask("read", key, lambda client: bytes(client.get(key).bytes()))

    def read_if_there(self, key: str) -> bytes | None:
        stored = self.look(key)
        return None if stored is None else stored.data

    def look(self, key: str) -> Stored | None:
        return self._ask("read", key, _if_there(key, lambda client: self._get(client, key)))

    @staticmethod
    def _get(client: Any, key: str) -> Stored:  # noqa: ANN401
        answer = client.get(key)
        version, modified = _version(answer.meta), answer.meta["last_modified"]
        return Stored(bytes(answer.bytes()), version, modified, answer.attributes)

    def open(self, key: str) -> BinaryIO:
        size = self._ask("read", key, lambda client: client.head(key)["size"])
        return ObjectFile(self.read_range, key, size)  # type: ignore[return-value]  # all that readers use

    def details(self, key: str) -> Details | None:
        details_of = self._details_of
        if details_of is None:
            return None
        return self._ask("looked at", key, lambda client: details_of(client, key))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """A range of an object's bytes."""
        return self._ask(
            "read",
            key,
            lambda client: bytes(client.get_range(key, start=start, length=length)),
        )

    def write(self, key: str, data: bytes) -> None:
        self._ask("written", key, lambda client: client.put(key, data))

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        written, existing = self._swap(key, data, version, lambda: data)
        return written or existing

    def upload(self, key: str, path: Path, version: str | None) -> str:
        """Replace one version of an object by a file, as `Staging.publish` does.

        That is a single request, however large the file is: S3 does not take conditions for an
        upload in several.
        """
        written, _ = self._swap(key, path, version, path.read_bytes)
        return written

    def _swap(
        self, key: str, data: bytes | Path, version: str | None, content: Callable[[], bytes]
    ) -> tuple[str, str]:
        """Put an object; returns the version written, or else the one that has the same bytes."""
        if version is None:
            written = self._create("written", key, data)
        else:
            written = self._replace("written", key, data, version)
        if written is not None:
            return written, ""
        stored = self.look(key)  # perhaps what we have put ourselves: the answer may have been lost
        if stored is None or stored.data != content():
            raise StorageError(LOST, self._at(key), RUN_LATER)
        return "", stored.version

    def create(self, key: str, data: bytes) -> str | None:
        """Create an object, or return None: there is one already, perhaps this very one."""
        return self._create("leased", key, data)

    def _create(self, done: str, key: str, data: bytes | Path) -> str | None:
        def create(client: Any) -> str | None:  # noqa: ANN401
            try:
                return _version(client.put(key, data, mode="create", use_multipart=False))
            except obstore.exceptions.AlreadyExistsError:
                return None

        return self._ask(done, key, create, _always)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        """Replace a version of an object, or return None: it is no longer current.

        It may have been replaced by this very request, whose answer was lost.
        """
        return self._replace("leased", key, data, version)

    def _replace(self, done: str, key: str, data: bytes | Path, version: str) -> str | None:
        def replace(client: Any, tag: str) -> str | None:  # noqa: ANN401
            try:
                return _version(client.put(key, data, mode={"e_tag": tag}, use_multipart=False))
            except obstore.exceptions.PreconditionError as error:
                if is_lack_of_bucket(error):
                    raise
                return None

        replace_version = self._tags.on_condition(key, version, replace)
        return self._ask(done, key, _if_there(key, replace_version), _always)

    def remove(self, key: str, version: str) -> None:
        remove_if = self._remove_if
        if remove_if is not None:
            remove = self._tags.on_condition(
                key, version, lambda client, tag: remove_if(client, key, tag)
            )
            removed = self._ask("deleted", key, _if_there(key, remove), _always)
            # A removal whose answer was lost is repeated, and then there is no such version.
            is_gone = removed is not False or self.look(key) is None
        else:
            stored = self.look(key)
            is_gone = stored is None or stored.version == version
            if stored is not None and is_gone:
                self.delete([key])
        if not is_gone:
            raise StorageError(LOST, self._at(key), RUN_LATER)

    def delete(self, keys: Iterable[str], again: Callable[[], bool] = _always) -> None:
        all_keys = list(keys)
        if all_keys:
            self._ask("deleted", all_keys[0], lambda client: client.delete(all_keys), again)

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
        """Make a request with the client, and turn its errors into ours.

        Args:
            done: Completes "cannot be" in an error: ``"read"``, ...
            key: Key of the object concerned, for an error.
            request: Makes the request with a client.
            again: For requests that the client does not repeat: whether this may be repeated when
                it may have been carried out without an answer.
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
    """Have a request return None when there is no such object; without a bucket it still fails.

    A refusal counts only if a listing has the object, and the same one before and after a request
    was refused.
    """

    def ask(client: Any) -> T | None:  # noqa: ANN401
        listed: Any = None
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
                before, listed = listed, _list_object(client, key, error)
                if listed is None:
                    return None
                if listed == before:  # otherwise it may have come since
                    raise

    return ask


def _list_object(client: Any, key: str, refusal: Exception) -> Any:  # noqa: ANN401
    """The entry of an object in a listing, or None if it has none.

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


def _version(meta: Any) -> str:  # noqa: ANN401
    """The version in the answer to a put, a get or a listing: the entity tag."""
    return str(meta["e_tag"] or "")
