"""Digests of rows and of delivered records, in columns, and how they are compared.

A digest takes 16 bytes, and where it comes from 8 more: 24 for a row, 25 for a delivered record.
"""

from array import array
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.verification.values import DIGEST_BYTES

_SHIFT = 32
_DIGEST = pa.binary(DIGEST_BYTES)

DISCARDED, OPTIONAL, REQUIRED = 0, 1, 2
"""How a delivered record is to be in the dataset: not at all, perhaps, or once."""


class Ref(NamedTuple):
    """Where a row or a record is: the number of its part or log file, and its index there."""

    number: int
    position: int


class RowDigests:
    """The digests of the rows of a partition."""

    def __init__(self) -> None:
        self._digests, self._refs = bytearray(), array("q")

    def add(self, digest: bytes, part: int, row: int) -> None:
        """Add a row, by the number of its part and its index there."""
        self._digests += digest
        self._refs.append(part << _SHIFT | row)

    def table(self) -> pa.Table:
        """Columns ``digest`` and ``ref``."""
        return _table(self._digests, ref=(self._refs, pa.int64()))


class RecordDigests:
    """The digests of the records that were delivered for a day."""

    def __init__(self) -> None:
        self._digests, self._refs = bytearray(), array("q")
        self._needs = array("b")

    def add(self, digest: bytes, file: int, position: int, need: int) -> None:
        """Add a record.

        Args:
            digest: Of its normal form in its place, masked.
            file: The number of its log file.
            position: Its index there.
            need: `REQUIRED`, `OPTIONAL` or `DISCARDED`.
        """
        self._digests += digest
        self._refs.append(file << _SHIFT | position)
        self._needs.append(need)

    def table(self) -> pa.Table:
        """Columns ``digest``, ``ref`` and ``need``."""
        return _table(
            self._digests,
            ref=(self._refs, pa.int64()),
            need=(self._needs, pa.int8()),
        )


def _table(digests: bytearray, **columns: tuple["array[int]", pa.DataType]) -> pa.Table:
    count = len(digests) // DIGEST_BYTES
    data = pa.FixedSizeBinaryArray.from_buffers(_DIGEST, count, [None, pa.py_buffer(digests)])
    arrays = [
        pa.Array.from_buffers(dtype, count, [None, pa.py_buffer(values)])
        for values, dtype in columns.values()
    ]
    return pa.table([data, *arrays], names=["digest", *columns])


class Comparison(NamedTuple):
    """What does not agree.

    Attributes:
        missing: Records that are required and have no row.
        unvouched: Rows without a record.
        discarded: Rows of records that should have been discarded.
        repeated: Rows that repeat another one, each with the records that are there for it.
    """

    missing: list[Ref]
    unvouched: list[Ref]
    discarded: list[Ref]
    repeated: list[tuple[Ref, list[Ref]]]


def compare(rows: pa.Table, records: pa.Table) -> Comparison:
    """Compare the rows of a partition with the records delivered for it, both by their digests."""
    delivered = records.group_by("digest").aggregate([("need", "max"), ("ref", "min")])
    required = delivered.filter(pc.equal(delivered["need_max"], REQUIRED))
    missing = required.filter(pc.invert(_in(required, rows)))
    known = _in(rows, delivered)
    never = delivered.filter(pc.equal(delivered["need_max"], DISCARDED))
    return Comparison(
        refs(missing["ref_min"]),
        refs(rows.filter(pc.invert(known))["ref"]),
        refs(rows.filter(_in(rows, never))["ref"]),
        [(ref, _refs_of(records, digest)) for ref, digest in _again(rows)],
    )


def repeated(rows: pa.Table) -> list[Ref]:
    """Rows that repeat another one."""
    return sorted(ref for ref, _ in _again(rows))


def _again(rows: pa.Table) -> list[tuple[Ref, bytes]]:
    """Rows that repeat another one, with their digests, sorted by these."""
    counts = rows.group_by("digest").aggregate([("ref", "count")])
    many = counts.filter(pc.greater(counts["ref_count"], 1))
    if not many.num_rows:
        return []
    found = rows.filter(_in(rows, many)).sort_by([("digest", "ascending"), ("ref", "ascending")])
    pairs = zip(found["digest"].to_pylist(), found["ref"].to_pylist(), strict=True)
    return [
        (_ref(two), digest) for (before, _), (digest, two) in pairwise(pairs) if before == digest
    ]


def _refs_of(records: pa.Table, digest: bytes) -> list[Ref]:
    return refs(records.filter(pc.equal(records["digest"], pa.scalar(digest, _DIGEST)))["ref"])


def _in(table: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(table["digest"], value_set=others["digest"].combine_chunks())


def refs(column: pa.ChunkedArray) -> list[Ref]:
    """References as their two numbers, in order."""
    return list(map(_ref, sorted(column.to_pylist())))


def _ref(number: int) -> Ref:
    return Ref(number >> _SHIFT, number & (1 << _SHIFT) - 1)
