"""The row of an event in a dataset, with the receipts of the conversion that wrote it."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.export import parts_to_export
from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.formats.eventtime import format_time, to_us
from cloudtrail_parquet.layout import WHOLE, Place, Unit, owner_of, unit_of
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.storage import ReadStore


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of a dataset.

    Attributes:
        part: The key of its part.
        sha256: Of the part, in hexadecimal.
        number: Its index in the part.
        place: Its account and region.
        owner: The unit that wrote it, by the day of delivery.
        time: The ``eventTime``; None if there is none.
        record: The record as it was delivered, as JSON.
        columns: The row as JSON.
        receipts: The receipts of its unit, and of its shard, as the state holds them.
    """

    part: str
    sha256: str
    number: int
    place: Place
    owner: Unit
    time: datetime | None
    record: bytes
    columns: bytes
    receipts: tuple[bytes, ...]


def rows_of_event(  # noqa: PLR0913, PLR0917
    dataset: ReadStore,
    state: ReadStore,
    event_id: str,
    first: date = date.min,
    last: date = date.max,
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> Iterator[FoundRow]:
    """The rows of an event, part by part; only their column of ids is read of the others.

    Args:
        dataset: Holds the parts.
        state: Holds the receipts.
        event_id: The ``eventID``.
        first: The first day that is searched.
        last: The last day.
        accounts: Only these accounts.
        regions: Only these regions.

    Raises:
        UsageError: There is no part of what is selected.
        StorageError: A part is damaged.
    """
    if event_id != writable(event_id):
        return  # Parquet holds no such text
    for entry in parts_to_export(dataset, first, last, accounts, regions).entries:
        unit = unit_of(entry.key)
        if unit is not None:
            yield from _rows_in(dataset, state, entry.key, unit, event_id)


def _rows_in(
    dataset: ReadStore, state: ReadStore, key: str, unit: Unit, event_id: str
) -> Iterator[FoundRow]:
    with readable(dataset, key), dataset.open(key) as file:
        part = pq.ParquetFile(file, page_checksum_verification=True)
        before = 0
        for group in range(part.num_row_groups):
            ids = part.read_row_group(group, columns=["eventID"])["eventID"]
            for index in pc.indices_nonzero(pc.equal(ids, event_id)).to_pylist():
                row = part.read_row_group(group).slice(index, 1).to_pylist()[0]
                yield _found(dataset, state, key, unit, before + index, row)
            before += len(ids)


def _found(  # noqa: PLR0913, PLR0917
    dataset: ReadStore, state: ReadStore, key: str, unit: Unit, number: int, row: dict[str, Any]
) -> FoundRow:
    owner = owner_of(key, unit.day)
    if owner is None:
        raise UsageError("it is not a part of this dataset", key, "Remove it, or rename it")
    place = Place(unit.account or row["account"], unit.region or row["region"])
    unit, shards = unit.on(owner.day), dict.fromkeys((WHOLE, owner.shard))
    receipts = (state.read_if_there(StateKeys.of(unit, shard).receipt) for shard in shards)
    return FoundRow(
        part=key,
        sha256=sha256(dataset.read(key)).hexdigest(),
        number=number,
        place=place,
        owner=unit,
        time=row["eventTime"],
        record=restore_json(row).encode() + b"\n",
        columns=json.dumps(row, default=_as_json, ensure_ascii=False).encode() + b"\n",
        receipts=tuple(filter(None, receipts)),
    )


def _as_json(value: object) -> str:
    if isinstance(value, datetime):
        return format_time(to_us(value))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
