import json

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from cloudtrail_parquet.formats.jsontext import canonical
from cloudtrail_parquet.formats.variant_decode import decode
from cloudtrail_parquet.formats.variant_encode import (
    encode,
)
from tests.builders import broken, json_values
from tests.unit.formats.variants import NO_NAMES, A

FOREIGN = {
    "null::INTEGER": None,
    "true": "true",
    "false": "false",
    "1::TINYINT": "1",
    "-300::SMALLINT": "-300",
    "70000": "70000",
    "-5000000000": "-5000000000",
    "1.5::DOUBLE": "1.5",
    "'nan'::DOUBLE": '"NaN"',
    "0.1::FLOAT": "0.1",
    "16777216::FLOAT": "16777216.0",
    "3.4028235e38::FLOAT": "3.4028235e+38",
    "1e-45::FLOAT": "1e-45",
    "'-inf'::FLOAT": '"-Infinity"',
    "1.10::DECIMAL(3, 2)": "1.10",
    "123456789012.34::DECIMAL(18, 2)": "123456789012.34",
    "-0.01::DECIMAL(38, 10)": "-0.0100000000",
    "DATE '2026-01-10'": '"2026-01-10"',
    "DATE '0001-01-01'": '"0001-01-01"',
    "TIMESTAMP '2026-01-10 12:34:56.789'": '"2026-01-10T12:34:56.789000"',
    "TIMESTAMPTZ '1969-12-31 23:59:59.5Z'": '"1969-12-31T23:59:59.500000Z"',
    "TIMESTAMP_NS '2026-01-10 12:34:56.123456789'": '"2026-01-10T12:34:56.123456789"',
    "TIME '12:34:56.000007'": '"12:34:56.000007"',
    "UUID '00112233-4455-6677-8899-aabbccddeeff'": '"00112233-4455-6677-8899-aabbccddeeff"',
    r"'\x00\xFF'::BLOB": '"AP8="',
    "''": '""',
    "'é😀'": '"é😀"',
    "repeat('é', 100)": f'"{"é" * 100}"',
    "[1, null, 3]": "[1,null,3]",
    "range(300)": json.dumps(list(range(300)), separators=(",", ":")),
    "{'b': {'c': [[], ['x']]}, 'a': 1}": '{"a":1,"b":{"c":[[],["x"]]}}',
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes] | None]:
    path = tmp_path_factory.mktemp("variant") / "foreign.parquet"
    rows = " UNION ALL ".join(
        f"SELECT {row} AS n, ({value})::VARIANT AS v" for row, value in enumerate(FOREIGN)
    )
    duckdb.execute(  # shredded, values would stand in columns of their own
        f"COPY (SELECT * FROM ({rows}) ORDER BY n) "  # noqa: S608  the literals above
        f"TO '{path}' (SHREDDING {{v: 'NULL'}})"
    )
    column: list[dict[str, bytes] | None] = pq.read_table(path)["v"].to_pylist()
    return column


def test_what_duckdb_writes_is_decoded(foreign: list[dict[str, bytes] | None]) -> None:
    decoded = [row and canonical(decode(row["metadata"], row["value"])) for row in foreign]

    expected = [text and canonical(text.encode()) for text in FOREIGN.values()]
    assert dict(zip(FOREIGN, decoded, strict=True)) == dict(zip(FOREIGN, expected, strict=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("38" + "000000bf", "-0.5"),
        ("48" + "ff" * 8, '"1969-12-31T23:59:59.999999999Z"'),
        ("40" + "01000000" + "61", '"a"'),  # short enough for a short string
        ("24" + "00" + "ff" * 8, "-1"),  # a decimal of scale 0
        ("20" + "03" + "05000000", "0.005"),
        ("13" + "01000000" + "0001" + "00", "[null]"),  # is_large without need
        ("0f" + "01" + "0000000001000000" + "00", "[null]"),  # offsets of 4 bytes
        ("03" + "02" + "010002" + "0400", "[null,true]"),  # values in another order
        ("02" + "02" + "0001" + "020003" + "0c0100", '{"a":null,"b":1}'),
        ("02" + "02" + "0100" + "000103" + "000c01", '{"b":null,"a":1}'),
    ],
)
def test_another_way_to_write_a_value_is_decoded(value: str, text: str) -> None:
    names = bytes.fromhex("0102" + "000102" + "6162")  # not said to be sorted

    assert decode(names, bytes.fromhex(value)).decode() == text


@pytest.mark.parametrize("width", [2, 3, 4])
def test_names_with_wide_offsets_are_decoded(width: int) -> None:
    head = bytes([1 | width - 1 << 6])
    numbers = b"".join(number.to_bytes(width, "little") for number in (1, 0, 1))

    assert decode(head + numbers + b"a", bytes.fromhex("020100000100")) == b'{"a":null}'


@pytest.mark.parametrize(
    ("metadata", "value"),
    [
        *(("", "00"), ("10", "00"), ("02" + "0000", "00"), ("01", "00"), ("0101", "00")),
        *(("0101" + "0001", "00"), ("0101" + "0100" + "61", "00"), ("0101" + "0001" + "ff", "00")),
        *(
            ("c1ffffffff", "00"),
            (NO_NAMES, ""),
            (NO_NAMES, "54"),
            (NO_NAMES, "fc"),
            (NO_NAMES, "0c"),
            (NO_NAMES, "0961"),
        ),
        *(
            (NO_NAMES, "05ff"),
            (NO_NAMES, "40" + "ffffffff" + "61"),
            (NO_NAMES, "20" + "27" + "00" * 4),
        ),
        *((NO_NAMES, "03"), (NO_NAMES, "0301"), (NO_NAMES, "03010001"), (NO_NAMES, "0301090a00")),
        *((NO_NAMES, "13ffffffff"), (NO_NAMES, "02" + "01" + "00" + "0001" + "00")),
        (A, "02" + "02" + "0000" + "000102" + "0000"),  # a name twice
        (A, "02" + "01" + "01" + "0001" + "00"),  # no such name
        (NO_NAMES, "03" + "02" + "000002" + "0c01"),  # a value for two elements
        *((NO_NAMES, "2c" + "ffffff7f"), (NO_NAMES, "30" + "ff" * 7 + "7f")),  # beyond year 9999
        (NO_NAMES, "44" + "ff" * 8),  # before midnight
    ],
)
def test_what_is_no_variant_is_refused(metadata: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"variant|metadata|name|decimal|time of day|utf-8"):
        decode(bytes.fromhex(metadata), bytes.fromhex(value))


@given(json_values.flatmap(lambda text: broken(encode(text.encode()).value)))
def test_a_broken_value_is_decoded_to_json_or_refused(value: bytes) -> None:
    metadata = encode(b'{"a":1,"name":2,"Name":3,"b":4}').metadata

    decodes_or_is_refused(metadata, value)


@given(json_values.flatmap(lambda text: broken(encode(text.encode()).metadata)))
def test_broken_metadata_is_read_or_refused(metadata: bytes) -> None:
    decodes_or_is_refused(metadata, encode(b'{"a":{"b":1}}').value)


def decodes_or_is_refused(metadata: bytes, value: bytes) -> None:
    try:
        decoded = decode(metadata, value)
    except ValueError:
        return
    json.loads(decoded)


@given(json_values)
def test_a_value_cut_short_is_refused(text: str) -> None:
    encoded = encode(text.encode())

    for end in range(len(encoded.value)):
        with pytest.raises(ValueError, match="variant"):
            decode(encoded.metadata, encoded.value[:end])


def nested(depth: int, *, copies: int = 1) -> bytes:
    """Arrays in arrays; with copies, each has elements that are all the same bytes."""
    value = bytes([3, 0, 0])
    for _ in range(depth):
        offsets = [0] * copies + [len(value)]
        numbers = b"".join(offset.to_bytes(4, "little") for offset in offsets)
        value = bytes([3 << 2 | 3, copies]) + numbers + value
    return value


def test_a_value_too_deep_for_python_is_refused() -> None:
    assert decode(b"\x11\0\0", nested(200)) == b"[" * 201 + b"]" * 201
    with pytest.raises(ValueError, match="too deep"):
        decode(b"\x11\0\0", nested(20_000))


def test_a_value_that_would_grow_without_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="used twice"):
        decode(b"\x11\0\0", nested(30, copies=2))
