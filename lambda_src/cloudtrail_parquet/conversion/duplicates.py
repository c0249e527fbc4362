"""Finding records that were delivered twice.

Two records are duplicates when they have the same ``eventID`` and the same content, or, without an
``eventID``, the same content. Of each record 16 bytes are kept: a key, which is equal for records
that may be the same, and the record's position in the source. Records with equal keys are read
again from there and compared whole, so that no record is ever dropped by a hash alone.

Only the records of one place are compared: a record that CloudTrail delivers to two regions is kept
once in each.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import date
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.keys import content
from cloudtrail_parquet.records.to_arrow import KEYS

_FILES_AT_HAND = 4
_BYTES_AT_HAND = 64 << 20  # of records; one file may be larger than memory has room for
_POSITIONS = pa.schema(KEYS)


class Position(NamedTuple):
    """The position of a record: the number of its log file, its index in the file's ``Records``."""

    file: int
    record: int


class _Identity(NamedTuple):
    place: Place
    event_id: str | None
    content: bytes


class Duplicates:
    """The keys of the records that a run has kept so far, by which it finds repeated ones.

    Attributes:
        conflicts: Records kept although another record has the same ``eventID``.
    """

    def __init__(
        self,
        read_again: Callable[[int], list[Any]],
        place_of: Callable[[int], Place] = lambda _: Place("", ""),
    ) -> None:
        """Prepare.

        Args:
            read_again: Returns the raw ``Records`` of a log file, by its number.
            place_of: Returns the place of a log file, by its number.
        """
        self._read_again, self._place_of = read_again, place_of
        self._at_hand: OrderedDict[int, tuple[list[Any], int]] = (
            OrderedDict()
        )  # and their size in bytes
        self._kept = defaultdict[date, pa.Table](_POSITIONS.empty_table)
        self._forgotten = defaultdict[date, list[pa.ChunkedArray]](list)
        self.conflicts = 0

    def keys(self, day: date) -> pa.ChunkedArray:
        """The keys of the records of a day that were kept so far."""
        kept = self._kept[day]["#key"]
        return pa.chunked_array(
            [chunk for keys in (*self._forgotten[day], kept) for chunk in keys.chunks], kept.type
        )

    def forget(self, day: date, before: int) -> None:
        """Compare no more with a day's records of the log files before one, by its number.

        Their places are read to their ends; their keys are still among `keys`.
        """
        kept = self._kept[day]
        if before and kept.num_rows:
            is_gone = pc.less(kept["#file"], before)
            self._forgotten[day].append(kept.filter(is_gone)["#key"])
            self._kept[day] = kept.filter(pc.invert(is_gone))

    def first_only(self, encoded: pa.Table, day: date) -> pa.Table:
        """Drop the encoded rows that repeat an earlier row or one kept before.

        Args:
            encoded: The rows in delivery order, with the columns `to_arrow.KEYS`.
            day: The day they belong to.

        Returns:
            The remaining rows, in order.
        """
        keys = encoded["#key"].combine_chunks()
        suspects = self._suspects(keys)
        if suspects:
            encoded = self._without_repeats(encoded, suspects)
        positions = encoded.select(_POSITIONS.names).combine_chunks()
        self._kept[day] = pa.concat_tables([self._kept[day], positions])
        return encoded

    def _suspects(self, keys: pa.Array) -> dict[int, list[Position]]:
        """The keys that occur more than once, with the positions kept before."""
        suspects: dict[int, list[Position]] = defaultdict(list)
        if pc.count_distinct(keys).as_py() < len(keys):
            counts = pc.value_counts(keys)
            for repeated in counts.filter(pc.greater(counts.field("counts"), 1)).to_pylist():
                suspects[repeated["values"]] = []
        for kept in self._kept.values():
            known = pc.is_in(kept["#key"], value_set=keys)
            if pc.any(known).as_py():
                for row in kept.filter(known).to_pylist():
                    suspects[row["#key"]].append(Position(row["#file"], row["#record"]))
        return suspects

    def _without_repeats(self, encoded: pa.Table, suspects: dict[int, list[Position]]) -> pa.Table:
        wanted = pa.array(list(suspects), pa.int64())
        rows = pc.indices_nonzero(pc.is_in(encoded["#key"].combine_chunks(), value_set=wanted))
        suspected = encoded.select(_POSITIONS.names).take(rows).to_pylist()
        fresh = [Position(row["#file"], row["#record"]) for row in suspected]
        # Sorted by file, so that each is read once: it may be a large one.
        identities = {
            position: self._identity(position)
            for position in sorted({*fresh, *chain.from_iterable(suspects.values())})
        }
        self._release(_BYTES_AT_HAND)
        contents = {
            key: {identities[position] for position in kept} for key, kept in suspects.items()
        }
        repeats = set()
        for number, row, position in zip(rows.to_pylist(), suspected, fresh, strict=True):
            identity, others = identities[position], contents[row["#key"]]
            if identity in others:
                repeats.add(number)
                continue
            if identity.event_id is not None and any(
                (identity.place, identity.event_id) == (other.place, other.event_id)
                for other in others
            ):
                self.conflicts += 1
            others.add(identity)
        keep = pa.array([row not in repeats for row in range(encoded.num_rows)])
        return encoded.filter(keep) if repeats else encoded

    def _identity(self, position: Position) -> _Identity:
        raw = bytes(self._records(position.file)[position.record])
        try:
            event_id, _ = jsontext.string(jsontext.members(raw).get("eventID", jsontext.NULL))
        except ValueError:
            event_id = None
        return _Identity(self._place_of(position.file), event_id, content(raw))

    def _records(self, file: int) -> list[Any]:
        if file not in self._at_hand:
            if len(self._at_hand) == _FILES_AT_HAND:
                self._at_hand.popitem(last=False)
            self._release(_BYTES_AT_HAND)
            records = self._read_again(file)
            self._at_hand[file] = records, sum(memoryview(raw).nbytes for raw in records)
        self._at_hand.move_to_end(file)
        return self._at_hand[file][0]

    def _release(self, limit_bytes: int) -> None:
        """Drop the files used longest ago, until those at hand fit into a limit."""
        while sum(size for _, size in self._at_hand.values()) > limit_bytes:
            self._at_hand.popitem(last=False)
