"""Measure a conversion against other ways of doing it: ``make bench``.

Each way runs in a process of its own, in turn, several times; the figures are medians. CPU is user
plus system seconds of the whole process, start and imports included. The floor is what no converter
can leave out: inflate, parse, write the finished table.

``--check`` compares the CPU ratios of this run with those in bench/recorded.json and fails when
ours has become more than a quarter worse; ``--record`` writes that file.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pyarrow.parquet as pq

from bench.corpora import FOLDER, MAKERS, corpus
from cloudtrail_parquet.reference.markdown import table

RECORDED = Path("bench/recorded.json")
MAY_GROW = 1.25
TITLES = ("", "CPU s", "wall s", "peak MiB", "MB out", "records per CPU s", "CPU to the floor")
WAYS = ("floor", "ours", "duckdb")
TOO_SLOW = {("tiny", "duckdb")}  # minutes and 19 GB for 20,000 files


class Run(NamedTuple):
    """The measurements of a process.

    Attributes:
        cpu_s: User and system seconds.
        wall_s: Seconds from start to end.
        peak_mb: Peak resident memory, in MiB.
        bytes_out: Bytes of Parquet written.
        records: Rows of Parquet written.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    bytes_out: float
    records: float


def run(way: str, logs: Path, out: Path) -> Run:
    """Convert a corpus in one way and measure the process."""
    for folder in (out, Path(f"{out}.state")):
        shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "bench.contestants", way, str(logs), str(out)]
    started = os.times().elapsed
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=plain
    )
    assert process.stdout is not None  # noqa: S101
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall_s = os.times().elapsed - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{way} failed with {process.returncode}")
    uncounted_s = json.loads(output)["uncounted_s"] if way == "floor" else 0
    return Run(
        used.ru_utime + used.ru_stime - uncounted_s,
        wall_s - uncounted_s,
        used.ru_maxrss / 1024,
        sum(path.stat().st_size for path in out.rglob("*.parquet")),
        sum(pq.read_metadata(path).num_rows for path in out.rglob("*.parquet")),
    )


def measure(name: str, records: int, ways: tuple[str, ...], runs: int) -> dict[str, Run]:
    """The medians of several runs of each way, in turn, over one corpus."""
    logs, out = corpus(name, records), FOLDER / "out"
    finished = Path(f"{out / 'floor'}.finished")
    run("ours", logs, finished)  # a warm-up, and the table that the floor writes
    measured: dict[str, list[Run]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            measured[way].append(run(way, logs, out / way))
    return {way: Run(*map(median, zip(*each, strict=True))) for way, each in measured.items()}


def rows(medians: dict[str, Run]) -> Iterator[tuple[str, ...]]:
    """The medians as rows of a table."""
    floor = medians.get("floor")
    for way, middle in medians.items():
        yield (
            way,
            f"{middle.cpu_s:.2f}",
            f"{middle.wall_s:.2f}",
            f"{middle.peak_mb:.0f}",
            f"{middle.bytes_out / 1e6:.1f}",
            f"{middle.records / middle.cpu_s:,.0f}",
            f"{middle.cpu_s / floor.cpu_s:.2f}" if floor else "",
        )


def check(ratios: dict[str, float]) -> int:
    """Compare ratios with the recorded ones; returns 1 when any has grown too much, else 0."""
    recorded = json.loads(RECORDED.read_text())
    worse = {name: ratio for name, ratio in ratios.items() if ratio > recorded[name] * MAY_GROW}
    for name, ratio in worse.items():
        print(f"{name}: {ratio:.2f} times the floor, {recorded[name]:.2f} is recorded")
    return 1 if worse else 0


def main() -> int:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", choices=MAKERS, action="append", help="default: all")
    options.add_argument("--records", type=int, default=120_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options.add_argument("--check", action="store_true")
    options.add_argument("--record", action="store_true")
    asked = options.parse_args()
    possible = [name for name in MAKERS if name != "real" or "CLOUDTRAIL_CORPUS" in os.environ]
    names = asked.corpus or possible
    packages = [f"{name} {version(name)}" for name in ("pyarrow", "msgspec", "isal", "duckdb")]
    machine = [platform.machine(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    print(", ".join(machine + packages))
    ratios = {}
    for name in names:
        ways = tuple(way for way in asked.ways if (name, way) not in TOO_SLOW)
        medians = measure(name, asked.records, ways, asked.runs)
        if {"ours", "floor"} <= set(medians):
            ratios[f"{name}-{asked.records}"] = medians["ours"].cpu_s / medians["floor"].cpu_s
        written = medians["ours"].records
        size = sum(path.stat().st_size for path in corpus(name, asked.records).rglob("*.gz"))
        print(f"\n{name}: {written:,.0f} records, {size / 1e6:.1f} MB gzipped\n", flush=True)
        print(table(TITLES, rows(medians)), flush=True)
    if asked.record:
        known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        RECORDED.write_text(json.dumps(known | ratios, indent=1) + "\n")
    return check(ratios) if asked.check else 0


if __name__ == "__main__":
    sys.exit(main())
