"""The slow S3 in a process of its own, and the GETs a second that it sustains.

python -m bench.slow_s3.process
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.request import urlopen

from bench.slow_s3.server import CONTROL, FIRST_BYTE_S

ROOT = Path(__file__).parents[2]
CONNECTIONS = 256
OBJECT_BYTES = 1_000
_WARM_UP_S, _MEASURED_S = 0.5, 2.0


class SlowS3:
    """A server, as a context.

    Attributes:
        port: Its port on this machine.
    """

    def __init__(self, buckets: Mapping[str, Path], first_byte_s: float = FIRST_BYTE_S) -> None:
        """Name the folders of the buckets; those that do not exist are empty buckets."""
        pairs = [f"{name}={folder.resolve()}" for name, folder in buckets.items()]
        module = [sys.executable, "-m", "bench.slow_s3.server"]
        self._command = [*module, "--first-byte-ms", str(first_byte_s * 1000), *pairs]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None  # noqa: S101
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # which ends its standard input

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def counts_url(self) -> str:
        """Where it tells its counts."""
        return f"http://{self.address}/{CONTROL}/counts"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a client of S3 here; it signs, as it would elsewhere."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.address}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }

    def counts(self) -> Counter[str]:
        """Requests by kind, and bytes, so far."""
        with urlopen(self.counts_url) as response:  # noqa: S310 - on this machine
            return Counter(json.load(response))

    def save(self) -> None:
        """Write what was put to the folders of the buckets."""
        urlopen(f"http://{self.address}/{CONTROL}/save").close()


class _Asking(asyncio.Protocol):
    """A connection that asks for the same object again and again."""

    def __init__(self, request: bytes, answered: Counter[str]) -> None:
        self._request, self._answered = request, answered
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._left:  # a head comes whole, with at least the first bytes of the body
            self._left = data.index(b"\r\n\r\n") + 4 + OBJECT_BYTES
        self._left -= len(data)
        if not self._left:
            self._answered["GET"] += 1
            self._transport.write(self._request)


async def _gets_per_s(port: int, request: bytes) -> float:
    loop, answered = asyncio.get_running_loop(), Counter[str]()
    connected = [
        await loop.create_connection(lambda: _Asking(request, answered), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(_WARM_UP_S)
    before, begun = answered["GET"], time.perf_counter()
    await asyncio.sleep(_MEASURED_S)
    rate = (answered["GET"] - before) / (time.perf_counter() - begun)
    for transport, _ in connected:
        transport.abort()
    return rate


def gets_per_s(first_byte_s: float = FIRST_BYTE_S) -> float:
    """How many small objects a second a server sustains, for one client in this process."""
    headers = "Host: 127.0.0.1\r\nAuthorization: AWS4-HMAC-SHA256 Credential=bench\r\n"
    request = f"GET /small/object HTTP/1.1\r\n{headers}\r\n".encode()
    with TemporaryDirectory() as folder:
        Path(folder, "object").write_bytes(bytes(OBJECT_BYTES))
        with SlowS3({"small": Path(folder)}, first_byte_s) as server:
            return asyncio.run(_gets_per_s(server.port, request))


def main() -> None:
    """Print the rate with the latency, and without."""
    for first_byte_s in (FIRST_BYTE_S, 0):
        rate = gets_per_s(first_byte_s)
        print(
            f"{rate:,.0f} GET/s of {OBJECT_BYTES:,} bytes over {CONNECTIONS} connections, "
            f"{first_byte_s * 1000:.0f} ms to the first byte"
        )


if __name__ == "__main__":
    main()
