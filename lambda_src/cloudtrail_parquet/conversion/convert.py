"""Converting one unit: from its log files to its parts and its receipt."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from cloudtrail_parquet.conversion.keep import (
    add,
    added_receipt,
    keep,
    kept_receipt,
    unrecorded_parts,
)
from cloudtrail_parquet.conversion.publish import (
    Change,
    HeldLeases,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.shards import Split, guard_others
from cloudtrail_parquet.conversion.task import ShardTask, Task, WholeTask, task_of
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import LeaseTimeoutError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Lease, Stores, open_store

_ATTEMPTS = 10


def convert_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    admit: Callable[[list[LogFile]], None] | None = None,
    shard: Shard = WHOLE,
    refused: Iterable[str] = (),
) -> Receipt | None:
    """Convert one unit, or a shard of it: replace all that it owns in the dataset.

    A whole unit also owns what was written when it was split. A shard owns what it has written
    itself. With the last shard of a split everything else that the unit has written is removed, and
    the unit's receipt is made from those of the shards. Until then, earlier parts stay beside them.

    Args:
        unit: What to convert.
        trails: The prefixes of the source that hold the days of the unit's places, as
            `discover.discover` finds them.
        stores: Source, dataset and state.
        settings: Conversion settings.
        admit: Receives the log files before any is read, and may raise to prevent that.
        shard: Which of the unit's log files to read. Shards may be converted in any order, at the
            same time, and more than once.
        refused: Accounts of a folded unit that may not be listed. What was read of them before is
            kept; else the unit is converted without them, and its receipt says so.

    Returns:
        The receipt that was written, of the unit or of the shard; None when there was nothing to
        convert and nothing had ever been converted.

    Raises:
        StorageError, LeaseTimeoutError, ReconciliationError: Nothing was replaced; or a store
            failed while parts were replaced, and converting the unit again completes that.
        UsageError: The layout has no such units; or shards of a split that was never completed
            were made of log files that are gone from the source.
    """
    started = stores.clock.monotonic()
    options = ConversionOptions.of(settings)
    key = StateKeys.of(unit, shard).lease
    with stores.state.lease(key, options.lease.wait_s, options.lease.expires_s) as lease:
        task = task_of(unit, trails, stores, options, shard, refused)
        if task.is_void:
            return None
        if admit is not None:
            admit(task.files)
        if isinstance(task, ShardTask):
            kept = _keep_unit(task, lease)
            if kept is not None:
                return kept
        for _ in range(_ATTEMPTS):
            try:
                return _attempt(task, lease, started)
            except PartitionsChangedError:
                task = task.with_current_notes()
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
    refused: Iterable[str] = (),
) -> Receipt | None:
    """The receipt that `convert_unit` would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = stores.clock.monotonic()
    task = task_of(unit, trails, stores, ConversionOptions.of(settings), shard, refused)
    if task.is_void:
        return None
    if admit is not None:
        admit(task.files)
    with TemporaryDirectory() as folder, open_store(folder).staging() as staging:
        run = Run(task, staging)
        run.read()
        if _is_nothing(run):
            return None
        seconds = stores.clock.monotonic() - started
        if task.addition is not None:
            return added_receipt(run, task.addition, seconds)
        kept = kept_receipt(run, unrecorded_parts(run))
        return kept if kept is not None else run.receipt(seconds)


def _attempt(task: Task[Any], lease: Lease, started: float) -> Receipt | None:
    """Read and publish once.

    Raises:
        PartitionsChangedError: Others have published meanwhile, so that it has to be done again.
    """
    with task.stores.dataset.staging() as staging:
        run = Run(task, staging)
        run.read()
        if _is_nothing(run):
            _note_nothing(run, task.stores.clock.monotonic() - started, lease)
            return None
        with _unit_held(task, lease) as held:
            if isinstance(task, ShardTask):
                run.task = task.with_current_notes()  # other shards may have published meanwhile
            receipt = _replace(run, task.stores.clock.monotonic() - started, held)
            if isinstance(task, ShardTask):
                Split(task).finish(held)
            return receipt


def _is_nothing(run: Run) -> bool:
    """Whether a run found nothing of a unit that has no parts, and nothing ever did."""
    task, notes = run.task, run.task.notes
    if task.shard != WHOLE or run.has_findings or task.has_other_notes():
        return False
    has_nothing = notes.receipt is not None and not notes.parts and notes.intent_version is None
    return (notes.is_void or has_nothing) and not run.published.own(task.unit.day)


def _note_nothing(run: Run, seconds: float, lease: Lease) -> None:
    """Write the receipt of a unit without records, so that nobody looks at its log files again.

    They were delivered beside its day, in its window.
    """
    key, version = StateKeys.of(run.task.unit).receipt, run.task.notes.receipt_version
    lease.confirm()
    run.task.stores.state.swap(key, to_text(run.receipt(seconds)), version)


@contextmanager
def _unit_held(task: Task[Any], lease: Lease) -> Iterator[HeldLeases]:
    """Hold the unit's lease, which a shard needs only while it replaces something.

    So shards are read at the same time and published one after the other, and none is published
    while the whole unit is converted.
    """
    if not isinstance(task, ShardTask):
        yield HeldLeases(lease)
        return
    key, options = StateKeys.of(task.unit).lease, task.options.lease
    with task.stores.state.lease(key, options.wait_s, options.expires_s) as unit_lease:
        yield HeldLeases(lease, unit_lease)


def _keep_unit(task: ShardTask, lease: Lease) -> Receipt | None:
    """Keep the unit if a split must not replace it, since log files are gone.

    Returns:
        The receipt that was written; None if the split may replace the unit.
    """
    split = Split(task)
    if not split.would_be_kept():
        return None
    with _unit_held(task, lease) as held:
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
    others, unrecorded = task.other_shards(), unrecorded_parts(run)
    only_shards = notes.is_void and bool(others)
    # While there are log files, mere shards are not kept: the rest of their split may complete it.
    kept = None if only_shards and task.window else kept_receipt(run, unrecorded)
    if kept is not None:
        return keep(run, kept, others, held)
    guard_others(others, task, task.last_receipt, run.duplicates.keys, run.identities)
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
    )
    publish(change, task.stores, task.options.lease, held)
    return receipt


def _is_same_source(run: Run) -> bool:
    """Whether the last receipt is about the same log files, as far as they can be read."""
    before = run.task.last_receipt
    return (
        before is not None
        and run.task.notes.is_true
        and before.source_fingerprint == run.task.fingerprint
        and before.records.read == run.collation.counts.read
    )
