"""Weeks of an organization in which something happens: what `verify` says of them, and no more."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.year.logs import Delivered, YearLogs
from bench.year.planted import Year, YearSpec
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.sample_logs.digests import keys_of
from tests.end_to_end.program import run

SPEC = YearSpec(accounts=4, regions=3, days=40, gaps=12, damaged=3, slot=8, seed=1)
NOTES = {"signature unknown", "no digests", "not covered", "restarted", "gap"}
"""What is said of digest files, of which there are some around gaps alone."""

Line = dict[str, Any]


class Weeks(NamedTuple):
    """Logs, and the dataset that was made of them."""

    year: Year
    logs: Path
    dataset: Path
    delivered: Delivered

    def convert(self) -> list[Line]:
        done = run("convert", self.logs, self.dataset, "--workers", 1, "--json")
        assert done.returncode == 3, "there are damaged log files"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def verify(self) -> tuple[int, list[Line]]:
        """The exit status, and what is found, but for notes about digest files."""
        keys = ("--digests", "--public-keys", keys_of(self.logs))
        done = run("verify", self.dataset, "--source", self.logs, *keys, "--workers", 1, "--json")
        *lines, _ = map(json.loads, done.stdout.splitlines())
        return done.returncode, [line for line in lines if line["kind"] not in NOTES]

    def units(self, cause: str) -> set[str]:
        """The names of the units of gaps of a cause."""
        gaps = (gap for gap in self.year.gaps if gap.cause == cause)
        return {_name(place, day) for gap in gaps for place, day in gap.units}


def _name(place: Place, day: date) -> str:
    return f"{place.account} {place.region} {day}"


def _unit_of(path: str) -> str:
    """The place and the day in whose folder a log file is."""
    *_, account, _, region, year, month, day, _ = path.split("/")
    return f"{account} {region} {year}-{month}-{day}"


def named(lines: list[Line], kind: str) -> set[str]:
    found = [line for line in lines if line["kind"] == kind]
    return {line.get("unit") or _unit_of(line["where"]) for line in found}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    folder, year = tmp_path_factory.mktemp("weeks"), Year(SPEC)
    delivered = YearLogs(year, folder / "logs").write()
    return Weeks(year, folder / "logs", folder / "cloudtrail", delivered)


def test_what_happens_in_a_year_is_said_and_nothing_else(weeks: Weeks) -> None:
    *receipts, _ = weeks.convert()
    counts = [receipt["records"] for receipt in receipts]
    assert sum(count["duplicate"] for count in counts) == weeks.delivered.repeated > 0
    assert sum(count["straggled"] for count in counts) > 0

    status, found = weeks.verify()

    deleted, damaged = weeks.units("deleted"), {_name(*unit) for unit in weeks.year.damaged}
    assert status == 5, "log files that digest files name are gone"
    assert {line["kind"] for line in found} == {"log missing", "quarantined"}
    assert named(found, "log missing") == deleted
    assert named(found, "quarantined") == damaged
    assert len(found) == len(deleted) + len(damaged)

    YearLogs(weeks.year, weeks.logs).go_on()
    status, found = weeks.verify()

    assert status == 5
    expired = named(found, "expired")
    assert named(found, "unit missing") == weeks.units("never converted")
    assert expired == expired_units(weeks.year)
    kinds = {"log missing", "quarantined", "unit missing", "expired", "not looked at"}
    assert {line["kind"] for line in found} <= kinds
    weeks.convert()
    _, found = weeks.verify()
    assert named(found, "log missing") == deleted
    assert {line["kind"] for line in found} == {"log missing", "quarantined", "expired"}


def expired_units(year: Year) -> set[str]:
    gaps = [
        gap for gap in year.gaps if gap.cause == "expired" and len(gap.places) < len(year.places)
    ]
    absent = {unit for gap in year.gaps for unit in gap.units}
    days = [year.spec.first_day + timedelta(days=number) for number in range(year.spec.days)]
    return {
        _name(place, day)
        for gap in gaps
        for place in gap.places
        for day in days
        if day < gap.first and (place, day) not in absent
    }
