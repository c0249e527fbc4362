"""A generated tree with all that goes wrong, converted and compared with the truth about it."""

import json
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import LocalStore, Stores
from tests.end_to_end.datasets import exported
from tests.end_to_end.program import Done, run, run_apart
from tests.end_to_end.trees import contents

TREE = "--accounts 2 --regions 2 --days 3 --records 4000 --late 0.05 --duplicates 0.05 --json"
FATES = ("written", "straggled", "elsewhere", "duplicate", "discarded", "quarantined")


def query(dataset: Path, select: str) -> list[tuple[Any, ...]]:
    """Ask DuckDB about the table ``records``, in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"""
            CREATE VIEW records AS FROM read_parquet(
                '{dataset}/**/*.parquet', filename = true, hive_partitioning = true,
                hive_types_autocast = false,
                hive_types = {{'year': BIGINT, 'month': BIGINT, 'day': BIGINT}})""")
        return connection.execute(select).fetchall()


@dataclass(frozen=True, slots=True)
class Converted:
    tree: Path
    truth: dict[str, Any]
    dataset: Path
    status: int
    stderr: str
    receipts: list[dict[str, Any]]

    def total(self, fate: str) -> int:
        return sum(receipt["records"][fate] for receipt in self.receipts)


def generate_and_convert(folder: Path, *options: str) -> Converted:
    tree, dataset = folder / "logs", folder / "dataset"
    generated = run("generate", tree, *TREE.split(), *options)
    assert generated.returncode == 0, generated.stderr
    done = run_apart("convert", tree, dataset, "--json", "--workers", 2)
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    truth = json.loads(generated.stdout)
    return Converted(tree, truth, dataset, done.returncode, done.stderr, receipts)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """With damaged files; the tests leave it as it is."""
    return generate_and_convert(tmp_path_factory.mktemp("damaged"), "--corrupt", "0.02")


def test_every_partition_holds_as_many_records_as_were_planted_for_it(converted: Converted) -> None:
    counts = query(
        converted.dataset,
        "SELECT account, region, make_date(year, month, day), count(*) FROM records GROUP BY ALL",
    )

    assert {(account, region, str(day), n) for account, region, day, n in counts} == {
        tuple(unit.values()) for unit in converted.truth["units"]
    }


def test_every_record_stands_once_and_in_the_day_it_happened(converted: Converted) -> None:
    ((records, ids, misplaced),) = query(
        converted.dataset,
        """SELECT count(*), count(DISTINCT coalesce(eventID, requestParameters, '')),
             count(*) FILTER (eventTime::DATE != make_date(year, month, day)) FROM records""",
    )

    assert records == converted.truth["records"]
    assert ids >= 0.99 * records  # version 1.0 has no ids
    assert misplaced == 0
    assert max(exported(converted.dataset).values()) == 1


def test_every_receipt_adds_up(converted: Converted) -> None:
    for receipt in converted.receipts:
        records = receipt["records"]
        assert records["read"] == sum(records[fate] for fate in FATES)
        assert records["written"] + records["straggled"] == sum(
            part["rows"] for part in receipt["parts"]
        )
        assert records["straggled"] == sum(receipt["stragglers"].values())
        assert receipt["bytes_out"] == sum(part["bytes"] for part in receipt["parts"])
        assert (
            receipt["files"]["read"] + receipt["files"]["quarantined"]
            == (receipt["files"]["listed"])
        )


def test_the_receipts_together_account_for_the_whole_tree(converted: Converted) -> None:
    truth = converted.truth

    assert converted.total("written") + converted.total("straggled") == truth["records"]
    assert converted.total("straggled") >= truth["late"] > 0
    assert converted.total("duplicate") == truth["duplicates"] > 0
    assert sum(receipt["conflicts"] for receipt in converted.receipts) == 0


def test_the_receipts_on_disk_are_those_that_were_printed(converted: Converted) -> None:
    receipts = Path(f"{converted.dataset}.state", "receipts").rglob("*.json")

    read = (json.loads(path.read_bytes()) for path in receipts)
    # Those of units that have log files beside their day, and nothing of it, are not printed.
    facts = ("bytes_in", "parts", "quarantined", "unplaced")
    on_disk = [receipt for receipt in read if any(receipt[name] for name in facts)]

    assert sorted(on_disk, key=str) == sorted(converted.receipts, key=str)


def test_the_parts_that_the_receipts_list_are_the_files_of_the_dataset(
    converted: Converted,
) -> None:
    listed = [
        (part["key"], part["bytes"]) for receipt in converted.receipts for part in receipt["parts"]
    ]

    files = contents(converted.dataset)

    assert Counter(listed) == Counter((key, len(data)) for key, data in files.items())


def test_late_records_are_stragglers_in_the_partition_of_their_own_day(
    converted: Converted,
) -> None:
    stragglers = query(
        converted.dataset,
        r"""SELECT regexp_extract(filename, 'straggler-(\d{8})-\d{5}\.parquet$', 1),
              strftime(make_date(year, month, day), '%Y%m%d'), count(*)
            FROM records WHERE filename LIKE '%/straggler-%' GROUP BY ALL""",
    )

    assert sum(count for _, _, count in stragglers) == converted.total("straggled")
    assert all(delivered > day for delivered, day, _ in stragglers)


def test_exactly_the_damaged_files_are_quarantined_and_the_exit_code_is_3(
    converted: Converted,
) -> None:
    damaged = {file["key"] for file in converted.truth["corrupt_files"]}
    bad = [one for receipt in converted.receipts for one in receipt["quarantined"]]

    assert converted.status == 3
    assert {one["key"] for one in bad} == damaged
    assert all(one["reason"] for one in bad)
    assert all(key in converted.stderr for key in damaged)
    assert {receipt["status"] for receipt in converted.receipts} == {"partial", "complete"}


def test_a_tree_without_damage_ends_with_exit_code_0(tmp_path: Path) -> None:
    whole = generate_and_convert(tmp_path, "--seed", "7")

    assert whole.status == 0, whole.stderr
    assert {receipt["status"] for receipt in whole.receipts} == {"complete"}
    assert sum(exported(whole.dataset).values()) == whole.truth["records"]


def test_the_dataset_holds_parts_only_and_its_state_lies_beside_it(converted: Converted) -> None:
    beside = {path.name for path in converted.dataset.parent.iterdir()}

    assert beside == {"logs", "dataset", "dataset.state"}
    assert {Path(name).suffix for name in contents(converted.dataset)} == {".parquet"}
    assert not any(path.name.startswith(".") for path in converted.dataset.rglob("*"))


def test_an_account_keeps_its_leading_zero(converted: Converted) -> None:
    planted = {unit["account"] for unit in converted.truth["units"]}
    found = query(converted.dataset, "SELECT DISTINCT account, typeof(account) FROM records")

    assert any(account.startswith("0") for account in planted)
    assert set(found) == {(account, "VARCHAR") for account in planted}
    assert {path.name for path in converted.dataset.iterdir()} == {
        f"account={account}" for account in planted
    }


def test_converting_again_leaves_every_byte_of_the_dataset_as_it_was(
    converted: Converted, tmp_path: Path
) -> None:
    dataset = shutil.copytree(converted.dataset, tmp_path / "dataset")
    shutil.copytree(f"{converted.dataset}.state", tmp_path / "dataset.state")

    arguments = ("convert", converted.tree, dataset, "--only", "all", "--json", "--workers", 2)
    again = run_apart(*arguments)

    assert again.returncode == 3, again.stderr
    assert contents(dataset) == contents(converted.dataset)


def test_days_converted_one_by_one_in_reverse_give_the_same_records(
    converted: Converted, tmp_path: Path
) -> None:
    days = sorted({date.fromisoformat(unit["day"]) for unit in converted.truth["units"]})
    days = [days[0] - timedelta(days=1), *days, days[-1] + timedelta(days=1)]
    for day in reversed(days):
        done = run("convert", converted.tree, tmp_path / "dataset", "--day", day, "--workers", 1)
        assert done.returncode in {0, 3}, done.stderr

    assert exported(tmp_path / "dataset") == exported(converted.dataset)


def test_a_dataset_whose_state_was_lost_is_replaced_without_doubling_anything(
    converted: Converted, tmp_path: Path
) -> None:
    dataset = shutil.copytree(converted.dataset, tmp_path / "dataset")

    again = run_apart("convert", converted.tree, dataset, "--workers", 2)

    assert again.returncode == 3, again.stderr
    assert contents(dataset) == contents(converted.dataset)


@pytest.mark.slow
def test_two_runs_at_the_same_time_give_what_one_gives(
    converted: Converted, tmp_path: Path
) -> None:
    shutil.copytree(converted.dataset, tmp_path / "dataset")  # and they replace all of it
    shutil.copytree(f"{converted.dataset}.state", tmp_path / "dataset.state")

    def convert(_: int) -> Done:
        places = converted.tree, tmp_path / "dataset"
        return run_apart("convert", *places, "--only", "all", "--workers", 2)

    with ThreadPoolExecutor(2) as both:
        done = list(both.map(convert, range(2)))

    assert [one.returncode for one in done] == [3, 3], [one.stderr for one in done]
    assert exported(tmp_path / "dataset") == exported(converted.dataset)


def test_two_first_runs_at_the_same_time_agree_about_a_new_dataset(tmp_path: Path) -> None:
    ready = threading.Barrier(2)

    def first_run(attempt: int) -> None:
        names = ("logs", "lake", f"{attempt}.state")
        stores = Stores(*(LocalStore(tmp_path / name) for name in names))
        ready.wait()
        record_properties(stores, DatasetOptions.of(Settings()), LeaseOptions.of(Settings()))

    with ThreadPoolExecutor(2) as both:
        for attempt in range(10):
            list(both.map(first_run, [attempt] * 2))

    assert len(list(tmp_path.glob("*.state/dataset.json"))) == 10


@pytest.mark.slow
def test_many_small_units_are_converted_side_by_side_without_getting_in_each_others_way(
    tmp_path: Path,
) -> None:
    tree, dataset = tmp_path / "logs", tmp_path / "dataset"
    shape = "--accounts 4 --regions 4 --days 4 --records 800 --late 0.2"
    assert run("generate", tree, *shape.split()).returncode == 0

    done = run_apart("convert", tree, dataset, "--json", "--workers", 4)

    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stdout.splitlines() if '"failed"' in line]
    assert sum(exported(dataset).values()) == 800
