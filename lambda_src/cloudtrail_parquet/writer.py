"""From tables of rows to Parquet parts."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.config import Settings
from cloudtrail_parquet.receipt import Part
from cloudtrail_parquet.schema import SCHEMA, kind, leaves
from cloudtrail_parquet.storage import Staging


def order_by(columns: pa.Table) -> pa.Array:
    """The row numbers in ascending order of all the columns, nulls last, ties as they came.

    Text is compared as bytes: each distinct text is ranked once, then rows are sorted by ranks.
    """
    ranks = [_rank(column.combine_chunks()) for column in columns.columns]
    keys = pa.table(ranks, names=columns.column_names)
    return pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])


def _rank(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    encoded = column.dictionary_encode()
    return pc.rank(encoded.dictionary, tiebreaker="dense").take(encoded.indices)


class PartsWriter:
    """Writes row groups into parts, one part after the other.

    Attributes:
        parts: The parts written and closed.
    """

    def __init__(
        self,
        staging: Staging,
        settings: Settings,
        metadata: dict[str, str],
        key: Callable[[int], str],
    ) -> None:
        """``key`` gives the key of the part with a number; ``metadata`` goes into each footer."""
        self.parts: list[Part] = []
        self._staging, self._settings = staging, settings
        self._metadata, self._key = metadata, key
        self._sink: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, table: pa.Table) -> None:
        """Write a table of `SCHEMA` as one row group."""
        if self._writer is None or self._sink is None:
            self._sink = self._staging.create(self._key(len(self.parts)))
            self._writer = pq.ParquetWriter(self._sink, SCHEMA, **parquet_options(self._settings))
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows += table.num_rows
        if self._sink.tell() >= self._settings.part_bytes:
            self.close()

    def close(self) -> None:
        """Finish the part that is open, if one is."""
        if self._writer is None or self._sink is None:
            return
        self._writer.add_key_value_metadata(self._metadata)
        self._writer.close()
        self.parts.append(
            Part(key=self._key(len(self.parts)), rows=self._rows, bytes=self._sink.tell())
        )
        self._sink.close()
        self._writer, self._sink, self._rows = None, None, 0


def parquet_options(settings: Settings) -> dict[str, Any]:
    """What `pyarrow.parquet.ParquetWriter` is told, all of it from the settings."""
    names = [path for path, _ in leaves()]
    bloom = {"ndv": settings.row_group_rows, "fpp": settings.bloom_fpp}
    return {
        "version": "2.6",
        "compression": settings.compression,
        "compression_level": settings.compression_level,
        "use_dictionary": [name for name in names if name not in settings.plain_columns],
        "write_statistics": [path for path, field in leaves() if kind(field) != "json"],
        "write_page_index": True,
        "data_page_size": settings.page_bytes,
        "bloom_filter_options": dict.fromkeys(settings.bloom_columns, bloom),
        "sorting_columns": [pq.SortingColumn(_leaf_number(name)) for name in settings.sort_by],
        "store_schema": False,  # engines read the Parquet types; an Arrow schema is noise to them
    }


def _leaf_number(name: str) -> int:
    return [path for path, _ in leaves()].index(name)


@contextmanager
def in_background(write: Callable[[pa.Table], None]) -> Iterator[Callable[[pa.Table], None]]:
    """Run a table writer in a thread of its own, one table behind the caller."""
    with ThreadPoolExecutor(1, thread_name_prefix="write") as thread:
        last: Future[None] | None = None

        def submit(table: pa.Table) -> None:
            nonlocal last
            if last is not None:
                last.result()
            last = thread.submit(write, table)

        yield submit
        if last is not None:
            last.result()
