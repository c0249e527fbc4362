"""The types of settings: each reads a value and says what is legal.

A value comes as text, from the environment or an option, or in the form of a settings file: both
give the same. `ValueError` means that it is not legal; its message, if there is one, says why.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec
import pyarrow as pa

from cloudtrail_parquet.schema.paths import known_column, leaves_of

T = TypeVar("T")

LEVELS = {"zstd": 22, "gzip": 9, "brotli": 11}
"""The highest level of each codec that has levels; the lowest is 1."""

CODECS = ("zstd", "gzip", "brotli", "snappy", "lz4", "none")
DICTIONARY = "DICTIONARY"
_OF_NUMBERS = (DICTIONARY, "PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT")
_ENCODINGS = {
    pa.string(): (DICTIONARY, "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"),
    pa.timestamp("us", "UTC"): _OF_NUMBERS,
    pa.int64(): _OF_NUMBERS,
    pa.bool_(): ("PLAIN", "RLE"),
}


class SettingType(Protocol):
    """How a setting is read, and what it may be."""

    @property
    def legal(self) -> str:
        """What is legal, in words that follow "it has to be"."""
        ...

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """The value of the setting.

        Raises:
            ValueError: The value is not legal.
        """
        ...


Shapes = Literal["rows", "files"]
"""What depends on a setting: which rows a dataset has and what they say, or only how the files that
hold them look."""


def setting(default: T, type_: SettingType, about: str, *, shapes: Shapes | None = None) -> T:
    """Make a field of the settings.

    Args:
        default: The value when it is not set.
        type_: Reads it, and says what is legal.
        about: What it does, in a line for help texts and docs/settings.md.
        shapes: What comes out differently with another value; None for nothing.
    """
    metadata = {"type": type_, "about": about, "shapes": shapes}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)  # type: ignore[return-value]
    return field(default=default, metadata=metadata)


class Number(NamedTuple):
    """A number in a range; a whole number unless ``type_`` is float."""

    low: float
    high: float
    type_: type[int] | type[float] = int

    @property
    def legal(self) -> str:
        whole = "whole " if self.type_ is int else ""
        return f"a {whole}number from {self.low:,} to {self.high:,}"

    def read(self, value: Any) -> float:  # noqa: ANN401
        number = _number(self.type_, value) if isinstance(value, str) else value
        if type(number) not in {int, self.type_} or not self.low <= number <= self.high:
            raise ValueError
        return self.type_(number)


class Flag:
    """True or false."""

    legal = "true or false"

    def read(self, value: Any) -> bool:  # noqa: ANN401
        if value not in (True, False, "true", "false"):
            raise ValueError
        return value in {True, "true"}


class Choice(NamedTuple):
    """One of several words."""

    words: tuple[str, ...]

    @property
    def legal(self) -> str:
        return f"one of {', '.join(self.words)}"

    def read(self, value: Any) -> Any:  # noqa: ANN401
        if value not in self.words:
            raise ValueError
        return value


class CompressionLevel:
    """A compression level; `level_problem` knows which levels a codec has."""

    legal = f"a whole number from 1 to {max(LEVELS.values())}, or empty for the codec's own"

    def read(self, value: Any) -> float | None:  # noqa: ANN401
        return None if value in ("", None) else Number(1, max(LEVELS.values())).read(value)


class Names(NamedTuple):
    """A list of names, without repeats; as text with commas between them.

    Attributes:
        each: What the names are, in words.
        check: Returns a name if it is legal, else raises ValueError.
        min_length: The fewest names.
    """

    each: str
    check: Callable[[str], str]
    min_length: int = 0

    @property
    def legal(self) -> str:
        return f"a list of {self.each}{', not empty' if self.min_length else ''}"

    def read(self, value: Any) -> tuple[str, ...]:  # noqa: ANN401
        names = _split(value) if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError
        if len(names) < self.min_length:
            raise ValueError
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{', '.join(sorted(repeated))} is given more than once")
        return tuple(_each(partial(self.check, name) for name in names))


class ByColumn(NamedTuple):
    """A value for each of some columns; as text ``column=value`` with commas between them.

    Attributes:
        each: What the values are, in words.
        check: Returns the value of a column if it is legal, else raises ValueError.
    """

    each: str
    check: Callable[[str, str], str]

    @property
    def legal(self) -> str:
        return f"columns with {self.each} each"

    def read(self, value: Any) -> dict[str, str]:  # noqa: ANN401
        pairs = value
        if isinstance(value, str):
            pairs = {pair.partition("=")[0]: pair.partition("=")[2] for pair in _split(value)}
        if not isinstance(pairs, dict) or not all(isinstance(text, str) for text in pairs.values()):
            raise ValueError
        checks = (partial(self._pair, column, text) for column, text in pairs.items())
        return dict(_each(checks))

    def _pair(self, column: str, text: str) -> tuple[str, str]:
        return known_column(column), self.check(column, text)


class Structs(NamedTuple):
    """A list of structs: tables of a settings file, or JSON as text."""

    each: str
    struct: type[msgspec.Struct]

    @property
    def legal(self) -> str:
        return f"a list of {self.each}"

    def read(self, value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        items = json.loads(value) if isinstance(value, str) else value
        if isinstance(items, dict):
            raise ValueError("its heading has two brackets in TOML")  # noqa: TRY004 - as for all
        if not isinstance(items, list):
            raise ValueError  # noqa: TRY004
        return tuple(_each(partial(msgspec.convert, item, self.struct) for item in items))


def _each(reads: Iterable[Callable[[], T]]) -> list[T]:
    """What each of some reads.

    Raises:
        ValueError: Some are not legal; says of all of them why.
    """
    values, problems = list[T](), list[str]()
    for read in reads:
        try:
            values.append(read())
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    return values


def _number(type_: type[int] | type[float], text: str) -> float:
    with suppress(ValueError):
        return type_(text)
    raise ValueError


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def codec_and_level(_column: str, text: str) -> str:
    """The text, if it is a codec or, like ``zstd:9``, a codec with a level that it has.

    Raises:
        ValueError: It is not.
    """
    codec, level = split_codec(text)
    if codec not in CODECS:
        raise ValueError(f"{codec} is not one of {', '.join(CODECS)}")
    if problem := level_problem(codec, level):
        raise ValueError(problem)
    return text


def split_codec(text: str) -> tuple[str, int | None]:
    """The codec and the level of a text like ``zstd:9``."""
    codec, _, level = text.partition(":")
    return codec, int(level) if level else None


def level_problem(codec: str, level: int | None) -> str:
    """What is wrong with a codec's level, in words; empty if it is legal."""
    if level is None or 1 <= level <= LEVELS.get(codec, 0):
        return ""
    return f"{codec} has " + (
        f"the levels 1 to {LEVELS[codec]}" if codec in LEVELS else "no levels"
    )


def encoding_of(column: str, text: str) -> str:
    """The text, if it is an encoding that all leaves of a column can have.

    Raises:
        ValueError: It is not; says which they can have.
    """
    for path, dtype in leaves_of(column).items():
        if text not in _ENCODINGS[dtype]:
            raise ValueError(f"{path} cannot be {text}, but {', '.join(_ENCODINGS[dtype])}")
    return text
