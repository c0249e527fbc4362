"""What it takes to arrange a flat folder of very many log files, by their names alone.

    python -m bench.arranging 1000000

Nothing is read and no file is made: only their names, which lie in one folder, of ten accounts and
four regions in a month.
"""

import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.intake.arranged import Arranged, ArrangedStore
from cloudtrail_parquet.intake.placement import placement_of
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.storage import LocalStore

_BEGIN, _DAYS = datetime(2026, 1, 1, tzinfo=UTC), 30


def main(number: int) -> None:
    """Print seconds of CPU and mebibytes."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        memory, started = _memory(), time.process_time()
        ArrangedStore.write(_files(number), scratch)
        seconds = time.process_time() - started
        print(f"arranged {number:,} names: {seconds:.1f} s, {_memory() - memory:.0f} MiB more")
        store = ArrangedStore(LocalStore(scratch), "flat", scratch)
        started = time.process_time()
        trails = discover(store, ["CloudTrail"]).trails
        place = min(trails)
        unit = Unit(*place, date(2026, 1, 10))
        files = window_files(store, trails[place], unit, Window(900, 7200))
        milliseconds = (time.process_time() - started) * 1000
        print(f"found {len(trails)} places, and {len(files):,} log files: {milliseconds:.0f} ms")
        size = sum(path.stat().st_size for path in scratch.iterdir())
        print(f"on the disk: {size / number:.0f} bytes a name")
        del store


def _files(number: int) -> Iterator[Arranged]:
    for count in range(number):
        moment = _BEGIN + timedelta(seconds=count * _DAYS * 86_400 // number)
        account, region = f"{count % 10:012d}", f"us-east-{count // 10 % 4}"
        name = f"{account}_CloudTrail_{region}_{moment:%Y%m%dT%H%MZ}_{count:016x}.json.gz"
        if placement := placement_of(f"/data/flat/{name}"):
            yield Arranged(placement.prefix + name, 1000, moment)


def _memory() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(int(sys.argv[1]))
