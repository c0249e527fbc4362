"""Fetching and inflating log files ahead of decoding, in threads, in order.

Both release the interpreter lock, so they overlap with decoding.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.formats.gzip_text import LargeText, inflate, is_usual, text_of
from cloudtrail_parquet.settings.options import FetchOptions
from cloudtrail_parquet.storage import ReadStore

Fetched = bytes | LargeText | CloudTrailParquetError
"""The JSON text of a log file, or why there is none."""

_SMALL_BYTES = (
    16 << 10
)  # stored; handing such a file to another thread costs half as much as reading it


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
    become unusually large are inflated only then, too. Nothing is held of files already yielded.
    """

    def read(file: LogFile) -> Callable[[], Fetched]:
        try:
            data = source.read(file.key)
        except CloudTrailParquetError as error:
            failure = error
            return lambda: failure
        later = partial(_inflated, data, file, options.max_inflated_bytes)
        if not is_usual(data):
            return later
        text = later()
        return lambda: text

    waiting: deque[tuple[LogFile, Callable[[], Callable[[], Fetched]]]] = deque()
    ahead = 0

    def take_first() -> tuple[LogFile, Fetched]:
        nonlocal ahead
        file, result = waiting.popleft()
        ahead -= file.size
        return file, result()()

    with ThreadPoolExecutor(options.threads, thread_name_prefix="fetch") as threads:
        try:
            for file in files:
                while waiting and ahead + file.size > options.ahead_bytes:
                    yield take_first()
                at_once = source.parallel == 1 and file.size <= _SMALL_BYTES
                result = partial(read, file) if at_once else threads.submit(read, file).result
                waiting.append((file, result))
                del result  # which would keep the text alive
                ahead += file.size
            while waiting:
                yield take_first()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _inflated(data: bytes, file: LogFile, max_inflated_bytes: int) -> Fetched:
    try:
        return text_of(data, max_inflated_bytes, file.key)
    except CloudTrailParquetError as error:
        return error
