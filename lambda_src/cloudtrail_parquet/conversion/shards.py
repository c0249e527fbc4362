"""Completing a split: making one unit of its shards when the last of them is done.

Every shard publishes its parts and writes its receipt while it holds the lease of the unit, and
then checks whether the split is complete: whether all its shards have true receipts of the same
source. If so, what the unit wrote as a whole, or in another split, is removed, and the unit's
receipt is made from those of the shards. Until then the intents of the shards stay, so that an
older receipt of the unit is not believed. The receipts of a complete split stay: its shards may be
converted again, one by one.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date
from typing import Any
from uuid import uuid4

import pyarrow as pa
from msgspec.structs import replace

from cloudtrail_parquet.conversion.addition import may_retry, name_in
from cloudtrail_parquet.conversion.guard import (
    exist,
    lost,
    lost_rows,
    parts_of,
    receipt_from_footers,
    remaining_keys,
)
from cloudtrail_parquet.conversion.leases import HeldLeases
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.task import ShardTask, Task, WholeTask
from cloudtrail_parquet.errors import SupersededError, UsageError
from cloudtrail_parquet.layout import WHOLE, Shard, shard_of
from cloudtrail_parquet.state.figures import Quarantined
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.notes import (
    Notes,
    NotesByShard,
    known_identities,
    read_identities,
    read_notes,
    shard_notes,
)
from cloudtrail_parquet.state.receipt import Receipt, ShardReceipt
from cloudtrail_parquet.state.sums import as_kept, total
from cloudtrail_parquet.wording import counted


class IncompleteSplitError(UsageError):
    """A unit cannot replace what one of its shards has written, since log files of that are gone.

    Attributes:
        shard: The shard.
    """

    def __init__(self, what: str, where: str, hint: str, shard: Shard) -> None:
        super().__init__(what, where, hint)
        self.shard = shard


def guard_others(  # noqa: PLR0913, PLR0917
    others: NotesByShard,
    task: Task[Any],
    before: Receipt | None,
    keys: Callable[[date], pa.Array | pa.ChunkedArray],
    identities: Identities | None,
    held: HeldLeases,
) -> None:
    """Make sure that nothing is lost with the parts of shards that are about to be removed.

    This is about splits that were never completed: the others are covered by the unit's receipt.
    Nothing is lost if all log files of a shard can be read as before, or if all its rows will be in
    the dataset.

    Args:
        others: What the state says about these shards.
        task: What is converted.
        before: The receipt of the unit.
        keys: The keys of all records that there will be, by the day of the partition.
        identities: Of the log files that were read; None if not all were.
        held: The leases that the run holds.

    Raises:
        PartitionsChangedError: All shards were done, and nobody had come to make the unit of them,
            which is done now.
        IncompleteSplitError: Records of a shard may be nowhere else.
    """
    recorded = {part.key for part in before.parts} if before else set[str]()
    for shard, notes in others.items():
        if task.may_shrink or notes.parts <= recorded:
            continue
        if _can_be_read(shard, notes, task, identities):
            continue
        going = parts_of(task.stores.dataset, task.unit, task.options.dataset.layout, shard.__eq__)
        if why := lost_rows(task.stores, going, keys, "", task.options.rows.discard):
            if before is None and isinstance(task, WholeTask) and _finish(task, others, held):
                raise PartitionsChangedError(task.unit.name)
            raise IncompleteSplitError(
                f"shard {shard} would be removed, but {why}",
                task.unit.name,
                f"Convert each of its {counted(shard.of, 'shard')} again, or use replace_shrunk",
                shard,
            )


def _finish(task: WholeTask, others: NotesByShard, held: HeldLeases) -> bool:
    """Make the unit of the shards of a split, if one is complete."""
    facts = {field.name: getattr(task, field.name) for field in fields(task)}
    shards = {shard.split: shard for shard in others}.values()
    of_shards = (ShardTask(**{**facts, "shard": shard, "addition": None}) for shard in shards)
    return any(Split(one).finish(held) is not None for one in of_shards)


def _can_be_read(
    shard: Shard, notes: Notes[ShardReceipt], task: Task[Any], identities: Identities | None
) -> bool:
    """Whether the log files of a shard can be read as before, or at least have not changed."""
    if identities is None:
        receipt = notes.receipt
        return receipt is not None and receipt.source_fingerprint == task.fingerprint
    known = read_identities(task.stores.state, task.unit, [shard])
    return known is not None and not known.missing_in(identities)


class Split:
    """A split of a unit; its methods that write need the unit's lease."""

    def __init__(self, task: ShardTask) -> None:
        """``task`` is the task of one of its shards."""
        self._task, self._unit, self._shard = task, task.unit, task.shard
        self._stores, self._options = task.stores, task.options
        self._layout = task.options.dataset.layout

    def finish(self, held: HeldLeases) -> Receipt | None:
        """Make one unit of the shards, if all of them are done.

        Returns:
            The receipt of the unit that was written; None when a shard is still missing.
        """
        by_shard = shard_notes(self._stores.state, self._unit)
        receipts = self._complete(by_shard)
        if receipts is None:
            return None
        receipt = total(receipts, uuid4().hex)
        receipt.records.check(self._unit.name)
        unit = read_notes(self._stores.state, self._unit)
        only_shards = unit.is_void and any(map(self._is_other, by_shard))
        kept = None if only_shards else self._kept(unit, receipt)
        if kept is not None:
            return self._replace(kept, unit, by_shard, held, goes=self._is_ours)
        return self._replace(receipt, unit, by_shard, held, goes=self._is_other)

    def _is_other(self, shard: Shard) -> bool:
        return shard.split != self._shard.split

    def _is_ours(self, shard: Shard) -> bool:
        return shard.split == self._shard.split

    def keep(self, held: HeldLeases) -> Receipt | None:
        """Remove the split if the source has shrunk since the unit that it is to replace was made.

        That is known from the names of the log files, before any is read.

        Returns:
            The receipt of the unit that was written; None when the split may replace the unit.
        """
        state = self._stores.state
        unit = read_notes(state, self._unit)
        kept = self._kept_unread(unit)
        if kept is None:
            return None
        return self._replace(kept, unit, shard_notes(state, self._unit), held, goes=self._is_ours)

    def check_is_wanted(self) -> None:
        """Make sure that the unit has not been converted otherwise, from the same log files.

        A shard may be tried again long after somebody has converted its unit as a whole: its rows
        would stand beside those of the unit, and no other shard would come to replace these.

        Raises:
            SupersededError: It has, with the same settings, and all its parts are there.
        """
        unit = read_notes(self._stores.state, self._unit)
        before = unit.receipt
        if before is None or not unit.is_true or before.kept or may_retry(before):
            return
        is_same = before.source_fingerprint == self._task.fingerprint
        if not is_same or before.settings != dict(self._options.shaping):
            return
        others = [part for part in before.parts if self._is_other(shard_of(part.key))]
        if others and all(exist((part.key for part in others), self._stores.dataset)):
            what = f"shard {self._shard} is not wanted: the unit has been converted since"
            raise SupersededError(what, self._unit.name, "Nothing is left to do")

    def would_be_kept(self) -> bool:
        """Whether log files are gone that the unit was made of, so that `keep` would keep it."""
        return self._kept_unread(read_notes(self._stores.state, self._unit)) is not None

    def _kept_unread(self, unit: Notes[Receipt]) -> Receipt | None:
        if unit.receipt is None or self._task.may_shrink:
            return None
        known = known_identities(self._stores.state, self._unit, unit)
        why = known.missing_among(self._names()) if known else ""
        return self._as_kept(unit.receipt, why, unit.receipt.quarantined) if why else None

    def _names(self) -> Iterator[str]:
        return (name_in(self._unit, file) for file in self._task.window)

    def _kept(self, unit: Notes[Receipt], new: Receipt) -> Receipt | None:
        """The receipt of a unit that is kept, with the reason; None if the split may replace it."""
        if self._task.may_shrink:
            return None
        state, source = self._stores.state, new.source_fingerprint
        read, identities = new.records.read, self._identities() or Identities()
        why = lost(self._unit, WHOLE, unit, source, read, identities, state)
        if why is None:
            why = self._lost_rows("" if new.quarantined else source)
        return self._as_kept(unit.receipt, why, new.quarantined) if why else None

    def _lost_rows(self, source: str) -> str:
        dataset = self._stores.dataset
        going = parts_of(dataset, self._unit, self._layout, self._is_other)
        keys = remaining_keys(dataset, self._unit, self._layout, self._is_other)
        return lost_rows(self._stores, going, keys, source, self._options.rows.discard)

    def _as_kept(
        self, before: Receipt | None, why: str, quarantined: list[Quarantined]
    ) -> Receipt | None:
        """The receipt of the kept unit; None when none of its parts exists any more."""
        task, dataset, now = self._task, self._stores.dataset, self._stores.now()
        if before is None:
            others = parts_of(dataset, self._unit, self._layout, self._is_other)
            before = receipt_from_footers(dataset, self._unit, others, self._options.dataset, now)
        keys = [part.key for part in before.parts if self._is_other(shard_of(part.key))]
        if not any(exist(keys, dataset)):
            return None
        return as_kept(
            before,
            why,
            source=task.kept_source(before),
            quarantined=quarantined,
            when=now,
            settled=task.is_settled,
            run=uuid4().hex,
        )

    def _identities(self) -> Identities | None:
        """Those of all shards; None if those of one are lost."""
        return read_identities(self._stores.state, self._unit, self._shard.siblings)

    def _complete(self, by_shard: NotesByShard) -> list[ShardReceipt] | None:
        """The receipts of all shards, if all are true and of one source, and their parts exist."""
        receipts: list[ShardReceipt] = []
        for shard in self._shard.siblings:
            notes = by_shard.get(shard, Notes())
            if notes.receipt is None or not notes.is_true:
                return None
            if receipts and notes.receipt.seen != receipts[0].seen:
                return None
            receipts.append(notes.receipt)
        parts = [part.key for receipt in receipts for part in receipt.parts]
        return receipts if all(exist(parts, self._stores.dataset)) else None

    def _replace(
        self,
        receipt: Receipt,
        unit: Notes[Receipt],
        by_shard: NotesByShard,
        held: HeldLeases,
        goes: Callable[[Shard], bool],
    ) -> Receipt:
        """Remove the unit's parts of shards that go, in all partitions, and write its receipt."""
        others = {shard: notes for shard, notes in by_shard.items() if goes(shard)}
        keys = remaining_keys(self._stores.dataset, self._unit, self._layout, goes)
        made_of = self._identities() if goes(WHOLE) else None
        guard_others(others, self._task, unit.receipt, keys, made_of, held)
        identities = made_of
        if not goes(WHOLE):
            identities = known_identities(self._stores.state, self._unit, unit)
        receipt = replace(receipt, identities=b"" if identities is None else identities.few)
        change = Change(
            unit=self._unit,
            shard=WHOLE,
            goes=goes,
            receipt=receipt,
            identities=identities,
            notes=unit,
            unknown=frozenset(),
            others=others,
            finished={shard: notes for shard, notes in by_shard.items() if not goes(shard)},
            partitions=Partitions.unwatched(self._task.entries),
            staging=None,
            forgets=identities is None,
            may_shrink=self._task.may_shrink,
        )
        publish(change, self._stores, self._options.lease, held)
        return receipt
