"""Runs that are killed at random moments leave whole files, and the next run completes them."""

import io
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.program import command, run_apart, succeed
from tests.end_to_end.trees import contents

pytestmark = pytest.mark.slow

ONE_LARGE_UNIT = "--accounts 1 --regions 1 --days 1 --records 10000"
TREE = "--accounts 2 --regions 2 --days 2 --records 3000 --late 0.05"
KILLS = 6
MAX_WAIT_S = 60  # a lease that nobody gives back would hold a run for 15 minutes


run = partial(run_apart, timeout_s=MAX_WAIT_S)


def kill_after(delay_s: float, *arguments: object) -> bool:
    """Start a command and kill it with all its workers; False when it was done before."""
    with subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
            return False
        os.killpg(process.pid, signal.SIGKILL)
    return True


class Reader:
    """Reads every part of a dataset again and again, and remembers what it could not read."""

    def __init__(self, dataset: Path) -> None:
        self.reads = 0
        self.broken: list[str] = []
        self._dataset = dataset
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read_on)

    def _read_on(self) -> None:
        while not self._done.wait(0.03):
            for path in list(self._dataset.rglob("*")):
                if path.is_file():
                    self._read(path)

    def _read(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return  # removed since it was listed: no broken file
        try:
            table = pq.read_table(io.BytesIO(data), columns=["eventID", "userIdentity"])
        except (pa.ArrowException, OSError) as error:
            self.broken.append(f"{path}: {error}")
            return
        if path.suffix != ".parquet" or not table.num_rows:
            self.broken.append(f"{path}: no part")
        self.reads += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


class Trial:
    """A dataset that was never killed, and another one that is about to be."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.tree, self.whole, self.killed = (folder / name for name in ("logs", "whole", "killed"))
        succeed("generate", self.tree, *TREE.split(), *options)
        started = time.monotonic()
        done = run("convert", self.tree, self.whole, "--workers", 2)
        self.usual_s = time.monotonic() - started
        assert done.returncode == 0, done.stderr

    def kill(self, times: int, seed: int) -> Reader:
        """Kill that many runs at random moments, then let one run to its end."""
        rng = Random(seed)
        arguments = ("convert", self.tree, self.killed, "--workers", 2)
        with Reader(self.killed) as reader:
            for _ in range(times):
                kill_after(rng.uniform(0.3, 1) * self.usual_s, *arguments)
            done = run(*arguments)
        assert done.returncode == 0, done.stderr
        return reader

    def state_files(self, dataset: Path) -> dict[str, bytes]:
        """All files beside a dataset that bear its name."""
        beside = [path for path in dataset.parent.iterdir() if path.name.startswith(dataset.name)]
        return {
            path.name.removeprefix(dataset.name) + "/" + name: data
            for path in beside
            if path != dataset
            for name, data in contents(path).items()
        }


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def reader(trial: Trial) -> Reader:
    return trial.kill(KILLS, seed=1)


def test_no_reader_ever_sees_a_broken_file(reader: Reader) -> None:
    assert reader.reads > 0
    assert not reader.broken


@pytest.mark.usefixtures("reader")
def test_the_dataset_is_the_same_to_the_byte_as_one_that_was_never_killed(trial: Trial) -> None:
    assert contents(trial.killed) == contents(trial.whole)


@pytest.mark.usefixtures("reader")
def test_nothing_is_left_in_staging_and_no_lease_is_held(trial: Trial) -> None:
    assert trial.state_files(trial.killed).keys() == trial.state_files(trial.whole).keys()


@pytest.mark.usefixtures("reader")
def test_the_receipts_tell_the_same_but_for_the_time(trial: Trial) -> None:
    def facts(dataset: Path) -> dict[str, dict[str, object]]:
        receipts = {
            name: json.loads(data)
            for name, data in trial.state_files(dataset).items()
            if "/receipts/" in name
        }
        for receipt in receipts.values():
            del receipt["converted_at"], receipt["seconds"], receipt["run"]
        return receipts

    assert facts(trial.killed) == facts(trial.whole)


def test_a_run_does_not_wait_for_one_that_was_killed_holding_its_leases(tmp_path: Path) -> None:
    trial = Trial(tmp_path, *ONE_LARGE_UNIT.split())
    arguments = ("convert", trial.tree, trial.killed, "--workers", 2)
    leases = Path(f"{trial.killed}.state", "leases", "partitions")
    _kill_when(lambda: any(leases.rglob("day=1*.json")), *arguments)
    assert any(leases.rglob("day=1*.json"))

    started = time.monotonic()
    done = run(*arguments)

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 3 * trial.usual_s + 5
    assert contents(trial.killed) == contents(trial.whole)


def _kill_when(moment: Callable[[], bool], *arguments: object) -> None:
    with subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not moment():
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)


def test_with_duplicates_too_a_killed_dataset_holds_the_same_records(tmp_path: Path) -> None:
    trial = Trial(tmp_path, "--duplicates", "0.1", "--records", "2000", "--seed", "5")

    reader = trial.kill(3, seed=2)

    assert not reader.broken
    killed, whole = (
        Counter(run("export", dataset).stdout.splitlines())
        for dataset in (trial.killed, trial.whole)
    )
    assert killed == whole
    assert max(killed.values()) == 1
