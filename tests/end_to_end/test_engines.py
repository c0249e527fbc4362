"""The recipes of docs/engines.md: run where the engine is installed, or their columns checked."""

import importlib
import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS
from tests.builders import ACCOUNT, log_file, log_key
from tests.end_to_end.test_reading import ARN, ONE_DAY, RECORDS, REGION, exists, references
from tests.layouts import LAYOUTS, convert_in

PAGE = Path(__file__).parents[2] / "docs/engines.md"
RESOURCES = [("GetObject", "arn:aws:s3:::orders-data/a", 1)]


def blocks(section: str, language: str) -> list[str]:
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def installed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not importlib.util.find_spec(name), reason=f"NOT TESTED: {name} is not installed"
    )


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def folder(layout: PartitionLayout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cloudtrail` is the dataset: a day of the account, and one record of the next."""
    folder = tmp_path_factory.mktemp("engines")
    for hour, day, records in ((13, 10, RECORDS[:-1]), (8, 11, RECORDS[-1:])):
        path = (
            folder / "logs" / log_key(ACCOUNT, REGION, datetime(2026, 1, day, hour, 5, tzinfo=UTC))
        )
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(*records))
    convert_in(layout, folder / "logs", folder / "cloudtrail")
    return folder


@pytest.fixture
def here(folder: Path) -> Iterator[Path]:
    with chdir(folder):
        yield folder


def day_of(layout: PartitionLayout) -> str:
    """The filter that the page adds for one day."""
    wanted = "dt" if "dt" in PARTITION_COLUMNS[layout] else "year"
    found = re.findall(r"`AND (\w+)( = [^`]+)`", PAGE.read_text().replace("\n", " "))
    (rest,) = (rest for name, rest in found if name == wanted)
    return f"AND {wanted}{rest}\n"


@pytest.fixture
def ruined(folder: Path, tmp_path: Path) -> Path:
    """The dataset, with pages that nobody can read in the file of the other day."""
    dataset = shutil.copytree(folder / "cloudtrail", tmp_path / "ruined")
    (other,) = (path for path in dataset.rglob("*.parquet") if path.parent.name.endswith("11"))
    data, footer = other.read_bytes(), pq.read_metadata(other).serialized_size + 8
    other.write_bytes(b"PAR1" + b"\xff" * (len(data) - footer - 4) + data[-footer:])
    return dataset


@installed("chdb")
def test_clickhouse(here: Path, layout: PartitionLayout, ruined: Path) -> None:
    view, day, resources = blocks("ClickHouse", "sql")
    with importlib.import_module("chdb.session").Session() as session:

        def ask(query: str) -> list[dict[str, Any]]:
            answer = session.query(query.rstrip("\n;"), "JSONEachRow")
            return [json.loads(line) for line in str(answer).splitlines()]

        ask(view.replace("'cloudtrail/", f"'{here}/cloudtrail/"))
        rows = ask(day)
        same = ask(day.replace("ORDER BY", day_of(layout) + "ORDER BY"))
        counted = [tuple(row.values()) for row in ask(resources)]
        ask(view.replace("VIEW cloudtrail", "VIEW ruined").replace("'cloudtrail/", f"'{ruined}/"))
        calls = "SELECT eventName FROM ruined WHERE account = '012345678901' "
        pruned = ask(calls + day_of(layout))
        with pytest.raises(Exception, match="DB::Exception"):
            ask(calls)

    assert [(int(row["eventTime"][11:13]), row["eventName"]) for row in rows] == ONE_DAY
    assert {row["arn"] for row in rows} == {ARN}
    assert "orders-data" in {row["bucket"] for row in rows}
    assert same == rows
    assert [(name, arn, int(calls)) for name, arn, calls in counted] == RESOURCES
    assert len(pruned) == len(ONE_DAY)


@installed("datafusion")
def test_datafusion(here: Path, layout: PartitionLayout) -> None:
    assert here.is_dir()
    first, second = blocks("DataFusion", "python")
    assert '("dt", pa.date32())' in PAGE.read_text()
    types = {field.name: field.type for field in PARTITION_SCHEMAS["account/region/year/month/day"]}
    types["dt"] = pa.date32()
    folders = [(name, types[name]) for name in PARTITION_COLUMNS[layout]]
    names: dict[str, Any] = {"THESE": folders}
    exec(first.replace("cols=FOLDERS", "cols=THESE") + second, names)  # noqa: S102 - the page's

    assert [(row["eventTime"].hour, row["eventName"]) for row in names["calls"]] == ONE_DAY
    assert {row["arn"] for row in names["calls"]} == {ARN}
    assert layout != LAYOUTS[0] or names["FOLDERS"] == folders


@installed("daft")
def test_daft(here: Path) -> None:
    assert here.is_dir()
    names: dict[str, Any] = {}
    exec("".join(blocks("Daft", "python")), names)  # noqa: S102 - the page's own words

    assert [(row["eventTime"].hour, row["eventName"]) for row in names["calls"]] == ONE_DAY
    assert {row["arn"] for row in names["calls"]} == {ARN}


@pytest.mark.parametrize("section", ["Snowflake", "BigQuery", "Trino"])
def test_what_is_not_run_selects_columns_that_exist(section: str) -> None:
    *_, query = blocks(section, "sql")
    if section == "Snowflake":
        query = re.sub(r"(\w+):(\w+)::TEXT", r"json_value(\1, '\2')", query)
    with duckdb.connect() as con:
        answer = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    assert answer is not None
    tree = json.loads(answer[0])
    assert not tree["error"], tree
    paths = [tuple(one) for one in references(tree)]

    assert {"account", "year", "month", "day"} <= {path[0].lower() for path in paths}
    assert len(paths) > 6
    assert [path for path in paths if not exists(tuple(map(str.lower, path)))] == []


@pytest.mark.parametrize("section", ["Snowflake", "Trino"])
def test_what_is_not_run_makes_a_table_of_columns_that_exist(section: str) -> None:
    table, _ = blocks(section, "sql")
    (body,) = re.findall(r"CREATE (?:EXTERNAL )?TABLE [\w.]+ \(\n(.*?)\n\)", table, re.DOTALL)
    names = re.findall(r"^    (\w+) ", body, re.MULTILINE)
    members = re.findall(r"VALUE:(\w+)", body)

    assert len(names) > 10
    assert [name for name in names if not exists((name.lower(),))] == []
    assert set(members) <= set(names)
    partitions = " ".join(
        re.findall(r"(?:PARTITION BY \(|partitioned_by = ARRAY\[)(.*)[)\]]", table)
    )
    assert re.findall(r"\w+", partitions) == list(PARTITION_COLUMNS[LAYOUTS[0]])
    for name in re.findall(r"row\((.*)\)", body):
        for member in re.findall(r"(\w+) varchar", name):
            assert exists(("useridentity", member)), member


def test_every_block_of_the_page_is_in_a_section_that_is_tested() -> None:
    counted = [
        len(blocks(name, "sql")) for name in ("ClickHouse", "Snowflake", "BigQuery", "Trino")
    ]
    counted += [len(blocks(name, "python")) for name in ("DataFusion", "Daft")]

    assert counted == [3, 2, 2, 2, 2, 2]
    assert PAGE.read_text().count("```") == 2 * sum(counted)
