"""Account and region where they are columns of parts: their ranges, and the rows of some."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.layout import Place

Names = Mapping[str, frozenset[str]]
"""The values that are wanted of account or region, by column."""


class Range(msgspec.Struct, frozen=True):
    """The least and the greatest value of a column."""

    first: str
    last: str

    def __or__(self, other: "Range") -> "Range":
        """The range of both."""
        return Range(min(self.first, other.first), max(self.last, other.last))

    def holds(self, value: str) -> bool:
        """Whether a value may be among those of the column."""
        return self.first <= value <= self.last


def ranges_of(group: pq.RowGroupMetaData) -> dict[str, Range]:
    """The ranges of account and region in a row group, by its statistics; only of its columns."""
    chunks = [group.column(number) for number in range(group.num_columns)]
    statistics = {
        chunk.path_in_schema: chunk.statistics
        for chunk in chunks
        if chunk.path_in_schema in Place._fields
    }
    return {name: Range(each.min, each.max) for name, each in statistics.items() if _is_text(each)}


def _is_text(statistics: Any) -> bool:  # noqa: ANN401 - pyarrow.parquet.Statistics, or None
    return statistics is not None and isinstance(statistics.min, str)


def places_in(part: pq.ParquetFile, names: Names) -> Iterator[pa.Table]:
    """Yield the columns that are wanted, by row group, and nothing else of a part."""
    for number in range(part.num_row_groups):
        yield part.read_row_group(number, columns=list(names))


def batches_of(part: pq.ParquetFile, names: Names, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part that are wanted, in batches.

    A row group is read if its statistics say that it may have some, and if its columns of account
    and region, which are small, say that it has.
    """
    if not names:
        yield from part.iter_batches(rows)
        return
    for number in range(part.num_row_groups):
        if not _may_have(part.metadata.row_group(number), names):
            continue
        if pc.any(are_wanted(part.read_row_group(number, columns=list(names)), names)).as_py():
            for batch in part.iter_batches(rows, row_groups=[number]):
                yield batch.filter(are_wanted(batch, names))


def _may_have(group: pq.RowGroupMetaData, names: Names) -> bool:
    ranges = ranges_of(group)
    return all(any(map(ranges[name].holds, names[name])) for name in ranges.keys() & names.keys())


def are_wanted(rows: pa.Table | pa.RecordBatch, names: Names) -> pa.Array | pa.ChunkedArray:
    """For each row, whether it has wanted values in all columns."""
    wanted = pa.scalar(value=True)
    for name, values in names.items():
        wanted = pc.and_(wanted, pc.is_in(rows.column(name), pa.array(sorted(values))))
    return wanted
