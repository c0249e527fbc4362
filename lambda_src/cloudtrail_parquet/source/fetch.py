"""Fetching and inflating log files ahead of decoding, in threads, in order.

Both release the interpreter lock, so they overlap with decoding.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial

from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.formats.gzip_text import LargeText, inflate, is_usual, text_of
from cloudtrail_parquet.settings.options import FetchOptions
from cloudtrail_parquet.storage import ReadStore

Fetched = bytes | LargeText | CloudTrailParquetError
"""The JSON text of a log file, or why there is none."""

_SMALL_BYTES = 16 << 10
"""Stored; handing such a file to another thread costs half as much as reading it."""

_MOST_AT_ONCE = 16
"""Small files that a thread reads before it hands them over."""

_DISK_THREADS = 4
"""More of them read no faster from a disk."""

_LARGE_BYTES = 32 << 20

_UNUSUAL = threading.Lock()
"""Held while a log file is inflated that declares an unusual size, and while it is taken if it is
as large as that: it may have a gigabyte."""


def fetch_text(source: ReadStore, file: LogFile, max_inflated_bytes: int) -> bytes:
    """The JSON text of one log file.

    Raises:
        StorageError: It could not be read; another try may help.
        UnreadableLogError: Its bytes are damaged.
    """
    return inflate(source.read(file.key), max_inflated_bytes, file.key)


def fetch(
    source: ReadStore, files: list[LogFile], options: FetchOptions
) -> Iterator[tuple[LogFile, Fetched]]:
    """Fetch log files in order, some of them ahead of the one being consumed.

    At most ``options.ahead_bytes`` of stored bytes are under way, or a single file. Small files on
    a disk, where there is nothing to wait for, are read only when it is their turn. Files that
    become unusually large are inflated only then, too, and in all threads of this process only one
    at a time. Nothing is held of files already yielded.
    """
    read = partial(_read, source, options.max_inflated_bytes)
    is_disk = source.parallel == 1
    threads = min(options.threads, _DISK_THREADS) if is_disk else options.threads
    pool, waiting = _pool(threads), deque[_Reading]()
    ahead = 0
    try:
        for group in _groups(files, 1 if is_disk else _at_once(len(files), threads)):
            size = sum(file.size for file in group)
            while waiting and ahead + size > options.ahead_bytes:
                ahead -= sum(file.size for file in waiting[0].files)
                yield from waiting.popleft().results()
            is_quick = is_disk and size <= _SMALL_BYTES
            later = None if is_quick else pool.submit(lambda group: list(map(read, group)), group)
            waiting.append(_Reading(group, read, later))
            ahead += size
        while waiting:
            yield from waiting.popleft().results()
    finally:
        for reading in waiting:
            reading.cancel()


class _Reading:
    """Log files that are read together, here or in another thread."""

    def __init__(
        self, files: list[LogFile], read: "_Read", later: "Future[list[_Text]] | None"
    ) -> None:
        self.files, self._read, self._later = files, read, later

    def results(self) -> Iterator[tuple[LogFile, Fetched]]:
        """The files, each with its text, which is not held here."""
        texts = list(map(self._read, self.files)) if self._later is None else self._later.result()
        self._later = None
        texts.reverse()
        for file in self.files:
            text = texts.pop()
            if not callable(text):
                yield file, text
                continue
            with _UNUSUAL:
                inflated = [text()]
                if isinstance(inflated[0], bytes) and len(inflated[0]) > _LARGE_BYTES:
                    yield file, inflated.pop()
            if inflated:
                yield file, inflated.pop()

    def cancel(self) -> None:
        """Do not begin to read them, if that has not begun."""
        if self._later is not None:
            self._later.cancel()


_Text = Fetched | Callable[[], Fetched]  # the text of a log file, or a function that inflates it
_Read = Callable[[LogFile], _Text]


def _read(source: ReadStore, max_inflated_bytes: int, file: LogFile) -> _Text:
    try:
        data = source.read(file.key)
    except CloudTrailParquetError as error:
        return error
    if is_usual(data):
        return _inflated(data, file, max_inflated_bytes)
    return partial(_inflated, data, file, max_inflated_bytes)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads of this process, shared by all units that it converts at a time."""
    return ThreadPoolExecutor(threads, thread_name_prefix="fetch")


def _at_once(files: int, threads: int) -> int:
    """How many small files a thread takes at once, so that all threads have some to read."""
    return max(1, min(_MOST_AT_ONCE, files // (4 * threads)))


def _groups(files: Iterable[LogFile], number: int) -> Iterator[list[LogFile]]:
    """Log files in order: up to a number of small ones together, each other one alone."""
    group: list[LogFile] = []
    for file in files:
        if group and (len(group) == number or file.size > _SMALL_BYTES):
            yield group
            group = []
        group.append(file)
        if file.size > _SMALL_BYTES:
            yield group
            group = []
    if group:
        yield group


def _inflated(data: bytes, file: LogFile, max_inflated_bytes: int) -> Fetched:
    try:
        return text_of(data, max_inflated_bytes, file.key)
    except CloudTrailParquetError as error:
        return error
