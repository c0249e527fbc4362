"""The real packages, built once for a test run, and what it takes to run them as Lambda would."""

import fcntl
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from bundle.wheels import read_lock

ROOT = Path(__file__).parents[2]
NATIVE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
IN_THE_RUNTIME = ("boto3", "botocore", "dateutil", "s3transfer", "six", "urllib3")

Package = Callable[[str], Path]


def run_build(
    checkout: Path, *arguments: object, umask: int = -1
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bundle.package", *map(str, arguments)]
    return subprocess.run(
        command, cwd=checkout, umask=umask, capture_output=True, text=True, check=False
    )


def reaches_an_index(folder: Path) -> bool:
    """Whether pip can download what needs no building and runs everywhere."""
    name, version, digests = read_lock(ROOT / "requirements/runtime.txt")["typing-extensions"]
    options = " ".join(f"--hash=sha256:{digest}" for digest in sorted(digests))
    (folder / "one.txt").write_text(f"{name}=={version} {options}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries=1", "--timeout=20"]
    command += ["--no-cache-dir", "--dest", str(folder / "one"), "-r", str(folder / "one.txt")]
    return not subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Package:
    """The zip for an architecture, made when first asked for, by one of the test processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "packages"
    folder.mkdir(exist_ok=True)
    unreachable = folder / "unreachable"

    def package(architecture: str) -> Path:
        with (folder / f"{architecture}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not list(folder.glob(f"*-{architecture}.zip")) and not unreachable.exists():
                done = run_build(ROOT, "--architecture", architecture, "--out", folder)
                if done.returncode and reaches_an_index(tmp_path_factory.mktemp("index")):
                    pytest.fail(done.stderr)
                if done.returncode:
                    unreachable.write_text(done.stderr)
        if unreachable.exists():
            pytest.skip(f"PACKAGE NOT TESTED: pip reaches no index\n{unreachable.read_text()}")
        (made,) = folder.glob(f"*-{architecture}.zip")
        return made

    return package


def python_3_13() -> str:
    """An interpreter as Lambda's; candidates are run, since a version manager's shim may fail."""
    if sys.platform != "linux":
        pytest.skip("PACKAGE NOT RUN: it holds libraries for Linux")
    candidates = [sys.executable, *filter(None, [shutil.which("python3.13")])]
    candidates += map(str, sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python3.13")))
    test = "import sys; sys.exit(sys.version_info[:2] != (3, 13))"
    for candidate in candidates:
        if not subprocess.run([candidate, "-c", test], capture_output=True, check=False).returncode:
            return candidate
    pytest.skip("PACKAGE NOT RUN: no Python 3.13 on PATH or in ~/.pyenv/versions")


def unpack(archive: Path, folders: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The unpacked zip, and what the Lambda runtime has beside it."""
    task, runtime = (folders.mktemp(name) for name in ("task", "runtime"))
    with ZipFile(archive) as zipped:
        zipped.extractall(task)
    for name in IN_THE_RUNTIME:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (runtime / source.name).symlink_to(source)
    return task, runtime
