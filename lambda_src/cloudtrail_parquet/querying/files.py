"""The chosen parts as files for DuckDB: it can read these, and nothing else.

DuckDB has no client for buckets that comes with its package. So whatever it reads, it asks for
here: from a disk, or from a bucket with the credentials, endpoint and errors of the other commands.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from io import RawIOBase
from secrets import token_hex
from typing import Any

from fsspec import AbstractFileSystem

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage import Entry, ObjectStore, ReadStore

SCHEME = "cloudtrail://"
"""The location of a part is this and its key."""

TAIL_BYTES = 16_384
"""DuckDB reads so much of the end of a part to find its footer, or twice as much of a large one."""

_AT_A_TIME = 32
_RECENT = 256
_TAILS_KEPT = 4_096  # 64 MiB

ReadRange = Callable[[str, int, int], bytes]
"""Reads a length of bytes of an object from a start on."""


class PartFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The chosen parts of a dataset, as a file system that can only be read.

    Attributes:
        variable: The name of DuckDB's variable with their locations, which nobody can know before.
        counts: Requests, and bytes that were read.
        limit: So many bytes may be read in all; None for any number.
        recent: The keys of parts that were read last.
        error: What a store has said when it could not read; DuckDB tells only its traceback.
    """

    protocol = SCHEME.partition(":")[0]
    cachable = False

    def __init__(self, dataset: ReadStore, parts: Iterable[Entry]) -> None:
        super().__init__()
        self._tails: dict[str, bytes] = {}
        self.variable = f"files_{token_hex(8)}"
        self.counts = Counter[str]()
        self.limit: int | None = None
        self.recent = deque[str](maxlen=_RECENT)
        self.error: Exception | None = None
        self._read_range = _ranges_of(dataset)
        self._parts = {f"{SCHEME}{part.key}": part for part in parts}
        self._counting = threading.Lock()

    @property
    def locations(self) -> list[str]:
        """The locations of all parts, in order."""
        return list(self._parts)

    def add(self, name: str, data: bytes) -> str:
        """Have a file beside the parts, from memory; returns its location."""
        location, now = f"{SCHEME}{name}", datetime.now(UTC)
        self._tails[name] = data
        self._parts = {location: Entry(name, len(data), now), **self._parts}
        return location

    def tail(self, part: Entry) -> bytes:
        """The end of a part, where DuckDB begins to read; the first of these are kept for it."""
        length = min(part.size, TAIL_BYTES)
        data = self.read_range(part.key, part.size - length, length)
        if len(self._tails) < _TAILS_KEPT:
            self._tails[part.key] = data
        return data

    def forget(self) -> None:
        """Keep nothing of the parts that was read before."""
        for part in self._parts.values():
            if part.size > len(self._tails.get(part.key, b"")):
                self._tails.pop(part.key, None)

    def tails(self, parts: Iterable[Entry]) -> list[bytes]:
        """The ends of parts, several at a time."""
        with ThreadPoolExecutor(_AT_A_TIME, "tail") as threads:
            return list(threads.map(self.tail, parts))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """A range of a part; remembers what went wrong."""
        self.recent.append(key)
        tail = self._tails.get(key, b"")
        skipped = start - (self._parts[f"{SCHEME}{key}"].size - len(tail))
        if tail and skipped >= 0:
            return tail[skipped : skipped + length]
        try:
            self._check_limit(length)
            data = self._read_range(key, start, length)
        except Exception as error:
            self.error = error
            raise
        with self._counting:
            self.counts["requests"] += 1
            self.counts["bytes"] += len(data)
        return data

    def _check_limit(self, length: int) -> None:
        if self.limit is not None and self.counts["bytes"] + length > self.limit:
            what = "reading was stopped at the limit, which is more than was expected"
            raise UsageError(what, "--max-bytes", "Raise it, or ask about less")

    def open(self, path: str, mode: str = "rb", **_: Any) -> "PartFile":  # noqa: ANN401
        """A part as a file.

        Raises:
            PermissionError: It is to be written.
            FileNotFoundError: It is not one of the chosen parts.
        """
        if mode != "rb":
            raise PermissionError(f"{path}: a dataset is only read here")
        if path not in self._parts:
            raise FileNotFoundError(path)
        return PartFile(self.read_range, self._parts[path])

    def size(self, path: str) -> int:
        """The size of a part, which its listing has told."""
        return self._parts[path].size

    def modified(self, path: str) -> datetime:
        """When a part was written."""
        return self._parts[path].modified

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ANN401
        """Whether it is one of the chosen parts."""
        return path in self._parts

    def glob(self, path: str, **_: Any) -> list[str]:  # noqa: ANN401
        """The chosen parts that a pattern names."""
        if path in self._parts:
            return [path]
        pattern = path.replace("/**/", "/*")
        return [location for location in self._parts if fnmatchcase(location, pattern)]


class PartFile(RawIOBase):
    """A part, read by ranges.

    Several threads of DuckDB read one file, each by a seek and a read; so each has a position of
    its own. There is nothing to be closed: a question about 100,000 parts opens them all.
    """

    def __init__(self, read_range: ReadRange, part: Entry) -> None:
        super().__init__()
        self._read_range, self._part = read_range, part
        self._position = threading.local()

    def seek(self, offset: int, whence: int = 0) -> int:
        start = {0: 0, 1: self.tell(), 2: self._part.size}[whence]
        self._position.at = start + offset
        return self.tell()

    def tell(self) -> int:
        return getattr(self._position, "at", 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._part.size - self.tell()
        length = max(0, left if size < 0 else min(size, left))
        if not length:
            return b""
        data = self._read_range(self._part.key, self.tell(), length)
        self._position.at = self.tell() + len(data)
        return data


def _ranges_of(dataset: ReadStore) -> ReadRange:
    if isinstance(dataset, ObjectStore):
        return dataset.read_range  # a file of its own would ask for the size, which is known

    def read_range(key: str, start: int, length: int) -> bytes:
        with dataset.open(key) as file:
            file.seek(start)
            return file.read(length)

    return read_range
