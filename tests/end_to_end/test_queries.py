"""Each investigation finds what it asks for, and not what merely looks like it.

Every case has an account of its own: records to be found, decoys that differ in what matters, and
what is to be found. Each record is delivered into the folders of two regions, as CloudTrail does
when two trails write to one bucket, and is to be found once. All of them are converted together
with a generated tree.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import choose
from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.querying.library import parse
from cloudtrail_parquet.reference.ddl import DATASET, DdlFormat, render
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_store
from stacks.investigations import investigations
from tests.builders import WritableStores, log_file, log_key
from tests.end_to_end import athena_sql
from tests.end_to_end.planted import (
    ADA,
    CASES,
    COPY_REGION,
    DAY,
    MINE,
    READER,
    REGION,
    Row,
    account_of,
    deliver,
    named,
    planted_logs,
    with_account,
)
from tests.end_to_end.program import succeed
from tests.layouts import LAYOUTS, convert_in

ROOT = Path(__file__).parents[2]
QUERIES = {path.stem: path for path in sorted((ROOT / "queries").glob("*.sql"))}
FOR_POLARS = sorted((ROOT / "queries/polars").glob("*.py"))
Convert = Callable[[dict[str, list[Row]]], Path]


def found_in(rows: list[Row], name: str, fold: Callable[[str], str] = str) -> list[list[Any]]:
    """The columns that a case says something of, in the rows of its account; times as text."""
    column, value = MINE.get(name, ("account", account_of(name)))
    columns, _ = CASES[name].says
    return [
        [plain(row[fold(column)]) for column in columns]
        for row in rows
        if row[fold(column)] == value
    ]


def expected_of(name: str, values: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Values that a case expects, with its account, and days as text."""
    expected: list[list[Any]] = with_account(
        [[plain(value) for value in row] for row in values], name
    )
    return expected


def plain(value: Any) -> Any:  # noqa: ANN401
    """A value of a row as JSON has it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, list):
        return [list(item) if isinstance(item, tuple) else item for item in value]
    return str(value) if isinstance(value, date) else value


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_logs(tmp_path_factory.mktemp("queries") / "logs")


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def dataset(layout: PartitionLayout, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_in(layout, logs, tmp_path_factory.mktemp("layout") / "cloudtrail")


def view(
    dataset: Path, layout: PartitionLayout = DEFAULT_LAYOUT, format_: DdlFormat = "duckdb"
) -> str:
    """What ``schema --format`` prints for an engine and a layout."""
    return render(format_, Settings(partition_layout=layout)).replace(DATASET, str(dataset))


@pytest.fixture
def con(dataset: Path, layout: PartitionLayout) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(view(dataset, layout))
        yield connection


def ask(con: duckdb.DuckDBPyConnection, name: str, dataset: Path) -> list[Row]:
    for variable, value in CASES[name].variables.items():
        given = str(dataset) if value is ... else with_account(plain(value), name)
        con.execute(f"SET VARIABLE {variable} = ?", [given])
    rows: list[Row] = con.sql(QUERIES[name].read_text()).to_arrow_table().to_pylist()
    return rows


def test_there_is_a_case_for_each_query() -> None:
    assert list(QUERIES) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_query_finds_what_it_asks_for_and_nothing_else(
    con: duckdb.DuckDBPyConnection, dataset: Path, name: str
) -> None:
    _, expected = CASES[name].says
    shown = ask(con, name, dataset)

    assert found_in(shown, name) == expected_of(name, expected)
    ((total,),) = con.sql("SELECT count(*) FROM cloudtrail").fetchall()
    assert len(shown) < total / 4


def test_the_command_answers_as_duckdb_does_over_the_view_that_is_printed(
    con: duckdb.DuckDBPyConnection, dataset: Path
) -> None:
    store = open_store(dataset)

    with Engine(store, choose(store, UnitRange.of(None, None))) as engine:
        for name, case in CASES.items():
            given = {one: each for one, each in case.variables.items() if each is not ...}
            engine.assign(with_account({one: plain(each) for one, each in given.items()}, name))
            (result,) = engine.ask(QUERIES[name].read_text())
            rows = [row for batch in result.batches for row in batch.to_pylist()]

            assert rows == ask(con, name, dataset), name


def parameters_of(name: str, layout: PartitionLayout) -> list[Any]:
    """What a query for Athena is given: days, of one month where there is no dt; and its own."""
    first = DAY.day if name == "services_and_errors_of_a_day" else 1
    days: list[Any] = [DAY.year, DAY.month, first, 28]
    if "dt" in PARTITION_COLUMNS[layout]:
        days = [f"2026-02-{DAY:%d}" if first > 1 else "2026-01-01", "2026-02-28"]
    case = CASES[name]
    own = list(case.variables.values()) if case.athena is None else case.athena
    given: list[Any] = with_account(list(map(plain, own)), name)
    return days + given


IN_FEBRUARY: dict[str, list[tuple[Any, ...]]] = {
    "calls_from_a_new_address": [],  # it is January in which the caller is known
    "first_use_of_a_region": [],  # and the account
    "unused_access_keys_and_roles": [],
    "first_seen_addresses_by_principal": [
        ("203.0.113.0/24", "203.0.113.7", 1, 1),
        *CASES["first_seen_addresses_by_principal"].says[1][1:],
    ],
    "spikes_of_denied_calls": [
        (ADA, 5, None, 2),
        (ADA.replace("ada", "di"), 5, None, 1),
        (READER, 4, None, 1),
    ],
    "s3_deletes_of_a_bucket_by_day": [(date(2026, 2, 3), "DeleteObject", 2, 1)],
}
"""What is found otherwise where only one month is read."""


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
@pytest.mark.parametrize("name", CASES)
def test_a_query_for_athena_finds_the_same(
    dataset: Path, layout: PartitionLayout, name: str
) -> None:
    (query,) = [one.text for one in investigations(layout, *athena_sql.TABLE) if one.name == name]
    _, expected = CASES[name].says
    if layout == DEFAULT_LAYOUT:
        expected = IN_FEBRUARY.get(name, expected)

    with athena_sql.connect(dataset, layout) as connection:
        shown = athena_sql.ask(connection, query, parameters_of(name, layout))

    assert found_in(shown, name, str.lower) == expected_of(name, expected)


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
@pytest.mark.parametrize("name", [path.stem for path in FOR_POLARS])
def test_a_query_for_polars_finds_the_same(
    con: duckdb.DuckDBPyConnection, dataset: Path, layout: PartitionLayout, name: str
) -> None:
    names: dict[str, Any] = {}
    exec(view(dataset, layout, "polars"), names)  # noqa: S102 - our own
    code = (ROOT / f"queries/polars/{name}.py").read_text()
    for variable, value in CASES[name].variables.items():
        code = code.replace(f"\n{variable} = None\n", f"\n{variable} = {value!r}\n")
        assert f"{variable} = {value!r}" in code

    exec(compile(code, name, "exec"), names)  # noqa: S102 - our own

    asked = ask(con, name, dataset)
    assert names["found"].to_dicts() == asked
    assert found_in(asked, name)


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Converts one log file a region of February 3rd, and names the dataset."""

    def convert_regions(records: dict[str, list[Row]]) -> Path:
        for region, some in records.items():
            deliver(tmp_path / "logs", "root_use", region, DAY, some)
        succeed("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1, folder=tmp_path)
        return tmp_path / "out"

    return convert_regions


def calls_of_the_day(dataset: Path) -> list[tuple[str, int]]:
    with duckdb.connect() as con:
        con.execute(view(dataset))
        rows = ask(con, "services_and_errors_of_a_day", dataset)
    return [(row["eventSource"], row["calls"]) for row in rows]


def test_an_event_in_two_regions_neither_of_which_is_its_own_is_counted_once(
    convert: Convert,
) -> None:
    dataset = convert({"eu-west-1": [named("a", 1, {})], "eu-west-2": [named("a", 1, {})]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 1)]


def test_records_without_an_id_are_all_counted_since_nothing_tells_copies(convert: Convert) -> None:
    records = [named("", second, {"eventID": ...}) for second in (1, 2)]

    dataset = convert({REGION: records, COPY_REGION: records[:1]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 3)]


def test_records_with_one_id_and_other_content_are_all_counted_where_the_event_happened(
    convert: Convert,
) -> None:
    records = [named("a", 1, {}), named("a", 1, {"userAgent": "other"})]

    dataset = convert({REGION: records, COPY_REGION: records[:1]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 2)]


def test_records_that_shards_of_a_day_found_late_are_told_with_the_day_of_their_delivery(
    tmp_path: Path,
) -> None:
    account, delivered = "000000000099", datetime(2026, 2, 12, tzinfo=UTC)
    stores = WritableStores(
        *(open_store(tmp_path / name) for name in ("logs", "cloudtrail", "state"))
    )
    for hour in (5, 17):
        key = log_key(account, REGION, delivered.replace(hour=hour))
        stores.source.write(key, log_file(named(f"late-{hour}", hour, {})))
    unit = Unit(account, REGION, delivered.date())
    for shard in Shard(1, 2).siblings:
        trail = f"AWSLogs/{account}/CloudTrail/{REGION}/"
        convert_unit(unit, [trail], stores, Settings(), shard=shard)

    with duckdb.connect() as con:
        rows = ask(con, "late_records", tmp_path / "cloudtrail")

    names = sorted(path.name for path in (tmp_path / "cloudtrail").rglob("*.parquet"))
    assert names == [f"straggler-20260212-{n}of02-00000.parquet" for n in ("01", "02")]
    shown = [(row["eventID"], row["deliveredOn"]) for row in rows]
    assert shown == [("late-5", delivered.date()), ("late-17", delivered.date())]


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT], indirect=True, scope="module")
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].variables])
def test_a_query_without_its_parameters_does_what_its_comment_says(
    con: duckdb.DuckDBPyConnection, dataset: Path, name: str
) -> None:
    query = parse(name, QUERIES[name].read_text())
    defaults = {" ".join(re.findall(r"\(default (.*)\)", one.about)) for one in query.parameters}
    if name == "late_records":
        with pytest.raises(duckdb.IOException, match=r'"?cloudtrail/\*\*/\*\.parquet'):
            con.sql(query.text).fetchall()
        return

    rows = con.sql(query.text).to_arrow_table().to_pylist()

    if any(one.is_required for one in query.parameters) or defaults <= {"yesterday"}:
        assert rows == []
    elif defaults <= {"all", "all roles", "all buckets"}:
        assert len(rows) > len(given := ask(con, name, dataset))
        assert all(row in rows for row in given)
    else:
        assert all(re.fullmatch(r"\d+( days ago)?|yesterday|all", one) for one in defaults)


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
@pytest.mark.parametrize("name", CASES)
def test_rows_come_in_the_same_order_whatever_the_threads_do(
    con: duckdb.DuckDBPyConnection, dataset: Path, name: str
) -> None:
    alone = ask(con, name, dataset)
    con.execute("SET threads = 4; SET preserve_insertion_order = false")

    assert ask(con, name, dataset) == alone


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_begins_with_its_question_and_its_parameters(name: str) -> None:
    text = QUERIES[name].read_text()
    query = parse(name, text)

    assert query.title.endswith("?")
    assert query.source
    assert all(len(line) <= 100 for line in text.splitlines())
    assert text.count(";\n") == 1
    assert "ORDER BY" in text.splitlines()[-1]
    variables = set(re.findall(r"getvariable\('(\w+)'\)", text))
    assert variables == {parameter.name for parameter in query.parameters}
    for parameter in query.parameters:
        assert parameter.is_required or "(default " in parameter.about


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_for_athena_has_the_same_comment_but_no_question_mark(name: str) -> None:
    text = (ROOT / f"queries/athena/{name}.sql").read_text()
    query = parse(name, text)
    known = {parameter.name for parameter in parse(name, QUERIES[name].read_text()).parameters}

    assert query.title == f"{name}, for Athena."
    assert {parameter.name for parameter in query.parameters} <= known
    assert "?" not in query.about  # a question would be taken for a parameter
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_readmes_smaller_view_shows_and_reads_one_month_of_one_account(
    con: duckdb.DuckDBPyConnection, dataset: Path, layout: PartitionLayout
) -> None:
    if "dt" in PARTITION_COLUMNS[layout]:
        pytest.skip("its view is that of folders by year, month and day")
    text = (ROOT / "queries/README.md").read_text()
    (smaller,) = re.findall(r"```sql\n(CREATE OR REPLACE VIEW.*?)```", text, re.DOTALL)
    account = account_of("calls_from_a_new_address")
    smaller = smaller.replace("'cloudtrail/", f"'{dataset}/").replace("012345678901", account)

    con.execute(smaller)

    days = con.sql("SELECT DISTINCT account, month, day FROM cloudtrail").fetchall()
    assert days == [(account, 1, 27)]
    plan = con.execute("EXPLAIN ANALYZE SELECT eventName FROM cloudtrail").fetchall()[0][1]
    (read,) = re.findall(r"Total Files Read: (\d+)", plan)
    folder = f"account={account}" if "account" in PARTITION_COLUMNS[layout] else "year=2026"
    parts = map(str, (dataset / folder).rglob("*.parquet"))
    assert int(read) == sum("/year=2026/month=01/" in part for part in parts)
