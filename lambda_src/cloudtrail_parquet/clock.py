"""The clock of a run: what time it is, waiting, and what is to be done again and again meanwhile.

Everything that asks for the time asks a `Clock`, so that a simulation can have clocks of its own.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a run asks of time."""

    def now(self) -> datetime:
        """The time of day, UTC, by the clock on the wall: it may be wrong, or be set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never set, but it may stand still while a machine sleeps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def draw(self, low: float, high: float) -> float:
        """A number from a range, so that those who wait do not wake together."""
        ...

    def every(self, first_s: float, act: Callable[[], float | None]) -> Callable[[], None]:
        """Do something beside what the run does, again and again, until it is ended.

        Args:
            first_s: Seconds until it is done for the first time.
            act: Does it, and returns the seconds until the next time, or None for never again.

        Returns:
            What ends it; when that returns, nothing is under way any more.
        """
        ...


class SystemClock:
    """The clocks of this machine."""

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
        return random.uniform(low, high)  # noqa: S311 - only spread out

    def every(self, first_s: float, act: Callable[[], float | None]) -> Callable[[], None]:
        """See `Clock.every`."""
        ended = threading.Event()

        def go_on() -> None:
            pause: float | None = first_s
            while pause is not None and not ended.wait(pause):
                pause = act()

        thread = threading.Thread(target=go_on, name="every", daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join()

        return end


SYSTEM_CLOCK: Clock = SystemClock()
