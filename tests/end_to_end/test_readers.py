"""Datasets, read by programs that share no code: the same rows, types and values.

The recipes are those of the README, for account and region as folders and as columns.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import (
    DEFAULT_LAYOUT,
    PARTITION_COLUMNS,
    PLACE_COLUMNS,
    PartitionLayout,
)
from cloudtrail_parquet.layout import Unit, partition
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMA, SCHEMA, kind
from tests.builders import log_file, log_key, record
from tests.end_to_end.program import run, succeed
from tests.layouts import convert_in

TREE = "--accounts 2 --regions 2 --days 3 --records 3000 --late 0.02 --json"
PARTITION = PARTITION_SCHEMA.names
SCALARS = [field.name for field in SCHEMA if not pa.types.is_nested(field.type)]
LEAVES = {  # columns of the answers to compare, and where their values stand
    **{name: (name,) for name in PARTITION + SCALARS},
    "arn": ("userIdentity", "arn"),
    "issuer": ("userIdentity", "sessionContext", "sessionIssuer", "arn"),
    "mfa": ("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"),
    "issued": ("userIdentity", "sessionContext", "attributes", "creationDate"),
    "tlsVersion": ("tlsDetails", "tlsVersion"),
}

Row = dict[str, Any]


class Planted:
    """A converted tree and what is known about it."""

    def __init__(self, folder: Path, layout: PartitionLayout) -> None:
        self.layout = layout
        self.units = json.loads(succeed("generate", folder / "logs", *TREE.split()))["units"]
        self.dataset = convert_in(layout, folder / "logs", folder / "dataset")
        lines = succeed("export", self.dataset).splitlines()
        self.exported = [json.loads(line) for line in lines]


@pytest.fixture(scope="module", params=[DEFAULT_LAYOUT, "year/month/day"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("readers"), request.param)


# Each reader gives all rows, sorted, as plain Python values.


def by_duckdb(dataset: Path) -> list[Row]:
    columns = ", ".join(f"{'.'.join(path)} AS {name}" for name, path in LEAVES.items())
    arns = "list_transform(resources, lambda one: one.ARN) AS resourceARNs"
    with duck(dataset) as connection:
        relation = connection.sql("FROM records").project(f"{columns}, {arns}")
        return sorted_rows(relation.to_arrow_table().to_pylist())


@contextmanager
def duck(dataset: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The recipe of the README, as the table ``records``."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"""
            CREATE VIEW records AS FROM read_parquet(
                '{dataset}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false,
                hive_types = {{'year': BIGINT, 'month': BIGINT, 'day': BIGINT}})""")
        yield connection


def polars(dataset: Path) -> pl.LazyFrame:
    """The recipe of the README."""
    hive = {
        "account": pl.String,
        "region": pl.String,
        "year": pl.Int16,
        "month": pl.Int8,
        "day": pl.Int8,
    }
    return pl.scan_parquet(f"{dataset}/**/*.parquet", hive_partitioning=True, hive_schema=hive)


def by_polars(dataset: Path) -> list[Row]:
    columns = []
    for name, (top, *inner) in LEAVES.items():
        column = pl.col(top)
        for member in inner:
            column = column.struct.field(member)
        columns.append(column.alias(name))
    arns = pl.col("resources").list.eval(pl.element().struct.field("ARN")).alias("resourceARNs")
    return sorted_rows(polars(dataset).select(*columns, arns).collect().to_dicts())


def arrow(dataset: Path) -> pads.Dataset:
    hive = pads.HivePartitioning(PARTITION_SCHEMA)
    return pads.dataset(dataset, format="parquet", partitioning=hive)


def by_pyarrow(dataset: Path) -> list[Row]:
    columns = {name: pads.field(*path) for name, path in LEAVES.items()}
    columns["resources"] = pads.field("resources")
    rows = arrow(dataset).to_table(columns=columns).to_pylist()
    for row in rows:
        resources = row.pop("resources")
        row["resourceARNs"] = resources and [one["ARN"] for one in resources]
    return sorted_rows(rows)


def by_fastparquet(dataset: Path) -> list[Row]:
    """Part by part and without Arrow; it reads no lists of structs and no booleans in structs."""
    leaves = {name: path for name, path in LEAVES.items() if name != "mfa"}
    rows = []
    for path in dataset.rglob("*.parquet"):
        folders = dict(part.split("=") for part in path.relative_to(dataset).parts[:-1])
        where = {
            name: int(text) if name in {"year", "month", "day"} else text
            for name, text in folders.items()
        }
        names = [".".join(leaf) for leaf in leaves.values() if leaf[0] not in where]
        frame = fastparquet.ParquetFile(io.BytesIO(path.read_bytes())).to_pandas(columns=names)
        for values in zip(*(frame[name] for name in names), strict=True):
            found = where | dict(zip(names, map(_plain, values), strict=True))
            rows.append({name: found[".".join(leaf)] for name, leaf in leaves.items()})
    return sorted_rows(rows)


def _plain(value: Any) -> Any:  # noqa: ANN401  whatever pandas gives
    if value is None or (not isinstance(value, str) and str(value) in {"nan", "NaT", "<NA>"}):
        return None
    if hasattr(value, "to_pydatetime"):
        moment = value.to_pydatetime()
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if hasattr(value, "item") else value


def sorted_rows(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["eventTime"], str(row["eventID"]), str(row)))


READERS: dict[str, Callable[[Path], list[Row]]] = {
    "DuckDB": by_duckdb,
    "Polars": by_polars,
    "fastparquet": by_fastparquet,
}


@pytest.fixture(scope="module")
def rows(planted: Planted) -> list[Row]:
    """As pyarrow.dataset reads them."""
    return by_pyarrow(planted.dataset)


def test_the_dataset_has_something_in_every_column_that_is_compared(rows: list[Row]) -> None:
    for name in ("eventID", "arn", "issuer", "mfa", "issued", "tlsVersion", "resourceARNs"):
        assert any(row[name] for row in rows), name
    assert {row["readOnly"] for row in rows} == {True, False, None}


@pytest.mark.parametrize("reader", READERS)
def test_readers_see_the_same_values(planted: Planted, rows: list[Row], reader: str) -> None:
    found = READERS[reader](planted.dataset)

    assert len(found) == len(rows)
    names = found[0].keys()
    for one, other in zip(found, rows, strict=True):
        assert one == {name: other[name] for name in names}


def test_readers_see_the_values_that_were_delivered(planted: Planted, rows: list[Row]) -> None:
    delivered = sorted(
        (
            one["eventTime"],
            one.get("eventID") or "",
            (one.get("userIdentity") or {}).get("arn") or "",
        )
        for one in planted.exported
    )

    assert delivered == sorted(
        (f"{row['eventTime']:%Y-%m-%dT%H:%M:%SZ}", row["eventID"] or "", row["arn"] or "")
        for row in rows
    )


@pytest.mark.parametrize("reader", ["pyarrow", *READERS])
def test_readers_count_what_was_planted(planted: Planted, reader: str) -> None:
    read = READERS.get(reader, by_pyarrow)
    counts: dict[tuple[str, str, str], int] = {}
    for row in read(planted.dataset):
        unit = row["account"], row["region"], str(date(row["year"], row["month"], row["day"]))
        counts[unit] = counts.get(unit, 0) + 1

    assert counts == {
        (unit["account"], unit["region"], unit["day"]): unit["records"] for unit in planted.units
    }


def test_an_account_with_a_leading_zero_is_text_everywhere(planted: Planted) -> None:
    account = min(unit["account"] for unit in planted.units)
    assert account.startswith("0")
    with duck(planted.dataset) as connection:
        ask = "SELECT min(account), typeof(min(account)) FROM records"
        answer = connection.execute(ask).fetchone()

    assert answer == (account, "VARCHAR")
    assert polars(planted.dataset).select(pl.col("account").min()).collect().item() == account
    assert min(arrow(planted.dataset).to_table(["account"])["account"].to_pylist()) == account


def test_duckdb_sees_the_types_of_the_schema(planted: Planted) -> None:
    names = {
        "string": "VARCHAR",
        "bool": "BOOLEAN",
        "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    }
    with duck(planted.dataset) as connection:
        described = connection.execute("DESCRIBE records").fetchall()
    types = {name: of for name, of, *_ in described}

    places = PLACE_COLUMNS[planted.layout]
    folders = PARTITION_COLUMNS[planted.layout]
    assert list(types) == [*SCHEMA.names, *places, *sorted(folders)]
    assert {name: types[name] for name in SCALARS} == {
        name: names[str(SCHEMA.field(name).type)] for name in SCALARS
    }
    assert types["resources"] == (
        'STRUCT(ARN VARCHAR, ARNPrefix VARCHAR, accountId VARCHAR, "type" VARCHAR)[]'
    )


def test_polars_sees_the_types_of_the_schema(planted: Planted) -> None:
    types = polars(planted.dataset).collect_schema()
    names = {
        "string": pl.String(),
        "bool": pl.Boolean(),
        "timestamp[us, tz=UTC]": pl.Datetime("us", "UTC"),
    }

    assert types.names() == SCHEMA.names + PARTITION
    assert {name: types[name] for name in SCALARS} == {
        name: names[str(SCHEMA.field(name).type)] for name in SCALARS
    }


def test_pyarrow_sees_the_types_of_the_schema(planted: Planted) -> None:
    found = arrow(planted.dataset).schema

    assert found.names == SCHEMA.names + PARTITION
    for field in SCHEMA:
        assert found.field(field.name).type == field.type, field.name


@pytest.mark.parametrize("reader", ["pyarrow", *READERS])
def test_event_times_are_instants_in_utc(planted: Planted, reader: str) -> None:
    for row in READERS.get(reader, by_pyarrow)(planted.dataset):
        assert row["eventTime"].utcoffset().total_seconds() == 0
        assert row["eventTime"].date() == date(row["year"], row["month"], row["day"])


def test_free_form_columns_are_json_for_duckdb(planted: Planted) -> None:
    texts = [field.name for field in SCHEMA if kind(field) == "json"]
    invalid = " OR ".join(f"NOT json_valid({name})" for name in texts)
    with duck(planted.dataset) as connection:
        everything = connection.sql("FROM records")
        names = everything.project("eventName, requestParameters ->> '$.bucketName' AS bucket")

        assert not everything.filter(invalid).project("eventID").fetchall()
        assert names.filter("bucket IS NOT NULL").fetchall()


# A filter on the partition columns must not touch the files of other partitions.


@pytest.fixture
def ruined(planted: Planted, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A copy in which all files but those of one unit are garbage, and that unit.

    The first file stays as well: DuckDB and Polars take the columns from its footer.
    """
    dataset = shutil.copytree(planted.dataset, tmp_path / "dataset")
    (unit,) = [
        unit
        for unit in planted.units
        if unit["account"].startswith("0")
        and unit["day"] == "2026-01-11"
        and unit["region"] == "us-east-1"
    ]
    where = datetime.fromisoformat(unit["day"])
    of_day = Unit(unit["account"], unit["region"], where.date())
    mine = partition(of_day, planted.layout)
    _, *others = sorted(dataset.rglob("*.parquet"))
    for path in others:
        if not str(path.relative_to(dataset)).startswith(mine):
            path.write_bytes(b"not Parquet at all" * 64)
    return dataset, unit


def test_a_filter_in_duckdb_reads_only_the_folders_it_names(
    ruined: tuple[Path, dict[str, Any]],
) -> None:
    dataset, unit = ruined
    where = f"account = '{unit['account']}' AND region = '{unit['region']}'"
    with duck(dataset) as connection:
        everything = connection.sql("FROM records")
        mine = everything.filter(f"{where} AND year = 2026 AND month = 1 AND day = 11")

        assert len(mine.project("eventName").fetchall()) == unit["records"]
        with pytest.raises(duckdb.Error):
            everything.project("eventName").fetchall()


def test_a_filter_in_polars_reads_only_the_folders_it_names(
    ruined: tuple[Path, dict[str, Any]],
) -> None:
    dataset, unit = ruined
    frame = polars(dataset)
    count = pl.col("eventName").count()
    condition = (
        (pl.col("account") == unit["account"])
        & (pl.col("region") == unit["region"])
        & (pl.col("year") == 2026)
        & (pl.col("month") == 1)
        & (pl.col("day") == 11)
    )

    assert frame.filter(condition).select(count).collect().item() == unit["records"]
    with pytest.raises(pl.exceptions.PolarsError):
        frame.select(count).collect()


def test_a_filter_in_pyarrow_reads_only_the_folders_it_names(
    ruined: tuple[Path, dict[str, Any]],
) -> None:
    dataset, unit = ruined
    hive = pads.HivePartitioning(PARTITION_SCHEMA)
    whole = pa.schema([*SCHEMA, *PARTITION_SCHEMA])
    opened = pads.dataset(dataset, schema=whole, format="parquet", partitioning=hive)
    condition = (
        (pads.field("account") == unit["account"])
        & (pads.field("region") == unit["region"])
        & (pads.field("year") == 2026)
        & (pads.field("month") == 1)
        & (pads.field("day") == 11)
    )

    assert opened.to_table(["eventName"], filter=condition).num_rows == unit["records"]
    with pytest.raises(pa.ArrowInvalid):
        opened.to_table(["eventName"])


# Where accounts are a column, a filter on them must not touch the row groups of others.

BUSY, OTHER = "012345678901", "123456789012"
BUSY_RECORDS = 8500  # a row group ends where an account does from 8,192 rows on


@pytest.fixture(scope="module")
def half_ruined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two accounts in one part, in which the pages of the second are garbage."""
    folder = tmp_path_factory.mktemp("columns")
    for account in (BUSY, OTHER):
        path = (
            folder / "logs" / log_key(account, "us-east-1", datetime(2026, 1, 10, 13, tzinfo=UTC))
        )
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(*(record(eventID=f"{n}") for n in range(BUSY_RECORDS))))
    (part,) = convert_in("year/month/day", folder / "logs", folder / "dataset").rglob("*.parquet")
    _, theirs = pq.read_metadata(part).to_dict()["row_groups"]
    ruined = bytearray(part.read_bytes())
    for chunk in theirs["columns"]:
        start = chunk["dictionary_page_offset"] or chunk["data_page_offset"]
        ruined[start : start + chunk["total_compressed_size"]] = bytes(
            chunk["total_compressed_size"]
        )
    part.write_bytes(ruined)
    return folder / "dataset"


def test_an_account_that_is_a_column_chooses_row_groups_in_duckdb(half_ruined: Path) -> None:
    with duck(half_ruined) as connection:
        everything = connection.sql("FROM records").project("account, eventName")

        assert len(everything.filter(f"account = '{BUSY}'").fetchall()) == BUSY_RECORDS
        with pytest.raises(duckdb.Error):
            everything.fetchall()


def test_an_account_that_is_a_column_chooses_row_groups_in_polars(half_ruined: Path) -> None:
    names = polars(half_ruined).select("account", "eventName")

    assert names.filter(pl.col("account") == BUSY).collect().height == BUSY_RECORDS
    with pytest.raises(pl.exceptions.PolarsError):
        names.collect()


def test_an_account_that_is_a_column_chooses_row_groups_in_pyarrow(half_ruined: Path) -> None:
    mine = pads.field("account") == BUSY

    assert arrow(half_ruined).to_table(["eventName"], filter=mine).num_rows == BUSY_RECORDS
    with pytest.raises(OSError, match="page header"):
        arrow(half_ruined).to_table(["eventName"])


def test_an_account_that_is_a_column_chooses_row_groups_in_an_export(half_ruined: Path) -> None:
    lines = succeed("export", half_ruined, "--account", BUSY).splitlines()

    assert len(lines) == BUSY_RECORDS
    assert run("export", half_ruined).returncode == 1


def test_spark_reads_the_same_counts(planted: Planted) -> None:
    pyspark = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    session = pyspark.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        frame = session.read.parquet(str(planted.dataset))
        counts = {
            (row["region"], row["day"]): row["count"]
            for row in frame.groupBy("region", "day").count().collect()
        }
    finally:
        session.stop()

    expected: dict[tuple[str, int], int] = {}
    for unit in planted.units:
        key = unit["region"], int(unit["day"][-2:])
        expected[key] = expected.get(key, 0) + unit["records"]
    assert counts == expected
