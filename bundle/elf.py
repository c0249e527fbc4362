"""Shared libraries: their machine, and the libraries that they are linked against.

This shows that a package is complete even if it is for a machine that is not at hand. Source: the
System V ABI, chapters 4 and 5, for 64-bit little-endian files.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bundle.errors import BuildError

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
MACHINE_CODES = {"arm64": 183, "x86_64": 62}  # EM_AARCH64, EM_X86_64
SYSTEM = {  # of the policy manylinux_2_28; Amazon Linux has them
    *("libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"),
    *("libgcc_s.so.1", "libstdc++.so.6", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"),
}

_LOAD, _DYNAMIC = 1, 2  # segments
_NEEDED, _STRINGS = 1, 5  # dynamic entries


def check_libraries(files: Mapping[str, bytes], architecture: str) -> None:
    """Make sure that all shared libraries are for this machine and find what they need.

    Raises:
        BuildError: A library is for another machine, or one that it needs is not in the package.
    """
    present = SYSTEM | {PurePosixPath(path).name for path in files}
    for path, content in files.items():
        if content.startswith(b"\x7fELF"):
            if machine(content) != MACHINE_CODES[architecture]:
                hint = "Remove .cache/wheels and build again"
                raise BuildError(f"is not for {architecture}", path, hint)
            if missing := sorted(set(needed(content)) - present):
                hint = "A rule in bundle/prune.py removes too much"
                raise BuildError(f"needs {', '.join(missing)}", path, hint)


def machine(content: bytes) -> int:
    """The code of the machine, or 0 for other than a 64-bit little-endian file."""
    return int.from_bytes(content[18:20], "little") if content.startswith(MAGIC) else 0


def needed(content: bytes) -> Iterator[str]:
    """The names of the libraries that the loader will look for."""
    segments = list(_segments(content))
    for kind, offset, _, size in segments:
        if kind == _DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", content[offset : offset + size]))
            (strings,) = (_position(segments, value) for tag, value in entries if tag == _STRINGS)
            for tag, value in entries:
                if tag == _NEEDED:
                    start = strings + value
                    yield content[start : content.index(b"\0", start)].decode()


def _segments(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for position in range(table, table + size * count, size):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, position)
        yield kind, offset, address, length


def _position(segments: list[tuple[int, int, int, int]], address: int) -> int:
    """The offset in the file of the byte that is loaded at an address."""
    return next(
        address - start + offset
        for kind, offset, start, length in segments
        if kind == _LOAD and start <= address < start + length
    )
