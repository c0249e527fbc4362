"""What other units have already put into the partitions that this unit writes to.

A record may be delivered in its window and again days later: then two units own a copy each, and
whichever comes second leaves its copy out. Which one that is depends on the order of the runs;
that the record stands exactly once does not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.duplicates import content, key_without_id
from cloudtrail_parquet.eventtime import to_us
from cloudtrail_parquet.layout import Unit, owner_day, partition
from cloudtrail_parquet.restore import restore_json
from cloudtrail_parquet.schema import PartitionLayout
from cloudtrail_parquet.storage import Entry, Store

_WITHOUT_ID = ["eventTime", "eventSource", "eventName", "sourceIPAddress"]


class Standing:
    """The parts that other units own, as this run has seen them first."""

    def __init__(self, dataset: Store, unit: Unit, layout: PartitionLayout) -> None:
        self._dataset = dataset
        self._unit = unit
        self._layout = layout
        self._seen: dict[date, list[Entry]] = {}

    def contents(self, day: date, keys: pa.Array) -> dict[int, set[bytes]]:
        """The contents of the standing records of a day that have one of these keys, by key."""
        if day not in self._seen:
            self._seen[day] = self._parts(day)
        found: dict[int, set[bytes]] = defaultdict(set)
        for entry in self._seen[day]:
            for key, row in self._matches(entry, keys):
                found[key].add(content(restore_json(row).encode()))
        return found

    def meets(self, day: date, keys: pa.Array) -> bool:
        """Whether a part that came since this run looked holds a record with one of these keys.

        Only of use while the lease of the day's partition is held. What it finds counts as seen.
        """
        before, now = self._seen.get(day, []), self._parts(day)
        self._seen[day] = now
        return any(True for entry in now if entry not in before for _ in self._matches(entry, keys))

    def _parts(self, day: date) -> list[Entry]:
        entries = self._dataset.files(partition(self._unit.on(day), self._layout))
        return [
            entry for entry in entries if owner_day(entry.key, day) not in {None, self._unit.day}
        ]

    def _matches(self, entry: Entry, keys: pa.Array) -> Iterator[tuple[int, dict[str, Any]]]:
        with suppress(pa.ArrowInvalid), self._dataset.open(entry.key) as file:  # if damaged: none
            part = pq.ParquetFile(file)
            for number in range(part.num_row_groups):
                standing = _keys(part, number)
                hits = pc.is_in(standing, value_set=keys)
                if hits.true_count:
                    rows = part.read_row_group(number).filter(hits).to_pylist()
                    yield from zip(standing.filter(hits).to_pylist(), rows, strict=True)


def _keys(part: pq.ParquetFile, row_group: int) -> pa.Array:
    """The keys of a row group's rows, as `duplicates` makes them from records."""
    ids = part.read_row_group(row_group, columns=["eventID"])["eventID"].to_pylist()
    keys = list(map(hash, ids))
    if None in ids:
        rows = part.read_row_group(row_group, columns=_WITHOUT_ID).to_pylist()
        for number, row in enumerate(rows):
            if ids[number] is None:
                time, source, name, address = (row[column] for column in _WITHOUT_ID)
                keys[number] = key_without_id(to_us(time), source, name, address)
    return pa.array(keys, pa.int64())


def without(
    drafts: pa.Table,
    contents: dict[int, set[bytes]],
    finish: Callable[[pa.Table], pa.Table],
) -> pa.Table:
    """The drafts whose content does not stand already; ``finish`` makes columns of suspects."""
    suspects = pc.is_in(drafts["#key"], value_set=pa.array(list(contents), pa.int64()))
    suspected = drafts.filter(suspects)
    keys, rows = suspected["#key"].to_pylist(), finish(suspected).to_pylist()
    repeats = (
        content(restore_json(row).encode()) in contents[key]
        for key, row in zip(keys, rows, strict=True)
    )
    keep = [not (suspect and next(repeats)) for suspect in suspects.to_pylist()]
    return drafts.filter(pa.array(keep, pa.bool_()))
