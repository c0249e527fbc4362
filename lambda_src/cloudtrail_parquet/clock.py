"""The clock of a run: telling the time, waiting, and doing something periodically meanwhile.

All code asks a `Clock` for the time, so that a simulation can have clocks of its own.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The clock as a run uses it."""

    def now(self) -> datetime:
        """The current time, UTC, by the wall clock: it may be wrong, and may be set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never set, but it may pause while the machine sleeps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        ...

    def draw(self, low: float, high: float) -> float:
        """A random number from a range, so that waiting processes do not all wake at once."""
        ...

    def every(self, first_s: float, act: Callable[[], float | None]) -> Callable[[], None]:
        """Call a function periodically, beside the work of the run.

        Args:
            first_s: Seconds until the first call.
            act: The function; returns the seconds until its next call, or None for no further one.

        Returns:
            A function that ends this; once it has returned, no call is under way any more.
        """
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)

    def draw(self, low: float, high: float) -> float:
        """See `Clock.draw`."""
        return random.uniform(low, high)  # noqa: S311 - only to spread them out

    def every(self, first_s: float, act: Callable[[], float | None]) -> Callable[[], None]:
        """See `Clock.every`."""
        ended = threading.Event()

        def repeat() -> None:
            pause: float | None = first_s
            while pause is not None and not ended.wait(pause):
                pause = act()

        thread = threading.Thread(target=repeat, name="every", daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join()

        return end


SYSTEM_CLOCK: Clock = SystemClock()
