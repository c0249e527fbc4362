"""Runs after which the published parts stay: they are kept, or others are added to them.

They are kept when the source has lost some of what they were made of. Where there are none, and no
records for any, that is noted.
"""

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
from cloudtrail_parquet.conversion.leases import HeldLeases
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.staying.half_done import (
    is_half_done,
    may_add,
    may_join,
    repeated_parts,
)
from cloudtrail_parquet.conversion.task import ShardTask
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import WHOLE, Shard, SplitId, shard_of
from cloudtrail_parquet.state.figures import first_of
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import NotesByShard, base_identities, known_identities
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.state.sums import as_kept
from cloudtrail_parquet.storage import Entry


def is_nothing(run: Run) -> bool:
    """Whether a run of a whole unit found nothing, and nothing ever did; it has no parts."""
    task, notes = run.task, run.task.notes
    is_whole = task.shard == WHOLE and task.addition is None
    if not is_whole or run.has_findings or task.has_other_notes():
        return False
    has_nothing = notes.receipt is not None and not notes.parts and notes.intent_version is None
    return (notes.is_void or has_nothing) and not run.published.own(task.unit.day)


def note_nothing(run: Run, seconds: float, held: HeldLeases) -> None:
    """Write the receipt of a unit without records, so that nobody looks at its log files again.

    They were delivered beside its day, in its window.

    Raises:
        PartitionsChangedError: It has parts.
    """
    task = run.task
    if run.published.own(task.unit.day):
        raise PartitionsChangedError(task.unit.name)
    held.confirm()
    key, version = StateKeys.of(task.unit).receipt, task.notes.receipt_version
    task.stores.state.swap(key, to_text(run.receipt(seconds)), version)


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
    why = lost(unit, task.shard, notes, task.fingerprint, read, run.identities, stores.state)
    if going is None and (why is None or (why and task.last_receipt is None)):
        going = parts_of(stores.dataset, unit, options.dataset.layout, task.goes)
    if why is None:
        same = "" if run.quarantined else task.fingerprint
        why = lost_rows(stores, going or (), run.duplicates.keys, same, options.rows.discard)
    if not why:
        return None
    why += task.refused_words
    before = task.last_receipt or _receipt_of(run, going or [])
    if not any(exist((part.key for part in before.parts), stores.dataset)):
        return None
    return as_kept_by(run, before, why)


def keep(run: Run, kept: Receipt, others: NotesByShard, held: HeldLeases) -> Receipt:
    """Write the receipt of a run that keeps the published parts.

    It lists the parts that exist, even if a run has left something half-way or somebody has removed
    a part, since what could mend that is gone. If there are parts of the unit as a whole and of
    splits, those are removed without which nothing would be lost.

    Raises:
        UsageError: Something would be lost without any of them.
        PartitionsChangedError: It was not known which log files the parts lack, as the state was
            lost, or rebuilt, or a run was ended half-way; or a split has been forgotten, which kept
            the run from adding. Repeated, it adds what is new.
    """
    before, receipt = run.task.last_receipt, _write_kept(run, kept, others, held)
    is_first = before is None or is_half_done(run.task.notes) or not before.kept
    is_known = before is not None and run.task.notes.is_true and not before.rebuilt
    is_known = is_known and _identities(run, receipt) is not None
    was_split = bool(others) and all(shard_of(part.key) == WHOLE for part in receipt.parts)
    must_add = is_first and not is_known and may_add(run, receipt)
    if must_add or (was_split and may_join(run, receipt)):
        raise PartitionsChangedError(run.task.unit.name)
    return receipt


def _write_kept(run: Run, kept: Receipt, others: NotesByShard, held: HeldLeases) -> Receipt:
    task, stores, notes = run.task, run.task.stores, run.task.notes
    entries = parts_of(stores.dataset, task.unit, task.options.dataset.layout, task.goes)
    sizes = {entry.key: entry.size for entry in entries}
    is_true = sizes == {part.key: part.bytes for part in kept.parts}
    is_mixed = len({shard_of(entry.key).split for entry in entries}) > 1
    gone, repeated = set[SplitId](), set[str]()
    # Of splits that others have replaced, or were to replace them, and of which nothing is there.
    splits = {shard_of(key).split for key in sizes}
    forgotten = {shard: each for shard, each in others.items() if shard.split not in splits}
    if not is_true or is_mixed or repeated_parts(run, entries):
        recorded = (
            {shard_of(part.key).split for part in kept.parts} if notes.is_true else set[SplitId]()
        )
        gone = _dispensable(run, entries, recorded)
        rest = [entry for entry in entries if shard_of(entry.key).split not in gone]
        repeated = repeated_parts(run, rest)
        rest = [entry for entry in rest if entry.key not in repeated]
        if {entry.key: entry.size for entry in rest} != {p.key: p.bytes for p in kept.parts}:
            kept = as_kept_by(run, _receipt_of(run, rest), kept.kept)
        forgotten = others  # their parts may be gone
    elif notes.intent is None and not any(other.intent for other in others.values()):
        held.confirm()
        key = StateKeys.of(task.unit, task.shard).receipt
        stores.state.swap(key, to_text(kept), notes.receipt_version)
        return kept
    known = _identities(run, kept)
    kept = replace(kept, run=task.run, identities=b"" if known is None else known.few)
    change = Change(
        unit=task.unit,
        shard=task.shard,
        goes=lambda shard: shard.split in gone or (bool(repeated) and task.goes(shard)),
        receipt=kept,
        identities=known,
        notes=notes,
        unknown=frozenset(entry.key for entry in entries),
        others=forgotten,
        finished={shard: each for shard, each in others.items() if shard not in forgotten},
        partitions=Partitions.unwatched(task.entries),
        staging=None,
        forgets=known is None and is_half_done(run.task.notes),
    )
    publish(change, stores, task.options.lease, held)
    return kept


def _identities(run: Run, kept: Receipt) -> Identities | None:
    """Those of the parts that stay, as far as the state tells; None to leave a shard's.

    Without what an unfinished addition has added: its parts go. Of an unfinished replacement the
    parts are all new ones, or all old ones; or it is not known what they were made of.
    """
    notes, task = run.task.notes, run.task
    intent, before = notes.intent, task.last_receipt
    if intent is not None and is_half_done(run.task.notes):
        keys = {part.key for part in kept.parts}
        if before is not None and before.parts == kept.parts and before.identities:
            return Identities.of_bytes(before.identities)
        if not intent.puts or keys != set(intent.puts):
            return None
    if isinstance(task, ShardTask):
        return None
    if intent is not None and intent.adds is not None:
        return base_identities(task.stores.state, task.unit, notes)
    return known_identities(task.stores.state, task.unit, notes)


def _receipt_of(run: Run, entries: list[Entry]) -> Receipt:
    """A receipt for parts that the state does not know, as one of the run's owner."""
    task = run.task
    made = receipt_from_footers(
        task.stores.dataset, task.unit, entries, task.options.dataset, task.stores.now()
    )
    own: Receipt = task.as_own(made)
    return own


def _is_among(splits: set[SplitId], shard: Shard) -> bool:
    return shard.split in splits


def _dispensable(run: Run, entries: list[Entry], recorded: set[SplitId]) -> set[SplitId]:
    """The splits without whose parts nothing would be lost; that of one shard is the whole unit.

    Args:
        run: A run of the unit, or of a shard, which has parts of one split only.
        entries: All parts of its owner.
        recorded: The splits that a true receipt is about, which go last.
    """
    task, gone = run.task, set[SplitId]()
    layout, discard = task.options.dataset.layout, task.options.rows.discard
    splits = {shard_of(entry.key).split for entry in entries}
    for split in sorted(splits, key=lambda split: (split in recorded, -split.of, split)):
        going = [entry for entry in entries if shard_of(entry.key).split == split]
        candidates = gone | {split}
        keys = remaining_keys(
            task.stores.dataset, task.unit, layout, partial(_is_among, candidates)
        )
        if splits - candidates and not lost_rows(task.stores, going, keys, "", discard):
            gone = candidates
    if len(splits - gone) > 1:
        raise UsageError(
            f"it has parts of splits with other numbers of shards ({_numbers(splits - gone)}), "
            "each with records that are no longer in the source",
            task.unit.name,
            "Convert all shards of a split again, or replace it with replace_shrunk",
        )
    return gone


def _numbers(splits: set[SplitId]) -> str:
    return listed(str(split.of) for split in sorted(splits))


def as_kept_by(run: Run, before: Receipt, why: str) -> Receipt:
    """The receipt of a run that keeps the published parts, and why; see `as_kept`."""
    kept = as_kept(
        before,
        why,
        source=run.task.kept_source(before),
        quarantined=first_of(run.quarantined),
        when=run.task.stores.now(),
        settled=run.task.is_settled,
        run=before.run,
    )
    if isinstance(run.task, ShardTask):
        return replace(kept, seen=run.task.seen)
    return kept
