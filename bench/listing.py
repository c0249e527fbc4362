"""What it costs to list all places of a folded unit, as each of its shards does.

    python -m bench.listing LOGS DAY

LOGS is a folder of logs, such as those of bench.organisation; it is listed through the slow S3 of
bench/slow_s3. The bytes of a name are those that the list of log files takes in memory.
"""

import argparse
import json
import time
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.slow_s3.process import SlowS3
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.cost import S3_PUT
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.storage import ReadStore, open_store


def _listed(store: ReadStore, day: date) -> tuple[int, int]:
    """List all of a day; how many places there are, and how many log files."""
    unit, settings = Unit("", "", day), Settings()
    trails = Accounts(store, settings.folders).trails(unit)
    return len(trails), len(window_files(store, trails, unit, settings.window))


def _bytes_of_a_name(store: ReadStore, day: date) -> float:
    unit, settings = Unit("", "", day), Settings()
    trails = Accounts(store, settings.folders).trails(unit)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    files = window_files(store, trails, unit, settings.window)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(files)


def main() -> None:
    """Print a row."""
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("logs", type=Path, help="a folder with AWSLogs")
    parser.add_argument("day", type=date.fromisoformat)
    options = parser.parse_args()
    with SlowS3({"logs": options.logs}) as s3:
        store = open_store(f"s3://logs?endpoint=http://{s3.address}&anonymous=true")
        wall, cpu = time.perf_counter(), time.process_time()
        places, files = _listed(store, options.day)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        with urlopen(s3.counts_url) as answer:  # noqa: S310 - our own server
            counts: dict[str, Any] = json.load(answer)
        lists = sum(number for name, number in counts.items() if name.startswith("LIST"))
        heads = ["places", "log files", "LIST", "dollars", "CPU s", "wall s", "bytes a name"]
        row = [places, files, lists, round(lists * S3_PUT, 3), round(cpu, 1), round(wall, 1)]
        print(table(heads, [[*map(str, row), f"{_bytes_of_a_name(store, options.day):.0f}"]]))


if __name__ == "__main__":
    main()
