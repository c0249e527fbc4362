"""Whether a replacement would lose what the source no longer holds.

Asked are, in this order: the identities of the log files that a unit was made of; its receipt, when
the log files are the same; and when neither can be read, the parts themselves. So a receipt that
is damaged, of another form or lost makes nobody forget what there is.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet import __version__
from cloudtrail_parquet.dataset.parts import read_footer, readable, row_group_keys, said
from cloudtrail_parquet.layout import (
    Owner,
    Shard,
    Unit,
    owner_of,
    partition,
    place_folder,
    shard_of,
    unit_of,
)
from cloudtrail_parquet.settings.rules import Discarder
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.notes import Notes, read_identities
from cloudtrail_parquet.state.receipt import Files, Part, Receipt, Records
from cloudtrail_parquet.storage import Entry, ReadStore, Stores

_OF_RULES = ["eventSource", "eventName", "sourceIPAddress"]


def lost(  # noqa: PLR0913, PLR0917
    unit: Unit,
    shards: Iterable[Shard],
    noted: Notes[Receipt],
    fingerprint: str,
    read: int,
    identities: Identities,
    state: ReadStore,
) -> str | None:
    """What was there when a unit was last converted and is not now, in words; empty if nothing.

    Args:
        unit: Which is to be replaced.
        shards: Whose parts are to be: all that the unit wrote as a whole, or as one shard.
        noted: What the state says of it.
        fingerprint: Of the log files that there are.
        read: How many records could be read from them.
        identities: Of the log files that could be read.
        state: Where receipts are.

    Returns:
        None when the state cannot tell.
    """
    before = noted.receipt
    if before is not None and noted.is_true and before.source_fingerprint == fingerprint:
        unread = before.records.read - read
        what = f"{unread} of {before.records.read} records can no longer be read"
        return what if unread > 0 else ""
    known = read_identities(state, unit, shards)
    return None if known is None else known.lacking(identities)


def lost_rows(
    stores: Stores,
    going: Iterable[Entry],
    keys: Callable[[date], pa.Array | pa.ChunkedArray],
    fingerprint: str,
    settings: Settings,
) -> str:
    """What parts hold that are to go, and nothing that is to be there then, in words.

    Args:
        stores: Where the parts are.
        going: The parts.
        keys: The keys of all records that there will be, by the day of the partition: int64.
        fingerprint: Of the log files that these are made of; parts made of the same lose nothing.
        settings: Whose rules may discard what is going.

    Raises:
        StorageError: A part is damaged, so that nobody can tell.
    """
    rows = gone = 0
    splits: dict[tuple[date, int], list[Entry]] = {}  # of which each may hold all records
    for entry in going:
        footer = read_footer(stores.dataset, entry.key)
        unit = unit_of(entry.key)
        if unit is not None and said(footer, "source_fingerprint") != fingerprint:
            rows += footer.num_rows
            splits.setdefault((unit.day, shard_of(entry.key).of), []).append(entry)
    for (day, _), entries in splits.items():
        gone += _missing(stores.dataset, entries, keys(day), settings)
    return f"{gone} of {rows} records that it holds are not in the source" if gone else ""


def _missing(
    dataset: ReadStore, entries: list[Entry], keys: pa.Array | pa.ChunkedArray, settings: Settings
) -> int:
    """How many rows of parts have no record of their own among those with n keys."""
    there = Counter(keys.to_pylist())
    discarder = Discarder(settings.discard) if settings.discard else None
    missing = 0
    for entry in entries:
        with readable(dataset, entry.key), dataset.open(entry.key) as file:
            part = pq.ParquetFile(file, page_checksum_verification=True)
            for group in range(part.num_row_groups):
                rows = []
                for row, key in enumerate(row_group_keys(part, group).to_pylist()):
                    there[key] -= 1
                    if there[key] < 0:
                        rows.append(row)
                missing += len(rows) - _discarded(part, group, rows, discarder)
    return missing


def _discarded(
    part: pq.ParquetFile, group: int, rows: list[int], discarder: Discarder | None
) -> int:
    if discarder is None or not rows:
        return 0
    table = part.read_row_group(group, columns=_OF_RULES).take(pa.array(rows))
    return len(discarder.discarded(*(table[name].to_pylist() for name in _OF_RULES)))


def staying(
    dataset: ReadStore, unit: Unit, settings: Settings, goes: Callable[[Shard], bool]
) -> Callable[[date], pa.Array]:
    """What gives the keys of all rows of a day's partition but those in parts of a unit that go."""

    def keys(day: date) -> pa.Array:
        entries = dataset.files(partition(unit.on(day), settings.partition_layout))
        return _keys_in(
            dataset, (one for one in entries if not is_of(unit, owner_of(one.key, day), goes))
        )

    return keys


def is_of(unit: Unit, owner: Owner | None, goes: Callable[[Shard], bool]) -> bool:
    """Whether a part's owner is a unit, or one of its shards that go."""
    return owner is not None and owner.day == unit.day and goes(owner.shard)


def parts_of(
    dataset: ReadStore, unit: Unit, settings: Settings, goes: Callable[[Shard], bool]
) -> list[Entry]:
    """All parts that a unit has written, in the partitions of its place, whoever knows of them."""
    found = []
    for entry in dataset.files(place_folder(unit, settings.partition_layout)):
        lies_in = unit_of(entry.key)
        if lies_in and is_of(unit, owner_of(entry.key, lies_in.day), goes):
            found.append(entry)
    return found


def receipt_of_parts(
    dataset: ReadStore, unit: Unit, entries: Iterable[Entry], settings: Settings, now: datetime
) -> Receipt:
    """A receipt for parts that none is left of that can be read: what their footers tell."""
    parts, schemas, days = list[Part](), list[int](), Counter[date]()
    for entry in entries:
        footer = read_footer(dataset, entry.key)
        parts.append(Part(key=entry.key, rows=footer.num_rows, bytes=entry.size))
        schemas.append(int(said(footer, "schema_version") or 0))
        days[(unit_of(entry.key) or unit).day] += footer.num_rows
    written = days.pop(unit.day, 0)
    straggled = sum(days.values())
    return Receipt(
        account=unit.account,
        region=unit.region,
        day=unit.day,
        status="partial",
        settled=False,
        converted_at=now,
        converter=__version__,
        schema_version=min(schemas, default=0),
        lookbehind_s=settings.lookbehind_s,
        lookahead_s=settings.lookahead_s,
        folders=settings.folders,
        source_fingerprint="",
        files=Files(listed=0, read=0, quarantined=0),
        records=Records(read=written + straggled, written=written, straggled=straggled),
        conflicts=0,
        bytes_in=0,
        bytes_inflated=0,
        bytes_out=sum(part.bytes for part in parts),
        seconds=0,
        parts=parts,
        stragglers={str(day): rows for day, rows in sorted(days.items())},
        versions={},
        unmapped={},
        derived={},
        unstamped=[],
        quarantined=[],
    )


def _keys_in(dataset: ReadStore, entries: Iterable[Entry]) -> pa.Array:
    """The keys of all rows of parts: int64."""
    keys = [pa.array([], pa.int64())]
    for entry in entries:
        with readable(dataset, entry.key), dataset.open(entry.key) as file:
            part = pq.ParquetFile(file)
            keys += [row_group_keys(part, group) for group in range(part.num_row_groups)]
    return pa.concat_arrays(keys)
