"""A schema of another version, for real: a copy of the package has further columns.

A dataset of the older version is rewritten by the newer one, and is then what that makes of the
log files.
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

import cloudtrail_parquet
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from tests.end_to_end.program import Done, run_apart
from tests.end_to_end.test_corpus import deliver_corpus
from tests.end_to_end.trees import NOON, contents, deliver, event

ODD: list[dict[str, Any]] = [
    {},
    {"fresh": "a"},
    {"fresh": 7, "freshCount": "12", "freshJson": {"b": 1, "a": [1.10]}},
    {"freshCount": 3, "more": {"z": 1, "a": None}, "freshJson": 1e300},
    {"freshJson": {"secret": "s", "n": [{"secret": 1}]}, "more": {"secret": 2}},
    {"tlsDetails": {"tlsVersion": "TLSv1.3", "freshMember": "m", "unknown": 1}},
    {"tlsDetails": {"freshMember": ["not", "text"]}},
    {"tlsDetails": "none", "fresh": None},
    {"eventVersion": "1.0", "eventType": ..., "eventCategory": ..., "managementEvent": ...},
    {"eventVersion": "2.0", "fresh": "of another version"},
    {"eventVersion": "1.08", "awsRegion": ..., "recipientAccountId": ..., "fresh": "b"},
    {"eventID": ..., "fresh": "without an id"},
    {"responseElements": {"half": "\ud800"}, "fresh": "\udc00"},
    {"eventTime": "2026-01-10T11:50:00.250000Z", "fresh": "c"},
]


pytestmark = pytest.mark.slow


class Versions(NamedTuple):
    """Datasets of an older and a newer version, and the log files of both."""

    logs: Path
    older: Path
    newer: Path
    code: Path


def make_newer(folder: Path) -> Path:
    """A copy of the package whose schema has further columns, and a version of its own."""
    package = folder / "cloudtrail_parquet"
    for path, data in contents(Path(cloudtrail_parquet.__file__).parent).items():
        if path.endswith(".py"):
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_bytes(data)
    columns = package / "schema" / "columns.py"
    text, version = columns.read_text(), f"SCHEMA_VERSION = {SCHEMA_VERSION} "
    member, column = '_field("keyExchange", "+"),', '_field("annotation", "+", "undocumented'
    assert [text.count(each) for each in (version, member, column)] == [1, 1, 1]
    text = text.replace(version, f"SCHEMA_VERSION = {SCHEMA_VERSION + 1} ")
    text = text.replace(member, f'{member} _field("freshMember", "+"),')
    fresh = (
        '_field("fresh", "+"), _field("freshCount", "+", kind="integer"),'
        ' _field("freshJson", "+", kind="json"), '
    )
    columns.write_text(text.replace(column, fresh + column))
    return folder


def as_ascii(one: dict[str, Any]) -> str:
    kept = {name: value for name, value in one.items() if value is not ...}
    return json.dumps(kept, separators=(",", ":"))


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    folder = tmp_path_factory.mktemp("versions")
    made = Versions(
        folder / "logs", folder / "older", folder / "newer", make_newer(folder / "code")
    )
    for region in ("eu-central-1", "us-east-1"):
        for hour in range(3):
            when = NOON + timedelta(hours=8 * hour)
            usual = (event(f"{region}-{hour}-{number}", when) for number in range(len(ODD)))
            records = [
                as_ascii({**one, **changes}) for one, changes in zip(usual, ODD, strict=True)
            ]
            deliver(made.logs, *records, region=region, delivered=when)
    assert run_apart("convert", made.logs, made.older).returncode == 0
    assert newer(made, "convert", made.logs, made.newer).returncode == 0
    return made


def newer(versions: Versions, *arguments: object) -> Done:
    """Run a command of the newer version."""
    done = subprocess.run(
        [sys.executable, "-m", "cloudtrail_parquet.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": str(versions.code)},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def copy_of(dataset: Path, folder: Path) -> Path:
    for path, data in contents(dataset.parent).items():
        if path.startswith((f"{dataset.name}/", f"{dataset.name}.state/")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    return folder / dataset.name


def test_an_older_dataset_is_what_the_newer_version_makes_of_the_logs(
    versions: Versions, tmp_path: Path
) -> None:
    lake = copy_of(versions.older, tmp_path)
    before = contents(lake)

    plan = newer(versions, "rewrite", lake, "--dry-run")
    done = newer(versions, "rewrite", lake)

    assert "schema: " in plan.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert before != contents(lake) == contents(versions.newer)
    assert newer(versions, "convert", versions.logs, lake).stderr.startswith(
        "nothing to convert: 4 units are up to date"
    )


def test_receipts_count_what_is_unmapped_and_derived_now(
    versions: Versions, tmp_path: Path
) -> None:
    lake = copy_of(versions.older, tmp_path)

    newer(versions, "rewrite", lake)

    names = ("unmapped", "derived", "records", "versions", "schema_version", "settings")
    mine, theirs = (receipts(dataset) for dataset in (lake, versions.newer))
    assert mine.keys() == theirs.keys()
    for unit, receipt in mine.items():
        assert {name: receipt[name] for name in names} == {
            name: theirs[unit][name] for name in names
        }


def test_a_dataset_of_both_versions_is_read_meanwhile(versions: Versions, tmp_path: Path) -> None:
    lake = copy_of(versions.older, tmp_path)

    assert newer(versions, "rewrite", lake, "--region", "us-east-1").returncode == 0

    rows, fresh = counted(lake)["us-east-1"]
    assert (rows, fresh) == counted(versions.newer)["us-east-1"]
    assert (rows, fresh > 0) == (3 * len(ODD), True)
    assert counted(lake)["eu-central-1"] == (rows, 0)
    assert newer(versions, "export", lake).returncode == 0


def counted(dataset: Path) -> dict[str, tuple[int, int]]:
    """By region: rows, and those with something in the column that only the newer version has."""
    with duckdb.connect() as con:
        found = con.sql(
            f"SELECT region, count(*), count(fresh) FROM read_parquet("  # noqa: S608
            f"'{dataset}/**/*.parquet', union_by_name = true, hive_partitioning = true) GROUP BY 1"
        ).fetchall()
    return {region: (rows, fresh) for region, rows, fresh in found}


def receipts(dataset: Path) -> dict[str, dict[str, Any]]:
    state = contents(dataset.with_name(f"{dataset.name}.state") / "receipts")
    return {name: json.loads(text) for name, text in state.items()}


@pytest.mark.parametrize("layout", ["year/month/day", "account/dt"])
def test_layout_and_schema_change_together(versions: Versions, tmp_path: Path, layout: str) -> None:
    other, wanted = tmp_path / "other", tmp_path / "wanted"
    settings = ["--partition-layout", layout, "--json-encoding", "json"]

    done = newer(versions, "rewrite", versions.older, other, *settings)
    assert newer(versions, "convert", versions.logs, wanted, *settings).returncode == 0

    assert done.returncode == 0, done.stderr
    texts = [newer(versions, "export", dataset).stdout for dataset in (other, wanted)]
    assert texts[0] == texts[1] != ""


def test_rules_take_from_columns_what_was_unmapped_before(
    versions: Versions, tmp_path: Path
) -> None:
    lake, wanted, rules = copy_of(versions.older, tmp_path), tmp_path / "wanted", tmp_path / "r"
    rules.write_text('[[redact]]\nname = "s"\nkeys = ["secret"]\n')

    assert newer(versions, "rewrite", lake, "--settings", rules).returncode == 0
    assert newer(versions, "convert", versions.logs, wanted, "--settings", rules).returncode == 0

    assert contents(lake) == contents(wanted)
    text = newer(versions, "export", lake).stdout
    assert text.count('"secret":"[redacted]"') == 3 * 6
    mine, theirs = receipts(lake), receipts(wanted)
    assert [each["redacted"] for each in mine.values()] == [
        each["redacted"] for each in theirs.values()
    ]


def test_an_older_version_does_not_touch_what_a_newer_one_has_made(
    versions: Versions, tmp_path: Path
) -> None:
    lake = copy_of(versions.newer, tmp_path)
    before = contents(lake)

    done = run_apart("rewrite", lake, "--compression", "gzip")

    assert done.returncode == 1
    assert "newer" in done.stderr
    assert contents(lake) == before


@pytest.mark.skipif(
    not os.environ.get("CLOUDTRAIL_CORPUS"),
    reason="CLOUDTRAIL_CORPUS is not set: NO REAL RECORDS WERE TESTED",
)
def test_real_records_are_exported_byte_for_byte_in_a_newer_schema(
    versions: Versions, tmp_path: Path
) -> None:
    deliver_corpus(tmp_path / "logs")
    lake = tmp_path / "lake"
    assert run_apart("convert", tmp_path / "logs", lake).returncode == 0
    before = run_apart("export", lake).stdout
    shutil.rmtree(tmp_path / "logs")

    done = newer(versions, "rewrite", lake)

    assert (done.returncode, done.stderr) == (0, "")
    assert newer(versions, "export", lake).stdout == before != ""
