"""Debian's packages, unpacked below .cache/debian: nothing is installed, no root needed.

They come from the mirror that apt is configured with, and apt checks them by Debian's keys.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

CACHE = Path(__file__).parents[1] / ".cache/debian"


def unpacked(suite: str, architecture: str, *packages: str) -> Path:
    """A folder with some packages of a Debian release and all that they depend on.

    Skips the test that asks for them if this machine has no apt, or reaches no mirror.
    """
    folder = CACHE / "-".join([suite, architecture, *packages])
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE, prefix=".") as fresh:
            archives = _download(Path(fresh), suite, architecture, packages)
            root = _unpack(archives, Path(fresh) / "root")
            try:
                root.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another test run was faster
                    raise
    return folder


def native() -> str:
    """Debian's word for this machine's architecture."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("NOT TESTED: Debian's packages need apt-get and dpkg to unpack them")
    return _run("dpkg", "--print-architecture").strip()


def libraries(root: Path) -> Path:
    """The folder of shared libraries of what was unpacked."""
    (libc,) = root.glob("usr/lib/*/libc.so.6")
    return libc.parent


def program(root: Path, name: str, *arguments: object, below: str = "") -> list[str]:
    """The command that runs an unpacked program of this machine's architecture.

    It looks for libraries in a folder below that of all others, too.
    """
    folder = libraries(root)
    (loader,) = folder.glob("ld-linux-*.so.*")
    path = f"{folder}:{folder / below}"
    command = [loader, "--library-path", path, root / "usr/bin" / name, *arguments]
    return [str(word) for word in command]


def _download(folder: Path, suite: str, architecture: str, packages: tuple[str, ...]) -> list[Path]:
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "archives/partial").mkdir(parents=True)
    (folder / "status").touch()  # nothing is installed, so all dependencies are wanted
    apt = [
        "apt-get",
        f"-oDir::State::Lists={folder}/lists",
        f"-oDir::State::status={folder}/status",
        f"-oDir::State::extended_states={folder}/extended_states",
        f"-oDir::Cache={folder}",
        f"-oDir::Cache::archives={folder}/archives",
        "-oAPT::Sandbox::User=",  # else downloads belong to a user who may not write here
        "-oAcquire::Languages=none",
    ]
    sources = folder / "sources.list"
    sources.write_text(f"deb {_keys()} {_mirror(apt)} {suite} main\n")
    apt += [
        f"-oDir::Etc::sourcelist={sources}",
        "-oDir::Etc::sourceparts=/dev/null",
        f"-oAPT::Architecture={architecture}",
        f"-oAPT::Architectures={architecture}",
    ]
    _reach(*apt, "update", "-oAPT::Update::Error-Mode=any")
    _run(*apt, "install", "--yes", "--download-only", "--no-install-recommends", *packages)
    return sorted((folder / "archives").glob("*.deb"))


def _mirror(apt: list[str]) -> str:
    """Where this machine's own packages come from."""
    problems = _reach(*apt, "update")
    wanted = ("Created-By: Packages", "Origin: Debian", "Label: Debian")
    sites = _run(*apt, "indextargets", "--format", "$(SITE)", *wanted).split()
    if not sites:
        pytest.skip(f"NOT TESTED: apt of this machine reaches no mirror of Debian\n{problems}")
    return sites[0]


def _keys() -> str:
    """The option of a source that names Debian's keys; empty if apt has to find them itself."""
    found = sorted(Path("/usr/share/keyrings").glob("debian-archive-keyring.[gp][gp][gp]"))
    return f"[signed-by={found[0]}]" if found else ""


def _reach(*command: str) -> str:
    """Run apt, which may find nobody there; returns its warnings."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: Debian's packages are not reached\n{done.stderr}")
    return done.stderr


def _unpack(archives: list[Path], root: Path) -> Path:
    root.mkdir()
    for archive in archives:
        _run("dpkg", "--extract", str(archive), str(root))
    for name in ("bin", "lib", "lib64"):  # as in every Debian; a link that no package here has
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    return root


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout
