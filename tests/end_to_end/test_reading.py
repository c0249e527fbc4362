"""The recipes of docs/reading.md run as they stand there and give what they say."""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.layout import Unit, part_key
from cloudtrail_parquet.reference.ddl import DdlFormat, render
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS, PLACE_SCHEMAS, SCHEMA
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import ACCOUNT, log_file, log_key, record
from tests.end_to_end.program import succeed
from tests.layouts import LAYOUTS, convert_in

PAGE = Path(__file__).parents[2] / "docs/reading.md"
REGION = "us-east-1"
UNIT = Unit(ACCOUNT, REGION, date(2026, 1, 10))
BY_DATE = "Days as `dt`"
MIXED = "Files of an older and a newer schema"  # test_mixed_schemas.py
GOOGLE = {"accounts.google.com:aud": "an-app"}
RECORDS = [
    record(
        eventID="old",
        eventVersion="1.05",
        eventTime="2026-01-10T08:00:00Z",
        eventCategory=...,
        readOnly=None,
    ),
    record(
        eventID="get",
        eventName="GetObject",
        requestParameters={"bucketName": "orders-data", "key": "a"},
        resources=[{"ARN": "arn:aws:s3:::orders-data/a", "type": "AWS::S3::Object"}],
    ),
    record(eventID="new", eventTime="2026-01-10T13:00:00Z", newField="tomorrow", readOnly=False),
    record(
        eventID="web",
        eventTime="2026-01-11T08:00:00Z",
        userIdentity={
            "type": "AssumedRole",
            "sessionContext": {"webIdFederationData": {"attributes": GOOGLE}},
        },
    ),
]
SIGN_IN = record(  # delivered to two regions
    eventID="sign-in",
    eventTime="2026-01-11T07:59:00Z",
    eventName="ConsoleLogin",
    awsRegion=REGION,
)
ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/ada"
ONE_DAY = [(8, "GetBucketAcl"), (12, "GetObject"), (13, "GetBucketAcl")]  # hours and calls


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated tree and the records above."""
    logs = tmp_path_factory.mktemp("reading") / "logs"
    tree = "--accounts 1 --regions 1 --days 2 --records 400"
    succeed("generate", logs, *tree.split())
    path = logs / log_key(ACCOUNT, REGION, datetime(2026, 1, 11, 8, 5, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(RECORDS[-1], SIGN_IN))
    path = logs / log_key(ACCOUNT, "us-west-2", datetime(2026, 1, 11, 8, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(SIGN_IN))
    path = logs / log_key(ACCOUNT, REGION, datetime(2026, 1, 10, 13, 5, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(*RECORDS[:-1]))
    return logs


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def folder(layout: PartitionLayout, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cloudtrail` is the dataset."""
    folder = tmp_path_factory.mktemp("layout")
    convert_in(layout, logs, folder / "cloudtrail")
    return folder


@pytest.fixture
def here(folder: Path) -> Iterator[Path]:
    with chdir(folder):
        yield folder


@pytest.fixture
def mine(layout: PartitionLayout) -> str:
    """The key of the part with the day that the recipes select."""
    return part_key(UNIT, 0, layout)


@pytest.fixture
def ruined(folder: Path, mine: str, tmp_path: Path) -> Iterator[Path]:
    """The dataset with garbage in every file but the one of the day that the recipes select."""
    dataset = shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail")
    for path in dataset.rglob("*.parquet"):
        if path != dataset / mine:
            path.write_bytes(b"not Parquet at all" * 64)
    with chdir(tmp_path):
        yield tmp_path


def blocks(section: str, language: str) -> list[str]:
    """The fenced blocks of a section, in order."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def recipes(section: str, language: str, layout: PartitionLayout) -> list[str]:
    """The blocks of a section; where days are dates, with those that take the place of some."""
    found = blocks(section, language)
    if "dt" not in PARTITION_COLUMNS[layout] or section == "Spark":
        return found
    in_place_of = {"DuckDB": 1, "Polars": 2, "pyarrow and pandas": 2}
    order = {"DuckDB": 0, "Polars": 0, "pyarrow and pandas": 1}
    return [blocks(BY_DATE, language)[order[section]], *found[in_place_of[section] :]]


def run_python(section: str, layout: PartitionLayout, until: str | None = None) -> dict[str, Any]:
    """What the blocks of a section make, up to the one that makes a name."""
    names: dict[str, Any] = {}
    for code in recipes(section, "python", layout):
        exec(compile(code, PAGE.name, "exec"), names)  # noqa: S102 - the page's own words
        if until in names:
            break
    return names


def run_duckdb(layout: PartitionLayout, last: int | None = None) -> list[list[dict[str, Any]]]:
    """The rows of each block of the section but the first, which makes the view."""
    first, *others = recipes("DuckDB", "sql", layout)[:last]
    with duckdb.connect() as con:
        con.execute(first)
        return [con.sql(one).to_arrow_table().to_pylist() for one in others]


def test_every_engine_with_a_schema_of_its_own_has_a_section() -> None:
    sections = {name.lower() for name in re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)}

    assert set(get_args(DdlFormat)) - {"arrow", "parquet"} <= sections


def test_every_block_belongs_to_a_section_that_is_tested() -> None:
    in_sql = ("Layouts", BY_DATE, "DuckDB", "Athena", "Tailpipe", MIXED)
    in_python = (BY_DATE, "Polars", "pyarrow and pandas", "Spark", MIXED)
    found = [len(blocks(name, "sql")) for name in in_sql]
    found += [len(blocks(name, "python")) for name in in_python]

    assert PAGE.read_text().count("```") == 2 * sum(found)
    assert all(found)


def test_the_table_of_layouts_is_that_of_the_settings() -> None:
    rows = re.findall(r"^\| `([a-z/]+)`.*\| `(\S+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)

    assert [(layout, folders) for layout, folders, _ in rows] == [
        (layout, "/".join(f"{name}=…" for name in columns))
        for layout, columns in PARTITION_COLUMNS.items()
    ]
    columns = [re.findall(r"`(\w+)`", text) for *_, text in rows]
    assert columns == list(map(list, PLACE_COLUMNS.values()))


def test_duckdb(here: Path, layout: PartitionLayout) -> None:
    assert here.is_dir()
    day, sign_ins, json_text, resources, attributes, unmapped, derived = run_duckdb(layout)

    assert [(row["eventTime"].hour, row["eventName"]) for row in day] == ONE_DAY
    assert {row["arn"] for row in day} == {ARN}
    assert [row["eventID"] for row in sign_ins].count("sign-in") == 1
    assert ("orders-data", "a") in [(row["bucket"], row["key"]) for row in json_text]
    assert any(row["ARN"] == "arn:aws:s3:::orders-data/a" for row in resources)
    assert [row["first"] for row in attributes if row["names"] == list(GOOGLE)] == ["an-app"]
    assert [row["newField"] for row in unmapped] == ["tomorrow"]
    assert "1.05" in {row["eventVersion"] for row in derived}


def test_duckdb_reads_only_the_day_that_is_asked_for(ruined: Path, layout: PartitionLayout) -> None:
    assert ruined.is_dir()
    ((*day,),) = run_duckdb(layout, 2)

    assert [(row["eventTime"].hour, row["eventName"]) for row in day] == ONE_DAY
    with pytest.raises(duckdb.Error):
        run_duckdb(layout, 3)


def test_duckdb_reads_two_layouts_by_the_names_of_their_columns(logs: Path, tmp_path: Path) -> None:
    both: dict[str, PartitionLayout] = {
        "cloudtrail": "account/region/year/month/day",
        "cloudtrail-by-day": "year/month/day",
    }
    for name, layout in both.items():
        convert_in(layout, logs, tmp_path / name)
    (view,) = blocks("Layouts", "sql")
    counted = """
        SELECT DISTINCT count(*) FROM both_layouts
        GROUP BY account, region, year, month, day, eventTime, eventName, eventID"""

    with duckdb.connect() as con, chdir(tmp_path):
        con.execute(view)
        assert con.sql(counted).fetchall() == [(2,)]
        with pytest.raises(duckdb.Error, match="Hive partition mismatch"):
            con.sql("FROM read_parquet('cloudtrail*/**/*.parquet', hive_partitioning = true)")


def test_polars(here: Path, layout: PartitionLayout) -> None:
    assert here.is_dir()
    names = run_python("Polars", layout)

    calls = names["calls"].sort("eventTime").to_dicts()
    assert [(row["eventTime"].hour, row["eventName"]) for row in calls] == ONE_DAY
    assert {row["arn"] for row in calls} == {ARN}
    assert "orders-data" in names["buckets"]["requestParameters"].to_list()
    assert "arn:aws:s3:::orders-data/a" in names["resources"]["ARN"].to_list()
    assert GOOGLE in [dict(one) for one in names["attributes"]["attributes"].to_list() if one]
    assert names["new_fields"]["unmapped"].to_list() == ["tomorrow"]
    assert "old" in names["filled_in"]["eventID"].to_list()


def test_polars_reads_only_the_day_that_is_asked_for(ruined: Path, layout: PartitionLayout) -> None:
    assert ruined.is_dir()
    names = run_python("Polars", layout, until="calls")

    assert names["calls"].height == len(ONE_DAY)
    with pytest.raises(pl.exceptions.PolarsError):
        names["cloudtrail"].select("eventName").collect()


def test_pyarrow_and_pandas(here: Path, layout: PartitionLayout, mine: str) -> None:
    assert here.is_dir()
    names = run_python("pyarrow and pandas", layout)

    calls = names["calls"].sort_by("eventTime").to_pylist()
    assert [(row["eventTime"].hour, row["eventName"]) for row in calls] == ONE_DAY
    assert {row["arn"] for row in calls} == {ARN}
    assert names["files_read"] == [f"cloudtrail/{mine}"]
    assert names["writes"]["eventTime"].dt.hour.tolist() == [13]
    assert "orders-data" in names["buckets"]
    assert "arn:aws:s3:::orders-data/a" in names["arns"]
    assert names["new_fields"] == [{"newField": "tomorrow"}]
    assert len(names["filled_in"]) >= 1
    assert GOOGLE in names["attributes"]
    assert len(names["frame"]) == len(ONE_DAY)
    assert names["intact_rows"] == len(ONE_DAY)


def test_pyarrow_reads_only_the_day_that_is_asked_for(
    ruined: Path, layout: PartitionLayout
) -> None:
    assert ruined.is_dir()
    names = run_python("pyarrow and pandas", layout, until="frame")

    assert names["calls"].num_rows == len(ONE_DAY)
    with pytest.raises(pa.ArrowInvalid):
        names["cloudtrail"].to_table(columns=["eventName"])


def test_pyarrow_finds_a_changed_byte_as_the_page_says(
    folder: Path, layout: PartitionLayout, mine: str, tmp_path: Path
) -> None:
    path = shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail") / mine
    group = pq.read_metadata(path).row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    (ids,) = [chunk for chunk in chunks if chunk.path_in_schema == "eventID"]
    data = bytearray(path.read_bytes())
    data[ids.data_page_offset + ids.total_compressed_size - 1] ^= 1
    path.write_bytes(data)

    with (
        chdir(tmp_path),
        pytest.raises(OSError, match="CRC checksum verification failed"),
    ):
        run_python("pyarrow and pandas", layout)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="pyspark is not installed")
def test_spark(here: Path, layout: PartitionLayout) -> None:
    if "dt" in PARTITION_COLUMNS[layout]:
        pytest.skip("the page's block names year, month and day")
    settings = Settings(partition_layout=layout)
    (here / "cloudtrail.schema").write_text(render("spark", settings))
    names = run_python("Spark", layout)
    try:
        assert {row["arn"] for row in names["calls"]} == {ARN}
        assert "orders-data" in {row["bucket"] for row in names["calls"]}
        assert "arn:aws:s3:::orders-data/a" in {row["ARN"] for row in names["others"]}
        assert "tomorrow" in {row["newField"] for row in names["others"]}
        assert list(GOOGLE) in [row["attributes"] for row in names["others"]]
        assert any(row["filledIn"] for row in names["others"])
    finally:
        names["spark"].stop()


# Athena folds names to lower case; DuckDB's parser reads as much of its SQL as is used here.


@pytest.mark.parametrize("query", blocks("Athena", "sql"))
def test_athena_queries_name_columns_that_exist_and_the_injected_ones(query: str) -> None:
    with duckdb.connect() as con:
        answer = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    assert answer is not None
    tree = json.loads(answer[0])
    assert not tree["error"], tree
    paths = [tuple(one) for one in references(tree)]

    assert {"account", "region", "year", "month"} <= {path[0] for path in paths}
    assert len(paths) > 8
    for layout in LAYOUTS:
        for path in paths if "dt" not in PARTITION_COLUMNS[layout] else ():
            assert exists(path, layout), path


def test_a_misspelt_column_would_be_noticed() -> None:
    assert exists(("useridentity", "sessioncontext", "sessionissuer", "arn"))
    assert exists(("one", "arn"))
    assert not exists(("useridentity", "sessionissuer"))
    assert not exists(("eventname2",))
    assert not exists(("one", "name"))
    assert not exists(("eventname", "arn"))


def references(node: Any) -> Iterator[list[str]]:  # noqa: ANN401  any JSON value
    """The columns that a parsed query names, as paths."""
    if isinstance(node, list):
        for one in node:
            yield from references(one)
    elif isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield node["column_names"]
        for one in node.values():
            yield from references(one)


def exists(path: tuple[str, ...], layout: PartitionLayout = LAYOUTS[0]) -> bool:
    """Whether the schema has this path; ``one`` stands for an item of ``resources``."""
    places, folders = PLACE_SCHEMAS[layout], PARTITION_SCHEMAS[layout]
    of: Any = pa.struct([*SCHEMA, *places, *folders, pa.field("one", RESOURCE)])
    for name in path:
        members = {child.name.lower(): child.type for child in of} if is_struct(of) else {}
        if name not in members:
            return False
        of = members[name]
    return True


RESOURCE = SCHEMA.field("resources").type.value_type


def is_struct(of: Any) -> bool:  # noqa: ANN401  an Arrow type
    return bool(pa.types.is_struct(of))


def test_readers_take_strangers_as_the_page_says(
    folder: Path, layout: PartitionLayout, tmp_path: Path
) -> None:
    shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail")
    (tmp_path / "cloudtrail/_SUCCESS").write_text("")
    with chdir(tmp_path):
        run_python("pyarrow and pandas", layout, until="frame")
        run_python("Polars", layout, until="calls")
        (tmp_path / "cloudtrail/notes.txt").write_text("hello")

        assert run_duckdb(layout, 2)
        with pytest.raises(pl.exceptions.InvalidOperationError, match="different file extensions"):
            run_python("Polars", layout, until="calls")
        with pytest.raises(pa.ArrowInvalid):
            run_python("pyarrow and pandas", layout, until="frame")


def test_without_types_pandas_makes_categories_as_the_page_says(
    here: Path, layout: PartitionLayout
) -> None:
    folders = list(PARTITION_COLUMNS[layout])
    frame = pd.read_parquet(here / "cloudtrail", columns=["eventName", *folders])
    assert {str(frame[name].dtype) for name in folders} == {"category"}
