import json
import math

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.formats import variant_encode as variant
from cloudtrail_parquet.formats.jsontext import canonical
from cloudtrail_parquet.formats.strict_json import MAX_DEPTH
from cloudtrail_parquet.formats.variant_decode import decode
from cloudtrail_parquet.formats.variant_encode import (
    VARIANT_STORAGE,
    Encoded,
    encode,
    encode_column,
)
from tests.builders import exact, json_values
from tests.unit.formats.variants import NO_NAMES, A

number_texts = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,41})?([eE][-+]?[0-9]{1,3})?", fullmatch=True
)


def there_and_back(text: str) -> str:
    encoded = encode(text.encode())
    return decode(encoded.metadata, encoded.value).decode()


@given(st.one_of(json_values, number_texts, number_texts.map("[{0}]".format)))
def test_exact_says_whether_the_same_json_comes_back(text: str) -> None:
    same = canonical(there_and_back(text).encode()) == canonical(text.encode())

    assert encode(text.encode()).exact is same


@given(json_values.filter(lambda text: encode(text.encode()).exact))
def test_what_is_exact_has_the_same_values_the_numbers_by_their_digits(text: str) -> None:
    assert exact(there_and_back(text)) == exact(text)


@given(json_values)
def test_what_comes_back_is_encoded_as_before(text: str) -> None:
    encoded = encode(text.encode())
    again = encode(decode(encoded.metadata, encoded.value))

    assert again == encoded._replace(exact=again.exact)


@pytest.mark.parametrize(
    "text",
    [
        *("0", "1", "-1", "127", "128", "-128", "-129", "32767", "-32768", "32768"),
        *("2147483647", "2147483648", "-2147483648", "-2147483649"),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808"),
        *("-9223372036854775809", "18446744073709551615", "9" * 38, "-" + "9" * 38),
        *("0.0", "-0.0", "1.5", "1.10", "0.10", "-0.01", "100.0", "0.00", "1688560107.857"),
        *("0.0000001", "0." + "0" * 37 + "1", "0." + "9" * 38, "9" * 37 + ".9", "-1." + "0" * 37),
        *("1e-05", "1e+16", "1.7976931348623157e+308", "5e-324", "123456789.123456789"),
    ],
)
def test_a_number_keeps_its_digits(text: str) -> None:
    assert there_and_back(text) == text
    assert encode(text.encode()).exact


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        *(("-0", "-0.0"), ("-0.00", "-0.0"), ("1e5", "100000.0"), ("1E-7", "1e-07")),
        *(("1e400", '"1e400"'), ("-1E400", '"-1E400"'), ("1e-400", "0.0")),
        *((digits, f'"{digits}"') for digits in ("1" + "0" * 38, "-" + "1" * 39, "9" * 5_000)),
        *((digits, f'"{digits}"') for digits in ("1" * 38 + ".5", "0." + "0" * 38 + "1")),
        ("1." + "1" * 5_000, '"1.' + "1" * 5_000 + '"'),
    ],
)
def test_a_number_that_does_not_fit_is_changed_and_said_to_be(text: str, changed: str) -> None:
    assert there_and_back(text) == changed
    assert not encode(text.encode()).exact


@given(number_texts)
def test_a_changed_number_is_the_nearest_double_or_its_digits_as_text(text: str) -> None:
    changed = json.loads(there_and_back(text))

    assert changed == text if isinstance(changed, str) else float(changed) == float(text)
    assert isinstance(changed, str) or math.isfinite(float(changed))


@pytest.mark.parametrize("pad", ["", " ", "\n\t"])
def test_white_space_changes_nothing(pad: str) -> None:
    text = f'{pad}{{{pad}"a"{pad}:{pad}[{pad}1{pad},{pad}null{pad}]{pad}}}{pad}'

    assert encode(text.encode()) == encode(b'{"a":[1,null]}')


def test_of_a_name_that_stands_twice_the_last_wins() -> None:
    assert there_and_back('{"a":1,"b":2,"a":3}') == '{"a":3,"b":2}'
    assert not encode(b'{"a":1,"b":2,"a":3}').exact
    assert not encode(b'[{"a":1,"a":1}]').exact


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (r'"a\ud800b"', '"a\ufffdb"'),
        (r'{"\udc00":"\udfff\ud83d\ude00"}', '{"\ufffd":"\ufffd😀"}'),
        (r'{"\ud800":1,"\udfff":2}', '{"\ufffd":2}'),
        (r'["\\ud800","\ud800"]', r'["\\ud800","' + "\ufffd" + '"]'),
        (r'{"a":1.10,"b":"\ud800\"","c":1e400}', '{"a":1.10,"b":"\ufffd\\"","c":"1e400"}'),
    ],
)
def test_lone_surrogates_are_marked(text: str, marked: str) -> None:
    assert there_and_back(text) == marked
    assert not encode(text.encode()).exact


@pytest.mark.parametrize(("opening", "inside", "closing"), [("[", "", "]"), ('{"a":', "1", "}")])
def test_a_value_nested_deeper_than_the_limit_becomes_a_string_of_its_text(
    opening: str, inside: str, closing: str
) -> None:
    for depth in (MAX_DEPTH + 1, 990, 1_000, 100_000):
        text = opening * depth + inside + closing * depth
        deeper = opening * (depth - MAX_DEPTH) + inside + closing * (depth - MAX_DEPTH)
        changed = opening * MAX_DEPTH + json.dumps(deeper) + closing * MAX_DEPTH
        assert there_and_back(text) == changed
        assert encode(text.encode()) == (*encode(changed.encode())[:2], False)
    deepest = opening * MAX_DEPTH + inside + closing * MAX_DEPTH
    assert there_and_back(deepest) == deepest
    assert encode(deepest.encode()).exact


def test_a_lone_surrogate_beside_a_deep_value_is_marked_too() -> None:
    text = '["\\ud800",' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "]"

    shallower = '["\ufffd",' + "[" * (MAX_DEPTH - 1) + '"[]"' + "]" * (MAX_DEPTH - 1) + "]"
    assert there_and_back(text) == shallower
    assert not encode(text.encode()).exact


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "[-Infinity]", "1 2", "'a'", "01"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|Extra data|Illegal"):
        encode(text.encode())


@pytest.mark.parametrize(
    ("text", "metadata", "value"),
    [
        *(("null", NO_NAMES, "00"), ("true", NO_NAMES, "04"), ("false", NO_NAMES, "08")),
        *(("1", NO_NAMES, "0c01"), ("-1", NO_NAMES, "0cff"), ("128", NO_NAMES, "108000")),
        *(("-128", NO_NAMES, "0c80"), ("-129", NO_NAMES, "107fff"), ("-32768", NO_NAMES, "100080")),
        *(("-32769", NO_NAMES, "14ff7fffff"), ("2147483648", NO_NAMES, "180000008000000000")),
        ("9223372036854775808", NO_NAMES, "2800" + "0000000000000080" + "00" * 8),
        ("1.5", NO_NAMES, "1c000000000000f83f"),
        ("1.10", NO_NAMES, "20026e000000"),
        ("-123456789.10", NO_NAMES, "24" + "02" + "c2e32320fdffffff"),
        ("0.0000000010", NO_NAMES, "24" + "0a" + "0a00000000000000"),
        ("-0." + "0" * 18 + "1", NO_NAMES, "28" + "13" + "ff" * 16),
        ('""', NO_NAMES, "01"),
        ('"hello"', NO_NAMES, "15" + b"hello".hex()),
        (f'"{"x" * 63}"', NO_NAMES, "fd" + "78" * 63),
        (f'"{"x" * 64}"', NO_NAMES, "40" + "40000000" + "78" * 64),
        (f'"{"é" * 32}"', NO_NAMES, "40" + "40000000" + "c3a9" * 32),
        ("[]", NO_NAMES, "030000"),
        ("{}", NO_NAMES, "020000"),
        ("[1,[true]]", NO_NAMES, "03" + "02" + "000207" + "0c01" + "0301000104"),
        ('{"a":1}', A, "02" + "01" + "00" + "0002" + "0c01"),
        (
            '[{"a":1},{"a":null}]',
            A,
            "03" + "02" + "00070d" + "020100" + "00020c01" + "020100000100",
        ),
        (  # the example of "Value Data for Object"
            '{"c":3,"b":2,"a":1}',
            "110300" + "010203" + "616263",
            "02" + "03" + "000102" + "00020406" + "0c01" + "0c02" + "0c03",
        ),
        (  # an inner object whose names come later in the dictionary
            '{"a":{"c":1},"b":{}}',
            "110300" + "010203" + "616263",
            "02" + "02" + "0001" + "00070a" + "0201020002" + "0c01" + "020000",
        ),
    ],
)
def test_a_value_has_the_bytes_of_the_specification(text: str, metadata: str, value: str) -> None:
    encoded = encode(text.encode())

    assert (encoded.metadata.hex(), encoded.value.hex(), encoded.exact) == (metadata, value, True)


def test_names_are_sorted_by_their_utf8_bytes() -> None:
    encoded = encode('{"😀":4,"\uffff":3,"é":2,"a":1,"B":0,"":-1}'.encode())

    names = "Baé\uffff😀".encode().hex()
    assert encoded.metadata.hex() == "1106" + "0000010204070b" + names
    ids, offsets = "000102030405", "00020406080a0c"
    assert encoded.value.hex() == "0206" + ids + offsets + "0cff" + "0c000c010c020c030c04"


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (["null"] * 255, "03" + "ff" + "000102"),
        (["null"] * 256, "17" + "00010000" + "000001000200"),  # is_large, offsets of 2 bytes
        (["null"] * 70_000, "1b" + "70110100" + "000000010000020000"),
        ([f'"{"x" * 250}"'], "03" + "01" + "00ff" + "40fa000000"),
        ([f'"{"x" * 251}"'], "07" + "01" + "00000001" + "40fb000000"),
    ],
)
def test_sizes_in_arrays_are_as_small_as_they_can_be(text: list[str], head: str) -> None:
    assert encode(f"[{','.join(text)}]".encode()).value.hex().startswith(head)


@pytest.mark.parametrize(
    ("names", "value_head", "metadata_head"),
    [
        (255, "06" + "ff", "51" + "ff00"),  # ids of 1 byte; offsets, and those of names, of 2
        (256, "46" + "00010000", "51" + "0001"),
        (257, "56" + "01010000" + "00000100", "51" + "0101"),  # ids of 2 bytes
    ],
)
def test_sizes_in_objects_are_as_small_as_they_can_be(
    names: int, value_head: str, metadata_head: str
) -> None:
    members = ",".join(f'"{number:04}":1' for number in range(names))

    encoded = encode(f"{{{members}}}".encode())

    assert encoded.value.hex().startswith(value_head)
    assert encoded.metadata.hex().startswith(metadata_head)
    assert there_and_back(f"{{{members}}}") == f"{{{members}}}"


def test_an_id_is_as_small_as_its_own_object_allows() -> None:
    members = ",".join(f'"{number:04}":{{}}' for number in range(300))

    encoded = encode(f'[{{"0000":1}},{{{members}}}]'.encode())

    assert bytes.fromhex("02" + "01" + "00" + "0002" + "0c01") in encoded.value


def columns_of(texts: list[str | None]) -> list[tuple[bytes, bytes] | None]:
    encoded = [None if text is None else encode(text.encode()) for text in texts]
    return [one and (one.metadata, one.value) for one in encoded]


@example([])
@example([None, None])
@given(st.lists(st.one_of(st.none(), json_values), max_size=6).map(lambda texts: texts * 2))
def test_a_column_has_the_encoding_of_each_text(texts: list[str | None]) -> None:
    column, changed = encode_column(pa.array(texts, pa.string()))

    rows = [row and (row["metadata"], row["value"]) for row in column.to_pylist()]
    assert rows == columns_of(texts)
    assert changed == [
        row
        for row, text in enumerate(texts)
        if text is not None and not encode(text.encode()).exact
    ]


def test_a_column_has_the_type_of_a_variant_and_no_nulls_below_its_own() -> None:
    column, _ = encode_column(pa.array(["1", None, "null"]))

    assert column.type.equals(VARIANT_STORAGE)
    assert column.is_null().to_pylist() == [False, True, False]
    assert [column.field(name).null_count for name in ("metadata", "value")] == [0, 0]
    column.validate(full=True)


def test_a_slice_of_a_column_is_encoded_alone() -> None:
    column, changed = encode_column(pa.array(["1e400", None, "1", "-0"]).slice(1))

    assert column.field("value").to_pylist() == [b"", b"\x0c\x01", encode(b"-0").value]
    assert changed == [2]


def test_each_distinct_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def counted(text: bytes) -> Encoded:
        seen.append(text)
        return encode(text)

    monkeypatch.setattr(variant, "encode", counted)

    encode_column(pa.array(["1", "{}", None, "1", "{}", "1"]))

    assert seen == [b"1", b"{}"]


def test_what_is_no_json_in_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        encode_column(pa.array(["1", "{"]))
