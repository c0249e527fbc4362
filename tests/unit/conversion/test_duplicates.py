import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.duplicates import Duplicates
from cloudtrail_parquet.envelopes.shapes import raw_records
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.event_times import event_times
from cloudtrail_parquet.records.keys import content, keys_of
from tests.builders import as_text, envelope, odd_records, record

DAY = date(2026, 1, 10)
TIMED = '"eventTime":"2026-01-10T12:34:56Z"'


def text(event_id: object = "a", **changes: object) -> str:
    return as_text(record(eventID=event_id, **changes))


class Source:
    """Log files of records, and what a run keeps of them."""

    def __init__(self, *files: list[str]) -> None:
        self.texts = [envelope(file) for file in files]
        self.reads: list[int] = []
        self.duplicates = Duplicates(self._read_again)

    def _read_again(self, file: int) -> list[Any]:
        self.reads.append(file)
        return raw_records(self.texts[file], "a.json.gz")

    def drafts(self, files: Iterable[int] | None = None) -> pa.Table:
        rows: list[tuple[int, int, int]] = []
        for number in range(len(self.texts)) if files is None else files:
            for batch in decode(self.texts[number], "a.json.gz"):
                times = event_times(batch.records, batch.unmapped)
                keys = keys_of(batch.records, times)
                rows += zip(keys, [number] * len(keys), batch.positions, strict=True)
        key, file, position = zip(*rows, strict=True) if rows else ((), (), ())
        return pa.table(
            {
                "#key": pa.array(key, pa.int64()),
                "#file": pa.array(file, pa.int32()),
                "#record": pa.array(position, pa.int32()),
            }
        )

    def kept(self, files: Iterable[int] | None = None, day: date = DAY) -> list[tuple[int, int]]:
        first = self.duplicates.first_only(self.drafts(files), day).to_pydict()
        return list(zip(first["#file"], first["#record"], strict=True))


def test_the_same_id_with_the_same_content_is_kept_once_the_first_of_them() -> None:
    source = Source([text("a"), text("b")], [text("b"), text("a"), text("c")])

    assert source.kept() == [(0, 0), (0, 1), (1, 2)]
    assert source.duplicates.conflicts == 0


def test_the_same_id_with_another_content_stays_and_is_a_conflict() -> None:
    source = Source(
        [text("a"), text("a", eventName="Other"), text("a"), text("a", eventName="Third")]
    )

    assert source.kept() == [(0, 0), (0, 1), (0, 3)]
    assert source.duplicates.conflicts == 2


def test_another_id_with_the_same_content_stays() -> None:
    assert Source([text("a"), text("b")]).kept() == [(0, 0), (0, 1)]


@pytest.mark.parametrize("missing", [..., None, 7])
def test_records_without_an_id_are_compared_by_content(missing: object) -> None:
    source = Source([text(missing), text(missing, userAgent="other"), text(missing)])

    assert source.kept() == [(0, 0), (0, 1)]
    assert source.duplicates.conflicts == 0


def test_a_record_kept_before_is_not_kept_again() -> None:
    source = Source(
        [text("a"), text("b")], [text("a"), text("c")], [text("c"), text("a", eventName="x")]
    )

    assert source.kept([0]) == [(0, 0), (0, 1)]
    assert source.kept([1]) == [(1, 1)]
    assert source.kept([2], date(2026, 1, 11)) == [(2, 1)]
    assert source.duplicates.conflicts == 1


def test_the_keys_of_a_day_are_those_that_were_kept_for_it() -> None:
    source = Source([text("a"), text("a"), text("b")], [text("c")])
    source.kept([0])
    source.kept([1], date(2026, 1, 11))

    assert source.duplicates.keys(DAY).to_pylist() == [hash("a"), hash("b")]
    assert source.duplicates.keys(date(2026, 1, 11)).to_pylist() == [hash("c")]
    assert source.duplicates.keys(date(2026, 1, 12)).to_pylist() == []


def test_no_rows_are_no_duplicates() -> None:
    assert Source([]).kept() == []


def test_nothing_is_read_again_as_long_as_no_keys_meet() -> None:
    source = Source([text("a"), text("b")], [text("c")])

    source.kept()

    assert source.reads == []


def test_keys_that_meet_by_chance_drop_nothing() -> None:
    source = Source([text("a"), text("b"), text("b")])
    drafts = source.drafts().set_column(0, "#key", pa.array([5, 5, 5], pa.int64()))

    first = source.duplicates.first_only(drafts, DAY)

    assert first["#record"].to_pylist() == [0, 1]
    assert source.duplicates.conflicts == 0


def test_a_copy_is_known_however_its_json_is_written() -> None:
    other = f'{{ {TIMED},\n"b":{{"y":[1.10],"x":null}},"eventID":"\\u0061" }}'
    one = f'{{"eventID":"a","b":{{"x":null,"y":[1.10]}},{TIMED}}}'

    assert Source([one], [other]).kept() == [(0, 0)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"a":1.10', '"a":1.1'),
        ('"a":1', '"a":"1"'),
        ('"a":[1,2]', '"a":[2,1]'),
        ('"a":12345678901234567890', '"a":12345678901234567891'),
        (r'"a":"\ud800"', r'"a":"\ud801"'),
        ('"requestParameters":{"a":1}', '"requestParameters":{"A":1}'),
        ('"requestParameters":""', '"requestParameters":{}'),
    ],
)
def test_contents_that_differ_only_a_little_are_both_kept(one: str, other: str) -> None:
    texts = [f'{{{TIMED},"eventID":"a",{members}}}' for members in (one, other)]

    assert Source(texts).kept() == [(0, 0), (0, 1)]
    assert Source([text.replace('"eventID":"a",', "") for text in texts]).kept() == [(0, 0), (0, 1)]


def test_copies_in_many_files_are_found_though_few_files_are_at_hand() -> None:
    source = Source(*[[text(str(n)) for n in range(3)] for _ in range(9)])

    assert source.kept() == [(0, 0), (0, 1), (0, 2)]


def test_very_deep_copies_are_found() -> None:
    deep = f'{{{TIMED},"eventID":"a","requestParameters":{"[" * 5_000}{"]" * 5_000}}}'

    assert Source([deep, deep, deep.replace("[]", "[1]")]).kept() == [(0, 0), (0, 2)]


@given(
    st.lists(odd_records, min_size=1, max_size=3).flatmap(
        lambda some: st.lists(st.sampled_from(some))
    )
)
def test_of_each_content_exactly_one_record_is_kept(texts: list[str]) -> None:
    source = Source(texts)

    kept = [texts[record] for _, record in source.kept()]

    for one in texts:
        assert sum(members(one) == members(other) for other in kept) == 1


def members(text: str) -> Any:  # noqa: ANN401
    """A JSON text as Python values; of an object all members, those that stand twice, too."""
    return json.loads(text, parse_int=digits, parse_float=digits, object_pairs_hook=by_name)


def digits(text: str) -> tuple[str]:
    return (text,)


def by_name(pairs: list[tuple[str, Any]]) -> tuple[str, list[tuple[str, Any]]]:
    return "object", sorted(pairs, key=lambda pair: pair[0])


@given(st.lists(odd_records, min_size=1, max_size=5), st.integers(0, 5))
def test_it_does_not_matter_how_records_are_cut_into_files(texts: list[str], cut: int) -> None:
    several = Source(texts[:cut], texts[cut:])

    kept = [file * cut + record for part in ([0], [1]) for file, record in several.kept(part)]

    assert kept == [record for _, record in Source(texts).kept()]


def test_contents_are_told_apart_by_sixteen_bytes() -> None:
    assert len(content(b"{}")) == 16
    assert content(b'{"a":1}') != content(b'{"a":2}')
