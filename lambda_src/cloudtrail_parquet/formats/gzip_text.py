"""Inflating log files: from the bytes of an object to its JSON text. And the reverse."""

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO

from isal.igzip_lib import COMP_GZIP, DECOMP_GZIP, IgzipDecompressor, IsalError, compress

from cloudtrail_parquet.errors import UnreadableLogError

_GZIP_MAGIC = b"\x1f\x8b"
_SIZE_BYTES = 4  # at the end of a member: what it inflates to, modulo 2**32
_USUAL_RATIO = 32  # CloudTrail text inflates about tenfold, a bomb a thousandfold
_LARGE_BYTES = 64 << 20  # of text; CloudTrail writes 50 MB at most
_PIECE_BYTES = 1 << 20
_STORED_BYTES = 256 << 10  # with so little at a time, a piece is inflated within the memory caches
_LEVEL = 2  # of isal's: the size of zlib's level 2, in an eighth of the CPU
_COPY = "Copy the object again, or set it aside"


class LargeText:
    """The text of a large gzipped log file, which is inflated anew each time it is asked for.

    Its length is that in the trailer, until `whole` tells otherwise.
    """

    def __init__(self, data: bytes, max_bytes: int, where: str) -> None:
        self._data, self._max_bytes, self._where = data, max_bytes, where
        self._whole: bytes | None = None

    def __len__(self) -> int:
        return _declared_size(self._data) if self._whole is None else len(self._whole)

    def pieces(self) -> Iterator[bytes]:
        """The text, in pieces of a mebibyte at most.

        Raises:
            ValueError: The file is not a single undamaged member of the size in its trailer; this
                may come after all pieces. `whole` knows whether it can be read nevertheless.
        """
        stream, stored, size = IgzipDecompressor(flag=DECOMP_GZIP), memoryview(self._data), 0
        try:
            while not stream.eof and size <= len(self) and (stored or not stream.needs_input):
                taken = _STORED_BYTES if stream.needs_input else 0
                piece = stream.decompress(stored[:taken], _PIECE_BYTES)
                stored, size = stored[taken:], size + len(piece)
                yield piece
        except IsalError as error:  # type: ignore[misc]  # stub
            raise ValueError("the gzip stream is damaged") from error
        if not stream.eof or stored or stream.unused_data:
            raise ValueError("not one gzip member of the size in its trailer")

    def whole(self) -> bytes:
        """The whole text, which is kept from here on in place of the file.

        Raises:
            UnreadableLogError: As `inflate` does.
        """
        if self._whole is None:
            self._whole = inflate(self._data, self._max_bytes, self._where)
            self._data = b""
        return self._whole


def text_of(data: bytes, max_bytes: int, where: str) -> bytes | LargeText:
    """The text of a log file; a large one is not inflated yet.

    Raises:
        UnreadableLogError: As `inflate` does.
    """
    if data.startswith(_GZIP_MAGIC) and _LARGE_BYTES < _declared_size(data) <= max_bytes:
        return LargeText(data, max_bytes, where)
    return inflate(data, max_bytes, where)


def inflate(data: bytes, max_bytes: int, where: str) -> bytes:
    """Inflate a log file if it is gzipped, whatever its name says, to the end of its stream.

    Several gzip members are joined; zero bytes after the last one are padding. What is gzipped once
    more, as Firehose does with messages that CloudWatch Logs has gzipped, is inflated twice. Text
    that is not gzipped is returned as it is.

    Never more than one buffer is held, or two of what is gzipped twice. For a file that inflates to
    more than ``max_bytes``, that is at most 32 times the size of ``data`` plus a mebibyte, whatever
    its trailer declares.

    Raises:
        UnreadableLogError: The stream is damaged or cut short, other bytes follow it, or it
            inflates to more than ``max_bytes``.
    """
    if not data.startswith(_GZIP_MAGIC):
        _check(len(data), max_bytes, where)
        return data
    text = _inflated(data, max_bytes, where)
    return _inflated(text, max_bytes, where) if text.startswith(_GZIP_MAGIC) else text


def _inflated(data: bytes, max_bytes: int, where: str) -> bytes:
    try:
        text = _only_member(data, max_bytes)
        return _all_members(data, max_bytes, where) if text is None else text
    except EOFError as error:
        raise UnreadableLogError("the gzip stream is cut short", where, _COPY) from error
    except (IsalError, zlib.error, gzip.BadGzipFile) as error:  # type: ignore[misc]  # stub
        what = f"the gzip stream is damaged, or other bytes follow it ({error})"
        raise UnreadableLogError(what, where, _COPY) from error


def deflate(text: bytes) -> bytes:
    """The text as one gzip member, without a name or a time in its header."""
    stored: bytes = compress(text, _LEVEL, flag=COMP_GZIP)
    return stored


def is_usual(data: bytes) -> bool:
    """Whether a log file declares to inflate to no more than such files usually do."""
    return not data.startswith(_GZIP_MAGIC) or _declared_size(data) <= _USUAL_RATIO * len(data)


def _declared_size(data: bytes) -> int:
    """The size that the last member inflates to, by its trailer."""
    return int.from_bytes(data[-_SIZE_BYTES:], "little")


def _only_member(data: bytes, max_bytes: int) -> bytes | None:
    """The text of a single member, as CloudTrail writes it; None for several or an unusual size.

    The buffer is allocated at the size in the trailer: growing it means waiting for the
    interpreter lock.
    """
    declared = _declared_size(data)
    if declared > min(max_bytes, _USUAL_RATIO * len(data)):
        return None
    stream = IgzipDecompressor(flag=DECOMP_GZIP)
    text = stream.decompress(data, declared + 1)
    if len(text) > declared:
        return None
    if not stream.eof:
        raise EOFError
    return None if stream.unused_data else text


def _all_members(data: bytes, max_bytes: int, where: str) -> bytes:
    """The text of all members; its size is counted before any of it is kept."""
    size = 0
    for piece in _pieces(data):
        size += len(piece)
        _check(size, max_bytes, where)
    text = BytesIO()  # hands over its buffer, unlike a join of pieces
    for piece in _pieces(data):
        text.write(piece)
    return text.getvalue()


def _pieces(data: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _check(size: int, max_bytes: int, where: str) -> None:
    if size > max_bytes:
        raise UnreadableLogError(
            f"it inflates to more than max_inflated_bytes = {max_bytes}",
            where,
            "Raise the limit if the file is genuine",
        )
