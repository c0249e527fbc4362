"""A Lambda function in a process of its own, under AWS's own runtime client.

`Sandbox` starts what AWS starts, ``python -m awslambdaric``, and is to it what Lambda is: it
answers the Runtime API, ends the process at the time limit, and keeps the log.

Source: Lambda Developer Guide, "Using the Lambda runtime API"; "Defined runtime environment
variables".
"""

import fcntl
import json
import os
import queue
import resource
import subprocess
import sys
import termios
import threading
import time
import uuid
from array import array
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
MEMORY_MB = 1769
TMP_MB = 512
"""What Lambda gives unless told otherwise, of memory as this project asks for."""

_HANDLER = "cloudtrail_parquet.handler.handler"
_ARN = "arn:aws:lambda:us-east-1:123456789012:function:convert"
_WATCH_S = 0.02
_MIB = 1 << 20

_STACKS_BYTES = 100 * (8 << 20)  # units, fetches and listings under way


class Code(NamedTuple):
    """What runs: the interpreter with its options, and where modules are, the function's first."""

    python: tuple[str, ...]
    path: tuple[Path, ...]


SOURCE_TREE = Code((sys.executable,), (LAMBDA_SRC,))


class Outcome(NamedTuple):
    """What an invocation came to: whether it succeeded, and what the function answered."""

    ok: bool
    payload: Any


class _Invocation(NamedTuple):
    request_id: str
    event: bytes
    deadline_ms: int


class _Api(ThreadingHTTPServer):
    """The Runtime API of one sandbox."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting: queue.SimpleQueue[_Invocation] = queue.SimpleQueue()
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def handle_error(self, request: object, client_address: object) -> None:
        """A sandbox that was ended is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Api

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next"
        invocation = self.server.waiting.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        }
        self._answer(200, invocation.event, headers)

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = self.path.rpartition("/")[2]  # of init, or of an invocation
        assert kind in {"response", "error"}
        self._answer(202, b"{}", {})
        self.server.outcomes.put(Outcome(kind == "response", payload))

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _wait_until_read(process: "subprocess.Popen[str]") -> None:
    """Let the thread that reads the log have all that was written before the outcome."""
    assert process.stdout is not None
    unread = array("i", [1])
    deadline = time.time() + 1
    while unread[0] and time.time() < deadline:
        fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, unread)
        time.sleep(0.005)


class Sandbox:
    """An execution environment; use it as a context.

    Attributes:
        log: The lines that the function and its runtime wrote, in order.
        peak_tmp_bytes: The most that was seen in its temporary folder.
        peak_memory_bytes: The most that its processes held in memory, as of the last invocation.
        open_files: Descriptors that were open after each invocation.
    """

    def __init__(
        self, environment: Mapping[str, str], tmp: Path, code: Code, memory_mb: int = MEMORY_MB
    ) -> None:
        """Describe it; a process starts with the first invocation.

        Args:
            environment: Of the function, beside what Lambda itself sets.
            tmp: Its ``/tmp``, which outlives the process.
            code: What to run.
            memory_mb: What it may have.
        """
        self._api = _Api()
        self._memory_bytes = memory_mb * _MIB
        self._command = [*code.python, "-m", "awslambdaric", _HANDLER]
        self._tmp = tmp
        self._environment = {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": "convert",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "HOME": "/nonexistent",
            "LAMBDA_TASK_ROOT": str(code.path[0]),
            "PYTHONDONTWRITEBYTECODE": "1",  # on Lambda that folder is read-only
            "PYTHONPATH": os.pathsep.join(map(str, code.path)),
            "TMPDIR": str(tmp),
            "TZ": ":UTC",
            **environment,
        }
        self._process: subprocess.Popen[str] | None = None
        self._done = threading.Event()
        self.log: list[str] = []
        self.peak_tmp_bytes = 0
        self.peak_memory_bytes = 0
        self.open_files: list[int] = []

    def __enter__(self) -> Self:
        self._tmp.mkdir(exist_ok=True)
        self._serving = threading.Thread(target=partial(self._api.serve_forever, 0.05))
        self._watching = threading.Thread(target=self._watch)
        self._serving.start()
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._done.set()
        self._watching.join()
        self._api.shutdown()
        self._serving.join()
        self._api.server_close()

    def invoke(self, event: object, timeout_s: float = 900, request_id: str = "") -> Outcome:
        """Invoke the function, one event at a time, as Lambda does; ended at the time limit.

        An event that is tried again has the ``request_id`` that it had before.
        """
        process = self._process or self._start()
        deadline = time.time() + timeout_s
        text = event if isinstance(event, bytes) else json.dumps(event).encode()
        self._api.waiting.put(
            _Invocation(request_id or str(uuid.uuid4()), text, int(deadline * 1000))
        )
        while time.time() < deadline:
            with suppress(queue.Empty):
                outcome = self._api.outcomes.get(timeout=0.2)
                self._measure(process)
                _wait_until_read(process)
                return outcome
            if process.poll() is not None:
                self._end()
                return Outcome(ok=False, payload={"errorType": "Runtime.ExitError"})
        self._end()
        return Outcome(ok=False, payload={"errorType": "Sandbox.Timedout"})

    def kill(self) -> None:
        """End the process as Lambda does, at once; the next invocation starts another."""
        if self._process is not None:
            self._process.kill()

    def lines(self, message: str = "") -> list[dict[str, Any]]:
        """The lines of the log that are JSON; only those with this message, unless it is empty."""
        found = [json.loads(line) for line in self.log if line.startswith("{")]
        return [one for one in found if message in {"", one.get("message")}]

    def metrics(self) -> dict[str, float]:
        """What the metrics in the log add up to."""
        sums: dict[str, float] = {}
        for one in self.lines():
            for directive in one.get("_aws", {}).get("CloudWatchMetrics", []):
                for metric in directive["Metrics"]:
                    values = one[metric["Name"]]
                    sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(values)
        return sums

    def _start(self) -> "subprocess.Popen[str]":
        process = self._process = subprocess.Popen(
            self._command,
            cwd=self._environment["LAMBDA_TASK_ROOT"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
        )
        # Lambda limits what is resident, which a plain process cannot be limited to. This counts
        # what it may write to and shares with nobody, touched or not: it reaches the limit first.
        # The stacks of threads, of which hardly anything is touched, come on top.
        limit = (self._memory_bytes + _STACKS_BYTES,) * 2
        resource.prlimit(process.pid, resource.RLIMIT_DATA, limit)
        self._reading = threading.Thread(target=self._read, args=(process,))
        self._reading.start()
        return process

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.log.extend(line.rstrip("\n") for line in process.stdout)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        self._reading.join()
        assert process.stdout is not None
        process.stdout.close()
        while not self._api.waiting.empty():  # what it did not come to fetch
            self._api.waiting.get()

    def _watch(self) -> None:
        while not self._done.wait(_WATCH_S):
            used = 0
            for folder, _, names in os.walk(self._tmp):
                for name in names:
                    with suppress(OSError):  # gone meanwhile
                        used += Path(folder, name).stat().st_size
            self.peak_tmp_bytes = max(self.peak_tmp_bytes, used)

    def _measure(self, process: "subprocess.Popen[str]") -> None:
        """Its own peak: that which wait4 tells begins with the peak of whoever forked it."""
        with suppress(OSError):
            self.open_files.append(sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir()))
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
                    self.peak_memory_bytes = max(self.peak_memory_bytes, peak)
