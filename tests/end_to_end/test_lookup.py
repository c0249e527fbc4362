"""What a reader fetches to answer, counted below the reader."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.layout import Cost, Dataset, in_duckdb, in_pyarrow, known_values, questions
from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A month of one account and region, about 10,000 records a day."""
    folder = tmp_path_factory.mktemp("month")
    generate_tree(folder / "logs", TreeSpec(accounts=1, regions=1, days=30, records=300_000))
    arguments = ["convert", str(folder / "logs"), str(folder / "lake"), "--workers", "1"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    return Dataset(Path(folder / "lake"))


def ask(month: Dataset, sql: str) -> Cost:
    (question, *_) = questions(known_values(month))
    return month.cost(in_duckdb(question._replace(sql=sql)))


def test_looking_up_an_event_id_in_duckdb_reads_less_than_4_percent(month: Dataset) -> None:
    event_id = known_values(month)["eventID"]

    cost = ask(
        month,
        f"""SELECT eventTime, eventSource, eventName, userIdentity.arn, sourceIPAddress
            FROM cloudtrail WHERE eventID = '{event_id}'""",  # noqa: S608
    )

    assert cost.rows == 1
    assert cost.bytes < 0.04 * month.size
    assert cost.row_groups < 0.2 * month.row_groups  # the filters let one in twenty pass


def test_looking_up_an_event_id_that_is_not_there_reads_little_but_filters(month: Dataset) -> None:
    absent = "00000000-0000-4000-8000-000000000000"

    cost = ask(month, f"SELECT * FROM cloudtrail WHERE eventID = '{absent}'")  # noqa: S608

    assert cost.rows == 0
    assert cost.bytes < 0.05 * month.size


def test_a_day_is_pruned_by_its_folder_in_both_readers(month: Dataset) -> None:
    (question,) = [
        one for one in questions(known_values(month)) if one.name == "top services of a day"
    ]

    for reader in (in_duckdb, in_pyarrow):
        assert month.cost(reader(question)).bytes < 0.01 * month.size
