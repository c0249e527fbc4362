"""How far a backfill is, from its record, the receipts and its queue."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue
from cloudtrail_parquet.backfill.record import Backfill, UnitList, read_record, read_units
from cloudtrail_parquet.backfill.sending import units_named
from cloudtrail_parquet.layout import Place, Unit, state_key, state_unit
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.storage import ReadStore, Stores, files_between

_RECENTLY = timedelta(minutes=10)  # what the rate is taken from
_AT_A_TIME = 32
_LOOK_S = 30


class BackfillProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backfill is.

    Attributes:
        backfill: Its record.
        planned: Its units; each is done, failed or left.
        done: Those that have been converted since it was begun.
        failed: Those of the others that a dead letter of the queue names.
        left: All others.
        per_minute: Units done in a minute, of the last ten minutes.
        seconds_left: How long those that are left take at this rate; None if nobody can tell.
        waiting: Messages that wait in the queue, of whomever, about.
        under_way: Messages that are being worked on, or wait for another attempt, about.
        dead_letters: Messages, of whomever, that failed too often, about.
    """

    backfill: Backfill
    planned: int
    done: int
    failed: int
    left: int
    per_minute: float
    seconds_left: float | None
    waiting: int
    under_way: int
    dead_letters: int

    @property
    def is_idle(self) -> bool:
        """Whether the queue has no message, so that nothing more comes of what is left."""
        return not (self.waiting or self.under_way)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left, or what is left was cancelled and nothing of it waits."""
        return not self.left or (self.is_idle and self.backfill.cancelled is not None)


class Watch:
    """Looks at a backfill again and again, and at its dead letters only when these have changed."""

    def __init__(self, stores: Stores, id_: str | None, queue: MessageQueue) -> None:
        """Begin to watch.

        Args:
            stores: The state has record and receipts.
            id_: The backfill, by default the last one.
            queue: Its queue.

        Raises:
            UsageError: There is no such backfill.
        """
        self._stores, self._queue = stores, queue
        self._id = read_record(stores.state, id_).id
        self._units = read_units(stores.state, self._id)
        self._dead_letters = queue.dead_letters()
        self._looked_at = 0
        self._named = frozenset[Unit]()

    def look(self) -> BackfillProgress:
        """How far it is now."""
        state = self._stores.state
        counts, dead_letters = self._queue.counts(), 0
        if self._dead_letters is not None:
            dead_letters = self._dead_letters.counts().total
            if dead_letters != self._looked_at:
                self._named = _named_in(self._dead_letters)
                self._looked_at = dead_letters
        times = dict(_converted(state, self._units))
        failed = sum(self._units.holds(unit) and unit not in times for unit in self._named)
        backfill = read_record(state, self._id)
        left = backfill.units - len(times) - failed
        now = max(self._stores.clock.now(), *times.values(), self._units.since)
        window = min(_RECENTLY, now - self._units.since)
        recent = sum(time > now - window for time in times.values())
        a_second = recent / max(window.total_seconds(), 1)
        can_tell = counts.total and a_second
        return BackfillProgress(
            backfill=backfill,
            planned=backfill.units,
            done=len(times),
            failed=failed,
            left=left,
            per_minute=round(60 * a_second, 1),
            seconds_left=round(left / a_second) if can_tell else None,
            waiting=counts.waiting,
            under_way=counts.under_way,
            dead_letters=dead_letters,
        )


def _converted(state: ReadStore, units: UnitList) -> Iterator[tuple[Unit, datetime]]:
    """The units that have been converted since, and when: a listing of receipts for each span."""

    def ask(span: Place) -> list[tuple[Unit, datetime]]:
        first, last = units.days[span][0][0], units.days[span][-1][1]
        ends = (state_key("receipts", Unit(*span, day), ending="") for day in (first, last))
        entries = files_between(state, *ends)
        found = ((state_unit(entry.key), entry.modified) for entry in entries)
        return [
            (unit, modified)
            for unit, modified in found
            if unit and units.holds(unit) and modified >= units.since
        ]

    for answer in ahead(state, ask, units.days, _AT_A_TIME):
        yield from answer


def _named_in(dead_letters: MessageQueue) -> frozenset[Unit]:
    """The units that dead letters name; these are hidden from others for some seconds."""
    seen = list[Message]()
    try:
        seen.extend(dead_letters.receive(_LOOK_S))
    finally:
        dead_letters.release(seen)
    return frozenset(unit for message in seen for unit in units_named(message.body))
