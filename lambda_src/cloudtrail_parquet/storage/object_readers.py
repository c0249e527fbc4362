"""Reading from an object store piece by piece: listings that resume, objects by ranges."""

import os
from collections.abc import Callable, Iterator
from io import RawIOBase
from typing import Any

from cloudtrail_parquet.storage.s3_errors import (
    CLIENT_ERRORS,
)

_CHUNK = 200  # entries handed over at a time; pages end where chunks do


class ResumableListing:
    """A listing that resumes where it was when it is asked again after an error."""

    def __init__(self, folder: str | None, after: str | None) -> None:
        self._folder, self._after = folder, after
        self._chunks: Iterator[Any] | None = None

    def next_chunk(self, client: Any) -> Any:  # noqa: ANN401
        """The next entries, or None at the end."""
        try:
            if self._chunks is None:
                self._chunks = iter(
                    client.list(self._folder, offset=self._after, chunk_size=_CHUNK)
                )
            chunk = next(self._chunks, None)
        except CLIENT_ERRORS:
            self._chunks = None
            raise
        if chunk:
            self._after = chunk[-1]["path"]
        return chunk


class ObjectFile(RawIOBase):
    """Reads an object by ranges: obstore's own reader has no attribute ``closed``."""

    def __init__(self, read_range: Callable[[str, int, int], bytes], key: str, size: int) -> None:
        super().__init__()
        self._read_range, self._key, self._size, self._at = read_range, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        length = min(len(buffer), self._size - self._at)
        if length > 0:
            buffer[:length] = self._read_range(self._key, self._at, length)
            self._at += length
        return max(length, 0)
