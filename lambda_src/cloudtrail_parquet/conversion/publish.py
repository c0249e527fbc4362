"""The publishing protocol, by which all parts are put in place; its steps in order.

docs/architecture.md says what holds after each step. Everything here is done under the lease of
the unit, and a partition is changed only under its own lease as well. Before anything is written or
removed, the leases are checked, and the change is made on condition that its object is still the
one seen before that check: a run that wakes too late changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.conversion.guard import belongs_to
from cloudtrail_parquet.conversion.leases import HeldLeases
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, owner_of, unit_of
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.notes import Intent, Notes, read_notes, shard_notes
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Entry, Staging, Store, Stored, Stores


class PartitionsChangedError(Exception):
    """A partition has changed while parts for it were made, so they have to be made again."""


class Partitions(NamedTuple):
    """How partitions are listed while they are changed.

    Attributes:
        refresh: Lists the partition of a day; returns whether others have added or removed
            something there that makes the new parts wrong.
        entries: The parts of a day's partition, as listed by ``refresh``.
    """

    refresh: Callable[[date], bool]
    entries: Callable[[date], Iterable[Entry]]

    @classmethod
    def unwatched(cls, entries: Callable[[date], Iterable[Entry]]) -> "Partitions":
        """For a change that adds no rows, so that nothing that others publish makes it wrong."""
        return cls(lambda _: False, entries)


class Change(NamedTuple):
    """What is to be replaced, and by what.

    Attributes:
        unit: The unit that owns the parts.
        shard: The shard whose receipt is written; `WHOLE` for the unit's.
        goes: Whether parts of a shard are removed, unless they are among the new ones.
        receipt: The new receipt; those of its parts that are not published yet are staged.
        identities: Of the log files that the parts are made of; None to leave the stored ones. They
            are stored unless the receipt has them.
        notes: What the state says about the unit, or about the shard.
        unknown: The keys of parts that the owner has and the state does not know.
        others: What the state says about shards that no longer exist when this is done.
        finished: The shards whose receipts stay, and whose intents are removed with the unit's.
        partitions: How partitions are listed.
        staging: Holds the new parts; None when all of them are published already.
        staged: The keys of the parts that are in it; None for all of the receipt's.
        adds: See `Intent`.
        forgets: Whether the stored identities are removed: it is not known which log files the
            parts are made of.
        may_shrink: Whether records may go that others have left out as repeated.
        is_planned: Whether the intent holds the receipt, by which another run can complete it.
    """

    unit: Unit
    shard: Shard
    goes: Callable[[Shard], bool]
    receipt: Receipt
    identities: Identities | None
    notes: Notes[Any]
    unknown: frozenset[str]
    others: dict[Shard, Notes[Any]]
    finished: dict[Shard, Notes[Any]]
    partitions: Partitions
    staging: Staging | None
    staged: frozenset[str] | None = None
    adds: frozenset[int] | None = None
    forgets: bool = False
    may_shrink: bool = False
    is_planned: bool = False

    def listed(self, target: Unit) -> dict[str, Entry]:
        """The parts in a unit's partition, by key."""
        return {entry.key: entry for entry in self.partitions.entries(target.day)}

    @property
    def new(self) -> frozenset[str]:
        """The keys of the parts that there will be."""
        return frozenset(part.key for part in self.receipt.parts)

    @property
    def is_first_part(self) -> bool:
        """Whether a single part is put where the unit has none; nothing else is touched.

        Until it has a receipt, its unit is found as one that was never converted.
        """
        is_new = self.shard == WHOLE and self.notes.is_void and not (self.unknown or self.others)
        own = all(unit_of(key) == self.unit for key in self.new)
        return is_new and own and len(self.new) <= 1 and not self.finished

    @property
    def may_change_identities(self) -> bool:
        """Whether those in an object of their own are written; or removed, as the receipt has them.

        Beside a receipt that had them as well there is no such object.
        """
        if not self.receipt.identities:
            return self.forgets or self.identities is not None
        before = self.notes.receipt
        return not self.notes.is_void and not (before and before.identities)

    def intent(self, stores: Stores) -> Intent:
        """The intent of this change."""
        run, few = self.receipt.run, self.receipt.identities
        planned = self.receipt if self.is_planned else msgspec.UNSET
        return Intent(run, stores.now(), self.touched, self.adds, few, planned, self.puts)

    @property
    def puts(self) -> frozenset[str]:
        """The keys of the parts that are put in place, or are there already."""
        return self.new if self.staged is None else self.staged

    @property
    def touched(self) -> frozenset[str]:
        """The keys of all parts that are written or may be removed, as far as they are known."""
        notes = (self.notes, *self.others.values())
        return self.new.union(self.unknown, *(each.parts for each in notes))


def publish(change: Change, stores: Stores, options: LeaseOptions, held: HeldLeases) -> None:
    """Apply a change to the dataset and the state; the unit's own partition was listed before.

    Args:
        change: What is to be replaced, and by what.
        stores: Source, dataset and state.
        options: How the leases of partitions are held.
        held: The lease of the unit's own partition, and what else the run holds.

    Raises:
        PartitionsChangedError: Others have meanwhile put a record of the new parts into a
            partition, so these have to be made again. The intent stays.
        StorageError, LeaseTimeoutError: From step 3 on something may have been replaced; converting
            the unit again completes it.
    """
    unit, shard, state = change.unit, change.shard, stores.state
    keys = StateKeys.of(unit, shard)
    stored = state.look(keys.identities) if change.may_change_identities else None
    own = change.listed(unit)
    held.confirm()

    # 1. The intent: from here on the old receipt is not believed. There may be none to believe.
    intent_version = None
    if not change.is_first_part:
        intent_version = state.swap(
            keys.intent, change.intent(stores).to_text(), change.notes.intent_version
        )

    # 2. The identities: no part of the unit, old or new, is made of other log files than these.
    _store_identities(change, state, stored, held)

    # 3. One partition after the other, the unit's own first: add new parts, then remove old ones.
    with _begun(change):
        _replace(change, unit, own, stores, held)
        for target in _others(change):
            if target in held.later:
                _replace_elsewhere(change, target, stores, held)
                continue
            key = partition_lease(target)
            with state.lease(key, options.wait_s, options.expires_s) as lease:
                _replace_elsewhere(change, target, stores, held.plus(lease))

        # 4. The receipt, of the same run as the intent: from here on it is believed.
        held.check()
        text, old_version = to_text(change.receipt), change.notes.receipt_version
        new_version = state.swap(keys.receipt, text, old_version)
        if shard != WHOLE:
            _confirm_or_remove(state, keys.receipt, new_version, held)

        # 5. Remove what is about shards that no longer exist; then the intents.
        for other, notes in change.others.items():
            _forget(state, StateKeys.of(unit, other), notes, held)
        for other, notes in change.finished.items():
            _remove(state, StateKeys.of(unit, other).intent, notes.intent_version, held)
        if shard == WHOLE:  # a shard's stays until all shards are done
            _remove(state, keys.intent, intent_version, held)


def _store_identities(
    change: Change, state: Store, stored: Stored | None, held: HeldLeases
) -> None:
    """Write the identities in an object of their own, or remove it, as the intent has them."""
    key = StateKeys.of(change.unit, change.shard).identities
    if change.receipt.identities or change.forgets:
        _remove(state, key, stored and stored.version, held)
    elif change.identities is not None:
        data = change.identities.to_bytes()
        if stored is None or stored.data != data:
            held.check()
            state.swap(key, data, stored.version if stored else None)


@contextmanager
def _begun(change: Change) -> Iterator[None]:
    """Add to errors that something may have been replaced, and how to complete it."""
    try:
        yield
    except StorageError as error:
        what, where, _ = error.args
        hint = f"Convert {change.unit.name} again: that completes what was begun"
        raise type(error)(what, where, hint) from error


def _others(change: Change) -> list[Unit]:
    """The partitions to change beside the unit's own one, as the units of their days."""
    return sorted({unit_of(key) or change.unit for key in change.touched} - {change.unit})


def _replace_elsewhere(change: Change, target: Unit, stores: Stores, held: HeldLeases) -> None:
    if change.partitions.refresh(target.day):
        raise PartitionsChangedError(target.name)
    entries = change.listed(target)
    held.confirm()
    _replace(change, target, entries, stores, held)
    if not change.may_shrink:
        return
    stood = any(belongs_to(change.unit, owner_of(key, target.day), change.goes) for key in entries)
    notes = read_notes(stores.state, target) if stood else None
    if notes is not None and notes.receipt is not None and notes.is_true:
        # Perhaps its unit has left out as repeated what has just gone: it is converted again.
        run, few = change.receipt.run, notes.receipt.identities
        text = Intent(run, stores.now(), notes.parts, identities=few).to_text()
        stores.state.swap(StateKeys.of(target).intent, text, None)


def _replace(
    change: Change, target: Unit, entries: dict[str, Entry], stores: Stores, held: HeldLeases
) -> None:
    """Change one partition: publish the new parts, then remove the owner's others.

    At most one new part is to take the place of another one with other rows. That comes last, so
    that all rows stand at any moment; see `Run.keep_apart`.

    Args:
        change: What is to be replaced, and by what.
        target: The unit of the partition.
        entries: The parts in it by key, as listed before the leases were confirmed.
        stores: Source, dataset and state.
        held: The leases, of which one is that of the partition.
    """
    if change.staging is not None:
        puts = (key for key in change.puts if unit_of(key) == target)
        for key in sorted(puts, key=lambda key: (key in entries, key)):
            held.check()
            old_version = entries[key].version if key in entries else None
            version = change.staging.publish(key, old_version)
            is_added = bool(version) and not old_version
            _check_after(change, stores, held, {key: version} if is_added else {})
    for key, entry in sorted(entries.items()):
        is_ours = belongs_to(change.unit, owner_of(key, target.day), change.goes)
        if is_ours and key not in change.new:
            held.check()
            stores.dataset.remove(key, entry.version)
            _check_after(change, stores, held, {})


def _check_after(change: Change, stores: Stores, held: HeldLeases, added: dict[str, str]) -> None:
    """Make sure that a change came in time; if a newer run may have come before it, mend that.

    The condition of the change did hold: where there was nothing, the newer run has put nothing
    either, or it has put the very bytes that were there. A part that was ``added``, by its version,
    is removed if the newer run does not know it. Otherwise an intent is left behind, and so it is
    if the newer run has put the same bytes meanwhile; where the newer run's own intent is still
    there, this run's failure has to do, after which it is retried.

    Raises:
        StorageError: A lease was lost.
    """
    try:
        if added:  # clocks may have stood still meanwhile
            held.confirm()
        else:
            held.check()
    except StorageError:
        with suppress(StorageError):
            is_known = not added or _are_known(change, stores, added)
            if not is_known:
                for key, version in added.items():
                    stores.dataset.remove(key, version)
            if is_known or _are_known(change, stores, added):
                key = StateKeys.of(change.unit, change.shard).intent
                stores.state.swap(key, change.intent(stores).to_text(), None)
        raise


def _are_known(change: Change, stores: Stores, parts: Iterable[str]) -> bool:
    """Whether any notes of a unit tell of some parts."""
    unit, state = change.unit, stores.state
    known = read_notes(state, unit).parts
    known = known.union(*(notes.parts for notes in shard_notes(state, unit).values()))
    return not known.isdisjoint(parts)


def _confirm_or_remove(state: Store, key: str, version: str, held: HeldLeases) -> None:
    """Take back a shard's receipt if it came after the unit was converted as a whole."""
    try:
        held.confirm()
    except StorageError:
        with suppress(StorageError):
            state.remove(key, version)
        raise


def _forget(state: Store, keys: StateKeys, notes: Notes[Any], held: HeldLeases) -> None:
    """Remove everything that the state has about a shard."""
    identities = state.look(keys.identities)
    held.confirm()
    _remove(state, keys.receipt, notes.receipt_version, held)
    _remove(state, keys.identities, identities and identities.version, held)
    _remove(state, keys.intent, notes.intent_version, held)


def _remove(state: Store, key: str, version: str | None, held: HeldLeases) -> None:
    if version is not None:
        held.check()
        state.remove(key, version)
