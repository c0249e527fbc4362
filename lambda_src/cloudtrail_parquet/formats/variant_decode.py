"""Parquet's binary VARIANT, of any writer, to JSON text.

Source: Apache Parquet, VariantEncoding.md, version 1. Names in capitals are its terms.
"""

import base64
import json
import struct
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite

from cloudtrail_parquet.wording import counted

_VERSION = 1
_SHORT_STRING, _OBJECT, _ARRAY = 1, 2, 3  # BASIC TYPE; 0 is a primitive
_IS_LARGE = {_OBJECT: 1 << 4, _ARRAY: 1 << 2}
_MAX_DIGITS = 38
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the encoding has times without a zone too
_DAY_US = 86_400_000_000


def decode(metadata: bytes, value: bytes) -> bytes:
    """Decode a VARIANT of any writer to compact JSON text.

    Decimals and doubles become numbers. What JSON has no type for becomes a string: dates, times
    and UUIDs in the forms of ISO 8601 and RFC 9562, binaries in base64, NaN and the infinities by
    name.

    Raises:
        ValueError: The bytes are not a VARIANT of version 1, are nested deeper than Python can
            follow, or hold a date outside the years 1 to 9999.
    """
    try:
        return _Reader(_names(metadata), value).text(0).encode()
    except RecursionError:
        raise ValueError("a variant nested too deep to decode") from None
    except OverflowError:
        raise ValueError("a variant with a date outside the years 1 to 9999") from None


def _names(metadata: bytes) -> list[str]:
    """The dictionary of a METADATA."""
    if not metadata or metadata[0] & 15 != _VERSION:
        raise ValueError("not the metadata of a variant of version 1")
    width = (metadata[0] >> 6) + 1
    (size,) = _numbers(metadata, 1, 1, width)
    offsets = _numbers(metadata, 1 + width, size + 1, width)
    start = 1 + width * (size + 2)
    if offsets != sorted(offsets) or start + offsets[-1] > len(metadata):
        raise ValueError("a name outside the metadata")
    return [metadata[start + begin : start + end].decode() for begin, end in pairwise(offsets)]


def _numbers(data: bytes, at: int, count: int, width: int) -> list[int]:
    """Read unsigned numbers."""
    end = at + count * width
    if end > len(data):
        raise ValueError(f"a variant cut short at byte {len(data)}")
    return [int.from_bytes(data[n : n + width], "little") for n in range(at, end, width)]


class _Reader:
    """Reads the VALUE of a variant.

    Each byte may be read only once: overlapping values could expand to exponentially long text.
    """

    def __init__(self, names: list[str], data: bytes) -> None:
        self._names = names
        self._data = data
        self._left = len(data)

    def text(self, at: int) -> str:
        """The JSON text of the value that begins at a byte."""
        (head,) = self._take(at, 1)
        basic_type, header = head & 3, head >> 2
        if basic_type == _SHORT_STRING:
            return _quote(self._take(at + 1, header).decode())
        if basic_type == _OBJECT:
            return self._object(at + 1, header)
        if basic_type == _ARRAY:
            _, starts = self._elements(at + 1, header, header & _IS_LARGE[_ARRAY], 0)
            return "[" + ",".join([self.text(start) for start in starts]) + "]"
        if header in _SIZED:
            size = int.from_bytes(self._take(at + 1, 4), "little")
            return _SIZED[header](self._take(at + 5, size))
        if header not in _PRIMITIVES:
            raise ValueError(f"a variant of the unknown type {header}")
        size, write = _PRIMITIVES[header]
        return write(self._take(at + 1, size))

    def _object(self, at: int, header: int) -> str:
        id_width = (header >> 2 & 3) + 1
        ids, starts = self._elements(at, header, header & _IS_LARGE[_OBJECT], id_width)
        if ids and max(ids) >= len(self._names):
            raise ValueError("a member without a name in the metadata")
        names = [self._names[number] for number in ids]
        if len(set(names)) < len(names):
            raise ValueError("a name twice in an object")
        members = zip(names, starts, strict=True)
        return "{" + ",".join([f"{_quote(name)}:{self.text(at)}" for name, at in members]) + "}"

    def _elements(
        self, at: int, header: int, is_large: int, id_width: int
    ) -> tuple[list[int], list[int]]:
        """The field ids of an object or array, if it has any, and where its values begin."""
        count_width = 4 if is_large else 1
        count = int.from_bytes(self._take(at, count_width), "little")
        width = (header & 3) + 1
        at += count_width
        size = count * id_width + (count + 1) * width
        self._take(at, size)
        ids = _numbers(self._data, at, count, id_width) if id_width else []
        offsets = _numbers(self._data, at + count * id_width, count, width)
        return ids, [at + size + offset for offset in offsets]

    def _take(self, at: int, size: int) -> bytes:
        self._left -= size
        if at + size > len(self._data) or self._left < 0:
            raise ValueError(
                f"a variant value outside its {counted(len(self._data), 'byte')}, or used twice"
            )
        return self._data[at : at + size]


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write_integer(raw: bytes) -> str:
    return str(int.from_bytes(raw, "little", signed=True))


def _write_decimal(raw: bytes) -> str:
    scale, unscaled = raw[0], int.from_bytes(raw[1:], "little", signed=True)
    if scale > _MAX_DIGITS:
        raise ValueError(f"a decimal of scale {scale}")
    digits = str(abs(unscaled)).zfill(scale + 1)
    whole = len(digits) - scale
    return "-" * (unscaled < 0) + digits[:whole] + ("." + digits[whole:] if scale else "")


def _write_double(raw: bytes) -> str:
    (number,) = struct.unpack("<d", raw)
    return repr(number) if isfinite(number) else _quote(json.dumps(number))


def _write_float(raw: bytes) -> str:
    """Write the fewest digits that give this single precision number, 9 at most."""
    (number,) = struct.unpack("<f", raw)
    if not isfinite(number):
        return _quote(json.dumps(number))
    candidates = (float(f"{number:.{digits}g}") for digits in range(1, 10))
    return repr(next(candidate for candidate in candidates if _is_same_float(candidate, number)))


def _is_same_float(candidate: float, number: float) -> bool:
    try:
        return struct.pack("<f", candidate) == struct.pack("<f", number)
    except OverflowError:
        return False


def _write_date(raw: bytes) -> str:
    days = int.from_bytes(raw, "little", signed=True)
    return _quote((_EPOCH + timedelta(days=days)).date().isoformat())


def _write_time(raw: bytes) -> str:
    time_us = int.from_bytes(raw, "little", signed=True)
    if not 0 <= time_us < _DAY_US:
        raise ValueError("a time of day outside the day")
    return _quote((_EPOCH + timedelta(microseconds=time_us)).time().isoformat("microseconds"))


def _write_timestamp(per_second: int, zone: str) -> Callable[[bytes], str]:
    places = len(str(per_second)) - 1

    def write(raw: bytes) -> str:
        seconds, rest = divmod(int.from_bytes(raw, "little", signed=True), per_second)
        moment = _EPOCH + timedelta(seconds=seconds)
        return _quote(f"{moment.isoformat()}.{rest:0{places}}{zone}")

    return write


_SIZED: dict[int, Callable[[bytes], str]] = {
    15: lambda raw: _quote(base64.b64encode(raw).decode()),
    16: lambda raw: _quote(raw.decode()),
}
"""Primitive types that begin with their size in 4 bytes: binary and string."""
_PRIMITIVES: dict[int, tuple[int, Callable[[bytes], str]]] = {
    0: (0, lambda _: "null"),
    1: (0, lambda _: "true"),
    2: (0, lambda _: "false"),
    3: (1, _write_integer),
    4: (2, _write_integer),
    5: (4, _write_integer),
    6: (8, _write_integer),
    7: (8, _write_double),
    8: (5, _write_decimal),
    9: (9, _write_decimal),
    10: (17, _write_decimal),
    11: (4, _write_date),
    12: (8, _write_timestamp(1_000_000, "Z")),
    13: (8, _write_timestamp(1_000_000, "")),
    14: (4, _write_float),
    17: (8, _write_time),
    18: (8, _write_timestamp(1_000_000_000, "Z")),
    19: (8, _write_timestamp(1_000_000_000, "")),
    20: (16, lambda raw: _quote(str(uuid.UUID(bytes=raw)))),
}
"""The other primitive types: (bytes, how to write them as JSON)."""
