"""How a converting process manages memory.

Arrow and Python share one allocator, so that memory freed by one serves the other. glibc gives
every thread an arena of its own, and each arena keeps what its thread has freed. With few arenas
that is less, and the threads do not wait for each other more than before.
"""

import ctypes
import gc
import sys
from contextlib import suppress

import pyarrow as pa

_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2
_COLLECT_AFTER = 50_000  # objects; there are many records, and they hold no cycles


def prepare_process() -> None:
    """Set up this process for converting; call it once, at the entry of a process of our own."""
    pa.set_memory_pool(pa.system_memory_pool())
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library has no mallopt
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
