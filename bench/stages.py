"""Where the CPU of a conversion goes: ``python -m bench.stages LOGS``.

Each stage is timed in its own thread, at calls that take a file, a thousand records or a row group,
so that the timing costs nothing. A stage that runs within another is taken out of it.
"""

import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bench.contestants import hide_pandas
from cloudtrail_parquet.batch.workers import convert_all, jobs_of
from cloudtrail_parquet.conversion import collate, run
from cloudtrail_parquet.dataset import writer
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.records import to_arrow
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source import discover, fetch
from cloudtrail_parquet.storage.locations import Locations

STAGES = {
    "going on, freeing records": (run.Run, "read"),
    "read": (fetch, "fetch_text"),
    "inflate": (fetch, "text_of"),
    "decode": (run, "decode"),
    "event times": (collate, "event_times"),
    "keys for duplicates": (collate, "keys_of"),
    "nested columns": (to_arrow.Columns, "_encoded"),
    "other columns": (to_arrow.Columns, "encode"),
    "taking files, freeing records": (run.Run, "_take"),
    "duplicates": (collate.Collation, "_drop_repeats"),
    "order, row groups": (collate.Collation, "_emit"),
    "write": (writer.PartsWriter, "write"),
    "write footers, and small parts": (writer.PartsWriter, "close"),
}


class StageClock:
    """Adds up the CPU seconds of stages over all threads."""

    def __init__(self) -> None:
        self.seconds = defaultdict[str, float](float)
        self._within = threading.local()

    def watch(self, stage: str, owner: Any, name: str) -> None:  # noqa: ANN401
        """Time every call of a function of a module or a method of a class."""
        original: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            outer, self._within.inner = getattr(self._within, "inner", 0.0), 0.0
            begun = time.thread_time()
            try:
                return original(*arguments, **options)
            finally:
                taken = time.thread_time() - begun
                self.seconds[stage] += taken - self._within.inner
                self._within.inner = outer + taken

        setattr(owner, name, timed)


def main() -> int:
    """Convert the folder that the command line names, and print where the time went."""
    clock = StageClock()
    clock.seconds["start, imports"] = time.process_time()
    for stage, (owner, name) in STAGES.items():
        clock.watch(stage, owner, name)
    hide_pandas()
    prepare_process()
    folder = mkdtemp()
    locations, settings = Locations.of(sys.argv[1], str(Path(folder, "dataset"))), Settings()
    logs = locations.open().source
    discovery = discover.discover(logs, settings.folders)
    jobs = jobs_of(discover.units(logs, discovery, settings.window), discovery)
    records = 0
    for outcome in convert_all(jobs, locations, settings, 1):
        records += outcome.receipt.records.read if outcome.receipt else 0
    total = time.process_time()
    clock.seconds["all else"] = total - sum(clock.seconds.values())
    stages = sorted(clock.seconds.items(), key=lambda stage: -stage[1])
    rows = [
        (stage, f"{s:.2f}", f"{s / total:.0%}", f"{s / records * 1e6:.1f}")
        for stage, s in [*stages, ("all", total)]
    ]
    print(table(("", "CPU s", "of all", "µs a record"), rows))
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
