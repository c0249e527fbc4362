"""The program, run in the process of the tests or in one of its own, and what it leaves behind."""

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import pytest

from cloudtrail_parquet.cli.commands import main


class Done(NamedTuple):
    """What a command has left behind."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: object) -> list[str]:
    """What starts a command in a process of its own."""
    return [sys.executable, "-m", "cloudtrail_parquet.cli", *map(str, arguments)]


def run(*arguments: object) -> Done:
    """Run a command in this process, which spares a second for each."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, sys.argv = sys.argv, ["cloudtrail-parquet", *map(str, arguments)]
    threshold = gc.get_threshold()
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
        gc.unfreeze()  # a process that converts handles memory in its own way
        gc.set_threshold(*threshold)
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in (out, err))
    return Done(int(end.value.code or 0), stdout, stderr)


def run_apart(
    *arguments: object,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300,
) -> Done:
    """Run a command in a process of its own, in a folder."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=timeout_s,
        cwd=folder,
        env={**os.environ, **(env or {})},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def succeed(*arguments: object, folder: Path | None = None) -> str:
    """Run a command that has to end well, if a folder is named, there; returns its stdout."""
    done = run_apart(*arguments, folder=folder) if folder else run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
