"""Thrift's compact protocol, as far as Parquet's footers need it: bytes to a plain tree and back.

A struct becomes a dict of `Typed` values by field id, in the order of the bytes. Written back
unchanged it gives the same bytes, as every writer of the protocol uses its shortest forms. Maps and
UUIDs are not supported: parquet.thrift has none.

Source: Apache Thrift, doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, _MAP, STRUCT = range(1, 13)

_STOP = 0
_SHORT_DELTA = 15  # a field id up to this much above the one before shares the byte of the type
_SHORT_LIST = 14  # a list up to this long shares its size with the byte of the type
_MAX_VARINT_BITS = 63


class Typed(NamedTuple):
    """A value with the number of its type in the protocol.

    Booleans are bool, integers int, binaries and doubles bytes, lists and sets `Items`, structs
    dict.
    """

    kind: int
    value: Any


class Items(NamedTuple):
    """The elements of a list or a set, all of one type."""

    kind: int
    values: list[Any]


Struct = dict[int, Typed]


class Reader:
    """Reads values from bytes, one after the other.

    Attributes:
        at: Where the next value begins.

    Raises:
        ValueError: From any method: the bytes are not such a value, or end within it.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.at = at
        self._data = data

    def struct(self) -> Struct:
        """Read a struct to its end."""
        fields: Struct = {}
        last = 0
        while (header := self.field(last)) is not None:
            last, kind = header
            fields[last] = Typed(kind, kind == TRUE if kind <= FALSE else self.value(kind))
        return fields

    def field(self, last: int) -> tuple[int, int] | None:
        """Read the head of a struct's next field: its id and its type, or None at the end.

        A boolean field has no more bytes than this head: its type is its value.
        """
        head = self._byte()
        if head == _STOP:
            return None
        delta, kind = head >> 4, head & 15
        return (last + delta if delta else self._integer()), kind

    def value(self, kind: int) -> Any:  # noqa: ANN401  as the type says
        """Read a value of a type, as it is written outside the head of a struct's field."""
        if kind not in self._READ:
            raise ValueError(f"thrift type {kind} before byte {self.at}")
        return self._READ[kind](self)

    def _boolean(self) -> bool:
        return self._byte() == TRUE

    def _i8(self) -> int:
        return int.from_bytes(self._take(1), signed=True)

    def _double(self) -> bytes:
        return self._take(8)

    def _binary(self) -> bytes:
        return self._take(self._varint())

    def _items(self) -> Items:
        head = self._byte()
        kind, size = head & 15, head >> 4
        if size > _SHORT_LIST:
            size = self._varint()
        return Items(kind, [self.value(kind) for _ in range(size)])

    def _integer(self) -> int:
        zigzag = self._varint()
        return zigzag >> 1 ^ -(zigzag & 1)

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) > 127:  # noqa: PLR2004  the top bit: more bytes follow
            number |= (byte & 127) << shift
            shift += 7
            if shift > _MAX_VARINT_BITS:
                raise ValueError(f"thrift integer without an end before byte {self.at}")
        return number | byte << shift

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ValueError("thrift data is cut short")
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        taken = self._data[self.at : self.at + size]
        if len(taken) < size:
            raise ValueError("thrift data is cut short")
        self.at += size
        return taken

    _READ: ClassVar[dict[int, Callable[["Reader"], Any]]] = {
        TRUE: _boolean,
        FALSE: _boolean,
        I8: _i8,
        I16: _integer,
        I32: _integer,
        I64: _integer,
        DOUBLE: _double,
        BINARY: _binary,
        LIST: _items,
        SET: _items,
        STRUCT: struct,
    }


def write(kind: int, value: Any) -> bytes:  # noqa: ANN401  as `Reader.value` gives it
    """Write a value of a type, as outside the head of a struct's field."""
    return _WRITE[kind](value)


def _struct(fields: Struct) -> bytes:
    parts: list[bytes] = []
    last = 0
    for number, (kind, value) in fields.items():
        delta = number - last
        if 0 < delta <= _SHORT_DELTA:
            parts.append(bytes([delta << 4 | kind]))
        else:
            parts.append(bytes([kind]) + _integer(number))
        if kind > FALSE:
            parts.append(write(kind, value))
        last = number
    return b"".join(parts) + bytes([_STOP])


def _items(items: Items) -> bytes:
    size = len(items.values)
    if size <= _SHORT_LIST:
        head = bytes([size << 4 | items.kind])
    else:
        head = bytes([15 << 4 | items.kind]) + _varint(size)
    return head + b"".join([write(items.kind, value) for value in items.values])


def _boolean(value: bool) -> bytes:  # noqa: FBT001
    return bytes([TRUE if value else FALSE])


def _i8(number: int) -> bytes:
    return number.to_bytes(1, signed=True)


def _binary(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _integer(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else ~(number << 1))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:  # noqa: PLR2004  the top bit: more bytes follow
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_WRITE: dict[int, Callable[[Any], bytes]] = {
    TRUE: _boolean,
    FALSE: _boolean,
    I8: _i8,
    I16: _integer,
    I32: _integer,
    I64: _integer,
    DOUBLE: bytes,
    BINARY: _binary,
    LIST: _items,
    SET: _items,
    STRUCT: _struct,
}
