"""The session of docs/quickstart.md, typed where there is nothing but the package.

``RENEW_SNAPSHOTS=1`` writes what the commands print now into the page.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.distribution.test_wheel import ENVIRONMENT, ROOT, bare, wheel

__all__ = ["bare", "wheel"]

PAGE = ROOT / "docs/quickstart.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VOLATILE = re.compile(
    r"^(│ (?:seconds|bytes out|parts in them|parts to read|bytes to read) +│).*$"
    r"|\bhave become .*? of Parquet",
    re.MULTILINE,
)
"""How long something took, and bytes of parts, whose footers tell the version that wrote them."""


def commands(block: str) -> list[str]:
    """What is typed, with the lines that continue a command."""
    typed = re.findall(r"^\$ .*\n(?:> .*\n)*", block, re.MULTILINE)
    return [re.sub(r"^[$>] ", "", one, flags=re.MULTILINE).rstrip("\n") for one in typed]


def session(typed: list[str], run: Callable[[str], str]) -> str:
    """A block: each command, and what it prints."""
    return "".join("$ " + one.replace("\n", "\n> ") + "\n" + run(one) for one in typed)


def steady(text: str) -> str:
    return VOLATILE.sub(lambda found: (found[1] or "") + " …", text)


@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(bare: Path, tmp_path: Path) -> None:
    def run(command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            env={
                **ENVIRONMENT,
                "PATH": f"{bare}:{os.defpath}",
                "COLUMNS": "100",
                "LC_ALL": "C.UTF-8",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())

    page = PAGE.read_text()
    printed = BLOCK.sub(lambda found: f"```console\n{session(commands(found[1]), run)}```", page)

    if os.environ.get("RENEW_SNAPSHOTS"):
        PAGE.write_text(printed)
    assert len(re.findall(r"^\$ cloudtrail-parquet query", page, re.MULTILINE)) == 4
    assert steady(page) == steady(printed)
