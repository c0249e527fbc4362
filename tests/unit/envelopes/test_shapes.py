"""Whatever is around records: the records are the same, and what is no record is named."""

import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.envelopes.enclosed import CONTROL_MESSAGE, NOT_OF_CLOUDTRAIL
from cloudtrail_parquet.envelopes.shapes import Enclosed, enclosed_records, raw_records
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.decode import decode
from tests.builders import ACCOUNT, as_text, broken, envelope, odd_records, record, rows_of_batches

REGION = "eu-west-3"
ONE, TWO, THREE = (as_text(record(eventName=name)) for name in ("One", "Two", "Three"))
Shape = Callable[[list[str]], bytes]


def quoted(text: str) -> str:
    return json.dumps(text)


def in_pairs(texts: list[str]) -> list[list[str]]:
    return [texts[at : at + 2] for at in range(0, len(texts), 2)]


def one_line(text: str) -> str:
    """A JSON text without line ends, which it can only have between its tokens."""
    return text.replace("\n", " ").replace("\r", " ")


def as_list(texts: list[str]) -> bytes:
    return f"[{','.join(texts)}]".encode()


def as_indented_list(texts: list[str]) -> bytes:
    return ("[\n" + ",\n".join(f"    {text}" for text in texts) + "\n]\n").encode()


def as_lines(texts: list[str]) -> bytes:
    return "".join(one_line(text) + "\n" for text in texts).encode()


def as_windows_lines(texts: list[str]) -> bytes:
    return codecs.BOM_UTF8 + "\r\n\r\n".join(map(one_line, texts)).encode()


def as_utf16_lines(texts: list[str]) -> bytes:
    return "\r\n".join(map(one_line, texts)).encode("utf-16")


def one_behind_the_other(texts: list[str]) -> bytes:
    return "".join(texts).encode()


def indented(texts: list[str]) -> bytes:
    """Objects on several lines, one behind the other, as `jq` prints them."""
    return "".join(f'{{\n  "Records": [\n    {text}\n  ]\n}}\n' for text in texts).encode()


def with_tabs_between(texts: list[str]) -> bytes:
    """As `--query Events[].CloudTrailEvent --output text` prints them."""
    return "\t".join(map(one_line, texts)).encode()


def as_log_files(texts: list[str]) -> bytes:
    return b"\n".join(envelope(few) for few in in_pairs(texts))


def looked_up(texts: list[str]) -> list[str]:
    return [
        f'{{"EventId":"a","ReadOnly":"true","EventTime":1768046399.0,"EventName":"eventTime",'
        f'"CloudTrailEvent":{quoted(text)},"Resources":[]}}'
        for text in texts
    ]


def as_lookup_pages(texts: list[str]) -> bytes:
    """As `aws cloudtrail lookup-events` prints them, page by page."""
    pages = (f'{{"Events": [\n{", ".join(looked_up(few))}\n]}}' for few in in_pairs(texts))
    return "\n".join(pages).encode()


def as_lookup_lines(texts: list[str]) -> bytes:
    return "\n".join(looked_up(texts)).encode()


def as_lookup_texts(texts: list[str]) -> bytes:
    """As `--query Events[].CloudTrailEvent` prints them."""
    return json.dumps(texts, indent=4, ensure_ascii=False).encode()


def on_a_bus(texts: list[str]) -> list[str]:
    return [
        f'{{"version":"0","id":"a","detail-type":"AWS API Call via CloudTrail","source":"aws.s3",'
        f'"account":"{ACCOUNT}","time":"2026-01-10T12:00:00Z","region":"{REGION}","resources":[],'
        f'"detail":{text}}}'
        for text in texts
    ]


def logged(texts: list[str]) -> list[str]:
    return [
        json.dumps({"id": str(n), "timestamp": n, "message": text}) for n, text in enumerate(texts)
    ]


def as_log_messages(texts: list[str]) -> bytes:
    """As Firehose writes what a subscription filter sends."""
    return "".join(
        f'{{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"trail","logStream":'
        f'"{ACCOUNT}_CloudTrail_{REGION}_2","subscriptionFilters":["all"],'
        f'"logEvents":[{",".join(logged(few))}]}}'
        for few in in_pairs(texts)
    ).encode()


def as_log_export(texts: list[str]) -> bytes:
    """As CloudWatch Logs exports a log group to S3."""
    return "".join(f"2026-01-10T12:00:00.000Z {one_line(text)}\n" for text in texts).encode()


def as_query_results(texts: list[str]) -> bytes:
    rows = [[{"eventID": "a"}, {"eventJson": text}] for text in texts]
    return json.dumps({"QueryStatus": "FINISHED", "QueryResultRows": rows}, indent=2).encode()


def as_query_csv(texts: list[str]) -> bytes:
    written = io.StringIO()
    rows = csv.writer(written, quoting=csv.QUOTE_ALL)
    rows.writerows([["eventID", "eventJson"], *([f"a,\n{n}", t] for n, t in enumerate(texts))])
    return written.getvalue().encode()


def as_query_csv_with_backslashes(texts: list[str]) -> bytes:
    lines = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '",1' for text in texts]
    return "\n".join(["eventjson,n", *lines]).encode()


SHAPES: list[Shape] = [
    envelope,
    as_list,
    as_indented_list,
    as_lines,
    as_windows_lines,
    as_utf16_lines,
    one_behind_the_other,
    indented,
    with_tabs_between,
    as_log_files,
    as_lookup_pages,
    as_lookup_lines,
    as_lookup_texts,
    lambda texts: as_list(on_a_bus(texts)),
    lambda texts: as_lines(on_a_bus(texts)),
    lambda texts: one_behind_the_other(on_a_bus(texts)),
    as_log_messages,
    as_log_export,
    as_query_results,
    as_query_csv,
    as_query_csv_with_backslashes,
    lambda texts: as_list([as_list(texts).decode()]),
    lambda texts: as_lines([as_lookup_pages(texts).decode(), *on_a_bus([])]),
]


AGGREGATED = json.dumps(
    {
        "eventVersion": "1.0",
        "accountId": ACCOUNT,
        "eventId": "b1",
        "eventCategory": "Aggregated",
        "timeWindow": {"windowStart": "2026-01-10T12:00:00Z", "windowEnd": "2026-01-10T12:05:00Z"},
        "summary": {"summaryType": "SOURCE_API_ACTIVITY"},
    }
)


@pytest.mark.parametrize("shape", [*SHAPES, lambda texts: texts[0].encode()])
@pytest.mark.parametrize("gone", ["eventVersion", "summary", "eventCategory"])
def test_an_aggregated_record_is_told_in_any_shape(shape: Shape, gone: str) -> None:
    members = json.loads(AGGREGATED)
    del members[gone]
    text = json.dumps(members)

    assert [bytes(raw).decode() for raw in raw_records(shape([text]), "a.json")] == [text]


class InPieces(LargeText):
    """A text that comes in pieces of a few bytes, as a large one comes in mebibytes."""

    def __init__(self, text: bytes, size: int) -> None:
        super().__init__(gzip.compress(text), 1 << 30, "a.json.gz")
        self.text, self.size = text, size

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.text), self.size):
            yield self.text[start : start + self.size]


class InPiecesOnly(InPieces):
    """A text that must not be held whole."""

    def whole(self) -> bytes:
        raise AssertionError


def told(text: str) -> str:
    """A record text with what tells it from others, in front of what it has."""
    return '{"eventVersion":"1.11","eventID":"a",' + one_line(text).strip()[1:].lstrip()


def found(text: bytes | LargeText) -> list[Enclosed]:
    return list(enclosed_records(text, "a.json"))


def decoded(text: bytes | LargeText) -> list[dict[str, Any]]:
    return rows_of_batches(decode(text, "a.json"))


def rejected(text: bytes) -> list[tuple[int, str]]:
    return [each for batch in decode(text, "a.json") for each in batch.rejected]


some_records = st.lists(odd_records.map(told), min_size=1, max_size=4)
QUOTED = as_text(record(userAgent='\\"},{"Records":[{"detail":"\\\\ud83d/\u2028é😀\0'))
NESTED = as_text(record(requestParameters={"Records": [{"Events": []}], "message": "{}"}))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_read_byte_for_byte(shape: Shape) -> None:
    texts = [
        ONE,
        QUOTED,
        NESTED,
        r'{"eventVersion":"1.1","eventName":"\ud83d\u00e9\/","eventID":"a"}',
    ]

    assert [each.raw.decode() for each in found(shape(texts))] == texts


@given(shape=st.sampled_from(SHAPES), texts=some_records)
def test_records_are_the_same_in_whatever_shape(shape: Shape, texts: list[str]) -> None:
    text = shape(texts)

    elements = found(text)

    assert [each.fault for each in elements] == [""] * len(texts)
    assert [each.raw.decode() for each in elements] == texts
    assert [bytes(raw).decode() for raw in raw_records(text, "a")] == texts
    assert decoded(text) == decoded(envelope(texts))


@given(shape=st.sampled_from(SHAPES), texts=some_records, size=st.integers(1, 500))
def test_a_text_in_pieces_gives_what_the_whole_gives(
    shape: Shape, texts: list[str], size: int
) -> None:
    text = shape(texts)

    assert found(InPieces(text, size)) == found(text)
    assert decoded(InPieces(text, size)) == decoded(text)


# Where elements are, and what is around them.


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        (ONE.encode(), [""]),
        (as_list([ONE, TWO]), [".[0]", ".[1]"]),
        (envelope([ONE, TWO]), [".Records[0]", ".Records[1]"]),
        (f"{ONE}\n\n{TWO}".encode(), ["line 1", "line 3"]),
        (f"{ONE}{TWO}\n{THREE}".encode(), ["line 1, value 1", "line 1, value 2", "line 2"]),
        (indented([ONE, TWO]), ["value 1 .Records[0]", "value 2 .Records[0]"]),
        (as_lookup_lines([ONE, TWO]), ["line 1", "line 2"]),
        (f"[{ONE},[{TWO}]]\n[{THREE}]".encode(), ["line 1 .[0]", "line 1 .[1][0]", "line 2 .[0]"]),
        (as_query_results([ONE, TWO]), [".QueryResultRows[0]", ".QueryResultRows[1]"]),
        (as_query_csv([ONE, TWO]), ["row 1", "row 2"]),
        (
            as_list([as_lookup_pages([ONE, TWO]).decode()]),
            [".[0].Events[0]", ".[0].Events[1]"],
        ),
    ],
)
def test_an_element_says_where_it_is(text: bytes, positions: list[str]) -> None:
    assert [each.position for each in found(text)] == positions


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (as_list(on_a_bus([ONE])), (ACCOUNT, REGION)),
        (as_log_messages([ONE]), (ACCOUNT, REGION)),
        (as_log_messages([ONE]).replace(b"_2", b""), (ACCOUNT, REGION)),
        (
            as_log_messages([ONE]).replace(b"0123456", b"o-exampleorgid_0123456", 1),
            (ACCOUNT, REGION),
        ),
        (as_log_messages([ONE]).replace(b"_CloudTrail_", b"-"), ("", "")),
        (as_list(on_a_bus([ONE])).replace(ACCOUNT.encode(), b"../etc", 1), ("../etc", REGION)),
        (as_list(on_a_bus([ONE])).replace(REGION.encode(), b"a/b", 1), (ACCOUNT, "a/b")),
        (as_list(on_a_bus([ONE])).replace(f'"{ACCOUNT}"'.encode(), b"7", 1), ("7", REGION)),
        (as_list(on_a_bus([ONE])).replace(f'"{ACCOUNT}"'.encode(), b"null", 1), ("", REGION)),
        (as_list(on_a_bus([ONE])).replace(f'"{ACCOUNT}"'.encode(), b'""', 1), ("", REGION)),
        (as_lookup_pages([ONE]), ("", "")),
        (as_lines([ONE]), ("", "")),
        (
            json.dumps(
                {"events": [{"logStreamName": f"{ACCOUNT}_CloudTrail_{REGION}", "message": ONE}]}
            ).encode(),
            (ACCOUNT, REGION),
        ),
    ],
)
def test_an_element_has_the_place_that_is_written_around_it(
    text: bytes, place: tuple[str, str]
) -> None:
    assert [each.place for each in found(text)] == [Place(*place)]


# What is no record.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{ONE}\n{TWO[:-9]}", r"line 2: invalid JSON at byte \d+, damaged or cut short"),
        (f"{ONE}\nhello\n", "line 2: no JSON at byte 0"),
        (f"{ONE}\n\0\0\0", "line 2: no JSON at byte 0"),
        (f'{ONE}\n{{"a":1,"b":2}}', "line 2: it is a JSON object with a, b"),
        (f"{ONE}\n7", "line 2: not a JSON object"),
        (f'{ONE}\n"7"', "line 2: a text that holds no record"),
        (f'{ONE}\n{{"eventVersion":"1.1","eventName":NaN}}', r"line 2: invalid JSON at byte \d+"),
        (f'{ONE}\n{{"Records":7}}', "line 2: Records is not a JSON array"),
        (f'{ONE}\n{{"Events":7}}', "line 2: Events is not a JSON array"),
        (f'{ONE}\n{{"Records":[7]}}', r"line 2 \.Records\[0\]: not a JSON object"),
        (f"[{ONE},7]", r"\.\[1\]: not a JSON object"),
        (f"[{ONE},{{}}]", r"\.\[1\]: it is an empty JSON object"),
        (f'[{ONE},{{"eventVersion":"1.1","eventName":01}}]', r"\.\[1\]: invalid JSON at byte \d+"),
        (f"[{ONE},{'[' * 9}{TWO}{']' * 9}]", "more than 8 levels"),
        (
            f'{{"Events":[{looked_up([ONE])[0]},{{"CloudTrailEvent":null}}]}}',
            r"\.Events\[1\]: not a JSON object",
        ),
        (
            f'{{"QueryResultRows":[[{{"eventJson":{quoted(ONE)}}}],[{{"eventID":"a"}}]]}}',
            r"\.QueryResultRows\[1\]: it is a row of CloudTrail Lake without its record",
        ),
        (as_query_csv([ONE]).decode() + "a,b,c\n", "row 2: 3 fields where the header has 2"),
        (f"2026-01-10T12:00:00.000Z {ONE}\nand more", "line 2: no JSON at byte 0"),
        (f"{TWO[99:]}\n{ONE}", "line 1: no JSON at byte 0"),
    ],
)
def test_an_element_that_is_no_record_is_rejected_with_its_position(text: str, reason: str) -> None:
    [(number, why)] = rejected(text.encode())

    assert re.search(reason, why)
    assert len(raw_records(text.encode(), "a")) > number
    assert len(decoded(text.encode())) == 1


@pytest.mark.parametrize("text", [f"{ONE}{TWO}x", f"{ONE}{TWO[:-1]}", f"[{ONE}][{TWO}", f"{ONE}]"])
def test_values_that_are_not_on_lines_have_to_be_whole(text: str) -> None:
    with pytest.raises(UnreadableLogError, match=r"JSON at byte \d+"):
        found(text.encode())


CONTROL = (
    '{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"",'
    '"subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: '
    'Checking health of destination Firehose."}]}'
)
OTHER = '{"detail-type":"EC2 Instance State-change Notification","detail":{"state":"running"}}'


@pytest.mark.parametrize("other", [CONTROL, OTHER])
def test_what_belongs_into_such_a_file_costs_no_record_and_is_told(other: str) -> None:
    [batch] = decode(f"{other}{ONE}{other}".encode(), "a")

    assert (len(batch.records), batch.rejected) == (1, [])
    assert [number for number, _ in batch.skipped] == [0, 2]
    assert {why for _, why in batch.skipped} <= {CONTROL_MESSAGE, NOT_OF_CLOUDTRAIL}
    assert [each.is_expected for each in found(other.encode())] == [True]


@pytest.mark.parametrize(
    "text", ["[]", "[[]]", '{"Events":[]}', '{"logEvents":[],"messageType":""}']
)
def test_a_file_may_hold_nothing(text: str) -> None:
    assert found(text.encode()) == []


# Records that look like something around records.


@pytest.mark.parametrize(
    "members",
    [
        *({name: []} for name in ("Records", "Events", "events", "logEvents", "QueryResultRows")),
        *({name: ONE} for name in ("CloudTrailEvent", "eventJson", "message")),
        {"detail-type": "a", "detail": {"eventVersion": "1.1", "eventName": "a"}},
        {"messageType": "CONTROL_MESSAGE", "logEvents": [], "Records": [{"eventVersion": "1.1"}]},
        {"digestStartTime": "", "logFiles": []},
        {"requestParameters": {"Records": [record()], "Events": [{"CloudTrailEvent": ONE}]}},
    ],
)
def test_a_record_is_never_taken_for_something_around_records(members: dict[str, object]) -> None:
    text = as_text({**members, **record()})

    for shape in SHAPES:
        assert [each.raw.decode() for each in found(shape([text]))] == [text]
    assert found(text.encode()) == [Enclosed(text.encode(), Place("", ""), "")]


def test_a_name_may_be_written_in_escapes_and_be_there_twice() -> None:
    text = f'{{"\\u0045vents":7,"Events":[{{"CloudTrail\\u0045vent":{quoted(ONE)}}}]}}'

    assert [each.raw.decode() for each in found(text.encode())] == [ONE]


# Hostile texts.


DEEP = '{"eventVersion":"1.1","eventName":"a","a":' + "[" * 90_000 + "]" * 90_000 + "}"


@pytest.mark.parametrize("shape", [as_list, as_lines, as_lookup_pages, as_query_csv, as_log_export])
def test_a_record_may_be_deeper_than_the_decoder_goes(shape: Shape) -> None:
    assert [each.raw.decode() for each in found(shape([ONE, DEEP, TWO]))] == [ONE, DEEP, TWO]


@pytest.mark.parametrize("text", ["[" * 30_000, "[" * 30_000 + "]" * 30_000, '{"Events":' * 30_000])
def test_mere_brackets_are_reported(text: str) -> None:
    with pytest.raises(UnreadableLogError):
        found(text.encode())


@pytest.mark.parametrize(
    "part",
    [
        *('{"a":', "{", '"', "[", '{"Records":[', "\\", '{"a":"', "{}", "[]", "7\n", "{\n", '"\n'),
        *('{"Events":[\n', '{"messageType":"","logEvents":[]}', "eventJson\n", '\n"a""'),
    ],
)
def test_the_time_is_proportional_to_the_text(part: str) -> None:
    began = process_time()
    for text in (part * 10_000, f"{ONE}\n" + part * 10_000, "eventJson\n" + part * 10_000):
        with suppress(UnreadableLogError):
            list(enclosed_records(text.encode(), "a"))

    assert process_time() - began < 3


def test_a_record_in_a_text_keeps_what_no_unicode_text_can_hold() -> None:
    inner = '{"eventVersion":"1.1","eventID":"a","userAgent":"nope%s"}'
    text = '["' + inner.replace('"', '\\"') % "\\ud83d" + '"]'

    [element] = found(text.encode())

    assert element.raw.decode() == inner % "\\ud83d"
    assert json.loads(element.raw)["userAgent"] == "nope\ud83d"


def test_a_record_in_a_text_may_hold_bytes_that_are_no_utf8() -> None:
    inner = ONE.encode().replace(b"ada", b"\xff\xe9")
    text = b'{"Events":[{"CloudTrailEvent":"%s"}]}' % inner.replace(b'"', b'\\"')

    assert [each.raw for each in found(text)] == [inner]


@given(
    shape=st.sampled_from([shape for shape in SHAPES if shape is not as_utf16_lines]),
    text=st.data(),
)
def test_a_damaged_text_is_reported_or_gives_elements(shape: Shape, text: st.DataObject) -> None:
    damaged = text.draw(broken(shape([ONE, TWO, THREE])))
    try:
        elements = found(damaged)
    except UnreadableLogError:
        return
    batches = list(decode(damaged, "a"))
    counts = [(len(b.records), len(b.rejected), len(b.skipped)) for b in batches]
    assert sum(map(sum, counts)) == len(elements)


# Large texts.


def outcome(text: bytes | LargeText) -> object:
    """The elements of a text, or what is wrong with it."""
    try:
        return found(text)
    except UnreadableLogError as error:
        return error.args


@given(
    shape=st.sampled_from([as_lines, as_windows_lines, as_log_export, as_query_csv, indented]),
    text=st.data(),
    size=st.integers(40, 2_000),
)
def test_a_damaged_text_in_pieces_has_the_elements_or_the_error_of_the_whole(
    shape: Shape, text: st.DataObject, size: int
) -> None:
    damaged = text.draw(broken(shape([ONE, TWO, THREE])))

    assert outcome(InPieces(damaged, size)) == outcome(damaged)


@pytest.mark.parametrize("shape", [as_lines, as_log_export, as_query_csv])
def test_a_large_text_of_lines_is_not_held_whole(shape: Shape) -> None:
    texts = [ONE, TWO, THREE] * 100
    pieces = InPiecesOnly(shape(texts), 1_000)

    assert [each.raw.decode() for each in enclosed_records(pieces, "a")] == texts
    assert len(decoded(pieces)) == len(texts)


def test_a_large_text_that_is_damaged_at_its_end_is_reported_before_its_first_record() -> None:
    stored = gzip.compress(as_lines([ONE] * 100))
    large = LargeText(stored[:-9] + b"\0" + stored[-8:], 1 << 30, "a.json.gz")

    with pytest.raises(UnreadableLogError, match="gzip"):
        decode(large, "a.json.gz")


def test_a_line_longer_than_any_record_is_read_whole() -> None:
    text = as_list([ONE] * 15_000)

    assert len(found(InPieces(text, 1 << 20))) == 15_000


# What lies in Records, and beside it.


@pytest.mark.parametrize("large", [False, True])
def test_lists_beside_one_another_are_all_read(large: bool) -> None:  # noqa: FBT001
    pages = json.loads(as_lookup_pages([TWO, THREE]))
    text = f'{{"Records":[{ONE}],"Events":{json.dumps(pages["Events"])}}}'.encode()

    assert [json.loads(each.raw) for each in found(text)] == [
        json.loads(each) for each in (ONE, TWO, THREE)
    ]
    assert len(rows_of_batches(list(decode(InPieces(text, 9) if large else text, "a")))) == 3


@pytest.mark.parametrize("wrap", [on_a_bus, lambda texts: list(map(quoted, texts))])
def test_records_may_lie_in_something_within_records(
    wrap: Callable[[list[str]], list[str]],
) -> None:
    text = f'{{"Records":[{",".join(wrap([ONE, TWO]))}]}}'.encode()

    records = [each for each in found(text) if not each.is_expected]

    assert [json.loads(each.raw) for each in records] == [json.loads(each) for each in (ONE, TWO)]
    (batch,) = decode(text, "a")
    assert [one.eventName for one in batch.records] == ["One", "Two"]
    assert not batch.rejected


def test_a_notification_of_s3_is_no_record_and_another_version_is_one() -> None:
    told = {"eventTime": "2026-01-10T12:00:00Z", "eventName": "ObjectCreated:Put"}
    texts = [
        json.dumps({"eventVersion": "2.1", "eventSource": source, **told, "s3": {}})
        for source in ("aws:s3", "s3.amazonaws.com")
    ]
    for shape in (envelope, as_list, as_lines):
        (batch,) = decode(shape(texts), "a")

        ((number, reason),) = batch.rejected
        assert (number, batch.positions) == (0, [1])
        assert "a notification of S3" in reason


def csv_of(*rows: str) -> bytes:
    return ("eventTime,eventJson\n" + "\n".join(rows) + "\n").encode()


def csv_row(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'x,"{doubled}"'


@pytest.mark.parametrize("stray", ['x,"{""a', 'x,"', '"', 'x,"{""a""', f"{csv_row(ONE)[:-1]}"])
@pytest.mark.parametrize("strays", [1, 2, 5])
def test_a_stray_quote_in_a_csv_file_costs_its_own_row_only(stray: str, strays: int) -> None:
    rows = [csv_row(ONE), *[stray] * strays, csv_row(TWO), csv_row(THREE)]

    elements = found(csv_of(*rows))

    good = [json.loads(each.raw) for each in elements if not each.fault]
    assert good == [json.loads(text) for text in (ONE, TWO, THREE)]
    faults = [(each.position, each.fault) for each in elements if each.fault]
    assert [position for position, _ in faults] == [f"row {n + 2}" for n in range(strays)]
    assert elements[-1].position == f"row {len(rows)}"


def test_an_indented_record_in_a_csv_file_is_one_row() -> None:
    pretty = json.dumps(json.loads(ONE), indent=2)

    elements = found(csv_of(csv_row(pretty), csv_row(TWO)))

    assert [bytes(each.raw).decode() for each in elements] == [pretty, TWO]


def test_stray_quotes_by_the_thousand_take_no_time() -> None:
    started = process_time()
    for stray in ('"', '""', '"""', 'x,"a', '"x""'):
        found(csv_of(csv_row(ONE), *[stray] * 3000))
    assert process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("2026-01-10T12:00:00.123000+00:00 a_stream {}", "aws logs tail", "filter-log-events"),
        ("EVENTS\tAKIA\t{}", "not as JSON", "--output json"),
        ("Events:\n- AccessKeyId: a", "not as JSON", "--output json"),
        (f"{'-' * 30}\n|  LookupEvents |\n", "not as JSON", "--output json"),
        (
            "Event ID,Event time,User name,Event name,Key\n1,2,3,4,5\n",
            "Event history",
            "as JSON",
        ),
        ("eventTime;eventJson\n1;2\n", "with semicolons", "commas"),
    ],
)
def test_what_people_save_otherwise_is_named_with_what_to_do(
    text: str, what: str, hint: str
) -> None:
    with pytest.raises(UnreadableLogError) as raised:
        found(text.encode())

    assert what in raised.value.args[0]
    assert hint in raised.value.args[2]


def test_messages_of_logs_insights_are_read() -> None:
    def cells(text: str, field: str = "@message") -> list[dict[str, str]]:
        return [{"field": "@ptr", "value": "x"}, {"field": field, "value": text}]

    rows = [cells(ONE), cells("x", "eventName"), cells(TWO)]
    elements = found(json.dumps({"results": rows, "statistics": {}, "status": "Done"}).encode())

    assert [bytes(each.raw).decode() for each in elements if not each.fault] == [ONE, TWO]
    (bad,) = [each for each in elements if each.fault]
    assert (bad.position, bad.fault) == (
        ".results[1]",
        "it is a row of Logs Insights without its message",
    )
