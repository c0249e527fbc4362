"""The shapes that records come in, whatever the name of the file: from a text to its records.

Trails write an object with a list ``Records`` (`envelope`). People also have single records, lists
and lines of them, and what other services and commands put around them (`enclosed`): one behind the
other, on lines, or in a column of a CSV file. What else a file may be is in `foreign`.

Sources: CloudTrail User Guide (saved query results); CloudWatch Logs User Guide (export to S3);
those of `enclosed`.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from cloudtrail_parquet.envelopes.enclosed import NOWHERE, RECORD_COLUMN, Enclosed, within
from cloudtrail_parquet.envelopes.envelope import find_cuts, plain_records, records_between
from cloudtrail_parquet.envelopes.foreign import SET_ASIDE, Foreign, by_magic, by_text, hint_of
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.formats.json_values import (
    Value,
    are_lines,
    consecutive,
    has_column,
    in_column,
    is_value,
    lines,
    on_lines,
)

_TRIES = 3  # the first line of a text may be cut short

__all__ = ["Enclosed", "enclosed_records", "raw_records", "unwrapped"]


def enclosed_records(text: bytes | LargeText, where: str) -> Iterator[Enclosed]:
    """All elements of a file, in its order: what is no record has a fault, and nothing is left out.

    A large text of the plain envelope, or of lines, is not held whole.

    Args:
        text: The text, inflated.
        where: The name of the file, for errors.

    Raises:
        UnreadableLogError: No record is found in it, though it is not an empty list: says what it
            looks like, and what to do. This is raised at once, not while elements are taken.
    """
    raws: Iterable[Any] | None
    if isinstance(text, LargeText):
        cuts = find_cuts(text)
        raws = None if cuts is None else records_between(text, cuts)
    else:
        raws = plain_records(text)
    return unwrapped(text, where) if raws is None else _in_records(raws)


def _in_records(raws: Iterable[Any]) -> Iterator[Enclosed]:
    """The elements of ``Records``."""
    return (Enclosed(bytes(raw), NOWHERE, f".Records[{n}]") for n, raw in enumerate(raws))


def raw_records(text: bytes | LargeText, where: str) -> list[Any]:
    """The elements of a file, each as its JSON text (bytes, or anything with a buffer).

    Raises:
        UnreadableLogError: As `enclosed_records` does.
    """
    if isinstance(text, LargeText):
        text = text.whole()
    raws = plain_records(text)
    return raws if raws is not None else [each.raw for each in unwrapped(text, where)]


def unwrapped(text: bytes | LargeText, where: str) -> Iterator[Enclosed]:
    """The elements of anything but the plain envelope, unless that cannot be cut.

    Raises:
        UnreadableLogError: As `enclosed_records` does.
    """
    if isinstance(text, LargeText):
        in_pieces = _in_pieces(text)
        if in_pieces is not None:
            return in_pieces
        text = text.whole()
        raws = plain_records(text)  # which take no more memory than the text
        if raws is not None:
            return _in_records(raws)
    try:
        return _found(_of_text(_as_utf8(text)))
    except _NoRecordError as error:
        raise UnreadableLogError(error.what, where, error.hint) from None


class _NoRecordError(Exception):
    def __init__(self, what: str, hint: str = SET_ASIDE) -> None:
        super().__init__(what)
        self.what, self.hint = what, hint

    @classmethod
    def of(cls, kind: Foreign) -> "_NoRecordError":
        return cls(f"it is {kind.what}", kind.hint)


def _found(each: Iterator[Enclosed]) -> Iterator[Enclosed]:
    """The same elements, once it is known that a record is among them, or that there are none."""
    before: list[Enclosed] = []
    for element in each:
        before.append(element)
        if not element.fault or element.is_expected:
            return chain(before, each)
    if before:
        _, _, position, fault, _ = before[0]
        what = f"no record is in it; {position}: {fault}" if position else fault
        raise _NoRecordError(what, hint_of(fault))
    return iter(())


def _as_utf8(text: bytes) -> bytes:
    """A text as UTF-8 without a byte order mark; UTF-16, as PowerShell writes it, needs one."""
    kind = by_magic(text)
    if kind is not None:
        raise _NoRecordError.of(kind)
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return jsontext.as_utf8(text.decode("utf-16", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise _NoRecordError(f"it is UTF-16 text that is damaged ({error.reason})") from None
    return text.removeprefix(codecs.BOM_UTF8)


def _in_pieces(text: LargeText) -> Iterator[Enclosed] | None:
    """The elements of a large text of lines, which is read twice; None if it has to be whole."""
    try:
        values = _in_rows(text)
        several = values is not None and sum(1 for _ in lines(text)) > 1  # all of it can be read
        return _found(_of_values(values)) if values is not None and several else None
    except (ValueError, _NoRecordError):
        return None


def _in_rows(text: bytes | LargeText, tries: int = 1) -> Iterator[Value] | None:
    """The values of CSV rows, or of a text of lines if one of the first is whole; else None."""
    if has_column(text, RECORD_COLUMN):
        return in_column(text, RECORD_COLUMN)
    return on_lines(text) if are_lines(text, tries) else None


def _of_text(text: bytes) -> Iterator[Enclosed]:
    """The elements of a UTF-8 text.

    Raises:
        _NoRecordError: It is no JSON.
    """
    if is_value(text):
        return within(text.strip())
    rows, why = _in_rows(text), _NoRecordError.of(by_text(text))
    start = (text[:4096].lstrip() or text.lstrip())[:1]
    if start and start in b'{["':
        values = consecutive(text)
        first = list(islice(values, 2))
        if len(first) == 1 and not first[0].fault:
            return within(first[0].raw)
        if rows is None:
            first += values
            if not first[-1].fault:
                return _of_values(iter(first))
            why = _NoRecordError(first[-1].fault)
    rows = rows or _in_rows(text, tries=_TRIES)
    if rows is None:
        raise why
    return _of_values(rows)


def _of_values(values: Iterator[Value]) -> Iterator[Enclosed]:
    for value in values:
        if value.fault:
            yield Enclosed(value.raw, NOWHERE, value.position, value.fault)
        else:
            yield from within(value.raw, position=value.position)
