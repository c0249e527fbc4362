"""The package that is deployed, run by the interpreter of its runtime, as Lambda runs it."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.builders import ago
from tests.bundle.packages import (
    NATIVE,
    ROOT,
    Package,
    package,
    python_3_13,
    reaches_an_index,
    unpack,
)
from tests.function.deployment import Deployment
from tests.function.runtime import TMP_MB, Code, Outcome
from tests.function.test_function import QUICK_S, by_duckdb, download, marks_of

__all__ = ["package"]

pytestmark = pytest.mark.slow

CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
"""The runtime's own client and what it needs; Lambda brings them."""


def locked(names: tuple[str, ...]) -> str:
    """The lines of some packages in the lock of what development needs."""
    entries = re.split(r"(?<!\\)\n", (ROOT / "requirements/dev.txt").read_text())
    found = [one for one in entries if one.partition("==")[0] in names]
    assert len(found) == len(names)
    return "\n".join(found)


@pytest.fixture(scope="session")
def code(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Code:
    """The unpacked zip, and beside it only what the runtime has."""
    python = python_3_13()
    task, runtime = unpack(package(NATIVE), tmp_path_factory)
    wanted = runtime / "client.txt"
    wanted.write_text(locked(CLIENT))
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    install += ["--target", str(runtime), "-r", str(wanted)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and not reaches_an_index(tmp_path_factory.mktemp("index")):
        pytest.skip(f"PACKAGE NOT RUN: pip reaches no index\n{done.stderr}")
    assert not done.returncode, done.stderr
    return Code((python, "-S"), (task, runtime))


def test_a_schedule_is_planned_carried_converted_and_read_back(
    code: Code, deployed: Deployment, tmp_path: Path
) -> None:
    spec = TreeSpec(accounts=2, regions=3, days=2, records=5000, first_day=ago(6))
    truth = generate_tree(tmp_path / "logs", spec)
    deployed.upload(tmp_path / "logs")
    box = deployed.start(code)

    planned = box.invoke({"kind": "daily", "days_back": 4}, QUICK_S)
    carried = deployed.carry_events(box.invoke)

    assert planned.payload["batches"] == len(carried) >= 2
    assert all(one.ok for each in carried for one in each.outcomes)
    rows = by_duckdb(download(deployed, tmp_path / "lake"))
    assert Counter(row[4:] for row in rows) == marks_of(tmp_path / "logs")
    assert box.metrics()["RecordsWritten"] == truth.records
    assert box.peak_tmp_bytes < TMP_MB << 20
    assert deployed.litter() == []


def test_a_batch_of_messages_is_done_but_for_the_bad_one(
    code: Code, deployed: Deployment, tmp_path: Path
) -> None:
    truth = generate_tree(tmp_path / "logs", TreeSpec(accounts=1, regions=2, days=2, records=100))
    deployed.upload(tmp_path / "logs")
    box = deployed.start(code, CLOUDTRAIL_PARQUET_DISPATCH="queue")
    plans = [{"kind": "plan", "from": f"2026-01-{day}", "to": "2026-01-12"} for day in ("09", 11)]

    deployed.send_messages(plans[0], {"kind": "hourly"}, plans[1])
    carried = deployed.map_queue(box.invoke)

    (first, *_) = carried[0].outcomes
    assert first == Outcome(
        ok=True,
        payload={
            "batchItemFailures": [{"itemIdentifier": carried[0].event["Records"][1]["messageId"]}]
        },
    )
    assert deployed.dead_letters() == ['{"kind": "hourly"}']
    assert sum(one.records.written for one in deployed.receipts()) == truth.records
