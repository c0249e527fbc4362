"""Leases in an object store: objects made by conditional put, with a holder and an expiry.

While a lease is held, a thread renews it whenever a third of its time has passed, each time on
condition that nobody else has written it since. So the expiry of a live holder is always at least
two thirds of that time ahead, and clocks may differ by that much before two runs believe that they
hold the same lease; the earlier of them then learns of it at its next renewal.
"""

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from cloudtrail_parquet.clock import Clock
from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.storage.interface import LOST, RUN_LATER, Stored

_MARGIN = timedelta(seconds=5)
"""How long after its expiry a lease is left alone, as clocks may differ a little."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 1.0, 5.0, 1.5


class Conditional(Protocol):
    """What a lease needs of an object store."""

    def create(self, key: str, data: bytes) -> str | None:
        """Create an object, or return None: there is one already, perhaps this very one."""
        ...

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        """Replace a version of an object, or return None: it is no longer current.

        It may have been replaced by this very request, whose answer was lost.
        """
        ...

    def look(self, key: str) -> Stored | None:
        """An object with its version, or None if there is no such object."""
        ...

    def delete(self, keys: list[str], again: Callable[[], bool]) -> None:
        """Remove objects; if the answer is lost, once more only if ``again`` says so."""
        ...


class ObjectLease:
    """A lease on a key, for use as a context."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        objects: Conditional,
        key: str,
        where: str,
        wait_s: float,
        expires_s: float,
        clock: Clock,
    ) -> None:
        """``where`` names the key in errors."""
        self._objects, self._key, self._where, self._clock = objects, key, where, clock
        self._wait_s, self._expires_s = wait_s, expires_s
        self._holder = uuid.uuid4().hex
        self._version = ""
        self._until = _Moment(clock, 0)
        self._lost = False
        self._end_renewal: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        deadline = self._clock.monotonic() + self._wait_s
        pause = _FIRST_PAUSE_S
        taken = self._create()
        while not taken:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise LeaseTimeoutError("another run holds this lease", self._where, RUN_LATER)
            self._clock.sleep(min(left, self._clock.draw(pause / 2, pause)))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE_S)
            taken = self._take()
        if self._expires_s > 0:
            self._end_renewal = self._clock.every(self._pause(3), self._keep)
        return self

    def check(self) -> None:
        if self._lost or self._until.seconds_left() <= 0:
            raise StorageError(LOST, self._where, RUN_LATER)

    def confirm(self) -> None:
        self.check()
        stored = self._objects.look(self._key)
        if stored is None or _content(stored).get("holder") != self._holder:
            self._lost = True
        self.check()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end_renewal()
        try:
            self._give_back()
        except StorageError:  # a store that does not answer: the lease will expire, or has
            self._lost = self._lost or self._until.seconds_left() <= 0
        if self._lost and kind is None:
            raise StorageError(LOST, self._where, RUN_LATER)

    def _take(self) -> bool:
        """Take the lease if it is free or expired; returns whether it is held."""
        stored = self._objects.look(self._key)
        if stored is None:
            return self._create()
        return self._take_over(stored)

    def _create(self) -> bool:
        if self._put(self._objects.create):
            return True
        stored = self._objects.look(self._key)
        if stored is None:
            return False
        return self._take_over(stored)

    def _take_over(self, stored: Stored) -> bool:
        """Take a lease that is ours without our knowledge, or expired."""
        if self._adopt(stored):
            return True
        if self._clock.now() < _expiry(stored, self._expires_s) + _MARGIN:
            return False
        return self._replace(stored.version)

    def _replace(self, version: str) -> bool:
        if self._put(lambda key, data: self._objects.replace(key, data, version)):
            return True
        return self._adopt_current()

    def _adopt_current(self) -> bool:
        stored = self._objects.look(self._key)
        if stored is None:
            return False
        return self._adopt(stored)

    def _adopt(self, stored: Stored) -> bool:
        """Adopt a lease that we have put without learning of it; returns whether it is one.

        The answer may have been lost, or have been that to a repeated request: it exists already.
        """
        content = _content(stored)
        if stored.version == self._version or content.get("holder") != self._holder:
            return False
        left = datetime.fromisoformat(content["expires"]) - self._clock.now()
        self._version, self._until = stored.version, _Moment(self._clock, left.total_seconds())
        return True

    def _put(self, put: Callable[[str, bytes], str | None]) -> bool:
        until = _Moment(self._clock, self._expires_s)  # from before the request: ours ends first
        expires = self._clock.now() + timedelta(seconds=self._expires_s)
        content = {
            "holder": self._holder,
            "expires": expires.isoformat(),
            "seconds": self._expires_s,
        }
        try:
            version = put(self._key, json.dumps(content).encode())
        except StorageError:  # it may have been put before the answer was lost
            if self._adopt_current():
                return True
            raise
        if version is None:
            return False
        self._version, self._until = version, until
        return True

    def _keep(self) -> float | None:
        """Renew the lease; returns the seconds until the next renewal, or None if it is lost."""
        try:
            self._lost = not self._renew()
        except StorageError:
            return self._pause(30)
        return None if self._lost else self._pause(3)

    def _pause(self, part: int) -> float:
        return self._expires_s / part * self._clock.draw(0.8, 1)

    def _renew(self) -> bool:
        return self._replace(self._version)

    def _give_back(self) -> None:
        """Remove the lease, but never another holder's.

        Nobody takes over a lease that is not expired, so one with much of its time left may be
        removed unconditionally; the store has no conditional removal.
        """
        if not self._lost and self._until.seconds_left() < self._expires_s / 2:
            self._lost = not self._renew()
        if not self._lost:
            self._objects.delete([self._key], self._is_still_there)

    def _is_still_there(self) -> bool:
        """Whether the lease is still ours to remove, after the answer to its removal was lost.

        If it was removed, another holder may have put theirs by now.
        """
        stored = self._objects.look(self._key)
        is_ours = stored is not None and _content(stored).get("holder") == self._holder
        return is_ours and self._until.seconds_left() > self._expires_s / 3


class _Moment:
    """A moment so many seconds from now, by whichever clock reaches it first.

    The monotonic clock may stop while a machine sleeps; the other one may be set back.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._monotonic = clock.monotonic() + seconds
        self._wall = clock.now() + timedelta(seconds=seconds)

    def seconds_left(self) -> float:
        by_wall = (self._wall - self._clock.now()).total_seconds()
        return min(self._monotonic - self._clock.monotonic(), by_wall)


def _content(stored: Stored) -> dict[str, Any]:
    try:
        content = json.loads(stored.data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _expiry(stored: Stored, default_s: float) -> datetime:
    """When a lease expires: by its holder's clock or by the store's, whichever is later."""
    content = _content(stored)
    try:
        by_store = stored.modified + timedelta(seconds=float(content["seconds"]))
        return max(by_store, datetime.fromisoformat(content["expires"]))
    except (KeyError, TypeError, ValueError):  # not written by us
        return stored.modified + timedelta(seconds=default_s)
