"""Files of an older and a newer schema, read together as docs/reading.md says, in every layout.

One part lacks columns and members of structs, another one has some that no version has yet. All of
it lies below a folder that looks like one of a partition column.
"""

import importlib.util
import os
import re
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.api import make_settings, read_schema
from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.reference.ddl import render
from tests.end_to_end.program import run, succeed
from tests.end_to_end.test_reading import BY_DATE, MIXED, blocks, recipes
from tests.end_to_end.trees import NOON, deliver, event
from tests.layouts import LAYOUTS, convert_in

GONE = ["annotation", "tlsDetails.keyExchange", "userIdentity.sessionContext.sourceIdentity"]
FRESH = "freshColumn"
FRESH_MEMBER = "freshMember"
ACCOUNT = "012345678901"


class Mixed(NamedTuple):
    """A dataset: of its rows, so many are in the older part, and so many in the newer one."""

    folder: Path
    layout: PartitionLayout
    rows: int
    older: int
    newer: int


def without(struct: pa.StructArray, path: list[str]) -> pa.StructArray:
    """A struct without a member, at any depth."""
    name, *below = path
    members = dict(zip((field.name for field in struct.type), struct.flatten(), strict=True))
    if below:
        members[name] = without(members[name], below)
    else:
        del members[name]
    return pa.StructArray.from_arrays([*members.values()], [*members], mask=struct.is_null())


def make_older(path: Path) -> int:
    rows = pq.ParquetFile(path).read().combine_chunks().to_struct_array().chunk(0)
    for column in GONE:
        rows = without(rows, column.split("."))
    pq.write_table(pa.Table.from_struct_array(rows), path)
    return len(rows)


def make_newer(path: Path) -> int:
    rows = pq.ParquetFile(path).read().combine_chunks()
    at, fresh = rows.schema.names.index("tlsDetails"), pa.array(["fresh"] * len(rows))
    struct = rows["tlsDetails"].chunk(0)
    names = [field.name for field in struct.type]
    larger = pa.StructArray.from_arrays([fresh, *struct.flatten()], [FRESH_MEMBER, *names])
    rows = rows.set_column(at, "tlsDetails", larger).add_column(at, FRESH, fresh)
    pq.write_table(rows, path)
    os.utime(path, (2**31, 2**31))  # as if it was written last
    return len(rows)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    for number in range(3):
        when = NOON.replace(day=10 + number)
        identity = {"sessionContext": {"sourceIdentity": "ada"}}
        tls = {"tlsVersion": "TLSv1.3", "keyExchange": "X25519MLKEM768"}
        events = [
            event(f"{number}-{one}", when, annotation="a", tlsDetails=tls, userIdentity=identity)
            for one in range(2 + number)
        ]
        deliver(folder, *events, delivered=when)
    return folder


@pytest.fixture(scope="module", params=LAYOUTS)
def mixed(
    request: pytest.FixtureRequest, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mixed:
    folder = tmp_path_factory.mktemp("layout") / "env=prod"
    parts = sorted(convert_in(request.param, logs, folder / "cloudtrail").rglob("*.parquet"))
    older, newer = make_older(parts[0]), make_newer(parts[-1])
    assert (older, newer, len(parts)) == (2, 4, 3)
    return Mixed(folder, request.param, 9, older, newer)


def located(code: str, mixed: Mixed) -> str:
    """A recipe for the location of the dataset, whose name it is not relative to."""
    return re.sub(r"([\"'])(cloudtrail[/\"'])", rf"\1{mixed.folder}/\2", code)


def run_python(section: str, mixed: Mixed) -> dict[str, Any]:
    """What the first block of a section makes, and then those for files of two schemas."""
    names: dict[str, Any] = {}
    of_polars, of_pyarrow = blocks(MIXED, "python")
    further = of_polars if section == "Polars" else of_pyarrow
    for code in (recipes(section, "python", mixed.layout)[0], further):
        exec(located(code, mixed), names)  # noqa: S102 - the page's own words
    return names


def view(mixed: Mixed) -> str:
    """The view for files of two schemas; where days are dates, with these."""
    (code,) = blocks(MIXED, "sql")
    if "dt" in PARTITION_COLUMNS[mixed.layout]:
        (usual,) = blocks(BY_DATE, "sql")
        pattern = "'cloudtrail/**/dt=2026-01-*/*.parquet', union_by_name = true"
        code = usual.replace("'cloudtrail/**/*.parquet'", pattern)
    return located(code, mixed)


COUNTS = f"""
    SELECT count(*), count(eventID), count(annotation), count(tlsDetails.keyExchange),
        count(userIdentity.sessionContext.sourceIdentity),
        count({FRESH}), count(tlsDetails.{FRESH_MEMBER}), any_value(account), any_value(region)
    FROM cloudtrail WHERE account = '{ACCOUNT}'"""  # noqa: S608 - constants


def counts(mixed: Mixed) -> tuple[object, ...]:
    kept = mixed.rows - mixed.older
    return mixed.rows, mixed.rows, kept, kept, kept, *[mixed.newer] * 2, ACCOUNT, "eu-central-1"


def test_the_view_is_the_usual_one_but_for_the_days_and_the_union() -> None:
    _, create, usual = blocks("DuckDB", "sql")[0].partition("CREATE VIEW")
    (code,) = blocks(MIXED, "sql")

    usual = usual.replace("/**/*.parquet", "/**/year=2026/month=01/day=*/*.parquet")
    usual = usual.replace("hive_partitioning", "union_by_name = true, hive_partitioning")
    assert code.split() == f"CREATE OR REPLACE VIEW{usual}".split()
    assert create


def test_duckdb_reads_them_together(mixed: Mixed) -> None:
    with duckdb.connect() as con:
        con.execute(view(mixed))

        assert con.execute(COUNTS).fetchall() == [counts(mixed)]


def test_without_the_union_duckdb_has_the_columns_of_the_first_file(mixed: Mixed) -> None:
    usual = located(recipes("DuckDB", "sql", mixed.layout)[0], mixed)
    with duckdb.connect() as con:
        con.execute(usual)
        names = {name for name, *_ in con.execute("DESCRIBE cloudtrail").fetchall()}

        assert "annotation" not in names
        assert FRESH not in names
        assert con.execute("SELECT count(eventID) FROM cloudtrail").fetchall() == [(mixed.rows,)]


def test_without_the_union_a_file_that_lacks_a_column_ends_a_query(mixed: Mixed) -> None:
    older, *_, newer = sorted((mixed.folder / "cloudtrail").rglob("*.parquet"))
    both = f"read_parquet({[str(newer), str(older)]})"
    with duckdb.connect() as con:
        with pytest.raises(duckdb.Error, match="schema mismatch in glob"):
            con.sql(f"SELECT {FRESH} FROM {both}").fetchall()  # noqa: S608
        members = f"SELECT count(*), count(tlsDetails.{FRESH_MEMBER}) FROM {both}"  # noqa: S608
        assert con.execute(members).fetchall() == [(mixed.newer + mixed.older, mixed.newer)]


def counted(frame: pl.LazyFrame) -> tuple[object, ...]:
    tls, session = pl.col("tlsDetails").struct, pl.col("userIdentity").struct["sessionContext"]
    columns = [
        pl.len(),
        pl.col("eventID").count(),
        pl.col("annotation").count(),
        tls["keyExchange"].count(),
        session.struct["sourceIdentity"].count(),
        pl.col(FRESH).count(),
        tls[FRESH_MEMBER].count(),
        pl.col("account").first(),
        pl.col("region").first(),
    ]
    asked = [column.alias(str(number)) for number, column in enumerate(columns)]
    (row,) = frame.filter(pl.col("account") == ACCOUNT).select(asked).collect().rows()
    return row


def test_polars_reads_them_together(mixed: Mixed) -> None:
    frame = run_python("Polars", mixed)["cloudtrail"]

    assert counted(frame) == counts(mixed)


def test_the_usual_recipe_of_polars_ends_with_an_error(mixed: Mixed) -> None:
    names: dict[str, Any] = {}
    exec(located(recipes("Polars", "python", mixed.layout)[0], mixed), names)  # noqa: S102

    with pytest.raises(pl.exceptions.PolarsError, match="extra column"):
        names["cloudtrail"].select("eventID").collect()


def test_the_printed_schema_of_polars_reads_older_and_newer_files(mixed: Mixed) -> None:
    code = render("polars", make_settings(partition_layout=mixed.layout))
    names: dict[str, Any] = {}
    exec(code.replace("DATASET", f"{mixed.folder}/cloudtrail"), names)  # noqa: S102

    frame = names["cloudtrail"].collect()

    kept = mixed.rows - mixed.older
    assert (frame.height, frame["annotation"].count()) == (mixed.rows, kept)
    assert frame["tlsDetails"].struct["keyExchange"].count() == kept
    assert FRESH not in frame.columns
    assert set(frame["account"]) == {ACCOUNT}


def test_pyarrow_and_pandas_read_them_together(mixed: Mixed) -> None:
    names = run_python("pyarrow and pandas", mixed)

    tls, session = ds.field("tlsDetails", "keyExchange"), ("userIdentity", "sessionContext")
    columns = {
        "annotation": ds.field("annotation"),
        "key": tls,
        "source": ds.field(*session, "sourceIdentity"),
        "fresh": ds.field(FRESH),
        "member": ds.field("tlsDetails", FRESH_MEMBER),
        "account": ds.field("account"),
        "region": ds.field("region"),
    }
    table = names["cloudtrail"].to_table(columns=columns, filter=ds.field("account") == ACCOUNT)
    found = [table.num_rows - table[name].null_count for name in columns]
    assert [table.num_rows, *found] == [mixed.rows, *counts(mixed)[2:7], mixed.rows, mixed.rows]
    assert len(names["frame"]) == mixed.rows
    assert [one.get(FRESH_MEMBER) for one in names["frame"]["tlsDetails"]].count("fresh") == 4


def test_without_a_schema_pyarrow_has_the_columns_of_the_first_file(mixed: Mixed) -> None:
    names: dict[str, Any] = {}
    usual = recipes("pyarrow and pandas", "python", mixed.layout)[0]
    exec(located(usual, mixed), names)  # noqa: S102 - the page's own words

    assert "annotation" not in names["cloudtrail"].schema.names
    assert FRESH not in names["cloudtrail"].schema.names
    assert names["cloudtrail"].to_table(columns=["eventID", "tlsDetails"]).num_rows == mixed.rows


def test_the_schema_of_the_package_reads_older_and_newer_files(mixed: Mixed) -> None:
    schema = read_schema(make_settings(partition_layout=mixed.layout))
    logs = ds.dataset(mixed.folder / "cloudtrail", schema, partitioning="hive")

    assert logs.to_table().num_rows == mixed.rows
    assert logs.count_rows(filter=ds.field("annotation").is_valid()) == mixed.rows - mixed.older


def test_the_example_of_the_page_for_python_reads_older_and_newer_files(mixed: Mixed) -> None:
    page = (Path(__file__).parents[2] / "docs/python.md").read_text()
    (code,) = [each for each in page.split("```python\n") if each.startswith("frame = ")]
    names: dict[str, Any] = {
        "pl": pl,
        "schema": read_schema(make_settings(partition_layout=mixed.layout)),
    }
    scan = code.split("days = ")[0]
    exec(located(scan, mixed), names)  # noqa: S102 - the page's own words

    frame = names["frame"].select("eventID", "annotation", "account").collect()
    assert (frame.height, frame["annotation"].count()) == (mixed.rows, mixed.rows - mixed.older)
    assert set(frame["account"]) == {ACCOUNT}


def test_an_export_has_the_rows_of_older_files_and_refuses_those_of_newer_ones(
    mixed: Mixed,
) -> None:
    older = succeed("export", mixed.folder / "cloudtrail", "--day", "2026-01-10")

    assert older.count("\n") == mixed.older
    assert "annotation" not in older
    refused = run("export", mixed.folder / "cloudtrail")
    assert refused.returncode == 2
    what = f"it has columns that this version does not know: {FRESH}, tlsDetails.{FRESH_MEMBER}."
    assert what in refused.stderr


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_usual_recipes_read_a_dataset_below_a_folder_like_a_partition(
    layout: PartitionLayout, logs: Path, tmp_path: Path
) -> None:
    usual = Mixed(tmp_path / "env=prod", layout, 9, 0, 0)
    dataset = convert_in(layout, logs, usual.folder / "cloudtrail")
    names: dict[str, Any] = {}
    for section in ("Polars", "pyarrow and pandas"):
        exec(located(recipes(section, "python", layout)[0], usual), names)  # noqa: S102
        rows = names["cloudtrail"]
        table = rows.collect().to_arrow() if section == "Polars" else rows.to_table()
        assert table.num_rows == usual.rows
        assert set(table["account"].to_pylist()) == {ACCOUNT}
        assert "env" not in table.schema.names
    with duckdb.connect() as con:
        con.execute(located(recipes("DuckDB", "sql", layout)[0], usual))
        assert con.sql("SELECT env, account, count(*) FROM cloudtrail GROUP BY ALL").fetchall() == [
            ("prod", ACCOUNT, usual.rows)
        ]
    with pytest.raises(pl.exceptions.PolarsError, match="env"):
        pl.scan_parquet(
            f"{dataset}/**/*.parquet", hive_partitioning=True, hive_schema=names["PARTITIONS"]
        ).collect()


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="pyspark is not installed")
def test_spark_reads_them_together(mixed: Mixed) -> None:
    sql = pytest.importorskip("pyspark.sql")
    (mixed.folder / "cloudtrail.schema").write_text(
        render("spark", make_settings(partition_layout=mixed.layout))
    )
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = spark.getOrCreate()
    try:
        with chdir(mixed.folder):
            schema = Path("cloudtrail.schema").read_text()
            rows = session.read.schema(schema).parquet("cloudtrail")
            (row,) = rows.selectExpr(
                "count(*)", "count(annotation)", "count(tlsDetails.keyExchange)", "min(account)"
            ).collect()
        kept = mixed.rows - mixed.older
        assert tuple(row) == (mixed.rows, kept, kept, ACCOUNT)
    finally:
        session.stop()
