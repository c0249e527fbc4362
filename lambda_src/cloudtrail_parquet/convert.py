"""One unit, from its log files to its parts and its receipt."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import msgspec

from cloudtrail_parquet.config import Settings
from cloudtrail_parquet.errors import LeaseTimeoutError
from cloudtrail_parquet.layout import (
    WHOLE,
    LogFile,
    Owner,
    Shard,
    Unit,
    owner_of,
    partition,
    state_key,
    unit_of,
)
from cloudtrail_parquet.receipt import Receipt, write_receipt
from cloudtrail_parquet.run import Run, Task
from cloudtrail_parquet.shards import Check, Split, forget, guard, intent_key, notes, read_intent
from cloudtrail_parquet.storage import Lease, Stores, open_store

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
            lie, as `source.discover` finds them.
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
    state, wait_s, lease_s = stores.state, settings.lease_wait_s, settings.lease_s
    with state.lease(_lease_key(unit, shard), wait_s, lease_s) as lease:
        task = Task.of(unit, trails, stores, settings, shard)
        if task.is_void:
            return None
        if admit is not None:
            admit(task.files)
        split = Split(unit, shard.of, task.window, stores, settings)
        if shard != WHOLE and split.kept() is not None:
            with _turn(task, lease) as check:
                kept = split.keep(check)
            if kept is not None:
                return kept
        for _ in range(_ATTEMPTS):
            with stores.dataset.staging() as staging:
                run = Run(task, staging)
                run.read()
                if task.before is None and shard == WHOLE and not run.matters:
                    return None
                with _turn(task, lease) as check:
                    receipt = run.kept()
                    if receipt is not None:
                        write_receipt(state, receipt)
                    else:
                        receipt = run.receipt(stores.clock.monotonic() - started)
                        if not _publish(run, receipt, check):
                            continue
                    if shard != WHOLE:
                        split.finish(check)
                    return receipt
        raise LeaseTimeoutError(
            f"its partitions changed {_ATTEMPTS} times while it was read",
            unit.name,
            "Run it again later",
        )


def preview_unit(
    unit: Unit, trails: Iterable[str], stores: Stores, settings: Settings, shard: Shard = WHOLE
) -> Receipt | None:
    """What `convert_unit` would do, as the receipt that it would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = stores.clock.monotonic()
    task = Task.of(unit, trails, stores, settings, shard)
    with TemporaryDirectory() as folder, open_store(folder).staging() as staging:
        run = Run(task, staging)
        run.read()
        if task.before is None and shard == WHOLE and not run.matters:
            return None
        return run.kept() or run.receipt(stores.clock.monotonic() - started)


def _ending(shard: Shard) -> str:
    return "" if shard == WHOLE else f"/{shard.name}"


def _lease_key(unit: Unit, shard: Shard) -> str:
    if shard == WHOLE:
        return state_key("leases/units", unit)
    return state_key("leases/shards", unit, f"{_ending(shard)}.json")


@contextmanager
def _turn(task: Task, lease: Lease) -> Iterator[Check]:
    """Hold the unit's lease, which a shard needs only while it replaces something.

    So shards are read at the same time and published one after the other, and none of them while
    the whole unit is converted.
    """
    if task.shard == WHOLE:
        lease.check()
        yield lease.check
        return
    settings = task.settings
    key = _lease_key(task.unit, WHOLE)
    with task.stores.state.lease(key, settings.lease_wait_s, settings.lease_s) as turn:

        def check() -> None:
            lease.check()
            turn.check()

        check()
        yield check


def _publish(run: Run, receipt: Receipt, check: Check) -> bool:
    """Put the parts in place and remove what this run's owner had there before.

    Returns:
        False when somebody else has meanwhile put a record of this run into a partition: the run
        has to be repeated, and then replaces what this one may have put in place.
    """
    task, unit, shard, settings = run.task, run.task.unit, run.task.shard, run.task.settings
    dataset, state = task.stores.dataset, task.stores.state
    new = {part.key for part in receipt.parts}
    intent = intent_key(unit, None if shard == WHOLE else shard)
    written = {part.key for part in task.before.parts} if task.before else set[str]()
    split = notes(state, unit) if shard == WHOLE else {}
    guard(split, unit, task.before, task.window, settings)
    noted = read_intent(state, intent).union(written, *(note.parts for note in split.values()))
    if stragglers := {key for key in noted | new if unit_of(key) != unit}:
        # should this run die, the next one finds what it had begun
        state.write(intent, msgspec.json.encode(sorted(stragglers)))
    check()
    forget(state, unit, split)
    for target in sorted({unit, *(unit_of(key) or unit for key in stragglers)}):
        key = state_key("leases/partitions", target)
        with state.lease(key, settings.lease_wait_s, settings.lease_s) as lease:
            if run.standing.changed(target.day, run.duplicates.keys(target.day)):
                return False
            check()
            lease.check()
            entries = dataset.files(partition(target, settings.partition_layout))
            versions = {
                one.key: one.version
                for one in entries
                if _replaces(shard, unit, owner_of(one.key, target.day))
            }
            check()
            for key in sorted(key for key in new if unit_of(key) == target):
                run.staging.publish(key, versions.pop(key, None))
            for key, version in sorted(versions.items()):
                dataset.remove(key, version)
    check()
    write_receipt(state, receipt)
    state.delete([intent, *(intent_key(unit, one) for one in split)])
    return True


def _replaces(shard: Shard, unit: Unit, owner: Owner | None) -> bool:
    """Whether a run owns what an owner has written."""
    return owner is not None and owner.day == unit.day and shard in {WHOLE, owner.shard}
