"""Cutting a text that is several JSON values: on lines, in a column, or one behind the other."""

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.gzip_text import LargeText

_MAX_LINE_BYTES = 16 << 20  # a record has a megabyte at most
_BEGINNINGS = (b'{"', b"[{", b'["', b'"{')  # pretty-printed values begin with a bracket alone
_SPACE = re.compile(rb"[ \t\n\r]*+")
_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT[0-9:.]{8,}Z)[ \t]+(?=[{\[])")
_BORDER = re.compile(rb"\}[ \t\n\r]*+(?=\{)")
_NEAR_BYTES, _MAX_BORDERS = 16 << 10, 4
_HEADER = re.compile(rb'[\w ".-]*(?:,[\w ".-]*)*\r?', re.ASCII)
_BACKSLASHED = re.compile(rb'"\{\s*\\"')
_MAX_HEADER_BYTES = 64 << 10
_MAX_FIELD_CHARS = 1 << 30
_MAX_ROW_LINES = 10_000  # of a record that is indented
_STRAY = "stray quote"  # told by identity
_RAW = msgspec.json.Decoder(msgspec.Raw)


class Value(NamedTuple):
    """A part of a text, with where it is: ``line 7``, ``value 3``, ``row 2``.

    Attributes:
        raw: Its text; JSON, unless it has a fault.
        position: Where a person finds it.
        fault: Why it is not a JSON object, list or string; "" if it is one.
    """

    raw: bytes
    position: str
    fault: str = ""


def lines(text: bytes | LargeText) -> Iterator[tuple[int, bytes]]:
    """(number from 1, text without white space around it) of each line that is not blank.

    Raises:
        ValueError: A line of a large text is longer than any record may be, or the text cannot be
            read in pieces.
    """
    for number, line in enumerate(raw_lines(text), 1):
        stripped = line.strip(b" \t\r")
        if stripped:
            yield number, stripped


def is_value(text: bytes | memoryview) -> bool:
    """Whether a text is one JSON value, as far as the decoder goes."""
    try:
        _RAW.decode(text)
    except jsontext.FAILURES:
        return False
    return True


def raw_lines(text: bytes | LargeText) -> Iterator[bytes]:
    """Every line, without its line feed.

    Raises:
        ValueError: As `lines` does.
    """
    return _lines_in_pieces(text) if isinstance(text, LargeText) else _lines_of(text)


def _lines_of(text: bytes) -> Iterator[bytes]:
    at = 0
    while (end := text.find(b"\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]


def _lines_in_pieces(text: LargeText) -> Iterator[bytes]:
    waiting, pieces = b"", text.pieces()
    first = next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    for piece in chain([first], pieces):
        *whole, waiting = (waiting + piece).split(b"\n")
        yield from whole
        if len(waiting) > _MAX_LINE_BYTES:
            raise ValueError("a line is too long")
    yield waiting


def are_lines(text: bytes | LargeText, tries: int = 1) -> bool:
    """Whether a text has its values on lines: if one of the first lines is an object or more.

    Args:
        text: The text.
        tries: How many lines to look at.

    Raises:
        ValueError: As `lines` does; only the beginning is read.
    """
    for _, (_, line) in zip(range(tries), lines(text), strict=False):
        stamp = _STAMPED.match(line)
        body = line[stamp.end() :] if stamp else line
        if body.startswith(_BEGINNINGS) and not any(value.fault for value in _on_line(body, "")):
            return True
    return False


def on_lines(text: bytes | LargeText) -> Iterator[Value]:
    """The values of a text that has them on lines: usually one on each.

    CloudWatch Logs writes a time before each, which is left out.
    """
    for number, line in lines(text):
        stamp = _STAMPED.match(line)
        yield from _on_line(line[stamp.end() :] if stamp else line, f"line {number}")


def _on_line(line: bytes, position: str) -> Iterator[Value]:
    if is_value(line):
        yield Value(line, position)
        return
    values = consecutive(line)
    first = list(islice(values, 2))
    if len(first) == 1:
        yield first[0]._replace(position=position)
        return
    for value in chain(first, values):
        yield value._replace(position=f"{position}, {value.position}")


def consecutive(text: bytes) -> Iterator[Value]:
    """The values of a text that has them one behind the other, with white space at most between.

    What is left when the end of a value cannot be determined is one value with a fault.
    """
    at, number = _SPACE.match(text).end(), 1  # type: ignore[union-attr]  # it matches nothing too
    while at < len(text):
        try:
            end = _end(text, at)
        except ValueError as error:
            yield Value(text[at:], f"value {number}", _fault(text, at, error))
            return
        yield Value(text[at:end], f"value {number}")
        at, number = _SPACE.match(text, end).end(), number + 1  # type: ignore[union-attr]


def _end(text: bytes, at: int) -> int:
    if text[at : at + 1] == b'"':
        token = jsontext.TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"invalid JSON at byte {at}")
        return token.end()
    near = at + _NEAR_BYTES
    for border in islice(_BORDER.finditer(text, at, near), _MAX_BORDERS):  # ten times as quick
        if is_value(memoryview(text)[at : border.start() + 1]):
            return border.start() + 1
    return jsontext.end_of_value(text, at)


def _fault(text: bytes, at: int, error: ValueError) -> str:
    if text[at : at + 1] in b'{["':
        return f"{error}, damaged or cut short"
    return f"no JSON at byte {at}"


def has_column(text: bytes | LargeText, name: str) -> bool:
    """Whether a text is CSV with a column of that name, in whatever case.

    Raises:
        ValueError: As `lines` does.
    """
    first = next(raw_lines(text), b"")
    if len(first) > _MAX_HEADER_BYTES or not _HEADER.fullmatch(first):
        return False
    return name.lower() in _columns(first)


def _columns(header: bytes) -> list[str]:
    return [name.strip(' "').lower() for name in header.decode(errors="replace").strip().split(",")]


def in_column(text: bytes | LargeText, name: str) -> Iterator[Value]:
    """The values in one column of a CSV text, row by row, which are counted without the header.

    Quotes inside a field are doubled or have a backslash before them, as the first row has it.
    """
    each = raw_lines(text)
    names = _columns(next(each))
    as_text = (line.decode(errors="surrogateescape") + "\n" for line in each)
    first = next(as_text, "")
    doubled = not _BACKSLASHED.search(first.encode(errors="surrogateescape"))
    csv.field_size_limit(_MAX_FIELD_CHARS)  # 128 KiB by default; for all readers of the process
    escape = None if doubled else "\\"
    at = names.index(name.lower())

    def is_whole(row: list[str]) -> bool:
        if len(row) != len(names):
            return False
        text = row[at].strip().encode(errors="surrogateescape")
        return is_value(text) or _is_balanced(text)

    rows = _rows(chain([first], as_text), is_whole, doublequote=doubled, escapechar=escape)
    for number, row in enumerate(rows, 1):
        fault = ""
        if row[-1] is _STRAY:
            fault = "a quote that does not end on its line"
            row.pop()
        elif len(row) != len(names):
            fault = f"{len(row)} fields where the header has {len(names)}"
        field = ",".join(row) if fault else row[at].strip()
        yield Value(field.encode(errors="surrogateescape"), f"row {number}", fault)


def _is_balanced(text: bytes) -> bool:
    """Whether a text is an object as far as brackets tell; deep ones and odd escapes may be."""
    try:
        return text[:1] == b"{" and jsontext.end_of_value(text, 0) == len(text)
    except ValueError:
        return False


def _rows(
    text: Iterable[str],
    is_whole: Callable[[list[str]], bool],
    **dialect: Any,  # noqa: ANN401
) -> Iterator[list[str]]:
    """The rows that are not blank; of one that the reader refuses, what there is between commas.

    A stray quote makes one row of many lines. If what it gives is not whole, only its first line
    is that row, and the others are read as rows of their own.
    """
    read, again = list[str](), list[str]()  # the latter in reverse

    def noted() -> Iterator[str]:
        lines_left = iter(text)
        while (line := again.pop() if again else next(lines_left, None)) is not None:
            read.append(line)
            yield line

    source = noted()
    while True:
        read.clear()
        try:
            row = next(csv.reader(source, **dialect))
        except StopIteration:
            return
        except csv.Error:  # a carriage return within a line
            row = "".join(read).split(",")
        if 1 < len(read) <= _MAX_ROW_LINES and not is_whole(row):
            again += reversed(read[1:])
            row = read[0].split(",")
            yield [*row, _STRAY]
        elif row:
            yield row
