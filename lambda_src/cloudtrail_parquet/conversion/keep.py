"""Keeping what is published, when the source has lost some of what it was made of."""

from functools import partial

from msgspec.structs import replace

from cloudtrail_parquet.conversion.guard import (
    exist,
    lost,
    lost_rows,
    parts_of,
    receipt_from_footers,
    remaining_keys,
)
from cloudtrail_parquet.conversion.publish import Change, HeldLeases, Partitions, publish
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.task import ShardTask
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Shard, shard_of
from cloudtrail_parquet.state.figures import first_of
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import NotesByShard
from cloudtrail_parquet.state.receipt import Receipt, as_kept, to_text
from cloudtrail_parquet.storage import Entry


def unrecorded_parts(run: Run) -> list[Entry] | None:
    """All parts of the run's owner, if the state does not know them all; None if it does.

    A unit that has parts, and nothing in the state, is one whose state was lost.
    """
    task, notes = run.task, run.task.notes
    if notes.names_all_parts or (notes.is_void and not run.published.own(task.unit.day)):
        return None
    return parts_of(task.stores.dataset, task.unit, task.options.dataset.layout, task.goes)


def kept_receipt(run: Run, unrecorded: list[Entry] | None) -> Receipt | None:
    """The receipt of a run that keeps the published parts, as the source has lost some of them.

    Args:
        run: A run that has read the source.
        unrecorded: See `unrecorded_parts`.

    Returns:
        None when nothing would be lost, so that the parts may be replaced.
    """
    task, unit, notes, stores = run.task, run.task.unit, run.task.notes, run.task.stores
    options = task.options
    if task.may_shrink or (notes.is_void and unrecorded is None):
        return None
    read, going = run.collation.counts.read, unrecorded
    why = lost(unit, [task.shard], notes, task.fingerprint, read, run.identities, stores.state)
    if going is None and (why is None or (why and task.last_receipt is None)):
        going = parts_of(stores.dataset, unit, options.dataset.layout, task.goes)
    if why is None:
        same = "" if run.quarantined else task.fingerprint
        why = lost_rows(stores, going or (), run.duplicates.keys, same, options.rows.discard)
    if not why:
        return None
    if task.refused:
        why += f"; {listed(task.refused_names)} may not be listed"
    before = task.last_receipt or _receipt_of(run, going or [])
    if not any(exist((part.key for part in before.parts), stores.dataset)):
        return None
    return _as_kept(run, before, why)


def keep(run: Run, kept: Receipt, others: NotesByShard, held: HeldLeases) -> Receipt:
    """Write the receipt of a run that keeps the published parts.

    It lists the parts that exist, even if a run has left something half-way or somebody has removed
    a part, since what could mend that is gone. If there are parts of the unit as a whole and of
    splits, those are removed without which nothing would be lost.

    Raises:
        UsageError: Something would be lost without any of them.
    """
    task, stores, notes = run.task, run.task.stores, run.task.notes
    entries = parts_of(stores.dataset, task.unit, task.options.dataset.layout, task.goes)
    sizes = {entry.key: entry.size for entry in entries}
    is_true = sizes == {part.key: part.bytes for part in kept.parts}
    is_mixed = len({shard_of(entry.key).of for entry in entries}) > 1
    gone, forgotten = set[int](), NotesByShard()
    if not is_true or is_mixed:
        recorded = {shard_of(part.key).of for part in kept.parts} if notes.is_true else set[int]()
        gone = _dispensable(run, entries, recorded)
        rest = [entry for entry in entries if shard_of(entry.key).of not in gone]
        kept = _as_kept(run, _receipt_of(run, rest), kept.kept)
        forgotten = others  # their parts may be gone
    elif notes.intent is None and not any(other.intent for other in others.values()):
        held.confirm()
        key = StateKeys.of(task.unit, task.shard).receipt
        stores.state.swap(key, to_text(kept), notes.receipt_version)
        return kept
    kept = replace(kept, run=task.run)
    change = Change(
        unit=task.unit,
        shard=task.shard,
        goes=partial(_is_among, gone),
        receipt=kept,
        identities=None,
        notes=notes,
        unknown=frozenset(entry.key for entry in entries),
        others=forgotten,
        finished={} if forgotten else others,
        partitions=Partitions.unwatched(task.entries),
        staging=None,
    )
    publish(change, stores, task.options.lease, held)
    return kept


def _receipt_of(run: Run, entries: list[Entry]) -> Receipt:
    """A receipt for parts that the state does not know, as one of the run's owner."""
    task = run.task
    made = receipt_from_footers(
        task.stores.dataset, task.unit, entries, task.options.dataset, task.stores.now()
    )
    own: Receipt = task.as_own(made)
    return own


def _is_among(splits: set[int], shard: Shard) -> bool:
    return shard.of in splits


def _dispensable(run: Run, entries: list[Entry], recorded: set[int]) -> set[int]:
    """The splits without whose parts nothing would be lost, by their number of shards; 1 is whole.

    Args:
        run: A run of the unit, or of a shard, which has parts of one split only.
        entries: All parts of its owner.
        recorded: The splits that a true receipt is about, which go last.
    """
    task, gone = run.task, set[int]()
    layout, discard = task.options.dataset.layout, task.options.rows.discard
    splits = {shard_of(entry.key).of for entry in entries}
    for split in sorted(splits, key=lambda of: (of in recorded, -of)):
        going = [entry for entry in entries if shard_of(entry.key).of == split]
        candidates = gone | {split}
        keys = remaining_keys(
            task.stores.dataset, task.unit, layout, partial(_is_among, candidates)
        )
        if splits - candidates and not lost_rows(task.stores, going, keys, "", discard):
            gone = candidates
    if len(splits - gone) > 1:
        raise UsageError(
            f"it has parts of splits of {listed(map(str, splits - gone))} shards (1 is whole), "
            "each with records that are no longer in the source",
            task.unit.name,
            "Convert all shards of a split again, or replace it with replace_shrunk",
        )
    return gone


def _as_kept(run: Run, before: Receipt, why: str) -> Receipt:
    kept = as_kept(
        before,
        why,
        source=run.task.fingerprint,
        quarantined=first_of(run.quarantined),
        when=run.task.stores.now(),
        settled=run.task.is_settled,
        run=before.run,
    )
    if isinstance(run.task, ShardTask):
        return replace(kept, seen=run.task.seen)
    return kept
