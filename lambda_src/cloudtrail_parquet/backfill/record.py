"""The record of a backfill in the state: what was asked for, what was sent, and which units.

    backfills/20261127T224617Z-3f9a.json          the record
    backfills/20261127T224617Z-3f9a.units.json    its units: days of each account and region

So what became of it can be told from the receipts, without a listing of the source.
"""

import secrets
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.storage import ReadStore, Store

_FOLDER, _RECORD, _UNITS = "backfills/", ".json", ".units.json"
_ATTEMPTS = 3
_BY_ID = "If it was sent, backfill cancel --id {} --queue URL takes back its messages"

Days = tuple[date, date]
"""A first and a last day."""


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a backfill.

    Attributes:
        id: Its name: when it was begun, and four random digits.
        begun: When it was begun.
        queue: URL of the queue that it was sent to.
        first: The first day of its units.
        last: The last day of its units.
        only: Which units of the range it was to convert or to rewrite.
        units: How many units.
        files: How many log files they have, or parts.
        bytes: The size of these.
        seconds: The estimated time of all invocations together.
        dollars: The estimated cost.
        messages: How many messages there are to be.
        sent: How many of them were sent.
        cancelled: When it was cancelled; None if it was not.
        kind: What becomes of its units: ``convert`` or ``rewrite``.
    """

    id: str
    begun: datetime
    queue: str
    first: date
    last: date
    only: str
    units: int
    files: int
    bytes: int
    seconds: float
    dollars: float
    messages: int
    sent: int = 0
    cancelled: datetime | None = None
    kind: str = "convert"


class UnitList(NamedTuple):
    """The units of a backfill.

    Attributes:
        days: By span (see `Unit.span`), the days in ranges, sorted.
        since: When the list was written, by the clock of the store: units with a receipt that is
            no older have been converted since.
    """

    days: dict[Place, list[Days]]
    since: datetime

    def holds(self, unit: Unit) -> bool:
        """Whether a unit is one of them."""
        ranges = self.days.get(unit.span, [])
        before = bisect_right(ranges, (unit.day, date.max))
        return before > 0 and unit.day <= ranges[before - 1][1]


def new_id(now: datetime) -> str:
    """The name of a backfill that begins now; names sort by time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def write_record(state: Store, backfill: Backfill, units: Iterable[Unit]) -> None:
    """Write the record of a new backfill, with its units."""
    days = defaultdict[Place, list[date]](list)
    for unit in units:
        days[unit.span].append(unit.day)
    rows = [(*span, _ranges(sorted(found))) for span, found in sorted(days.items())]
    state.write(f"{_FOLDER}{backfill.id}{_UNITS}", msgspec.json.encode(rows))
    state.write(f"{_FOLDER}{backfill.id}{_RECORD}", msgspec.json.encode(backfill))


def _ranges(days: list[date]) -> list[Days]:
    """Sorted days as ranges without gaps."""
    ranges = list[Days]()
    for day in days:
        if ranges and day - ranges[-1][1] <= timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def change_record(state: Store, id_: str, **changes: Any) -> Backfill:  # noqa: ANN401
    """Change members of a record, whoever else does so at the same time.

    Raises:
        UsageError: There is no such record.
        StorageError: Others have changed it at each of several attempts.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        key = f"{_FOLDER}{id_}{_RECORD}"
        stored = state.look(key)
        if stored is None:
            raise _no_such(state, id_)
        changed = msgspec.structs.replace(_decoded(stored.data, state.uri, id_), **changes)
        try:
            state.swap(key, msgspec.json.encode(changed), stored.version)
        except StorageError:
            if attempt == _ATTEMPTS:
                raise
        else:
            return changed
    raise AssertionError


def read_record(state: ReadStore, id_: str | None) -> Backfill:
    """The record of a backfill, by default of the last one.

    Raises:
        UsageError: There is no such record; says which there are.
    """
    ids = _ids(state)
    if not (ids or id_):
        what, hint = "there is no record of a backfill", "Name the dataset, or --state, of one"
        raise UsageError(what, state.uri, hint)
    name = id_ or ids[-1]
    text = state.read_if_there(f"{_FOLDER}{name}{_RECORD}") if name in ids else None
    if text is None:
        raise _no_such(state, name)
    return _decoded(text, state.uri, name)


def read_units(state: ReadStore, id_: str) -> UnitList:
    """The units of a backfill.

    Raises:
        UsageError: They are gone, or cannot be read.
    """
    stored = state.look(f"{_FOLDER}{id_}{_UNITS}")
    if stored is None:
        what = f"the list of units of the backfill {id_} is missing ({_FOLDER}{id_}{_UNITS})"
        hint = (
            f"Nobody can tell how far it is; backfill cancel --id {id_} still takes it back, and "
            "the same backfill command sends what is not converted by then"
        )
        raise UsageError(what, state.uri, hint)
    try:
        rows = msgspec.json.decode(stored.data, type=list[tuple[str, str, list[Days]]])
    except msgspec.DecodeError as error:
        raise _damaged(state.uri, id_, error) from error
    days = {Place(account, region): ranges for account, region, ranges in rows}
    return UnitList(days, stored.modified.replace(microsecond=0))


def _ids(state: ReadStore) -> list[str]:
    names = (entry.key.removeprefix(_FOLDER) for entry in state.files(_FOLDER))
    return [name.removesuffix(_RECORD) for name in names if not name.endswith(_UNITS)]


def _decoded(text: bytes, where: str, id_: str) -> Backfill:
    try:
        return msgspec.json.decode(text, type=Backfill)
    except msgspec.DecodeError as error:
        raise _damaged(where, id_, error) from error


def _damaged(where: str, id_: str, error: Exception) -> UsageError:
    what = f"the record of the backfill {id_} cannot be read ({error})"
    hint = f"Remove {_FOLDER}{id_}*; no log or part is lost with it. {_BY_ID.format(id_)}"
    return UsageError(what, where, hint)


def _no_such(state: ReadStore, id_: str) -> UsageError:
    newest = ", ".join(reversed(_ids(state)[-5:])) or "none"
    what = f"there is no record of a backfill {id_}"
    hint = f"The newest are: {newest}. {_BY_ID.format(id_)}"
    return UsageError(what, state.uri, hint)
