"""From the bytes of an object to the JSON text in it."""

from isal import isal_zlib

from cloudtrail_parquet.errors import UnreadableLogError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31  # wbits: a gzip header and trailer
_USUAL_RATIO = 64  # CloudTrail text inflates about tenfold
_COUNT_BYTES = 1 << 20


def inflate(data: bytes, max_bytes: int, where: str) -> bytes:
    """Inflate a log file if it is gzipped, whatever its name says, to the end of its stream.

    Several gzip members are joined; zero bytes after the last one are padding. Text that is not
    gzipped is returned as it is.

    Raises:
        UnreadableLogError: The stream is damaged or cut short, other bytes follow it, or it
            inflates to more than ``max_bytes``, of which no more is held in memory than
            64 times the size of ``data``.
    """
    if not data.startswith(_GZIP_MAGIC):
        _check_size(len(data), max_bytes, where)
        return data
    try:
        members, size, rest = [], 0, data
        while rest:
            member, rest = _member(rest, max_bytes - size, where)
            members.append(member)
            size += len(member)
            if not rest.strip(b"\0"):
                break
            if not rest.startswith(_GZIP_MAGIC):
                raise UnreadableLogError(f"{len(rest)} bytes after the gzip stream", where, _COPY)
    except isal_zlib.error as error:  # type: ignore[misc]  # its stub calls it a value
        raise UnreadableLogError(f"the gzip stream is damaged ({error})", where, _COPY) from error
    return members[0] if len(members) == 1 else b"".join(members)


def _member(data: bytes, max_bytes: int, where: str) -> tuple[bytes, bytes]:
    usual = min(max_bytes, _USUAL_RATIO * len(data)) + 1
    stream = isal_zlib.decompressobj(wbits=_GZIP)
    text = stream.decompress(data, usual)
    if not stream.eof and len(text) == usual:
        _check_size(_inflated_size(data, max_bytes), max_bytes, where)
        stream = isal_zlib.decompressobj(wbits=_GZIP)
        text = stream.decompress(data, max_bytes + 1)
    if not stream.eof:
        raise UnreadableLogError("the gzip stream is cut short", where, _COPY)
    _check_size(len(text), max_bytes, where)
    return text, stream.unused_data


def _inflated_size(data: bytes, max_bytes: int) -> int:
    """Count what a member inflates to without keeping it, and stop beyond the limit."""
    stream = isal_zlib.decompressobj(wbits=_GZIP)
    size = 0
    while not stream.eof and size <= max_bytes:
        piece = stream.decompress(data, _COUNT_BYTES)
        size += len(piece)
        data = stream.unconsumed_tail
        if not piece and not data:
            break
    return size


def _check_size(size: int, max_bytes: int, where: str) -> None:
    if size > max_bytes:
        raise UnreadableLogError(
            f"it inflates to more than max_inflated_bytes = {max_bytes}",
            where,
            "Raise the limit if the file is genuine",
        )


_COPY = "Copy the object again, or set it aside"
