import io
import itertools
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.dataset.writer import parquet_options
from cloudtrail_parquet.formats import thrift
from cloudtrail_parquet.formats.parquet_footer import annotate_variants
from cloudtrail_parquet.formats.strict_json import MAX_DEPTH
from cloudtrail_parquet.formats.thrift import Items, Reader, Typed
from cloudtrail_parquet.formats.variant_decode import decode
from cloudtrail_parquet.formats.variant_encode import VARIANT_STORAGE, encode, encode_column
from cloudtrail_parquet.records.decode import decode as decode_log
from cloudtrail_parquet.schema.columns import SCHEMA, kind
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import envelope, json_values, record, table_of

ANNOTATION = bytes.fromhex(  # a field of SchemaElement, as Spark and DuckDB write it
    "5c"  # 5 after num_children: field 10, logicalType, a union
    "0c20"  # in the long form: its field 16, VARIANT, a struct
    "1301"  # its field 1, specification_version, an i8: 1
    "0000"  # the ends of both
)


def parquet(table: pa.Table, **options: Any) -> bytes:  # noqa: ANN401  of pyarrow
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def footer_of(file: bytes) -> bytes:
    return file[-8 - int.from_bytes(file[-8:-4], "little") : -8]


def variants(*texts: str | None) -> pa.StructArray:
    column, _ = encode_column(pa.array(texts, pa.string()))
    return column


# Thrift.

leaves: st.SearchStrategy[Typed] = st.one_of(
    st.builds(Typed, st.just(thrift.I8), st.integers(-128, 127)),
    st.builds(
        Typed,
        st.sampled_from([thrift.I16, thrift.I32, thrift.I64]),
        st.integers(-(2**63), 2**63 - 1),
    ),
    st.builds(Typed, st.just(thrift.DOUBLE), st.binary(min_size=8, max_size=8)),
    st.builds(Typed, st.just(thrift.BINARY), st.binary(max_size=200)),
)
booleans = st.booleans().map(lambda value: Typed(thrift.TRUE if value else thrift.FALSE, value))


def _containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    structs = st.dictionaries(
        st.integers(-(2**15), 2**15 - 1), st.one_of(inner, booleans), max_size=4
    )
    lists = st.tuples(inner, st.integers(0, 20)).map(
        lambda one: Items(one[0].kind, [one[0].value] * one[1])
    )
    return st.one_of(
        st.builds(Typed, st.just(thrift.STRUCT), structs),
        st.builds(Typed, st.sampled_from([thrift.LIST, thrift.SET]), lists),
        st.lists(st.booleans()).map(lambda values: Typed(thrift.LIST, Items(thrift.TRUE, values))),
    )


values = st.recursive(leaves, _containers, max_leaves=10)


@given(values)
def test_what_thrift_writes_it_reads(one: Typed) -> None:
    data = thrift.write(one.kind, one.value)
    reader = Reader(data)

    assert reader.value(one.kind) == one.value
    assert reader.at == len(data)


@given(values, st.floats(0, 1, exclude_max=True))
def test_thrift_cut_short_is_refused(one: Typed, share: float) -> None:
    data = thrift.write(one.kind, one.value)

    with pytest.raises(ValueError, match="cut short"):
        Reader(data[: int(share * len(data))]).value(one.kind)


@pytest.mark.parametrize(
    ("kind_", "value", "data"),
    [
        *((thrift.I32, 0, "00"), (thrift.I32, -1, "01"), (thrift.I64, 1, "02")),
        *((thrift.I32, -2, "03"), (thrift.I32, 63, "7e"), (thrift.I32, 64, "8001")),
        (thrift.I64, -(2**63), "ff" * 9 + "01"),
        *((thrift.I8, -1, "ff"), (thrift.BINARY, b"ab", "026162")),
        (thrift.LIST, Items(thrift.I32, [1, 2]), "25" + "0204"),
        (thrift.LIST, Items(thrift.I32, [0] * 14), "e5" + "00" * 14),
        (thrift.LIST, Items(thrift.I32, [0] * 15), "f5" + "0f" + "00" * 15),
        (thrift.LIST, Items(thrift.TRUE, [True, False]), "21" + "0102"),
        (
            thrift.STRUCT,
            {
                1: Typed(thrift.TRUE, True),  # noqa: FBT003
                2: Typed(thrift.FALSE, False),  # noqa: FBT003
                17: Typed(thrift.I8, 5),
                33: Typed(thrift.I8, 5),
                3: Typed(thrift.STRUCT, {}),
            },
            "11" + "12" + "f305" + "034205" + "0c0600" + "00",
        ),
    ],
)
def test_thrift_has_the_bytes_of_the_specification(kind_: int, value: object, data: str) -> None:
    assert thrift.write(kind_, value).hex() == data
    assert Reader(bytes.fromhex(data)).value(kind_) == value


@pytest.mark.parametrize("data", ["1b", "1d00", "1f"])
def test_a_type_that_footers_do_not_have_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="thrift type"):
        Reader(bytes.fromhex(data)).struct()


def test_an_integer_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="without an end"):
        Reader(b"\xff" * 20).value(thrift.I64)


# Footers.


def project_file(**changes: Any) -> bytes:  # noqa: ANN401  of pyarrow
    records = [record(eventID=f"id-{n}", requestParameters={"n": n}) for n in range(20)]
    table = table_of(decode_log(envelope(records), "a.json.gz"))
    sink = io.BytesIO()
    options = parquet_options(WriterOptions.of(Settings(row_group_rows=10))) | changes
    with pq.ParquetWriter(sink, SCHEMA, **options) as writer:
        writer.write_table(table, row_group_size=7)
        writer.add_key_value_metadata({"made": "here", "é": "😀"})
    return sink.getvalue()


def wide_file() -> bytes:
    columns = {f"column {n}": pa.array(range(n, n + 40), pa.int64()) for n in range(100)}
    table = pa.table({**columns, "v": variants(*["1"] * 39, None)})
    return parquet(table, row_group_size=10, write_page_index=True, store_schema=False)


def typed_file() -> bytes:
    of = [
        *(pa.bool_(), pa.int8(), pa.uint16(), pa.float16(), pa.float32(), pa.decimal128(20, 3)),
        *(pa.date32(), pa.time64("ns"), pa.timestamp("ms"), pa.timestamp("us", "UTC")),
        *(pa.binary(4), pa.large_string(), pa.list_(pa.int32()), pa.map_(pa.string(), pa.int8())),
        *(pa.duration("s"), pa.dictionary(pa.int8(), pa.string()), pa.struct([("a", pa.null())])),
    ]
    table = pa.table({str(one): pa.array([None, None], one) for one in of}, metadata={"a": "b"})
    return parquet(table, compression="zstd", use_byte_stream_split=False)


FILES: list[Callable[[], bytes]] = [
    project_file,
    lambda: project_file(store_schema=True, write_statistics=True),
    lambda: project_file(bloom_filter_options={}, write_page_index=False),
    wide_file,
    typed_file,
    lambda: parquet(pa.table({"a": pa.array([], pa.string())})),
    lambda: parquet(pa.table({})),
]


@pytest.mark.parametrize("make", FILES)
def test_a_footer_of_pyarrow_is_written_again_byte_for_byte(make: Callable[[], bytes]) -> None:
    footer = footer_of(make())
    reader = Reader(footer)

    metadata = reader.struct()

    assert reader.at == len(footer)
    assert len(metadata[2].value.values) > 0
    assert thrift.write(thrift.STRUCT, metadata) == footer


@pytest.mark.parametrize("make", FILES)
def test_without_columns_nothing_changes(make: Callable[[], bytes]) -> None:
    file = make()

    assert annotate_variants(file, []) == file


def test_only_the_annotation_is_added_to_a_footer() -> None:
    file = wide_file()

    annotated = annotate_variants(file, ["v"])

    start = len(file) - 8 - len(footer_of(file))
    assert annotated[:start] == file[:start]
    assert footer_of(annotated).count(ANNOTATION) == 1
    assert footer_of(annotated).replace(ANNOTATION, b"") == footer_of(file)
    assert annotated[-8:] == (len(footer_of(file)) + 7).to_bytes(4, "little") + b"PAR1"


def test_the_end_of_a_file_is_enough() -> None:
    file = wide_file()
    length = len(footer_of(file)) + 8
    annotated = annotate_variants(file, ["v"])

    for before in (0, 1, 1_000):
        tail = file[len(file) - length - before :]
        assert annotate_variants(tail, ["v"]) == annotated[len(file) - length - before :]
    with pytest.raises(ValueError, match="begins 1 byte before"):
        annotate_variants(file[len(file) - length + 1 :], ["v"])


@pytest.mark.parametrize("end", [0, 1, 4, 7, 8, -1, -4])
def test_what_is_not_the_end_of_a_parquet_file_is_refused(end: int) -> None:
    file = wide_file()

    for damaged in (file[:end], file[:end] + b"PARE"):  # the latter ends an encrypted footer
        with pytest.raises(ValueError, match="not the end of a Parquet file"):
            annotate_variants(damaged, ["v"])


@pytest.mark.parametrize(
    ("footer", "message"),
    [
        *(("", "cut short"), ("00", "no schema"), ("1502" + "00", "no schema")),
        ("1502" + "192c" + "550200" + "0000", "cut short, or has"),  # a child without a name
        ("1502" + "191c" + "550200" + "00", "cut short, or has"),  # a child that is not there
        ("1502" + "192c" + "550200" + "4801", "cut short"),
    ],
)
def test_a_damaged_footer_is_refused(footer: str, message: str) -> None:
    data = bytes.fromhex(footer)

    with pytest.raises(ValueError, match=message):
        annotate_variants(data + len(data).to_bytes(4, "little") + b"PAR1", ["s"])


BINARIES = [pa.field(name, pa.binary(), nullable=False) for name in ("metadata", "value")]


@pytest.mark.parametrize(
    ("of", "column"),
    [
        *((VARIANT_STORAGE, "w"), (VARIANT_STORAGE, "v.value"), (VARIANT_STORAGE, "schema")),
        *((pa.binary(), "v"), (pa.list_(pa.binary()), "v"), (pa.struct(BINARIES[:1]), "v")),
        (pa.struct([*BINARIES, pa.field("typed_value", pa.int8())]), "v"),
        (pa.struct([BINARIES[0], pa.field("value", pa.binary())]), "v"),  # shredded, or nullable
        (pa.struct([BINARIES[0], pa.field("value", pa.string(), nullable=False)]), "v"),
        (pa.struct([BINARIES[0], pa.field("value", pa.int32(), nullable=False)]), "v"),
        (pa.struct([BINARIES[0], pa.field("other", pa.binary(), nullable=False)]), "v"),
        (pa.struct([BINARIES[0], pa.field("value", VARIANT_STORAGE, nullable=False)]), "v"),
    ],
)
def test_a_column_that_is_not_two_binaries_is_refused_by_name(of: pa.DataType, column: str) -> None:
    file = parquet(pa.schema([("v", of)]).empty_table())

    with pytest.raises(ValueError, match=rf"^{column} is not a group of the required binaries"):
        annotate_variants(file, [column])


def test_a_column_is_annotated_once() -> None:
    annotated = annotate_variants(wide_file(), ["v"])

    with pytest.raises(ValueError, match=r"^v is annotated already"):
        annotate_variants(annotated, ["v"])


def test_columns_are_annotated_at_any_depth() -> None:
    deep = pa.struct([("a", pa.struct([("v", VARIANT_STORAGE)])), ("v", VARIANT_STORAGE)])
    schema = pa.schema([("s", deep), ("v", VARIANT_STORAGE), ("l", pa.list_(VARIANT_STORAGE))])
    paths = ["s.a.v", "s.v", "v", "l.list.element"]

    annotated = annotate_variants(parquet(schema.empty_table(), store_schema=False), paths)

    assert str(pq.ParquetFile(io.BytesIO(annotated)).schema).count("(Variant(1))") == 4


# Who can read what.


@pytest.fixture(scope="module")
def new_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    folder = tmp_path_factory.mktemp("footer")
    numbers = itertools.count()
    return lambda: folder / f"{next(numbers)}.parquet"


def variant_file(texts: list[str | None], path: Path) -> Path:
    """A file of the columns n, the number of the row, and v, a variant."""
    table = pa.table({"n": range(len(texts)), "v": variants(*texts)})
    file = parquet(table, row_group_size=7, write_page_index=True, store_schema=False)
    path.write_bytes(annotate_variants(file, ["v"]))
    return path


def by_value(text: str | bytes) -> Any:  # noqa: ANN401  any JSON value
    """A JSON text as Python values with numbers that are equal when their values are."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def decoded(text: str) -> bytes:
    encoded = encode(text.encode())
    return decode(encoded.metadata, encoded.value)


TELLING: list[str | None] = [
    *("true", "false", "0", "-0", "-128", "128", "-32769", "2147483648", "-9223372036854775808"),
    *("9223372036854775808", "18446744073709551615", "9" * 38, "-" + "9" * 38, "9" * 39),
    *("1.10", "0.10", "-0.01", "0.00", "-0.0", "100.0", "1e5", "1e16", "1e22", "1e400", "5e-324"),
    *("1.7976931348623157e308", "0.0000001", "0." + "0" * 37 + "1", "9" * 37 + ".9"),
    *('""', '"é😀"', f'"{"x" * 63}"', f'"{"é" * 32}"', r'"a\u0000b\"\\"', f'"{"z" * 70_000}"'),
    *("[]", "{}", '[[],{},"",null]', '{"":{"a.b":1,"a":{"b":null}}}', '{"Name":1,"name":2}'),
    *("[" * depth + "]" * depth for depth in (MAX_DEPTH, MAX_DEPTH + 1, 5_000)),
    "[" + ",".join(map(str, range(300))) + "]",
    "{" + ",".join(f'"{n}":{{"{n}x":{n}}}' for n in range(300)) + "}",
    r'{"\ud800":1}',
    None,
]
"""Each kind of value that the encoding has, at the ends of its range."""


@example(TELLING)
@given(st.lists(st.one_of(json_values, json_values.map("[{}]".format), st.none()), max_size=50))
def test_duckdb_reads_the_values(new_path: Callable[[], Path], texts: list[str | None]) -> None:
    path = variant_file(texts, new_path())

    rows = duckdb.execute("SELECT v::JSON FROM read_parquet(?) ORDER BY n", [str(path)]).fetchall()

    # A JSON null on its own is NULL to DuckDB; inside an object or array it is JSON's null.
    found = [None if text is None else by_value(text) for (text,) in rows]
    assert found == [None if text is None else by_value(decoded(text)) for text in texts]


def test_duckdb_sees_a_variant_and_its_members(new_path: Callable[[], Path]) -> None:
    texts = [f'{{"a":{n},"b":{{"c":["x{n}"]}},"d":1.10}}' if n % 3 else None for n in range(100)]
    path = variant_file([*texts], new_path())

    def ask(query: str) -> list[Any]:
        return duckdb.execute(query, [str(path)]).fetchall()

    assert ask("DESCRIBE SELECT v FROM read_parquet(?)")[0][:2] == ("v", "VARIANT")
    assert ask("SELECT DISTINCT typeof(v) FROM read_parquet(?)") == [("VARIANT",)]
    assert ask("SELECT count(*) FROM read_parquet(?) WHERE v IS NULL") == [(34,)]
    assert ask("SELECT n FROM read_parquet(?) WHERE v.a = 50") == [(50,)]
    assert ask("SELECT n FROM read_parquet(?) WHERE v.b.c[1] = 'x7'") == [(7,)]
    assert ask("SELECT v::JSON ->> '$.b.c[0]' FROM read_parquet(?) WHERE n = 7") == [("x7",)]
    assert ask("SELECT v.d FROM read_parquet(?) WHERE n = 7") == [(Decimal("1.10"),)]


def test_pyarrow_reads_the_struct_of_binaries(new_path: Callable[[], Path]) -> None:
    path = variant_file(TELLING, new_path())

    read = pq.read_table(path)

    assert read.schema.field("v").type.equals(VARIANT_STORAGE)
    assert read["v"].combine_chunks().equals(variants(*TELLING))
    assert str(pq.ParquetFile(path).schema).count("group field_id=-1 v (Variant(1))") == 1


@pytest.mark.parametrize("columns", [None, ["n"]])
def test_polars_reads_no_column_of_the_file(
    new_path: Callable[[], Path], columns: list[str] | None
) -> None:
    path = variant_file(["1"], new_path())

    # https://github.com/pola-rs/polars/issues/28627
    with pytest.raises(pl.exceptions.ComputeError, match="LogicalType union has no variant set"):
        pl.read_parquet(path, columns=columns)
    with pytest.raises(pl.exceptions.ComputeError, match="LogicalType union has no variant set"):
        pl.scan_parquet(path).select("n").collect()


def test_polars_reads_the_same_file_without_the_annotation(new_path: Callable[[], Path]) -> None:
    path = new_path()
    pq.write_table(pa.table({"n": [1], "v": variants("1")}), path)

    assert pl.read_parquet(path)["v"].to_list() == [{"metadata": b"\x11\0\0", "value": b"\x0c\x01"}]


def with_variants(fields: list[pa.Field]) -> list[pa.Field]:
    """The fields with a variant in place of JSON text, in structs too."""
    return [
        field.with_type(pa.struct(with_variants(list(field.type))))
        if pa.types.is_struct(field.type)
        else field.with_type(VARIANT_STORAGE)
        if kind(field) == "json"
        else field
        for field in fields
    ]


def json_paths(fields: list[pa.Field], prefix: str = "") -> Iterator[str]:
    for field in fields:
        if pa.types.is_struct(field.type):
            yield from json_paths(list(field.type), f"{prefix}{field.name}.")
        elif kind(field) == "json":
            yield prefix + field.name


def test_every_free_form_field_of_the_schema_can_be_a_variant(new_path: Callable[[], Path]) -> None:
    schema = pa.schema(with_variants(list(SCHEMA)))
    paths = list(json_paths(list(SCHEMA)))
    table = pa.table(
        [
            variants('{"a":[1.10]}', None)
            if field.type == VARIANT_STORAGE
            else pa.array([{"requestContext": None}, None], field.type)
            if field.name == "eventContext"
            else pa.nulls(2, field.type)
            for field in schema
        ],
        schema=schema,
    )
    path = new_path()
    path.write_bytes(annotate_variants(parquet(table, store_schema=False), paths))

    described = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
    types = {name: of for name, of, *_ in described if "VARIANT" in of}
    assert types == {
        **{path: "VARIANT" for path in paths if "." not in path},
        "eventContext": "STRUCT(requestContext VARIANT, tagContext VARIANT)",
    }
    found = duckdb.execute("SELECT requestParameters::JSON FROM read_parquet(?)", [str(path)])
    assert found.fetchall() == [('{"a":[1.10]}',), (None,)]


# Spark: with pyspark 4 and a Java that it runs on.


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.mark.slow
@example([text for text in TELLING if text != "5e-324"])  # 4.9E-324 to Java before 19
@given(st.lists(st.one_of(json_values, st.none()), max_size=50))
def test_spark_reads_the_values(
    spark: Any,  # noqa: ANN401  of a library that is not locked
    new_path: Callable[[], Path],
    texts: list[str | None],
) -> None:
    frame = spark.read.parquet(str(variant_file(texts, new_path())))

    rows = frame.orderBy("n").selectExpr("to_json(v) AS text", "v IS NULL AS missing").collect()

    assert frame.schema["v"].dataType.simpleString() == "variant"
    assert [row.missing for row in rows] == [text is None for text in texts]
    found = [None if row.text is None else by_value(row.text) for row in rows]
    assert found == [None if text is None else by_value(decoded(text)) for text in texts]


@pytest.mark.slow
def test_spark_finds_members(spark: Any, new_path: Callable[[], Path]) -> None:  # noqa: ANN401
    many = ",".join(f'"name{n}":{n}' for n in range(100))  # Spark searches from 32 members on
    texts = [f'{{{many},"row":{n},"price":1.10,"in":{{"list":["x{n}"]}}}}' for n in range(20)]
    frame = spark.read.parquet(str(variant_file([*texts], new_path())))

    found = frame.where("variant_get(v, '$.row', 'int') = 7").selectExpr(
        *(f"variant_get(v, '$.name{n}', 'int')" for n in range(100)),
        "variant_get(v, '$.price', 'decimal(9,2)')",
        "variant_get(v, '$.in.list[0]', 'string')",
    )

    assert [tuple(row) for row in found.collect()] == [(*range(100), Decimal("1.10"), "x7")]
