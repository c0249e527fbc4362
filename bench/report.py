"""How long a report takes, and how large it is, where the ledger is up to date.

    python -m bench.report              5,100 places, a year: 1.9 million places and days
    python -m bench.report 500 1

The ledger is that of `bench.coverage`, made up, in a store in memory; nothing is read of parts.
"""

import json
import resource
import sys
import time
from datetime import UTC, date, datetime, timedelta

import msgspec

from bench.coverage import CountedStore, hows_of, month_of
from cloudtrail_parquet.coverage.cover import Asked, cover
from cloudtrail_parquet.coverage.ledger import VERSION, ledger_key, to_bytes
from cloudtrail_parquet.coverage.rollup import NOTE, Listed, StoredMonth
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.reporting.report import make_report
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.marks import LONGEST, Marks, Month
from cloudtrail_parquet.storage import ObjectStore, Stores

FIRST = date(2025, 1, 1)


def main(places: int = 5100, years: int = 1) -> None:
    """Make a ledger up, and tell how long a report of it takes."""
    settings = Settings()
    state = ObjectStore("s3://state", CountedStore())
    hows = hows_of(settings)
    stores = Stores(state, state, state)
    marks, months, rows, month = (
        Marks(state, stores.clock),
        dict[str, StoredMonth](),
        0,
        Month.of(FIRST),
    )
    for _ in range(12 * years):
        table = month_of(month, places, hows, {}, folded=False)
        version = state.swap(ledger_key(month), to_bytes(table), None)
        months[month.name] = StoredMonth(version, table.num_rows)
        marks.mark(month.first)
        rows += table.num_rows
        month = Month.of(month.last + timedelta(days=1))
    seen = dict[str, str]()
    for entry in state.files("ledger/marks/"):
        year, number = entry.key.split("year=")[1].removesuffix(".txt").split("/month=")
        seen[f"{year}-{number}"] = entry.version
    listed = Listed(VERSION, datetime.now(UTC) + LONGEST + timedelta(hours=1), months, seen)
    state.write(NOTE, msgspec.json.encode(listed))
    wanted, began = UnitRange.of(FIRST, month.first - timedelta(days=1)), time.monotonic()
    coverage = cover(stores, Asked(wanted, PlanOptions.of(settings), parts=False))
    covered = time.monotonic()
    report = make_report(stores, coverage, wanted, top_days=0)
    ended = time.monotonic()
    told = {
        "rows": rows,
        "ranges": sum(map(len, coverage.ranges.values())),
        "coverage_seconds": round(covered - began, 1),
        "page_seconds": round(ended - covered, 1),
        "page_bytes": len(report.html.encode()),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
