"""Signals that end a command which has something to tidy up first."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A context that is left as by an error when the process is told to end.

    What it has opened is closed then, temporary folders are removed, and the exit status is 128 and
    the signal's number, as shells have it. A signal that is ignored, as under ``nohup``, stays so.
    """
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    ours = [each for each, handler in before.items() if handler is signal.SIG_DFL]
    for each in ours:
        signal.signal(each, _end)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, before[each])


def _end(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
