"""How a process that converts handles memory.

Fresh memory is dear, above all in a virtual machine, where the first touch of a page may go to the
host. So memory that a conversion frees is kept for its next row group, and Arrow takes its own
from the same allocator as Python.
"""

import ctypes
import gc
import sys
from contextlib import suppress

import pyarrow as pa

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
_KEEP_BYTES = 256 << 20
_HEAP_BELOW_BYTES = 32 << 20  # the most that glibc takes
_COLLECT_AFTER = 50_000  # objects; records are many and hold no cycles


def prepare_process() -> None:
    """Set up this process for converting; call it once, at the door of a process of our own."""
    pa.set_memory_pool(pa.system_memory_pool())
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library has no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
            mallopt(_M_MMAP_THRESHOLD, _HEAP_BELOW_BYTES)
