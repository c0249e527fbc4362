"""A zip whose bytes depend on its files alone, and on the zlib that compresses them."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_UNIX = 3
_REGULAR_0644 = 0o100644 << 16
_BEGIN = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files in the order of their paths, all with the same time, readable by everybody."""
    with ZipFile(path, "w") as archive:
        for name in sorted(files):
            info = ZipInfo(name, _BEGIN)
            info.create_system = _UNIX
            info.external_attr = _REGULAR_0644
            archive.writestr(info, files[name], ZIP_DEFLATED, compresslevel=7)


def contents_digest(files: Mapping[str, bytes]) -> str:
    """A digest of the files, however compressed: of what ``sha256sum`` prints for them, sorted."""
    lines = (f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return sha256("".join(lines).encode()).hexdigest()
