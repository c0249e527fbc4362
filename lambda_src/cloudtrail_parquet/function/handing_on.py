"""What an event leaves undone, and handing it to other invocations.

An event with several units at which an attempt was ended is divided before anything is done, so
that only the unit that is to blame is ended again. What is left at the end goes on side by side, in
events of half as many units as were done here, or as many if they failed. So what follows from an
event is a chain of a few links: Lambda stops a queue that leads to itself after some sixteen.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.function.attempts import Attempts
from cloudtrail_parquet.function.events import Event, UnitRef
from cloudtrail_parquet.function.fanout import Fanout
from cloudtrail_parquet.function.telemetry import Telemetry

EventOf = Callable[[tuple[UnitRef, ...]], Event]
"""Makes the event that has some units worked on."""

_OpenFanout = Callable[[], Fanout] | None


class Undone:
    """What becomes of the units of an event, as far as they are not done.

    Attributes:
        done: How many were done.
        left: Those for which there was no time.
        failed: Those that failed.
        errors: Why the units are undone, in order.
    """

    def __init__(self, event_of: EventOf, fanout: _OpenFanout, telemetry: Telemetry) -> None:
        """Nothing has been done so far.

        Args:
            event_of: Makes the event that has some units worked on.
            fanout: Opens what sends events on; None if there is nobody to send them to.
            telemetry: Is told of what is handed on.
        """
        self._event_of, self._fanout, self._telemetry = event_of, fanout, telemetry
        self.done = 0
        self.left: list[UnitRef] = []
        self.failed: list[UnitRef] = []
        self.errors: list[CloudTrailParquetError] = []

    def divide(self, units: Sequence[UnitRef], attempts: Attempts) -> bool:
        """Hand on each unit alone if an attempt at all was ended; returns whether that is done."""
        if not attempts.count:
            return False
        self._telemetry.attempts_ended(attempts.count, len(units))
        if len(units) == 1 or self._fanout is None:
            return False
        self._fanout().send(self._event_of((unit,)) for unit in units)
        self._telemetry.handed_back(len(units))
        attempts.forget()
        return True

    def hand_on(self, *, is_late: bool = False) -> int:
        """Hand what is undone to other invocations.

        Args:
            is_late: Whether other work has taken the time of those that are left.

        Returns:
            How many units that are.

        Raises:
            CloudTrailParquetError: Nothing was done, or it can be handed to nobody.
        """
        late = is_late and bool(self.left)
        if self.errors and (self._fanout is None or not (self.done or late)):
            raise self.errors[0]
        units = len(self.left) + len(self.failed)
        if units and self._fanout is not None:
            # Those that failed may fail again, and then hold up nothing else.
            rest = _portions(self.left, max(self.done // 2, 1) if self.done else units)
            failed = _portions(self.failed, self.done or units)
            self._fanout().send(map(self._event_of, chain(rest, failed)))
            self._telemetry.handed_back(units)
        return units


def _portions(refs: Sequence[UnitRef], most: int) -> Iterator[tuple[UnitRef, ...]]:
    rest = iter(refs)
    yield from iter(lambda: tuple(islice(rest, most)), ())
