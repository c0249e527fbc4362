import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError
from cloudtrail_parquet.storage import (
    LocalStore,
    Store,
    open_store,
)
from tests.unit.storage.stores import everything_in, in_threads, keys

LAMBDA_SRC = Path(__file__).parents[3] / "lambda_src"


LEASE = "leases/account=1/region=a.json"


HOLDER = """
import sys, time
from pathlib import Path
from cloudtrail_parquet.storage import LocalStore

with LocalStore(Path(sys.argv[1])).lease(sys.argv[2], 0, 900):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lease_keeps_a_second_holder_out(store: Store) -> None:
    with store.lease(LEASE, 0, 900):
        with pytest.raises(LeaseTimeoutError, match=LEASE), store.lease(LEASE, 0, 900):
            pass
        with store.lease(f"{LEASE}.other", 0, 900):
            pass
    with store.lease(LEASE, 0, 900):
        pass


def test_a_lease_that_is_held_may_be_checked(store: Store) -> None:
    with store.lease(LEASE, 0, 900) as lease:
        lease.check()


def test_a_lease_on_a_disk_is_lost_when_its_file_is_removed(tmp_path: Path) -> None:
    with LocalStore(tmp_path).lease(LEASE, 0, 900) as lease:
        (tmp_path / LEASE).unlink()
        with pytest.raises(StorageError, match="lost"):
            lease.check()


def test_a_lease_leaves_no_object_behind(store: Store) -> None:
    with store.lease(LEASE, 0, 900):
        pass

    assert keys(store) == []


def test_a_lease_is_given_back_when_its_work_fails(store: Store) -> None:
    with pytest.raises(KeyError), store.lease(LEASE, 0, 900):
        raise KeyError

    with store.lease(LEASE, 0, 900):
        pass


def test_a_second_holder_waits_for_the_first(store: Store) -> None:
    events: list[str] = []
    held = threading.Event()

    def first() -> None:
        with store.lease(LEASE, 0, 900):
            held.set()
            time.sleep(0.3)
            events.append("first")

    def second() -> None:
        held.wait()
        with store.lease(LEASE, 10, 900):
            events.append("second")

    in_threads(first, second)

    assert events == ["first", "second"]


def test_of_many_threads_one_at_a_time_holds_a_lease(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with store.lease(LEASE, 30, 900):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    in_threads(*[work] * 4)

    assert most == [1] * 4


def test_an_expired_lease_of_an_object_store_is_taken_over_and_kept_from_its_first_holder() -> None:
    store = open_store("memory:///")

    first, taken_over = store.lease(LEASE, 0, -10), store.lease(LEASE, 0, 900)
    first.__enter__()
    taken_over.__enter__()
    with pytest.raises(StorageError, match="lost"):
        first.__exit__(None, None, None)
    # the first holder has ended, and must not have given back what is no longer its own
    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass
    taken_over.__exit__(None, None, None)
    assert keys(store) == []


def test_a_lease_object_says_who_holds_it_and_until_when() -> None:
    store = open_store("memory:///")

    with store.lease(LEASE, 0, 900):
        lease = json.loads(store.read(LEASE))

    left = datetime.fromisoformat(lease["expires"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert lease["holder"]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lease."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), LEASE],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(LAMBDA_SRC)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lease_on_a_disk_keeps_other_processes_out_until_they_crash(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(LeaseTimeoutError), store.lease(LEASE, 0, 900):
        pass

    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with store.lease(LEASE, 0, 900):
        pass
    assert everything_in(tmp_path) == []
