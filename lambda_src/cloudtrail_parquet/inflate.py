"""From the bytes of an object to the JSON text in it."""

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import accumulate

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor, IsalError

from cloudtrail_parquet.errors import UnreadableLogError

_GZIP_MAGIC = b"\x1f\x8b"
_SIZE_BYTES = 4  # at the end of a member: what it inflates to, modulo 2**32
_USUAL_RATIO = 64  # CloudTrail text inflates about tenfold
_PIECE_BYTES = 1 << 20
_COPY = "Copy the object again, or set it aside"


def inflate(data: bytes, max_bytes: int, where: str) -> bytes:
    """Inflate a log file if it is gzipped, whatever its name says, to the end of its stream.

    Several gzip members are joined; zero bytes after the last one are padding. Text that is not
    gzipped is returned as it is.

    Raises:
        UnreadableLogError: The stream is damaged or cut short, other bytes follow it, or it
            inflates to more than ``max_bytes``; then at most 64 times the size of ``data`` was
            held in memory.
    """
    if not data.startswith(_GZIP_MAGIC):
        _check(len(data), max_bytes, where)
        return data
    try:
        text, rest = _first_member(data, max_bytes, where)
        return text + _other_members(rest, max_bytes - len(text), max_bytes, where)
    except EOFError as error:
        raise UnreadableLogError("the gzip stream is cut short", where, _COPY) from error
    except (IsalError, zlib.error, gzip.BadGzipFile) as error:  # type: ignore[misc]  # stub
        what = f"the gzip stream is damaged, or other bytes follow it ({error})"
        raise UnreadableLogError(what, where, _COPY) from error


def _first_member(data: bytes, max_bytes: int, where: str) -> tuple[bytes, bytes]:
    """The member that CloudTrail writes, and whatever follows it."""
    usual = min(max_bytes, _USUAL_RATIO * len(data))
    said = int.from_bytes(data[-_SIZE_BYTES:], "little")  # of the last member, by its trailer
    for most in (min(said, usual), usual):
        text, rest = _member(data, most)
        if rest is not None:
            return text, rest
    _check(_inflated_size(data, max_bytes), max_bytes, where)  # a bomb is counted before it is kept
    text, rest = _member(data, max_bytes)
    return text, rest or b""


def _member(data: bytes, most: int) -> tuple[bytes, bytes | None]:
    """One member and what follows it, or None in its place when the member is larger.

    The buffer is made for that size: to enlarge it is to wait for the interpreter lock.
    """
    stream = IgzipDecompressor(flag=DECOMP_GZIP)
    text = stream.decompress(data, most + 1)
    if len(text) > most:
        return text, None
    if not stream.eof:
        raise EOFError
    return text, stream.unused_data


def _inflated_size(data: bytes, max_bytes: int) -> int:
    """What a member inflates to; counting stops beyond the limit."""
    stream = IgzipDecompressor(flag=DECOMP_GZIP)
    size = 0
    while not stream.eof and size <= max_bytes:
        piece = stream.decompress(data, _PIECE_BYTES)
        size += len(piece)
        data = b""  # it keeps the rest
        if not piece and stream.needs_input:
            raise EOFError
    return size


def _other_members(data: bytes, room: int, max_bytes: int, where: str) -> bytes:
    if not data.strip(b"\0"):
        return b""
    if any(size > room for size in accumulate(map(len, _pieces(data)))):  # counted, not kept
        _check(max_bytes + 1, max_bytes, where)
    return b"".join(_pieces(data))


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
