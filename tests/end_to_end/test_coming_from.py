"""The expressions and queries of docs/coming-from.md run, and find what they are about."""

import re
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from tests.builders import ACCOUNT, REGION, log_file, log_key, record
from tests.end_to_end.test_readme import block
from tests.layouts import convert_in

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/coming-from.md").read_text()
ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/ada"
BUCKET = {"bucketName": "orders-data"}
RECORDS = [
    record(eventID="read", sourceIPAddress="192.0.2.1", requestParameters=BUCKET, readOnly=True),
    record(
        eventID="deleted",
        eventName="DeleteBucket",
        readOnly=False,
        sourceIPAddress="192.0.2.2",
        sessionCredentialFromConsole="true",
        requestParameters=BUCKET,
        resources=[{"ARN": "A", "type": "AWS::S3::Bucket"}],
    ),
    record(
        eventID="signed-in",
        eventName="ConsoleLogin",
        readOnly=None,
        errorCode="AccessDenied",
        requestParameters=None,
        responseElements={"ConsoleLogin": "Failure"},
    ),
]


def column(heading: str) -> list[str]:
    """The code spans of the last column of a section's table."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\|.*\| (.+?) \|$", section, re.MULTILINE)[2:]
    return [span for row in rows for span in re.findall(r"`([^`]+)`", row)]


@pytest.fixture(scope="module", params=[DEFAULT_LAYOUT, "year/month/day"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout: PartitionLayout = request.param
    folder = tmp_path_factory.mktemp("coming")
    path = folder / "logs" / log_key(ACCOUNT, REGION, datetime(2026, 1, 10, 12, 30, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(*RECORDS))
    convert_in(layout, folder / "logs", folder / "cloudtrail")
    return folder


@pytest.fixture
def cloudtrail(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with chdir(folder), duckdb.connect() as con:
        con.execute(block("sql", "read_parquet"))
        yield con


def test_each_expression_is_one_and_says_something_of_some_record(
    cloudtrail: duckdb.DuckDBPyConnection,
) -> None:
    named = ["tlsDetails.tlsVersion"]  # what no record here has
    found = [one for one in column("Expressions") + column("tailpipe") if " cloudtrail" not in one]

    assert len(found) > 15
    for one in found:
        query = f"SELECT {one} FROM cloudtrail"  # noqa: S608 - of the page
        values = {str(value) for (value,) in cloudtrail.sql(query).fetchall()}
        assert one in named or values - {"None"}, one


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = con.sql(query).to_arrow_table().to_pylist()
    return found


def test_the_questions_in_full_find_what_they_ask_for(
    cloudtrail: duckdb.DuckDBPyConnection,
) -> None:
    writes, console, deleted, addresses = (
        rows(cloudtrail, query) for query in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    )

    (written,) = writes
    assert (written["who"], written["eventName"], written["calls"]) == (ARN, "DeleteBucket", 1)
    assert [row["eventName"] for row in console] == ["DeleteBucket"]
    assert [row["eventName"] for row in deleted] == ["DeleteBucket"]
    assert [(row["who"], row["addresses"], row["calls"]) for row in addresses] == [(ARN, 3, 3)]


def test_the_questions_by_name_are_there() -> None:
    names = column("Questions")

    assert len(names) > 10
    assert [name for name in names if not (ROOT / f"queries/{name}.sql").exists()] == []
