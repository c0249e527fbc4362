"""Whether `status` finds the gaps of a year of 40 accounts and 6 regions, each with its cause.

    python -m bench.year                            all in a temporary folder
    python -m bench.year --layout dt --keep FOLDER
    python -m bench.year --accounts 8 --regions 3 --days 90 --gaps 18 --damaged 6

60 gaps of six causes are planted in the logs; the command converts them, and is asked for the
status. What it says of each place and day is compared with what was planted. Then the ledger is
removed, and then the whole state, which `status --rebuild` makes again from the parts: the same has
to be told each time, but for what only log files can tell. Exit status 1 if a gap is not found, if
fewer than 57 in 60 are told with their cause, or if anything else is told.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pyarrow.parquet as pq

from bench.year.logs import YearLogs
from bench.year.planted import Year, YearSpec
from bench.year.told import compare, days_told, differences
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.wording import counted

_FOUND_SOMETHING = (0, 3, 4)
_SHOWN = 20


class Command:
    """Runs the command on a year's logs."""

    def __init__(self, folder: Path, year: Year) -> None:
        self.logs, self.dataset = folder / "logs", folder / "cloudtrail"
        self.state = folder / "cloudtrail.state"
        self._days = ["--from", str(year.spec.first_day), "--to", str(year.spec.last_day)]

    def run(self, *arguments: object) -> str:
        """Run it; what it prints."""
        began = time.monotonic()
        command = [sys.executable, "-m", "cloudtrail_parquet.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in _FOUND_SOMETHING:
            raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stderr}")
        seconds = time.monotonic() - began
        print(f"{arguments[0]}: exit status {done.returncode}, {seconds:,.1f} s", flush=True)
        return done.stdout

    def convert(self, layout: PartitionLayout) -> None:
        """Convert the logs."""
        layouts = ["--partition-layout", layout]
        self.run("convert", self.logs, self.dataset, *layouts, "--no-progress")

    def status(self, *options: str) -> list[dict[str, Any]]:
        """The ranges that are told of the year."""
        told = ["--source", self.logs, *self._days, "--json", *options]
        lines = self.run("status", self.dataset, *told, "--no-progress").splitlines()
        return [json.loads(line) for line in lines]


def rowless(state: Path) -> set[tuple[Place, date]]:
    """The days of places that were converted and have no rows, as the ledger tells."""
    names = ["account", "region", "day", "written", "straggled"]
    ledger = sorted((state / "ledger").glob("year=*/month=*.parquet"))
    tables = [pq.read_table(path, columns=names, partitioning=None) for path in ledger]
    return {
        (Place(row["account"], row["region"]), row["day"])
        for table in tables
        for row in table.to_pylist()
        if not row["written"] and not row["straggled"]
    }


def main(spec: YearSpec, layout: PartitionLayout, folder: Path) -> bool:
    """Plant gaps, convert, compare; then lose the ledger, and the state. Whether all is well."""
    year = Year(spec)
    command, logs = Command(folder, year), YearLogs(year, folder / "logs")
    if not command.logs.exists():
        print(logs.write(), flush=True)
    if not command.dataset.exists():
        command.convert(layout)
        logs.go_on()
    before = command.status()
    comparison = compare(year, days_told(before))
    print("\n".join(comparison.lines()))
    rmtree(command.state / "ledger")
    is_same = command.status() == before
    print(f"ledger removed: {'the same' if is_same else 'NOT the same'} is told")
    command.state.rename(aside := command.state.with_name("cloudtrail.state.before"))
    again = command.status("--rebuild")
    without = rowless(aside)
    differ = differences(before, again, without)
    few = f"{counted(len(without), 'day')} of places without rows"
    print(f"state removed and made again: {counted(len(differ), 'difference')}; {few} left out")
    print("\n".join(differ[:_SHOWN]))
    rmtree(command.state)
    aside.rename(command.state)
    return comparison.is_good and is_same and not differ


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("accounts", "regions", "days", "gaps", "damaged", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(YearSpec(), name))
    parser.add_argument("--layout", choices=get_args(PartitionLayout), default=DEFAULT_LAYOUT)
    parser.add_argument("--keep", type=Path, help="the folder for logs and dataset; reused")
    return parser.parse_args()


if __name__ == "__main__":
    given = vars(_arguments())
    layout, keep = given.pop("layout"), given.pop("keep")
    with TemporaryDirectory() as temporary:
        is_good = main(YearSpec(**given), layout, keep or Path(temporary))
    raise SystemExit(not is_good)
