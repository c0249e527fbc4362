"""Finding records that were delivered twice.

Two records are duplicates when they have the same ``eventID`` and the same content, or, where they
have no ``eventID``, the same content. Of each record 16 bytes are kept: a key that is equal for
records that may be the same, and where it stands in the source. Records whose keys meet are read
again from there and compared whole, so that nothing is ever dropped by a hash alone.

Only the records of one account and region are compared: what CloudTrail delivers to two regions
stands once in each.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.records.keys import content
from cloudtrail_parquet.records.to_arrow import KEYS

_FILES_AT_HAND = 4
_BYTES_AT_HAND = 64 << 20  # of records, between two looks; one file may be larger than memory has
_POSITIONS = pa.schema(KEYS)


class Position(NamedTuple):
    """Where a record stands: number of its log file, index in the file's ``Records``."""

    file: int
    record: int


class Duplicates:
    """All that a run has kept so far, and the judgement of what comes next.

    Attributes:
        conflicts: Records kept although another one has their ``eventID``.
    """

    def __init__(self, read_again: Callable[[int], list[Any]]) -> None:
        """``read_again`` gives the raw ``Records`` of the log file with a number."""
        self._read_again = read_again
        self._at_hand: OrderedDict[int, tuple[list[Any], int]] = OrderedDict()  # and their bytes
        self._kept = defaultdict[date, pa.Table](_POSITIONS.empty_table)
        self.conflicts = 0

    def keys(self, day: date) -> pa.ChunkedArray:
        """The keys of the records of a day kept so far."""
        return self._kept[day]["#key"]

    def first_only(self, encoded: pa.Table, day: date) -> pa.Table:
        """Drop the rows of n encoded that repeat an earlier row or one kept before.

        Args:
            encoded: In delivery order, with the columns `columns.KEYS`.
            day: The day they belong to.

        Returns:
            The rows that stay, in order.
        """
        keys = encoded["#key"].combine_chunks()
        suspects = self._suspects(keys)
        if suspects:
            encoded = self._without_repeats(encoded, suspects)
        positions = encoded.select(_POSITIONS.names).combine_chunks()
        self._kept[day] = pa.concat_tables([self._kept[day], positions])
        return encoded

    def _suspects(self, keys: pa.Array) -> dict[int, list[Position]]:
        """The keys that stand more than once, with the positions kept before."""
        found: dict[int, list[Position]] = defaultdict(list)
        if pc.count_distinct(keys).as_py() < len(keys):
            counts = pc.value_counts(keys)
            for repeated in counts.filter(pc.greater(counts.field("counts"), 1)).to_pylist():
                found[repeated["values"]] = []
        for kept in self._kept.values():
            known = pc.is_in(kept["#key"], value_set=keys)
            if pc.any(known).as_py():
                for row in kept.filter(known).to_pylist():
                    found[row["#key"]].append(Position(row["#file"], row["#record"]))
        return found

    def _without_repeats(self, encoded: pa.Table, suspects: dict[int, list[Position]]) -> pa.Table:
        wanted = pa.array(list(suspects), pa.int64())
        rows = pc.indices_nonzero(pc.is_in(encoded["#key"].combine_chunks(), value_set=wanted))
        suspected = encoded.select(_POSITIONS.names).take(rows).to_pylist()
        fresh = [Position(one["#file"], one["#record"]) for one in suspected]
        # File by file, so that each is read once: it may be a large one.
        identities = {
            position: self._identity(position)
            for position in sorted({*fresh, *(one for some in suspects.values() for one in some)})
        }
        self._let_go(_BYTES_AT_HAND)
        contents = {key: {identities[one] for one in some} for key, some in suspects.items()}
        repeats = set()
        for row, one, position in zip(rows.to_pylist(), suspected, fresh, strict=True):
            identity = identities[position]
            others = contents[one["#key"]]
            if identity in others:
                repeats.add(row)
                continue
            self.conflicts += identity[0] is not None and any(
                identity[0] == event_id for event_id, _ in others
            )
            others.add(identity)
        keep = pa.array([row not in repeats for row in range(encoded.num_rows)])
        return encoded.filter(keep) if repeats else encoded

    def _identity(self, position: Position) -> tuple[str | None, bytes]:
        raw = bytes(self._records(position.file)[position.record])
        try:
            event_id, _ = jsontext.string(jsontext.members(raw).get("eventID", jsontext.NULL))
        except ValueError:
            event_id = None
        return event_id, content(raw)

    def _records(self, file: int) -> list[Any]:
        if file not in self._at_hand:
            if len(self._at_hand) == _FILES_AT_HAND:
                self._at_hand.popitem(last=False)
            self._let_go(_BYTES_AT_HAND)
            records = self._read_again(file)
            self._at_hand[file] = records, sum(memoryview(one).nbytes for one in records)
        self._at_hand.move_to_end(file)
        return self._at_hand[file][0]

    def _let_go(self, most_bytes: int) -> None:
        while sum(size for _, size in self._at_hand.values()) > most_bytes:
            self._at_hand.popitem(last=False)
