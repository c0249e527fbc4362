"""Footers told as reports: of parts that a conversion wrote, of foreign files, of broken ones."""

import gzip
import json
from datetime import UTC, date, datetime
from io import BytesIO, StringIO
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from cloudtrail_parquet.cli.inspection_tables import tables
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.inspection import inspect_dataset, inspect_location, inspect_part
from cloudtrail_parquet.dataset.places import Range
from cloudtrail_parquet.dataset.reports import DatasetReport, PartReport
from cloudtrail_parquet.dataset.writer import SMALL_PART_ROWS
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, part_key, span_of
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION, leaves
from cloudtrail_parquet.schema.paths import covers
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Store, Stores, open_store

ACCOUNT, OTHER = "012345678901", "123456789012"
DAY = date(2026, 1, 10)
UNIT = Unit(ACCOUNT, "us-east-1", DAY)
LATER_UNIT = Unit(OTHER, "eu-west-1", date(2026, 1, 12))
EARLIEST, LATEST = "2026-01-10T00:00:01Z", "2026-01-10T00:19:59Z"


def record(event_time: str, **changes: object) -> dict[str, object]:
    return {
        "eventVersion": "1.11",
        "eventTime": event_time,
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "eventID": f"id of {event_time}",
        "requestParameters": {"instanceType": "t3.nano"},
    } | changes


def convert(
    source: Store,
    dataset: Store,
    unit: Unit,
    *records: dict[str, object],
    layout: PartitionLayout = DEFAULT_LAYOUT,
) -> None:
    """Deliver records within the unit's day, and convert that day."""
    trail = f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"
    name = f"{unit.account}_CloudTrail_{unit.region}_{unit.day:%Y%m%d}T1200Z_0123456789abcdef"
    body = gzip.compress(json.dumps({"Records": records}).encode())
    source.write(f"{trail}{unit.day:%Y/%m/%d}/{name}.json.gz", body)
    stores = Stores(source, dataset, open_store("memory://"))
    whole = Unit(*span_of(unit.span, layout), unit.day)
    settings = Settings(partition_layout=layout)
    assert convert_unit(whole, [trail], stores, settings) is not None


def fill(dataset: Store, layout: PartitionLayout = DEFAULT_LAYOUT) -> Store:
    """Two units, of which the first has a straggler too."""
    source = open_store("memory://")
    straggler = record("2026-01-07T09:00:00Z")
    convert(source, dataset, UNIT, record(LATEST), straggler, record(EARLIEST), layout=layout)
    convert(source, dataset, LATER_UNIT, record("2026-01-12T00:00:00Z"), layout=layout)
    return dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    fill(open_store(tmp_path / "dataset"))
    return tmp_path / "dataset"


@pytest.fixture
def part(dataset: Path) -> Path:
    return dataset / part_key(UNIT, 0)


def parquet(table: pa.Table, **options: object) -> BytesIO:
    """A file of somebody else's."""
    file = BytesIO()
    pq.write_table(table, file, **options)
    return file


def shown(report: PartReport | DatasetReport) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(*tables(report))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_part_tells_its_rows_its_size_and_the_times_of_its_row_groups(part: Path) -> None:
    report = inspect_part(part)

    (group,) = report.row_groups
    assert report.name == str(part)
    assert report.bytes == part.stat().st_size
    assert report.rows == group.rows == 2
    assert group.first == datetime.fromisoformat(EARLIEST)
    assert group.last == datetime.fromisoformat(LATEST)


def test_the_columns_of_a_part_add_up_to_its_row_groups(part: Path) -> None:
    report = inspect_part(part)

    footer = pq.read_metadata(part).row_group(0)
    compressed = sum(column.compressed_bytes for column in report.columns)
    assert compressed == report.row_groups[0].bytes < report.bytes
    assert sum(column.uncompressed_bytes for column in report.columns) == footer.total_byte_size
    assert [column.name for column in report.columns] == [path for path, _ in leaves()]


def test_a_part_tells_how_it_was_written(part: Path) -> None:
    report, settings = inspect_part(part), Settings()

    columns = {column.name: column for column in report.columns}
    assert report.sorted_by == settings.sort_by
    assert {column.codec for column in report.columns} == {settings.compression.upper()}
    with_bloom_filter = {name for name, column in columns.items() if column.bloom_filter}
    assert with_bloom_filter == set(settings.bloom_columns)
    assert {name for name, column in columns.items() if column.statistics} == {"eventTime"}
    assert not any(column.column_index for column in report.columns)  # it is small


def test_a_part_that_is_not_small_tells_what_its_columns_have(tmp_path: Path) -> None:
    source, dataset = open_store("memory://"), open_store(tmp_path / "dataset")
    records = [record(LATEST, eventID=f"id-{number}") for number in range(SMALL_PART_ROWS)]
    convert(source, dataset, UNIT, *records)

    report = inspect_part(tmp_path / "dataset" / part_key(UNIT, 0))

    columns = {column.name: column for column in report.columns}
    assert report.rows == SMALL_PART_ROWS
    assert "RLE_DICTIONARY" in columns["eventName"].encodings
    assert "RLE_DICTIONARY" not in columns["eventID"].encodings
    bare = Settings().without_statistics
    typed = {path for path, _ in leaves() if not any(covers(name, path) for name in bare)}
    assert {name for name, column in columns.items() if column.statistics} == typed
    assert {name for name, column in columns.items() if column.column_index} == typed
    assert "statistics, page index, bloom filter" in shown(report)


def test_a_part_tells_what_its_footer_says_of_its_making(part: Path) -> None:
    report = inspect_part(part)

    assert report.metadata["owner"] == UNIT.name
    assert report.metadata["schema_version"] == str(SCHEMA_VERSION)
    assert not any(name.startswith("cloudtrail_parquet") for name in report.metadata)
    assert report.settings["lookahead_s"] == str(Settings().lookahead_s)
    assert report.settings["sort_by"] == msgspec.json.encode(Settings().sort_by).decode()


def test_a_part_tells_which_settings_have_changed_since(part: Path) -> None:
    today = Settings(row_group_rows=7, compression="snappy", fetch_threads=1)

    report = inspect_part(part, today=today.shaping())

    assert inspect_part(part).changed == {}
    assert report.changed == {"compression": "snappy", "row_group_rows": "7"}
    assert "32768; today it would be 7" in shown(report)


def test_a_part_tells_of_each_row_group_which_accounts_and_regions_it_may_hold(
    tmp_path: Path,
) -> None:
    for layout in ("dt", "account/dt"):
        fill(open_store(tmp_path / layout), layout)

    whole = inspect_part(tmp_path / "dt/dt=2026-01-10/part-00000.parquet")
    report = inspect_part(
        tmp_path / f"account/dt/account={ACCOUNT}/dt=2026-01-10/part-00000.parquet"
    )

    (group,) = whole.row_groups
    assert whole.sorted_by == ("account", "region", *Settings().sort_by)

    assert group.ranges == {
        "account": Range(ACCOUNT, ACCOUNT),
        "region": Range("us-east-1", "us-east-1"),
    }
    assert [list(group.ranges) for group in report.row_groups] == [["region"]]
    assert "regions" in shown(report)
    assert "accounts" not in shown(report)


def test_a_range_of_several_accounts_is_told_by_its_ends() -> None:
    names = pa.array(["222222222222", "111111111111"])
    report = inspect_part(parquet(pa.table({"account": names, "region": [1, 2]})), "stranger")

    assert report.row_groups[0].ranges == {"account": Range("111111111111", "222222222222")}
    assert "111111111111 to 222222222222" in shown(report)


def test_a_part_without_statistics_tells_no_accounts() -> None:
    file = parquet(pa.table({"account": ["111111111111"]}), write_statistics=False)

    assert inspect_part(file, "stranger").row_groups[0].ranges == {}


def test_a_dataset_with_accounts_and_regions_as_columns_tells_their_ranges() -> None:
    whole = inspect_dataset(fill(open_store("memory://"), "year/month/day"))
    by_account = inspect_dataset(fill(open_store("memory://"), "account/dt"))

    assert (whole.accounts, whole.regions) == ((), ())
    assert whole.ranges == {
        "account": Range(ACCOUNT, OTHER),
        "region": Range("eu-west-1", "us-east-1"),
    }
    assert by_account.accounts == (ACCOUNT, OTHER)
    assert by_account.ranges == {"region": Range("eu-west-1", "us-east-1")}
    assert f"a column: {ACCOUNT} to {OTHER}" in shown(whole)
    assert f"2: {ACCOUNT}, {OTHER}" in shown(by_account)
    assert "a column: eu-west-1 to us-east-1" in shown(by_account)


def test_an_open_file_is_as_good_as_its_path(part: Path) -> None:
    with part.open("rb") as file:
        assert inspect_part(file) == inspect_part(part)
        assert inspect_part(file, "stdin").name == "stdin"
        assert not file.closed


def test_parquet_of_others_is_told_too() -> None:
    table = pa.table({"eventTime": ["noon"], "n": [1]})
    report = inspect_part(parquet(table, compression={"n": "gzip"}), "their.parquet")

    assert (report.name, report.rows, report.metadata) == ("their.parquet", 1, {})
    assert report.sorted_by == ()
    assert (report.row_groups[0].first, report.row_groups[0].last) == (None, None)
    assert [column.codec for column in report.columns] == ["UNCOMPRESSED", "GZIP"]
    assert not any(column.bloom_filter or column.column_index for column in report.columns)
    assert shown(report)


def test_a_part_that_has_several_row_groups_tells_each_and_sums_columns() -> None:
    times = pa.array([0, 1, 2], pa.timestamp("us", tz="UTC"))
    report = inspect_part(parquet(pa.table({"eventTime": times}), row_group_size=2), "a")

    assert [group.rows for group in report.row_groups] == [2, 1]
    assert report.row_groups[1].first == datetime(1970, 1, 1, 0, 0, 0, 2, tzinfo=UTC)
    (column,) = report.columns
    assert column.compressed_bytes == sum(group.bytes for group in report.row_groups)


def test_a_row_group_whose_statistics_are_absent_tells_no_times() -> None:
    times = pa.array([0], pa.timestamp("us", tz="UTC"))
    report = inspect_part(parquet(pa.table({"eventTime": times}), write_statistics=False), "a")

    assert (report.row_groups[0].first, report.row_groups[0].last) == (None, None)
    assert not report.columns[0].statistics


def test_the_order_of_a_part_may_be_descending() -> None:
    order = [pq.SortingColumn(1, descending=True), pq.SortingColumn(0)]
    table = pa.table({"a": [1], "b": [1]})
    report = inspect_part(parquet(table, sorting_columns=order), "a")

    assert report.sorted_by == ("b descending", "a")


def test_a_part_of_no_rows_has_no_row_groups_and_no_statistics() -> None:
    file = BytesIO()
    pq.ParquetWriter(file, pa.schema([("a", pa.int8())])).close()

    report = inspect_part(file, "a")

    assert (report.rows, report.row_groups) == (0, ())
    assert not report.columns[0].statistics
    assert shown(report)


WHOLE = parquet(pa.table({"a": [1]})).getvalue()
BROKEN = {
    "nothing": b"",
    "text": b"these are not the bytes you are looking for",
    "cut short": WHOLE[:-20],
    "damaged in its footer": WHOLE[:-30] + b"\xff" * 22 + WHOLE[-8:],
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_parquet_is_a_wrong_usage_that_names_the_file(
    tmp_path: Path, body: bytes
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(body)

    with pytest.raises(UsageError, match=r"broken\.parquet: cannot be read .*\. Name the folder"):
        inspect_part(broken)


@pytest.mark.parametrize("place", ["missing.parquet", "missing"])
def test_a_place_that_is_not_there_is_a_wrong_usage(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match=rf"{place}\b.*\. (?:Name the folder|Check its name)"):
        inspect_location(str(tmp_path / place))


def test_a_file_that_is_not_there_in_an_object_store_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"memory:///missing\.parquet: cannot be read"):
        inspect_location("memory:///missing.parquet")


@pytest.mark.parametrize("kind", ["disk", "object store"])
def test_a_dataset_is_the_sum_of_its_parts(tmp_path: Path, kind: str) -> None:
    store = fill(open_store(tmp_path / "dataset" if kind == "disk" else "memory://"))

    report = inspect_dataset(store)

    entries = list(store.files(""))
    parts = [inspect_part(BytesIO(store.read(entry.key)), entry.key) for entry in entries]
    assert (report.uri, report.parts, report.rows) == (store.uri, 3, 4)
    assert report.bytes == sum(entry.size for entry in entries)
    assert report.accounts == (ACCOUNT, OTHER)
    assert report.regions == ("eu-west-1", "us-east-1")
    assert (report.first_day, report.last_day) == (date(2026, 1, 7), LATER_UNIT.day)
    assert (report.stragglers.parts, report.stragglers.rows) == (1, 1)
    assert report.strangers == ()
    for number, size in enumerate(report.columns):
        same = [part.columns[number] for part in parts]
        assert size.name == same[0].name
        assert size.compressed_bytes == sum(column.compressed_bytes for column in same)
        assert size.uncompressed_bytes == sum(column.uncompressed_bytes for column in same)


def test_a_dataset_tells_versions_and_settings_and_how_many_parts_have_them(dataset: Path) -> None:
    odd = {
        "cloudtrail_parquet.settings": '{"lookahead_s":60}',
        "cloudtrail_parquet.schema_version": "0",
    }
    schema = pa.schema([("eventID", pa.string())])
    for number, metadata in enumerate([odd, {}]):
        table = schema.with_metadata(metadata).empty_table()
        pq.write_table(table, dataset / part_key(UNIT, 7 + number))

    report = inspect_dataset(open_store(dataset))

    assert report.schema_versions == {"": 1, "0": 1, str(SCHEMA_VERSION): 3}
    assert report.settings["lookahead_s"] == {"60": 1, str(Settings().lookahead_s): 3}
    assert not {"owner", "source_fingerprint", "schema_version"} & set(report.settings)
    assert report.changed["lookahead_s"] == str(Settings().lookahead_s)
    assert "60 in 1 part" in shown(report)


def test_a_dataset_tells_what_does_not_belong_there(dataset: Path) -> None:
    (dataset / "_SUCCESS").touch()
    (dataset / "part-00000.parquet").write_bytes(WHOLE)

    report = inspect_dataset(open_store(dataset))

    assert report.strangers == ("_SUCCESS", "part-00000.parquet")
    assert report.parts == 3
    assert "part-00000.parquet" in shown(report)


def test_a_part_that_is_broken_is_named(dataset: Path, part: Path) -> None:
    part.write_bytes(b"PAR1")

    with pytest.raises(UsageError, match=f"{part}: cannot be read as Parquet"):
        inspect_dataset(open_store(dataset))


def test_a_folder_without_parts_is_a_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(UsageError, match=r"holds no parts"):
        inspect_location(str(tmp_path))


def test_a_file_and_a_folder_are_told_apart(dataset: Path, part: Path, tmp_path: Path) -> None:
    unnamed = tmp_path / "download"
    unnamed.write_bytes(part.read_bytes())

    assert inspect_location(str(part)) == inspect_part(part)
    assert isinstance(inspect_location(str(unnamed)), PartReport)
    assert inspect_location(str(dataset)) == inspect_dataset(open_store(dataset))
    assert isinstance(inspect_location(dataset.as_uri()), DatasetReport)
    assert inspect_location(part.as_uri()).rows == 2


def test_a_dataset_may_be_named_like_a_file(dataset: Path) -> None:
    renamed = dataset.rename(dataset.with_name("trail.parquet"))

    assert isinstance(inspect_location(str(renamed)), DatasetReport)


def test_reports_are_plain_json(dataset: Path, part: Path) -> None:
    of_part = json.loads(json.dumps(inspect_part(part).to_json()))
    of_dataset = json.loads(json.dumps(inspect_dataset(open_store(dataset)).to_json()))

    assert of_part["row_groups"][0]["first"] == EARLIEST
    assert of_part["columns"][0]["name"] == "eventVersion"
    assert of_dataset["first_day"] == "2026-01-07"
    assert of_dataset["stragglers"] == {"parts": 1, "rows": 1}


def test_the_tables_of_a_part_show_the_largest_column_first(part: Path) -> None:
    report = inspect_part(part)

    text = shown(report)

    largest = max(report.columns, key=lambda column: column.compressed_bytes)
    smallest = min(report.columns, key=lambda column: column.compressed_bytes)
    assert text.index(f" {largest.name} ") < text.index(f" {smallest.name} ")
    assert ", ".join(Settings().sort_by) in text
    assert "2026-01-10 00:00:01" in text
    assert "bloom filter" in text
    assert UNIT.name in text


def test_the_tables_of_a_dataset_show_its_numbers(dataset: Path) -> None:
    text = shown(inspect_dataset(open_store(dataset)))

    assert "2026-01-07 to 2026-01-12" in text
    assert f"2: {ACCOUNT}, {OTHER}" in text
    assert "1 row in 1 part" in text
    assert "userIdentity.accessKeyId" in text


def test_names_in_tables_are_shown_as_they_are_and_command_no_terminal() -> None:
    report = inspect_part(parquet(pa.table({"[red]a\x1b[2J": [1]})), "[bold]x")

    text = shown(report)

    assert "[bold]x" in text
    assert r"[red]a\x1b[2J" in text
    assert "\x1b" not in text
