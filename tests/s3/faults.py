"""A proxy in front of an S3 server that records requests and makes some of them go wrong.

    with FaultProxy(moto_url) as proxy:
        proxy.add(error(503, "SlowDown", method="GET", path=r"\\.json\\.gz$", times=2))
        ...                                 # a client with proxy.url as its endpoint
        assert proxy.count("GET") == 3

It speaks plain HTTP/1.1, keeps connections alive and needs nothing but the standard library.
"""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>TEST</RequestId></Error>"
)


@dataclass
class Request:
    """One request as the client sent it.

    Attributes:
        method: ``GET``, ``PUT``, ...
        path: ``/bucket/key``, decoded.
        query: Its parameters; those without a value are empty texts.
        headers: By name in lower case.
        body: Of a POST; of others it is not kept.
        at: When it came, on the monotonic clock.
        status: What was answered; 0 for a broken connection.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)
    status: int = 0

    @property
    def lists(self) -> bool:
        """Whether it asks for a page of a listing."""
        return self.method == "GET" and "list-type" in self.query


@dataclass
class Answer:
    """What the server said, or what is said in its stead."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Fault:
    """Something that goes wrong with the requests that match.

    Attributes:
        method: Only requests with this method; any when empty.
        path: Only paths in which this regular expression is found.
        query: Only requests with this query parameter, such as ``uploads`` or ``partNumber``.
        when: Only requests for which this is true.
        times: How many requests it happens to; None for all of them.
        answer: Said in the server's stead.
        delay_s: How long the server thinks before it answers.
        lost: The connection breaks: ``"before"`` the server has seen the request, or ``"after"``
            it has done what was asked; with an ``answer``, that is said then.
        keep_bytes: The body of the answer ends after so many bytes, and the connection with it.
        change: Makes another answer of the server's to a request.
    """

    method: str = ""
    path: str = ""
    query: str = ""
    when: Callable[[Request], bool] = lambda _: True
    times: int | None = None
    answer: Answer | None = None
    delay_s: float = 0
    lost: str = ""
    keep_bytes: int | None = None
    change: Callable[[Request, Answer], Answer] = lambda _, answer: answer

    def matches(self, request: Request) -> bool:
        """Whether it happens to this request."""
        return (
            self.times != 0
            and self.method in {"", request.method}
            and re.search(self.path, request.path) is not None
            and (not self.query or self.query in request.query)
            and self.when(request)
        )


def error(  # noqa: PLR0913
    status: int,
    code: str,
    message: str = "injected",
    *,
    method: str = "",
    path: str = "",
    query: str = "",
    when: Callable[[Request], bool] = lambda _: True,
    times: int | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Fault:
    """An answer with an error of S3's in it: ``503 SlowDown``, ``403 AccessDenied``, ..."""
    body = _ERROR.format(code=code, message=message).encode()
    answer = Answer(status, [("Content-Type", "application/xml"), *headers], body)
    return Fault(method, path, query, when, times, answer)


def only_below(path: str) -> list[Fault]:
    """What somebody meets who may list a bucket below one prefix only, as in ``/bucket/prefix/``.

    A missing object is forbidden to them: to ask for an object is not to list below the prefix.
    Source: GetObject, S3 API Reference: 404 is for those only who may list the bucket.
    """
    bucket, prefix = path[1:].split("/", 1)
    refusal = error(403, "AccessDenied").answer

    def is_outside(request: Request) -> bool:
        return not request.query.get("prefix", "").startswith(prefix)

    def forbid_absence(_: Request, answer: Answer) -> Answer:
        is_bucket = b"NoSuchBucket" in answer.body
        return refusal if refusal and answer.status == 404 and not is_bucket else answer

    return [
        error(403, "AccessDenied", path=f"^/{bucket}/?$", query="list-type", when=is_outside),
        Fault(path=f"^/{bucket}/.", change=forbid_absence),
    ]


def every(number: int) -> Callable[[Request], bool]:
    """For ``when``: every so-many-th of the requests that match otherwise; none twice in a row.

    Requests side by side share the count: by chance it would fall on each try of one of them, and
    a fault that passes would be one that stays.
    """
    seen = count(1)
    met = set[tuple[object, ...]]()

    def is_met(request: Request) -> bool:
        query, part = tuple(sorted(request.query.items())), request.headers.get("range")
        asked = (request.method, request.path, query, part, request.body)
        if next(seen) % number:
            met.discard(asked)
        elif asked in met:
            met.remove(asked)
        else:
            met.add(asked)
        return asked in met

    return is_met


class FaultProxy:
    """Hands requests on to a server, but for what the faults say; use it as a context.

    Attributes:
        url: Its own endpoint.
        requests: What came, in order.
        page_size: Keys in a page of a listing; as many as the server likes when None.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.page_size: int | None = None
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=partial(self._server.serve_forever, 0.05))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, *faults: Fault) -> None:
        """Let these happen from now on; of several that match, the first."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Forget faults and requests."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()

    def seen(self, method: str = "", path: str = "", query: str = "") -> list[Request]:
        """The requests with a method, a regular expression in the path, a query parameter."""
        wanted = Fault(method, path, query)
        with self._lock:
            return [request for request in self.requests if wanted.matches(request)]

    def count(self, method: str = "", path: str = "", query: str = "") -> int:
        """How many of them there were."""
        return len(self.seen(method, path, query))

    @contextmanager
    def recorded(self) -> Iterator[list[Request]]:
        """The requests made while in the context, in a list that fills when it ends."""
        start, requests = len(self.requests), list[Request]()
        yield requests
        with self._lock:
            requests.extend(self.requests[start:])

    def _note(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.matches(request):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone, or was sent away, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, proxy: FaultProxy, *arguments: object) -> None:
        self._proxy = proxy
        self._upstream: http.client.HTTPConnection | None = None
        super().__init__(*arguments)  # type: ignore[arg-type]  # the server passes them

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_any(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        kept = body if self.command == "POST" else b""
        request = Request(self.command, unquote(parts.path), query, headers, kept)
        fault = self._proxy._note(request) or Fault()  # noqa: SLF001
        if fault.delay_s:
            time.sleep(fault.delay_s)
        if fault.lost == "before":
            self._break()
            return
        if fault.lost == "after":
            self._forward(request, body)
            if fault.answer is None:
                self._break()
                return
        answer = fault.answer or fault.change(request, self._forward(request, body))
        request.status = answer.status
        self._say(answer, fault.keep_bytes)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815

    def _forward(self, request: Request, body: bytes) -> Answer:
        target = self.path
        if request.lists and self._proxy.page_size is not None:
            query = {**request.query, "max-keys": str(self._proxy.page_size)}
            target = f"{urlsplit(self.path).path}?{urlencode(query)}"
        if self._upstream is None:
            host, port = self._proxy._upstream  # noqa: SLF001
            self._upstream = http.client.HTTPConnection(host, port, timeout=60)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP
        }
        self._upstream.request(self.command, target, body, headers)
        response = self._upstream.getresponse()
        kept = [one for one in response.getheaders() if one[0].lower() not in _HOP_BY_HOP]
        return Answer(response.status, kept, response.read())

    def _say(self, answer: Answer, keep_bytes: int | None) -> None:
        self.send_response_only(answer.status)
        lengths = [value for name, value in answer.headers if name.lower() == "content-length"]
        for name, value in answer.headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        whole = lengths[0] if self.command == "HEAD" and lengths else str(len(answer.body))
        self.send_header("Content-Length", whole)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:keep_bytes])
        self.wfile.flush()
        if keep_bytes is not None:
            self.close_connection = True

    def _break(self) -> None:
        """Reset the connection: no FIN, no more answers."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        super().finish()
