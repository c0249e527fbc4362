"""One unit, from its log files to its parts and its receipt."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from cloudtrail_parquet.conversion.guard import lost, lost_rows, parts_of, receipt_of_parts, staying
from cloudtrail_parquet.conversion.publish import Change, HeldLeases, Partitions, publish
from cloudtrail_parquet.conversion.run import Run, Task
from cloudtrail_parquet.conversion.shards import Shards, Split, are_there, guard_others
from cloudtrail_parquet.errors import LeaseTimeoutError, UsageError, listed
from cloudtrail_parquet.layout import WHOLE, LogFile, Shard, Unit, shard_of, state_key
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.notes import read_notes, shard_notes
from cloudtrail_parquet.state.receipt import (
    Receipt,
    ShardReceipt,
    as_kept,
    first_of,
    receipt_key,
    to_text,
)
from cloudtrail_parquet.storage import Entry, Lease, Stores, open_store

_ATTEMPTS = 10


def convert_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    admit: Callable[[list[LogFile]], None] | None = None,
    shard: Shard = WHOLE,
) -> Receipt | None:
    """Convert one unit, or a shard of it: replace in the dataset all that it owns.

    A whole unit owns also what was written when it was split. A shard owns what it has written
    itself; with the last shard of a split all else that the unit has written goes, and the unit's
    receipt is made of the shards'. Until then, what was converted before stands beside them.

    Args:
        unit: What to convert.
        trails: The prefixes of the source below which the days of the unit's account and region
            lie, as `discover.discover` finds them.
        stores: Where everything is.
        settings: How to do it.
        admit: Is shown the log files before any is read, and may raise to prevent that.
        shard: Which of the unit's log files to read. Shards may be converted in any order, at the
            same time, and again.

    Returns:
        The receipt, of the unit or of the shard, which has been written; None when there was
        nothing to convert and nothing had ever been converted.

    Raises:
        StorageError, LeaseTimeoutError, ReconciliationError: Nothing was replaced, or, when a
            store fails amid replacing, the same run again completes it.
        UsageError: Shards of a split that was never completed were made of log files that are gone
            from the source.
    """
    started = stores.clock.monotonic()
    wait_s, lease_s = settings.lease_wait_s, settings.lease_s
    with stores.state.lease(_lease_key(unit, shard), wait_s, lease_s) as lease:
        task = Task.of(unit, trails, stores, settings, shard)
        if task.is_void:
            return None
        if admit is not None:
            admit(task.files)
        if shard != WHOLE and (kept := _kept_split(task, lease)):
            return kept
        for attempt in range(_ATTEMPTS):
            with stores.dataset.staging() as staging:
                run = Run(task, staging)
                run.read()
                if shard == WHOLE and not run.matters and _is_unknown(run):
                    return None
                with _turn(task, lease) as held:
                    if attempt or shard != WHOLE:
                        run.note_again()
                    receipt = _publish(run, stores.clock.monotonic() - started, held)
                    if receipt is not None and shard != WHOLE:
                        Split(task).finish(held)
            if receipt is not None:
                return receipt
        raise LeaseTimeoutError(
            f"its partitions changed {_ATTEMPTS} times while it was read",
            unit.name,
            "Run it again later",
        )


def preview_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    shard: Shard = WHOLE,
    admit: Callable[[list[LogFile]], None] | None = None,
) -> Receipt | None:
    """What `convert_unit` would do, as the receipt that it would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = stores.clock.monotonic()
    task = Task.of(unit, trails, stores, settings, shard)
    if task.is_void:
        return None
    if admit is not None:
        admit(task.files)
    with TemporaryDirectory() as folder, open_store(folder).staging() as staging:
        run = Run(task, staging)
        run.read()
        if shard == WHOLE and not run.matters and _is_unknown(run):
            return None
        return _kept(run, _untold(run)) or run.receipt(stores.clock.monotonic() - started)


def _is_unknown(run: Run) -> bool:
    """Whether there is nothing of a unit, nor of shards of it: neither notes nor parts."""
    task = run.task
    if not task.noted.is_void or shard_notes(task.stores.state, task.unit):
        return False
    return not run.published.own(task.unit.day)


def _lease_key(unit: Unit, shard: Shard) -> str:
    if shard == WHOLE:
        return state_key("leases/units", unit)
    return state_key("leases/shards", unit, f"/{shard.name}.json")


@contextmanager
def _turn(task: Task, lease: Lease) -> Iterator[HeldLeases]:
    """Hold the unit's lease, which a shard needs only while it replaces something.

    So shards are read at the same time and published one after the other, and none of them while
    the whole unit is converted.
    """
    if task.shard == WHOLE:
        yield HeldLeases(lease)
        return
    settings = task.settings
    key = _lease_key(task.unit, WHOLE)
    with task.stores.state.lease(key, settings.lease_wait_s, settings.lease_s) as turn:
        yield HeldLeases(lease, turn)


def _kept_split(task: Task, lease: Lease) -> Receipt | None:
    """The unit's receipt if a split of it must not replace it, since log files are gone."""
    split = Split(task)
    if split.would_keep(read_notes(task.stores.state, task.unit)) is None:
        return None
    with _turn(task, lease) as held:
        return split.keep(held)


def _publish(run: Run, seconds: float, held: HeldLeases) -> Receipt | None:
    """Put the parts in place and remove what this run's owner had there before, or keep that.

    Returns:
        The receipt, which has been written; None when the run has to be repeated.
    """
    task, state, shard = run.task, run.task.stores.state, run.task.shard
    others = shard_notes(state, task.unit) if shard == WHOLE else {}
    unknown = _untold(run)
    only_shards = task.noted.is_void and bool(others)
    # While there are log files, shards alone are not kept: others of their split may complete it.
    kept = None if only_shards and task.window else _kept(run, unknown)
    if kept is not None:
        return _keep(run, kept, others, held)
    guard_others(others, task, task.before, run.duplicates.keys, run.identities)
    receipt = run.receipt(seconds)
    change = Change(
        unit=task.unit,
        shard=shard,
        goes=task.goes,
        receipt=receipt,
        identities=None if _is_same_source(run) else run.identities,
        noted=task.noted,
        unknown=frozenset(entry.key for entry in unknown or ()),
        others=others,
        finished={},
        partitions=Partitions(
            lambda day: run.published.changed(day, run.duplicates.keys(day)), run.published.latest
        ),
        staging=run.staging,
    )
    return receipt if publish(change, task.stores, task.settings, held) else None


def _keep(run: Run, kept: Receipt, others: Shards, held: HeldLeases) -> Receipt:
    """Write the receipt of a run that leaves what is there.

    It tells of the parts that there are, also where a run has left something half-way or somebody
    has removed a part, since what could mend that is gone. Where the unit stands whole and in
    splits, those go of which nothing would be lost.

    Raises:
        UsageError: Some would be of each.
    """
    task, stores = run.task, run.task.stores
    there = parts_of(stores.dataset, task.unit, run.settings, task.goes)
    gone, forgotten = set[int](), Shards()
    is_true = {one.key: one.size for one in there} == {one.key: one.bytes for one in kept.parts}
    if not is_true or len({shard_of(one.key).of for one in there}) > 1:
        told = {shard_of(part.key).of for part in kept.parts} if task.noted.is_true else set[int]()
        gone = _dispensable(run, there, told)
        rest = [one for one in there if shard_of(one.key).of not in gone]
        made = receipt_of_parts(stores.dataset, task.unit, rest, run.settings, stores.now())
        kept = _as_kept(run, run.as_whose(made), kept.kept)
        forgotten = others  # what they tell of may be no more
    elif task.noted.intent is None and not any(one.intent for one in others.values()):
        held.confirm()
        text = to_text(kept)
        stores.state.swap(receipt_key(task.unit, task.shard), text, task.noted.receipt_version)
        return kept
    kept = replace(kept, run=task.run)
    change = Change(
        unit=task.unit,
        shard=task.shard,
        goes=partial(_is_of, gone),
        receipt=kept,
        identities=None,
        noted=task.noted,
        unknown=frozenset(one.key for one in there),
        others=forgotten,
        finished={} if forgotten else others,
        partitions=Partitions(lambda _: False, task.entries),
        staging=None,
    )
    publish(change, stores, task.settings, held)
    return kept


def _is_of(splits: set[int], shard: Shard) -> bool:
    return shard.of in splits


def _dispensable(run: Run, there: list[Entry], told: set[int]) -> set[int]:
    """Into how many shards the unit was split of whose parts nothing would be lost; 1 for whole.

    Args:
        run: Of the unit, or of a shard, which has parts of one split only.
        there: All its parts.
        told: The splits that a true receipt tells of, which go last.
    """
    task, gone = run.task, set[int]()
    splits = {shard_of(entry.key).of for entry in there}
    for of in sorted(splits, key=lambda one: (one in told, -one)):
        going = [entry for entry in there if shard_of(entry.key).of == of]
        more = gone | {of}
        goes = partial(_is_of, more)
        keys = staying(task.stores.dataset, task.unit, run.settings, goes)
        if len(splits - more) > 0 and not lost_rows(task.stores, going, keys, "", run.settings):
            gone = more
    if len(splits - gone) > 1:
        raise UsageError(
            f"it stands in splits of {listed(map(str, splits - gone))} shards (1 is whole), "
            "each with records that are no longer in the source",
            task.unit.name,
            "Convert all shards of a split again, or replace it with replace_shrunk",
        )
    return gone


def _is_same_source(run: Run) -> bool:
    """Whether the last receipt is about the same log files, as far as they can be read."""
    before = run.task.before
    return (
        before is not None
        and run.task.noted.is_true
        and before.source_fingerprint == run.task.fingerprint
        and before.records.read == run.collation.counts.read
    )


def _untold(run: Run) -> list[Entry] | None:
    """All parts that the run's owner has, where the state does not tell; None where it does.

    A unit of which nothing is noted, and that has parts, is one whose state was lost.
    """
    task, noted = run.task, run.task.noted
    if noted.tells_all or (noted.is_void and not run.published.own(task.unit.day)):
        return None
    return parts_of(task.stores.dataset, task.unit, run.settings, task.goes)


def _kept(run: Run, unknown: list[Entry] | None) -> Receipt | None:
    """The receipt of a run that leaves what is there, as the source no longer holds all of it."""
    task, unit, noted, stores = run.task, run.task.unit, run.task.noted, run.task.stores
    if run.settings.replace_shrunk or (noted.is_void and unknown is None):
        return None
    read, going = run.collation.counts.read, unknown
    why = lost(unit, [task.shard], noted, task.fingerprint, read, run.identities, stores.state)
    if going is None and (why is None or (why and task.before is None)):
        going = parts_of(stores.dataset, unit, run.settings, task.goes)
    if why is None:
        same = "" if run.quarantined else task.fingerprint
        why = lost_rows(stores, going or (), run.duplicates.keys, same, run.settings)
    if not why:
        return None
    before = task.before or run.as_whose(
        receipt_of_parts(stores.dataset, unit, going or (), run.settings, stores.now())
    )
    if not any(are_there((part.key for part in before.parts), stores.dataset)):
        return None
    return _as_kept(run, before, why)


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
    if isinstance(kept, ShardReceipt):
        return replace(kept, seen=run.task.seen)
    return kept
