"""Keeping the ledger: which receipts have changed since it was written, and only these are read.

The note ``ledger/ledger.json`` says when receipts were listed last, and which version of each month
was written then. A month is believed if that version is there, and its mark is the one that was
there, and so much older than the listing that no run that left it can have written a receipt since
(`state.marks`). All others are listed, and are what the listing says; the ledger is never believed
against a receipt. Of a dataset with few receipts all are listed each time, whatever the marks say.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.ledger import (
    SCHEMA,
    VERSION,
    in_order,
    ledger_key,
    read_month,
    rows_of,
    table_of,
    to_bytes,
    unit_of_row,
)
from cloudtrail_parquet.coverage.receipt_listings import ReceiptSlice, list_receipts
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.marks import LEDGER, LONGEST, Marks, Month, marks_among
from cloudtrail_parquet.state.notes import decode_receipt
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, ReadStore, Store, Stores
from cloudtrail_parquet.storage.interface import LOST
from cloudtrail_parquet.together import ahead

NOTE = f"{LEDGER}ledger.json"
FEW = 100_000
"""So few receipts are all listed: that takes a hundred requests at most, or one for each span."""
_AT_A_TIME = 32
_WHICH = ["account", "region", "day", "spans", "receipt"]
_FILE = re.compile(rf"{LEDGER}year=(\d{{4}})/month=(\d\d)\.parquet")


class StoredMonth(NamedTuple):
    """A month of the ledger.

    Attributes:
        version: The version of its object; "" if it could not be stored, and is held.
        units: How many receipts it has.
        receipts: `ReceiptSlice.digest` of these; empty if it is not known.
    """

    version: str
    units: int
    receipts: str = ""


class Listed(msgspec.Struct, frozen=True):
    """When the receipts were listed last.

    Attributes:
        version: `ledger.VERSION`.
        listed: When that began.
        months: The months as they were written then.
        marks: The versions of their marks before that.
    """

    version: int
    listed: datetime
    months: dict[str, StoredMonth]
    marks: dict[str, str]


@dataclass
class Ledger:
    """The ledger, brought up to date.

    Attributes:
        state: The store of the state.
        months: The months that have rows.
        listed: How many receipts were listed, as what the ledger says of them was not believed.
        read: How many of these were read, because they have changed.
        believed: How many months were believed, and not listed.
        since: When receipts of these were listed; None if there are none.
        unstored: Why the ledger could not be stored; empty if it was, or another has stored it.
    """

    state: ReadStore
    months: dict[Month, StoredMonth] = field(default_factory=dict)
    listed: int = 0
    read: int = 0
    believed: int = 0
    since: datetime | None = None
    unstored: str = ""
    _held: dict[Month, pa.Table] = field(default_factory=dict)

    def table(self, month: Month, columns: pa.Schema = SCHEMA) -> pa.Table:
        """Some columns of a month's rows, in order."""
        if month in self._held:
            return self._held[month].select(columns.names)
        return read_month(self.state, month, columns)

    def hold(self, month: Month, table: pa.Table, why: str) -> StoredMonth:
        """Keep a month that cannot be stored."""
        self._held[month] = table
        self.note(why)
        return StoredMonth("", _units_in(table))

    def note(self, why: str) -> None:
        """Note why something could not be stored; that another just has stored it is nothing."""
        self.unstored = self.unstored or ("" if why == LOST else why)

    @property
    def is_whole(self) -> bool:
        """Whether all months are stored."""
        return not self._held


def roll_up(stores: Stores, *, fresh: bool = False, few: int = FEW) -> Ledger:
    """Bring the ledger up to date with the receipts.

    A state that may not be written to, and others who write the ledger at the same time, make it
    cost more the next time, and nothing else.

    Args:
        stores: With the state.
        fresh: Whether all receipts are listed, whatever the marks say.
        few: So many receipts are always listed.

    Raises:
        StorageError: The state cannot be read.
    """
    state, began = stores.state, stores.now()
    entries = {entry.key: entry for entry in state.files(LEDGER)}
    marks, note = marks_among(entries.values()), state.look(NOTE)
    before = None if note is None else _decoded(note.data)
    noted = before.months if before else {}
    units = sum(month.units for month in before.months.values()) if before else None
    if fresh or (units is not None and units <= few):
        before = None
    ledger = Ledger(state)
    known = {month: entries[ledger_key(month)].version for month in _months_in(entries)}
    believed = _believed(before, marks, known)
    if before is not None:
        ledger.months |= {m: before.months[m.name] for m in believed if m.name in before.months}
        ledger.believed, ledger.since = len(ledger.months), before.listed if believed else None
    doubted: list[Month] | None = None
    if before is not None:
        named = {Month(*map(int, name.split("-"))) for name in before.months}
        doubted = sorted((named | marks.keys() | known.keys()) - believed)
    is_short = doubted is not None and len(doubted) <= len(believed)
    by_span = units is not None and units <= few
    for listing in list_receipts(state, doubted if is_short else None, by_span=by_span):
        for month in sorted(listing.units.keys() | known.keys() | ledger.months.keys()):
            if month not in believed:
                ledger.listed += len(listing.units.get(month, {}))
                _take_in(ledger, state, month, listing, known.pop(month, None), noted)
    try:
        if note is None and not ledger.months:
            return ledger  # there may be no state at all; none is to come of looking
        _mark(stores, [month for month in ledger.months if month not in marks])
        months = {month.name: stored for month, stored in sorted(ledger.months.items())}
        seen = {month.name: mark.version for month, mark in sorted(marks.items())}
        text = msgspec.json.encode(Listed(VERSION, began, months, seen))
        if ledger.is_whole and doubted != []:
            state.swap(NOTE, text, note and note.version)
    except StorageError as error:
        ledger.note(error.what)
    return ledger


def _decoded(data: bytes) -> Listed | None:
    try:
        listed = msgspec.json.decode(data, type=Listed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return listed if listed.version == VERSION else None


def _months_in(keys: Iterable[str]) -> Iterator[Month]:
    for key in keys:
        if match := _FILE.fullmatch(key):
            yield Month(*map(int, match.groups()))


def _believed(
    before: Listed | None, marks: Mapping[Month, Entry], known: Mapping[Month, str]
) -> frozenset[Month]:
    """The months of which no receipt can have been written since they were listed."""
    if before is None:
        return frozenset()
    settled = {
        month
        for month, mark in marks.items()
        if mark.version == before.marks.get(month.name) and mark.modified <= before.listed - LONGEST
    }
    nothing = StoredMonth("", 0)
    return frozenset(
        month
        for month in settled
        if before.months.get(month.name, nothing).version == known.get(month, "")
    )


def _take_in(  # noqa: PLR0913, PLR0917
    ledger: Ledger,
    state: Store,
    month: Month,
    listing: ReceiptSlice,
    known: str | None,
    noted: Mapping[str, StoredMonth],
) -> None:
    """Make a month of the ledger what a listing says, as far as it goes.

    A month that was written when the listing said the same is not even read.
    """
    before, digest = ledger.months.get(month), listing.digest(month)
    if digest and (as_noted := noted.get(month.name)) and as_noted[::2] == (known, digest):
        ledger.months[month] = as_noted
        return
    found, version = listing.units.get(month, {}), before.version if before else known
    old = SCHEMA.empty_table() if version is None else _old(ledger, month)
    keep, kept = list[bool](), set[Unit]()
    for row in old.select(_WHICH).to_pylist():
        unit = unit_of_row(row)
        is_same = found.get(unit) == row["receipt"] if listing.covers(unit) else True
        keep.append(is_same)
        if is_same:
            kept.add(unit)
    changed = sorted(found.keys() - kept)
    if keep and all(keep) and not changed:
        ledger.months[month] = StoredMonth(version or "", _units_in(old), digest)
        return
    ledger.read += len(changed)
    table = pa.concat_tables([old.filter(pa.array(keep, pa.bool_())), _rows(state, changed, found)])
    if not table.num_rows:
        ledger.months.pop(month, None)
        if version:
            with suppress(StorageError):
                state.remove(ledger_key(month), version)
        return
    table = in_order(table)
    try:
        stored = state.swap(ledger_key(month), to_bytes(table), version or None)
        is_as_listed = _units_in(table) == len(found)  # one may be gone again
        ledger.months[month] = StoredMonth(stored, _units_in(table), digest if is_as_listed else "")
    except StorageError as error:
        ledger.months[month] = ledger.hold(month, table, error.what)


def _units_in(table: pa.Table) -> int:
    units: int = pc.sum(table["is_first"]).as_py() or 0
    return units


def _old(ledger: Ledger, month: Month) -> pa.Table:
    """The rows of a month so far; none if they cannot be read, so that receipts are."""
    try:
        return ledger.table(month)
    except (StorageError, OSError, ValueError, LookupError, pa.ArrowException):
        return SCHEMA.empty_table()


def _rows(state: ReadStore, units: Iterable[Unit], versions: Mapping[Unit, str]) -> pa.Table:
    """The rows of receipts, which are read."""

    def ask(unit: Unit) -> list[dict[str, Any]]:
        stored = state.look(StateKeys.of(unit).receipt)
        if stored is None:  # removed after it was listed
            return []
        receipt = decode_receipt(stored.data, unit, Receipt)
        return list(rows_of(unit, stored.version or versions[unit], receipt))

    answers = ahead(ask, units, 1 if state.parallel == 1 else _AT_A_TIME)
    tables = [table_of(chain.from_iterable(some)) for some in _some(answers)]
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def _some(answers: Iterator[list[dict[str, Any]]]) -> Iterator[list[list[dict[str, Any]]]]:
    """Answers in portions, since Python objects take more memory than a table does."""
    while portion := list(islice(answers, 1000)):
        yield portion


def _mark(stores: Stores, months: Iterable[Month]) -> None:
    """Mark months that nobody has marked, so that they are believed from tomorrow on."""
    marks = Marks(stores.state, stores.clock)
    for month in months:
        marks.mark(month.first)
