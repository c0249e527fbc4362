"""A backfill of an applied stack, with a unit that cannot be read, a killer and a refused account.

The small one is part of the default run; that of 60 days of 20 places takes some minutes:

    .venv/bin/python -m pytest -s -m large tests/stacks/test_backfill_story.py
"""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import duckdb
import msgspec
import pytest

from cloudtrail_parquet.layout import Unit, partition
from cloudtrail_parquet.sample_logs import TreeSpec, Truth, generate_tree
from cloudtrail_parquet.state.receipt import Receipt
from tests.bundle.packages import NATIVE, Package, package
from tests.function.runtime import Code
from tests.function.test_package import code
from tests.s3.faults import Fault, FaultProxy, Request, error
from tests.stacks.athena import Table
from tests.stacks.test_story import Story, applied, delivered, found

__all__ = ["code", "package"]

pytestmark = pytest.mark.slow

FIRST = date(2026, 1, 10)
ACCOUNTS = 5


class Size(NamedTuple):
    """How large a backfill is; it has `ACCOUNTS` accounts."""

    days: int
    regions: int
    records: int

    @property
    def spec(self) -> TreeSpec:
        return TreeSpec(
            accounts=ACCOUNTS,
            regions=self.regions,
            days=self.days,
            records=self.records,
            duplicates=0.05,
            first_day=FIRST,
        )


@dataclass
class Ordeal:
    """A backfill that meets with three kinds of trouble, and its owner.

    Attributes:
        story: The stack.
        proxy: Between AWS and both the function and its owner.
        tree: The log files.
        truth: What they hold.
        folder: Where the owner works.
        days: The options that name the days.
    """

    story: Story
    proxy: FaultProxy
    tree: Path
    truth: Truth
    folder: Path
    days: tuple[str, ...]
    _copies: int = field(default=0, init=False)
    _logged: int = field(default=0, init=False)

    @cached_property
    def records(self) -> dict[Unit, int]:
        """How many records each unit has."""
        return {
            Unit(one.account, one.region, date.fromisoformat(one.day)): one.records
            for one in self.truth.units
        }

    @cached_property
    def log_files(self) -> dict[Unit, str]:
        """Of each unit a log file that no other unit reads, as the middle of its day has them."""
        found = dict[Unit, str]()
        for path in sorted(self.tree.glob("AWSLogs/**/CloudTrail/**/*.json.gz")):
            *_, account, _, region, year, month, day, name = path.parts
            if re.search(r"T(0[3-9]|1\d|2[0-2])\d\dZ_", name):
                unit = Unit(account, region, date(int(year), int(month), int(day)))
                found[unit] = path.relative_to(self.tree).as_posix()
        return found

    # Trouble.

    def archive(self, unit: Unit) -> None:
        """Move a log file into an archive, as a lifecycle rule does."""
        for bucket, key in self._objects(unit):
            archived = {
                "Body": (self.tree / self.log_files[unit]).read_bytes(),
                "StorageClass": "GLACIER",
            }
            self._s3.put_object(Bucket=bucket, Key=key, **archived)

    def restore(self, unit: Unit) -> None:
        """Restore it, which moto has done at once."""
        for bucket, key in self._objects(unit):
            self._s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 7})

    def _objects(self, unit: Unit) -> Iterator[tuple[str, str]]:
        """The objects of the log file: it may be in several sources."""
        name = self.log_files[unit]
        for uri in self.story.variables["CLOUDTRAIL_PARQUET_SOURCE"].split():
            bucket, key = urlsplit(uri).netloc, f"{urlsplit(uri).path}/{name}".lstrip("/")
            if self._s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"]:
                yield bucket, key

    def make_deadly(self, unit: Unit) -> Fault:
        """Let a log file end the process that reads it, as one does that is too large."""

        def kill(_: Request) -> bool:
            self.story.box.kill()
            return False

        fault = Fault(method="GET", path=self.log_files[unit], when=kill)
        self.proxy.add(fault)
        return fault

    def refuse(self, account: str) -> Fault:
        """Let nobody list an account."""

        def lists_it(request: Request) -> bool:
            return f"/{account}/" in request.query.get("prefix", "")

        fault = error(403, "AccessDenied", query="list-type", when=lists_it)
        self.proxy.add(fault)
        return fault

    # Its owner.

    def run(self, command: str, *options: str, status: int = 0) -> list[Any]:
        """Run a command that answers with this exit status; the lines of JSON that it prints."""
        answered, lines = self._run(command, *options)
        assert answered == status
        return lines

    def progress(self) -> dict[str, int]:
        """What ``status`` tells of units and dead letters; the former have to add up."""
        status, (told,) = self._run("status")
        assert status == bool(told["failed"])
        assert told["planned"] == told["done"] + told["failed"] + told["left"]
        return {name: told[name] for name in ("planned", "done", "failed", "left", "dead_letters")}

    def _run(self, command: str, *options: str) -> tuple[int, list[Any]]:
        done = self.story.run(self.folder, command, *options, "--json")
        sys.stdout.write(f"\n{datetime.now(UTC):%T} $ {command} {' '.join(options)}\n")
        sys.stdout.write(done.stdout + done.stderr)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def write_log(self) -> None:
        """Put what the function has written into CloudWatch Logs, as Lambda does."""
        logs, now = self.story.account.client("logs"), int(time.time() * 1000)
        where = {
            "logGroupName": self.story.state["aws_cloudwatch_log_group.converter_log"]["name"],
            "logStreamName": str(self._logged),
        }
        logs.create_log_stream(**where)
        lines, self._logged = self.story.box.log[self._logged :], len(self.story.box.log)
        for at in range(0, len(lines), 1000):
            events = [{"timestamp": now, "message": one} for one in lines[at : at + 1000]]
            logs.put_log_events(**where, logEvents=events)

    # What there is.

    def receipts(self) -> dict[Unit, Receipt]:
        """All receipts."""
        copies = self._downloaded(f"{self.story.variables['CLOUDTRAIL_PARQUET_STATE']}/receipts/")
        texts = [path.read_bytes() for path in copies.values()]
        receipts = [msgspec.json.decode(text, type=Receipt) for text in texts]
        return {Unit(one.account, one.region, one.day): one for one in receipts}

    @property
    def table(self) -> Table:
        return Table(self.story.state["aws_glue_catalog_table.catalogue"])

    def parts(self) -> dict[str, Path]:
        """Copies of all parts, by their URIs."""
        return self._downloaded(self.table.location)

    def rows(self) -> Counter[Unit]:
        """How many rows DuckDB counts in the partition of each unit."""
        units = {f"{self.table.location}{partition(unit)}": unit for unit in self.records}
        copies = {
            str(path): units[f"{uri.rpartition('/')[0]}/"] for uri, path in self.parts().items()
        }
        query = "SELECT filename, count(*) FROM read_parquet(?, filename = true) GROUP BY ALL"
        rows = Counter[Unit]()
        with duckdb.connect() as lake:
            for path, count in lake.execute(query, [list(copies)]).fetchall():
                rows[copies[path]] += count
        return rows

    def assert_it_adds_up_without(self, *left_out: Unit) -> None:
        """Receipts, rows and log files have the same records, but for those of some units.

        Of these there may be some: copies that were delivered on a day that is converted.
        """
        receipts, rows = self.receipts(), self.rows()
        assert receipts.keys() == self.records.keys() - set(left_out)
        assert {one.status for one in receipts.values()} == {"complete"}
        assert {unit: rows[unit] for unit in receipts} == {
            unit: self.records[unit] for unit in receipts
        }
        assert all(rows[unit] <= self.records[unit] for unit in left_out)
        records = [one.records for one in receipts.values()]
        assert rows.total() == sum(one.written + one.straggled for one in records)
        sys.stdout.write(f"{len(receipts):,} units with {rows.total():,} records\n")

    def _downloaded(self, uri: str) -> dict[str, Path]:
        self._copies += 1
        return self.story.download(uri, self.folder / f"copy-{self._copies}")

    @property
    def _s3(self) -> Any:  # noqa: ANN401
        return self.story.account.client("s3")


@pytest.fixture
def ordeal(  # noqa: PLR0913, PLR0917
    provider: Path,
    synthesised: Path,
    package: Package,
    code: Code,
    tmp_path: Path,
    size: Size,
) -> Iterator[Ordeal]:
    """The stack applied, and its log files delivered."""
    zipped, begun = package(NATIVE), time.monotonic()
    tree, stack = tmp_path / "logs", tmp_path / "cdktf.out/stacks/story"
    truth = generate_tree(tree, size.spec)
    days = ("--from", str(FIRST), "--to", str(FIRST + timedelta(days=size.days - 1)))
    with (
        applied(synthesised / "story", provider, zipped, stack) as (account, state),
        FaultProxy(account.url) as proxy,
    ):
        story = Story(account, state, code, tmp_path / "tmp", proxy.url)
        with story.box:
            story.upload(tree)
            sys.stdout.write(f"\n{datetime.now(UTC):%T} applied, {truth.files:,} log files\n")
            yield Ordeal(story, proxy, tree, truth, tmp_path, days)
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s\n")


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(days=3, regions=1, records=600), id="15 units"),
        pytest.param(
            Size(days=60, regions=4, records=24_000), id="1,200 units", marks=pytest.mark.large
        ),
    ],
)
def test_what_a_backfill_cannot_convert_is_told_mended_and_sent_again(
    ordeal: Ordeal, size: Size
) -> None:
    it = ordeal
    units = sorted(it.records)
    assert len(units) == size.days * ACCOUNTS * size.regions
    account = units[len(units) // 2].account
    refused = [unit for unit in units if unit.account == account]
    others = sorted(it.log_files.keys() - set(refused))
    poisoned, deadly = others[1], others[-2]
    it.archive(poisoned)
    kill, refuse = it.make_deadly(deadly), it.refuse(account)
    all_ = len(units) - len(refused)

    (sent,) = it.run("start", *it.days, "--yes", status=1)
    assert sent["units"] == all_
    assert sent["sent"] == sent["messages"] == it.story.left_in_queue()

    while len(it.story.box.lines("unit_converted")) < all_ // 2:
        it.story.carry(1)
    running = it.progress()
    assert all_ // 2 <= running["done"] == len(it.receipts()) < running["planned"] == all_
    assert running["left"] > 0

    it.story.carry()
    assert it.story.left_in_queue() == 0
    stopped = {"planned": all_, "done": all_ - 2, "failed": 2, "left": 0, "dead_letters": 2}
    assert it.progress() == stopped
    it.assert_it_adds_up_without(poisoned, deadly, *refused)

    it.write_log()
    told = {one["event"]: one["reason"] for one in it.run("redrive", status=2)}
    assert told.keys() == {f"convert {poisoned.name}", f"convert {deadly.name}"}
    assert "is archived: restore it" in told[f"convert {poisoned.name}"]
    assert "2 invocations that read this were ended" in told[f"convert {deadly.name}"]
    assert it.progress() == stopped

    it.restore(poisoned)
    it.run("redrive", "--reason", "archived", "--yes")
    it.story.carry()
    assert it.progress() == {
        **stopped,
        "done": all_ - 1,
        "failed": 1,
        "dead_letters": 1,
    }
    kill.times = 0
    it.run("redrive", "--yes")
    it.story.carry()
    mended = {"planned": all_, "done": all_, "failed": 0, "left": 0, "dead_letters": 0}
    assert it.progress() == mended
    it.assert_it_adds_up_without(*refused)

    refuse.times = 0
    (rest,) = it.run("start", *it.days, "--yes")
    assert rest["units"] == len(refused)
    it.story.carry()
    assert it.progress() == {**mended, "planned": len(refused), "done": len(refused)}
    it.assert_it_adds_up_without()
    (nothing,) = it.run("start", *it.days, "--yes")
    assert (nothing["units"], nothing["sent"]) == (0, 0)

    rows, expected = found(it.table, it.parts()), delivered(it.table, it.tree)
    assert list((expected - rows).elements())[:3] == []
    assert list((rows - expected).elements())[:3] == []
