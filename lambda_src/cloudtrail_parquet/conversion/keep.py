"""Runs after which the published parts stay: they are kept, or others are added to them.

They are kept when the source has lost some of what they were made of. Where there are none, and no
records for any, that is noted.
"""

from datetime import date
from functools import partial

import pyarrow as pa
from msgspec.structs import replace

from cloudtrail_parquet.conversion.addition import Addition, day_of_part, is_made_alike
from cloudtrail_parquet.conversion.guard import (
    exist,
    lost,
    lost_rows,
    parts_of,
    receipt_from_footers,
    remaining_keys,
)
from cloudtrail_parquet.conversion.publish import (
    Change,
    HeldLeases,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.task import ShardTask
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import WHOLE, Shard, SplitId, shard_of
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.state.figures import first_of
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import NotesByShard, base_identities, known_identities
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.state.sums import as_kept, with_addition
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
        PartitionsChangedError: Their receipt was rebuilt. Which log files are new is not known, so
            all are read once more, to be added to what is kept.
    """
    before, receipt = run.task.last_receipt, _write_kept(run, kept, others, held)
    is_first = before is not None and before.rebuilt and not before.kept
    is_whole = not isinstance(run.task, ShardTask) and bool(run.task.window)
    if is_first and is_whole and is_made_alike(receipt, run.task.options):
        raise PartitionsChangedError(run.task.unit.name)
    return receipt


def _write_kept(run: Run, kept: Receipt, others: NotesByShard, held: HeldLeases) -> Receipt:
    task, stores, notes = run.task, run.task.stores, run.task.notes
    entries = parts_of(stores.dataset, task.unit, task.options.dataset.layout, task.goes)
    sizes = {entry.key: entry.size for entry in entries}
    is_true = sizes == {part.key: part.bytes for part in kept.parts}
    is_mixed = len({shard_of(entry.key).split for entry in entries}) > 1
    gone = set[SplitId]()
    # Of a split that another one has replaced, if that was ended before it had forgotten it.
    forgotten = {
        shard: each for shard, each in others.items() if each.parts and each.parts.isdisjoint(sizes)
    }
    if not is_true or is_mixed:
        recorded = (
            {shard_of(part.key).split for part in kept.parts} if notes.is_true else set[SplitId]()
        )
        gone = _dispensable(run, entries, recorded)
        rest = [entry for entry in entries if shard_of(entry.key).split not in gone]
        kept = as_kept_by(run, _receipt_of(run, rest), kept.kept)
        forgotten = others  # their parts may be gone
    elif notes.intent is None and not any(other.intent for other in others.values()):
        held.confirm()
        key = StateKeys.of(task.unit, task.shard).receipt
        stores.state.swap(key, to_text(kept), notes.receipt_version)
        return kept
    known = _identities(run)
    kept = replace(kept, run=task.run, identities=b"" if known is None else known.few)
    change = Change(
        unit=task.unit,
        shard=task.shard,
        goes=partial(_is_among, gone),
        receipt=kept,
        identities=known,
        notes=notes,
        unknown=frozenset(entry.key for entry in entries),
        others=forgotten,
        finished={shard: each for shard, each in others.items() if shard not in forgotten},
        partitions=Partitions.unwatched(task.entries),
        staging=None,
    )
    publish(change, stores, task.options.lease, held)
    return kept


def _identities(run: Run) -> Identities | None:
    """Those of the parts that stay, as far as the state tells; None to leave a shard's.

    Without what an unfinished addition has added: its parts go.
    """
    notes, task = run.task.notes, run.task
    if isinstance(task, ShardTask):
        return None
    if notes.intent is not None and notes.intent.adds is not None:
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


def added_receipt(run: Run, addition: Addition, seconds: float) -> Receipt:
    """The receipt of the parts that stay and of those that a run adds."""
    again = {writable(file.key) for file in addition.again}
    before, added = addition.before, run.receipt(seconds)
    receipt = with_addition(before, added, addition.fingerprint, again)
    is_known = addition.known is not None
    receipt = replace(receipt, identities=added.identities if is_known else b"")
    if not addition.gone:
        return receipt
    why = addition.gone + run.task.refused_words
    return replace(receipt, status="partial", kept=why, kept_source=run.task.fingerprint)


def add(run: Run, addition: Addition, seconds: float, held: HeldLeases) -> Receipt:
    """Publish the parts of an addition.

    What an addition that ended half-way has left behind is removed, if nothing of it would be lost;
    else it is adopted, and the run is repeated as an addition to that as well.

    Returns:
        The receipt that was written.

    Raises:
        PartitionsChangedError: The run has to be repeated.
    """
    task = run.task
    left = _left_behind(run, addition)
    is_split = not task.was_split and any(shard_of(entry.key) != WHOLE for entry in left)
    if is_split or not addition.is_in_place(run.published.at):
        raise PartitionsChangedError(task.unit.name)

    def keys(day: date) -> pa.ChunkedArray:
        stay = addition.keys(task.stores.dataset, day)
        return pa.chunked_array([*run.duplicates.keys(day).chunks, stay], pa.int64())

    if why := lost_rows(task.stores, left, keys, "", task.options.rows.discard):
        _adopt(run, addition, left, why, held)
        raise PartitionsChangedError(task.unit.name)
    receipt = added_receipt(run, addition, seconds)
    identities = None if addition.known is None else run.identities
    before = addition.known.counts if addition.known else run.identities.counts
    change = _change(run, receipt, identities, left)._replace(
        partitions=Partitions(
            lambda day: run.published.refresh(day, run.duplicates.keys(day)), run.published.latest
        ),
        staging=run.staging,
        staged=frozenset(part.key for part in receipt.parts) - addition.kept,
        adds=frozenset(run.identities.counts) - frozenset(before),
    )
    publish(change, task.stores, task.options.lease, held)
    return receipt


def _adopt(run: Run, addition: Addition, left: list[Entry], why: str, held: HeldLeases) -> None:
    """Make parts that an unfinished addition has left behind parts of the unit's receipt."""
    task, before, now = run.task, addition.before, run.task.stores.now()
    dataset = task.options.dataset
    adopted = receipt_from_footers(task.stores.dataset, task.unit, left, dataset, now)
    receipt = replace(
        with_addition(before, adopted, before.source_fingerprint),
        status="partial",
        kept=f"{addition.gone}; {why}" if addition.gone else why,
        kept_source=before.source_fingerprint,
        settled=before.settled,
        run=task.run,
        identities=b"" if addition.known is None else addition.known.few,
    )
    publish(_change(run, receipt, addition.known, left), task.stores, task.options.lease, held)


def _change(run: Run, receipt: Receipt, identities: Identities | None, left: list[Entry]) -> Change:
    """A change that leaves all parts of a receipt as they are."""
    task = run.task
    return Change(
        unit=task.unit,
        shard=task.shard,
        goes=task.goes,
        receipt=receipt,
        identities=identities,
        notes=task.notes,
        unknown=frozenset(entry.key for entry in left),
        others={},
        finished={},
        partitions=Partitions.unwatched(task.entries),
        staging=None,
    )


def _left_behind(run: Run, addition: Addition) -> list[Entry]:
    """The unit's parts that its receipt does not name."""
    task = run.task
    own = {entry.key: entry for entry in run.published.own(task.unit.day)}
    named = task.notes.parts - own.keys()
    for day in {day for day in map(day_of_part, named) if day is not None}:
        own |= {entry.key: entry for entry in task.entries(day) if entry.key in named}
    return [entry for key, entry in sorted(own.items()) if key not in addition.kept]
