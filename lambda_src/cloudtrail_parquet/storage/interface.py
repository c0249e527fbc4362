"""The interface of all stores: `ReadStore` for a source, `Store` for dataset and state."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from os.path import commonprefix
from types import MappingProxyType, TracebackType
from typing import BinaryIO, NamedTuple, Protocol, Self

RUN_AGAIN = "Run it again when the store answers; nothing was replaced"
RUN_LATER = "Run it again when the other run has finished"
LOST = "the lease was lost, so another run may have replaced what this one was about to replace"


class Entry(NamedTuple):
    """An object as a listing has it.

    Attributes:
        key: Relative to the store.
        size: In bytes.
        modified: When it was last written, by the store's clock.
        version: Differs from that of any other bytes ever written to its key.
    """

    key: str
    size: int
    modified: datetime
    version: str = ""


class Stored(NamedTuple):
    """The content of an object, its version and the time of its writing by the store's clock.

    Its metadata are those that users give to objects, as ``x-amz-meta-…``; a disk has none.
    """

    data: bytes
    version: str
    modified: datetime
    metadata: Mapping[str, str] = MappingProxyType({})


class Details(NamedTuple):
    """How an object is stored.

    Attributes:
        storage_class: ``STANDARD``, ``GLACIER``, ...; of one in an archive tier of Intelligent
            Tiering, its name: ``ARCHIVE_ACCESS`` or ``DEEP_ARCHIVE_ACCESS``.
        is_archived: Whether it cannot be read before it is restored.
        needs_kms: Whether each reading asks KMS to decrypt its key: it is encrypted with a key of
            KMS, and without a bucket key.
    """

    storage_class: str = "STANDARD"
    is_archived: bool = False
    needs_kms: bool = False


class Level(NamedTuple):
    """What lies directly below a prefix: names of folders and of objects, each sorted."""

    folders: list[str]
    files: list[str]


class Lease(Protocol):
    """A lease that is held."""

    def check(self) -> None:
        """Make sure that it is still held; makes no request, so it costs nothing.

        Raises:
            StorageError: Somebody else may hold it by now: nothing more may be replaced.
        """
        ...

    def confirm(self) -> None:
        """Make sure of the same by asking the store, whatever the clocks say.

        What was read from the store before was then read while the lease was held.

        Raises:
            StorageError: Somebody else has taken it.
        """
        ...


class Staging(Protocol):
    """Parts that nobody sees before `publish`; leaving the context drops the others."""

    def create(self, key: str) -> BinaryIO:
        """Begin the object that is to replace ``key``."""
        ...

    def rename(self, key: str, name: str) -> None:
        """Let what was to replace ``key`` replace ``name`` instead, which is not staged."""
        ...

    def publish(self, key: str, version: str | None) -> str:
        """Put an object in place, atomically, as `Store.swap` does.

        Returns:
            The new version; empty when the same bytes were there already, perhaps from this very
            call, whose answer was lost, perhaps from somebody else.

        Raises:
            StorageError: Another version is there.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ReadStore(Protocol):
    """A store that can be listed and read, as a source is. All methods raise StorageError.

    Attributes:
        uri: Its location, without parameters.
        parallel: How many listings are worth requesting at a time.
        tops: The prefixes of the locations that it joins, sorted; ``""`` for a single location.
    """

    uri: str
    parallel: int
    tops: tuple[str, ...]

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly below a prefix ("" or ending in "/"), sorted."""
        ...

    def level(self, prefix: str) -> Level:
        """The same with the names of the objects there: one listing has both."""
        ...

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        """All objects below a prefix, sorted by key; listed page by page as they are needed.

        Args:
            prefix: "" or ending in "/".
            skip: Keys from the first to the second of each of these, which do not overlap, need
                not be listed. A store whose listings cost requests leaves them out without
                requesting their pages.
            after: Only keys after this one are listed.
        """
        ...

    def read(self, key: str) -> bytes:
        """The content of an object."""
        ...

    def read_if_there(self, key: str) -> bytes | None:
        """The content of an object, or None if there is no such object."""
        ...

    def look(self, key: str) -> Stored | None:
        """The content of an object with its version, or None if there is no such object."""
        ...

    def details(self, key: str) -> Details | None:
        """How an object is stored; None if that is not known."""
        ...

    def open(self, key: str) -> BinaryIO:
        """An object as a file that can seek, for a Parquet reader."""
        ...


class Store(ReadStore, Protocol):
    """A store that can also be written to, as dataset and state are.

    Attributes:
        creates_once: Whether of several that create an object at the same time exactly one does,
            whoever holds a lease; and whether leases are objects, which can be looked at.
    """

    creates_once: bool

    def write(self, key: str, data: bytes) -> None:
        """Replace an object atomically."""
        ...

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        """Replace one version of an object atomically.

        ``version`` is the one that was there when a holder of a lease looked; None for no object.

        Returns:
            The new version; also when a store, whose answers may be lost, has the bytes already.

        Raises:
            StorageError: Somebody else has replaced it since.
        """
        ...

    def remove(self, key: str, version: str) -> None:
        """Remove one version of an object; no error if it is gone already.

        Raises:
            StorageError: Somebody else has replaced it since.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, whatever they hold by now; no error if they are gone already."""
        ...

    def staging(self) -> Staging:
        """A staging area for parts; what killed processes left there is removed."""
        ...

    def lease(self, key: str, wait_s: float, expires_s: float) -> AbstractContextManager[Lease]:
        """Hold a lease while in the context, however long that takes.

        Args:
            key: Key of the object that represents the lease while it is held.
            wait_s: Seconds to wait for another holder.
            expires_s: Where leases expire: seconds after a holder's last sign of life until others
                may take it over.

        Raises:
            LeaseTimeoutError: Another holder kept it for all of ``wait_s``.
            StorageError: Also when the context ends: somebody else may have held it meanwhile.
        """
        ...


def files_between(store: ReadStore, first: str, last: str) -> Iterator[Entry]:
    """The objects of a range of keys, in order; as little as possible is listed beside them.

    Args:
        store: The store.
        first: The range begins after this key.
        last: The range ends with the last key that begins with this.
    """
    common = commonprefix((first, last))  # noqa: RUF071 - of keys, up to their last slash
    folder = common[: common.rfind("/") + 1]
    for entry in store.files(folder, after=first):
        if entry.key > last and not entry.key.startswith(last):
            return
        yield entry
