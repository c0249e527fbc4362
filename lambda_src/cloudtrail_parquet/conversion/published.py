"""The parts that others have published in the partitions that this unit writes to.

A record may be delivered in its window and again days later. Then two units own a copy each, and
whichever publishes second leaves its copy out. Which one that is depends on the order of the runs;
that the record is published exactly once does not. Shards of a unit treat each other the same way.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.dataset.parts import (
    footer_value,
    parts_in,
    read_footer,
    readable,
    row_group_keys,
)
from cloudtrail_parquet.dataset.places import ranges_of
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Owner, Place, Shard, Unit, owner_of
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.records.keys import content
from cloudtrail_parquet.schema.columns import TIMESTAMP
from cloudtrail_parquet.storage import Entry, ReadStore


class PublishedParts:
    """The parts that others own, as this run first saw them.

    Others are other units, and the other shards of the same split; for an addition also the unit's
    parts that stay. What the same unit wrote as a
    whole, or in another split, is not another's: it is removed when this split is complete, so no
    record may be left out for it.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        dataset: ReadStore,
        unit: Unit,
        layout: PartitionLayout,
        shard: Shard = WHOLE,
        source_fingerprint: str | None = None,
        kept: frozenset[str] = frozenset(),
        *,
        own_first: bool = True,
    ) -> None:
        """Prepare; nothing is listed yet.

        Args:
            dataset: The store of the parts.
            unit: The unit that this run converts.
            layout: The layout of the dataset.
            shard: The shard of the unit that this run converts.
            source_fingerprint: If given, other shards' parts count only if they were made of this
                source: those made of another one will be replaced, perhaps by less.
            kept: The keys of own parts that this run does not replace.
            own_first: Whether to list the unit's own partition before records are compared with it.
                If not, it has no parts until `refresh`, which finds whether one of them matters.
        """
        self._dataset = dataset
        self._unit = unit
        self._layout = layout
        self._owner = Owner(unit.day, shard)
        self._source, self._kept = source_fingerprint, kept
        self._own_first = own_first
        self._listed: dict[date, list[Entry]] = {}
        self._relied_on: dict[date, set[Entry]] = defaultdict(set)
        self._times: dict[date, list[pa.Array | None]] = defaultdict(list)
        self._footers: dict[Entry, pq.FileMetaData] = {}

    def see(self, day: date, entries: Iterable[Entry]) -> None:
        """Take in what is in the partition of a day, so that it need not be listed."""
        self._listed[day] = list(entries)

    def contents(
        self,
        day: date,
        keys: pa.Array,
        times: pa.Array | None = None,
        places: tuple[Place, Place] | None = None,
    ) -> dict[int, set[bytes]]:
        """The contents of the published records of a day that have one of n keys, by key.

        Args:
            day: The day of the partition.
            keys: int64[n].
            times: timestamp[us, UTC][n]: the event times of the same records. If given, only row
                groups that may hold one of these times are read.
            places: The first and the last of the places of the same records. If given, only row
                groups that may hold a place between them are read.
        """
        self._times[day].append(times)
        contents: dict[int, set[bytes]] = defaultdict(set)
        for entry in list(self._others(day)):
            try:
                for key, match in self._matches(entry, day, keys, times, places):
                    contents[key].add(match)
                    self._relied_on[day].add(entry)
            except StorageError:
                if self._is_current(entry):
                    raise
                self._listed[day].remove(entry)  # gone or replaced: `refresh` will notice
        return contents

    def own(self, day: date) -> list[Entry]:
        """The parts of a day's partition that belong to this run's owner."""
        return [entry for entry in self._at(day) if self._is_own(owner_of(entry.key, day))]

    def _others(self, day: date) -> list[Entry]:
        return [
            entry
            for entry in self._at(day)
            if entry.key in self._kept or self._is_anothers(owner_of(entry.key, day))
        ]

    def _at(self, day: date) -> list[Entry]:
        if day not in self._listed:
            if day == self._owner.day and not self._own_first:
                return []
            self._listed[day] = self._list(day)
        return self._listed[day]

    def _list(self, day: date) -> list[Entry]:
        return parts_in(self._dataset, self._unit.on(day), self._layout)

    def _is_current(self, entry: Entry) -> bool:
        folder = entry.key.rpartition("/")[0] + "/"
        return _versions([entry]) <= _versions(self._dataset.files(folder))

    def refresh(self, day: date, keys: pa.Array, entries: list[Entry] | None = None) -> bool:
        """List a day's partition again; of use only while the lease of that partition is held.

        Args:
            day: The day.
            keys: The keys of the records that are to be published there: int64.
            entries: What is there now, if that is known.

        Returns:
            Whether `contents` would answer differently by now, for all keys that it was asked
            about: a part has been added that holds a record with one of these keys, or one has been
            removed or replaced for which a record may have been left out.
        """
        seen = _versions(self._others(day)) if day in self._listed else frozenset()
        self._listed[day] = self._list(day) if entries is None else entries
        now = self._others(day)
        if not _versions(self._relied_on[day]) <= _versions(now):
            return True
        asked = self._times[day]
        times = (
            None if any(array is None for array in asked) else pa.chunked_array(asked, TIMESTAMP)
        )
        added = (entry for entry in now if not _versions([entry]) <= seen)
        return any(True for entry in added for _ in self._matches(entry, day, keys, times))

    def latest(self, day: date) -> list[Entry]:
        """The parts of a day's partition, as `refresh` last listed them."""
        return self._listed[day]

    def at(self, day: date) -> list[Entry]:
        """The same for a partition that may not have been listed yet."""
        return self._listed[day] if day in self._listed else self._list(day)

    def _is_own(self, owner: Owner | None) -> bool:
        if owner is None or owner.day != self._owner.day:
            return False
        return self._owner.shard in {WHOLE, owner.shard}

    def _is_anothers(self, owner: Owner | None) -> bool:
        if owner is None or owner.day != self._owner.day:
            return owner is not None
        return owner.shard.split == self._owner.shard.split and owner != self._owner

    def _counts(self, entry: Entry, day: date, footer: pq.FileMetaData) -> bool:
        """Whether records may be left out for those of a part; see ``source_fingerprint``."""
        owner = owner_of(entry.key, day)
        if self._source is None or owner is None or owner.day != self._owner.day:
            return True
        return footer_value(footer, "source_fingerprint") == self._source

    def _matches(
        self,
        entry: Entry,
        day: date,
        keys: pa.Array,
        times: pa.Array | None,
        places: tuple[Place, Place] | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """The records of a part that have one of some keys: key and content."""
        with readable(self._dataset, entry.key):
            if entry not in self._footers:
                self._footers[entry] = read_footer(self._dataset, entry.key)
            footer = self._footers[entry]
            counts = self._counts(entry, day, footer)
            groups = list(_groups(footer, times, places)) if counts else []
            if not groups:
                return
            with self._dataset.open(entry.key) as file:
                part = pq.ParquetFile(file, metadata=footer, page_checksum_verification=True)
                for number in groups:
                    published = row_group_keys(part, number)
                    hits = pc.is_in(published, value_set=keys)
                    if hits.true_count:
                        rows = part.read_row_group(number).filter(hits).to_pylist()
                        contents = list(map(content_of, rows))
                        yield from zip(published.filter(hits).to_pylist(), contents, strict=True)


def _versions(entries: Iterable[Entry]) -> frozenset[tuple[str, str]]:
    """Parts with their versions, by which a part that was written again is told apart."""
    return frozenset((entry.key, entry.version) for entry in entries)


def _groups(
    footer: pq.FileMetaData, times: pa.Array | None, places: tuple[Place, Place] | None
) -> Iterator[int]:
    """The row groups of a part that may hold a record of one of these times, in these places."""
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        if places is not None and not _may_hold(group, paths, places):
            continue
        bounds = group.column(paths.index("eventTime")).statistics if "eventTime" in paths else None
        if times is None or bounds is None or not bounds.has_min_max:
            yield number
            continue
        inside = pc.and_(pc.greater_equal(times, bounds.min), pc.less_equal(times, bounds.max))
        if pc.any(inside).as_py():
            yield number


def _may_hold(
    group: pq.RowGroupMetaData, paths: Sequence[str], places: tuple[Place, Place]
) -> bool:
    """Whether a row group may hold a place between two, by the first of account and region."""
    name = next((name for name in Place._fields if name in paths), "")
    there = ranges_of(group).get(name)
    if there is None:
        return True
    first, last = (getattr(place, name) for place in places)
    return bool(first <= there.last and there.first <= last)


def content_of(row: dict[str, Any]) -> bytes:
    """A digest of a row's record, and its place if the row names that."""
    place = repr([row.get(name) for name in Place._fields]).encode()
    return content(restore_json(row).encode()) + place


def without_published(
    encoded: pa.Table,
    contents: dict[int, set[bytes]],
    materialize: Callable[[pa.Table], pa.Table],
) -> pa.Table:
    """The encoded rows not published yet; ``materialize`` makes columns of those in question."""
    suspects = pc.is_in(encoded["#key"], value_set=pa.array(list(contents), pa.int64()))
    suspected = encoded.filter(suspects)
    keys, rows = suspected["#key"].to_pylist(), materialize(suspected).to_pylist()
    repeats = (content_of(row) in contents[key] for key, row in zip(keys, rows, strict=True))
    keep = [not (suspect and next(repeats)) for suspect in suspects.to_pylist()]
    return encoded.filter(pa.array(keep, pa.bool_()))
