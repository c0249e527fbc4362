"""Making one unit of its shards, when the last of them is done.

Every shard publishes its parts and writes its receipt while it holds the lease of the unit, and
then looks whether the split is complete: whether all its shards have receipts of the same source.
If so, it removes what the unit wrote when it was whole or split otherwise, and writes the unit's
receipt. A shard's receipt is removed before any of its parts are, so that where there is a
receipt, there are the parts; those that may be left over are noted in an intent before. The
receipts of a complete split stay: its shards may be run again, one by one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from cloudtrail_parquet.collate import Counts
from cloudtrail_parquet.config import Settings
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import (
    WHOLE,
    LogFile,
    Shard,
    Unit,
    owner_of,
    partition,
    shard_of,
    state_key,
    unit_of,
)
from cloudtrail_parquet.receipt import (
    Receipt,
    ShardReceipt,
    as_kept,
    read_receipt,
    read_shard_receipt,
    shard_key,
    total,
    write_receipt,
)
from cloudtrail_parquet.storage import Store, Stores

Check = Callable[[], None]
"""Raises if something must not be replaced any more, since a lease has been lost."""


class Note(NamedTuple):
    """What the state says about a shard.

    Attributes:
        receipt: Its receipt, if there is one that can be read.
        parts: The keys of parts that it has written or was about to write.
    """

    receipt: ShardReceipt | None
    parts: frozenset[str]


def intent_key(unit: Unit, shard: Shard | None = None) -> str:
    """The key of the note of parts that a run of a unit, or of a shard, may leave elsewhere."""
    return (
        state_key("shards", unit, f"/{shard.name}.intent") if shard else state_key("intents", unit)
    )


def read_intent(state: Store, key: str) -> frozenset[str]:
    """The parts that an intent names."""
    text = state.read_if_there(key)
    return frozenset() if text is None else frozenset(msgspec.json.decode(text, type=list[str]))


def notes(state: Store, unit: Unit) -> dict[Shard, Note]:
    """What the state says about the shards of a unit, of all splits."""
    names = {
        entry.key.rpartition("/")[2].partition(".")[0]
        for entry in state.files(state_key("shards", unit, "/"))
    }
    shards = sorted(filter(None, map(Shard.named, names)))
    return {shard: _note(state, unit, shard) for shard in shards}


def _note(state: Store, unit: Unit, shard: Shard) -> Note:
    receipt = read_shard_receipt(state, unit, shard)
    written = {part.key for part in receipt.parts} if receipt else set[str]()
    return Note(receipt, read_intent(state, intent_key(unit, shard)) | written)


def forget(state: Store, unit: Unit, shards: Iterable[Shard]) -> None:
    """Remove the receipts of shards, whose parts are about to be removed."""
    state.delete([shard_key(unit, shard) for shard in shards])


def shrunk(before: Receipt, settings: Settings, listed: int, read: int | None = None) -> str:
    """What an earlier run found in the source and a later one did not, in words; else nothing.

    Args:
        before: The receipt of the earlier run.
        settings: Those of the later run.
        listed: The log files that it found.
        read: The records that it read; None when it has not yet.
    """
    if settings.replace_shrunk or before.folders != settings.folders:
        return ""
    if listed < before.files.listed:
        missing = before.files.listed - listed
        return f"{missing} of {before.files.listed} log files are gone from the source"
    if read is not None and read < before.records.read:
        unread = before.records.read - read
        return f"{unread} of {before.records.read} records can no longer be read"
    return ""


def guard(
    noted: dict[Shard, Note],
    unit: Unit,
    before: Receipt | None,
    window: list[LogFile],
    settings: Settings,
) -> None:
    """Make sure that shards whose parts are about to go were made of nothing that is gone.

    That is for splits that were never completed: what a unit's receipt is about, is compared with
    that as a whole.

    Raises:
        UsageError: They were: what they wrote may stand nowhere else.
    """
    told = {part.key for part in before.parts} if before else set[str]()
    for shard, note in noted.items():
        if note.receipt is not None and not note.parts <= told:
            listed = sum(settings.window.takes(shard, file, unit.day) for file in window)
            if why := shrunk(note.receipt, settings, listed):
                raise UsageError(
                    f"shard {shard} stands, and {why}",
                    unit.name,
                    "Convert its other shards instead, or replace it with replace_shrunk",
                )


def stands(keys: Iterable[str], dataset: Store) -> bool:
    """Whether any of some parts is still there."""
    return any(True for _ in _standing(keys, dataset))


def _standing(keys: Iterable[str], dataset: Store) -> Iterator[str]:
    wanted = set(keys)
    folders = sorted({key.rpartition("/")[0] for key in wanted})
    entries = (entry for folder in folders for entry in dataset.files(f"{folder}/"))
    return (entry.key for entry in entries if entry.key in wanted)


class Split:
    """A split of a unit, to a holder of the unit's lease."""

    def __init__(
        self, unit: Unit, of: int, window: list[LogFile], stores: Stores, settings: Settings
    ) -> None:
        """``of`` is how many shards it has, ``window`` all log files of the unit."""
        self._unit, self._of, self._window = unit, of, window
        self._dataset, self._state, self._settings = stores.dataset, stores.state, settings
        self._now = stores.now

    def finish(self, check: Check) -> Receipt | None:
        """Make one unit of the shards, if all of them are there.

        Returns:
            The unit's receipt, which has been written; None when a shard is still missing.
        """
        receipts = self._complete()
        if receipts is None:
            return None
        receipt = total(receipts)
        Counts(**msgspec.to_builtins(receipt.records)).check(self._unit.name)
        return self.keep(check, receipt) or self._settle(receipt, check, self._is_other)

    def _is_other(self, shard: Shard) -> bool:
        return shard.of != self._of

    def keep(self, check: Check, found: Receipt | None = None) -> Receipt | None:
        """Take the split back if the source has shrunk since what it is to replace was made.

        Args:
            check: Of the leases held.
            found: What all shards found, when they are done.

        Returns:
            The unit's receipt, which has been written; None when the split may replace it.
        """
        kept = self.kept(found)
        return kept and self._settle(kept, check, lambda shard: not self._is_other(shard))

    def kept(self, found: Receipt | None = None) -> Receipt | None:
        """The receipt that says that what the split is to replace is kept, and why."""
        before = read_receipt(self._state, self._unit)
        if before is None:
            return None
        listed = len(self._window) if found is None else found.files.listed
        read = None if found is None else found.records.read
        why = shrunk(before, self._settings, listed, read)
        others = [part.key for part in before.parts if self._is_other(shard_of(part.key))]
        if not why or not stands(others, self._dataset):
            return None
        bad = before.quarantined if found is None else found.quarantined
        return as_kept(before, why, bad, self._now())

    def _complete(self) -> list[ShardReceipt] | None:
        """The receipts of all shards, if they are there and of the same source."""
        receipts: list[ShardReceipt] = []
        for shard in Shard(1, self._of).siblings:
            receipt = read_shard_receipt(self._state, self._unit, shard)
            if receipt is None or (receipts and receipt.seen != receipts[0].seen):
                return None
            receipts.append(receipt)
        parts = [part.key for one in receipts for part in one.parts]
        there = set(_standing(parts, self._dataset)) == set(parts)
        return receipts if there else None

    def _settle(self, receipt: Receipt, check: Check, goes: Callable[[Shard], bool]) -> Receipt:
        """Remove the unit's parts of shards that go, wherever they are, and write its receipt."""
        unit, state = self._unit, self._state
        going = {shard: note for shard, note in notes(state, unit).items() if goes(shard)}
        before, intent = read_receipt(state, unit), intent_key(unit)
        if goes(WHOLE):
            guard(going, unit, before, self._window, self._settings)
        earlier = read_intent(state, intent)
        noted = earlier.union(*(note.parts for note in going.values()))
        noted |= {part.key for part in before.parts} if before else set()
        targets = {unit_of(key) or unit for key in noted} | {unit}
        if len(targets) > 1:
            state.write(intent, msgspec.json.encode(sorted(noted)))
        check()
        forget(state, unit, going)
        for target in sorted(targets):
            key = state_key("leases/partitions", target)
            with state.lease(key, self._settings.lease_wait_s, self._settings.lease_s) as lease:
                entries = self._dataset.files(partition(target, self._settings.partition_layout))
                owners = {one.key: owner_of(one.key, target.day) for one in entries}
                check()
                lease.check()
                self._dataset.delete(
                    [
                        key
                        for key, owner in owners.items()
                        if owner is not None and owner.day == unit.day and goes(owner.shard)
                    ]
                )
        check()
        write_receipt(state, receipt)
        state.delete([intent_key(unit, shard) for shard in going])
        if goes(WHOLE) or not earlier:  # else it is about parts that stay
            state.delete([intent])
        return receipt
