"""Large texts, which are cut between records; what envelopes hold is in `test_decode`."""

import gzip
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.envelopes.envelope import find_cuts, records_between
from cloudtrail_parquet.envelopes.shapes import raw_records
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.records.decode import decode
from tests.builders import (
    as_text,
    broken,
    envelope,
    fitting_records,
    odd_records,
    record,
)

ONE = as_text(record(eventName="One"))
NESTED = as_text(record(requestParameters={"list": [{"eventVersion": "1"}, {"eventVersion": "2"}]}))
QUOTED = as_text(record(userAgent='},{"eventVersion":"1"},' + ONE))


class InPieces(LargeText):
    """A text that comes in pieces of a few bytes, as a large one comes in mebibytes."""

    def __init__(self, text: bytes, size: int) -> None:
        super().__init__(gzip.compress(text), 1 << 30, "a.json.gz")
        self.text, self.size = text, size

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.text), self.size):
            yield self.text[start : start + self.size]


def elements(text: LargeText) -> list[bytes] | None:
    """The elements of a text that can be cut."""
    cuts = find_cuts(text)
    return None if cuts is None else list(map(bytes, records_between(text, cuts)))


def outcome(text: bytes | LargeText) -> object:
    """What is decoded from a text, or what is wrong with it."""
    try:
        batches = list(decode(text, "a.json.gz"))
    except UnreadableLogError as error:
        return error.args
    taken = [
        (position, repr(msgspec.to_builtins(one, enc_hook=bytes)), batch.unmapped.get(row))
        for batch in batches
        for row, (position, one) in enumerate(zip(batch.positions, batch.records, strict=True))
    ]
    return taken, [rejected for batch in batches for rejected in batch.rejected]


@given(
    st.lists(st.one_of(fitting_records.map(as_text), odd_records), max_size=5),
    st.sampled_from([",", " ,\n\t", ", "]),
    st.integers(40, 3_000),
)
@example([ONE, NESTED, QUOTED, ONE], ",", 40)
def test_a_text_in_pieces_has_the_elements_of_the_whole(
    texts: list[str], comma: str, size: int
) -> None:
    text = f'{{"Records": [ {comma.join([ONE, *texts])} ] }}\n'.encode()

    found = elements(InPieces(text, size))

    assert found is None or found == list(map(bytes, raw_records(text, "a")))


@given(odd_records.flatmap(lambda text: broken(envelope([ONE, text, ONE]))), st.integers(40, 2_000))
def test_a_damaged_text_in_pieces_has_the_records_or_the_error_of_the_whole(
    text: bytes, size: int
) -> None:
    assert outcome(InPieces(text, size)) == outcome(text)


@pytest.mark.parametrize("comma", [",", "\n  ,\n  "])
@pytest.mark.parametrize("text", [ONE, NESTED, QUOTED, as_text(record(userAgent="漢字"))])
def test_a_text_is_cut_between_its_records(text: str, comma: str) -> None:
    whole = f'{{"Records":[{comma.join([text] * 50)}]}}'.encode()

    cuts = find_cuts(InPieces(whole, 1_000))

    assert cuts is not None
    assert len(cuts) > 20
    assert all(whole[cut:].startswith(text.encode()) for cut in cuts[:-1])
    assert whole[cuts[-1] :] == b"]}"


def test_every_record_may_be_in_many_pieces() -> None:
    texts = [ONE, QUOTED, ONE, NESTED]

    assert elements(InPieces(envelope(texts), 40)) == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{}", b'{"Records":[]}', envelope(["7", ONE]), envelope([ONE])[:-1]),
        envelope([ONE] * 9)[:-1] + b',"more":1}',
        b"\xef\xbb\xbf" + envelope([ONE] * 9),
        envelope([ONE] * 9)[:-2] + b",]}",
        envelope([f"{{}},,{ONE}"] * 9),
        envelope([ONE] * 9 + ['{"a":NaN}'] + [ONE] * 9),
        envelope([ONE] * 9 + ['{"a":"b'] + [ONE] * 9),
        envelope([ONE] * 9).replace(b"ada", b"\xff"),
        envelope(['{"a":' * 100_000 + "1" + "}" * 100_000] * 2),
    ],
)
def test_a_text_that_is_not_plain_is_not_cut(text: bytes) -> None:
    assert find_cuts(InPieces(text, 1_000)) is None


def test_a_text_without_another_beginning_is_given_up_before_it_is_held_whole() -> None:
    taken = 0

    class Endless(InPieces):
        def pieces(self) -> Iterator[bytes]:
            nonlocal taken
            for piece in super().pieces():
                taken += len(piece)
                yield piece

    text = envelope([ONE, '{"a":"' + "x" * (40 << 20) + '"}'])

    assert find_cuts(Endless(text, 1 << 20)) is None
    assert taken < 20 << 20


def test_a_large_file_that_is_damaged_at_its_end_is_reported_before_its_first_record() -> None:
    text = InPieces(envelope([ONE] * 5_000)[:-2] + b"x]}", 100_000)

    with pytest.raises(UnreadableLogError):
        decode(text, "a.json.gz")


def test_the_batches_of_a_text_in_pieces_are_those_of_the_whole() -> None:
    large = as_text(record(requestParameters={"a": "x" * 2_000}))
    text = envelope([large] * 2_200)

    whole = [batch.positions for batch in decode(text, "a.json.gz")]

    assert len(whole) > 1
    assert [batch.positions for batch in decode(InPieces(text, 100_000), "a.json.gz")] == whole


def test_the_records_of_a_large_text_can_be_read_again() -> None:
    text = envelope([ONE, NESTED])

    assert list(map(bytes, raw_records(InPieces(text, 100), "a"))) == [
        ONE.encode(),
        NESTED.encode(),
    ]
