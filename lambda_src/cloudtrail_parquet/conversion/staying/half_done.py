"""What a run has left that was ended while it replaced parts, if what it left has to stay.

Its new parts do not take the places of old ones until all of them are there (`Run.keep_apart`). So
either all old ones are in place, or all new ones; and the others, as far as they hold nothing else,
can go. Otherwise records would stand twice.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from cloudtrail_parquet.conversion.addition import is_made_alike, options_of
from cloudtrail_parquet.conversion.guard import keys_in, lost_rows
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.staying.forgotten import repeats
from cloudtrail_parquet.conversion.task import WholeTask
from cloudtrail_parquet.layout import Unit, unit_of
from cloudtrail_parquet.settings.rules import Discard
from cloudtrail_parquet.state.notes import Notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, Stores


def is_half_done(notes: Notes[Any]) -> bool:
    """Whether a run was ended that was replacing parts, and not adding to them."""
    return notes.intent is not None and not notes.is_true and notes.intent.adds is None


def may_add(run: Run, kept: Receipt | None) -> bool:
    """Whether the next run adds to the parts of a receipt, if it says that they were kept."""
    is_whole = isinstance(run.task, WholeTask) and bool(run.task.window)
    return is_whole and kept is not None and is_made_alike(kept, run.task.options)


def may_join(run: Run, kept: Receipt) -> bool:
    """Whether the next run adds to parts that stay, if their log files are known by then."""
    is_whole = isinstance(run.task, WholeTask) and bool(run.task.window)
    return is_whole and (may_add(run, kept) or options_of(kept, run.task.options) is not None)


def repeated_parts(run: Run, entries: list[Entry]) -> set[str]:
    """The keys of parts, among those of a unit or shard, without which no record would be lost."""
    task, before, intent = run.task, run.task.last_receipt, run.task.notes.intent
    if task.notes.is_void or (intent is None and before is not None and before.rebuilt):
        return repeats(task.stores.dataset, entries)
    if intent is None or not is_half_done(task.notes):
        return set()
    sizes = {entry.key: entry.size for entry in entries}
    old = before.parts if before else []
    changed = {unit_of(part.key) for part in old if sizes.get(part.key) != part.bytes}
    whole = [part.key for part in old if unit_of(part.key) not in changed]
    new = run.duplicates.keys if may_add(run, before) else _no_keys
    wholes = [whole, intent.puts or ()]
    return _surplus(task.stores, entries, wholes, new, task.options.rows.discard)


def _no_keys(_: date) -> pa.Array:
    return pa.array([], pa.int64())


def _surplus(
    stores: Stores,
    entries: Iterable[Entry],
    wholes: Sequence[Collection[str]],
    new: Callable[[date], pa.Array | pa.ChunkedArray],
    discard: Sequence[Discard],
) -> set[str]:
    """The keys of parts that repeat others, after a replacement was ended half-way.

    Args:
        stores: Source, dataset and state.
        entries: All parts of the unit, or of the shard.
        wholes: The keys of the parts that were to go, and of those that were to come: in each
            partition all of the former are in place, or all of the latter; see `Run.keep_apart`.
        new: The keys of records, by day, that will be added to what stays: int64.
        discard: Rules that may discard rows.
    """
    going, by_target = set[str](), defaultdict[Unit | None, list[Entry]](list)
    for entry in entries:
        by_target[unit_of(entry.key)].append(entry)
    for target, some in by_target.items():
        there = {entry.key for entry in some}
        for keys in wholes:
            stay = {key for key in keys if unit_of(key) == target}
            rest = [entry for entry in some if entry.key not in stay]
            if not stay or not stay <= there or not rest:
                continue
            if not lost_rows(stores, rest, _either(stores, stay, new), "", discard):
                going |= there - stay
                break
    return going


def _either(
    stores: Stores, parts: Collection[str], new: Callable[[date], pa.Array | pa.ChunkedArray]
) -> Callable[[date], pa.Array]:
    """The keys of rows and of records, of which the same one may be both."""
    rows = Counter(keys_in(stores.dataset, sorted(parts)).to_pylist())
    return lambda day: pa.array((rows | Counter(new(day).to_pylist())).elements(), pa.int64())
