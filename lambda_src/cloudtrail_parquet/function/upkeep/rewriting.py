"""Rewriting the units of an event as far as there is time, or finding those of a range.

No log file is read, and the source is not asked.
"""

import shutil
import tempfile
from dataclasses import replace
from functools import partial

from msgspec.structs import replace as with_fields

from cloudtrail_parquet.contract import FUNCTION_S, MAX_UNITS
from cloudtrail_parquet.errors import CloudTrailParquetError, NotEnoughTimeError, UsageError
from cloudtrail_parquet.function.admission import MARGIN_S, ROOM, START_S
from cloudtrail_parquet.function.attempts import Attempts, process_ended
from cloudtrail_parquet.function.converting import LEASE_WAIT_S, Invocation, translated_errors
from cloudtrail_parquet.function.events import RewriteEvent, UnitRef
from cloudtrail_parquet.function.handing_on import Undone
from cloudtrail_parquet.function.plans import SLICE
from cloudtrail_parquet.layout import check_unit
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.ranges import ToRewrite, UnitRange, check_names
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.rewriting.other import check_layout, check_window, properties_of
from cloudtrail_parquet.rewriting.selection import (
    PlannedRewrite,
    planned,
    rewrite_seconds,
    units_in,
)
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.together import Budget, side_by_side
from cloudtrail_parquet.wording import counted

_AT_A_TIME = 4
_TOGETHER_BYTES = 16 << 20  # of the largest parts of the units under way, each of which is held
_LOOK_AT = 1000  # units whose receipts are read before the time is looked at
_ENDED = 2  # attempts at a unit that may be ended before it is given up


def rewrite(invocation: Invocation, event: RewriteEvent) -> dict[str, int]:
    """Rewrite the units of an event, or those of its range: here if they are few.

    Returns:
        How many units were rewritten and handed back, or planned and in how many batches.

    Raises:
        CloudTrailParquetError: Nothing was done that would not have to be repeated.
    """
    found = properties_of(invocation.stores)
    check_window(found, invocation.settings)
    check_layout(found, invocation.settings)
    return _units(invocation, event) if event.units else _range(invocation, event)


def _event_of(only: ToRewrite, units: tuple[UnitRef, ...]) -> RewriteEvent:
    return RewriteEvent(units=units, only=only)


# A range.


def _range(invocation: Invocation, event: RewriteEvent) -> dict[str, int]:
    fanout, telemetry = invocation.fanout, invocation.telemetry
    due, rest = _due(invocation, event)
    batch_s = BATCH_S * invocation.whole_s / FUNCTION_S
    batches = list(pack(due, batch_s, MAX_UNITS))
    telemetry.planned(len(due), len(batches), None)
    if fanout is None or (len(batches) <= 1 and rest is None):
        refs = tuple(UnitRef.of(each.unit) for each in due)
        return _units(invocation, _event_of(event.only, refs))
    refs_of = (tuple(UnitRef.of(each.unit) for each in batch) for batch in batches)
    fanout().send(_event_of(event.only, refs) for refs in refs_of)
    counts = {"planned": len(due), "batches": len(batches)}
    if rest is not None:
        fanout().send([rest])
        counts["slices"] = 1
    return counts


def _due(
    invocation: Invocation, event: RewriteEvent
) -> tuple[list[PlannedRewrite], RewriteEvent | None]:
    """The units of a range that are to be rewritten, and what is left of it for want of time.

    Raises:
        UsageError: The dataset has no unit of the range.
    """
    stores, settings, start_s = invocation.stores, invocation.settings, invocation.left_s()
    check_names(event.accounts, event.regions)
    wanted = UnitRange.of(event.first, event.last, event.accounts, event.regions)
    after = event.after.unit if event.after else None
    units = [unit for unit in units_in(stores.state, wanted) if after is None or unit > after]
    if not (units or after):
        hint = "Name days, accounts and regions that were converted, or none for all"
        raise UsageError("it has no unit of the range", stores.dataset.uri, hint)
    due = list[PlannedRewrite]()
    for first in range(0, len(units), _LOOK_AT):
        some = units[first : first + _LOOK_AT]
        due += planned(stores.state, some, event.only, settings)
        is_late = invocation.left_s() < start_s * (1 - SLICE)
        if is_late and invocation.fanout is not None and some[-1] != units[-1]:
            return due, with_fields(event, after=UnitRef.of(some[-1]))
    return due, None


# Units.


def _units(invocation: Invocation, event: RewriteEvent) -> dict[str, int]:
    attempts = Attempts(invocation.stores.state, invocation.delivery)
    units, ended = event.units, attempts.ended()
    event_of = partial(_event_of, event.only)
    undone = Undone(event_of, invocation.fanout, invocation.telemetry)
    if undone.divide(units, attempts):
        return {"rewritten": 0, "handed_back": len(units)}
    if ended >= _ENDED and len(units) == 1:
        raise process_ended(ended, units[0].unit, "rewrite it with the command line")
    attempts.begin()
    with attempts.coming_to_an_end():
        batch = _RewriteBatch(invocation, event.only, undone, ended)
        # With nobody to hand them to: from both ends by turns, up to the one that is to blame.
        ordered = units[::-1] if ended % 2 else units
        at_once = _AT_A_TIME if invocation.stores.parallel > 1 and not ended else 1
        for ref, result in zip(ordered, side_by_side(batch.attempt, ordered, at_once), strict=True):
            batch.take(ref, result)
        return {"rewritten": batch.rewritten, "handed_back": undone.hand_on()}


class _RewriteBatch:
    """The units of an event, and what has become of them so far.

    Attributes:
        rewritten: How many were rewritten; the others were as they are to be.
    """

    def __init__(self, invocation: Invocation, only: ToRewrite, undone: Undone, ended: int) -> None:
        self.rewritten, self._ended = 0, ended
        self._invocation, self._only, self._undone = invocation, only, undone
        self._budget = Budget(_TOGETHER_BYTES)
        self._under_way: dict[UnitRef, float] = {}  # with the seconds that each needs
        self._is_late: NotEnoughTimeError | None = None  # why no further unit is begun

    def attempt(self, ref: UnitRef) -> Receipt | CloudTrailParquetError | None:
        """Rewrite a unit, or return why that failed; None if there was nothing to do."""
        if self._is_late is not None:
            return self._is_late
        try:
            return self._rewrite(ref)
        except NotEnoughTimeError as error:
            self._is_late = error
            return error
        except CloudTrailParquetError as error:
            return error

    def _rewrite(self, ref: UnitRef) -> Receipt | None:
        invocation, unit, is_begun = self._invocation, ref.unit, False
        check_unit(unit, invocation.settings.partition_layout)
        wait_s = min(invocation.settings.lease_wait_s, LEASE_WAIT_S)
        if self._ended:  # also for the lease of the attempt that was ended to expire
            wait_s = max(wait_s, invocation.settings.lease_s)
        wait_s = max(0, min(wait_s, int(invocation.left_s() - MARGIN_S)))
        settings = replace(invocation.settings, lease_wait_s=wait_s)
        with translated_errors(unit.name), self._budget.share() as take:

            def admit(receipt: Receipt) -> None:
                nonlocal is_begun
                sizes = [part.bytes for part in receipt.parts]
                self._under_way[ref] = self._admitted(ref, sum(sizes))
                if not is_begun:  # else it is read again
                    take(max(sizes, default=0))
                is_begun = True

            try:
                anew = self._only == "all"
                receipt = rewrite_unit(unit, invocation.stores, settings, anew=anew, admit=admit)
            finally:
                self._under_way.pop(ref, None)
        return receipt if is_begun else None

    def _admitted(self, ref: UnitRef, size: int) -> float:
        """The seconds that a unit needs whose parts have so many bytes.

        Raises:
            NotEnoughTimeError: Another invocation would have the time.
            UsageError: None would have it, or the room for the new parts.
        """
        invocation, needed_s, name = self._invocation, rewrite_seconds(size), ref.unit.name
        limit_s = invocation.whole_s - START_S - MARGIN_S
        if needed_s > limit_s:
            what = f"needs about {needed_s:.0f} s; an invocation has {max(limit_s, 0):.0f} s for it"
            hint = "Give the function more time, or rewrite it with the command line"
            raise UsageError(what, name, hint)
        room = shutil.disk_usage(tempfile.gettempdir()).free * ROOM
        if size > room:
            what = (
                f"needs {counted(size, 'byte')} for temporary files; there is room for {room:,.0f}"
            )
            hint = "Give the function more ephemeral storage, or use the command line"
            raise UsageError(what, name, hint)
        others = (seconds for other, seconds in list(self._under_way.items()) if other != ref)
        left_s = invocation.left_s() - MARGIN_S - sum(others)
        if needed_s > left_s:
            what = f"needs about {needed_s:.0f} s; {max(left_s, 0):.0f} s are left"
            raise NotEnoughTimeError(what, name, "Another invocation has to rewrite it")
        return needed_s

    def take(self, ref: UnitRef, result: Receipt | CloudTrailParquetError | None) -> None:
        """Take what came of a unit: report it, or keep it to be handed back."""
        undone = self._undone
        match result:
            case NotEnoughTimeError():
                undone.left.append(ref)
                undone.errors.append(result)
            case CloudTrailParquetError():
                self._invocation.telemetry.failed(ref.unit, result)
                undone.failed.append(ref)
                undone.errors.append(result)
            case _:
                undone.done += 1
                if result is not None:
                    self._invocation.telemetry.rewritten(result)
                    self.rewritten += 1
