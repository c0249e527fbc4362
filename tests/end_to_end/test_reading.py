"""The recipes of docs/reading.md run as they stand there and give what they say."""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.reference.ddl import DdlFormat, render
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMA, SCHEMA
from tests.builders import ACCOUNT, log_file, log_key, record
from tests.end_to_end.program import succeed

PAGE = Path(__file__).parents[2] / "docs/reading.md"
REGION = "us-east-1"
MINE = f"account={ACCOUNT}/region={REGION}/year=2026/month=01/day=10/part-00000.parquet"
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `cloudtrail` is the dataset: a generated one and the records above."""
    folder = tmp_path_factory.mktemp("reading")
    tree = "--accounts 1 --regions 1 --days 2 --records 400"
    succeed("generate", folder / "logs", *tree.split(), folder=folder)
    path = folder / "logs" / log_key(ACCOUNT, REGION, datetime(2026, 1, 11, 8, 5, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(RECORDS[-1], SIGN_IN))
    path = folder / "logs" / log_key(ACCOUNT, "us-west-2", datetime(2026, 1, 11, 8, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(SIGN_IN))
    path = folder / "logs" / log_key(ACCOUNT, REGION, datetime(2026, 1, 10, 13, 5, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(*RECORDS[:-1]))
    succeed("convert", folder / "logs", folder / "cloudtrail", "--workers", 1, folder=folder)
    return folder


@pytest.fixture
def here(folder: Path) -> Iterator[Path]:
    with chdir(folder):
        yield folder


@pytest.fixture
def ruined(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """The dataset with garbage in every file but the one of the day that the recipes select."""
    dataset = shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail")
    for path in dataset.rglob("*.parquet"):
        if path != dataset / MINE:
            path.write_bytes(b"not Parquet at all" * 64)
    with chdir(tmp_path):
        yield tmp_path


def blocks(section: str, language: str) -> list[str]:
    """The fenced blocks of a section, in order."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_python(section: str, first: int = 0, last: int | None = None) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for code in blocks(section, "python")[first:last]:
        exec(compile(code, PAGE.name, "exec"), names)  # noqa: S102 - the page's own words
    return names


def run_duckdb(last: int | None = None) -> list[list[dict[str, Any]]]:
    """The rows of each block of the section but the first, which makes the view."""
    first, *others = blocks("DuckDB", "sql")[:last]
    with duckdb.connect() as con:
        con.execute(first)
        return [con.sql(one).to_arrow_table().to_pylist() for one in others]


def test_every_engine_with_a_schema_of_its_own_has_a_section() -> None:
    sections = {name.lower() for name in re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)}

    assert set(get_args(DdlFormat)) - {"arrow", "parquet"} <= sections


def test_every_block_belongs_to_a_section_that_is_tested() -> None:
    found = {name: len(blocks(name, "sql")) for name in ("DuckDB", "Athena")}
    found |= {name: len(blocks(name, "python")) for name in ("Polars", "pyarrow and pandas")}
    found["Spark"] = len(blocks("Spark", "python"))

    assert PAGE.read_text().count("```") == 2 * sum(found.values())
    assert all(found.values())


def test_duckdb(here: Path) -> None:
    assert here.is_dir()
    day, sign_ins, json_text, resources, attributes, unmapped, derived = run_duckdb()

    assert [(row["eventTime"].hour, row["eventName"]) for row in day] == ONE_DAY
    assert {row["arn"] for row in day} == {ARN}
    assert [row["eventID"] for row in sign_ins].count("sign-in") == 1
    assert ("orders-data", "a") in [(row["bucket"], row["key"]) for row in json_text]
    assert any(row["ARN"] == "arn:aws:s3:::orders-data/a" for row in resources)
    assert [row["first"] for row in attributes if row["names"] == list(GOOGLE)] == ["an-app"]
    assert [row["newField"] for row in unmapped] == ["tomorrow"]
    assert "1.05" in {row["eventVersion"] for row in derived}


def test_duckdb_reads_only_the_day_that_is_asked_for(ruined: Path) -> None:
    assert ruined.is_dir()
    ((*day,),) = run_duckdb(2)

    assert [(row["eventTime"].hour, row["eventName"]) for row in day] == ONE_DAY
    with pytest.raises(duckdb.Error):
        run_duckdb(3)


def test_polars(here: Path) -> None:
    assert here.is_dir()
    names = run_python("Polars")

    calls = names["calls"].sort("eventTime").to_dicts()
    assert [(row["eventTime"].hour, row["eventName"]) for row in calls] == ONE_DAY
    assert {row["arn"] for row in calls} == {ARN}
    assert "orders-data" in names["buckets"]["requestParameters"].to_list()
    assert "arn:aws:s3:::orders-data/a" in names["resources"]["ARN"].to_list()
    assert GOOGLE in [dict(one) for one in names["attributes"]["attributes"].to_list() if one]
    assert names["new_fields"]["unmapped"].to_list() == ["tomorrow"]
    assert "old" in names["filled_in"]["eventID"].to_list()


def test_polars_reads_only_the_day_that_is_asked_for(ruined: Path) -> None:
    assert ruined.is_dir()
    names = run_python("Polars", last=2)

    assert names["calls"].height == len(ONE_DAY)
    with pytest.raises(pl.exceptions.PolarsError):
        names["cloudtrail"].select("eventName").collect()


def test_pyarrow_and_pandas(here: Path) -> None:
    assert here.is_dir()
    names = run_python("pyarrow and pandas")

    calls = names["calls"].sort_by("eventTime").to_pylist()
    assert [(row["eventTime"].hour, row["eventName"]) for row in calls] == ONE_DAY
    assert {row["arn"] for row in calls} == {ARN}
    assert names["files_read"] == [f"cloudtrail/{MINE}"]
    assert names["writes"]["eventTime"].dt.hour.tolist() == [13]
    assert "orders-data" in names["buckets"]
    assert "arn:aws:s3:::orders-data/a" in names["arns"]
    assert names["new_fields"] == [{"newField": "tomorrow"}]
    assert len(names["filled_in"]) >= 1
    assert GOOGLE in names["attributes"]
    assert len(names["frame"]) == len(ONE_DAY)
    assert names["intact_rows"] == len(ONE_DAY)


def test_pyarrow_reads_only_the_day_that_is_asked_for(ruined: Path) -> None:
    assert ruined.is_dir()
    names = run_python("pyarrow and pandas", last=3)

    assert names["calls"].num_rows == len(ONE_DAY)
    with pytest.raises(pa.ArrowInvalid):
        names["cloudtrail"].to_table(columns=["eventName"])


def test_pyarrow_finds_a_changed_byte_as_the_page_says(folder: Path, tmp_path: Path) -> None:
    path = shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail") / MINE
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
        run_python("pyarrow and pandas")


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="pyspark is not installed")
def test_spark(here: Path) -> None:
    (here / "cloudtrail.schema").write_text(render("spark"))
    names = run_python("Spark")
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
    for path in paths:
        assert exists(path), path


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


def exists(path: tuple[str, ...]) -> bool:
    """Whether the schema has this path; ``one`` stands for an item of ``resources``."""
    of: Any = pa.struct([*SCHEMA, *PARTITION_SCHEMA, pa.field("one", RESOURCE)])
    for name in path:
        members = {child.name.lower(): child.type for child in of} if is_struct(of) else {}
        if name not in members:
            return False
        of = members[name]
    return True


RESOURCE = SCHEMA.field("resources").type.value_type


def is_struct(of: Any) -> bool:  # noqa: ANN401  an Arrow type
    return bool(pa.types.is_struct(of))


def test_readers_take_strangers_as_the_page_says(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "cloudtrail", tmp_path / "cloudtrail")
    (tmp_path / "cloudtrail/_SUCCESS").write_text("")
    with chdir(tmp_path):
        run_python("pyarrow and pandas", last=3)
        (tmp_path / "cloudtrail/notes.txt").write_text("hello")

        assert run_duckdb(2)
        run_python("Polars", last=2)
        names = run_python("pyarrow and pandas", last=1)
        with pytest.raises(pa.ArrowInvalid):
            names["cloudtrail"].to_table(columns=["eventName"])


def test_without_types_pandas_makes_categories_as_the_page_says(here: Path) -> None:
    frame = pd.read_parquet(here / "cloudtrail", columns=["eventName", "account", "day"])
    assert {str(frame[name].dtype) for name in ("account", "day")} == {"category"}
