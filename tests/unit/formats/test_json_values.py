"""Texts of several values: on lines, in a column of CSV, one behind the other."""

import gzip
from collections.abc import Iterator

import pytest

from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.formats.json_values import (
    are_lines,
    consecutive,
    has_column,
    in_column,
    is_value,
    lines,
    on_lines,
)


class InPieces(LargeText):
    """A text that comes in pieces of a few bytes."""

    def __init__(self, text: bytes, size: int = 3) -> None:
        super().__init__(gzip.compress(text), 1 << 30, "a")
        self.text, self.size = text, size

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.text), self.size):
            yield self.text[start : start + self.size]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"a", [(1, b"a")]),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"a\r\n\r\n \t\r\n b \r\n", [(1, b"a"), (4, b"b")]),
        (b"\n\na\rb", [(3, b"a\rb")]),
    ],
)
def test_lines_are_numbered_and_blank_ones_are_left_out(
    text: bytes, found: list[tuple[int, bytes]]
) -> None:
    assert list(lines(text)) == list(lines(InPieces(text))) == found


def test_a_mark_before_a_large_text_is_no_part_of_its_first_line() -> None:
    assert list(lines(InPieces(b"\xef\xbb\xbf{}\n", 100))) == [(1, b"{}")]


def test_a_line_that_is_too_long_is_an_error_before_it_is_held() -> None:
    with pytest.raises(ValueError, match="too long"):
        list(lines(InPieces(b"x" * (20 << 20), 1 << 20)))


@pytest.mark.parametrize(
    ("text", "tries", "expected"),
    [
        (b'{"a":1}\n', 1, True),
        (b'{"a":1}{"b":2}\n', 1, True),
        (b'[{"a":1}]\n', 1, True),
        (b'["a"]\n', 1, True),
        (b'2026-01-10T12:00:00.000Z {"a":1}\n', 1, True),
        (b'{\n  "a": 1\n}\n', 3, False),
        (b'[\n{"a":1},\n', 3, False),
        (b'{"a":\n', 3, False),
        (b'rest"}\n{"a":1}\n', 1, False),
        (b'rest"}\n{"a":1}\n', 2, True),
        (b"hello\n", 3, False),
        (b"", 3, False),
    ],
)
def test_whether_values_are_on_lines(text: bytes, tries: int, expected: bool) -> None:  # noqa: FBT001
    assert are_lines(text, tries) is are_lines(InPieces(text), tries) is expected


def test_each_line_has_its_values_or_its_fault() -> None:
    text = b'{"a":1}\n{"b":2}[3] {"c":\n\n2026-01-10T12:00:00Z\t[4]\nx\n7\n'

    assert [tuple(each) for each in on_lines(text)] == [
        (b'{"a":1}', "line 1", ""),
        (b'{"b":2}', "line 2, value 1", ""),
        (b"[3]", "line 2, value 2", ""),
        (b'{"c":', "line 2, value 3", "invalid JSON at byte 16, damaged or cut short"),
        (b"[4]", "line 4", ""),
        (b"x", "line 5", "no JSON at byte 0"),
        (b"7", "line 6", ""),
    ]


def test_values_one_behind_the_other_end_where_one_has_no_end() -> None:
    assert [tuple(each) for each in consecutive(b' {"a":"}"}\n[1]\t"b"{"c":[}')] == [
        (b'{"a":"}"}', "value 1", ""),
        (b"[1]", "value 2", ""),
        (b'"b"', "value 3", ""),
        (b'{"c":[}', "value 4", "invalid JSON at byte 24, damaged or cut short"),
    ]


def test_braces_in_a_string_do_not_end_a_value() -> None:
    texts = [b'{"a":"}{"}', b'{"b":"}{}{}{}{}{}{"}', b'{"c":{}}', b'{"d":NaN}', b'{"e":"\\"}{"}']

    assert [each.raw for each in consecutive(b"".join(texts))] == texts


@pytest.mark.parametrize("quote", ['""', '\\"'])
def test_a_column_of_csv_has_its_values_row_by_row(quote: str) -> None:
    text = '"id","Event"\r\n"1","{"a":1}"\r\n"2\n3","{"b":"x,\\\\ny"}"\r\n\r\n"4"\r\n'
    written = (
        text.replace('{"', "{" + quote).replace('":', quote + ":").replace(':"x', f":{quote}x")
    )
    written = written.replace('y"}', f"y{quote}}}")
    if quote == '""':
        written = written.replace("\\\\n", "\\n")

    found = [tuple(each) for each in in_column(written.encode(), "event")]

    assert found == [
        (b'{"a":1}', "row 1", ""),
        (b'{"b":"x,\\ny"}', "row 2", ""),
        (b"4", "row 3", "1 fields where the header has 2"),
    ]
    assert found == [tuple(each) for each in in_column(InPieces(written.encode()), "event")]


def test_a_row_that_is_no_csv_costs_no_other() -> None:
    text = b'id,event\n1,{}\n2,{"a":\r1}\n3,\0\n4,"[]"\n'

    assert [tuple(each) for each in in_column(text, "event")] == [
        (b"{}", "row 1", ""),
        (b'{"a":\r1}', "row 2", ""),
        (b"\0", "row 3", ""),
        (b"[]", "row 4", ""),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"id,event\n", True),
        (b'"id","EVENT"\r\n', True),
        (b"event", True),
        (b"id,events\n", False),
        (b'{"event":1}\n', False),
        (b"", False),
    ],
)
def test_whether_a_text_has_a_column(text: bytes, expected: bool) -> None:  # noqa: FBT001
    assert has_column(text, "event") is has_column(InPieces(text), "event") is expected


@pytest.mark.parametrize(("text", "expected"), [(b" [1] ", True), (b"[1]]", False), (b"", False)])
def test_whether_a_text_is_one_value(text: bytes, expected: bool) -> None:  # noqa: FBT001
    assert is_value(text) is expected
