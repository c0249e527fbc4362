import gzip
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText, inflate, text_of
from cloudtrail_parquet.records.decode import decode
from tests.builders import broken, envelope, log_file, record

MIB = 1 << 20
TEXT = envelope([record()])
GZIPPED = gzip.compress(TEXT, mtime=0)


def take(data: bytes, max_bytes: int = 64 * MIB) -> bytes:
    return inflate(data, max_bytes, "a.json.gz")


def bomb(size: int) -> bytes:
    stream = zlib.compressobj(9, wbits=31)
    pieces = [stream.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*pieces, stream.flush()])


@pytest.mark.parametrize("text", [b"", b"{}", TEXT, b"\x1f", b"\x8b\x1f", b"\0\0"])
def test_what_is_not_gzipped_is_returned_as_it_is(text: bytes) -> None:
    assert take(text) == text


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("text", [b"", b"{", TEXT, TEXT * 500, bytes(3 * MIB)])
def test_what_is_gzipped_is_inflated(text: bytes, level: int) -> None:
    assert take(gzip.compress(text, level)) == text


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.integers(0, 20))
def test_several_members_are_joined_and_padding_is_dropped(texts: list[bytes], zeros: int) -> None:
    data = b"".join(map(gzip.compress, texts)) + bytes(zeros)

    assert take(data) == b"".join(texts)


@pytest.mark.parametrize("members", [1, 3])
def test_what_is_gzipped_twice_is_inflated_twice(members: int) -> None:
    once = gzip.compress(TEXT) * members

    assert take(gzip.compress(once)) == TEXT * members
    with pytest.raises(UnreadableLogError, match="cut short"):
        take(gzip.compress(once[:-9]))
    with pytest.raises(UnreadableLogError, match="inflates to more than"):
        take(gzip.compress(once), len(TEXT) * members - 1)


def test_very_many_members_are_joined() -> None:
    assert take(gzip.compress(b"{}", mtime=0) * 60_000) == b"{}" * 60_000


def test_a_member_with_a_name_and_a_comment_in_its_header_is_inflated() -> None:
    extras = GZIPPED[:3] + bytes([4 | 8 | 16]) + GZIPPED[4:10]
    extras += b"\x02\x00ab" + b"a.json\0" + b"a comment\0" + GZIPPED[10:]

    assert take(extras) == TEXT


@pytest.mark.parametrize(
    "tail", [b"x", b"\0x", b"\x1f", b"\x1f\x8b", b"\n", b"{}", b"\0" * 600 + b"\n"]
)
def test_other_bytes_after_the_stream_are_reported(tail: bytes) -> None:
    with pytest.raises(UnreadableLogError, match=r"^a\.json\.gz: .*gzip stream"):
        take(GZIPPED + tail)


def test_a_file_cut_short_anywhere_is_never_read_as_whole() -> None:
    for end in range(len(GZIPPED)):
        with pytest.raises(UnreadableLogError, match=r"^a\.json\.gz: "):
            list(decode(take(GZIPPED[:end]), "a.json.gz"))


def test_a_second_member_cut_short_anywhere_is_reported() -> None:
    for end in range(1, len(GZIPPED)):
        with pytest.raises(UnreadableLogError, match=r"^a\.json\.gz: .*gzip stream"):
            take(GZIPPED + GZIPPED[:end])


def test_a_flipped_bit_anywhere_behind_the_header_is_reported_unless_it_means_nothing() -> None:
    harmless = 0
    for bit in range(10 * 8, len(GZIPPED) * 8):
        damaged = bytearray(GZIPPED)
        damaged[bit // 8] ^= 1 << bit % 8
        with suppress(UnreadableLogError):
            assert take(bytes(damaged)) == TEXT
            harmless += 1
    assert harmless < 8  # bits that fill up the last byte of the content


@given(broken(GZIPPED))
def test_a_damaged_file_is_reported_or_harmless(data: bytes) -> None:
    try:
        text = take(data)
    except UnreadableLogError:
        return
    assert text in (TEXT, data)
    assert text == TEXT or not data.startswith(b"\x1f\x8b")


@given(st.binary())
def test_any_bytes_after_the_gzip_magic_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(UnreadableLogError):
        take(b"\x1f\x8b" + data)


@pytest.mark.parametrize("size", [0, 1, 63, 100_000, 3 * MIB])
@pytest.mark.parametrize("gzipped", [True, False])
def test_the_limit_is_the_last_size_that_is_read(size: int, *, gzipped: bool) -> None:
    text = bytes(size)
    data = gzip.compress(text) if gzipped else text

    assert take(data, size) == text
    if size:
        with pytest.raises(UnreadableLogError, match=f"max_inflated_bytes = {size - 1}"):
            take(data, size - 1)


def test_the_limit_is_for_all_members_together() -> None:
    data = gzip.compress(bytes(60)) * 2

    assert len(take(data, 120)) == 120
    with pytest.raises(UnreadableLogError, match="max_inflated_bytes = 119"):
        take(data, 119)


INFLATE = """
import resource, sys
from pathlib import Path
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText, inflate, text_of
data = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(len(inflate(data, int(sys.argv[2]), "a")))
except UnreadableLogError as error:
    print(error.what)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
APART = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A process starts with the peak of the one that it was forked from: this one is small."""
KIB = 1 if sys.platform == "darwin" else 1024


def inflated_apart(path: Path, max_bytes: int) -> tuple[str, int]:
    """What comes of a file in a process of its own, and by how much its peak memory grew."""
    child = [sys.executable, "-c", INFLATE, str(path), str(max_bytes)]
    done = subprocess.run(
        [sys.executable, "-c", APART, *child], capture_output=True, text=True, check=True
    )
    said, grown = done.stdout.splitlines()
    return said, int(grown) * KIB


@pytest.fixture(scope="module")
def large_bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bomb") / "bomb.gz"
    path.write_bytes(bomb(120 * MIB))
    return path


@pytest.mark.parametrize("said", [None, 0, 2 * MIB, 4 * MIB, 96 * MIB, 2**32 - 1])
@pytest.mark.parametrize("members", [b"", gzip.compress(b" ")], ids=["alone", "second"])
def test_a_bomb_is_refused_with_little_memory_whatever_its_trailer_says(
    tmp_path: Path, large_bomb: Path, said: int | None, members: bytes
) -> None:
    data = large_bomb.read_bytes()
    trailer = data[-4:] if said is None else said.to_bytes(4, "little")
    path = tmp_path / "bomb.gz"
    path.write_bytes(members + data[:-4] + trailer)

    reason, grown = inflated_apart(path, 100 * MIB)

    assert reason == f"it inflates to more than max_inflated_bytes = {100 * MIB}"
    assert grown < 32 * len(data) + 10 * MIB


@pytest.mark.parametrize("members", [b"", gzip.compress(b" ")], ids=["alone", "second"])
def test_of_a_file_that_is_read_one_buffer_is_held(
    tmp_path: Path, large_bomb: Path, members: bytes
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(members + large_bomb.read_bytes())

    size, grown = inflated_apart(path, 125 * MIB)

    assert int(size) == 120 * MIB + bool(members)
    assert grown < 130 * MIB


def test_a_large_genuine_file_beyond_the_usual_ratio_is_read() -> None:
    assert take(bomb(16 * MIB), 16 * MIB) == bytes(16 * MIB)


def test_a_file_whose_header_alone_is_there_is_cut_short() -> None:
    with pytest.raises(UnreadableLogError, match="cut short"):
        take(log_file(record())[:10])


# Large files.


def in_pieces(data: bytes) -> list[bytes]:
    return list(LargeText(data, 64 * MIB, "a.json.gz").pieces())


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_large_text_comes_in_small_pieces_as_often_as_it_is_asked_for(level: int) -> None:
    text = bytes(range(256)) * (3 * MIB // 256 + 1)
    large = LargeText(gzip.compress(text, level), 64 * MIB, "a.json.gz")

    for _ in range(2):
        pieces = list(large.pieces())
        assert b"".join(pieces) == text
        assert max(map(len, pieces)) <= MIB
    assert len(large) == len(text)
    assert large.whole() == text


@pytest.mark.parametrize(
    "data",
    [
        *(GZIPPED[:-1], GZIPPED[:-9], GZIPPED[: len(GZIPPED) // 2], GZIPPED[:10]),
        *(GZIPPED + b"x", GZIPPED + bytes(9), GZIPPED * 2, gzip.compress(b"") + GZIPPED),
        GZIPPED[:-4] + (len(TEXT) - 1).to_bytes(4, "little"),
        GZIPPED[:-4] + (len(TEXT) + 1).to_bytes(4, "little"),
    ],
)
def test_only_one_whole_member_comes_in_pieces(data: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        in_pieces(data)


@given(broken(GZIPPED))
def test_pieces_of_a_damaged_file_are_refused_or_its_text(data: bytes) -> None:
    with suppress(ValueError):
        assert b"".join(in_pieces(data)) == TEXT
        assert take(data) == TEXT


@pytest.mark.parametrize(("data", "size"), [(GZIPPED * 2, 2 * len(TEXT)), (GZIPPED, len(TEXT))])
def test_a_large_text_that_was_inflated_whole_tells_its_size(data: bytes, size: int) -> None:
    large = LargeText(data, 64 * MIB, "a.json.gz")

    assert len(large.whole()) == len(large) == size


def test_a_large_text_that_cannot_be_read_says_what_others_say() -> None:
    for data in (GZIPPED[:-1], GZIPPED + b"x", bomb(65 * MIB)):
        with pytest.raises(UnreadableLogError) as expected:
            take(data)
        with pytest.raises(UnreadableLogError) as error:
            LargeText(data, 64 * MIB, "a.json.gz").whole()
        assert error.value.args == expected.value.args


@pytest.mark.parametrize(
    ("size", "max_bytes", "large"),
    [
        (64 * MIB, 1 << 30, False),  # what CloudTrail writes is inflated at once
        (64 * MIB + 1, 1 << 30, True),
        (64 * MIB + 1, 64 * MIB + 1, True),
        (64 * MIB + 1, 64 * MIB, False),
    ],
)
def test_only_a_large_file_is_not_inflated_yet(size: int, max_bytes: int, *, large: bool) -> None:
    data = gzip.compress(bytes(size), compresslevel=0)
    try:
        text = text_of(data, max_bytes, "a.json.gz")
    except UnreadableLogError:
        assert size > max_bytes
        return
    assert isinstance(text, LargeText) == large
    assert len(text) == size
