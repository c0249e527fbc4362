"""What is around records: from one JSON value to the records in it, each with what is known of it.

Each shape is told by the members of an object, in `_SHAPES`; shapes may lie within lists and JSON
strings, in any mix. A record is told first: none is ever taken for something around records.

Sources: CloudTrail API reference (LookupEvents, GetQueryResults); EventBridge User Guide (events
from AWS services); CloudWatch Logs User Guide (subscription filters, FilterLogEvents).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.envelopes.envelope import elements, member_records
from cloudtrail_parquet.envelopes.foreign import INSIGHTS_ROW, LAKE_ROW, by_members
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.layout import Place

NOWHERE = Place("", "")
CONTROL_MESSAGE = "kind: control message of CloudWatch Logs"
NOT_OF_CLOUDTRAIL = "kind: event of EventBridge, not of CloudTrail"
RECORD_COLUMN = "eventJson"
"""The column of CloudTrail Lake that has the record; printed in the case of the query."""

_MAX_LEVELS = 8  # of lists and strings around an element: a few are usual
_STREAM = re.compile(r"(?:.*_)?(\d{12})_CloudTrail_([a-z0-9-]{1,32})(?:_\d+)?", re.ASCII)


class Enclosed(NamedTuple):
    """An element of a file: a record, or something else where a record belongs.

    Attributes:
        raw: Its JSON text as it is written; what was inside a JSON string is unescaped once.
        place: The account and the region by what is around the record, as they are written there;
            "" where that does not say.
        position: Where a person finds it: ``line 7``, ``value 2``, ``row 5``, or a path as `jq` has
            it, ``.Events[3]``; or both, ``line 7 .Events[3]``.
        fault: Why it is not a record; "" if it is, or if decoding is to tell.
        is_expected: With a fault: it belongs into such a file and costs no record, as a control
            message of CloudWatch Logs does.
    """

    raw: bytes
    place: Place
    position: str
    fault: str = ""
    is_expected: bool = False


def _at(position: str, member: str, number: int) -> str:
    """Where an element of a list is: behind a path, or at the beginning of one."""
    if not member and position.endswith("]"):
        return f"{position}[{number}]"
    between = " " if position and not position.endswith("]") else ""
    return f"{position}{between}.{member}[{number}]"


def within(
    raw: Any,  # noqa: ANN401
    place: Place = NOWHERE,
    position: str = "",
    level: int = 0,
) -> Iterator[Enclosed]:
    """The elements in one JSON value: an object of any shape, a list, or text in a string.

    Args:
        raw: Its JSON text, anything with a buffer, without white space before it.
        place: What is known of the place by what is around it.
        position: Where it is in the file; "" if it is all of it.
        level: How many lists and strings are around it.
    """
    start = bytes(memoryview(raw)[:1])
    if level == _MAX_LEVELS:
        yield Enclosed(bytes(raw), place, position, f"more than {level} levels of lists and texts")
    elif start == b"{":
        yield from _within_object(bytes(raw), place, position, level)
    elif start == b"[":
        yield from _within_list(raw, place, position, level)
    elif start == b'"':
        yield from _within_text(bytes(raw), place, position, level)
    else:
        yield Enclosed(bytes(raw), place, position, "not a JSON object")


def _within_text(raw: bytes, place: Place, position: str, level: int) -> Iterator[Enclosed]:
    try:
        inner = jsontext.text_within(raw).strip()
    except ValueError as error:
        yield Enclosed(raw, place, position, str(error))
        return
    if inner[:1] in {b"{", b"["}:
        yield from within(inner, place, position, level + 1)
    else:
        yield Enclosed(raw, place, position, "a text that holds no record")


def _within_list(
    raw: Any,  # noqa: ANN401
    place: Place,
    position: str,
    level: int,
    member: str = "",
) -> Iterator[Enclosed]:
    try:
        each = elements(memoryview(raw))
    except ValueError as error:
        what = f"{member} is {error}" if member else str(error)
        yield Enclosed(bytes(raw), place, position, what)
        return
    for number, element in enumerate(each):
        yield from within(element, place, _at(position, member, number), level + 1)


def _member(name: str) -> tuple[str, Any, Any]:
    return name.replace("-", "_"), msgspec.Raw, _ABSENT


_ABSENT = msgspec.Raw(b"")
_OF_RECORDS = ("eventVersion", "eventTime", "eventSource", "eventName", "eventID")
_OF_AGGREGATED = ("timeWindow", "summary", "eventCategory", "accountId", "eventId")
_AROUND = (
    *("Records", "Events", "CloudTrailEvent", "detail-type", "detail", "account", "region"),
    *("messageType", "logEvents", "logStream", "events", "message", "logStreamName"),
    *("QueryResultRows", "eventJson", "results", "statistics"),
)
_Object: Any = msgspec.defstruct(
    "_Object",
    [_member(name) for name in (*_OF_RECORDS, *_OF_AGGREGATED, *_AROUND)],
    rename={"detail_type": "detail-type"},
    gc=False,
)
_OBJECT = msgspec.json.Decoder(_Object)
_ENOUGH = 2  # of the members that only records have, in this spelling


def _object(raw: bytes) -> Any:  # noqa: ANN401
    """The members of an object that tell its shape, as text; others may be damaged.

    Raises:
        ValueError: Where its members end cannot be determined.
    """
    try:
        return _OBJECT.decode(raw)
    except jsontext.FAILURES:
        known = {field.encode_name: field.name for field in msgspec.structs.fields(_Object)}
        named = [(_name(token), part) for token, part in jsontext.split_loosely(raw)]
        return _Object(**{known[name]: msgspec.Raw(part) for name, part in named if name in known})


def _name(token: bytes) -> str:
    try:
        return jsontext.string(token)[0] or ""
    except ValueError:  # not UTF-8, or an escape that is none
        return token[1:-1].decode(errors="replace")


def is_record(members: Any) -> bool:  # noqa: ANN401
    """Whether an object is a record itself, whatever else it has members for.

    Aggregated ones have no time but a window, and are told by that and two members of theirs.
    """
    present = sum(getattr(members, name) is not _ABSENT for name in _OF_RECORDS)
    if present >= _ENOUGH or members.timeWindow is _ABSENT:
        return present >= _ENOUGH
    return sum(getattr(members, name) is not _ABSENT for name in _OF_AGGREGATED[1:]) >= _ENOUGH


def _within_object(raw: bytes, place: Place, position: str, level: int) -> Iterator[Enclosed]:
    try:
        members = _object(raw)
    except ValueError as error:
        yield Enclosed(raw, place, position, str(error))
        return
    if is_record(members):
        yield Enclosed(raw, place, position)
        return
    shapes = [
        (names, shape)
        for names, shape in _SHAPES
        if all(getattr(members, name) is not _ABSENT for name in names)
    ]
    if shapes:  # several lists are all read
        around = _Around(raw, members, place, position, level)
        lists = [found for found in shapes if found[0][-1] in _LISTS]
        for _, shape in lists or shapes[:1]:
            yield from shape(around)
        return
    own = [_name(token) for token, _ in jsontext.split_loosely(raw)]
    yield Enclosed(raw, place, position, f"it is {by_members(own).what}")


class _Around(NamedTuple):
    """An object around records: its text, its members, and where it is."""

    raw: bytes
    members: Any
    place: Place
    position: str
    level: int

    def text(self, name: str) -> str:
        """A member that is a string; "" if it is not."""
        token = bytes(getattr(self.members, name))
        return _name(token) if token[:1] == b'"' else ""

    def written(self, name: str) -> str:
        """A member's text, of whatever type it is; "" if it is ``null`` or not there."""
        token = bytes(getattr(self.members, name))
        if token[:1] == b'"':
            return _name(token)
        return "" if token == jsontext.NULL else token.decode(errors="replace")

    def inside(self, name: str, place: Place | None = None) -> Iterator[Enclosed]:
        """The elements in one member."""
        raw = getattr(self.members, name)
        return within(raw, place or self.place, self.position, self.level + 1)

    def listed(self, name: str, place: Place | None = None) -> Iterator[Enclosed]:
        """The elements in a member that is a list."""
        raw = getattr(self.members, name)
        return _within_list(raw, place or self.place, self.position, self.level, name)

    def fault(self, what: str, *, is_expected: bool = False) -> Iterator[Enclosed]:
        """The object itself, which holds no record."""
        yield Enclosed(self.raw, self.place, self.position, what, is_expected)


def _log_file(around: _Around) -> Iterator[Enclosed]:
    try:
        records = member_records(around.raw)
    except ValueError as error:
        yield from around.fault(str(error))
        return
    for number, raw in enumerate(records):
        position = _at(around.position, "Records", number)
        if has_something_around(raw):
            yield from within(raw, around.place, position, around.level + 1)
        else:
            yield Enclosed(bytes(raw), around.place, position)


def has_something_around(raw: Any) -> bool:  # noqa: ANN401
    """Whether an element of ``Records`` is a text, or an event of EventBridge, with a record in it.

    Any other object there is a record, whatever its members.
    """
    start = bytes(memoryview(raw)[:1])
    if start == b'"':
        return True
    text = bytes(raw)
    return start == b"{" and b'"detail-type"' in text and not is_record(_object(text))


def _bus_event(around: _Around) -> Iterator[Enclosed]:
    place = Place(around.written("account"), around.written("region"))
    detail = bytes(around.members.detail)
    if detail[:1] == b"{" and is_record(_object(detail)):
        yield Enclosed(detail, place, around.position)
    else:
        yield from around.fault(NOT_OF_CLOUDTRAIL, is_expected=True)


def _log_message(around: _Around) -> Iterator[Enclosed]:
    if around.text("messageType") == "CONTROL_MESSAGE":
        return around.fault(CONTROL_MESSAGE, is_expected=True)
    return around.listed("logEvents", _place_of_stream(around.text("logStream")))


def _log_event(around: _Around) -> Iterator[Enclosed]:
    return around.inside("message", _place_of_stream(around.text("logStreamName")))


def _place_of_stream(name: str) -> Place | None:
    """The place that a log stream is of; a trail names it so, after its organization if any."""
    match = _STREAM.fullmatch(name)
    return Place(match[1], match[2]) if match else None


def _lake_rows(around: _Around) -> Iterator[Enclosed]:
    try:
        rows = elements(memoryview(around.members.QueryResultRows))
    except ValueError as error:
        yield from around.fault(f"QueryResultRows is {error}")
        return
    for number, row in enumerate(rows):
        position = _at(around.position, "QueryResultRows", number)
        record = _record_of_row(bytes(row))
        if record is None:
            yield Enclosed(bytes(row), around.place, position, f"it is {LAKE_ROW.what}")
        else:
            yield from within(record, around.place, position, around.level + 1)


def _insights_rows(around: _Around) -> Iterator[Enclosed]:
    """The messages in rows of Logs Insights, each a list of cells with ``field`` and ``value``."""
    try:
        rows = elements(memoryview(around.members.results))
    except ValueError as error:
        yield from around.fault(f"results is {error}")
        return
    for number, row in enumerate(rows):
        position = _at(around.position, "results", number)
        try:
            cells = [jsontext.members(cell) for cell in jsontext.items(row)]
        except ValueError:
            cells = []
        found = [
            cell.get("value", jsontext.NULL)
            for cell in cells
            if jsontext.string(cell.get("field", jsontext.NULL))[0] == "@message"
        ]
        if len(found) == 1:
            yield from within(found[0], around.place, position, around.level + 1)
        else:
            what = f"it is {INSIGHTS_ROW.what}"
            yield Enclosed(bytes(row), around.place, position, what)


def _record_of_row(row: bytes) -> bytes | None:
    """The record in a row of `get-query-results`, as JSON; None if it has none."""
    try:
        cells = jsontext.items(row)
        found = [
            value
            for cell in cells
            for name, value in jsontext.members(cell).items()
            if name.lower() == RECORD_COLUMN.lower() and value != jsontext.NULL
        ]
    except ValueError:
        return None
    return found[0] if len(found) == 1 else None


_SHAPES: tuple[tuple[tuple[str, ...], Callable[[_Around], Iterator[Enclosed]]], ...] = (
    (("Records",), _log_file),
    (("Events",), lambda around: around.listed("Events")),
    (("CloudTrailEvent",), lambda around: around.inside("CloudTrailEvent")),
    (("detail_type", "detail"), _bus_event),
    (("messageType", "logEvents"), _log_message),
    (("events",), lambda around: around.listed("events")),
    (("message",), _log_event),
    (("QueryResultRows",), _lake_rows),
    (("results", "statistics"), _insights_rows),
    (("eventJson",), lambda around: around.inside("eventJson")),
)
"""Members that an object around records has, and where the records in it are."""

_LISTS = frozenset({"Records", "Events", "logEvents", "events", "QueryResultRows"})
