"""Whether a replacement would lose records that the source no longer holds.

The receipt answers when the log files are the same, else the identities of the log files that the
unit was made of, and when neither can be read, the parts themselves. So nothing is forgotten
because a receipt is damaged, of another form, or lost.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import astuple

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.dataset.parts import (
    footer_value,
    parts_in,
    read_footer,
    readable,
    row_group_keys,
)
from cloudtrail_parquet.layout import (
    Owner,
    Shard,
    SplitId,
    Unit,
    owner_of,
    shard_of,
    span_folder,
    unit_of,
)
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.settings.rules import Discard, Discarder
from cloudtrail_parquet.state.figures import Part, PlaceFigures, Records, by_place
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.notes import Notes, known_identities
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of
from cloudtrail_parquet.storage import Entry, ReadStore, Stores
from cloudtrail_parquet.wording import counted, plural_of

_OF_RULES = ["eventSource", "eventName", "sourceIPAddress"]


def lost(  # noqa: PLR0913, PLR0917
    unit: Unit,
    shard: Shard,
    notes: Notes[Receipt],
    fingerprint: str,
    read: int,
    identities: Identities,
    state: ReadStore,
) -> str | None:
    """What the source has lost since a unit was last converted, in words; empty if nothing.

    Args:
        unit: The unit that is to be replaced.
        shard: The shard whose parts are to be replaced; `WHOLE` for what the unit wrote unsplit.
        notes: What the state says about it.
        fingerprint: The fingerprint of the log files that there are now.
        read: How many records could be read from them.
        identities: The identities of the log files that could be read.
        state: The store of receipts and identities.

    Returns:
        None when the state cannot tell.
    """
    before = notes.receipt
    # Of one that was rebuilt it is not known how many records were read; one that was kept may be
    # the sum of shards of which some were made of log files that are gone, some of these.
    if before is not None and (before.rebuilt or before.kept):
        before = None
    if before is not None and notes.is_true and before.source_fingerprint == fingerprint:
        unread = before.records.read - read
        what = f"{unread:,} of {counted(before.records.read, 'record')} can no longer be read"
        return what if unread > 0 else ""
    known = known_identities(state, unit, notes, shard)
    return None if known is None else known.missing_in(identities)


def lost_rows(
    stores: Stores,
    going: Iterable[Entry],
    keys: Callable[[date], pa.Array | pa.ChunkedArray],
    fingerprint: str,
    discard: Sequence[Discard],
) -> str:
    """How many rows of parts would be lost if the parts were removed, in words; empty if none.

    Args:
        stores: Source, dataset and state.
        going: The parts that are to be removed.
        keys: The keys of all records that there will be, by the day of the partition: int64.
        fingerprint: That of the log files of those records; parts made of the same lose nothing.
        discard: Rules that may discard rows of the parts.

    Raises:
        StorageError: A part is damaged, so that its rows are unknown.
    """
    rows = gone = 0
    splits: dict[tuple[date, SplitId], list[Entry]] = {}  # each of which may hold all records
    for entry in going:
        footer = read_footer(stores.dataset, entry.key)
        unit = unit_of(entry.key)
        if unit is not None and footer_value(footer, "source_fingerprint") != fingerprint:
            rows += footer.num_rows
            splits.setdefault((unit.day, shard_of(entry.key).split), []).append(entry)
    for (day, _), entries in splits.items():
        gone += _missing(stores.dataset, entries, keys(day), discard)
    what = f"{gone:,} of {counted(rows, 'record')} that it holds"
    return f"{what} {plural_of(gone, 'is', 'are')} not in the source" if gone else ""


def _missing(
    dataset: ReadStore,
    entries: list[Entry],
    keys: pa.Array | pa.ChunkedArray,
    discard: Sequence[Discard],
) -> int:
    """How many rows of parts have no counterpart among the keys, each of which counts once."""
    unmatched = Counter(keys.to_pylist())
    discarder = Discarder(discard) if discard else None
    missing = 0
    for entry in entries:
        with readable(dataset, entry.key), dataset.open(entry.key) as file:
            part = pq.ParquetFile(file, page_checksum_verification=True)
            for group in range(part.num_row_groups):
                rows = []
                for row, key in enumerate(row_group_keys(part, group).to_pylist()):
                    unmatched[key] -= 1
                    if unmatched[key] < 0:
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


def remaining_keys(
    dataset: ReadStore, unit: Unit, layout: PartitionLayout, goes: Callable[[Shard], bool]
) -> Callable[[date], pa.Array]:
    """Look up, by day, the keys of all rows of a partition that are not in parts that go.

    Those are the parts of a unit's shards for which ``goes`` is true.
    """

    def keys(day: date) -> pa.Array:
        entries = parts_in(dataset, unit.on(day), layout)
        rest = (entry.key for entry in entries)
        return keys_in(
            dataset, (key for key in rest if not belongs_to(unit, owner_of(key, day), goes))
        )

    return keys


def belongs_to(unit: Unit, owner: Owner | None, goes: Callable[[Shard], bool]) -> bool:
    """Whether a part's owner is a unit, as one of its shards that go."""
    return owner is not None and owner.day == unit.day and goes(owner.shard)


def parts_of(
    dataset: ReadStore, unit: Unit, layout: PartitionLayout, goes: Callable[[Shard], bool]
) -> list[Entry]:
    """All parts that a unit has written, in any partition, whether or not the state knows them."""
    written = []
    for entry in dataset.files(span_folder(unit, layout)):
        target = unit_of(entry.key)
        if target and belongs_to(unit, owner_of(entry.key, target.day), goes):
            written.append(entry)
    return written


def receipt_from_footers(
    dataset: ReadStore,
    unit: Unit,
    entries: Iterable[Entry],
    options: DatasetOptions,
    now: datetime,
) -> Receipt:
    """A receipt for parts without a readable one, as far as their footers tell.

    In its table of places there is the unit's span: footers do not tell the places.
    """
    parts, schemas, days = list[Part](), list[int](), Counter[date]()
    settings = set[str]()
    for entry in entries:
        footer = read_footer(dataset, entry.key)
        parts.append(Part(key=entry.key, rows=footer.num_rows, bytes=entry.size))
        schemas.append(int(footer_value(footer, "schema_version") or 0))
        settings.add(footer_value(footer, "settings"))
        days[(unit_of(entry.key) or unit).day] += footer.num_rows
    written = days.pop(unit.day, 0)
    straggled = sum(days.values())
    made = Made(
        converted_at=now,
        schema_version=min(schemas, default=0),
        lookbehind_s=options.window.lookbehind_s,
        lookahead_s=options.window.lookahead_s,
        folders=options.folders,
        settings=_settings(settings),
    )
    records = Records(read=written + straggled, written=written, straggled=straggled)
    figures = PlaceFigures("read", records=astuple(records))
    rows = Rows(
        records=records,
        places=by_place({unit.span: figures}),
        stragglers={str(day): count for day, count in sorted(days.items())},
    )
    return receipt_of(unit, made, Read(), rows, parts, is_complete=False, settled=False)


def _settings(texts: Collection[str]) -> dict[str, Any]:
    """The settings in footers; none if they differ or cannot be read."""
    try:
        (text,) = texts
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, msgspec.DecodeError):
        return {}


def exist(keys: Iterable[str], dataset: ReadStore) -> list[bool]:
    """Whether each of some parts exists."""
    keys = list(keys)
    folders = sorted({key.rpartition("/")[0] for key in keys})
    existing = {entry.key for folder in folders for entry in dataset.files(f"{folder}/")}
    return [key in existing for key in keys]


def keys_in(dataset: ReadStore, parts: Iterable[str]) -> pa.Array:
    """The keys of all rows of parts, by the keys of these: int64."""
    keys = [pa.array([], pa.int64())]
    for key in parts:
        with readable(dataset, key), dataset.open(key) as file:
            part = pq.ParquetFile(file)
            keys += [row_group_keys(part, group) for group in range(part.num_row_groups)]
    return pa.concat_arrays(keys)
