"""What a conversion asks of a place: the interface that every store has."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, NamedTuple, Protocol, Self

POLL_S = 0.2
"""How often a run that waits for a lease asks again."""

RUN_AGAIN = "Run it again when the store answers; nothing was replaced"
RUN_LATER = "Run it again when the other run has finished"


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
