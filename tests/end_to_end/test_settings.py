"""Each setting that shapes files, given on the command line and seen in the files by others."""

import gzip
import io
import json
import re
import string
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import duckdb
import fastparquet
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import typer
from fastparquet.cencoding import from_buffer

from cloudtrail_parquet.cli.commands import app
from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.formats.thrift import Reader
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import ACCOUNT, as_text, envelope, exact, log_file, log_key, normal, record
from tests.end_to_end.datasets import (
    NOTHING,
    Json,
    ask,
    by_value,
    convert,
    exported,
    part,
    parts,
    said,
    toml_of,
)
from tests.end_to_end.program import run, succeed
from tests.end_to_end.trees import NOON, contents, deliver, event

Make = Callable[..., Path]
SETTINGS_PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def listed(marks: str) -> set[str]:
    """The settings of the page that bear one of these marks; all settings without any."""
    rows = re.findall(r"^\| `(\w+)`( [†‡])? \|", SETTINGS_PAGE.read_text("utf-8"), re.MULTILINE)
    return {name for name, mark in rows if not marks or (mark and mark.strip() in marks)}


class Planted(NamedTuple):
    """A generated day, all of it delivered in order, and what it is by default."""

    logs: Path
    dataset: Path
    records: Counter[str]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """The tests leave it as it is."""
    folder = tmp_path_factory.mktemp("planted")
    shape = "--accounts 1 --regions 1 --days 1 --records 1500 --seed 3"
    succeed("generate", folder / "logs", *shape.split())
    convert(folder / "logs", folder / "default")
    return Planted(folder / "logs", folder / "default", exported(folder / "default"))


@pytest.fixture
def make(planted: Planted, tmp_path: Path) -> Make:
    """Converts the planted day with settings; its records have to be the same as by default."""

    def convert_with(
        *options: object, toml: str = "", environment: Mapping[str, str] = NOTHING
    ) -> Path:
        dataset = tmp_path / f"{len(list(tmp_path.glob('*.state')))}"
        convert(planted.logs, dataset, *options, toml=toml, environment=environment)
        if "variant" in json.dumps([*map(str, options), toml, dict(environment)]):
            assert by_value(exported(dataset)) == by_value(planted.records)
        else:
            assert exported(dataset) == planted.records
        return dataset

    return convert_with


# What others find in a file.


def footer(path: Path, fact: str) -> dict[str, list[Any]]:
    """A fact that DuckDB finds in the footer, by column: a value for each row group."""
    found: dict[str, list[Any]] = {}
    columns = "SELECT path_in_schema, COLUMNS(?) FROM parquet_metadata(?) ORDER BY row_group_id"
    for name, value in ask(columns, f"^{fact}$", path):
        found.setdefault(name.replace(", ", "."), []).append(value)
    return found


def of_all(facts: dict[str, list[Any]]) -> dict[str, Any]:
    """Facts that are the same in all row groups, by column."""
    assert all(len(set(values)) == 1 for values in facts.values())
    return {name: values[0] for name, values in facts.items()}


def chunks(path: Path) -> dict[str, Any]:
    """The column chunks of the first row group, as pyarrow sees them."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = [group.column(number) for number in range(group.num_columns)]
    return {chunk.path_in_schema: chunk for chunk in found}


def leaves_of(prefix: str, names: Iterable[str]) -> set[str]:
    """The columns that the name of a column or a struct stands for."""
    short = {name: name.replace(".list.element", "") for name in names}
    return {name for name, one in short.items() if f"{one}.".startswith(f"{prefix}.")}


class Page(NamedTuple):
    """A data page: its first row, its bytes before compression, its least and greatest value."""

    row: int
    size: int
    bounds: tuple[bytes | None, bytes | None]


def pages(path: Path) -> dict[str, list[list[Page]]]:
    """By column and row group: read from the page indexes and the headers of the pages.

    fastparquet reads both but for the least and greatest values, which it does not know.
    """
    data = path.read_bytes()
    found: dict[str, list[list[Page]]] = {}
    for group in fastparquet.ParquetFile(io.BytesIO(data)).fmd.row_groups:
        for chunk in group.columns:
            name = ".".join(map(_text, chunk.meta_data.path_in_schema))
            found.setdefault(name, []).append(list(_pages(data, chunk)))
    return found


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _pages(data: bytes, chunk: Any) -> Iterable[Page]:  # noqa: ANN401  of fastparquet
    places = _thrift(data, chunk.offset_index_offset, chunk.offset_index_length, "OffsetIndex")
    index = Reader(data, chunk.column_index_offset).struct() if chunk.column_index_offset else None
    for number, place in enumerate(places.page_locations):
        header = _thrift(data, place.offset, place.compressed_page_size, "PageHeader")
        low, high = (index[field].value.values[number] if index else None for field in (2, 3))
        yield Page(place.first_row_index, header.uncompressed_page_size, (low, high))


def _thrift(data: bytes, start: int, size: int, name: str) -> Any:  # noqa: ANN401
    return from_buffer(data[start : start + size], name)


# Programs that share no code, and what they find in the rows.

Values = Counter[tuple[Any, ...]]
VALUES = ("eventID", "eventName", "userIdentity.arn", "requestParameters", "readOnly")


def by_duckdb(path: Path) -> Values:
    return Counter(
        ask(f"FROM read_parquet(?) SELECT epoch_us(eventTime), {', '.join(VALUES)}", path)
    )


def by_polars(path: Path) -> Values:
    columns = [
        pl.col("eventTime").dt.epoch("us"),
        *(
            pl.col("userIdentity").struct.field("arn") if "." in name else pl.col(name)
            for name in VALUES
        ),
    ]
    return Counter(pl.read_parquet(path).select(columns).rows())


def by_pyarrow(path: Path) -> Values:
    table = pq.ParquetFile(path).read()
    arns = pa.compute.struct_field(table["userIdentity"], "arn")
    columns = [table["eventTime"].cast(pa.int64()), *(table[n] for n in VALUES if "." not in n)]
    columns.insert(3, arns)
    return Counter(zip(*(column.to_pylist() for column in columns), strict=True))


@pytest.fixture(scope="module")
def values(planted: Planted) -> Values:
    return by_pyarrow(part(planted.dataset))


# Compression.

CODECS = {  # as DuckDB calls them, and where the setting stands
    "zstd": ("ZSTD", "file"),
    "gzip": ("GZIP", "environment"),
    "brotli": ("BROTLI", "option"),
    "snappy": ("SNAPPY", "file"),
    "lz4": ("LZ4_RAW", "environment"),
    "none": ("UNCOMPRESSED", "option"),
}


@pytest.mark.parametrize("codec", CODECS)
def test_all_columns_have_the_codec_of_the_settings(make: Make, values: Values, codec: str) -> None:
    name, place = CODECS[codec]
    if place == "file":
        dataset = make(toml=f'compression = "{codec}"')
    elif place == "environment":
        dataset = make(environment={"COMPRESSION": codec})
    else:
        dataset = make("--compression", codec)

    assert set(of_all(footer(part(dataset), "compression")).values()) == {name}
    assert by_duckdb(part(dataset)) == by_polars(part(dataset)) == values


def test_columns_may_have_codecs_of_their_own(make: Make, values: Values) -> None:
    toml = """
        compression = "gzip"
        [column_compression]
        requestParameters = "brotli:9"
        eventID = "none"
        userIdentity = "snappy"
        "userIdentity.sessionContext" = "lz4"
        "resources.ARN" = "zstd:19"
    """
    found = of_all(footer(part(dataset := make(toml=toml)), "compression"))

    session = leaves_of("userIdentity.sessionContext", found)
    expected = dict.fromkeys(found, "GZIP")
    expected |= dict.fromkeys(leaves_of("userIdentity", found), "SNAPPY")
    expected |= dict.fromkeys(session, "LZ4_RAW")
    expected |= {"requestParameters": "BROTLI", "eventID": "UNCOMPRESSED"}
    expected |= {"resources.list.element.ARN": "ZSTD"}
    assert len(session) > 5
    assert found == expected
    assert by_duckdb(part(dataset)) == by_polars(part(dataset)) == values


def test_a_higher_level_of_a_column_makes_it_smaller_and_no_other(make: Make) -> None:
    low, high = (
        of_all(footer(part(dataset), "total_compressed_size"))
        for dataset in (
            make("--column-compression", "requestParameters=zstd:1"),
            make(environment={"COLUMN_COMPRESSION": "requestParameters=zstd:19"}),
        )
    )

    assert high.pop("requestParameters") < 0.95 * low.pop("requestParameters")
    assert high == low


@pytest.mark.parametrize(("codec", "highest"), [("zstd", 19), ("gzip", 9), ("brotli", 11)])
def test_a_higher_level_makes_files_smaller(make: Make, codec: str, highest: int) -> None:
    low = make(toml=f'compression = "{codec}"\ncompression_level = 1')
    high = make("--compression", codec, environment={"COMPRESSION_LEVEL": f"{highest}"})

    sizes = [
        sum(of_all(footer(part(one), "total_compressed_size")).values()) for one in (low, high)
    ]
    assert sizes[1] < 0.97 * sizes[0]


# Row groups, parts and pages.


def groups(path: Path, column: str) -> list[list[Any]]:
    """The values of a column, a list for each row group, read by DuckDB."""
    sizes = ask(
        "SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata(?) ORDER BY 1", path
    )
    rows = [value for (value,) in ask(f"FROM read_parquet(?) SELECT {column}", path)]
    found = []
    for _, size in sizes:
        found.append(rows[:size])
        rows = rows[size:]
    assert not rows
    return found


def test_row_groups_have_the_rows_of_the_settings_and_follow_each_other_in_time(
    make: Make,
) -> None:
    found = groups(part(make("--row-group-rows", 400)), "epoch_us(eventTime)")

    assert list(map(len, found)) == [400, 400, 400, 300]
    for earlier, later in pairwise(found):
        assert max(earlier) <= min(later)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """300 records with requests of about 10 kB and one of 2 MB; the tests leave it as it is."""
    folder, rng = tmp_path_factory.mktemp("large"), Random(1)
    sizes = [2_000_000 if number == 150 else 10_000 for number in range(300)]
    requests = [{"body": "".join(rng.choices(string.ascii_letters, k=size))} for size in sizes]
    deliver(folder / "logs", *(event(f"{n}", requestParameters=r) for n, r in enumerate(requests)))
    convert(folder / "logs", folder / "default")
    return Planted(folder / "logs", folder / "default", exported(folder / "default"))


def test_row_groups_have_fewer_rows_where_rows_are_large(large: Planted, tmp_path: Path) -> None:
    limit = 400_000
    convert(large.logs, tmp_path / "out", toml=f"row_group_bytes = {limit}")

    opened = pq.ParquetFile(part(tmp_path / "out"))
    tables = [opened.read_row_group(number) for number in range(opened.num_row_groups)]
    assert [table.num_rows for table in tables if table.nbytes > limit] == [1]
    assert 8 < len(tables) < 20
    assert pq.ParquetFile(part(large.dataset)).num_row_groups == 1
    assert exported(tmp_path / "out") == large.records


def test_a_part_of_the_size_of_the_settings_is_followed_by_another(make: Make) -> None:
    limit = 60_000
    dataset = make("--row-group-rows", 200, environment={"PART_BYTES": f"{limit}"})

    found = parts(dataset)
    assert [path.name for path in found] == [f"part-{n:05}.parquet" for n in range(len(found))]
    assert len(found) > 2
    for path in found[:-1]:  # another row group would have made it too large
        groups = [pq.ParquetFile(path).metadata.row_group(n) for n in range(path_groups(path))]
        sizes = [
            sum(group.column(n).total_compressed_size for n in range(group.num_columns))
            for group in groups
        ]
        assert sum(sizes) <= limit < sum(sizes) + 2 * max(sizes)
    counts = ask("SELECT num_rows FROM parquet_file_metadata(?)", f"{dataset}/**/*.parquet")
    assert sum(rows for (rows,) in counts) == 1500
    assert all(rows % 200 == 0 for (rows,) in sorted(counts)[1:])


def path_groups(path: Path) -> int:
    count: int = pq.ParquetFile(path).metadata.num_row_groups
    return count


def test_pages_have_the_rows_of_the_settings(make: Make) -> None:
    found = pages(part(make("--row-group-rows", 700, toml="page_rows = 150")))

    assert len(found) == len(chunks(part(make())))
    for name, row_groups in found.items():
        rows = [[page.row for page in row_group] for row_group in row_groups]
        assert rows == [[0, 150, 300, 450, 600], [0, 150, 300, 450, 600], [0]], name


def test_smaller_pages_are_more_pages(make: Make, planted: Planted) -> None:
    whole = pages(part(planted.dataset))
    found = pages(part(make(environment={"PAGE_BYTES": "10000"})))

    assert len(whole["eventID"][0]) == 1
    assert len(found["eventID"][0]) > 1
    assert sum(page.size for page in found["eventID"][0]) >= whole["eventID"][0][0].size


def test_pages_of_large_values_are_not_many_times_larger_than_the_settings_say(
    large: Planted, tmp_path: Path
) -> None:
    limit = 200_000
    convert(large.logs, tmp_path / "out", "--page-bytes", limit)

    (found,) = pages(part(tmp_path / "out"))["requestParameters"]
    assert sum(page.size > 4 * limit for page in found) == 1  # the one with 2 MB
    assert len(found) > 3
    assert exported(tmp_path / "out") == large.records


# Checksums of pages.


class PageHeader(NamedTuple):
    """The header of a page of any kind, with where the page begins and ends after it."""

    kind: int
    checksum: int | None
    start: int
    end: int


DATA_PAGE, DICTIONARY_PAGE = 0, 2


def page_headers(path: Path) -> dict[str, list[PageHeader]]:
    """The headers of all pages of the first row group, by column.

    Source: parquet.thrift, PageHeader.
    """
    data = path.read_bytes()
    return {name: list(_headers(data, chunk)) for name, chunk in chunks(path).items()}


def _headers(data: bytes, chunk: pq.ColumnChunkMetaData) -> Iterable[PageHeader]:
    reader = Reader(data, chunk.dictionary_page_offset or chunk.data_page_offset)
    end = reader.at + chunk.total_compressed_size
    while reader.at < end:
        header = reader.struct()
        size, checksum = header[3].value, header.get(4)
        crc = checksum and checksum.value % (1 << 32)  # Thrift's integers are signed
        yield PageHeader(header[1].value, crc, reader.at, reader.at + size)
        reader.at += size


def verified(path: Path) -> pa.Table:
    """The rows as a reader sees them that verifies checksums where there are any."""
    return pq.ParquetFile(path, page_checksum_verification=True).read()


def damage(path: Path, at: int) -> Path:
    """A copy of a file in which one bit of a byte differs."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    damaged = path.with_name("damaged.parquet")
    damaged.write_bytes(data)
    return damaged


def test_each_page_has_the_crc_32_of_its_bytes(make: Make) -> None:
    path = part(make("--page-rows", 300))
    data = path.read_bytes()

    headers = [header for column in page_headers(path).values() for header in column]

    kinds = Counter(header.kind for header in headers)
    assert kinds[DICTIONARY_PAGE] > 50
    assert kinds[DATA_PAGE] > 5 * kinds[DICTIONARY_PAGE]
    for header in headers:
        assert header.checksum == zlib.crc32(data[header.start : header.end])


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_a_byte_that_has_changed_in_a_page_of_any_column_is_found_by_who_verifies(
    make: Make, encoding: str
) -> None:
    path = part(make("--json-encoding", encoding))
    columns = page_headers(path)

    assert verified(path).num_rows == 1500
    for header in (column[-1] for column in columns.values()):
        with pytest.raises(OSError, match="CRC checksum verification failed"):
            verified(damage(path, header.start))
    assert len(columns) > 50


def test_without_page_checksums_a_changed_byte_is_read_as_if_nothing_were(
    make: Make, values: Values
) -> None:
    bare = part(make("--compression", "none", toml="page_checksums = false"))
    event_ids = {event_id for _, event_id, *_ in values}
    place = bare.read_bytes().index(min(filter(None, event_ids)).encode())

    assert {one.checksum for column in page_headers(bare).values() for one in column} == {None}
    assert len(set(verified(damage(bare, place))["eventID"].to_pylist()) - event_ids) == 1


# Encodings, statistics, filters, order.


def test_columns_have_the_encodings_of_the_settings(make: Make, values: Values) -> None:
    toml = """
        [column_encoding]
        eventTime = "BYTE_STREAM_SPLIT"
        eventID = "DICTIONARY"
        requestParameters = "DELTA_BYTE_ARRAY"
        readOnly = "RLE"
        resources = "DELTA_BYTE_ARRAY"
        "resources.type" = "PLAIN"
        "userIdentity.arn" = "DELTA_LENGTH_BYTE_ARRAY"
    """
    found = of_all(footer(part(dataset := make(toml=toml)), "encodings"))

    assert encodings(found, "eventTime") == {"BYTE_STREAM_SPLIT"}
    assert encodings(found, "eventID") == {"PLAIN", "RLE_DICTIONARY"}
    assert encodings(found, "requestParameters") == {"DELTA_BYTE_ARRAY"}
    assert encodings(found, "readOnly") == set()
    assert encodings(found, "userIdentity.arn") == {"DELTA_LENGTH_BYTE_ARRAY"}
    assert encodings(found, "resources.list.element.type") == {"PLAIN"}
    for name in ("ARN", "accountId"):
        assert encodings(found, f"resources.list.element.{name}") == {"DELTA_BYTE_ARRAY"}
    # as by default
    assert encodings(found, "eventName") == {"PLAIN", "RLE_DICTIONARY"}
    assert encodings(found, "requestID") == {Settings().column_encoding["requestID"]}
    assert by_duckdb(part(dataset)) == by_polars(part(dataset)) == values


def encodings(found: dict[str, str], column: str) -> set[str]:
    """Those of the values of a column; RLE is also that of the levels of all columns."""
    return set(found[column].split(", ")) - {"RLE"}


def test_by_default_columns_have_the_encodings_of_the_defaults(planted: Planted) -> None:
    found = of_all(footer(part(planted.dataset), "encodings"))
    defaults = Settings().column_encoding
    booleans = {
        name
        for name, of in of_all(footer(part(planted.dataset), "type")).items()
        if of == "BOOLEAN"
    }

    for name, encoding in defaults.items():
        assert encodings(found, name) == {encoding}
    for name in found.keys() - defaults.keys() - booleans:
        assert encodings(found, name) == {"PLAIN", "RLE_DICTIONARY"}


def test_columns_are_without_statistics_as_the_settings_say(make: Make) -> None:
    dataset = make("--without-statistics", "eventName,userIdentity,resources.ARN")

    found = chunks(part(dataset))
    without = {"eventName", "resources.list.element.ARN", *leaves_of("userIdentity", found)}
    assert {name for name, chunk in found.items() if not chunk.is_stats_set} == without
    assert {name for name, chunk in found.items() if not chunk.has_column_index} == without
    assert all(chunk.has_offset_index for chunk in found.values())
    least = of_all(footer(part(dataset), "stats_min_value"))
    assert not any(least[name] for name in without)
    assert least["requestParameters"].startswith("{")
    assert all(page.bounds == (None, None) for page in pages(part(dataset))["eventName"][0])


def test_by_default_columns_are_without_statistics_as_the_defaults_say(planted: Planted) -> None:
    found = chunks(part(planted.dataset))

    named = [leaves_of(name, found) for name in Settings().without_statistics]
    without = {name for name, chunk in found.items() if not chunk.is_stats_set}
    assert without == set().union(*named)
    assert {name for name, chunk in found.items() if not chunk.has_column_index} == without


def test_the_page_index_holds_the_least_and_greatest_value_of_each_page(make: Make) -> None:
    path = part(make("--page-rows", 100, "--row-group-rows", 600))
    found = pages(path)

    for name, read in (("eventName", str.encode), ("epoch_us(eventTime)", _little_endian)):
        column = "eventTime" if "(" in name else name
        for row_group, rows in zip(found[column], groups(path, name), strict=True):
            starts = [page.row for page in row_group]
            for page, end in zip(row_group, [*starts[1:], len(rows)], strict=True):
                mine = rows[page.row : end]
                assert page.bounds == (read(min(mine)), read(max(mine)))


def _little_endian(number: int) -> bytes:
    return number.to_bytes(8, "little", signed=True)


def bloom_bytes(path: Path) -> dict[str, list[int]]:
    """The sizes of the Bloom filters, by column that has one."""
    sizes = footer(path, "bloom_filter_length")
    return {name: of for name, of in sizes.items() if any(of)}


def test_columns_have_bloom_filters_as_the_settings_say(make: Make, planted: Planted) -> None:
    toml = 'bloom_columns = ["eventTime", "eventName", "userIdentity.arn", "resources"]'
    found = bloom_bytes(part(make("--row-group-rows", 500, toml=toml)))
    default = bloom_bytes(part(planted.dataset))

    resources = {f"resources.list.element.{n}" for n in ("ARN", "ARNPrefix", "accountId", "type")}
    assert set(found) == {"eventTime", "eventName", "userIdentity.arn", *resources}
    assert all(len(sizes) == 3 and all(sizes) for sizes in found.values())
    assert set(default) == set(Settings().bloom_columns)


def row_groups_read(path: Path, ids: Iterable[str]) -> int:
    """How many row groups DuckDB reads in all, looking for one id after the other."""
    find = "EXPLAIN ANALYZE SELECT count(*) FROM read_parquet(?) WHERE eventID = ?"
    with duckdb.connect() as connection:
        plans = [connection.execute(find, [str(path), one]).fetchall()[0][1] for one in ids]
    found = [re.search(r"Row Groups Scanned: (\d+) ", plan) for plan in plans]
    return sum(int(match[1]) for match in found if match)  # none: statistics were enough


def test_bloom_filters_exclude_what_is_absent_and_nothing_that_is_there(make: Make) -> None:
    rng = Random(5)
    path = part(make("--row-group-rows", 500))
    plain = part(make("--row-group-rows", 500, environment={"BLOOM_COLUMNS": ""}))
    absent = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(1000)]
    present = [rng.choice([one for one in ids if one]) for ids in groups(path, "eventID") * 30]

    assert row_groups_read(path, absent) < 0.1 * 3 * len(absent)
    assert row_groups_read(plain, absent[:100]) > 0.95 * 3 * 100
    count = "SELECT count(*) FROM read_parquet(?) WHERE eventID = ?"
    with duckdb.connect() as connection:
        for one in present:
            assert connection.execute(count, [str(path), one]).fetchone() == (1,)


def test_filters_that_may_be_wrong_less_often_are_larger(make: Make) -> None:
    careless = bloom_bytes(part(make("--bloom-fpp", 0.5)))
    careful = bloom_bytes(part(make(toml="bloom_fpp = 0.0001")))

    assert careful["eventID"][0] > 3 * careless["eventID"][0] > 0


ORDERS = {
    "eventSource,eventName,eventTime": "(eventSource, eventName, epoch_us(eventTime))",
    "userIdentity.arn,eventTime": "(userIdentity.arn, epoch_us(eventTime))",
    "readOnly,userIdentity.sessionContext.attributes.mfaAuthenticated,eventID": (
        "(readOnly, userIdentity.sessionContext.attributes.mfaAuthenticated, eventID)"
    ),
    "eventTime": "row(epoch_us(eventTime))",
}


@pytest.mark.parametrize("order", ORDERS)
def test_rows_of_a_row_group_are_sorted_as_the_settings_say_and_the_footer_declares(
    make: Make, order: str
) -> None:
    path = part(make("--row-group-rows", 500, environment={"SORT_BY": order}))

    opened = pq.ParquetFile(path)
    for number in range(opened.num_row_groups):
        declared = opened.metadata.row_group(number).sorting_columns
        names = [opened.schema.column(one.column_index).path for one in declared]
        assert names == order.split(",")
        assert not any(one.descending or one.nulls_first for one in declared)
    for rows in groups(path, ORDERS[order]):
        keys = [list(map(_nulls_last, row)) for row in rows]
        assert keys == sorted(keys)
        assert len(set(map(str, keys))) > 1


def _nulls_last(value: object) -> tuple[bool, Any]:
    return value is None, value.encode() if isinstance(value, str) else value or 0


def test_without_columns_to_sort_by_rows_stay_in_the_order_of_time(make: Make) -> None:
    path = part(make("--row-group-rows", 500, toml="sort_by = []"))

    assert not pq.ParquetFile(path).metadata.row_group(0).sorting_columns
    times = [time for rows in groups(path, "epoch_us(eventTime)") for time in rows]
    assert times == sorted(times)


# Free-form columns.


def free_form(path: Path, as_text: str) -> Counter[str]:
    """Requests and answers as DuckDB reads them, by value, each pair with the call's name."""
    rows = ask(
        "FROM read_parquet(?) "
        f"SELECT eventName, requestParameters{as_text}, responseElements{as_text}",
        path,
    )
    return Counter(
        json.dumps([name, *(one and exact(one) for one in texts)], sort_keys=True)
        for name, *texts in rows
    )


@pytest.mark.parametrize(
    ("encoding", "of", "as_text"),
    [
        ("string", "VARCHAR", ""),
        ("json", "JSON", "::VARCHAR"),
        ("variant", "VARIANT", "::JSON::VARCHAR"),
    ],
)
def test_free_form_columns_are_written_as_the_settings_say(
    make: Make, planted: Planted, encoding: str, of: str, as_text: str
) -> None:
    path = part(make("--json-encoding", encoding))

    types = {name: of for name, of, *_ in ask("DESCRIBE FROM read_parquet(?)", path)}
    columns = ("requestParameters", "responseElements", "additionalEventData", "insightDetails")
    assert {types[name] for name in columns} == {of}
    assert types["unmapped"] == ("VARCHAR" if encoding == "variant" else of)
    assert types["eventContext"] == f"STRUCT(requestContext {of}, tagContext {of})"
    assert free_form(path, as_text) == free_form(part(planted.dataset), "")


def test_text_marked_as_json_says_so_in_the_footer(make: Make) -> None:
    path = part(make(environment={"JSON_ENCODING": "json"}))

    marked = ask(
        "SELECT name FROM parquet_schema(?) WHERE logical_type LIKE 'Json%' ORDER BY name", path
    )
    assert [name for (name,) in marked] == [
        *("additionalEventData", "edgeDeviceDetails", "insightDetails", "requestContext"),
        *("requestParameters", "responseElements", "serviceEventDetails", "tagContext", "unmapped"),
    ]
    assert pl.read_parquet(path)["requestParameters"].dtype == pl.Binary


def test_settings_of_a_free_form_column_are_those_of_the_two_columns_of_a_variant(
    make: Make,
) -> None:
    toml = """
        json_encoding = "variant"
        column_compression = { requestParameters = "gzip" }
        column_encoding = { requestParameters = "PLAIN" }
        without_statistics = ["responseElements"]
        bloom_columns = []
    """
    path = part(make(toml=toml))

    for leaf in ("requestParameters.metadata", "requestParameters.value"):
        assert of_all(footer(path, "compression"))[leaf] == "GZIP"
        assert encodings(of_all(footer(path, "encodings")), leaf) == {"PLAIN"}
        assert chunks(path)[leaf].is_stats_set
    assert not chunks(path)["responseElements.value"].is_stats_set


EXACT = {
    "whole": '{"a":12345678901234567890,"b":[-98765432109876543210],"c":9223372036854775808}',
    "fraction": '{"a":1.10,"b":0.1,"c":-2.50,"d":1688560107.857}',
    "escapes": r'{"a\u0062":"\u003c\/\ud83d\ude00\u0000","z":null,"":{}}',
    "spaces": ' { "b" : 1 ,\n "a" : [ ] } ',
    "text": '"{\\"a\\":1}"',
    "number": "1.10",
    "array": "[]",
    "false": "false",
}
INEXACT = {
    "digits": '{"a":1234567890123456789012345678901234567890}',
    "infinite": '{"a":1e400,"b":[-1E400]}',
    "exponent": '{"a":1e5,"b":1E-7}',
    "minus": '{"a":-0,"b":-0.0e0}',
    "names": '{"a":1,"a":{"b":2,"b":3}}',
    "surrogate": r'{"a":"\ud800","\udc00x":1}',
    "deep": "[" * 150 + "]" * 150,
    "deeper": '{"a":' * 5000 + "1" + "}" * 5000,
    "arrays": "[" * 5000 + "]" * 5000,
}
HOSTILE = EXACT | INEXACT
TAKEN_BY_ALL = {"exponent", "minus", "names"}  # as text; what else is inexact, some readers refuse


def hostile(name: str, column: str) -> str:
    """A record whose free-form column holds a hostile text."""
    top, _, member = column.partition(".")
    changes: Json = {"requestParameters": {"a": 1}, top: {member: "#"} if member else "#"}
    return as_text(event(name, **changes)).replace('"#"', HOSTILE[name])


def deliver_texts(logs: Path, texts: Iterable[str], delivered: datetime = NOON) -> None:
    path = logs / log_key(ACCOUNT, "eu-central-1", delivered)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(envelope(texts), mtime=0))


# Both free-form columns, one of them in a struct.
COLUMNS = ["requestParameters", "eventContext.requestContext"]


def hostile_days(logs: Path, column: str) -> None:
    """Every hostile text in a record of a day, and all these records again five days later."""
    texts = [hostile(name, column) for name in HOSTILE]
    deliver_texts(logs, texts)
    late = NOON + timedelta(days=5)
    deliver_texts(logs, [*texts, as_text(event("other", late))], late)


@pytest.mark.parametrize("column", COLUMNS)
def test_what_a_variant_cannot_hold_comes_back_as_it_was_delivered(
    tmp_path: Path, column: str
) -> None:
    logs, dataset = tmp_path / "logs", tmp_path / "out"
    deliver_texts(logs, [hostile(name, column) for name in HOSTILE])

    (receipt,) = convert(logs, dataset, "--json-encoding", "variant")
    first = contents(dataset)
    (again,) = convert(logs, dataset, "--only", "all", environment={"JSON_ENCODING": "variant"})

    assert contents(dataset) == first
    told = {column: len(INEXACT), "exactText": len(set(INEXACT) - TAKEN_BY_ALL)}
    assert receipt["unmapped"] == again["unmapped"] == told
    assert receipt["records"]["written"] == len(HOSTILE)
    lines = {_event_id(line): line for line in exported(dataset)}
    assert lines.keys() == HOSTILE.keys()
    for name, line in lines.items():
        if name in EXACT:
            assert exact(line) == normal(exact(hostile(name, column))), name
        else:  # too deep for Python to parse, some of them
            assert line.count(HOSTILE[name]) == 1, name
            rest = hostile(name, column).replace(HOSTILE[name], '"#"')
            assert exact(line.replace(HOSTILE[name], '"#"')) == normal(exact(rest)), name


def _event_id(line: str) -> str:
    match = re.search(r'"eventID":"(\w+)"', line)
    assert match
    return match[1]


def test_what_a_variant_cannot_hold_stands_as_text_in_unmapped_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    for column in COLUMNS:
        deliver_texts(tmp_path / column, [hostile(name, column) for name in HOSTILE])
        convert(tmp_path / column, tmp_path / f"{column} out", toml='json_encoding = "variant"')

    def unmapped(column: str) -> dict[str, str | None]:
        path = part(tmp_path / f"{column} out")
        rows = ask("FROM read_parquet(?) SELECT eventID, unmapped", path)
        return {name: text and unwrap(text.encode()).decode() for name, text in rows}

    top, nested = map(unmapped, COLUMNS)
    assert top == {
        name: f'{{"requestParameters":{text}}}' if name in INEXACT else None
        for name, text in HOSTILE.items()
    }
    assert nested == {
        name: f'{{"eventContext":{{"requestContext":{text}}}}}' if name in INEXACT else None
        for name, text in HOSTILE.items()
    }


@pytest.mark.parametrize("name", EXACT)
def test_what_a_variant_holds_has_its_value_for_duckdb(tmp_path: Path, name: str) -> None:
    deliver_texts(tmp_path / "logs", [hostile(name, "requestParameters")])
    convert(tmp_path / "logs", tmp_path / "out", "--json-encoding", "variant")

    ((text,),) = ask(
        "FROM read_parquet(?) SELECT requestParameters::JSON::VARCHAR", part(tmp_path / "out")
    )
    assert exact(text) == exact(HOSTILE[name])


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
@pytest.mark.parametrize("column", COLUMNS)
def test_records_that_stand_already_are_duplicates_under_every_encoding(
    tmp_path: Path, encoding: str, column: str
) -> None:
    hostile_days(tmp_path / "logs", column)

    in_time, late = convert(tmp_path / "logs", tmp_path / "out", "--json-encoding", encoding)

    assert in_time["records"]["written"] == len(HOSTILE)
    assert late["records"]["duplicate"] == len(HOSTILE)
    assert sum(exported(tmp_path / "out").values()) == len(HOSTILE) + 1


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_records_without_an_id_that_stand_already_are_duplicates_under_every_encoding(
    tmp_path: Path, encoding: str
) -> None:
    late = NOON + timedelta(days=5)
    one = event("without", requestParameters={"b": 1, "a": [1.10]})
    del one["eventID"]
    deliver(tmp_path / "logs", one)
    deliver(tmp_path / "logs", one, event("other", late), delivered=late)

    _, receipt = convert(tmp_path / "logs", tmp_path / "out", "--json-encoding", encoding)

    assert receipt["records"]["duplicate"] == 1
    assert sum(exported(tmp_path / "out").values()) == 2


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_deep_records_that_stand_already_are_duplicates_whatever_else_they_hold(
    tmp_path: Path, encoding: str
) -> None:
    late = NOON + timedelta(days=5)
    one = as_text(event("deep", requestParameters={"b": 1, "a": 2}, responseElements="#"))
    one = one.replace('"#"', INEXACT["deeper"])
    deliver_texts(tmp_path / "logs", [one])
    deliver_texts(tmp_path / "logs", [one, as_text(event("other", late))], late)

    _, receipt = convert(tmp_path / "logs", tmp_path / "out", "--json-encoding", encoding)

    assert receipt["records"]["duplicate"] == 1
    assert sum(exported(tmp_path / "out").values()) == 2


# Folders and windows: what is the same for all of a dataset.

DT = ("--partition-layout", "account/region/dt")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Two generated days with records that come late, and what they are by default."""
    folder = tmp_path_factory.mktemp("late")
    shape = "--accounts 1 --regions 2 --days 2 --records 400 --late 0.1 --seed 5"
    succeed("generate", folder / "logs", *shape.split())
    convert(folder / "logs", folder / "default")
    return Planted(folder / "logs", folder / "default", exported(folder / "default"))


@pytest.fixture(scope="module")
def by_dt(late: Planted) -> Path:
    """The same in folders of days; the tests leave it as it is."""
    convert(late.logs, late.logs.parent / "dt", toml='partition_layout = "account/region/dt"')
    return late.logs.parent / "dt"


def folders(dataset: Path) -> dict[str, set[str]]:
    """The names of parts by folder."""
    found: dict[str, set[str]] = {}
    for path in parts(dataset):
        found.setdefault(str(path.parent.relative_to(dataset)), set()).add(path.name)
    return found


def test_days_lie_in_folders_as_the_settings_say_and_stragglers_in_that_of_their_day(
    late: Planted, by_dt: Path
) -> None:
    as_dt = re.compile(r"year=(\d{4})/month=(\d\d)/day=(\d\d)$")

    expected = folders(late.dataset)
    assert any("straggler" in name for names in expected.values() for name in names)
    assert folders(by_dt) == {
        as_dt.sub(r"dt=\1-\2-\3", folder): names for folder, names in expected.items()
    }
    assert exported(by_dt) == late.records
    for path in parts(by_dt):
        times = pl.read_parquet(path, columns=["eventTime"])["eventTime"]
        assert {f"dt={day}" for day in times.dt.date().cast(pl.String)} == {path.parent.name}


def test_a_layout_of_folders_is_read_with_the_words_that_schema_prints(
    late: Planted, by_dt: Path
) -> None:
    view = succeed("schema", "--format", "duckdb", *DT).replace("DATASET", str(by_dt))
    code = succeed("schema", "--format", "polars", *DT).replace("DATASET", str(by_dt))
    with duckdb.connect() as connection:
        connection.execute(view)
        counts = "SELECT account, region, dt, count(*) FROM cloudtrail GROUP BY ALL"
        mine = Counter({row[:3]: row[3] for row in connection.execute(counts).fetchall()})
        day = "SELECT count(*) FROM cloudtrail WHERE dt = DATE '2026-01-10'"
        ((plan,),) = [row[1:] for row in connection.execute(f"EXPLAIN ANALYZE {day}").fetchall()]
        types = connection.execute("SELECT DISTINCT typeof(account), typeof(dt) FROM cloudtrail")
        assert types.fetchall() == [("VARCHAR", "DATE")]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  it is what users are told to run
    frame = names["cloudtrail"].select("account", "region", "dt").collect()
    hive = pads.HivePartitioning(
        pa.schema([("account", pa.string()), ("region", pa.string()), ("dt", pa.date32())])
    )
    table = pads.dataset(by_dt, format="parquet", partitioning=hive).to_table(
        columns=["account", "region", "dt"]
    )

    assert Counter(frame.rows()) == mine
    assert Counter(zip(*(one.to_pylist() for one in table.columns), strict=True)) == mine
    assert mine.total() == late.records.total()
    assert all(account.startswith("0") for account, _, _ in mine)
    files = [path for path in parts(by_dt) if path.parent.name == "dt=2026-01-10"]
    assert f"Total Files Read: {len(files)}" in plan


OTHERS = {
    "partition_layout = account/region/dt": DT,
    "lookahead_s = 60": ("--lookahead-s", 60),
    "lookbehind_s = 0": ("--lookbehind-s", 0),
}


@pytest.mark.parametrize("said", OTHERS)
def test_a_dataset_refuses_another_layout_and_another_window(late: Planted, said: str) -> None:
    before = contents(late.dataset.parent)

    done = run("convert", late.logs, late.dataset, "--workers", 1, *OTHERS[said])

    assert done.returncode == 2
    assert said in done.stderr.partition("; now it is ")[2]
    assert contents(late.dataset.parent) == before


@pytest.mark.parametrize("said", OTHERS)
def test_a_dry_run_refuses_another_layout_and_another_window_too(late: Planted, said: str) -> None:
    done = run("convert", late.logs, late.dataset, "--workers", 1, *OTHERS[said], "--dry-run")

    assert done.returncode == 2
    assert said in done.stderr


NIGHT = datetime(2026, 1, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def midnight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of two days, named by the minutes from midnight to their delivery."""
    logs = tmp_path_factory.mktemp("midnight") / "logs"
    for minutes in (-20, -10, 60, 180):
        delivered = NIGHT + timedelta(minutes=minutes)
        day = NIGHT + timedelta(minutes=1 if minutes < 0 else -1)  # that across midnight
        one = record(eventID=f"{minutes}", eventTime=f"{day:%Y-%m-%dT%H:%M:%SZ}")
        path = logs / log_key(ACCOUNT, "eu-central-1", delivered)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(log_file(one))
    return logs


def by_part(dataset: Path) -> dict[str, set[str]]:
    found = {}
    for path in parts(dataset):
        ids = {one for (one,) in ask("FROM read_parquet(?) SELECT eventID", path)}
        found[f"{path.parent.name}/{path.name}"] = ids
    return found


WINDOWS: dict[str, tuple[str, Mapping[str, str], dict[str, set[str]]]] = {
    "by default": (
        "",
        {},
        {
            "day=10/part-00000.parquet": {"60"},
            "day=10/straggler-20260111-00000.parquet": {"180"},
            "day=11/part-00000.parquet": {"-10"},
            "day=11/straggler-20260110-00000.parquet": {"-20"},
        },
    ),
    "wide": (
        "lookbehind_s = 1800",
        {"LOOKAHEAD_S": "14400"},
        {
            "day=10/part-00000.parquet": {"60", "180"},
            "day=11/part-00000.parquet": {"-10", "-20"},
        },
    ),
    "none": (
        "lookahead_s = 0",
        {"LOOKBEHIND_S": "0"},
        {
            "day=10/straggler-20260111-00000.parquet": {"60", "180"},
            "day=11/straggler-20260110-00000.parquet": {"-10", "-20"},
        },
    ),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_records_that_are_delivered_across_midnight_belong_where_the_window_says(
    midnight: Path, tmp_path: Path, window: str
) -> None:
    toml, environment, expected = WINDOWS[window]

    receipts = convert(midnight, tmp_path / "out", toml=toml, environment=environment)

    assert by_part(tmp_path / "out") == expected
    for receipt in receipts:
        width = receipt["lookbehind_s"], receipt["lookahead_s"]
        assert width == {"by default": (900, 7200), "wide": (1800, 14400), "none": (0, 0)}[window]


FOLDERS = {
    "CloudTrail": {"call"},
    "CloudTrail,CloudTrail-NetworkActivity": {"call", "endpoint"},
    "CloudTrail-Insight": {"insight"},
    "CloudTrail,CloudTrail-Insight,CloudTrail-NetworkActivity": {"call", "endpoint", "insight"},
}


@pytest.mark.parametrize("names", FOLDERS)
@pytest.mark.parametrize("place", ["option", "environment", "file"])
def test_logs_are_read_from_the_folders_of_the_settings(
    tmp_path: Path, names: str, place: str
) -> None:
    deliver(tmp_path / "logs", event("call"))
    deliver(tmp_path / "logs", event("endpoint"), folder="CloudTrail-NetworkActivity")
    deliver(tmp_path / "logs", event("insight"), folder="CloudTrail-Insight")
    out = tmp_path / "out"

    if place == "option":
        (receipt,) = convert(tmp_path / "logs", out, "--folders", names)
    elif place == "environment":
        (receipt,) = convert(tmp_path / "logs", out, environment={"FOLDERS": names})
    else:
        toml = f"folders = {json.dumps(names.split(','))}"
        (receipt,) = convert(tmp_path / "logs", out, toml=toml)

    assert {_event_id(line) for line in exported(out)} == FOLDERS[names]
    assert receipt["folders"] == names.split(",")


# What files say about their making.

OTHERWISE: Json = {  # a value other than the default for each setting that shapes files
    "compression": "gzip",
    "compression_level": 5,
    "column_compression": {"eventID": "none", "requestParameters": "zstd:9"},
    "row_group_rows": 700,
    "row_group_bytes": 12345678,
    "part_bytes": 200000,
    "page_bytes": 20000,
    "page_rows": 300,
    "page_checksums": False,
    "sort_by": ["eventName", "userIdentity.arn", "eventTime"],
    "column_encoding": {"eventName": "PLAIN"},
    "without_statistics": ["unmapped", "resources"],
    "bloom_columns": ["eventID"],
    "bloom_fpp": 0.01,
    "json_encoding": "json",
    "partition_layout": "account/region/dt",
    "lookbehind_s": 60,
    "lookahead_s": 3600,
    "folders": ["CloudTrail", "CloudTrail-Insight"],
    "discard": [
        {
            "name": "nothing",
            "eventSource": ["photos.amazonaws.com"],
            "eventName": [],
            "sourceIPAddress": [],
        }
    ],
    "redact": [{"name": "never", "keys": ["noSuchKey"], "columns": ["unmapped"]}],
}


@pytest.fixture(scope="module")
def otherwise(planted: Planted) -> Path:
    """The planted day with all settings changed at once; the tests leave it as it is."""
    dataset = planted.logs.parent / "otherwise"
    convert(planted.logs, dataset, toml=toml_of(OTHERWISE))
    return dataset


def test_every_setting_that_shapes_files_is_changed_here() -> None:
    assert set(OTHERWISE) == listed("†‡")


def test_all_settings_can_be_changed_at_once(planted: Planted, otherwise: Path) -> None:
    # the insights of the generated day are records, too
    assert planted.records <= exported(otherwise)
    assert len(parts(otherwise)) > 1


def test_each_part_says_the_settings_it_was_written_with(planted: Planted, otherwise: Path) -> None:
    default = said(part(planted.dataset))

    for path in parts(otherwise):
        found = said(path)
        merged = {**default["column_encoding"], "eventName": "PLAIN"}
        assert found == {**OTHERWISE, "column_encoding": merged}
    assert set(default) == listed("†‡")
    assert not {name for name in default if default[name] == said(parts(otherwise)[0])[name]}


def test_inspect_names_the_settings_that_have_changed_since(
    planted: Planted, otherwise: Path, tmp_path: Path
) -> None:
    (tmp_path / "today.toml").write_text(toml_of(OTHERWISE))
    today = "--settings", tmp_path / "today.toml"

    def changed(place: Path, *options: object) -> Json:
        found: Json = json.loads(succeed("inspect", place, "--json", *options))["changed"]
        return found

    assert changed(planted.dataset) == changed(part(planted.dataset)) == {}
    assert changed(otherwise, *today) == changed(parts(otherwise)[0], *today) == {}
    assert set(changed(otherwise)) == set(changed(planted.dataset, *today)) == listed("†‡")
    assert changed(part(planted.dataset), "--page-rows", 7, "--bloom-columns", "eventID") == {
        "page_rows": "7",
        "bloom_columns": '["eventID"]',
    }
    table = succeed("inspect", planted.dataset, "--page-rows", 7)
    assert re.search(r"page_rows\W+20000; today it would be 7", table)


def test_an_option_decides_over_the_environment_and_that_over_the_file(make: Make) -> None:
    file = "page_rows = 100\nrow_group_rows = 500\nbloom_fpp = 0.2"
    environment = {"PAGE_ROWS": "200", "ROW_GROUP_ROWS": "600"}

    path = part(make("--page-rows", 300, toml=file, environment=environment))

    found = said(path)
    assert [found[n] for n in ("page_rows", "row_group_rows", "bloom_fpp")] == [300, 600, 0.2]
    assert [[page.row for page in one] for one in pages(path)["eventID"]] == [
        *([0, 300], [0, 300]),
        [0],
    ]


def test_the_environment_may_name_the_settings_file(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named.toml").write_text("page_rows = 100\nrow_group_rows = 500")
    monkeypatch.setenv("CLOUDTRAIL_PARQUET_SETTINGS", str(tmp_path / "named.toml"))
    monkeypatch.setenv("CLOUDTRAIL_PARQUET_PAGE_ROWS", "200")

    succeed("convert", planted.logs, tmp_path / "out", "--workers", 1)

    found = said(part(tmp_path / "out"))
    assert (found["page_rows"], found["row_group_rows"]) == (200, 500)


def test_the_page_names_the_commands_that_have_settings_as_options() -> None:
    group: Any = typer.main.get_command(app)
    commands = dict(group.commands)
    commands["backfill"] = commands["backfill"].commands["start"]  # its name can be left out
    having = {
        name
        for name, command in commands.items()
        if any("--row-group-rows" in parameter.opts for parameter in command.params)
    }

    (line,) = re.findall(r"^\| an option of (.*) \| `--", SETTINGS_PAGE.read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", line)) == having


@pytest.mark.parametrize("command", ["convert", "inspect", "schema"])
def test_every_setting_of_the_docs_is_an_option(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "250")  # room for the names

    words = set(re.findall(r"--[a-z-]+", succeed(command, "--help-settings")))

    assert {f"--{name.replace('_', '-')}" for name in listed("")} <= words
    assert len(listed("")) > 20
