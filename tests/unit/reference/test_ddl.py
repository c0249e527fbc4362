"""What is printed for each engine, given to the engines where they are at hand."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.layout import Unit, partition
from cloudtrail_parquet.reference.ddl import (
    DATASET,
    LOCATION,
    TABLE,
    DdlFormat,
    athena_columns,
    athena_partitions,
    athena_properties,
    render,
)
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMA, SCHEMA
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import log_file
from tests.layouts import LAYOUTS, convert_in

UNIT = Unit("012345678901", "us-east-1", date(2026, 1, 9))
TRAIL = "AWSLogs/012345678901/CloudTrail/us-east-1/"
TIME = "2026-01-09T08:07:06Z"
RECORD = {
    "eventVersion": "1.11",
    "eventTime": TIME,
    "eventSource": "sts.amazonaws.com",
    "eventName": "AssumeRoleWithWebIdentity",
    "eventID": "6b1b9c8f-0f1e-4d5c-9a3b-2c7d8e9f0a1b",
    "readOnly": True,
    "resources": [{"ARN": "arn:aws:iam::012345678901:role/a", "accountId": "012345678901"}],
    "userIdentity": {
        "accountId": "012345678901",
        "sessionContext": {
            "webIdFederationData": {"attributes": {"accounts.google.com:aud": "x"}},
            "attributes": {"creationDate": TIME, "mfaAuthenticated": "false"},
        },
    },
}
# Athena User Guide, "Reserved keywords to escape in DDL statements".
RESERVED_IN_DDL = """
    ALL ALTER AND ARRAY AS AUTHORIZATION BETWEEN BIGINT BINARY BOOLEAN BOTH BY CASE CASHE CAST
    CHAR COLUMN CONF CONSTRAINT COMMIT CREATE CROSS CUBE CURRENT CURRENT_DATE CURRENT_TIMESTAMP
    CURSOR DATABASE DATE DAYOFWEEK DECIMAL DELETE DESCRIBE DISTINCT DIV DOUBLE DROP ELSE END
    EXCHANGE EXISTS EXTENDED EXTERNAL EXTRACT FALSE FETCH FLOAT FLOOR FOLLOWING FOR FOREIGN FROM
    FULL FUNCTION GRANT GROUP GROUPING HAVING IF IMPORT IN INNER INSERT INT INTEGER INTERSECT
    INTERVAL INTO IS JOIN LATERAL LEFT LESS LIKE LOCAL MACRO MAP MORE NONE NOT NULL NUMERIC OF ON
    ONLY OR ORDER OUT OUTER OVER PARTIALSCAN PARTITION PERCENT PRECEDING PRECISION PRESERVE PRIMARY
    PROCEDURE RANGE READS REDUCE REGEXP REFERENCES REVOKE RIGHT RLIKE ROLLBACK ROLLUP ROW ROWS
    SELECT SET SMALLINT START TABLE TABLESAMPLE THEN TIME TIMESTAMP TO TRANSFORM TRIGGER TRUE
    TRUNCATE UNBOUNDED UNION UNIQUEJOIN UPDATE USER USING UTC_TIMESTAMP VALUES VARCHAR VIEWS WHEN
    WHERE WINDOW WITH
"""


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def dataset(layout: PartitionLayout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One record of an account that begins with 0, on a day and in a month of one digit."""
    root = tmp_path_factory.mktemp("dialects")
    logs = root / "logs" / TRAIL / "2026/01/09"
    logs.mkdir(parents=True)
    body = log_file(RECORD)
    name = "012345678901_CloudTrail_us-east-1_20260109T0810Z_0123456789abcdef.json.gz"
    (logs / name).write_bytes(body)
    return convert_in(layout, root / "logs", root / "dataset")


@pytest.fixture(scope="module")
def part(dataset: Path) -> Path:
    (found,) = dataset.rglob("*.parquet")
    return found


def rendered(dialect: DdlFormat, layout: PartitionLayout) -> str:
    return render(dialect, Settings(partition_layout=layout))


def filled_in(dialect: DdlFormat, layout: PartitionLayout, dataset: Path) -> str:
    return rendered(dialect, layout).replace(DATASET, str(dataset))


def of_unit(layout: PartitionLayout) -> dict[str, object]:
    """The values of the partition columns of the one unit."""
    values = {"account": UNIT.account, "region": UNIT.region, "dt": UNIT.day}
    parts = {name: getattr(UNIT.day, name) for name in ("year", "month", "day")}
    return {name: (values | parts)[name] for name in PARTITION_COLUMNS[layout]}


def shape(of: pa.DataType) -> Any:  # noqa: ANN401
    """An Arrow type without an engine: a struct by member, a list of one, a map as a pair."""
    if pa.types.is_struct(of):
        return {field.name: shape(field.type) for field in of}
    if pa.types.is_list(of):
        return [shape(of.value_type)]
    if pa.types.is_map(of):
        return (shape(of.key_type), shape(of.item_type))
    return {
        pa.string(): "string",
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        pa.timestamp("us", tz="UTC"): "timestamp",
    }[of]


def parsed(columns: str) -> dict[str, Any]:
    """Read a list of columns back: ``name type, ...`` with ``struct<name:type>`` and the like."""
    tokens = [token.strip("`") for token in re.findall(r"`\w+`|\w+|[<>,:]", columns)]
    members = parsed_members(iter([*tokens, ">"]))
    return dict(members)


def parsed_members(tokens: Iterator[str]) -> list[tuple[str, Any]]:
    members, end = [], ","
    while end == ",":
        name = next(tokens)
        first = next(tokens)
        value, end = parsed_type(first if first != ":" else next(tokens), tokens)
        members.append((name, value))
    assert end == ">"
    assert len(members) == len(dict(members)), "a name is listed twice"
    return members


def parsed_type(word: str, tokens: Iterator[str]) -> tuple[Any, str]:
    """A type and the token behind it."""
    value: Any = word.lower()
    if value in ("struct", "array", "map"):
        assert next(tokens) == "<"
        if value == "struct":
            value = dict(parsed_members(tokens))
        else:
            inner, end = parsed_type(next(tokens), tokens)
            item, end = parsed_type(next(tokens), tokens) if end == "," else (None, end)
            assert end == ">"
            value = [inner] if value == "array" else (inner, item)
    return value, next(tokens)


def without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("--"))


def lower(value: Any) -> Any:  # noqa: ANN401
    """A shape with its names in lower case."""
    if isinstance(value, dict):
        assert len({name.lower() for name in value}) == len(value), "names differ by case only"
        return {name.lower(): lower(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(lower, value))
    return value


def names(value: Any) -> Iterator[str]:  # noqa: ANN401
    """All member names in a shape."""
    if isinstance(value, dict):
        yield from value
        for of in value.values():
            yield from names(of)
    elif isinstance(value, list | tuple):
        for of in value:
            yield from names(of)


def clause(ddl: str, before: str, after: str) -> str:
    """What stands between two words of a statement, without its brackets."""
    inside = ddl.partition(before)[2].partition(after)[0]
    return inside.strip().removeprefix("(").removesuffix(")")


@pytest.fixture(scope="module")
def columns(part: Path) -> dict[str, Any]:
    """The shape of what a converted part holds."""
    return {field.name: shape(field.type) for field in pq.read_schema(part)}


@pytest.mark.parametrize("format_", get_args(DdlFormat))
def test_every_format_knows_every_layout(format_: DdlFormat, layout: PartitionLayout) -> None:
    text = rendered(format_, layout)

    in_files = format_ in {"parquet", "duckdb"}  # which find these in the names of folders
    assert in_files or all(column in text for column in PARTITION_COLUMNS[layout])
    assert all(column in text for column in PLACE_COLUMNS[layout])


@pytest.mark.parametrize("dialect", get_args(DdlFormat))
def test_every_dialect_ends_its_last_line_and_knows_the_last_column(dialect: DdlFormat) -> None:
    text = render(dialect)

    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    last = "tp_usernames" if dialect == "tailpipe" else SCHEMA.names[-1]
    assert re.search(rf"\b{last}\b", text)


def test_the_arrow_text_has_a_line_for_each_column_and_each_member(
    layout: PartitionLayout, columns: dict[str, Any]
) -> None:
    inside, folders = rendered("arrow", layout).split("# partition columns")

    lines = [line.strip() for line in inside.splitlines() if line and not line.startswith("#")]
    assert sorted(line.split(":")[0] for line in lines) == sorted(names(columns))
    assert "eventTime: timestamp[us, tz=UTC]" in lines
    assert "resources: list<struct>" in lines
    assert [line.split(":")[0] for line in folders.splitlines()[1:]] == list(of_unit(layout))


def test_the_parquet_schema_is_that_of_a_converted_part(
    layout: PartitionLayout, part: Path
) -> None:
    written = str(pq.ParquetFile(part).schema).replace(" field_id=-1", "").splitlines()[1:]

    shown = rendered("parquet", layout).splitlines()

    times = "(isAdjustedToUTC=true, timeUnit=microseconds"
    assert [line.split(times)[0] for line in shown] == [line.split(times)[0] for line in written]
    assert (
        "  optional int64 eventTime (Timestamp(isAdjustedToUTC=true, timeUnit=microseconds));"
        in shown
    )


def test_athena_gets_the_columns_of_the_parts_in_lower_case(
    layout: PartitionLayout, columns: dict[str, Any]
) -> None:
    ddl = without_comments(rendered("athena", layout))

    assert ddl.startswith(f"CREATE EXTERNAL TABLE {TABLE} (\n")
    assert parsed(clause(ddl, TABLE, "PARTITIONED BY")) == lower(columns)
    assert list(parsed(clause(ddl, TABLE, "PARTITIONED BY"))) == list(lower(columns))


def test_athena_gets_the_partition_columns_in_the_order_of_the_folders(
    layout: PartitionLayout,
) -> None:
    ddl = without_comments(rendered("athena", layout))

    partitions = parsed(clause(ddl, "PARTITIONED BY", "STORED AS PARQUET"))

    assert list(partitions) == list(of_unit(layout))
    texts = {"account", "region", "dt"}
    assert {name for name, of in partitions.items() if of == "string"} == texts & set(partitions)
    assert {of for name, of in partitions.items() if name not in texts} <= {"int"}
    assert not set(partitions) & {name.lower() for name in SCHEMA.names}


def test_athena_injects_what_is_a_folder_and_no_day(layout: PartitionLayout) -> None:
    ddl = rendered("athena", layout)

    injected = {"account", "region"} & set(of_unit(layout))
    assert set(re.findall(r"'projection\.(\w+)\.type' = 'injected'", ddl)) == injected
    assert ("An injected column has to be named" in ddl) == bool(injected)
    for name in injected:
        assert f"{name} IN (" in ddl


def test_athena_needs_no_quotes_in_structs(columns: dict[str, Any]) -> None:
    members = {name.upper() for of in columns.values() for name in names(of)}

    assert not members & set(RESERVED_IN_DDL.split())
    assert all(re.fullmatch("[A-Z][A-Z0-9]*", name) for name in members)


def test_athena_comments_are_lines_before_the_statement() -> None:
    """Its DDL does not always take block comments, or comments within."""
    marks = [line.startswith("--") for line in render("athena").splitlines()]

    assert marks == sorted(marks, reverse=True)


@pytest.mark.parametrize("day", [date(2013, 1, 1), date(2026, 1, 9), date(2026, 12, 31)])
def test_athena_finds_the_folder_of_a_day(layout: PartitionLayout, day: date) -> None:
    properties = athena_properties("s3://lake/trail/", layout)

    def project(match: re.Match[str]) -> str:
        name = match[1]
        kind = properties[f"projection.{name}.type"]
        if kind == "injected":
            return str(getattr(UNIT, name))
        if kind == "date":
            assert properties[f"projection.{name}.format"] == "yyyy-MM-dd"
            return str(day)
        assert kind == "integer"
        value = getattr(day, name)
        low, high = map(int, properties[f"projection.{name}.range"].split(","))
        assert low <= value <= high
        return str(value).zfill(int(properties[f"projection.{name}.digits"]))

    template = properties["storage.location.template"]
    folder = re.sub(r"\$\{(\w+)\}", project, template)

    assert folder == f"s3://lake/trail/{partition(UNIT.on(day), layout)}"
    assert properties["projection.enabled"] == "true"


def test_athena_is_told_the_properties_and_the_place(layout: PartitionLayout) -> None:
    ddl = rendered("athena", layout)

    stated = dict(re.findall(r"'([^']+)' = '([^']+)'", clause(ddl, "TBLPROPERTIES", "\n)\n")))
    assert stated == athena_properties(LOCATION, layout)
    assert f"\nLOCATION '{LOCATION}'\n" in ddl


def test_the_glue_catalogue_gets_the_columns_of_the_statement(layout: PartitionLayout) -> None:
    ddl = without_comments(rendered("athena", layout))

    types = athena_columns(layout)
    assert not any(re.search(r"[\sA-Z`]", name + of) for name, of in types.items())
    as_columns = ", ".join(f"{name} {of}" for name, of in types.items())
    assert parsed(as_columns) == parsed(clause(ddl, TABLE, "PARTITIONED BY"))
    assert list(athena_partitions(layout)) == list(of_unit(layout))


def test_duckdb_has_account_region_and_day_in_every_layout_and_keeps_the_zeros_of_accounts(
    layout: PartitionLayout, dataset: Path
) -> None:
    with duckdb.connect() as connection:
        connection.execute(filled_in("duckdb", layout, dataset))

        view = connection.table(TABLE)
        rows = view.select(*PARTITION_SCHEMA.names, "userIdentity.accountId").fetchall()

    assert rows == [("012345678901", "us-east-1", 2026, 1, 9, "012345678901")]


def test_duckdb_sees_the_types_that_the_comment_lists(
    layout: PartitionLayout, dataset: Path
) -> None:
    text = rendered("duckdb", layout)
    listed = [line[2:] for line in text.splitlines() if line.startswith("--  ")]
    with duckdb.connect() as connection:
        connection.execute(filled_in("duckdb", layout, dataset))
        connection.execute(f"CREATE TABLE listed ({''.join(listed)})")

        seen = connection.execute(f"DESCRIBE {TABLE}").fetchall()
        expected = connection.execute("DESCRIBE listed").fetchall()

    types = {name: of for name, of, *_ in seen}
    all_types = {
        "account": "VARCHAR",
        "region": "VARCHAR",
        "year": "BIGINT",
        "month": "BIGINT",
        "day": "BIGINT",
        "dt": "DATE",
    }
    in_files = [*SCHEMA.names, *PLACE_COLUMNS[layout]]
    others = {name: types[name] for name in types.keys() - in_files}
    assert {name: types[name] for name in in_files} == {name: of for name, of, *_ in expected}
    assert others.items() <= all_types.items()
    assert {name for name in PARTITION_SCHEMA.names if types[name] == all_types[name]} == set(
        PARTITION_SCHEMA.names
    )


def test_polars_runs_the_code_and_keeps_the_zeros_of_accounts(
    layout: PartitionLayout, dataset: Path
) -> None:
    scope: dict[str, Any] = {}
    exec(filled_in("polars", layout, dataset), scope)  # noqa: S102

    where = of_unit(layout) | {"account": UNIT.account, "region": UNIT.region}
    frame = scope[TABLE].filter(**where).collect()

    assert frame.select("account", "eventTime", "readOnly").rows() == [
        ("012345678901", datetime(2026, 1, 9, 8, 7, 6, tzinfo=UTC), True)
    ]


def test_polars_sees_the_types_of_the_code(layout: PartitionLayout, dataset: Path) -> None:
    scope: dict[str, Any] = {}
    exec(filled_in("polars", layout, dataset), scope)  # noqa: S102

    found = pl.scan_parquet(f"{dataset}/**/*.parquet", hive_schema=scope["PARTITIONS"])

    assert scope["COLUMNS"] | scope["PARTITIONS"] == found.collect_schema()
    assert scope[TABLE].collect_schema() == found.collect_schema()
    types = {
        "account": pl.String,
        "region": pl.String,
        "year": pl.Int16,
        "month": pl.Int8,
        "day": pl.Int8,
        "dt": pl.Date,
    }
    assert scope["PARTITIONS"] == {name: types[name] for name in of_unit(layout)}


def test_spark_gets_the_columns_of_the_parts_and_the_partition_columns(
    layout: PartitionLayout, columns: dict[str, Any]
) -> None:
    text = rendered("spark", layout)

    found = parsed(without_comments(text))
    assert found == columns | PARTITION_COLUMNS[layout]
    assert list(found) == [*columns, *PARTITION_COLUMNS[layout]]
    assert "partitionColumnTypeInference" in text


@pytest.mark.slow
def test_spark_reads_with_the_schema_and_keeps_the_zeros_of_accounts(
    layout: PartitionLayout, dataset: Path
) -> None:
    sql = pytest.importorskip("pyspark.sql")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = spark.getOrCreate()
    try:
        frame = session.read.schema(rendered("spark", layout)).parquet(str(dataset))

        (row,) = frame.select(
            "account", "region", *list(of_unit(layout))[-1:], "readOnly"
        ).collect()

        assert frame.columns == [*SCHEMA.names, *PLACE_COLUMNS[layout], *of_unit(layout)]
        assert tuple(row) == (
            "012345678901",
            "us-east-1",
            *list(of_unit(layout).values())[-1:],
            True,
        )
    finally:
        session.stop()
