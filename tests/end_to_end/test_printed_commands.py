"""Commands and queries of README.md, query.md and settings.md, as a reader would type them."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from tests.builders import ACCOUNT, log_file, log_key, record
from tests.end_to_end.program import succeed
from tests.end_to_end.test_readme import block
from tests.layouts import convert_in

ROOT = Path(__file__).parents[2]
SETTINGS_PAGE = (ROOT / "docs/settings.md").read_text()
DAYS = (
    (2026, 1, 9),
    (2026, 1, 10),
    (2026, 1, 11),
    (2026, 2, 9),
    (2027, 1, 9),
)  # DuckDB asks the first for columns


@pytest.fixture(params=[DEFAULT_LAYOUT, "account/year/month/day", "year/month/day"])
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    with chdir(tmp_path):
        yield tmp_path


def deliver_denials(logs: Path) -> None:
    """A denied call and another on each of the days."""
    for year, month, day in DAYS:
        noon = datetime(year, month, day, 12, tzinfo=UTC)
        path = logs / log_key(ACCOUNT, "us-east-1", noon)
        path.parent.mkdir(parents=True)
        denied = record(eventTime=noon.strftime("%FT%TZ"), errorCode="AccessDenied")
        path.write_bytes(log_file(denied, record(eventTime=noon.strftime("%FT%TZ"))))


def test_the_first_query_of_the_readme_reads_one_day(here: Path, layout: PartitionLayout) -> None:
    deliver_denials(here / "logs")
    dataset = convert_in(layout, here / "logs", here / "cloudtrail")
    parts = sorted(dataset.rglob("*.parquet"))
    wanted = [part for part in parts if "year=2026/month=01/day=09" in str(part)]
    for part in set(parts) - set(wanted):
        part.write_bytes(b"not Parquet at all" * 64)

    with duckdb.connect() as con:
        con.execute(block("sql", "read_parquet"))
        rows = con.sql(block("sql", "bucketName")).to_arrow_table().to_pylist()

    assert (len(parts), len(wanted)) == (len(DAYS), 1)
    assert [row["eventTime"].day for row in rows] == [9]


def test_the_readme_s_commands_convert_logs_of_one_s_own(here: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (typed,) = re.findall(r"^```\n(cloudtrail-parquet plan [^`]*)^```", readme, re.MULTILINE)
    deliver_denials(here / "trail-bucket")
    bin_ = here / "bin"
    bin_.mkdir()
    program = bin_ / "cloudtrail-parquet"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cloudtrail_parquet.cli "$@"\n')
    program.chmod(0o755)

    environment = {
        **os.environ,
        "HOME": str(here),
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "lambda_src"),
    }
    subprocess.run(["/bin/sh", "-euc", typed], env=environment, check=True, capture_output=True)

    assert len([*(here / "cloudtrail").rglob("*.parquet")]) == len(DAYS)


def test_each_printed_query_command_runs(here: Path) -> None:
    deliver_denials(here / "logs")
    convert_in(DEFAULT_LAYOUT, here / "logs", here / "cloudtrail")
    pages = [(ROOT / name).read_text() for name in ("README.md", "docs/query.md")]
    typed = [
        line
        for page in pages
        for block in re.findall(
            r"^```\w*\n(cloudtrail-parquet query [^`]*)^```", page, re.MULTILINE
        )
        for line in block.splitlines()
    ]

    assert len(typed) > 10
    for line in typed:
        said = succeed(*shlex.split(line)[1:])
        assert said or "--output" in line or " -o " in line, line
    assert "AccessDenied" in (here / "errors.csv").read_text()


def test_the_options_of_the_settings_page_are_what_its_file_says(here: Path) -> None:
    (file,) = re.findall(r"^```toml\n(.*?)^```", SETTINGS_PAGE, re.MULTILINE | re.DOTALL)
    options = re.findall(r"^ {4}(--.*)$", SETTINGS_PAGE, re.MULTILINE)
    (here / "settings.toml").write_text(file)
    (here / "by-file").mkdir()
    deliver_denials(here / "logs")

    succeed("convert", "logs", "by-file/cloudtrail", "--settings", "settings.toml")
    words = [word for option in options for word in shlex.split(option)]
    succeed("convert", "logs", "by-options", *words)

    assert len(tomllib.loads(file)) == len(options) == 2
    by_file, by_options = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}
        for folder in (here / "by-file/cloudtrail", here / "by-options")
    )
    assert by_file == by_options
    succeed("convert", "logs", "default")
    assert all(
        (here / "default" / name).read_bytes() != parts for name, parts in by_options.items()
    )
