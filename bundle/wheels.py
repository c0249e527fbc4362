"""The wheels of a lock file for a Lambda runtime: from pip once, then from a cache.

pip chooses and downloads, from whatever index it is configured with. The wheels are read as they
are rather than installed, so nothing depends on what this version of pip writes beside them.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import HeaderParser
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZipFile

from bundle.errors import BuildError

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's word: the kernel's
GLIBC_MINORS = range(34, 16, -1)  # Amazon Linux 2023 has glibc 2.34; newest first, as pip prefers

_PINNED = re.compile(r"^([\w.-]+)==(\S+)([^\\\n]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE = re.compile(
    r"^([^/-]+)-[^/]*\.dist-info/(?:licenses/)?((?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$"
)
_LIBRARY = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/")


class Target(NamedTuple):
    """What the package is for: ``arm64`` or ``x86_64``, and a runtime such as ``python3.13``."""

    architecture: str
    runtime: str


class Pin(NamedTuple):
    """A line of the lock: the one version of a package, and the digests its files may have."""

    name: str
    version: str
    digests: frozenset[str]


class Wheel(NamedTuple):
    """A wheel whose digest is in the lock."""

    pin: Pin
    path: Path
    digest: str

    def members(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Its files by their paths in the package, with licences below ``licenses/``."""
        archive = ZipFile(self.path)
        for info in archive.infolist():
            if not info.is_dir():
                path = _LICENCE.sub(r"licenses/\1/\2", _LIBRARY.sub("", info.filename))
                yield path, partial(archive.read, info)

    def metadata(self) -> Message:
        """What the package says about itself."""
        with ZipFile(self.path) as archive:
            (path,) = (p for p in archive.namelist() if p.endswith(".dist-info/METADATA"))
            return HeaderParser().parsestr(archive.read(path).decode())


def read_lock(lock: Path) -> dict[str, Pin]:
    """The pins of a lock file, by name.

    Raises:
        BuildError: A line is for some systems only: pip would decide by this one, not by Lambda's.
    """
    pins = {}
    for entry in re.split(r"(?<!\\)\n", lock.read_text()):
        if line := _PINNED.match(entry):
            name, version, rest = line.groups()
            if ";" in rest:
                hint = "Leave the marker out of the lock, or teach bundle/wheels.py to decide it"
                raise BuildError(f"{name} is locked for some systems only", str(lock), hint)
            pins[name] = Pin(name, version, frozenset(_HASH.findall(entry)))
    return pins


def fetch(lock: Path, target: Target, cache: Path) -> list[Wheel]:
    """A wheel for each pin of the lock, in the order of their names.

    Raises:
        BuildError: pip found no wheel, or a cached one differs from the lock.
    """
    key = sha256(lock.read_bytes()).hexdigest()[:16]
    folder = cache / f"{target.runtime}-{target.architecture}-{key}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=".") as fresh:
            _download(lock, target, Path(fresh))
            try:
                Path(fresh).rename(folder)
            except OSError:
                if not folder.is_dir():  # else another build was faster
                    raise
    return _checked(read_lock(lock), folder)


def _download(lock: Path, target: Target, folder: Path) -> None:
    machine = MACHINES[target.architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--implementation", "cp", "--python-version", target.runtime.removeprefix("python")]
    command += [f"--platform={platform}" for platform in (*platforms, f"manylinux2014_{machine}")]
    command += ["--dest", str(folder), "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  ours
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line and "WARNING: " not in line]
        raise BuildError(
            "\n".join(
                [f"no wheels for {target.runtime} on {target.architecture}. pip says:", *errors]
            ),
            str(lock),
            "\nIs the package index reachable, and does it have such a wheel of this version? "
            'If not, lock another version: make lock LOCK_ARGS="--upgrade-package NAME"',
        )


def _checked(pins: dict[str, Pin], folder: Path) -> list[Wheel]:
    wheels = {}
    for path in folder.iterdir():
        digest = sha256(path.read_bytes()).hexdigest()
        name = canonical(path.name.split("-")[0])
        if name not in pins or digest not in pins[name].digests:
            raise BuildError("is not in the lock", str(path), f"Remove {folder} and build again")
        wheels[name] = Wheel(pins[name], path, digest)
    if missing := sorted(pins.keys() - wheels.keys()):
        hint = f"Remove {folder} and build again"
        raise BuildError(f"holds no wheel of {', '.join(missing)}", str(folder), hint)
    return [wheels[name] for name in sorted(wheels)]


def canonical(name: str) -> str:
    """A package's name as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
