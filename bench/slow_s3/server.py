"""S3 from memory, as far away as a network: ``python -m bench.slow_s3.server logs=FOLDER …``.

Each name is a bucket with the files below its folder as objects. Every response waits before its
first byte, and no request waits for another. Requests are path-style; signatures are not looked at.
It knows what the converter and the readers ask for: ListObjectsV2, GET with a range, HEAD, PUT and
DELETE with conditions, DeleteObjects.

    GET /-/counts    requests by kind, and bytes of objects; itself not counted, answered at once
    GET /-/save      writes what was put to the folders of the buckets

It prints its port when it is ready, and ends with its standard input. It is fast because it does
little: one thread, no framework, and objects that know their headers.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape, unescape

from bench.slow_s3.objects import Bucket

FIRST_BYTE_S = 0.020
CONTROL = "-"
"""The first name in paths that are no bucket's."""

_PAGE = 1000
_SMALL = 1 << 16  # up to here joining costs less than another call of the system
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)

Headers = dict[str, str]


class Request(NamedTuple):
    """A request; names of headers are in lower case."""

    method: str
    target: str
    headers: Headers
    body: bytes


class Response(NamedTuple):
    """A response: its status line with the headers, and its body."""

    head: bytes
    body: bytes | memoryview


def response(
    status: HTTPStatus, headers: str = "", body: bytes | memoryview = b"", length: int | None = None
) -> Response:
    """A response; ``length`` is that of the body unless it says otherwise, as for a HEAD."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: {size}\r\n{headers}\r\n"
    return Response(head.encode(), body)


def refusal(status: HTTPStatus, code: str) -> Response:
    """An error in S3's words."""
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return response(status, body=body.encode())


NO_KEY = refusal(HTTPStatus.NOT_FOUND, "NoSuchKey")
NO_BUCKET = refusal(HTTPStatus.NOT_FOUND, "NoSuchBucket")
CHANGED = refusal(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
NO_RANGE = refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange")
UNKNOWN = refusal(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented")


class Server:
    """Answers requests and counts them.

    Attributes:
        first_byte_s: How long each response waits.
    """

    def __init__(self, buckets: dict[str, Bucket], first_byte_s: float) -> None:
        self.first_byte_s = first_byte_s
        self._buckets = buckets
        self._counts = Counter[str]()
        self._answers: dict[str, Callable[[Bucket, str, Request], Response]] = {
            "GET": self._get,
            "HEAD": _head,
            "PUT": self._put,
            "DELETE": _delete,
        }

    def answer(self, request: Request) -> tuple[Response, float]:
        """The response to a request, and the seconds until its first byte."""
        path, _, query = request.target.partition("?")
        name, _, key = unquote(path[1:]).partition("/")
        if name == CONTROL:
            return self._control(key), 0
        bucket = self._buckets.get(name)
        if bucket is None:
            return NO_BUCKET, self.first_byte_s
        if not key:
            return self._of_bucket(bucket, request, query), self.first_byte_s
        self._counts[request.method] += 1
        answer = self._answers.get(request.method)
        return answer(bucket, key, request) if answer else UNKNOWN, self.first_byte_s

    def _of_bucket(self, bucket: Bucket, request: Request, query: str) -> Response:
        parameters = {
            name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()
        }
        if request.method == "GET":
            self._counts["LIST"] += 1
            return _listing(bucket, parameters)
        if request.method == "POST" and "delete" in parameters:
            self._counts["DELETE"] += 1
            return _delete_all(bucket, request.body)
        return UNKNOWN

    def _get(self, bucket: Bucket, key: str, request: Request) -> Response:
        stored = bucket.objects.get(key)
        if stored is None:
            return NO_KEY
        wanted, size = request.headers.get("range"), len(stored.body)
        if wanted is None:
            self._counts["bytes read"] += size
            return response(HTTPStatus.OK, stored.headers, stored.body)
        start, end = _range(wanted, size)
        if start >= end:
            return NO_RANGE
        self._counts["bytes read"] += end - start
        headers = f"{stored.headers}Content-Range: bytes {start}-{end - 1}/{size}\r\n"
        return response(HTTPStatus.PARTIAL_CONTENT, headers, memoryview(stored.body)[start:end])

    def _put(self, bucket: Bucket, key: str, request: Request) -> Response:
        refused = _refused(bucket, key, request.headers)
        if refused:
            return refused
        self._counts["bytes written"] += len(request.body)
        return response(HTTPStatus.OK, bucket.put(key, request.body).headers)

    def _control(self, command: str) -> Response:
        if command == "save":
            for bucket in self._buckets.values():
                bucket.save()
        return response(HTTPStatus.OK, body=json.dumps(self._counts).encode())


def _head(bucket: Bucket, key: str, _: Request) -> Response:
    stored = bucket.objects.get(key)
    if stored is None:
        return response(HTTPStatus.NOT_FOUND)
    headers = f"{stored.headers}Accept-Ranges: bytes\r\n"
    return response(HTTPStatus.OK, headers, length=len(stored.body))


def _delete(bucket: Bucket, key: str, request: Request) -> Response:
    refused = _refused(bucket, key, request.headers)
    if refused:
        return refused
    bucket.remove(key)
    return response(HTTPStatus.NO_CONTENT)


def _delete_all(bucket: Bucket, body: bytes) -> Response:
    keys = [unescape(key) for key in _KEY.findall(body.decode())]
    for key in keys:
        bucket.remove(key)
    gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return response(HTTPStatus.OK, body=f"<DeleteResult>{gone}</DeleteResult>".encode())


def _refused(bucket: Bucket, key: str, headers: Headers) -> Response | None:
    """The response if a condition of a PUT or a DELETE does not hold."""
    stored, wanted = bucket.objects.get(key), headers.get("if-match")
    if headers.get("if-none-match") == "*" and stored:
        return CHANGED
    if wanted is None:
        return None
    if stored is None:
        return NO_KEY
    return None if wanted in {"*", stored.etag} else CHANGED


def _range(header: str, size: int) -> tuple[int, int]:
    """The start and end of a range; there is nothing between them if it cannot be had."""
    match = _RANGE.fullmatch(header)
    if match is None:
        return 0, 0
    first, last = match.groups()
    if not first:
        return max(size - int(last or 0), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _listing(bucket: Bucket, asked: dict[str, str]) -> Response:
    spell = quote if asked.get("encoding-type") == "url" else escape
    after = asked.get("continuation-token") or asked.get("start-after", "")
    limit = min(int(asked.get("max-keys", _PAGE)), _PAGE)
    page = bucket.page(asked.get("prefix", ""), asked.get("delimiter", ""), after, limit)
    contents = (
        f"<Contents><Key>{spell(key)}</Key>{bucket.objects[key].listed}</Contents>"
        for key in page.keys
    )
    prefixes = (
        f"<CommonPrefixes><Prefix>{spell(prefix)}</Prefix></CommonPrefixes>"
        for prefix in page.prefixes
    )
    token = page.token and f"<NextContinuationToken>{escape(page.token)}</NextContinuationToken>"
    body = (
        f"<ListBucketResult><KeyCount>{len(page.keys) + len(page.prefixes)}</KeyCount>"
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{token or ''}"
        f"{''.join(contents)}{''.join(prefixes)}</ListBucketResult>"
    )
    return response(HTTPStatus.OK, "Content-Type: application/xml\r\n", body.encode())


class Connection(asyncio.Protocol):
    """A client's connection: takes requests out of what arrives, and sends responses in order."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._begun: tuple[str, str, Headers] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what responses are written to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._arrived += data
        while request := self._next():
            answer, pause_s = self._server.answer(request)
            is_last = request.headers.get("connection", "").lower() == "close"
            self._loop.call_later(pause_s, self._send, answer, is_last)

    def _next(self) -> Request | None:
        if self._begun is None:
            end = self._arrived.find(b"\r\n\r\n")
            if end < 0:
                return None
            first, *lines = self._arrived[:end].decode("latin-1").split("\r\n")
            del self._arrived[: end + 4]
            method, target, _ = first.split(" ")
            pairs = (line.split(":", 1) for line in lines)
            self._begun = method, target, {name.lower(): value.strip() for name, value in pairs}
        method, target, headers = self._begun
        size = int(headers.get("content-length", 0))
        if len(self._arrived) < size:
            return None
        body = bytes(self._arrived[:size])
        del self._arrived[:size]
        self._begun = None
        return Request(method, target, headers, body)

    def _send(self, answer: Response, is_last: bool) -> None:  # noqa: FBT001 - from call_later
        if len(answer.body) <= _SMALL:
            self._transport.write(b"".join(answer))
        else:
            self._transport.write(answer.head)
            self._transport.write(answer.body)
        if is_last:
            self._transport.close()


async def serve(buckets: dict[str, Bucket], first_byte_s: float) -> None:
    """Serve until standard input ends."""
    server, loop = Server(buckets, first_byte_s), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # without a word to the connections that are open


def main() -> None:
    """Serve the folders that the command line names."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("buckets", nargs="+", metavar="NAME=FOLDER")
    options.add_argument("--first-byte-ms", type=float, default=FIRST_BYTE_S * 1000)
    asked = options.parse_args()
    pairs = (bucket.partition("=") for bucket in asked.buckets)
    buckets = {name: Bucket(Path(folder)) for name, _, folder in pairs}
    asyncio.run(serve(buckets, asked.first_byte_ms / 1000))


if __name__ == "__main__":
    main()
