"""Several locations read as one.

Keys begin with the name of their location: ``logs/trail/AWSLogs/...`` for what lies in
``s3://logs/trail``, ``data/logs/AWSLogs/...`` for what lies in ``/data/logs``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import itemgetter
from typing import BinaryIO

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.storage.interface import RUN_AGAIN, Details, Entry, Level, ReadStore, Stored


class Forwarding(ABC):
    """Has other stores read what they hold, by `_locate`; only how they are listed is its own."""

    def folders(self, prefix: str) -> list[str]:
        return self.level(prefix).folders

    @abstractmethod
    def level(self, prefix: str) -> Level: ...

    def read(self, key: str) -> bytes:
        store, key = self._locate(key)
        return store.read(key)

    def read_if_there(self, key: str) -> bytes | None:
        store, key = self._locate(key)
        return store.read_if_there(key)

    def look(self, key: str) -> Stored | None:
        store, key = self._locate(key)
        return store.look(key)

    def details(self, key: str) -> Details | None:
        store, key = self._locate(key)
        return store.details(key)

    def open(self, key: str) -> BinaryIO:
        store, key = self._locate(key)
        return store.open(key)

    @abstractmethod
    def _locate(self, key: str) -> tuple[ReadStore, str]:
        """The store that holds an object, and the key there."""


class UnionStore(Forwarding):
    """Several stores read as one; none of them lies in another."""

    def __init__(self, stores: Iterable[ReadStore]) -> None:
        """Join stores; makes no request yet.

        Raises:
            UsageError: The names of two of them do not tell their keys apart.
        """
        named = sorted(((top_of(store.uri), store) for store in stores), key=itemgetter(0))
        for (top, first), (next_top, second) in pairwise(named):
            if next_top.startswith(top):
                what = f"its log files would be named like those of {first.uri}"
                raise UsageError(what, second.uri, "Name one of them by another path")
        self._stores = dict(named)
        self.tops = tuple(self._stores)
        self.uri = " ".join(store.uri for store in self._stores.values())
        self.parallel = max(store.parallel for store in self._stores.values())

    def level(self, prefix: str) -> Level:
        for top, store in self._stores.items():
            if prefix.startswith(top):
                return store.level(prefix[len(top) :])
        below = (top[len(prefix) :] for top in self.tops if top.startswith(prefix))
        return Level(sorted({rest.partition("/")[0] for rest in below}), [])

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        for top, store in self._stores.items():
            if not (prefix.startswith(top) or top.startswith(prefix)):
                continue
            if after.startswith(top) or top > after:
                start = after.removeprefix(top) if after.startswith(top) else ""
                for entry in store.files(prefix[len(top) :], *_below(top, skip), after=start):
                    yield entry._replace(key=top + entry.key)

    def _locate(self, key: str) -> tuple[ReadStore, str]:
        for top, store in self._stores.items():
            if key.startswith(top):
                return store, key[len(top) :]
        raise StorageError(f"cannot be read (it is in none of {self.uri})", key, RUN_AGAIN)


def top_of(uri: str) -> str:
    """What the keys of a location begin with where several are read as one."""
    name = (uri.partition("://")[2] if "://" in uri else uri).strip("/")
    return f"{name}/"


def _below(top: str, skip: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The ranges of keys to skip within one location: those of which both ends are in it."""
    return [
        (first[len(top) :], last[len(top) :])
        for first, last in skip
        if first.startswith(top) and last.startswith(top)
    ]
