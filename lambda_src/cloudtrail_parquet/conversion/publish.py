"""The one protocol by which parts are put in place, whoever wrote them; its steps in their order.

docs/architecture.md says what holds after each step. Everything here is done under the lease of
the unit, and a partition is changed only under its own lease as well. Whatever is written or
removed is first checked to be still ours to change, and is changed on condition that it is what
was seen before that check: a run that wakes too late changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.conversion.guard import is_of
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, owner_of, unit_of
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.notes import Intent, Notes, read_notes, shard_notes
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Entry, Lease, Staging, Store, Stores


class PartitionsChangedError(Exception):
    """A partition was changed while parts for it were made, so that they have to be made again."""


class HeldLeases:
    """The leases that a run holds, to be looked at together."""

    def __init__(self, *leases: Lease) -> None:
        self._leases = leases

    def and_(self, lease: Lease) -> "HeldLeases":
        """The same and another one."""
        return HeldLeases(*self._leases, lease)

    def check(self) -> None:
        """Raise if one may have been lost, by the clock; see `Lease.check`."""
        for lease in self._leases:
            lease.check()

    def confirm(self) -> None:
        """Raise if one has been lost, by the store; see `Lease.confirm`."""
        for lease in self._leases:
            lease.confirm()


class Partitions(NamedTuple):
    """How to look at partitions while they are changed.

    Attributes:
        has_changed: Whether somebody has put something into the partition of a day, or taken it
            away, that makes the new parts wrong.
        entries: The parts of a day's partition, as they were when that was asked.
    """

    has_changed: Callable[[date], bool]
    entries: Callable[[date], Iterable[Entry]]


class Change(NamedTuple):
    """What is to be replaced, and by what.

    Attributes:
        unit: Whose parts they are.
        shard: Whose receipt is written: the unit's, or that of a shard.
        goes: Of which shards the parts go that are not written anew.
        receipt: The new receipt; its parts that are not there yet are staged.
        identities: Of the log files that they are made of; None when those noted still are right.
        notes: What the state says of the unit, or of the shard.
        unknown: The keys of parts that the owner has and the state does not tell of.
        others: What it says of shards that are no more when this is done.
        finished: The shards whose receipts stay, and whose intents go with the unit's.
        partitions: How to look at partitions.
        staging: Where the new parts wait; None when they are all there already.
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

    @property
    def new(self) -> frozenset[str]:
        """The keys of the parts that there will be."""
        return frozenset(part.key for part in self.receipt.parts)

    @property
    def touched(self) -> frozenset[str]:
        """The keys of all parts that are written or may have to go, as far as the state knows."""
        others = (one.parts for one in self.others.values())
        return self.new.union(self.notes.parts, self.unknown, *others)


def publish(change: Change, stores: Stores, options: LeaseOptions, held: HeldLeases) -> None:
    """Make the dataset and the state say what a change says.

    Args:
        change: What is to be replaced, and by what.
        stores: Dataset and state.
        options: Of the partitions' leases.
        held: The leases that are held: the unit's, and that of the shard.

    Raises:
        PartitionsChangedError: Somebody else has meanwhile put a record of the new parts into a
            partition: they have to be made again, and published. The intent stays.
        StorageError, LeaseTimeoutError: From step 3 on something may have been replaced; the same
            run again completes it.
    """
    unit, shard, state = change.unit, change.shard, stores.state
    keys = StateKeys.of(unit, shard)
    known = None if change.identities is None else state.look(keys.identities)
    held.confirm()

    # 1. The intent: from here on the receipt that is there is not believed.
    intent = Intent(change.receipt.run, stores.now(), change.touched)
    meant = state.swap(keys.intent, _text(intent), change.notes.intent_version)

    # 2. The log files that the new parts are made of, and no part that stands is made of others.
    if change.identities is not None:
        data = change.identities.to_bytes()
        if known is None or known.data != data:
            held.check()
            state.swap(keys.identities, data, known.version if known else None)

    # 3. One partition after the other, the unit's own first: new parts, then what is left over.
    with _begun(change):
        for target in _targets(change):
            key = partition_lease(target)
            with state.lease(key, options.wait_s, options.expires_s) as lease:
                if change.partitions.has_changed(target.day):
                    raise PartitionsChangedError(target.name)
                _replace(change, target, stores, held.and_(lease))

        # 4. The receipt, of the same run as the intent: from here on it is true.
        held.check()
        version = change.notes.receipt_version
        written = state.swap(keys.receipt, to_text(change.receipt), version)
        if shard != WHOLE:
            _confirm_or_remove(state, keys.receipt, written, held)

        # 5. What is about parts that are no more; then the intents.
        for other, notes in change.others.items():
            _forget(state, StateKeys.of(unit, other), notes, held)
        for other, notes in change.finished.items():
            _remove(state, StateKeys.of(unit, other).intent, notes.intent_version, held)
        if shard == WHOLE:  # a shard's stays until all shards are done
            _remove(state, keys.intent, meant, held)


@contextmanager
def _begun(change: Change) -> Iterator[None]:
    """Say of what goes wrong that something may have been replaced."""
    try:
        yield
    except StorageError as error:
        what, where, _ = error.args
        hint = f"Convert {change.unit.name} again: that completes what has been begun"
        raise type(error)(what, where, hint) from error


def _targets(change: Change) -> list[Unit]:
    """The partitions to look at, as the units of these days: the own one first."""
    others = {unit_of(key) or change.unit for key in change.touched} - {change.unit}
    return [change.unit, *sorted(others)]


def _replace(change: Change, target: Unit, stores: Stores, held: HeldLeases) -> None:
    entries = {entry.key: entry for entry in change.partitions.entries(target.day)}
    held.confirm()
    if change.staging is not None:
        for key in sorted(key for key in change.new if unit_of(key) == target):
            held.check()
            seen = entries[key].version if key in entries else None
            written = change.staging.publish(key, seen)
            _check_after(change, stores, held, {} if seen or not written else {key: written})
    for key, entry in sorted(entries.items()):
        is_ours = is_of(change.unit, owner_of(key, target.day), change.goes)
        if is_ours and key not in change.new:
            held.check()
            stores.dataset.remove(key, entry.version)
            _check_after(change, stores, held, {})


def _check_after(change: Change, stores: Stores, held: HeldLeases, added: dict[str, str]) -> None:
    """Make sure that a change came in time; if a newer run may have been before it, mend that.

    Its condition was right then, all the same: where nothing was, that run has put nothing either,
    or it has put the very bytes that were there. A part that was ``added``, by its version, is
    removed if that run does not tell of it. Otherwise an intent is left; where that run's own still
    lies, the failure of this one has to do, after which it is tried again.

    Raises:
        StorageError: A lease was lost.
    """
    try:
        (held.confirm if added else held.check)()  # clocks may have stood still meanwhile
    except StorageError:
        unit, state = change.unit, stores.state
        with suppress(StorageError):
            told = read_notes(state, unit).parts
            told = told.union(*(one.parts for one in shard_notes(state, unit).values()))
            if added and told.isdisjoint(added):
                for key, version in added.items():
                    stores.dataset.remove(key, version)
            else:
                late = Intent(change.receipt.run, stores.now(), change.touched)
                state.swap(StateKeys.of(unit, change.shard).intent, _text(late), None)
        raise


def _confirm_or_remove(state: Store, key: str, version: str, held: HeldLeases) -> None:
    """Take back a shard's receipt that came after the unit was converted without its shards."""
    try:
        held.confirm()
    except StorageError:
        with suppress(StorageError):
            state.remove(key, version)
        raise


def _text(intent: Intent) -> bytes:
    return msgspec.json.encode(intent, order="deterministic")


def _forget(state: Store, keys: StateKeys, notes: Notes[Any], held: HeldLeases) -> None:
    identities = state.look(keys.identities)
    held.confirm()
    _remove(state, keys.receipt, notes.receipt_version, held)
    _remove(state, keys.identities, identities and identities.version, held)
    _remove(state, keys.intent, notes.intent_version, held)


def _remove(state: Store, key: str, version: str | None, held: HeldLeases) -> None:
    if version is not None:
        held.check()
        state.remove(key, version)
