"""Hand-overs of all environments, made once for a test run."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.conftest import ENVIRONMENTS
from tests.stacks.handover.checkouts import PACKAGE, checkout


@pytest.fixture(scope="session")
def made_twice(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, Path]:
    """The folders ``dist`` of two checkouts, whose users have other masks."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "handed over"
    folder.mkdir(exist_ok=True)
    checkouts = folder / "one", folder / "deeper/another place"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not checkouts[1].exists():
            running = [
                subprocess.Popen(
                    [
                        *(sys.executable, "app.py", "--handover", "--package", PACKAGE),
                        *("--environments", str(ENVIRONMENTS)),
                    ],
                    cwd=checkout(path),
                    env={**os.environ, "PYTHONPATH": str(path / "lambda_src")},
                    stderr=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    umask=umask,
                )
                for path, umask in zip(checkouts, (0o022, 0o077), strict=True)
            ]
            for one in running:
                _, problems = one.communicate()
                assert not one.returncode, problems
    return checkouts[0] / "dist", checkouts[1] / "dist"


@pytest.fixture
def given(made_twice: tuple[Path, Path], case: str) -> Path:
    """The hand-over of a case."""
    return made_twice[0] / case
