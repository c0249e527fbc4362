"""The processes in which units are converted."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.program import command, succeed


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers") / "logs"
    shape = "--accounts 3 --regions 2 --days 5 --records 20000"
    succeed("generate", folder, *shape.split(), folder=folder.parent)
    return folder


def test_workers_end_when_the_process_that_dispatches_is_killed(tree: Path, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        command("convert", tree, tmp_path / "dataset", "--workers", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("dataset/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = psutil.Process(parent.pid).children(recursive=True)

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_an_interrupt_ends_at_once_with_one_line(tree: Path, tmp_path: Path) -> None:
    convert = command("convert", tree, tmp_path / "dataset", "--workers", 2)
    with subprocess.Popen(
        convert, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("dataset/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(parent.pid, signal.SIGINT)  # as the terminal does for Ctrl-C
        _, stderr = parent.communicate(timeout=20)

    assert parent.returncode == 130
    assert stderr.startswith("interrupted: a unit that was being replaced is named by the next run")
    assert "Traceback" not in stderr
