"""The slow S3 of the benchmarks answers as S3 does, late, and to many at once."""

import socket
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import obstore.store
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.slow_s3.objects import Bucket
from bench.slow_s3.process import SlowS3
from bench.slow_s3.server import Request, Server

BODY = b"0123456789"
KEYS = st.sets(st.text("ab/-", min_size=1, max_size=5), max_size=30)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A bucket with one object."""
    (tmp_path / "object").write_bytes(BODY)
    return Server({"bucket": Bucket(tmp_path)}, 0)


def ask(server: Server, method: str, target: str, body: bytes = b"", **headers: str) -> str:
    """The whole answer as text."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    (head, content), _ = server.answer(Request(method, target, named, body))
    return head.decode() + bytes(content).decode()


def status(answer: str) -> int:
    return int(answer.split(" ")[1])


def etag(answer: str) -> str:
    return answer.partition("ETag: ")[2].partition("\r\n")[0]


@given(KEYS, st.sampled_from(["", "a", "a/", "b-"]), st.sampled_from(["", "/"]), st.integers(1, 4))
def test_the_pages_of_a_listing_hold_every_key_or_its_folder_once_and_in_order(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    bucket = Bucket(Path("/nowhere"))
    for key in keys:
        bucket.put(key, b"")
    listed, folders, after = list[str](), list[str](), ""
    while True:
        page = bucket.page(prefix, delimiter, after, limit)
        assert len(page.keys) + len(page.prefixes) <= limit
        listed, folders = listed + page.keys, folders + page.prefixes
        if page.token is None:
            break
        after = page.token

    below = sorted(key for key in keys if key.startswith(prefix))
    rests = [key.removeprefix(prefix) for key in below]
    inner = [bool(delimiter) and delimiter in rest for rest in rests]
    assert listed == [key for key, folder in zip(below, inner, strict=True) if not folder]
    assert folders == sorted(
        {
            prefix + rest.partition("/")[0] + "/"
            for rest, folder in zip(rests, inner, strict=True)
            if folder
        }
    )


@pytest.mark.parametrize(
    ("wanted", "body", "told"),
    [
        ("bytes=2-4", "234", "2-4/10"),
        ("bytes=7-", "789", "7-9/10"),
        ("bytes=-3", "789", "7-9/10"),
        ("bytes=8-99", "89", "8-9/10"),
    ],
)
def test_a_range_is_given_with_its_place(server: Server, wanted: str, body: str, told: str) -> None:
    answer = ask(server, "GET", "/bucket/object", range=wanted)

    assert status(answer) == HTTPStatus.PARTIAL_CONTENT
    assert f"Content-Range: bytes {told}\r\n" in answer
    assert answer.endswith(f"\r\n\r\n{body}")


def test_a_range_behind_the_end_and_an_absent_object_are_errors(server: Server) -> None:
    assert status(ask(server, "GET", "/bucket/object", range="bytes=10-12")) == 416
    assert "NoSuchKey" in ask(server, "GET", "/bucket/absent")
    assert "NoSuchBucket" in ask(server, "GET", "/absent/object")


def test_an_object_is_created_once_and_replaced_or_removed_only_as_the_one_that_was_seen(
    server: Server,
) -> None:
    assert status(ask(server, "PUT", "/bucket/object", b"new", if_none_match="*")) == 412
    first = ask(server, "PUT", "/bucket/a%20b", b"new", if_none_match="*")
    assert status(first) == 200
    second = ask(server, "PUT", "/bucket/a%20b", b"newer", if_match=etag(first))
    assert status(second) == 200
    assert status(ask(server, "PUT", "/bucket/a%20b", b"newest", if_match=etag(first))) == 412
    assert status(ask(server, "DELETE", "/bucket/a%20b", if_match=etag(first))) == 412
    assert ask(server, "GET", "/bucket/a%20b").endswith("newer")
    assert status(ask(server, "DELETE", "/bucket/a%20b", if_match=etag(second))) == 204
    assert status(ask(server, "PUT", "/bucket/a%20b", b"new", if_match=etag(second))) == 404


def test_objects_are_removed_together_and_listed_as_they_are_spelled(server: Server) -> None:
    for key in ("a&b", "a+b", "ä"):
        ask(server, "PUT", f"/bucket/{quote(key)}", b"")
    assert "<Key>a&amp;b</Key>" in ask(server, "GET", "/bucket?list-type=2")
    assert "<Key>a%2Bb</Key>" in ask(server, "GET", "/bucket?list-type=2&encoding-type=url")

    keys = "<Object><Key>a&amp;b</Key></Object><Object><Key>ä</Key></Object>"
    ask(server, "POST", "/bucket?delete", f"<Delete>{keys}</Delete>".encode())

    listed = ask(server, "GET", "/bucket?list-type=2&prefix=")
    assert "<Key>a+b</Key>" in listed
    assert "<KeyCount>2</KeyCount>" in listed


def test_requests_are_counted_by_kind_and_control_is_not(server: Server) -> None:
    ask(server, "GET", "/bucket/object", range="bytes=0-3")
    ask(server, "GET", "/bucket/absent")
    ask(server, "HEAD", "/bucket/object")
    ask(server, "PUT", "/bucket/new", b"12345")
    ask(server, "GET", "/bucket?list-type=2")
    ask(server, "DELETE", "/bucket/new")

    ask(server, "GET", "/-/counts")
    counts = ask(server, "GET", "/-/counts").partition("\r\n\r\n")[2]
    expected = '"GET": 2, "bytes read": 4, "HEAD": 1, "PUT": 1, "bytes written": 5, '
    assert counts == f'{{{expected}"LIST": 1, "DELETE": 1}}'


def test_many_wait_at_once_and_what_was_put_is_saved(tmp_path: Path) -> None:
    first_byte_s, requests = 0.1, 40
    with SlowS3({"lake": tmp_path / "lake"}, first_byte_s) as server:
        store = obstore.store.S3Store(
            "lake",
            config={"endpoint": f"http://{server.address}", "skip_signature": True},
            client_options={"allow_http": True},
        )
        store.put("folder/object", BODY * requests)
        starts = range(0, len(BODY) * requests, len(BODY))
        begun = time.perf_counter()
        ranges = store.get_ranges(
            "folder/object", starts=starts, lengths=[4] * requests, coalesce=0
        )
        taken_s = time.perf_counter() - begun
        assert [bytes(one) for one in ranges] == [BODY[:4]] * requests
        assert first_byte_s <= taken_s < requests * first_byte_s / 2
        assert server.counts() == Counter(
            {"PUT": 1, "GET": requests, "bytes written": 400, "bytes read": 160}
        )
        server.save()

    assert (tmp_path / "lake/folder/object").read_bytes() == BODY * requests


def test_requests_that_arrive_in_pieces_or_together_are_answered_in_order(tmp_path: Path) -> None:
    put = b"PUT /lake/a HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    get = b"GET /lake/a HTTP/1.1\r\nConnection: close\r\n\r\n"
    with (
        SlowS3({"lake": tmp_path}, 0.001) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as connection,
    ):
        for piece in (put[:9], put[9:30], put[30:-2], put[-2:] + get):
            connection.sendall(piece)
            time.sleep(0.02)
        answers = b""
        while data := connection.recv(4096):
            answers += data

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(b"\r\n\r\nbody")
