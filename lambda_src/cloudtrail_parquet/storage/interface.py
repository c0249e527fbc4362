"""What a conversion asks of a place: the interface that every store has."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, NamedTuple, Protocol, Self

RUN_AGAIN = "Run it again when the store answers; nothing was replaced"
RUN_LATER = "Run it again when the other run has finished"
LOST = "the lease was lost, so another run may have replaced what this one was to replace"


class Entry(NamedTuple):
    """One object as a listing has it.

    Attributes:
        key: Below the store.
        size: In bytes.
        modified: When it was last written, by the store's clock.
        version: Tells it from whatever else is ever written to its key with other bytes.
    """

    key: str
    size: int
    modified: datetime
    version: str = ""


class Stored(NamedTuple):
    """The content of an object, its version and the store's own time of its writing."""

    data: bytes
    version: str
    modified: datetime


class Level(NamedTuple):
    """What lies directly below a prefix: names of folders and of objects, each sorted."""

    folders: list[str]
    files: list[str]


class Lease(Protocol):
    """A lease that is held."""

    def check(self) -> None:
        """Make sure that it is held still; asks nobody, so it costs nothing.

        Raises:
            StorageError: Somebody else may hold it by now: nothing more may be replaced.
        """
        ...

    def confirm(self) -> None:
        """Make sure of the same by asking the store, whatever the clocks say.

        What was seen in the store before that, was seen while the lease was held.

        Raises:
            StorageError: Somebody else has taken it.
        """
        ...


class Staging(Protocol):
    """Parts on their way: nobody sees them before `publish`, and leaving the context drops them."""

    def create(self, key: str) -> BinaryIO:
        """Begin the object that is to replace ``key``."""
        ...

    def publish(self, key: str, version: str | None) -> str:
        """Put an object in its place, at once and whole, as `Store.swap` does.

        Returns:
            The new version; empty when the same bytes were there already, perhaps put by this very
            call whose answer was lost, perhaps by somebody else.

        Raises:
            StorageError: What is there is not that version.
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
    """What a source is asked: to list and to read. All of it raises StorageError.

    Attributes:
        uri: Where it is, without parameters.
        parallel: How many listings are worth asking for at a time.
        tops: The prefixes of the places it is made of, sorted: ``""`` for a place alone.
    """

    uri: str
    parallel: int
    tops: tuple[str, ...]

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below a prefix ("" or ending in "/"), sorted."""
        ...

    def level(self, prefix: str) -> Level:
        """The same, with the names of the objects there: listings tell both at once."""
        ...

    def files(self, prefix: str, skip: tuple[str, str] | None = None) -> Iterator[Entry]:
        """Everything below a prefix, sorted by key; listed page by page as it is asked for.

        Args:
            prefix: "" or ending in "/".
            skip: Keys from the first of these to the second need not be listed. A store whose
                listings cost requests leaves them out without asking for their pages.
        """
        ...

    def read(self, key: str) -> bytes:
        """The whole of an object."""
        ...

    def read_if_there(self, key: str) -> bytes | None:
        """The whole of an object, or None if there is none."""
        ...

    def look(self, key: str) -> Stored | None:
        """The whole of an object with its version, or None if there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """An object as a file that can seek, for a Parquet reader."""
        ...


class Store(ReadStore, Protocol):
    """What dataset and state are asked besides: to write, remove, stage and lease."""

    def write(self, key: str, data: bytes) -> None:
        """Replace an object, at once and whole."""
        ...

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        """Replace one version of an object by another, at once and whole.

        Args:
            key: Of the object.
            data: What it is to hold.
            version: What is there, as somebody saw it who held a lease; None for nothing.

        Returns:
            The new version; also when a store, whose answers may be lost, has the bytes already.

        Raises:
            StorageError: Somebody else has replaced it since.
        """
        ...

    def remove(self, key: str, version: str) -> None:
        """Remove one version of an object; if it is gone already, that is no error.

        Raises:
            StorageError: Somebody else has replaced it since.
        """
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, whatever they hold by now; one that is gone already is no error."""
        ...

    def staging(self) -> Staging:
        """A place for parts on their way; what killed processes left there is dropped."""
        ...

    def lease(self, key: str, wait_s: float, expires_s: float) -> AbstractContextManager[Lease]:
        """Hold a lease while in the context, however long that takes.

        Args:
            key: Of the object that stands for it while it is held.
            wait_s: How long to wait for another holder.
            expires_s: Where leases expire: how long after a holder's last sign of life others may
                take it over.

        Raises:
            LeaseTimeoutError: Another holder kept it for all of ``wait_s``.
            StorageError: Also when the context ends: somebody else may have held it meanwhile.
        """
        ...
