"""Writing tables of rows as Parquet parts."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PLACE_COLUMNS
from cloudtrail_parquet.errors import system_errors
from cloudtrail_parquet.formats.parquet_footer import annotate_variants
from cloudtrail_parquet.records.json_columns import PATHS, as_in_files, file_schema
from cloudtrail_parquet.schema.columns import leaves
from cloudtrail_parquet.schema.paths import by_leaf, covers
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.types import DICTIONARY, split_codec
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.storage import Staging

SMALL_PART_ROWS = 200
"""A part of one row group with fewer rows is a small one (docs/tuning.md)."""

_BUFFER_BYTES = 1 << 20
_BATCH_ROWS = 64  # a page ends only between batches, and one value may have 100 kB


def order_by(columns: pa.Table) -> pa.Array:
    """The indexes of the rows in ascending order of all columns, nulls last, ties in input order.

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
        inexact: How many rows hold something of each free-form column in ``unmapped`` because
            the column does not hold it exactly.
    """

    def __init__(
        self,
        staging: Staging,
        options: WriterOptions,
        metadata: dict[str, str],
        key: Callable[[int], str],
    ) -> None:
        """``key`` makes the key of the n-th part; ``metadata`` goes into each footer."""
        self.parts: list[Part] = []
        self.inexact: Counter[str] = Counter()
        self._staging, self._options = staging, options
        self._metadata, self._key = metadata, key
        self._schema = file_schema(options.json_encoding, options.layout)
        self._open: _OpenPart | None = None
        self._waiting: pa.Table | None = None
        self._largest_group = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            if self._open is not None:
                self._open.abandon()

    def write(self, table: pa.Table) -> None:
        """Write a table of `SCHEMA`, and of the layout's place columns, as one row group."""
        self.write_as_is(self._as_in_files(table))

    def write_as_is(self, table: pa.Table) -> None:
        """Write a table as files hold it, as one row group.

        A part ends when another row group as large as the largest so far would exceed its size. If
        its first row group is small, that waits until it is known whether it is the only one.
        """
        usual = parquet_options(self._options)
        if self._waiting is not None:
            self._write_waiting(usual)
        if self._open is None and table.num_rows < SMALL_PART_ROWS:
            self._waiting = table
        else:
            self._write(table, usual)

    def _write_waiting(self, parquet: dict[str, Any]) -> None:
        table, self._waiting = self._waiting, None
        self._write(table, parquet)

    def _write(self, table: pa.Table, parquet: dict[str, Any]) -> None:
        if self._open is None:
            file = self._staging.create(self._key(len(self.parts)))
            self._open = _OpenPart(file, self._schema, parquet)
        before = self._open.bytes
        self._open.write(table)
        self._largest_group = max(self._largest_group, self._open.bytes - before)
        if self._open.bytes + self._largest_group > self._options.part_bytes:
            self.close()

    def _as_in_files(self, table: pa.Table) -> pa.Table:
        in_files, inexact = as_in_files(table, self._options.json_encoding)
        self.inexact += inexact
        return in_files

    def close(self) -> None:
        """Finish the part that is open, if one is."""
        if self._waiting is not None:
            self._write_waiting(small_part_options(self._options))
        if self._open is None:
            return
        variants = PATHS if self._options.json_encoding == "variant" else ()
        key, rows = self._key(len(self.parts)), self._open.rows
        size, digest = self._open.finish(self._metadata, variants)
        self.parts.append(Part(key=key, rows=rows, bytes=size, sha256=digest))
        self._open = None


class _OpenPart:
    """A part that is being written.

    Its bytes are buffered before they go to the file, since Arrow waits for the interpreter lock
    each time.

    Attributes:
        rows: Rows so far.
        bytes: Bytes so far, without the end that `finish` writes.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema, parquet: dict[str, Any]) -> None:
        """``parquet`` are options of `pyarrow.parquet.ParquetWriter`."""
        self.rows = 0
        self._sink = _Sink(file)
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._sink, "w"), _BUFFER_BYTES)
        self._writer = pq.ParquetWriter(self._stream, schema, **parquet)
        self.bytes: int = self._stream.tell()

    def write(self, table: pa.Table) -> None:
        """Write a table as one row group."""
        self._writer.write_table(table, row_group_size=table.num_rows)
        self.rows += table.num_rows
        self.bytes = self._stream.tell()

    def finish(self, metadata: dict[str, str], variants: Collection[str]) -> tuple[int, str]:
        """Write the footer, with these columns annotated as VARIANT.

        Returns:
            The part's size and the SHA-256 of its bytes, in hexadecimal.
        """
        self._writer.add_key_value_metadata(metadata)
        self._stream.flush()
        self._sink.keep()
        self._writer.close()
        self._stream.flush()
        return self._sink.finish(variants)

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        self._sink.keep()  # what Arrow writes on closing is dropped
        self._writer.close()
        self._stream.flush()
        self._sink.close()


class _Sink:
    """A file whose end can still be changed before it is written.

    What is written is hashed on its way. An error of the disk becomes a `StorageError` that names
    the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, sha256()
        self._kept: list[bytes] | None = None
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever has a buffer
        if self._kept is None:
            self._digest.update(data)
            with self._explained():
                return self._file.write(data)
        self._kept.append(bytes(data))
        return len(self._kept[-1])

    def tell(self) -> int:
        return self._file.tell() + sum(map(len, self._kept or ()))

    def flush(self) -> None:
        with self._explained():
            self._file.flush()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with system_errors("written", getattr(self._file, "name", "a part")):
            yield

    def keep(self) -> None:
        """Keep what is written from here on, up to the footer, in memory."""
        self._kept = []

    def finish(self, variants: Collection[str]) -> tuple[int, str]:
        """Write what was kept, with these columns annotated as VARIANT.

        Returns:
            The file's size, and the SHA-256 of its bytes in hexadecimal.
        """
        tail, self._kept = b"".join(self._kept or ()), None
        self.write(annotate_variants(tail, variants) if variants else tail)
        size = self._file.tell()
        self.close()
        return size, self._digest.hexdigest()

    def close(self) -> None:
        with self._explained():
            self._file.close()
        self.closed = True


@lru_cache(8)  # making them takes 0.6 ms, and writing a small part 4 ms
def parquet_options(options: WriterOptions) -> dict[str, Any]:
    """The options of `pyarrow.parquet.ParquetWriter`, all of them from the settings."""
    paths = [path for path, _ in leaves(file_schema(options.json_encoding, options.layout))]
    order = [*PLACE_COLUMNS[options.layout], *options.sort_by]
    codecs = dict.fromkeys(paths, options.codec) | {
        path: split_codec(text) for path, text in by_leaf(options.column_compression, paths).items()
    }
    encodings = dict.fromkeys(paths, DICTIONARY) | by_leaf(options.column_encoding, paths)
    bloom = {"ndv": options.row_group_rows, "fpp": options.bloom_fpp}
    return {
        "version": "2.6",
        "compression": {path: codec for path, (codec, _) in codecs.items()},
        "compression_level": {path: level for path, (_, level) in codecs.items() if level},
        "use_dictionary": [path for path in paths if encodings[path] == DICTIONARY],
        "column_encoding": {
            path: encoding for path, encoding in encodings.items() if encoding != DICTIONARY
        },
        "write_statistics": _other_than(options.without_statistics, paths),
        "write_page_index": True,
        "data_page_size": options.page_bytes,
        "write_batch_size": _BATCH_ROWS,
        "max_rows_per_page": options.page_rows,
        "write_page_checksum": options.page_checksums,
        "bloom_filter_options": dict.fromkeys(_among(options.bloom_columns, paths), bloom),
        "sorting_columns": [pq.SortingColumn(paths.index(name)) for name in order],
        "store_schema": False,  # engines read the Parquet types; an Arrow schema is noise to them
    }


@lru_cache(8)
def small_part_options(options: WriterOptions) -> dict[str, Any]:
    """The same for a small part, which is read whole: without what takes more than it saves there.

    Only the columns by which parts are chosen have dictionaries and statistics, and there is no
    page index. Arrow then writes statistics into the headers of pages, which DuckDB 2.0 misreads in
    pages without a dictionary where values are equal and others null.
    """
    chosen_by = ["eventTime", *PLACE_COLUMNS[options.layout]]
    return parquet_options(options) | {
        "use_dictionary": chosen_by,
        "write_statistics": chosen_by,
        "write_page_index": False,
    }


def _among(names: Iterable[str], paths: list[str]) -> list[str]:
    return [path for path in paths if any(covers(name, path) for name in names)]


def _other_than(names: Iterable[str], paths: list[str]) -> list[str]:
    covered = set(_among(names, paths))
    return [path for path in paths if path not in covered]


@contextmanager
def in_background(write: Callable[[pa.Table], None]) -> Iterator[Callable[[pa.Table], None]]:
    """Run a table writer in a thread of its own, one table behind the caller.

    A small table is written by the caller: that takes less than handing it over.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="write") as thread:
        last: Future[None] | None = None

        def submit(table: pa.Table) -> None:
            nonlocal last
            if last is not None:
                last.result()
            if table.num_rows < SMALL_PART_ROWS:
                write(table)
                last = None
            else:
                last = thread.submit(write, table)

        yield submit
        if last is not None:
            last.result()
