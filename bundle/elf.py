"""Shared libraries: their machine, the libraries that they are linked against, and symbol versions.

This shows that a package is complete even if it is for a machine that is not at hand. Source: the
System V ABI, chapters 4 and 5, for 64-bit little-endian files; of versions the Linux Standard
Base, "Symbol Versioning".
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

NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11,)}
"""The newest versions of symbols in Amazon Linux 2023, which has glibc 2.34 and GCC 11.

Source: AL2023 User Guide, "Core toolchain packages glibc, gcc, binutils"; libstdc++ Manual, "ABI
Policy and Guidelines", which has 3.4.29 and 1.3.13 for GCC 11; libgcc names versions by releases.
"""
UNNUMBERED = {
    "CXXABI_TM_1",
    "CXXABI_FLOAT128",
}  # of GCC 4.7 and 5; GLIBC_ABI_DT_RELR is of glibc 2.36

_LOAD, _DYNAMIC = 1, 2  # segments
_NEEDED, _STRINGS, _VERSIONS = 1, 5, 0x6FFFFFFE  # dynamic entries


def check_libraries(files: Mapping[str, bytes], architecture: str) -> None:
    """Make sure that all shared libraries are for this machine and find what they need.

    Raises:
        BuildError: A library is for another machine, one that it needs is not in the package, or it
            needs symbols that are newer than Amazon Linux.
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
            if newer := sorted(set(filter(is_too_new, needed_versions(content)))):
                what = f"needs {', '.join(newer)}, newer than Amazon Linux 2023"
                hint = "Lock a version of the package whose wheel is for an older system"
                raise BuildError(what, path, hint)


def machine(content: bytes) -> int:
    """The code of the machine, or 0 for other than a 64-bit little-endian file."""
    return int.from_bytes(content[18:20], "little") if content.startswith(MAGIC) else 0


def is_too_new(version: str) -> bool:
    """Whether Amazon Linux lacks this version of symbols, such as ``GLIBC_2.35``."""
    family, _, number = version.rpartition("_")
    try:
        return tuple(map(int, number.split("."))) > NEWEST[family]
    except (KeyError, ValueError):
        return version not in UNNUMBERED


def needed(content: bytes) -> Iterator[str]:
    """The names of the libraries that the loader will look for."""
    dynamic = _Dynamic(content)
    for tag, value in dynamic.entries:
        if tag == _NEEDED:
            yield dynamic.text(value)


def needed_versions(content: bytes) -> Iterator[str]:
    """The versions of symbols that the loader will ask for in the libraries of the system."""
    dynamic = _Dynamic(content)
    for tag, value in dynamic.entries:
        if tag == _VERSIONS:
            for library, version in dynamic.versions(value):
                if library in SYSTEM:
                    yield version


class _Dynamic:
    """What a file tells the dynamic loader."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._segments = list(_segments(content))
        self.entries = [
            entry
            for kind, offset, _, size in self._segments
            if kind == _DYNAMIC
            for entry in struct.iter_unpack("<QQ", content[offset : offset + size])
        ]

    def text(self, place: int) -> str:
        (strings,) = (value for tag, value in self.entries if tag == _STRINGS)
        start = _position(self._segments, strings) + place
        return self._content[start : self._content.index(b"\0", start)].decode()

    def versions(self, address: int) -> Iterator[tuple[str, str]]:
        """Pairs of a library and a version of its symbols, from the table at an address."""
        entry, step = _position(self._segments, address), -1
        while step:
            library, item, step = struct.unpack_from("<4xIII", self._content, entry)
            item += entry
            more = -1
            while more:
                version, more = struct.unpack_from("<8xII", self._content, item)
                yield self.text(library), self.text(version)
                item += more
            entry += step


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
