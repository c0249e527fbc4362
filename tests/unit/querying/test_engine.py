"""DuckDB sees the dataset, in whichever layout and version, and nothing else of the machine."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError, UsageError
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import choose
from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.reference.ddl import DATASET, render
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_store
from tests.layouts import LAYOUTS, convert_in

SPEC = TreeSpec(accounts=2, regions=2, days=3, records=300, late=0.05)
ALL = UnitRange.of(None, None)
DAYS = [date(2026, 1, day) for day in (10, 11, 12)]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("asked") / "logs"
    generate_tree(logs, SPEC)
    return logs


@pytest.fixture(scope="module")
def datasets(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[PartitionLayout, Path]:
    folder = tmp_path_factory.mktemp("datasets") / "env=prod"  # which is no partition column
    return {
        layout: convert_in(layout, logs, folder / layout.replace("/", "-")) for layout in LAYOUTS
    }


@pytest.fixture
def dataset(datasets: dict[PartitionLayout, Path]) -> Path:
    return datasets["account/region/year/month/day"]


def engine_over(dataset: Path, wanted: UnitRange = ALL) -> Engine:
    store = open_store(dataset)
    return Engine(store, choose(store, wanted))


def ask(engine: Engine, sql: str) -> list[dict[str, Any]]:
    """The rows of all results."""
    return [
        row for result in engine.ask(sql) for batch in result.batches for row in batch.to_pylist()
    ]


@pytest.fixture
def engine(dataset: Path) -> Iterator[Engine]:
    with engine_over(dataset) as engine:
        yield engine


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_view_has_the_columns_of_the_one_that_schema_prints_in_their_order(
    datasets: dict[PartitionLayout, Path], layout: PartitionLayout
) -> None:
    import duckdb  # noqa: PLC0415 - only this test runs it itself

    with duckdb.connect() as con:
        printed = render("duckdb", Settings(partition_layout=layout))
        con.execute(printed.replace(DATASET, str(datasets[layout])))
        expected = con.execute("DESCRIBE cloudtrail").fetchall()

    with engine_over(datasets[layout]) as engine:
        described = ask(engine, "DESCRIBE cloudtrail")

    columns = [(row["column_name"], row["column_type"]) for row in described]
    assert columns == [(name, type_) for name, type_, *_ in expected if name != "env"]


@given(
    st.sampled_from(LAYOUTS),
    st.sampled_from([None, *DAYS]),
    st.sampled_from([None, *DAYS]),
    st.sets(st.integers(0, 1)),
    st.sets(st.integers(0, 1)),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_days_accounts_and_regions_give_the_rows_that_a_condition_gives(  # noqa: PLR0913, PLR0917
    datasets: dict[PartitionLayout, Path],
    layout: PartitionLayout,
    first: date | None,
    last: date | None,
    accounts: set[int],
    regions: set[int],
) -> None:
    if first and last and last < first:
        first, last = last, first
    with engine_over(datasets[layout]) as everything:
        there = ask(everything, "SELECT DISTINCT account, region FROM cloudtrail")
        names = [sorted({row[name] for row in there}) for name in ("account", "region")]
        wanted = [
            [known[number] for number in numbers]
            for known, numbers in zip(names, (accounts, regions), strict=True)
        ]
        days = (first or date.min, last or date.max)
        terms = ["make_date(year, month, day) BETWEEN DATE '{}' AND DATE '{}'".format(*days)]
        for name, values in zip(("account", "region"), wanted, strict=True):
            if values:
                terms.append(f"{name} IN ({', '.join(map(repr, values))})")
        order = "ORDER BY eventTime, eventID, account, region"
        expected = ask(everything, f"FROM cloudtrail WHERE {' AND '.join(terms)} {order}")

    with engine_over(datasets[layout], UnitRange.of(first, last, *wanted)) as engine:
        assert ask(engine, f"FROM cloudtrail {order}") == expected


def test_only_the_parts_in_the_folders_asked_for_are_read(dataset: Path) -> None:
    wanted = UnitRange.of(DAYS[1], DAYS[1])
    with engine_over(dataset, wanted) as engine:
        rows = ask(engine, "SELECT DISTINCT day, month, year FROM cloudtrail")
        read = engine.files.counts["bytes"]

    assert rows == [{"day": 11, "month": 1, "year": 2026}]
    part_bytes = [path.stat().st_size for path in dataset.rglob("day=11/*.parquet")]
    assert 0 < read <= sum(part_bytes) + 5 * 16_384  # some footers are read for the view, too


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("FROM read_csv('/etc/passwd')", r"line 1, column 6: Cannot access file \"/etc/passwd\""),
        ("FROM '/etc/hosts.csv'", r"\"/etc/hosts.csv\""),
        ("SELECT content FROM read_text('{other}')", "Cannot access file"),
        ("FROM glob('/etc/*')", "Cannot access file"),
        ("FROM read_parquet('https://example.com/a.parquet')", "Cannot access file"),
        ("FROM read_parquet('s3://bucket/a.parquet')", "Cannot access file"),
        ("COPY (SELECT 1) TO '{other}'", "COPY is refused: a dataset is only read here"),
        ("COPY (SELECT 1) TO 'cloudtrail://new.parquet'", "COPY is refused"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'cloudtrail://new.parquet'", "EXPLAIN is refused"),
        ("ATTACH '{other}'", "ATTACH is refused"),
        ("ATTACH ':memory:' AS more", "ATTACH is refused"),
        ("EXPORT DATABASE '{other}'", "is refused"),
        ("INSTALL httpfs", "LOAD is refused"),
        ("LOAD httpfs", "LOAD is refused"),
        ("CREATE SECRET (TYPE s3)", "CREATE is refused"),
        ("SET enable_external_access = true", "SET is refused"),
        ("SET VARIABLE x = 1; RESET lock_configuration", "these are 2 statements"),
        ("PREPARE p AS COPY (SELECT 1) TO '{other}'", "PREPARE is refused"),
        ("PRAGMA enable_profiling", "PRAGMA is refused"),
        ("CALL pragma_version()", "CALL is refused"),
        ("SELECT 1; DELETE FROM cloudtrail", "these are 2 statements"),
        ("DELETE FROM cloudtrail", "DELETE is refused"),
        ("RESET lock_configuration", "is refused"),
        ("UPDATE EXTENSIONS", "such a statement is refused"),
    ],
)
def test_neither_other_files_nor_the_network_can_be_reached_and_nothing_is_written(
    engine: Engine, tmp_path: Path, dataset: Path, sql: str, problem: str
) -> None:
    other = tmp_path / "other"
    other.write_text("secret")
    before = sorted(dataset.rglob("*"))

    with pytest.raises(UsageError, match=problem):
        ask(engine, sql.replace("{other}", str(other)))

    assert other.read_text() == "secret"
    assert sorted(dataset.rglob("*")) == before


def test_parts_that_were_not_chosen_cannot_be_read(dataset: Path) -> None:
    everything = choose(open_store(dataset), ALL).parts
    with engine_over(dataset, UnitRange.of(DAYS[0], DAYS[0])) as engine:
        chosen = {part.key for part in engine.chosen.parts}
        (*_, other) = [part.key for part in everything if part.key not in chosen]
        with pytest.raises(UsageError, match="No files found"):
            ask(engine, f"FROM read_parquet('cloudtrail://{other}')")


def test_tables_views_macros_and_variables_of_ones_own_last_for_the_connection(
    engine: Engine,
) -> None:
    for sql in (
        "SET VARIABLE least = 2;",
        "CREATE TABLE numbers AS SELECT 3 AS n",
        "CREATE VIEW more AS FROM numbers",
        "CREATE MACRO twice(x) AS 2 * x",
    ):
        assert ask(engine, sql) in ([], [{"Count": 1}])
    made = ask(engine, "SELECT twice(n) AS n FROM more WHERE n > getvariable('least');")

    assert made == [{"n": 6}]


def test_variables_of_ones_own_do_not_change_what_is_read(engine: Engine) -> None:
    sql = "SELECT count(*) AS n FROM cloudtrail"
    expected = ask(engine, sql)
    assert ask(engine, "SELECT getvariable('files') AS files") == [{"files": None}]

    engine.assign({"files": "nothing", "dataset": "nothing"})
    assert ask(engine, sql) == expected
    assert ask(engine, "SELECT getvariable('dataset') AS d") == [{"d": "cloudtrail:/"}]


def test_want_of_memory_is_told_without_settings_that_are_locked(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Engine._config  # noqa: SLF001 - a small machine
    small = {"memory_limit": "30MB", "max_temp_directory_size": "1MB"}
    monkeypatch.setattr(Engine, "_config", lambda self, folder: config(self, folder) | small)

    with engine_over(dataset) as engine, pytest.raises(UsageError, match="TMPDIR=") as caught:
        ask(engine, "SELECT range::VARCHAR || repeat('x', 90) AS x FROM range(3000000) ORDER BY x")

    assert "SET " not in str(caught.value)
    assert "setting" not in str(caught.value)


def test_of_several_statements_none_is_run(engine: Engine) -> None:
    for run in (partial(ask, engine), engine.plan):
        with pytest.raises(UsageError, match="these are 2 statements, and one is asked at a time"):
            run("CREATE TABLE made AS SELECT 1; FROM made")
    with pytest.raises(UsageError, match="Table with name made does not exist"):
        ask(engine, "FROM made")


def test_pivot_is_answered_if_it_names_its_values(engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"PIVOT without its values .* ON column IN"):
        ask(engine, "PIVOT cloudtrail ON day USING count(*) GROUP BY year")

    (row,) = ask(engine, "PIVOT cloudtrail ON day IN (10, 11) USING count(*) GROUP BY year")

    assert row.keys() == {"year", "10", "11"}


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELEC 1", "SQL, line 1, column 1: syntax error"),
        ("SELECT eventNam FROM cloudtrail", "line 1, column 8: .*eventNam.*docs/columns.md"),
        ("SELECT 1,\n  'a'::DATE", "SQL, line 2, column 6: invalid date"),
        ("SELECT\n eventName::DATE FROM cloudtrail", "SQL, line 2, column 11: invalid date"),
        ("SELECT nope(1)", "line 1, column 8: .*nope does not exist"),
        ("FROM nowhere", "column 6: Table with name nowhere does not exist"),
        ("SELECT 'x", "unterminated"),
        ("", "there is nothing in it"),
        (" -- only a comment", "there is nothing in it"),
    ],
)
def test_a_mistake_is_one_line_with_its_position(engine: Engine, sql: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        ask(engine, sql)

    assert "\n" not in str(caught.value)
    assert "exception_message" not in str(caught.value)


def test_after_a_mistake_the_next_question_is_answered(engine: Engine) -> None:
    with pytest.raises(UsageError):
        ask(engine, "SELECT eventName::DATE FROM cloudtrail")

    assert ask(engine, "SELECT count(*) > 0 AS any FROM cloudtrail") == [{"any": True}]


def test_times_are_utc(engine: Engine) -> None:
    (row,) = ask(
        engine, "SELECT current_setting('TimeZone') AS zone, min(eventTime) AS t FROM cloudtrail"
    )

    assert row["zone"] == "UTC"
    assert row["t"].utcoffset().total_seconds() == 0


def test_a_part_that_goes_meanwhile_is_named(
    datasets: dict[PartitionLayout, Path], tmp_path: Path
) -> None:
    copytree(datasets["dt"], tmp_path / "copy")

    with engine_over(tmp_path / "copy") as engine:
        (tmp_path / "copy/dt=2026-01-12/part-00000.parquet").unlink()
        with pytest.raises(
            CloudTrailParquetError, match=r"dt=2026-01-12/part-00000\.parquet: cannot be"
        ):
            ask(engine, "FROM cloudtrail")


def _nothing(_: bytes) -> bytes:
    return b""


def _beginning(data: bytes) -> bytes:
    return data[:1000]


def _pages_inverted(data: bytes) -> bytes:
    return (
        data[:4] + bytes(255 - byte for byte in data[4 : len(data) // 2]) + data[len(data) // 2 :]
    )


@pytest.mark.parametrize("damaged", [_nothing, _beginning, _pages_inverted])
def test_a_damaged_part_is_named_and_not_taken_for_a_mistake(
    datasets: dict[PartitionLayout, Path], tmp_path: Path, damaged: Callable[[bytes], bytes]
) -> None:
    copytree(datasets["dt"], tmp_path / "copy")
    part = tmp_path / "copy/dt=2026-01-12/part-00000.parquet"
    part.write_bytes(damaged(part.read_bytes()))

    with (
        pytest.raises(
            StorageError, match=r"dt=2026-01-12/part-00000\.parquet: the part is damaged"
        ),
        engine_over(tmp_path / "copy") as engine,
    ):
        ask(engine, "FROM cloudtrail")


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Days of an older version, of this one, and of a newer one, each written in a random order."""
    whole = {
        "eventID": ["now"],
        "eventName": ["GetObject"],
        "userIdentity": [{"type": "Root", "arn": "a"}],
        "requestParameters": ['{"a":1}'],
    }
    older = {"eventID": ["old"], "userIdentity": [{"type": "IAMUser"}], "retired": ["x"]}
    newer = whole | {"eventID": ["new"], "userIdentity": [{"arn": "b", "type": "Z", "mood": "m"}]}
    newer["brandNew"] = [5]
    for number, columns in enumerate([newer, older, whole], start=10):
        folder = tmp_path / f"lake/dt=2026-01-{number}"
        folder.mkdir(parents=True)
        table = pa.table(columns | {"account": ["1"], "region": ["r"]})
        pq.write_table(table, folder / "part-00000.parquet")
    return tmp_path / "lake"


def test_parts_of_older_and_newer_versions_are_read_together(versions: Path) -> None:
    with engine_over(versions) as engine:
        rows = ask(
            engine,
            "SELECT eventID, eventName, userIdentity.arn AS arn, userIdentity.mood AS mood, "
            "userIdentity.type AS type, brandNew, retired, errorCode, requestParameters->>'$.a' "
            "AS a, day FROM cloudtrail ORDER BY day",
        )

    assert [tuple(row.values()) for row in rows] == [
        ("new", "GetObject", "b", "m", "Z", 5, None, None, "1", 10),
        ("old", None, None, None, "IAMUser", None, "x", None, None, 11),
        ("now", "GetObject", "a", None, "Root", None, None, None, "1", 12),
    ]


def test_columns_that_no_part_has_yet_can_be_asked_for(versions: Path) -> None:
    with engine_over(versions, UnitRange.of(DAYS[1], DAYS[1])) as engine:
        (row,) = ask(engine, "SELECT eventID, userIdentity.credentialId AS c FROM cloudtrail")

    assert row == {"eventID": "old", "c": None}


@pytest.mark.parametrize("encoding", ["json", "variant"])
def test_free_form_columns_are_text_or_json_whatever_their_encoding(
    tmp_path: Path, logs: Path, encoding: str
) -> None:
    from cloudtrail_parquet.api import convert, make_settings  # noqa: PLC0415

    for outcome in convert(logs, tmp_path / "x", settings=make_settings(json_encoding=encoding)):
        assert outcome.receipt
    sql = (
        "SELECT eventID, requestParameters, requestParameters->>'$.bucketName' AS bucket "
        "FROM cloudtrail WHERE requestParameters IS NOT NULL ORDER BY ALL LIMIT 20"
    )
    with engine_over(tmp_path / "x") as engine:
        rows = ask(engine, sql)

    assert all(isinstance(json.loads(row["requestParameters"]), dict) for row in rows)
    assert len(rows) == 20
