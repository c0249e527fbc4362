"""Weeks of an organization with gaps of six causes: what status tells, and a state that is lost."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from bench.year.logs import YearLogs
from bench.year.planted import CAUSES, Year, YearSpec
from bench.year.told import compare, days_told, differences
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.layout import Place
from tests.end_to_end.program import run

SPEC = YearSpec(accounts=4, regions=2, days=40, gaps=12, damaged=3, slot=8)
LAYOUTS: tuple[PartitionLayout, ...] = ("account/region/year/month/day", "account/dt")
Ranges = Sequence[dict[str, Any]]


class Weeks(NamedTuple):
    """Logs that were converted, of which more came, and others expired."""

    year: Year
    folder: Path
    layout: PartitionLayout

    def path(self, name: str) -> Path:
        return self.folder / name

    def status(self, *options: object) -> Ranges:
        spec = self.year.spec
        days = ("--from", spec.first_day, "--to", spec.last_day)
        logs = ("--source", self.path("logs"))
        done = run("status", self.path("cloudtrail"), *logs, *days, "--json", *options)
        assert done.returncode == 4, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def convert(self) -> None:
        layout = ("--partition-layout", self.layout)
        done = run("convert", self.path("logs"), self.path("cloudtrail"), *layout, "--workers", 1)
        assert done.returncode == 3, "there are damaged log files"

    def parts(self) -> dict[str, tuple[bytes, list[str]]]:
        """The digest of each part, and the ids of its records, by its path."""
        dataset = self.path("cloudtrail")
        return {
            str(path.relative_to(dataset)): (
                sha256(path.read_bytes()).digest(),
                pq.read_table(path, columns=["eventID"], partitioning=None)["eventID"].to_pylist(),
            )
            for path in sorted(dataset.rglob("*.parquet"))
        }


def ids(parts: dict[str, tuple[bytes, list[str]]]) -> Counter[tuple[str, str]]:
    """How often each record is there, by partition."""
    return Counter(
        (str(Path(path).parent), one) for path, (_, names) in parts.items() for one in names
    )


@pytest.fixture(params=LAYOUTS)
def weeks(request: pytest.FixtureRequest, tmp_path: Path) -> Weeks:
    weeks = Weeks(Year(SPEC), tmp_path, request.param)
    logs = YearLogs(weeks.year, weeks.path("logs"))
    logs.write()
    weeks.convert()
    logs.go_on()
    return weeks


def test_all_gaps_are_found_with_their_causes_and_a_lost_state_changes_nothing(
    weeks: Weeks,
) -> None:
    before, parts = weeks.status(), weeks.parts()
    was = days_told(before)
    comparison = compare(weeks.year, was)
    assert comparison.others == []
    assert comparison.planted == comparison.found == comparison.right == dict.fromkeys(CAUSES, 2)
    shutil.rmtree(weeks.path("cloudtrail.state") / "ledger")
    assert weeks.status() == before

    shutil.rmtree(weeks.path("cloudtrail.state"))
    lost = set(days_told(weeks.status()).values())
    assert ("outdated", "receipt") in lost
    assert not lost & {("converted", ""), ("converted", "rebuilt")}
    assert differences(before, weeks.status("--rebuild")) == []
    assert weeks.parts() == parts

    weeks.convert()
    after, now = weeks.parts(), days_told(weeks.status())
    assert ids(after) >= ids(parts), "a record is gone"
    assert max(ids(after).values()) == 1
    new = {unit for gap in weeks.year.gaps if gap.cause == "never converted" for unit in gap.units}
    changed = {path for path in parts if after.get(path) != parts[path]}
    assert changed <= {path for path in parts for _, day in new if f"/dt={day}/" in path}
    told = {unit: now[unit] for unit in was if now[unit] != was[unit]}
    assert told == {
        **dict.fromkeys(new, ("converted", "")),
        **{
            unit: ("converted", "rebuilt") for unit in expired(weeks.year) if was[unit] in HAVE_ROWS
        },
    }


HAVE_ROWS = {("converted", ""), ("partial", "quarantined")}


def expired(year: Year) -> set[tuple[Place, date]]:
    """The days of places whose log files are gone, though they were converted."""
    gaps = [
        gap for gap in year.gaps if gap.cause == "expired" and len(gap.places) < len(year.places)
    ]
    days = [year.spec.first_day + timedelta(days=number) for number in range(year.spec.days)]
    return {(place, day) for gap in gaps for place in gap.places for day in days if day < gap.first}
