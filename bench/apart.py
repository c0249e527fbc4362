"""Runs a command from a small process, and measures it.

A process begins with the peak memory of the one that it is forked from, so one that has imported
Arrow, or made logs, should not start what it measures.

    python bench/apart.py SECONDS COMMAND …    # prints a `Usage` as JSON; ends the command by then
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from threading import Timer
from typing import IO, NamedTuple

KILLED = -9
_FOREVER_S = 1e6
_MIB = 1 << 20
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Usage(NamedTuple):
    """What a command took.

    Attributes:
        cpu_s: User and system seconds, its child processes included if it has waited for them.
        wall_s: Seconds from start to end.
        peak_mib: Peak resident memory of the largest of these processes.
        status: Exit status; `KILLED` if it took too long.
        output: What it printed.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float
    status: int
    output: str


def run_apart(
    command: Sequence[str],
    environment: Mapping[str, str],
    messages: int | IO[bytes] = subprocess.DEVNULL,
    limit_s: float = _FOREVER_S,
) -> Usage:
    """Run a command, whose stderr goes to ``messages``, for at most some seconds."""
    apart = [sys.executable, __file__, str(limit_s), *command]
    done = subprocess.run(
        apart, check=True, stdout=subprocess.PIPE, stderr=messages, env=environment
    )
    return Usage(*json.loads(done.stdout))


def main() -> None:
    """Run and measure the command of the command line."""
    limit_s, *command = sys.argv[1:]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    timer = Timer(float(limit_s), process.kill)
    timer.start()
    assert process.stdout is not None  # noqa: S101
    output = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    usage = Usage(
        cpu_s=used.ru_utime + used.ru_stime,
        wall_s=time.perf_counter() - begun,
        peak_mib=used.ru_maxrss * _MAXRSS_BYTES / _MIB,
        status=process.returncode,
        output=output,
    )
    print(json.dumps(usage))


if __name__ == "__main__":
    main()
