"""Runs that add to parts, which stay as they are."""

from datetime import date

import pyarrow as pa
from msgspec.structs import replace

from cloudtrail_parquet.conversion.addition import Addition, day_of_part
from cloudtrail_parquet.conversion.guard import lost_rows, receipt_from_footers
from cloudtrail_parquet.conversion.leases import HeldLeases
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.layout import WHOLE, shard_of
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.state.sums import with_addition
from cloudtrail_parquet.storage import Entry


def added_receipt(run: Run, addition: Addition, seconds: float) -> Receipt:
    """The receipt of the parts that stay and of those that a run adds."""
    again = {writable(file.key) for file in addition.again}
    before, added = addition.before, run.receipt(seconds)
    receipt = with_addition(before, added, addition.fingerprint, again)
    is_known = addition.known is not None
    receipt = replace(receipt, identities=added.identities if is_known else b"")
    if not addition.gone:
        return receipt
    refused = run.task.refused_words
    why = addition.gone.removesuffix(refused) + refused
    return replace(receipt, status="partial", kept=why, kept_source=run.task.kept_source(before))


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
    is_split = any(shard_of(entry.key) != WHOLE for entry in left) and task.has_other_notes()
    if is_split or not addition.is_in_place(run.published.at):
        raise PartitionsChangedError(task.unit.name)

    def keys(day: date) -> pa.ChunkedArray:
        stay = addition.keys(task.stores.dataset, day)
        return pa.chunked_array([*run.duplicates.keys(day).chunks, stay], pa.int64())

    if why := lost_rows(task.stores, left, keys, "", addition.options.rows.discard):
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
