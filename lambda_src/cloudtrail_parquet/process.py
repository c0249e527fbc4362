"""How a process that converts handles memory.

Arrow takes its memory from the same allocator as Python, so that what the one frees serves the
other. glibc gives every thread an arena of its own, and each keeps what its thread has freed: with
few arenas that is less, and the threads wait for each other no more than before.
"""

import ctypes
import gc
import sys
from contextlib import suppress

import pyarrow as pa

_M_ARENA_MAX = -8  # glibc, malloc.h
_ARENAS = 2
_COLLECT_AFTER = 50_000  # objects; records are many and hold no cycles


def prepare_process() -> None:
    """Set up this process for converting; call it once, at the door of a process of our own."""
    pa.set_memory_pool(pa.system_memory_pool())
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library has no mallopt
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
