"""What a setting may be: each kind reads a value and says what is legal.

A value comes as text, from the environment or an option, or as a settings file has it: both give
the same. `ValueError` means that it is not legal; its message, if there is one, says why.
"""

import json
from collections.abc import Callable
from dataclasses import field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec
import pyarrow as pa

from cloudtrail_parquet.schema.paths import known_column, leaves_of

T = TypeVar("T")

LEVELS = {"zstd": 22, "gzip": 9, "brotli": 11}
"""The highest level of each codec that has levels; the lowest is 1."""

CODECS = ("zstd", "gzip", "brotli", "snappy", "lz4", "none")
DICTIONARY = "DICTIONARY"
_ENCODINGS = {
    pa.string(): (DICTIONARY, "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"),
    pa.timestamp("us", "UTC"): (DICTIONARY, "PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"),
    pa.bool_(): ("PLAIN", "RLE"),
}


class SettingType(Protocol):
    """How a setting is read; ``legal`` says what it may be."""

    @property
    def legal(self) -> str:
        """What may be written, in words that follow "it has to be"."""
        ...

    def read(self, value: Any) -> Any:  # noqa: ANN401
        """The value of the setting."""
        ...


Shapes = Literal["rows", "files"]
"""What of a dataset depends on a setting: which rows there are and what they say, or only how the
files look that hold them."""


def setting(default: T, type_: SettingType, about: str, *, shapes: Shapes | None = None) -> T:
    """Make a field of the settings.

    Args:
        default: Its value unless something is said.
        type_: How it is read.
        about: What it does, in a line.
        shapes: What comes out differently with another value; None for nothing.
    """
    metadata = {"type": type_, "about": about, "shapes": shapes}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)  # type: ignore[return-value]
    return field(default=default, metadata=metadata)


class Number(NamedTuple):
    """A number in a range: a whole one, or any."""

    low: float
    high: float
    of: type[int] | type[float] = int

    @property
    def legal(self) -> str:
        whole = "whole " if self.of is int else ""
        return f"a {whole}number from {self.low:,} to {self.high:,}"

    def read(self, value: Any) -> float:  # noqa: ANN401
        number = self.of(value) if isinstance(value, str) else value
        if type(number) not in {int, self.of} or not self.low <= number <= self.high:
            raise ValueError
        return self.of(number)


class Flag:
    """Yes or no."""

    legal = "true or false"

    def read(self, value: Any) -> bool:  # noqa: ANN401
        if value not in {True, False, "true", "false"}:
            raise ValueError
        return value in {True, "true"}


class Choice(NamedTuple):
    """One of some words."""

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
        return None if value in {"", None} else Number(1, max(LEVELS.values())).read(value)


class Names(NamedTuple):
    """A list of names, without repeats; as text with commas between them."""

    each: str
    one: Callable[[str], str]
    least: int = 0

    @property
    def legal(self) -> str:
        return f"a list of {self.each}{', not empty' if self.least else ''}"

    def read(self, value: Any) -> tuple[str, ...]:  # noqa: ANN401
        names = _split(value) if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
            raise ValueError
        if len(names) < self.least:
            raise ValueError
        if repeated := {one for one in names if names.count(one) > 1}:
            raise ValueError(f"{', '.join(sorted(repeated))} stands twice")
        return tuple(map(self.one, names))


class ByColumn(NamedTuple):
    """A value for each of some columns; as text ``column=value`` with commas between them."""

    each: str
    one: Callable[[str, str], str]

    @property
    def legal(self) -> str:
        return f"columns with {self.each} each"

    def read(self, value: Any) -> dict[str, str]:  # noqa: ANN401
        pairs = value
        if isinstance(value, str):
            pairs = {one.partition("=")[0]: one.partition("=")[2] for one in _split(value)}
        if not isinstance(pairs, dict) or not all(isinstance(one, str) for one in pairs.values()):
            raise ValueError
        return {known_column(column): self.one(column, one) for column, one in pairs.items()}


class Structs(NamedTuple):
    """A list of structs: tables of a settings file, or JSON as text."""

    each: str
    of: type[msgspec.Struct]

    @property
    def legal(self) -> str:
        return f"a list of {self.each}"

    def read(self, value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        items = json.loads(value) if isinstance(value, str) else value
        return tuple(msgspec.convert(items, list[self.of]))  # type: ignore[name-defined]


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
    """What is wrong with a codec's level, in words; nothing if nothing is."""
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
    for path, of in leaves_of(column).items():
        if text not in _ENCODINGS[of]:
            raise ValueError(f"{path} cannot be {text}, but {', '.join(_ENCODINGS[of])}")
    return text
