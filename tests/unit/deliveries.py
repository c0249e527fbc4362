"""Log files with any delays, delivered to stores in memory, and what a dataset makes of them."""

import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
from hypothesis import strategies as st

from cloudtrail_parquet.layout import unit_of
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.storage import open_store
from tests.builders import WritableStores, log_file

ACCOUNT, REGION = "000123456789", "eu-central-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
UNIQUE = itertools.count()


def event(number: int, when: datetime, *, with_id: bool = True) -> dict[str, Any]:
    made = {"eventVersion": "1.08", "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}", "eventName": "Call"}
    return made | ({"eventID": f"id-{number}"} if with_id else {"requestParameters": {"n": number}})


def deliver(
    stores: WritableStores, delivered: datetime, records: list[dict[str, Any]], prefix: str = ""
) -> None:
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{delivered:%Y%m%dT%H%MZ}_{next(UNIQUE):016d}.json.gz"
    key = f"{prefix}{ACCOUNT}/CloudTrail/{REGION}/{delivered:%Y/%m/%d}/{name}"
    stores.source.write(key, log_file(*records))


def memory() -> WritableStores:
    source, dataset, state = (open_store("memory:///") for _ in range(3))
    source.uri = "memory:///AWSLogs"
    return WritableStores(source, dataset, state)


def deliver_all(
    files: Iterable[tuple[datetime, list[dict[str, Any]], str]],
) -> tuple[WritableStores, list[date]]:
    """Stores with these files, and the days of their units."""
    stores, settings = memory(), Settings()
    for delivered, records, prefix in files:
        deliver(stores, delivered, records, prefix)
    source = discover(stores.source, settings.folders)
    return stores, [unit.day for unit in units(stores.source, source, settings.window)]


def rows(stores: WritableStores) -> list[tuple[date, str]]:
    """(day of the partition, record) of all rows, read with plain pyarrow."""
    found = []
    for entry in stores.dataset.files(""):
        table = pq.read_table(io.BytesIO(stores.dataset.read(entry.key)), partitioning=None)
        unit = unit_of(entry.key)
        assert unit is not None
        found += [(unit.day, text) for text in map(restore_json, table.to_pylist())]
    return found


def expected(records: list[dict[str, Any]]) -> Counter[tuple[date, str]]:
    """Each distinct record once, in the day of its event time."""
    return Counter({(date.fromisoformat(one["eventTime"][:10]), canonical(one)) for one in records})


def canonical(one: dict[str, Any]) -> str:
    return json.dumps(one, sort_keys=True)


def found(stores: WritableStores) -> Counter[tuple[date, str]]:
    return Counter((day, canonical(json.loads(text))) for day, text in rows(stores))


def checksums(stores: WritableStores) -> dict[str, str]:
    return {
        entry.key: hashlib.sha256(stores.dataset.read(entry.key)).hexdigest()
        for entry in stores.dataset.files("")
    }


moments = st.integers(0, 4 * 86_400 - 1).map(lambda seconds: START + timedelta(seconds=seconds))
delays = st.one_of(
    st.integers(0, 600),  # as usual
    st.integers(0, 3 * 3600),  # around the end of a window
    st.integers(-1200, 0),  # a clock that runs ahead
    st.integers(0, 40 * 86_400),  # late
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[datetime, list[dict[str, Any]], str]]:
    """Files of records with any delays; some records delivered again, some without an id."""
    files: dict[tuple[datetime, str], list[dict[str, Any]]] = {}
    for number in range(draw(st.integers(1, 14))):
        when = draw(moments)
        record = event(number, when, with_id=draw(st.integers(0, 4)) > 0)
        for delay in draw(st.lists(delays, min_size=1, max_size=3)):
            delivered = (when + timedelta(seconds=delay)).replace(second=0)
            prefix = draw(st.sampled_from(["", "o-abcdefghij/"]))
            files.setdefault((delivered, prefix), []).append(record)
    return [(delivered, records, prefix) for (delivered, prefix), records in files.items()]
