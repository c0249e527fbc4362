"""JSON text to Parquet's binary VARIANT; `variant_decode` is the way back.

A number keeps its digits when the encoding can hold them: integers as the smallest integer, or as
a decimal of up to 38 digits; fractions as a double where Python writes that double with the very
same digits, else as a decimal, so 1.10 stays 1.10. What the encoding cannot hold is changed, and
`Encoded.exact` says so.

Source: Apache Parquet, VariantEncoding.md, version 1. Names in capitals are its terms.
"""

import json
import re
import struct
from functools import lru_cache
from itertools import accumulate
from json.decoder import JSONDecoder
from math import isfinite
from typing import Any, NamedTuple

import pyarrow as pa

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import MAX_DEPTH, strict

VARIANT_STORAGE = pa.struct(
    [
        pa.field("metadata", pa.binary(), nullable=False),
        pa.field("value", pa.binary(), nullable=False),
    ]
)
"""The columns that a VARIANT is made of: "Variant in Parquet"."""

_VERSION = 1
_SORTED_STRINGS = 1 << 4
_SHORT_STRING, _OBJECT, _ARRAY = 1, 2, 3  # BASIC TYPE; 0 is a primitive
_NULL, _TRUE, _FALSE = b"\x00", b"\x04", b"\x08"  # PRIMITIVE TYPE 0, 1, 2, each above 2 bits
_DOUBLE, _STRING = 7 << 2, 16 << 2
_INTEGERS = [(3 << 2, 1), (4 << 2, 2), *[(5 << 2, 4)] * 2, *[(6 << 2, 8)] * 4]
"""(VALUE METADATA, bytes) of an integer, by the bytes that it fills without its sign bit."""
_DECIMALS = [(9, 8 << 2, 4), (18, 9 << 2, 8), (38, 10 << 2, 16)]
"""(largest precision and scale, VALUE METADATA, bytes of the unscaled value)."""

_MAX_BYTE = 255
_IS_LARGE = {_OBJECT: 1 << 4, _ARRAY: 1 << 2}
_SHORT_STRINGS = [bytes([length << 2 | _SHORT_STRING]) for length in range(64)]
_MAX_DIGITS = 38
_CACHED_TEXT = 4096  # bytes: only the names of texts up to this are worth their memory


class Encoded(NamedTuple):
    """A JSON value as a VARIANT.

    Attributes:
        exact: Whether `decode` gives the same JSON back, except for white space, the order of the
            members of objects and the escapes in strings.
    """

    metadata: bytes
    value: bytes
    exact: bool


def encode(text: bytes) -> Encoded:
    """Encode one JSON value.

    Some values are changed, with ``exact`` False: numbers that the encoding cannot hold digit for
    digit (to the nearest double if they have an exponent or are a negative zero, else to a string
    of the digits); members with the same name in an object (the last wins); lone surrogates (to
    U+FFFD); and values nested deeper than `MAX_DEPTH` (to a string of their text).

    Raises:
        ValueError: The text is not JSON in UTF-8.
    """
    try:
        return _encode(text.decode())
    except (RecursionError, _TooDeepError):
        return _encode(strict(text).decode())._replace(exact=False)


class _TooDeepError(Exception):
    """A value is nested deeper than `MAX_DEPTH`."""


def _encode(text: str) -> Encoded:
    value = _PARSER.decode(text)
    names: set[str] = set()
    if isinstance(value, dict | list):
        _collect_names(value, names, 1)
    try:
        find = _cached_dictionary if len(text) <= _CACHED_TEXT else _dictionary
        dictionary = find(tuple(sorted(names)))
        builder = _Builder(dictionary.ids)
        return Encoded(dictionary.metadata, builder.value(value), builder.exact)
    except UnicodeEncodeError:
        return _encode(_without_surrogates(text))._replace(exact=False)


# Parsing. A number becomes its encoding at once, as bytes: nothing else in JSON is bytes.


class _Changed(bytes):
    """The encoding of a number that differs from the number as it was written."""

    __slots__ = ()


class _Repeated(dict[str, Any]):
    """An object whose text repeats a name."""

    __slots__ = ()


def _parse_object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(members)
    return parsed if len(parsed) == len(members) else _Repeated(members)


def _parse_integer(digits: str) -> bytes:
    if len(digits) > _MAX_DIGITS + 1:  # and a sign
        return _Changed(_string(digits.encode()))
    number = int(digits)
    filled = (number if number >= 0 else ~number).bit_length() // 8
    if filled < len(_INTEGERS):
        if digits == "-0":
            return _Changed(_double(-0.0))
        head, size = _INTEGERS[filled]
        return bytes([head]) + number.to_bytes(size, "little", signed=True)
    return _decimal(number, 0) or _Changed(_string(digits.encode()))


def _parse_fraction(digits: str) -> bytes:
    number = float(digits)
    if repr(number) == digits:
        return _double(number)
    if "e" in digits or "E" in digits:
        return _Changed(_double(number) if isfinite(number) else _string(digits.encode()))
    if len(digits) > _MAX_DIGITS + 3:  # and a sign, a zero and the point
        return _Changed(_string(digits.encode()))
    whole, _, fraction = digits.partition(".")
    unscaled = int(whole + fraction)
    if not unscaled and whole == "-0":
        return _Changed(_double(-0.0))
    return _decimal(unscaled, len(fraction)) or _Changed(_string(digits.encode()))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_PARSER = JSONDecoder(
    object_pairs_hook=_parse_object,
    parse_int=_parse_integer,
    parse_float=_parse_fraction,
    parse_constant=_refuse,
)
_STRING_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')


def _without_surrogates(text: str) -> str:
    """A JSON text with U+FFFD in place of each lone surrogate in its strings and names."""
    return _STRING_TOKEN.sub(
        lambda token: json.dumps(jsontext.encodable(json.loads(token[0]))), text
    )


# Names: one dictionary for the whole value.


class _Dictionary(NamedTuple):
    metadata: bytes
    ids: dict[str, int]


def _collect_names(value: dict[str, Any] | list[Any], names: set[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _TooDeepError
    inner: Any = value
    if isinstance(value, dict):
        names.update(value)
        inner = value.values()
    for member in inner:
        if isinstance(member, (dict, list)):
            _collect_names(member, names, depth + 1)


def _dictionary(names: tuple[str, ...]) -> _Dictionary:
    """Build METADATA from sorted names: Python orders text as its UTF-8 is ordered."""
    encoded = [name.encode() for name in names]
    offsets = list(accumulate(map(len, encoded), initial=0))
    width = _width(max(offsets[-1], len(names)))
    head = bytes([_VERSION | _SORTED_STRINGS | width - 1 << 6])
    metadata = head + _packed([len(names), *offsets], width) + b"".join(encoded)
    return _Dictionary(metadata, {name: number for number, name in enumerate(names)})


_cached_dictionary = lru_cache(2048)(_dictionary)


# Values.


class _Builder:
    """Encodes parsed values with one dictionary.

    Attributes:
        exact: Whether nothing encoded so far was changed.
    """

    __slots__ = ("_ids", "exact")

    def __init__(self, ids: dict[str, int]) -> None:
        self.exact = True
        self._ids = ids

    def value(self, value: Any) -> bytes:  # noqa: ANN401  what the parser gives
        kind = type(value)
        if kind is str:
            return _string(value.encode())
        if kind is bytes:
            number: bytes = value
            return number
        if kind is dict:
            return self._object(value)
        if kind is list:
            return self._array(value)
        if kind is _Changed or kind is _Repeated:
            self.exact = False
            return bytes(value) if kind is _Changed else self._object(value)
        return _NULL if value is None else _TRUE if value else _FALSE

    def _object(self, members: dict[str, Any]) -> bytes:
        names = sorted(members)
        ids = [self._ids[name] for name in names]
        return _container(_OBJECT, ids, [self.value(members[name]) for name in names])

    def _array(self, items: list[Any]) -> bytes:
        return _container(_ARRAY, [], [self.value(item) for item in items])


def _container(basic_type: int, ids: list[int], values: list[bytes]) -> bytes:
    """Encode an object, or an array, which has no ids."""
    offsets = [*accumulate(map(len, values), initial=0)]
    last_id = ids[-1] if ids else 0
    if offsets[-1] <= _MAX_BYTE and last_id <= _MAX_BYTE:  # nearly always: a byte for each number
        return b"".join((bytes((basic_type, len(values), *ids, *offsets)), *values))
    id_width, width = _width(last_id), _width(offsets[-1])
    header, is_large = width - 1, len(values) > _MAX_BYTE
    if basic_type == _OBJECT:
        header |= id_width - 1 << 2
    if is_large:
        header |= _IS_LARGE[basic_type]
    head = bytes([header << 2 | basic_type]) + len(values).to_bytes(4 if is_large else 1, "little")
    return b"".join((head, _packed(ids, id_width), _packed(offsets, width), *values))


def _string(text: bytes) -> bytes:
    if len(text) < len(_SHORT_STRINGS):
        return _SHORT_STRINGS[len(text)] + text
    return struct.pack("<BI", _STRING, len(text)) + text


def _double(number: float) -> bytes:
    return struct.pack("<Bd", _DOUBLE, number)


def _decimal(unscaled: int, scale: int) -> bytes | None:
    """The smallest decimal of a value, or None when it has too many digits.

    The scale counts as digits, too. The encoding does not require that, but Spark rejects a
    decimal4 with a scale above 9 as malformed.
    """
    digits = max(len(str(abs(unscaled))), scale)
    for max_digits, head, size in _DECIMALS:
        if digits <= max_digits:
            return bytes([head, scale]) + unscaled.to_bytes(size, "little", signed=True)
    return None


def _width(number: int) -> int:
    """The bytes that an unsigned number needs."""
    return (number.bit_length() + 7) // 8 or 1


def _packed(numbers: list[int], width: int) -> bytes:
    if width == 1:
        return bytes(numbers)
    return b"".join([number.to_bytes(width, "little") for number in numbers])


# A column.


def encode_column(texts: pa.Array) -> tuple[pa.StructArray, list[int]]:
    """Encode n JSON texts, each distinct text once.

    Returns:
        n structs of `VARIANT_STORAGE`, null for a null text, and the indexes of the rows that were
        not encoded exactly, ascending.

    Raises:
        ValueError: A text is not JSON.
    """
    distinct = texts.dictionary_encode()
    variants = [encode(text.encode()) for text in distinct.dictionary.to_pylist()]
    variants.append(Encoded(b"", b"", exact=True))  # below a null: no member may be null
    indices = distinct.indices.fill_null(len(variants) - 1)
    members = [
        pa.array([variant.metadata for variant in variants], pa.binary()).take(indices),
        pa.array([variant.value for variant in variants], pa.binary()).take(indices),
    ]
    column = pa.StructArray.from_arrays(
        members, fields=list(VARIANT_STORAGE), mask=distinct.indices.is_null()
    )
    inexact = [row for row, index in enumerate(indices.to_pylist()) if not variants[index].exact]
    return column, inexact
