import base64
import codecs
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.envelopes.shapes import raw_records
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.records.decode import (
    INVALID_UTF8,
    Batch,
    _coerce_record,
    decode,
    is_compatible,
    version_numbers,
)
from cloudtrail_parquet.records.from_arrow import restore, restore_json
from tests.builders import (
    SURROGATE_NAME,
    as_text,
    broken,
    envelope,
    exact,
    fitting_records,
    json_values,
    normal,
    odd_records,
    record,
    rows_of,
    rows_of_batches,
)

ONE = as_text(record(eventName="One"))
TWO = as_text(record(eventName="Two"))
TIMED = '"eventTime":"2026-01-10T12:34:56Z"'


def batches(text: str | bytes) -> list[Batch]:
    return list(decode(text if isinstance(text, bytes) else text.encode(), "a.json.gz"))


def names(text: str | bytes) -> list[str | None]:
    return [one.eventName for batch in batches(text) for one in batch.records]


def positions(found: list[Batch]) -> tuple[list[int], list[int]]:
    taken = [position for batch in found for position in batch.positions]
    return taken, [position for batch in found for position, _ in batch.rejected]


# The three ways give the same rows.


def each_alone(texts: list[str]) -> list[Batch]:
    """Decode record by record: something that is no record keeps a file from fitting whole."""
    return batches(envelope([*texts, "0"]))


def tolerantly(texts: list[str]) -> list[Batch]:
    """Decode as if no record fitted its columns."""
    taken = [_coerce_record(text.encode()) for text in texts]
    unmapped = {row: parts for row, (_, parts) in enumerate(taken) if parts}
    return [Batch([one for one, _ in taken], list(range(len(taken))), unmapped, [], [])]


def as_decoded(found: list[Batch]) -> list[tuple[Any, Any]]:
    return [
        (one, batch.unmapped.get(row)) for batch in found for row, one in enumerate(batch.records)
    ]


@example([SURROGATE_NAME])
@given(st.lists(st.one_of(fitting_records.map(as_text), odd_records), min_size=1, max_size=4))
def test_whole_files_single_records_and_the_tolerant_path_give_the_same_rows(
    texts: list[str],
) -> None:
    rows = rows_of(texts)

    assert rows_of_batches(each_alone(texts)) == rows
    assert rows_of_batches(tolerantly(texts)) == rows


@given(st.lists(fitting_records.map(as_text), min_size=1, max_size=4))
def test_records_that_fit_are_decoded_alike_on_all_three_ways(texts: list[str]) -> None:
    whole = as_decoded(batches(envelope(texts)))

    assert as_decoded(each_alone(texts)) == whole
    assert as_decoded(tolerantly(texts)) == whole
    assert all(unmapped is None for _, unmapped in whole)


@given(st.lists(st.one_of(odd_records, json_values), max_size=6))
def test_every_element_of_records_is_taken_or_rejected_in_order(texts: list[str]) -> None:
    found = batches(envelope(texts))

    objects = [n for n, text in enumerate(texts) if text.startswith("{")]
    others = [n for n in range(len(texts)) if n not in objects]
    assert positions(found) == (objects, others)
    assert [bytes(raw).decode() for raw in raw_records(envelope(texts), "a")] == texts


@given(odd_records.flatmap(lambda text: broken(envelope([ONE, text]))))
def test_a_damaged_text_is_reported_or_gives_records(text: bytes) -> None:
    try:
        found = batches(text)
    except UnreadableLogError:
        return
    raws = raw_records(text, "a.json.gz")
    taken, rejected = positions(found)
    assert sorted(taken + rejected) == list(range(len(raws)))
    for position in taken:
        json.loads(bytes(raws[position]).decode(errors="replace"), parse_constant=pytest.fail)


# The envelope.


@pytest.mark.parametrize(
    "text",
    [
        f'{{"Records":[{ONE},{TWO}]}}',
        f' \r\n{{ "Records"\t:\n[ {ONE} ,\n {TWO} ] }}\n \n',
        f'{{"Records":[{ONE},{TWO}]}}' + " " * 1000,
        f'{{"Records":[{ONE},{TWO}] {" " * 100}}}',
        f'{{"Records":[{ONE},{TWO}],"more":[]}}',
        f'{{"more":{{"Records":[]}},"Records":[{ONE},{TWO}]}}',
        f'{{"more":"\\"Records\\"","Records":[{ONE},{TWO}]}}',
        f'{{"\\u0052ecords":[{ONE},{TWO}]}}',
        f'{{"Records":[{ONE},{TWO}],"\\ud800":1}}',
    ],
)
def test_an_envelope_is_understood_however_it_is_written(text: str) -> None:
    assert names(text) == ["One", "Two"]
    assert names(codecs.BOM_UTF8 + text.encode()) == ["One", "Two"]


@pytest.mark.parametrize(
    "text", ['{"Records":[]}', ' { "Records" : [ ] } ', '{"a":1,"Records":[]}']
)
def test_a_file_without_records_has_none(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("\ufeff", "it is empty"),
        ("{}", "an empty JSON object"),
        ('{"records":[]}', "a JSON object with records"),
        ('{"Events":[{"CloudTrailEvent":"{}"}]}', r"\.Events\[0\]: it is an empty JSON object"),
        ('{"Records":null}', "Records is not a JSON array"),
        ('{"Records":{}}', "Records is not a JSON array"),
        ('{"Records":"[]"}', "Records is not a JSON array"),
        (f'{{"Records":{ONE}}}', "Records is not a JSON array"),
        (f'{{"Records":[{ONE}],"Records":[]}}', "2 Records"),
        (f'{{"Records":[],"Records":[{ONE}]}}', "2 Records"),
        (f" [{ONE}", "damaged or cut short"),
        (f'{{"Records":[{ONE}]}}x', "no JSON at byte"),
        (f'{{"Records":[{ONE}]}}]}}', "no JSON at byte"),
        (f'{{"Records":[{ONE}]}}\0', "no JSON at byte"),
        (f'{{"Records":[{ONE},]}}', "Records is invalid JSON"),
        (f'{{"Records":[{ONE}', "damaged or cut short"),
        (f'{{"Records":[{ONE}]', "damaged or cut short"),
        (f'{{"Records":[{ONE[:-1]}]}}', "damaged or cut short"),
        (f'{{"Records":[{ONE},{{"a":NaN]]}}', "damaged or cut short"),
        (f'{{"Records":[{ONE},,{TWO}]}}', "Records is invalid JSON"),
        (f'{{"Records":[{ONE} {TWO}]}}', "Records is invalid JSON"),
        (f'{{"Records":[{ONE},{{"a":"b"c","d":1}}]}}', "damaged or cut short"),
        (f'{{"Records":[{ONE},{{"a":"b,"d":"1"}}]}}', "damaged or cut short"),
        (f'{{"Records":[{ONE},{{"a":\\"b"}}]}}', "damaged or cut short"),
        ('{"Records":{"a":NaN}}', "Records is not a JSON array"),
        ('{"Records":[],"Records":[NaN]}', "2 Records"),
        ("[NaN]", r"\.\[0\]: not a JSON object"),
        ("null", "not a JSON object"),
        ('"Records"', "a text that holds no record"),
        ("hello", "text, but not JSON"),
        ("<Error><Code>AccessDenied</Code></Error>", "an error of S3 in place of an object"),
    ],
)
def test_a_file_of_another_shape_is_reported_with_its_name(text: str, reason: str) -> None:
    with pytest.raises(UnreadableLogError, match=rf"^a\.json\.gz: .*{reason}"):
        batches(text)


def test_records_that_are_there_twice_are_reported_however_the_name_is_written() -> None:
    with pytest.raises(UnreadableLogError, match="2 Records"):
        batches(f'{{"Records":[{ONE}],"\\u0052ecords":[]}}')


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32", "utf-32-be"])
def test_a_file_in_another_encoding_is_reported(encoding: str) -> None:
    with pytest.raises(UnreadableLogError, match=f"{encoding[:6].upper()} text.*Write it as UTF-8"):
        batches(envelope([ONE]).decode().encode(encoding))


# Single records.


@pytest.mark.parametrize(
    "text", ["1", "null", "true", '"{}"', "[]", "[{}]", "1e400", '"\\ud800"', '"\xff"']
)
def test_an_element_that_is_no_object_is_rejected_and_the_others_are_taken(text: str) -> None:
    found = batches(f'{{"Records":[{ONE},{text},{TWO}]}}')

    assert positions(found) == ([0, 2], [1])
    assert [reason for batch in found for _, reason in batch.rejected] == ["not a JSON object"]


DAMAGED = [
    *("NaN", "Infinity", "-Infinity", "undefined", "None", "nul", "01", "1.", "+1", ".5", "0x1F"),
    *("[1,]", "[,]", "{,}", '{"b"}', '{"b":}', '{"b":1,}', "{1:2}", "{b:1}", "'b'", "/**/", "1 2"),
    *(r'"\q"', r'"\u12"', '"tab\t"', '"line\nend"', '[{"b":[NaN,{}]}]', "", "\x00", "é", "="),
]


@pytest.mark.parametrize("value", DAMAGED)
def test_a_value_that_is_no_json_costs_its_record_and_no_other(value: str) -> None:
    for damaged in (f'{{"eventName":{value}}}', f'{{"z":"}},{{","a":[{{"b":{value}}}],"c":"["}}'):
        text = f'{{"Records":[{ONE}, {damaged},{TWO} ]}}'

        found = batches(text)

        assert positions(found) == ([0, 2], [1])
        assert [reason[:15] for batch in found for _, reason in batch.rejected] == [
            "invalid JSON at"
        ]
        assert rows_of_batches(found) == rows_of([ONE, TWO])
        assert [bytes(raw).decode() for raw in raw_records(text.encode(), "a")] == [
            *(ONE, damaged, TWO)
        ]


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "x", "01"])
def test_an_element_that_is_no_json_at_all_is_rejected(value: str) -> None:
    found = batches(f'{{"Records":[{ONE},{value},{TWO}]}}')

    assert positions(found) == ([0, 2], [1])


def test_a_damaged_record_costs_no_other_whatever_the_envelope() -> None:
    for text in ('{{"a":NaN,"Records":[{}],"b":[01]}}', ' {{"\\u0052ecords" : [{}]\n}} \n'):
        found = batches(text.format(f'{ONE},{{"a":NaN}},{TWO}'))

        assert positions(found) == ([0, 2], [1])
        assert rows_of_batches(found) == rows_of([ONE, TWO])


@given(
    st.lists(st.one_of(odd_records, fitting_records.map(as_text)), max_size=3),
    st.lists(st.one_of(odd_records, fitting_records.map(as_text)), max_size=3),
    st.lists(st.sampled_from([*"[]{},:", '"a"', "NaN", "1", " ", r'"\ud800"']), max_size=8),
)
def test_damage_inside_a_record_is_told_from_records_or_reported(
    before: list[str], after: list[str], tokens: list[str]
) -> None:
    damaged = f'{{{TIMED},"a":[{"".join(tokens)}]}}'
    try:
        found = batches(envelope([*before, damaged, *after]))
    except UnreadableLogError:
        return

    others = [*before, *after]
    if len(raw_records(envelope([*before, damaged, *after]), "a")) == len(others) + 1:
        assert rows_of_batches(found)[: len(before)] == rows_of(before)
        taken, _ = positions(found)
        kept = len(before) + 1
        assert set(taken) >= set(range(len(before))) | set(range(kept, kept + len(after)))


def test_brackets_without_an_end_are_reported() -> None:
    text = ('{"Records":[' + "[{" * 200_000).replace("{[", '{"a":[').encode()
    with pytest.raises(UnreadableLogError, match="damaged or cut short"):
        batches(text)


def test_a_record_without_a_single_member_is_taken() -> None:
    found = batches('{"Records":[{}]}')

    assert positions(found) == ([0], [])


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ('"eventName":"a","eventName":"b"', "b"),
        ('"eventName":1,"eventName":"b"', "b"),
        ('"eventName":"a","event\\u004eame":"b"', "b"),
        ('"eventName":"a","eventName":null', None),
        ('"eventName":"a","eventName":"b","new":1', "b"),
        ('"eventName":"a","eventName":"b","\\ud800":1', "b"),
    ],
)
def test_of_a_member_that_is_there_twice_the_last_is_taken(members: str, kept: str | None) -> None:
    assert names(f'{{"Records":[{{{members}}}]}}') == [kept]


def test_of_a_free_form_member_that_is_there_twice_the_last_is_taken_whole() -> None:
    twice = f'{{{TIMED},"requestParameters":{{"a":1}},"requestParameters":{{"b":1,"b":2}}}}'
    (row,) = rows_of([twice])

    assert row["requestParameters"] == '{"b":1,"b":2}'


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
)
@pytest.mark.parametrize("field", ["requestParameters", "userAgent", "userIdentity", "new\udcff"])
def test_a_record_that_is_no_utf8_keeps_its_row_and_its_bytes(raw: bytes, field: str) -> None:
    name = field.encode(errors="surrogateescape")
    bad = f"{{{TIMED},".encode() + b'"' + name + b'":{"a":"' + raw + b'"}}'

    taken = batches(b'{"Records":[' + ONE.encode() + b"," + bad + b"," + TWO.encode() + b"]}")
    one, row, two = rows_of_batches(taken)

    restored = restore(row)
    assert base64.b64decode(json.loads(row["unmapped"])[INVALID_UTF8]) == bad
    assert base64.b64decode(restored.pop(INVALID_UTF8)) == bad
    assert restored == json.loads(bad.decode(errors="replace"))
    assert one["unmapped"] is two["unmapped"] is None


def test_a_text_cut_inside_a_character_in_an_old_record_is_kept() -> None:
    bad = f'{{{TIMED},"eventVersion":"2.0","userAgent":"'.encode() + b'\xe6\xbc"}'

    (row,) = rows_of_batches(batches(b'{"Records":[' + bad + b"]}"))

    assert base64.b64decode(json.loads(row["unmapped"])[INVALID_UTF8]) == bad


@pytest.mark.parametrize("depth", [900, 1_100, 100_000])
def test_one_very_deep_record_leaves_the_others_alone(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    rows = rows_of([ONE, f'{{{TIMED},"requestParameters":{deep}}}', TWO])

    assert [row["eventName"] for row in rows] == ["One", None, "Two"]
    assert rows[1]["requestParameters"] == deep
    assert [exact(restore_json(row)) for row in (rows[0], rows[2])] == [
        normal(exact(text)) for text in (ONE, TWO)
    ]


def test_one_record_with_a_lone_surrogate_leaves_the_others_alone() -> None:
    rows = rows_of([ONE, f'{{{TIMED},"userAgent":"cut \\ud83d"}}', TWO])

    assert rows[1]["userAgent"] == "cut \ufffd"
    assert unwrap(rows[1]["unmapped"].encode()) == b'{"userAgent":"cut \\ud83d"}'
    assert rows[0] == rows_of([ONE])[0]
    assert rows[2] == rows_of([TWO])[0]


@pytest.mark.parametrize("last", ["{}", "0", '{"eventName":"\\ud800"}'])
def test_a_large_file_comes_in_several_batches_that_follow_each_other(last: str) -> None:
    large = as_text(record(requestParameters={"a": "x" * 2_000}))
    texts = [large] * 2_200 + [last]
    text = envelope(texts)
    assert len(text) > 4 << 20

    found = batches(text)

    taken, rejected = positions(found)
    assert len(found) > 1
    assert sorted(taken + rejected) == list(range(len(texts)))
    assert taken == sorted(taken)


def test_a_damaged_large_file_is_reported_before_its_first_record() -> None:
    large = as_text(record(requestParameters={"a": "x" * 2_000}))
    text = envelope([large] * 2_200)

    with pytest.raises(UnreadableLogError):
        decode(text[:-2] + b"x]}", "a.json.gz")


def test_a_value_at_the_edge_of_a_check_for_utf8_is_no_damage() -> None:
    start = envelope([f'{{{TIMED},"userAgent":"']).removesuffix(b"]}")
    padding = b"x" * ((1 << 20) - len(start) - 1)
    (row,) = rows_of_batches(batches(start + padding + '漢"}]}'.encode()))

    assert row["userAgent"].endswith("漢")
    assert row["unmapped"] is None


# Versions.


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        *(
            ("1.0", (1, 0)),
            ("1.01", (1, 1)),
            ("1.09", (1, 9)),
            ("1.10", (1, 10)),
            ("1.11", (1, 11)),
        ),
        *(("2.0", (2, 0)), ("", None), (None, None), ("1", None), ("1.", None), ("1.1.1", None)),
        *((" 1.1", None), ("1.1\n", None), ("\u0661.\u0661", None), ("-1.1", None), ("v1.1", None)),
    ],
)
def test_versions_are_compared_as_two_numbers(
    version: str | None, numbers: tuple[int, int] | None
) -> None:
    assert version_numbers(version) == numbers


@pytest.mark.parametrize(
    ("version", "compatible"),
    [
        ("1.0", True),
        ("1.99", True),
        ("2.0", False),
        ("0.9", False),
        ("10.1", False),
        ("new", True),
        (None, True),
    ],
)
def test_another_major_version_is_incompatible(version: str | None, *, compatible: bool) -> None:
    assert is_compatible(version) is compatible


@pytest.mark.parametrize("version", ["2.0", "0.1"])
def test_a_record_of_another_major_version_fills_no_column_but_version_and_time(
    version: str,
) -> None:
    other = record(eventVersion=version, responseElements=...)
    one, row = rows_of([ONE, other])

    filled = {name for name, value in row.items() if value is not None}
    assert filled == {"eventVersion", "eventTime", "unmapped"}
    assert row["eventVersion"] == version
    assert restore(row) == other
    assert one["eventName"] == "One"
