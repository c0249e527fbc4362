"""Removing the parts of days that are no longer kept.

All parts of a partition go, whoever owns them: the day's own, and stragglers of later days. The
receipt of each owner goes on telling what was converted, and under ``expired`` what of it is gone,
so that no run finds these parts missing or makes them again. A change is published as any other:
intent, removals, receipt; the intent holds the receipt, which the next run completes if this one is
killed.
"""

from collections import defaultdict
from datetime import date
from typing import NamedTuple
from uuid import uuid4

from msgspec import UNSET
from msgspec.structs import replace

from cloudtrail_parquet.conversion.guard import parts_of, receipt_from_footers
from cloudtrail_parquet.conversion.leases import HeldLeases, alone, unit_held
from cloudtrail_parquet.conversion.publish import (
    PartitionsChangedError,
)
from cloudtrail_parquet.errors import LeaseTimeoutError, UsageError
from cloudtrail_parquet.layout import WHOLE, Unit, owner_unit, unit_of
from cloudtrail_parquet.rewriting.standing import Standing, clear_intent
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.state.figures import Expired
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.notes import read_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Entry, ReadStore, Stores

_ATTEMPTS = 10


class ExpiredUnit(NamedTuple):
    """A unit with parts that are no longer kept.

    Attributes:
        unit: The owner of the parts.
        entries: The parts.
    """

    unit: Unit
    entries: tuple[Entry, ...]


def expired_units(dataset: ReadStore, state: ReadStore, before: date) -> list[ExpiredUnit]:
    """The owners of all parts of days before one, sorted, with these parts.

    Units of which the removal has begun are among them, even if no part is left.
    """
    found = defaultdict[Unit, list[Entry]](list)
    for unit in unfinished(state):
        intent = read_notes(state, unit).intent
        planned = UNSET if intent is None else intent.planned
        if planned is not UNSET and planned.expired is not UNSET:
            found[unit] = []
    for entry in dataset.files(""):
        target, owner = unit_of(entry.key), owner_unit(entry.key)
        if target and owner and target.day < before:
            found[owner].append(entry)
    return [ExpiredUnit(unit, tuple(entries)) for unit, entries in sorted(found.items())]


def expire_unit(
    expired: ExpiredUnit, before: date, stores: Stores, dataset: DatasetOptions, lease: LeaseOptions
) -> Receipt:
    """Remove those parts of a unit that lie in partitions of days before one.

    Args:
        expired: The unit that owns the parts, with those that were listed.
        before: The first day that is kept.
        stores: Dataset and state.
        dataset: How the dataset is laid out.
        lease: How leases are held.

    Returns:
        The receipt that is left.

    Raises:
        UsageError: A run that was replacing it has not finished; or it has a part that is in no
            receipt.
        StorageError, LeaseTimeoutError: Running it again completes what was begun.
    """
    unit = expired.unit
    with alone(unit, WHOLE, stores, lease) as held:
        for _ in range(_ATTEMPTS):
            try:
                receipt = _attempt(expired, before, stores, dataset, lease, held)
            except PartitionsChangedError:
                continue
            if receipt is not None:
                return receipt
    what = f"it or its partitions changed {_ATTEMPTS} times"
    raise LeaseTimeoutError(what, unit.name, "Run it again later")


def _attempt(  # noqa: PLR0913, PLR0917
    expired: ExpiredUnit,
    before: date,
    stores: Stores,
    dataset: DatasetOptions,
    lease: LeaseOptions,
    early: HeldLeases,
) -> Receipt | None:
    """Complete what was begun, or remove what there is to remove; None if there may be more."""
    unit = expired.unit
    if read_notes(stores.state, unit).is_void:
        _adopt(unit, stores, dataset, lease, early)
        return None
    standing = Standing(unit, stores, dataset)
    receipt, planned = standing.receipt, standing.planned
    if planned is not None:
        if planned.expired is not UNSET and planned.expired != receipt.expired:
            _publish(standing, replace(planned, run=uuid4().hex), stores, lease, early)
            return None
        hint = "Run rewrite again, then this"
        raise UsageError("a rewrite of it has not finished", unit.name, hint)
    standing.check_named(entry.key for entry in expired.entries)
    left = _left(receipt, before, stores)
    if left is None:
        clear_intent(unit, standing.notes, stores, lease, early)
        return receipt
    _publish(standing, left, stores, lease, early)
    return left


def _left(receipt: Receipt, before: date, stores: Stores) -> Receipt | None:
    """The receipt of what is left of a unit; None if that is all of it."""
    unit, days = receipt.unit, {part.key: unit_of(part.key) for part in receipt.parts}
    gone = [part for part in receipt.parts if (at := days[part.key]) and at.day < before]
    if not gone:
        return None
    so_far = receipt.expired
    is_own = any(days[part.key] == unit for part in gone)
    if so_far is not UNSET:
        is_own = is_own or so_far.is_own
    expired = Expired(
        at=stores.now(),
        before=before,
        parts=len(gone) + (0 if so_far is UNSET else so_far.parts),
        rows=sum(part.rows for part in gone) + (0 if so_far is UNSET else so_far.rows),
        bytes=sum(part.bytes for part in gone) + (0 if so_far is UNSET else so_far.bytes),
        is_own=is_own,
    )
    parts = [part for part in receipt.parts if part not in gone]
    size = sum(part.bytes for part in parts)
    return replace(receipt, parts=parts, bytes_out=size, expired=expired, run=uuid4().hex)


def _publish(
    standing: Standing, receipt: Receipt, stores: Stores, lease: LeaseOptions, early: HeldLeases
) -> None:
    Marks(stores.state, stores.clock).mark(standing.unit.day)
    standing.publish(receipt, standing.notes.parts, lease, early)


def _adopt(
    unit: Unit, stores: Stores, dataset: DatasetOptions, lease: LeaseOptions, early: HeldLeases
) -> None:
    """Write the receipt of parts of which the state knows nothing, as their footers tell."""
    entries = parts_of(stores.dataset, unit, dataset.layout, lambda _: True)
    receipt = receipt_from_footers(stores.dataset, unit, entries, dataset, stores.now())
    Marks(stores.state, stores.clock).mark(unit.day)
    with unit_held(unit, (), stores.state, lease, early) as held:
        notes = read_notes(stores.state, unit)
        if not notes.is_void:
            raise PartitionsChangedError(unit.name)
        held.confirm()
        text = to_text(replace(receipt, run=uuid4().hex))
        stores.state.swap(StateKeys.of(unit).receipt, text, None)
