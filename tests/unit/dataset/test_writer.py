import threading
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.dataset.writer import (
    SMALL_PART_ROWS,
    PartsWriter,
    in_background,
    order_by,
    parquet_options,
)
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.schema.columns import SCHEMA, JsonEncoding, leaves
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import LocalStore, Store, open_store
from tests.builders import (
    SURROGATE_NAME,
    as_text,
    envelope,
    fitting_records,
    odd_records,
    record,
    table_of,
)

SETTINGS = Settings(row_group_rows=100)
ODD_CONTEXT = (  # members without a column, in their order, beside a number that some cannot read
    '{"eventTime":"2026-01-10T12:34:56Z","eventVersion":"1.11",'
    '"eventContext":{"requestContext":[1e400],"b":true,"a":true}}'
)
UTC_US = pa.timestamp("us", tz="UTC")

sort_rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["", "a", "A", "ab", "é", "é", "\0", "😀", "\uffff"])),
        st.one_of(st.none(), st.text(max_size=2)),
        st.one_of(st.none(), st.integers(-3, 3)),
    )
)


@given(sort_rows)
def test_rows_are_ordered_as_python_would_nulls_last_and_ties_as_they_came(rows: list[Any]) -> None:
    columns = pa.table(
        {
            "a": pa.array([row[0] for row in rows], pa.string()),
            "b": pa.array([row[1] for row in rows], pa.string()),
            "t": pa.array([row[2] for row in rows], UTC_US),
        }
    )

    expected = sorted(range(len(rows)), key=lambda n: [_nulls_last(value) for value in rows[n]])
    assert order_by(columns).to_pylist() == expected


def _nulls_last(value: str | int | None) -> tuple[bool, bytes | int]:
    return value is None, value.encode() if isinstance(value, str) else value or 0


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=20), st.integers(1, 5))
def test_the_order_is_the_same_for_a_column_in_pieces(values: list[str | None], size: int) -> None:
    pieces = [pa.array(values[n : n + size], pa.string()) for n in range(0, len(values), size)]
    in_pieces = pa.table({"a": pa.chunked_array(pieces, pa.string())})

    assert order_by(in_pieces).equals(order_by(pa.table({"a": pa.array(values, pa.string())})))


# Parts.


def rows(*texts: str) -> pa.Table:
    return table_of(decode(envelope(texts), "a.json.gz"))


def many(count: int, start: int = 0) -> pa.Table:
    return rows(*(as_text(record(eventID=f"id-{n}")) for n in range(start, start + count)))


def write(store: Store, tables: list[pa.Table], settings: Settings = SETTINGS) -> PartsWriter:
    with store.staging() as staging:
        options = WriterOptions.of(settings)
        with PartsWriter(staging, options, {"made": "here"}, "part-{}.parquet".format) as writer:
            for table in tables:
                writer.write(table)
        for part in writer.parts:
            staging.publish(part.key, None)
    return writer


def part(store: Store, key: str) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(store.read(key)))


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(tmp_path / "store" if request.param == "disk" else "memory:///")


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_the_digest_of_a_part_is_that_of_its_bytes(store: Store, encoding: JsonEncoding) -> None:
    settings = Settings(row_group_rows=100, json_encoding=encoding)
    written = write(store, [many(300), many(10, 300)], settings).parts

    assert [part.sha256 for part in written] == [
        sha256(store.read(part.key)).hexdigest() for part in written
    ]


def test_each_table_is_a_row_group(store: Store) -> None:
    tables = [many(3), many(150, 3), many(1, 153)]

    writer = write(store, tables)

    (one,) = writer.parts
    assert (one.key, one.rows) == ("part-0.parquet", 154)
    assert one.bytes == len(store.read(one.key))
    metadata = part(store, one.key).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3, 150, 1]
    assert part(store, one.key).read()["eventID"].to_pylist() == [f"id-{n}" for n in range(154)]


def test_a_part_that_is_large_enough_is_followed_by_another(store: Store) -> None:
    tables = [many(5), many(5, 5), many(5, 10)]

    writer = write(store, tables, Settings(part_bytes=1))

    assert [one.key for one in writer.parts] == [f"part-{n}.parquet" for n in range(3)]
    assert [one.bytes for one in writer.parts] == [entry.size for entry in store.files("")]
    found = [part(store, one.key).read()["eventID"].to_pylist() for one in writer.parts]
    assert found == [table["eventID"].to_pylist() for table in tables]


def without_footer(*tables: pa.Table) -> int:
    """The bytes of a part with a row group of each table, up to where its end is written."""
    store = open_store("memory://")
    (one,) = write(store, list(tables)).parts
    metadata = part(store, one.key).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    size: int = sum(chunk.total_compressed_size for chunk in chunks)
    return len(b"PAR1") + size


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_a_part_ends_before_it_would_be_larger_than_it_may(store: Store, groups: int) -> None:
    fits, too_much = (without_footer(*[many(50)] * number) for number in (groups, groups + 1))
    limit = (fits + too_much) // 2

    writer = write(store, [many(50)] * 6, Settings(part_bytes=limit))

    assert [one.rows for one in writer.parts] == [50 * groups] * (6 // groups)


def test_the_largest_row_group_so_far_tells_how_large_the_next_one_may_be(store: Store) -> None:
    tables = [many(size) for size in (200, 10, 10, 10)]
    limit = without_footer(many(200), many(10))

    writer = write(store, tables, Settings(part_bytes=limit))

    assert [one.rows for one in writer.parts] == [200, 20, 10]


def test_without_rows_there_is_no_part(store: Store) -> None:
    assert write(store, []).parts == []
    assert list(store.files("")) == []


@example([SURROGATE_NAME])
@example([ODD_CONTEXT])
@given(st.lists(st.one_of(odd_records, fitting_records.map(as_text)), min_size=1, max_size=5))
def test_rows_read_back_are_the_rows_written(texts: list[str]) -> None:
    store = open_store("memory:///")
    table = rows(*texts)

    write(store, [table, table])

    read = part(store, "part-0.parquet").read()
    assert [restore_json(row) for row in read.to_pylist()] == [
        restore_json(row) for row in table.to_pylist() * 2
    ]
    read.validate(full=True)


def test_the_parquet_schema_is_the_schema_of_the_dataset(store: Store) -> None:
    write(store, [many(1)])

    read = part(store, "part-0.parquet")
    assert [read.schema.column(n).path for n in range(len(read.schema))] == [
        path for path, _ in leaves()
    ]
    assert read.schema_arrow.remove_metadata().equals(_without_metadata(SCHEMA))


def _without_metadata(schema: pa.Schema) -> pa.Schema:
    def bare(of: pa.DataType) -> pa.DataType:
        if pa.types.is_struct(of):
            return pa.struct([pa.field(child.name, bare(child.type)) for child in of])
        if pa.types.is_list(of):
            return pa.list_(pa.field("element", bare(of.value_type)))
        return of

    return pa.schema([pa.field(field.name, bare(field.type)) for field in schema])


def test_a_footer_says_what_it_was_told_and_how_rows_are_sorted(store: Store) -> None:
    write(store, [many(1)])

    metadata = part(store, "part-0.parquet").metadata
    assert metadata.metadata[b"made"] == b"here"
    names = [
        part(store, "part-0.parquet").schema.column(one.column_index).path
        for one in metadata.row_group(0).sorting_columns
    ]
    assert names == list(SETTINGS.sort_by)


def test_free_form_columns_have_no_statistics_and_the_others_do(store: Store) -> None:
    write(store, [many(SMALL_PART_ROWS)])

    group = part(store, "part-0.parquet").metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert columns["eventName"].statistics.has_min_max
    assert columns["eventTime"].statistics.min == datetime(2026, 1, 10, 12, 34, 56, tzinfo=UTC)
    assert columns["userIdentity.arn"].statistics.has_min_max
    for name in ("requestParameters", "additionalEventData", "unmapped", "eventContext.tagContext"):
        assert not columns[name].is_stats_set


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "other")

    write(one, [many(20)])
    write(other, [many(20)])

    assert one.read("part-0.parquet") == other.read("part-0.parquet")


def test_a_part_that_fails_half_way_is_not_published(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")

    with pytest.raises((pa.ArrowInvalid, ValueError, KeyError)):
        write(store, [many(3), pa.table({"a": [1]})])

    assert list(store.files("")) == []
    assert not (tmp_path / "store.staging").exists()


# Small parts.


def dictionaries(store: Store, key: str) -> list[set[str]]:
    """The columns with a dictionary, by row group."""
    metadata = part(store, key).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        {
            column.path_in_schema
            for column in map(group.column, range(group.num_columns))
            if column.has_dictionary_page
        }
        for group in groups
    ]


@pytest.mark.parametrize("count", [1, SMALL_PART_ROWS - 1, SMALL_PART_ROWS])
def test_a_small_part_has_only_what_it_is_chosen_by(store: Store, count: int) -> None:
    write(store, [many(count)])

    (with_dictionary,) = dictionaries(store, "part-0.parquet")
    group = part(store, "part-0.parquet").metadata.row_group(0)
    columns = list(map(group.column, range(group.num_columns)))
    with_statistics = {column.path_in_schema for column in columns if column.is_stats_set}
    if count < SMALL_PART_ROWS:
        assert with_dictionary == with_statistics == {"eventTime"}
        assert not any(column.has_column_index or column.has_offset_index for column in columns)
        filtered = {c.path_in_schema for c in columns if c.bloom_filter_offset is not None}
        assert filtered == set(SETTINGS.bloom_columns)
    else:
        assert {"eventTime", "eventName"} < with_dictionary & with_statistics
        assert all(column.has_offset_index for column in columns)


def test_a_small_part_with_columns_for_its_places_is_chosen_by_these(store: Store) -> None:
    table = many(2)
    for name, value in (("account", "111111111111"), ("region", "eu-west-1")):
        table = table.append_column(name, pa.array([value] * 2))

    write(store, [table], Settings(partition_layout="year/month/day"))

    group = part(store, "part-0.parquet").metadata.row_group(0)
    columns = map(group.column, range(group.num_columns))
    with_statistics = {column.path_in_schema for column in columns if column.is_stats_set}
    assert with_statistics == {"eventTime", "account", "region"}


@pytest.mark.parametrize("sizes", [[1, 1], [3, 250], [250, 3], [3, 3, 250]])
def test_a_part_of_several_row_groups_is_no_small_one(store: Store, sizes: list[int]) -> None:
    tables = [many(size) for size in sizes]

    write(store, tables)

    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, tables[0].schema, **parquet_options(WriterOptions.of(SETTINGS))
    ) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)
        writer.add_key_value_metadata({"made": "here"})
    assert store.read("part-0.parquet") == sink.getvalue().to_pybytes()


def test_what_remains_after_a_full_part_may_be_a_small_one(store: Store) -> None:
    writer = write(store, [many(250), many(3)], Settings(part_bytes=1))

    assert [one.rows for one in writer.parts] == [250, 3]
    ((large,), (small,)) = (dictionaries(store, one.key) for one in writer.parts)
    assert "eventName" in large
    assert "eventName" not in small


def test_duckdb_tells_nulls_from_the_one_value_of_a_small_part(tmp_path: Path) -> None:
    texts = [as_text(record(errorCode=code, readOnly=None)) for code in ("x", None, None)]
    texts.append(as_text(record(errorCode="x")))
    write(LocalStore(tmp_path), [rows(*texts)])

    for column, nulls in (("errorCode", 2), ("readOnly", 3)):
        for condition, expected in (("IS NULL", nulls), ("IS NOT NULL", 4 - nulls)):
            found = duckdb.read_parquet(f"{tmp_path}/*.parquet").filter(f"{column} {condition}")
            assert len(found.project("eventID").fetchall()) == expected


# In the background.

SIZES = [0, 1000, 1, 2, 2000, 3000, 3, 4000]  # small ones are written by the caller


def test_tables_are_written_in_order_and_all_of_them() -> None:
    written: list[int] = []

    with in_background(lambda table: written.append(table.num_rows)) as submit:
        for count in SIZES:
            submit(pa.table({"a": [0] * count}))

    assert written == SIZES


@pytest.mark.parametrize(("count", "elsewhere"), [(SMALL_PART_ROWS, True), (1, False)])
def test_only_what_is_worth_a_thread_is_written_in_one(count: int, *, elsewhere: bool) -> None:
    writers: list[int] = []

    with in_background(lambda _: writers.append(threading.get_ident())) as submit:
        submit(pa.table({"a": [0] * count}))

    assert [writer != threading.get_ident() for writer in writers] == [elsewhere]


@pytest.mark.parametrize("bad", SIZES)
def test_a_failure_to_write_reaches_the_caller(bad: int) -> None:
    def write_one(table: pa.Table) -> None:
        if table.num_rows == bad:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_all(write_one)


def write_all(write_one: Callable[[pa.Table], None]) -> None:
    with in_background(write_one) as submit:
        for count in SIZES:
            submit(pa.table({"a": [0] * count}))
