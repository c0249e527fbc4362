"""The environments of these tests, synthesised once for a test run, as ``app.py`` does it."""

import fcntl
import subprocess
import sys
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import msgspec
import pytest

from stacks.environment.fields import Environment
from stacks.environment.load import load
from tests.stacks.reading import Stack, StackOf
from tests.stacks.terraform import plugins

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "tests/stacks/environments"
CASES = ("minimal", "everything", "other-account")
PACKAGE = "package.zip"
"""A zip without anything in it; where the function is run, the real one takes its place."""


@pytest.fixture(scope="session")
def provider() -> Path:
    """The folder of Terraform's provider; to be asked for first, as it may skip the test."""
    return plugins()


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder with one for each case: loading the bindings takes most of the time."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "synthesised"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stacks").exists():
            with ZipFile(folder / PACKAGE, "w"):
                pass
            command = [sys.executable, "app.py", "--environments", str(ENVIRONMENTS)]
            command += ["--package", str(folder / PACKAGE), "--out", str(folder)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert not done.returncode, done.stderr
    return folder / "stacks"


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stack(synthesised: Path, case: str) -> Stack:
    return _read(synthesised, case)


@pytest.fixture
def environment(case: str) -> Environment:
    return load(ENVIRONMENTS / f"{case}.toml")[case]


@pytest.fixture
def other(synthesised: Path) -> StackOf:
    return partial(_read, synthesised)


def _read(synthesised: Path, case: str) -> Stack:
    read: Stack = msgspec.json.decode((synthesised / case / "cdk.tf.json").read_bytes())
    return read
