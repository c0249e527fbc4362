"""What a question is expected to read is what it then reads, more or less."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import choose
from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.querying.estimate import estimate
from cloudtrail_parquet.querying.library import queries
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import open_store
from tests.layouts import convert_in

PLAIN, FOLDED = "account/region/year/month/day", "dt"
SPEC = TreeSpec(accounts=2, regions=1, days=2, records=6_000)
FIRST_FOOTERS = 3 * 16_384  # DuckDB looks at the first part for the columns, too


@pytest.fixture(scope="module", params=[PLAIN, FOLDED])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout: PartitionLayout = request.param
    folder = tmp_path_factory.mktemp("estimated")
    generate_tree(folder / "logs", SPEC)
    return convert_in(layout, folder / "logs", folder / "lake")


@pytest.fixture
def engine(dataset: Path) -> Iterator[Engine]:
    store = open_store(dataset)
    with Engine(store, choose(store, UnitRange.of(None, None))) as engine:
        yield engine


def read_for(engine: Engine, sql: str) -> int:
    """The bytes that a question really reads, its footers included."""
    engine.files.forget()
    before = engine.files.counts["bytes"]
    for result in engine.ask(sql):
        for _ in result.batches:
            pass
    return engine.files.counts["bytes"] - before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM cloudtrail",
        "FROM cloudtrail",
        "SELECT eventName, count(DISTINCT userAgent) FROM cloudtrail GROUP BY ALL",
        "SELECT userIdentity.arn, count(*) FROM cloudtrail GROUP BY ALL",
        "FROM cloudtrail WHERE year = 2026 AND month = 1 AND day = 10",
        "SELECT sum(length(responseElements)) FROM cloudtrail WHERE day = 10",
        "SELECT max(userAgent) FROM cloudtrail WHERE eventTime < '2026-01-10 06:00:00'",
        "SELECT max(eventID) FROM cloudtrail WHERE account = '('",
    ],
)
def test_the_bytes_of_a_simple_question_are_known_before(engine: Engine, sql: str) -> None:
    expected = estimate(engine, sql)

    read = read_for(engine, sql)

    assert 0.8 * read - FIRST_FOOTERS <= expected.bytes <= 1.25 * read + FIRST_FOOTERS


def test_those_of_each_query_that_reads_columns_whole_are_known_but_for_a_half(
    engine: Engine,
) -> None:
    for query in queries():
        expected = estimate(engine, query.text).bytes

        assert read_for(engine, query.text) <= 1.5 * expected + 2 * FIRST_FOOTERS, query.name


def test_columns_and_parts_are_those_of_the_plan(engine: Engine) -> None:
    looked = estimate(
        engine, "SELECT userIdentity.arn FROM cloudtrail WHERE eventName = 'GetObject' AND day = 10"
    )

    day = [part for part in engine.chosen.parts if "day=10" in part.key or "-10/" in part.key]
    assert looked.columns == ["eventName", "userIdentity.arn"]
    assert (looked.parts, looked.part_bytes) == (len(day), sum(part.size for part in day))
    assert looked.footers == len(day)


def test_row_groups_that_statistics_exclude_do_not_count(engine: Engine) -> None:
    all_hours = estimate(engine, "SELECT requestParameters FROM cloudtrail").bytes
    another_year = estimate(
        engine, "SELECT requestParameters FROM cloudtrail WHERE eventTime < '2020-01-01'"
    ).bytes
    footers = estimate(engine, "SELECT count(*) FROM cloudtrail").bytes

    assert another_year <= footers < all_hours


def test_a_question_about_nothing_reads_nothing(engine: Engine) -> None:
    assert estimate(engine, "SELECT 1") == (0, 0, [], 0, 0)


def test_more_than_the_limit_is_not_read_whatever_was_expected(engine: Engine) -> None:
    engine.files.limit = engine.files.counts["bytes"] + 1_000

    with pytest.raises(UsageError, match="--max-bytes: reading was stopped at the limit"):
        read_for(engine, "FROM cloudtrail")

    assert engine.files.counts["bytes"] <= engine.files.limit
