"""What stands of a unit: receipt and parts, as they were seen, and whether they still do."""

from collections.abc import Iterable
from datetime import date
from typing import Self

from msgspec import UNSET

from cloudtrail_parquet.conversion.guard import belongs_to
from cloudtrail_parquet.conversion.leases import HeldLeases, unit_held
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.dataset.parts import parts_in
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, owner_of, shard_of, unit_of
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import Notes, NotesByShard, read_notes, shard_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, Staging, Stores
from cloudtrail_parquet.wording import counted

_CONVERT = "Convert it again: that completes what was begun"
_REBUILD = "Convert its unit again; or remove the receipt of that, and run status --rebuild"
_PUT_BACK = "Put it back; or convert its unit again, if the log files are still there"


class Standing:
    """What stands of a unit.

    Attributes:
        unit: The unit.
        notes: What the state says about it.
        receipt: Its receipt.
        planned: The receipt that a run was about to write that was ended; None if none was.
        entries: The parts of the receipt that there are, by key.
    """

    def __init__(self, unit: Unit, stores: Stores, options: DatasetOptions) -> None:
        """Look at it.

        Raises:
            UsageError: A run has begun to convert it and has not finished, or it has no receipt.
            StorageError: The store did not answer.
        """
        self.unit, self._stores, self._layout = unit, stores, options.layout
        self.notes: Notes[Receipt] = read_notes(stores.state, unit)
        receipt, intent = self.notes.receipt, self.notes.intent
        if receipt is None:
            what = "it has no receipt that can be read"
            hint = "Convert it again, or have status --rebuild make its receipt anew"
            raise UsageError(what, unit.name, hint)
        self.receipt, self.planned = receipt, None
        if not self.notes.is_true:
            if intent is None or intent.planned is UNSET:
                raise UsageError(
                    "a run that was replacing it has not finished", unit.name, _CONVERT
                )
            self.planned = intent.planned
        self._listed: dict[date, list[Entry]] = {}
        self.entries = self._find()

    @property
    def parts(self) -> list[Part]:
        """The parts of its receipt, as the receipt has them."""
        return self.receipt.parts

    def days(self) -> list[date]:
        """The days of the partitions in which it has parts by its receipt, and its own; sorted."""
        days = {each.day for part in self.receipt.parts if (each := unit_of(part.key))}
        return sorted(days | {self.unit.day})

    def _find(self) -> dict[str, Entry]:
        named = {part.key for part in self.receipt.parts}
        found: dict[str, Entry] = {}
        for day in self.days():
            self._listed[day] = parts_in(self._stores.dataset, self.unit.on(day), self._layout)
            for entry in self._listed[day]:
                if entry.key in named:
                    found[entry.key] = entry
                elif belongs_to(self.unit, owner_of(entry.key, day), _any):
                    raise self._unnamed(entry.key)
        return found

    def check_named(self, keys: Iterable[str]) -> None:
        """Make sure that there is none of some parts, unless the receipt names it.

        Raises:
            UsageError: There is.
        """
        named = {part.key for part in [*self.parts, *(self.planned.parts if self.planned else ())]}
        for key in sorted(set(keys) - named):
            day = (unit_of(key) or self.unit).day
            there = parts_in(self._stores.dataset, self.unit.on(day), self._layout)
            if any(entry.key == key for entry in there):
                self.check_notes()  # else somebody has put it since
                raise self._unnamed(key)

    def _unnamed(self, key: str) -> UsageError:
        what = "it is a part that no receipt names"
        return UsageError(what, f"{self._stores.dataset.uri}/{key}", _REBUILD)

    def state_of(self, part: Part) -> Entry | None:
        """A part as it is now; None if it is one that a run has removed that was ended.

        Raises:
            UsageError: It is gone, or not the one that the receipt tells of.
        """
        entry = self.entries.get(part.key)
        where = f"{self._stores.dataset.uri}/{part.key}"
        if entry is None:
            if self._later(part) == 0:
                return None
            raise UsageError("the part is gone", where, _PUT_BACK)
        if self.planned is None and entry.size != part.bytes:
            what = f"the part has {counted(entry.size, 'byte')} in place of {part.bytes:,}"
            raise UsageError(what, where, _PUT_BACK)
        return entry

    def rows_of(self, part: Part) -> set[int]:
        """How many rows a part may have: those that it had, or was to have."""
        return {part.rows} if self.planned is None else {part.rows, self._later(part)}

    def _later(self, part: Part) -> int:
        """How many rows a part was to have; as many as it had, if nothing was begun."""
        if self.planned is None:
            return part.rows
        return next((each.rows for each in self.planned.parts if each.key == part.key), 0)

    def shards(self) -> NotesByShard:
        """What the state says about its shards, as whose receipts the unit's is no sum any more."""
        if all(shard_of(part.key) == WHOLE for part in self.receipt.parts):
            return {}
        return shard_notes(self._stores.state, self.unit)

    def check_notes(self) -> Self:
        """Make sure that the notes are as they were.

        Raises:
            PartitionsChangedError: They are not.
        """
        if read_notes(self._stores.state, self.unit).versions != self.notes.versions:
            raise PartitionsChangedError(self.unit.name)
        return self

    def has_changed(self, day: date) -> bool:
        """List a partition again; returns whether the unit's parts there are others by now."""
        before = self._own(day)
        self._listed[day] = parts_in(self._stores.dataset, self.unit.on(day), self._layout)
        return self._own(day) != before

    def _own(self, day: date) -> set[tuple[str, str]]:
        return {
            (entry.key, entry.version)
            for entry in self._listed.get(day, ())
            if belongs_to(self.unit, owner_of(entry.key, day), _any)
        }

    def publish(
        self,
        receipt: Receipt,
        parts: Iterable[str],
        lease: LeaseOptions,
        early: HeldLeases,
        staging: Staging | None = None,
    ) -> None:
        """Publish a receipt with its parts, if all stands as it was seen.

        Args:
            receipt: What is to be true; the intent holds it.
            parts: The keys of parts, new and old, whose partitions are changed.
            lease: How long leases are waited for and held.
            early: Leases that are held already.
            staging: The new parts; None if there are none.

        Raises:
            PartitionsChangedError: Something else stands by now.
        """
        others = self.shards()
        with unit_held(self.unit, parts, self._stores.state, lease, early) as held:
            self.check_notes()
            if self.has_changed(self.unit.day):
                raise PartitionsChangedError(self.unit.name)
            change = Change(
                unit=self.unit,
                shard=WHOLE,
                goes=lambda _: True,
                receipt=receipt,
                identities=None,
                notes=self.notes,
                unknown=frozenset(),
                others=others,
                finished={},
                partitions=Partitions(self.has_changed, lambda day: self._listed[day]),
                staging=staging,
                is_planned=True,
            )
            publish(change, self._stores, lease, held)


def _any(_: Shard) -> bool:
    return True


def clear_intent(
    unit: Unit, notes: Notes[Receipt], stores: Stores, options: LeaseOptions, early: HeldLeases
) -> None:
    """Remove the intent of a run that was ended after it had written its receipt.

    Raises:
        PartitionsChangedError: The notes are others by now.
    """
    if notes.intent_version is None:
        return
    with unit_held(unit, (), stores.state, options, early) as held:
        if read_notes(stores.state, unit).versions != notes.versions:
            raise PartitionsChangedError(unit.name)
        held.confirm()
        stores.state.remove(StateKeys.of(unit).intent, notes.intent_version)
