import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtrail_parquet.envelopes.shapes import enclosed_records
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.intake import streamed
from cloudtrail_parquet.intake.streamed import StreamedText, text_in
from cloudtrail_parquet.storage import Store, open_store

LINE = b'{"eventVersion":"1","eventTime":"2026-01-10T00:00:00Z","n":%d}\n'
LINES = b"".join(LINE % number for number in range(5000))
KEY = "a.jsonl"


@pytest.fixture(params=["disk", "memory"])
def large(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], StreamedText]:
    """Puts a file into a store; its text, as that of a large file."""
    store: Store = open_store(tmp_path if request.param == "disk" else "memory:///")
    monkeypatch.setattr(streamed, "_LARGE_BYTES", 100)
    monkeypatch.setattr(streamed, "_STORED_BYTES", 3000)

    def put(data: bytes) -> StreamedText:
        store.write(KEY, data)
        (entry,) = store.files("")
        text = text_in(store, entry, KEY, len(LINES))
        assert isinstance(text, StreamedText)
        return text

    return put


@pytest.mark.parametrize(
    "data",
    [LINES, gzip.compress(LINES), gzip.compress(LINES[:777]) + gzip.compress(LINES[777:])],
    ids=["plain", "gzipped", "two members"],
)
def test_the_text_of_a_large_file_comes_in_pieces_as_often_as_it_is_asked_for(
    large: Callable[[bytes], StreamedText], data: bytes
) -> None:
    text = large(data)

    for _ in range(2):
        pieces = list(text.pieces())
        assert b"".join(pieces) == LINES
        assert max(map(len, pieces)) < 1 << 20
    found = list(enclosed_records(text, KEY))
    assert [element.position for element in found] == [f"line {n}" for n in range(1, 5001)]
    assert text.whole() == LINES


@pytest.mark.parametrize("data", [gzip.compress(LINES)[:-9], gzip.compress(LINES) + b"{}"])
def test_nothing_is_taken_of_a_damaged_file(
    large: Callable[[bytes], StreamedText], data: bytes
) -> None:
    with pytest.raises(UnreadableLogError, match=f"{KEY}: the gzip stream is"):
        enclosed_records(large(data), KEY)


def test_a_text_that_has_to_be_whole_is_held_within_the_limit(
    large: Callable[[bytes], StreamedText],
) -> None:
    pretty = LINES.replace(b"{", b"{\n").replace(b"}\n", b"}\n,\n")

    with pytest.raises(
        UnreadableLogError, match=r"max_inflated_bytes = .* one record on each line"
    ):
        enclosed_records(large(b"[\n" + pretty + b"{}\n]"), KEY)
