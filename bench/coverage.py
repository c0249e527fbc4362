"""How long, and how many requests, `status` takes where the ledger is up to date.

    python -m bench.coverage            5,100 places, 6 years: 11.2 million places and days
    python -m bench.coverage 500 2
    python -m bench.coverage 5100 6 dt  of units that span all places, whose parts are compared

The ledger is made up, in a store in memory; what a bucket's round trips would add is told by the
number of requests, most of which are made one after the other.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from obstore.store import MemoryStore

from cloudtrail_parquet.coverage.cover import Asked, cover
from cloudtrail_parquet.coverage.ledger import SCHEMA, VERSION, How, ledger_key, to_bytes
from cloudtrail_parquet.coverage.rollup import NOTE, Listed, StoredMonth, roll_up
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.marks import LONGEST, Marks, Month
from cloudtrail_parquet.storage import ObjectStore, Stores

FIRST = date(2020, 11, 1)
REGIONS = 17


class CountedStore:
    """A store in memory that counts requests."""

    def __init__(self) -> None:
        self.requests = Counter[str]()
        self._store = MemoryStore()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        method = getattr(self._store, name)

        def ask(*args: Any, **more: Any) -> Any:  # noqa: ANN401
            self.requests[name] += 1
            return method(*args, **more)

        return ask


def month_of(
    month: Month, places: int, hows: list[str], versions: Mapping[date, str], *, folded: bool
) -> pa.Table:
    """A month in which a place in a hundred lacks three days, and one was kept.

    Args:
        month: The month.
        places: How many places.
        hows: What is the same for rows of one that was not kept, and of one that was.
        versions: The versions of receipts, by day, if they are listed.
        folded: Whether a unit spans all places.
    """
    days = [month.first + timedelta(days=n) for n in range((month.last - month.first).days + 1)]
    rows, place_of, day_of = 0, list[int](), list[date]()
    for place in range(places):
        some = days[3:] if (place + month.month) % 100 == 0 else days
        place_of += [place] * len(some)
        day_of += some
        rows += len(some)
    accounts = [f"{100000000000 + number}" for number in range(-(-places // REGIONS))]
    regions = [f"xx-region-{number:02d}" for number in range(REGIONS)]
    of = pa.array(place_of, pa.int32())
    how = pa.array([int(place % 1000 == 7) for place in place_of], pa.int32())
    columns: dict[str, Any] = {
        "account": pa.DictionaryArray.from_arrays(pc.divide(of, REGIONS), accounts),
        "region": pa.DictionaryArray.from_arrays(
            pa.array([place % REGIONS for place in place_of], pa.int32()), regions
        ),
        "day": pa.array(day_of, pa.date32()),
        "how": pa.DictionaryArray.from_arrays(how, hows),
        "is_first": pa.array([not folded or place == 1 for place in place_of]),
        "spans": pa.array([2 * folded] * rows, pa.int8()),
        "receipt": pa.array([versions.get(day, f'"{n:032x}"') for n, day in enumerate(day_of)]),
        "fingerprint": pa.array([f"sum:{number * 7919:064x}" for number in range(rows)]),
    }
    numbers = pa.array([number * 7919 % 5000 for number in range(rows)], pa.int64())
    arrays = []
    for field in SCHEMA:
        if field.name in columns:
            arrays.append(columns[field.name].cast(field.type))
        elif field.type == pa.int64():
            arrays.append(numbers)
        else:
            arrays.append(pa.nulls(rows, field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def receipts_of(month: Month, state: ObjectStore) -> dict[date, str]:
    """Write something in place of the receipts of units that span all places; their versions."""
    days = [month.first + timedelta(days=n) for n in range((month.last - month.first).days + 1)]
    keys = {day: StateKeys.of(Unit("", "", day)).receipt for day in days}
    return {day: state.swap(key, str(day).encode(), None) for day, key in keys.items()}


def hows_of(settings: Settings) -> list[str]:
    """How units are made that are as they should be, and how those are that were kept."""
    made = How(
        status="complete",
        settled=True,
        schema_version=SCHEMA_VERSION,
        lookbehind_s=settings.lookbehind_s,
        lookahead_s=settings.lookahead_s,
        folders=settings.folders,
        settings=settings.shaping(),
    )
    kept = msgspec.structs.replace(made, status="partial", is_kept=True)
    return [msgspec.json.encode(each).decode() for each in (made, kept)]


def main(places: int, years: int, layout: str) -> None:
    """Make a ledger up, and tell how long `cover` takes."""
    client, now, folded = CountedStore(), datetime.now(UTC), bool(layout)
    settings = Settings(partition_layout="dt") if folded else Settings()
    state = ObjectStore("s3://state", client)
    options = PlanOptions.of(settings)
    hows = hows_of(settings)
    stores = Stores(state, state, state)
    marks, months, rows, size = Marks(state, stores.clock), dict[str, StoredMonth](), 0, 0
    month, last = Month.of(FIRST), FIRST
    for _ in range(12 * years):
        versions = receipts_of(month, state) if folded else {}
        data = to_bytes(table := month_of(month, places, hows, versions, folded=folded))
        units = pc.sum(table["is_first"]).as_py()
        months[month.name] = StoredMonth(state.swap(ledger_key(month), data, None), units)
        marks.mark(month.first)
        rows, size, last = rows + table.num_rows, size + len(data), month.last
        month = Month.of(month.last + timedelta(days=1))
    seen = dict[str, str]()
    for entry in state.files("ledger/marks/"):
        year, number = entry.key.split("year=")[1].removesuffix(".txt").split("/month=")
        seen[f"{year}-{number}"] = entry.version
    listed = Listed(VERSION, now + LONGEST + timedelta(hours=1), months, seen)
    state.write(NOTE, msgspec.json.encode(listed))
    roll_up(stores)  # so that the note has what a listing says
    client.requests.clear()
    before = time.monotonic(), time.process_time()
    asked = Asked(UnitRange.of(FIRST, last), options, parts=None if folded else False)
    coverage = cover(stores, asked)
    counts = {
        f"{state} {cause}".strip(): days for (state, cause), days in coverage.counts().items()
    }
    print(
        json.dumps(
            {
                "rows": rows,
                "months": len(months),
                "ledger_mb": round(size / 1e6, 1),
                "days": counts,
                "ranges": sum(map(len, coverage.ranges.values())),
                "requests": dict(client.requests),
                "seconds": round(time.monotonic() - before[0], 1),
                "cpu_seconds": round(time.process_time() - before[1], 1),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            }
        )
    )


if __name__ == "__main__":
    given = [*sys.argv[1:], *["5100", "6", ""][len(sys.argv) - 1 :]]
    main(int(given[0]), int(given[1]), given[2])
