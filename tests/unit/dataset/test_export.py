"""Records of some accounts, regions and days are the same ones in every layout."""

import json
import time
from collections.abc import Collection, Iterable
from datetime import date
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.dataset.export import export_records, parts_to_export
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.storage import open_store
from tests.builders import at, log_file, log_key, record
from tests.layouts import LAYOUTS, convert_in

ACCOUNTS = ["012345678901", "123456789012"]
REGIONS = ["eu-west-1", "us-east-1"]
DAYS = [date(2026, 1, 10), date(2026, 1, 11)]
UNITS = [
    Unit(*place)
    for place in product(ACCOUNTS, REGIONS, DAYS)
    if place != (ACCOUNTS[1], REGIONS[1], DAYS[1])  # a place with records of the first day only
]
ELSEWHERE = Unit("999999999999", "eu-west-1", DAYS[0])  # has nothing in the other region


def id_of(unit: Unit) -> str:
    return unit.name.replace(" ", "/")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("export")
    for unit in [*UNITS, ELSEWHERE]:
        noon = at(unit.day, 12)
        event = record(eventID=id_of(unit), eventTime=f"{noon:%Y-%m-%dT%H:%M:%SZ}")
        path = logs / log_key(unit.account, unit.region, noon)
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(event))
    return logs


@pytest.fixture(scope="module", params=LAYOUTS)
def dataset(
    request: pytest.FixtureRequest, logs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return convert_in(request.param, logs, tmp_path_factory.mktemp("layout") / "dataset")


def export(
    dataset: Path,
    day: date | None = None,
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> list[str]:
    """The ids of the records that are selected, sorted."""
    first, last = day or date.min, day or date.max
    texts = export_records(open_store(dataset), first, last, accounts, regions)
    return sorted(json.loads(text)["eventID"] for text in texts)


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("region", REGIONS)
def test_an_account_and_a_region_select_records_in_every_layout(
    dataset: Path, account: str, region: str
) -> None:
    mine = [unit for unit in [*UNITS, ELSEWHERE] if unit.account == account]
    here = [unit for unit in [*UNITS, ELSEWHERE] if unit.region == region]

    assert export(dataset, accounts=[account]) == sorted(map(id_of, mine))
    assert export(dataset, regions=[region]) == sorted(map(id_of, here))
    assert export(dataset, accounts=[account], regions=[region]) == sorted(
        map(id_of, {*mine} & {*here})
    )


def test_several_accounts_and_days_select_together(dataset: Path) -> None:
    expected = [id_of(unit) for unit in UNITS if unit.day == DAYS[1]]

    assert export(dataset, DAYS[1], accounts=ACCOUNTS, regions=REGIONS) == sorted(expected)
    assert export(dataset) == sorted(map(id_of, [*UNITS, ELSEWHERE]))


def test_accounts_and_regions_without_records_are_refused_and_those_with_some_are_named(
    dataset: Path,
) -> None:
    with pytest.raises(UsageError, match=f"no logs for account 1{'0' * 11}") as account:
        export(dataset, accounts=[ACCOUNTS[0], f"1{'0' * 11}"])
    with pytest.raises(UsageError, match="no logs for region eu-central-1") as region:
        export(dataset, regions=["eu-central-1"])

    assert account.value.args[2] == f"There are: {ACCOUNTS[0]}, {ACCOUNTS[1]}, {ELSEWHERE.account}"
    assert region.value.args[2] == f"There are: {REGIONS[0]}, {REGIONS[1]}"


def test_an_account_and_a_region_that_have_no_records_together_are_refused(dataset: Path) -> None:
    with pytest.raises(UsageError, match=r"of the accounts|no logs for region"):
        export(dataset, accounts=[ELSEWHERE.account], regions=[REGIONS[1]])


def test_days_without_records_are_refused_and_the_others_named(dataset: Path) -> None:
    with pytest.raises(UsageError, match="no partitions of") as refused:
        export(dataset, date(2026, 1, 12))

    assert refused.value.args[2].endswith(f"days from {DAYS[0]} to {DAYS[1]}")
    assert "accounts ;" not in refused.value.args[2]


def in_row_groups(path: Path, *groups: list[str]) -> None:
    """Write a part again, with the rows of some accounts in each row group."""
    rows = pq.ParquetFile(path).read()
    with pq.ParquetWriter(path, rows.schema) as writer:
        for accounts in groups:
            chosen = pc.is_in(rows["account"], pa.array(accounts))
            writer.write_table(rows.filter(chosen))


def ruin(path: Path, number: int, but: Collection[str] = ()) -> None:
    """Make the pages of a row group garbage, all but those of some columns."""
    ruined = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(number)
    for chunk in (group.column(column) for column in range(group.num_columns)):
        if chunk.path_in_schema not in but:
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            end = start + chunk.total_compressed_size
            ruined[start:end] = bytes([255] * (end - start))
    path.write_bytes(ruined)


@pytest.fixture
def part(logs: Path, tmp_path: Path) -> Path:
    """A part of the layout ``dt`` with rows of all accounts."""
    return convert_in("dt", logs, tmp_path / "dt") / f"dt={DAYS[0]}" / "part-00000.parquet"


def test_row_groups_that_statistics_exclude_are_not_read(part: Path, tmp_path: Path) -> None:
    in_row_groups(part, [ACCOUNTS[0]], [ACCOUNTS[1], ELSEWHERE.account])
    ruin(part, 1)

    mine = [id_of(unit) for unit in UNITS if unit.account == ACCOUNTS[0]]
    assert export(tmp_path / "dt", accounts=[ACCOUNTS[0]]) == sorted(mine)
    with pytest.raises(StorageError, match="the part is damaged"):
        export(tmp_path / "dt")


def test_of_row_groups_that_statistics_do_not_exclude_accounts_are_read_first(
    part: Path, tmp_path: Path
) -> None:
    in_row_groups(part, [ACCOUNTS[0], ELSEWHERE.account], [ACCOUNTS[1]])
    ruin(part, 0, but={"account", "region"})

    mine = [id_of(unit) for unit in UNITS if unit.account == ACCOUNTS[1]]
    assert export(tmp_path / "dt", accounts=[ACCOUNTS[1]]) == sorted(mine)


def test_a_part_without_a_column_that_is_asked_for_is_named(part: Path, tmp_path: Path) -> None:
    pq.write_table(pq.ParquetFile(part).read().drop_columns(["account"]), part)

    with pytest.raises(StorageError, match=f"{part.name}: the part is damaged"):
        export(tmp_path / "dt", accounts=[ACCOUNTS[0]])


def test_a_part_with_a_column_of_a_newer_version_is_refused(part: Path, tmp_path: Path) -> None:
    rows = pq.ParquetFile(part).read()
    pq.write_table(rows.append_column("fromTheFuture", rows["eventID"]), part)

    with pytest.raises(UsageError, match=f"{part.name}: it has columns .*: fromTheFuture"):
        export(tmp_path / "dt")


def test_small_parts_of_a_bucket_are_read_several_at_a_time(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, under_way, most = open_store("memory:///"), set[str](), 0
    for path in dataset.rglob("*.parquet"):
        bucket.write(str(path.relative_to(dataset)), path.read_bytes())
    read = type(bucket).read

    def read_slowly(key: str) -> bytes:
        nonlocal most
        under_way.add(key)
        time.sleep(0.05)
        most = max(most, len(under_way))
        under_way.remove(key)
        return read(bucket, key)

    monkeypatch.setattr(bucket, "read", read_slowly)

    assert list(export_records(bucket)) == list(export_records(open_store(dataset)))
    assert most > 1


def test_rows_are_exported_in_pieces_that_fit_into_memory(
    part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudtrail_parquet.dataset.export._BATCH_BYTES", 1)
    parts = parts_to_export(open_store(part.parents[1]))

    assert {len(rows.batch) for rows in parts.rows()} == {1}
    texts = [text for some in parts.texts(threads=3) for text in some.texts.to_pylist()]
    assert texts == list(export_records(open_store(part.parents[1])))
