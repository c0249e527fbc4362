"""Chromium without a screen, of Debian's packages: pages looked at as people see them.

It is driven through two pipes, as `--remote-debugging-pipe` has it: messages in JSON, each ended by
a zero byte.
"""

import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from select import select
from types import MappingProxyType
from typing import Any

from tests.debian import libraries, native, unpacked

RELEASE = "trixie"
_PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
_FLAGS = (
    "--headless",
    "--no-sandbox",  # needs rights that a test has not; the pages are ours
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--remote-debugging-pipe",
)
_ANSWERS_S = 60
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Browser:
    """A page in Chromium.

    Attributes:
        requested: The locations that it has asked for since it was opened.
        said: What it has written to its console.
    """

    def __init__(self, to: int, answers: int) -> None:
        self._to, self._from, self._numbers = to, answers, count(1)
        self._session, self._buffer = "", b""
        self.requested: list[str] = []
        self.said: list[str] = []

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask for something, and wait for the answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        assert "error" not in answer, (method, answer)
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._from], [], [], _ANSWERS_S)
            data = os.read(self._from, 1 << 20) if ready else b""
            assert data, "Chromium does not answer"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", _NOTHING)
        if event["method"] == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])
        elif event["method"] == "Log.entryAdded":
            self.said.append(parameters["entry"]["text"])

    def show(self, path: Path, width: int, *, scheme: str = "light", media: str = "") -> None:
        """Open a page in a window of some width, light or dark, for a screen or for ``print``."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=path.as_uri())
        while self.value("document.readyState") != "complete":
            pass

    def value(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """What an expression of JavaScript has as its value."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """The whole page, as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        return b64decode(taken["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        printed = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return b64decode(printed["data"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in a folder; skips the test if there is none to be had."""
    root = unpacked(RELEASE, native(), *_PACKAGES)
    start = _start(root, folder)
    command_in, command_out = os.pipe()
    answer_in, answer_out = os.pipe()
    script = f'exec 3<&{command_in} 4>&{answer_out}; exec "$@"'
    own = (f"--browser-subprocess-path={start}", f"--user-data-dir={folder / 'profile'}")
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", str(start), *_FLAGS, *own],
            env={**os.environ, "FONTCONFIG_FILE": str(_fonts(root, folder)), "HOME": str(folder)},
            pass_fds=(command_in, answer_out),
            stdout=log,
            stderr=log,
        )
    os.close(command_in)
    os.close(answer_out)
    page = Browser(command_out, answer_in)
    try:
        page.attach()
        yield page
    finally:
        with suppress(OSError):
            os.close(command_out)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(answer_in)


def _start(root: Path, folder: Path) -> Path:
    """A script that starts Chromium with the libraries beside it, whatever this machine has.

    It looks for its data where the program lies that the system has started: that is the loader.
    """
    programs = root / "usr/lib/chromium"
    loader = programs / "loader"
    if not loader.exists():
        (found,) = libraries(root).glob("ld-linux-*.so.*")
        with suppress(FileExistsError):  # another test run was faster
            os.link(found.resolve(), loader)
    script = folder / "chromium"
    path = ":".join(map(str, (libraries(root), libraries(root) / "pulseaudio")))
    chromium = f'"{loader}" --library-path "{path}" "{programs}/chromium-headless-shell"'
    script.write_text(f'#!/bin/sh\nexec {chromium} "$@"\n')
    script.chmod(0o755)
    return script


def _fonts(root: Path, folder: Path) -> Path:
    file = folder / "fonts.conf"
    file.write_text(
        f"<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{folder}/fonts</cachedir>"
        "<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>"
        "</fontconfig>"
    )
    return file
