"""The text of a file of any size, read in pieces each time it is asked for."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import BinaryIO

from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText, text_of
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.wording import counted

_LARGE_BYTES = 32 << 20  # as stored; smaller files are read at once
_PIECE_BYTES = 1 << 20
_STORED_BYTES = 8 << 20  # for a request
_GZIP_MAGIC = b"\x1f\x8b"


def text_in(
    store: ReadStore, entry: Entry, where: str, max_inflated_bytes: int
) -> bytes | LargeText:
    """The text of a file; that of a large one is not held.

    Args:
        store: The store.
        entry: The file.
        where: Its name, for errors.
        max_inflated_bytes: So much of it may be held.

    Raises:
        StorageError: It could not be read; a large one is read later.
        UnreadableLogError: Its gzip stream is damaged or cut short; likewise.
    """
    if entry.size <= _LARGE_BYTES:
        return text_of(store.read(entry.key), max_inflated_bytes, where)
    return StreamedText(lambda: store.open(entry.key), entry.size, max_inflated_bytes, where)


class StreamedText(LargeText):
    """The text of a file that is itself too large to be held, gzipped or not."""

    def __init__(
        self, open_file: Callable[[], BinaryIO], size: int, max_bytes: int, where: str
    ) -> None:
        super().__init__(b"", max_bytes, where)
        self._open, self._size = open_file, size

    def __len__(self) -> int:
        return self._size

    def pieces(self) -> Iterator[bytes]:
        with BufferedReader(self._open(), _STORED_BYTES) as file:  # type: ignore[type-var]
            if file.peek(1).startswith(_GZIP_MAGIC):
                yield from _inflated(file)
                return
            while piece := file.read(_STORED_BYTES):
                yield piece

    def whole(self) -> bytes:
        if self._whole is None:
            try:
                size = sum(map(len, self.pieces()))
            except ValueError as error:
                hint = "Copy the file again, or set it aside"
                raise UnreadableLogError(str(error), self._where, hint) from error
            if size > self._max_bytes:
                limit = f"max_inflated_bytes = {self._max_bytes}"
                what = f"it is one text of {counted(size, 'byte')}; {limit}"
                hint = "Raise the limit if the file is genuine, or write one record on each line"
                raise UnreadableLogError(what, self._where, hint)
            self._whole = b"".join(self.pieces())
        return self._whole


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece
    except EOFError as error:
        raise ValueError("the gzip stream is cut short") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"the gzip stream is damaged, or other bytes follow it ({error})"
        ) from error
