"""Files of any folders as a source: presented where CloudTrail would have delivered them.

An arranged key is the folder of the delivered tree that a file belongs in, and behind it the path
of the file in its own location, so that each tells the other:

    AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/downloads/NAME

Files whose records had to be sorted out first lie in a scratch folder; behind their paths come the
names of log files with the records of one place and day.

The keys are in an SQLite database beside these, made from one listing, so that a million of them
cost no process memory, or another listing.
"""

import errno
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from urllib.parse import quote

from cloudtrail_parquet.errors import StorageError, UnwritableError, of_system
from cloudtrail_parquet.intake.placement import path_in_source
from cloudtrail_parquet.storage import Entry, Forwarding, Level, ReadStore, open_store
from cloudtrail_parquet.storage.interface import RUN_AGAIN

_PAGE = 2000  # keys that are asked for at a time
_SECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INDEX = "index.sqlite"
_CREATE = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -32000;
    CREATE TABLE files (key BLOB PRIMARY KEY, size, modified_us, copy) WITHOUT ROWID;
"""


class Arranged(NamedTuple):
    """A file with its arranged key.

    Attributes:
        key: The arranged key.
        size: In bytes.
        modified: When it was last written.
        copy: The name in the scratch folder; "" for a file that is read where it lies.
    """

    key: str
    size: int
    modified: datetime
    copy: str = ""


class ArrangedStore(Forwarding):
    """A store of which files are seen at their arranged keys, and nothing else."""

    def __init__(self, store: ReadStore, uri: str, scratch: Path) -> None:
        """Open what `write` has arranged.

        Args:
            store: Where the files lie.
            uri: The location that was arranged.
            scratch: The folder with the index and the copies.
        """
        self.uri, self.parallel = uri, store.parallel
        self.tops: tuple[str, ...] = ("",)
        self._store, self._copies = store, open_store(scratch)
        location = f"file:{quote(str(scratch / _INDEX))}?mode=ro&immutable=1"
        self._index = sqlite3.connect(location, uri=True, check_same_thread=False)
        self._asking = Lock()

    @staticmethod
    def write(files: Iterable[Arranged], scratch: Path) -> int:
        """Make the index of arranged files.

        Returns:
            How many files there are.

        Raises:
            StorageError: The disk is full, for example.
        """
        index = sqlite3.connect(scratch / _INDEX)
        try:
            index.executescript(_CREATE)
            rows = (
                (_bytes(key), size, (modified - _EPOCH) // _SECOND, copy)
                for key, size, modified, copy in files
            )
            number = index.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows).rowcount
            index.commit()
            return max(number, 0)
        except sqlite3.OperationalError as error:
            raise _of_index(scratch, error) from error
        finally:
            index.close()

    def level(self, prefix: str) -> Level:
        folders, files, after = list[str](), list[str](), _bytes(prefix)
        begin, end = after, _end_of(after)
        while page := self._keys(after, end, 1):
            name, slash, _ = page[0][0][len(begin) :].partition(b"/")
            if slash:
                folders.append(_text(name))
                after = _end_of(begin + name + b"/")
            else:
                files.append(_text(name))
                after = begin + name + b"\x00"
        return Level(sorted(folders), sorted(files))

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        begin, end = _bytes(prefix), _end_of(_bytes(prefix))
        if after:
            begin = max(begin, _bytes(after) + b"\x00")
        for first, last in sorted((_bytes(first), _bytes(last)) for first, last in skip):
            yield from self._between(begin, min(first, end))
            begin = max(begin, last + b"\x00")
        yield from self._between(begin, end)

    def _between(self, begin: bytes, end: bytes) -> Iterator[Entry]:
        while page := self._keys(begin, end, _PAGE):
            for key, size, modified_us in page:
                yield Entry(_text(key), size, _EPOCH + modified_us * _SECOND)
            begin = page[-1][0] + b"\x00"

    def _keys(self, begin: bytes, end: bytes, most: int) -> list[tuple[bytes, int, int]]:
        """The first keys from one up to another, without that, with sizes and times."""
        query = "SELECT key, size, modified_us FROM files WHERE key >= ? AND key < ? ORDER BY key"
        with self._asking:
            return self._index.execute(f"{query} LIMIT ?", (begin, end, most)).fetchall()

    def _locate(self, key: str) -> tuple[ReadStore, str]:
        with self._asking:
            query = "SELECT copy FROM files WHERE key = ?"
            row = self._index.execute(query, (_bytes(key),)).fetchone()
        if row is None:
            raise StorageError("cannot be read (it was not arranged)", key, RUN_AGAIN)
        return (self._copies, row[0]) if row[0] else (self._store, path_in_source(key))

    def __del__(self) -> None:
        self._index.close()


def _of_index(scratch: Path, error: sqlite3.OperationalError) -> StorageError:
    """An error in writing the index, as one of the disk that it is on."""
    number = errno.ENOSPC if error.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
    what, where, hint = of_system("written", scratch, OSError(number, str(error))).args
    error_type = UnwritableError if number == errno.ENOSPC else StorageError
    if number == errno.ENOSPC:
        hint = "Set TMPDIR to a folder with more room: what is found in the source is listed there"
    return error_type(what, where, hint)


def _bytes(key: str) -> bytes:
    return key.encode(errors="surrogateescape")


def _text(key: bytes) -> str:
    return key.decode(errors="surrogateescape")


def _end_of(prefix: bytes) -> bytes:
    """What sorts after all keys that begin with a prefix, which is empty or ends with a slash."""
    return prefix[:-1] + b"0" if prefix else b"\xff"
