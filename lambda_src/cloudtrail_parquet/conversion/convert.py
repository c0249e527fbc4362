"""Converting one unit: from its log files to its parts and its receipt."""

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from cloudtrail_parquet.conversion.addition import is_made_alike, may_retry
from cloudtrail_parquet.conversion.keep import (
    is_nothing,
    keep,
    kept_receipt,
    note_nothing,
    unrecorded_parts,
)
from cloudtrail_parquet.conversion.leases import HeldLeases, alone, unit_held
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.shards import IncompleteSplitError, Split, guard_others
from cloudtrail_parquet.conversion.staying.adding import add
from cloudtrail_parquet.conversion.task import ShardTask, Task, WholeTask, task_of
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, shard_of
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.cuts import siblings_of
from cloudtrail_parquet.state.notes import NotesByShard, read_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore, Stores

_ATTEMPTS = 10
_SMALL_BYTES = 8 << 20  # stored: two seconds of work


def convert_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    admit: Callable[[list[LogFile]], str | None] | None = None,
    shard: Shard = WHOLE,
    refused: Iterable[str] = (),
    splits: Container[Unit] | None = None,
    seen: Task[Any] | None = None,
    *,
    is_stale: bool = False,
    is_late: bool = False,
) -> Receipt | None:
    """Convert one unit, or a shard of it: replace all that it owns in the dataset.

    A whole unit also owns what was written when it was split, a shard what it has written itself.
    The last shard removes all else, and makes the unit's receipt of theirs; see `Split`.

    Args:
        unit: The unit.
        trails: The prefixes of the source that hold the days of its places; see `Discovery`.
        stores: Source, dataset and state.
        settings: Conversion settings.
        admit: Receives the log files before any is read, and may raise to prevent that, or return
            why they are set aside: then all are quarantined for that reason.
        shard: Which of the unit's log files to read; in any order, at a time, more than once.
        refused: Accounts of a folded unit that may not be listed. What was read of them before is
            kept; else the unit is converted without them, and its receipt says so.
        splits: Units of which the state had shards as the run began; listed once for many units.
        seen: The task, if it is known.
        is_stale: Whether others may have published since the task was looked at.
        is_late: Whether a shard may come long after its unit was converted as a whole.

    Returns:
        The receipt that was written, of the unit or of the shard; the last one of a unit whose rows
        have expired; None when there was nothing to convert and nothing had ever been converted.

    Raises:
        SupersededError: Another cut has replaced that of the shard, or it is late and not wanted.
        StorageError, LeaseTimeoutError, ReconciliationError: Nothing was replaced; or a store
            failed while parts were replaced, and converting the unit again completes that.
        UsageError: The layout has no such units; or it is an `IncompleteSplitError`.
    """
    started, options = stores.clock.monotonic(), ConversionOptions.of(settings)
    look = partial(task_of, unit, trails, stores, options, shard, refused)
    try:
        with alone(unit, shard, stores, options.lease) as held:
            may_wait = shard == WHOLE and all(unit.span)
            task = seen or look(own_first=not may_wait, was_split=splits is None or unit in splits)
            if task.is_void or is_expired(task):
                return task.last_receipt
            set_aside = (admit(task.files) if admit is not None else None) or ""
            own_first = not (may_wait and is_small(task))
            task = replace(task, own_first=own_first, set_aside=set_aside)
            kept = _keep_unit(task, held, is_late)
            return kept or _attempts(task, look, held, started, is_stale=is_stale)
    except IncompleteSplitError as error:
        convert = partial(convert_unit, unit, trails, stores, settings, admit, refused=refused)
        return _complete(error, unit, shard, stores.state, convert)


def _complete(
    error: IncompleteSplitError,
    unit: Unit,
    shard: Shard,
    state: ReadStore,
    convert: Callable[..., object],
) -> Receipt:
    """Convert all shards of a split that was never completed, in place of the whole unit.

    Only so can the parts of its shards stay, of which log files are gone by now.

    Raises:
        IncompleteSplitError: It was not the whole unit, or the bounds of the split are not known.
    """
    siblings = siblings_of(state, unit, error.shard) if shard == WHOLE else []
    for sibling in siblings:
        convert(shard=sibling)
    notes = read_notes(state, unit)
    if not siblings or notes.receipt is None or not notes.is_true:
        raise error
    return notes.receipt


def _attempts(
    task: Task[Any],
    look: Callable[[], Task[Any]],
    held: HeldLeases,
    started: float,
    *,
    is_stale: bool,
) -> Receipt | None:
    for _ in range(_ATTEMPTS):
        if is_stale:
            before, task = task, replace(look(), set_aside=task.set_aside)
            if is_expired(task) or _is_done_by_another(before, task):
                return task.last_receipt
        try:
            return _attempt(task, held, started)
        except PartitionsChangedError:
            is_stale = True
    raise LeaseTimeoutError(
        f"it or its partitions changed {_ATTEMPTS} times while it was read",
        task.unit.name,
        "Run it again later",
    )


def is_expired(task: Task[Any]) -> bool:
    """Whether the unit's rows are no longer kept, so that it is not converted again."""
    notes = task.notes if task.shard == WHOLE else read_notes(task.stores.state, task.unit)
    return notes.is_expired


def is_small(task: Task[Any]) -> bool:
    """Whether reading again, in the rare case, costs less than listing the partition first."""
    return sum(file.size for file in task.files) <= _SMALL_BYTES


def _is_done_by_another(before: Task[Any], task: Task[Any]) -> bool:
    """Whether another run has meanwhile converted the same log files in the same way.

    Raises:
        StorageError: Another run has published with other settings. Perhaps it is the newer one, so
            nothing of it is replaced.
    """
    receipt: Receipt | None = task.last_receipt
    if receipt is None or task.notes.receipt_version == before.notes.receipt_version:
        return False
    if isinstance(task, WholeTask) and task.addition is not None:  # which replaces nothing of it
        return False
    if not is_made_alike(receipt, task.options):
        raise StorageError(
            "a run with other settings has converted it meanwhile",
            task.unit.name,
            "Run it again",
        )
    if not task.notes.is_true or receipt.kept or receipt.rebuilt or may_retry(receipt):
        return False
    return receipt.source_fingerprint == task.fingerprint


def _attempt(task: Task[Any], early: HeldLeases, started: float) -> Receipt | None:
    """Read and publish once.

    Raises:
        PartitionsChangedError: Others have published meanwhile, so that it has to be done again.
    """
    with task.stores.dataset.staging() as staging:
        run = Run(task, staging)
        run.read()
        return publish_read(run, early, started)


def publish_read(run: Run, early: HeldLeases, started: float) -> Receipt | None:
    """Publish what a run has read.

    Args:
        run: The run.
        early: The leases that it holds already.
        started: When the conversion began, by the monotonic clock.

    Returns:
        The receipt that was written, if any.

    Raises:
        PartitionsChangedError: Others have published meanwhile, so that it has to be done again.
    """
    task, nothing = run.task, is_nothing(run)
    stores, lease = task.stores, task.options.lease
    with unit_held(task.unit, [*run.parts, *task.notes.parts], stores.state, lease, early) as held:
        run.task = _seen_again(run)
        seconds = task.stores.clock.monotonic() - started
        if nothing:
            note_nothing(run, seconds, held)
            return None
        receipt = _replace(run, seconds, held)
        if isinstance(task, ShardTask):
            Split(task).finish(held)
        return receipt


def _seen_again(run: Run) -> Task[Any]:
    """The task with what the state says under the lease; the unit's partition is listed as well.

    Raises:
        PartitionsChangedError: What the run has worked from is no longer so.
        SupersededError: The shard is of a cut that another one has replaced meanwhile.
    """
    task, day = run.task.with_current_notes(), run.task.unit.day
    if task.shard == WHOLE and task.notes.versions != run.task.notes.versions:
        raise PartitionsChangedError(task.unit.name)
    if run.published.refresh(day, run.duplicates.keys(day)):
        raise PartitionsChangedError(task.unit.name)
    return task


def _keep_unit(task: Task[Any], early: HeldLeases, is_late: bool) -> Receipt | None:  # noqa: FBT001
    """Keep the unit if the split of a shard must not replace it, since log files are gone.

    Returns:
        The receipt that was written; None if the split may replace the unit.
    """
    if not isinstance(task, ShardTask):
        return None
    split = Split(task)
    if is_late:
        split.check_is_wanted()
    if not split.would_be_kept():
        return None
    stores, lease = task.stores, task.options.lease
    with unit_held(task.unit, task.notes.parts, stores.state, lease, early) as held:
        return split.keep(held)


def _replace(run: Run, seconds: float, held: HeldLeases) -> Receipt:
    """Publish the parts and remove the earlier ones of the same owner, or keep those instead.

    Returns:
        The receipt that was written.

    Raises:
        PartitionsChangedError: The run has to be repeated.
    """
    if isinstance(run.task, WholeTask) and run.task.addition is not None:
        return add(run, run.task.addition, seconds, held)
    task, notes = run.task, run.task.notes
    others, unrecorded = _other_shards(run), unrecorded_parts(run)
    only_shards = notes.is_void and bool(others)
    # While there are log files, mere shards are not kept: the rest of their split may complete it.
    kept = None if only_shards and task.window else kept_receipt(run, unrecorded)
    if kept is not None:
        return keep(run, kept, others, held)
    guard_others(others, task, task.last_receipt, run.duplicates.keys, run.identities, held)
    run.keep_apart()
    receipt = run.receipt(seconds)
    change = Change(
        unit=task.unit,
        shard=task.shard,
        goes=task.goes,
        receipt=receipt,
        identities=None if _is_same_source(run) else run.identities,
        notes=notes,
        unknown=frozenset(entry.key for entry in unrecorded or ()),
        others=others,
        finished={},
        partitions=Partitions(
            lambda day: run.published.refresh(day, run.duplicates.keys(day)), run.published.latest
        ),
        staging=run.staging,
        may_shrink=task.may_shrink,
    )
    publish(change, task.stores, task.options.lease, held)
    return receipt


def _other_shards(run: Run) -> NotesByShard:
    """What the state says about shards that go; asked if there may be any.

    A split since the run began shows in the unit's partition. Of one that does not yet, the intent
    that its shard leaves behind makes the unit be converted again.
    """
    task, own = run.task, run.published.own(run.task.unit.day)
    keys = [*task.notes.parts, *(entry.key for entry in own)]
    if not task.was_split and all(shard_of(key) == WHOLE for key in keys):
        return {}
    return task.other_shards()


def _is_same_source(run: Run) -> bool:
    """Whether the last receipt is about the same log files, as far as they can be read."""
    before = run.task.last_receipt
    return (
        before is not None
        and run.task.notes.is_true
        and not before.rebuilt  # whose identities may be lost as well
        and not before.kept  # or be those of shards
        and before.source_fingerprint == run.task.fingerprint
        and before.records.read == run.collation.counts.read
    )
