"""What parts of few rows cost, and what some features of the usual layout add to that.

Slices of a day are written as parts in several layouts, in turn, and one event is looked up in
datasets of such parts with DuckDB, over a file system that notes every range read.

    python -m bench.small_parts
"""

import argparse
import shutil
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.contestants import cpu_s
from bench.convert import run
from bench.corpora import FOLDER, corpus
from bench.layout import NotingFileSystem
from cloudtrail_parquet.dataset.writer import order_by, parquet_options, small_part_options
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.settings import Settings

ROWS = (1, 4, 20, 50, 100, 200, 500)
PARTS = 20  # of each size
SETTINGS = Settings()
USUAL = parquet_options(WriterOptions.of(SETTINGS))
SMALL = small_part_options(WriterOptions.of(SETTINGS))
PLAIN = USUAL | {"use_dictionary": False}
LAYOUTS: dict[str, dict[str, Any]] = {
    "as large parts": USUAL,
    "no dictionaries": PLAIN,
    "no page index either": PLAIN | {"write_page_index": False},
    "as small parts": SMALL,
    "no Bloom filters either": SMALL | {"bloom_filter_options": None},
}
LOOKED_UP = ("as large parts", "as small parts", "no Bloom filters either")
LOOK_UPS = {
    "all columns": "*",
    "five columns": "eventTime, eventSource, eventName, sourceIPAddress, userAgent",
}


class Cost(NamedTuple):
    """The cost of a look-up in each part: requests, and bytes read."""

    requests: float
    bytes: float


def slices(day: pa.Table, rows: int) -> list[pa.Table]:
    """Some tables of so many rows that follow each other in time, ordered as in parts."""
    by_time = day.take(pc.sort_indices(day["eventTime"]))
    step = day.num_rows // PARTS
    return [_ordered(by_time.slice(number * step, rows)) for number in range(PARTS)]


def _ordered(rows: pa.Table) -> pa.Table:
    keys = [pc.struct_field(rows[name], path) if path else rows[name] for name, path in _SORT_BY]
    return rows.take(order_by(pa.table(keys, names=list(SETTINGS.sort_by))))


_SORT_BY = [(name.split(".")[0], name.split(".")[1:]) for name in SETTINGS.sort_by]


def write(rows: pa.Table, metadata: dict[str, str], layout: dict[str, Any]) -> pa.Buffer:
    """Write a part into memory."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, **layout) as writer:
        writer.write_table(rows, row_group_size=rows.num_rows)
        writer.add_key_value_metadata(metadata)
    return sink.getvalue()


def look_up(parts: list[pa.Buffer], columns: str, event: str) -> Cost:
    """Look up one event in a dataset of these parts."""
    folder = FOLDER / "out" / "small"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        (folder / f"{number}.parquet").write_bytes(part)
    files = NotingFileSystem()
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        parquet = f"'noted://{folder.resolve()}/*.parquet'"
        connection.sql(
            f"SELECT {columns} FROM {parquet} WHERE eventID = '{event}'"
        ).to_arrow_table()
    return Cost(len(files.reads) / len(parts), sum(size for *_, size in files.reads) / len(parts))


def sizes(
    tables: dict[int, list[pa.Table]], metadata: dict[str, str], runs: int
) -> Iterator[list[str]]:
    """A row for each layout: bytes and milliseconds of CPU for a part of each size."""
    taken: dict[tuple[str, int], list[float]] = {}
    written: dict[tuple[str, int], int] = {}
    for _ in range(runs):
        for rows, parts in tables.items():
            for name, layout in LAYOUTS.items():
                begun = cpu_s()
                written[name, rows] = sum(write(part, metadata, layout).size for part in parts)
                taken.setdefault((name, rows), []).append((cpu_s() - begun) / len(parts) * 1e3)
    for name in LAYOUTS:
        yield [
            name,
            *(
                f"{written[name, rows] / PARTS / 1e3:.1f} kB, {median(taken[name, rows]):.1f} ms"
                for rows in tables
            ),
        ]


def look_ups(tables: dict[int, list[pa.Table]], metadata: dict[str, str]) -> Iterator[list[str]]:
    """A row for each question and layout: requests and bytes for a part of each size."""
    for question, columns in LOOK_UPS.items():
        for name in LOOKED_UP:
            cells = []
            for parts in tables.values():
                event = parts[PARTS // 2]["eventID"][0].as_py()
                buffers = [write(part, metadata, LAYOUTS[name]) for part in parts]
                cost = look_up(buffers, columns, event)
                cells.append(f"{cost.requests:.1f}, {cost.bytes / 1e3:.1f} kB")
            yield [f"{question}; {name}", *cells]


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=120_000)
    options.add_argument("--runs", type=int, default=15)
    asked = options.parse_args()
    out = FOLDER / "out" / "day"
    run("ours", corpus("generated", asked.records), out)
    (path,) = out.rglob("part-*.parquet")
    day = pq.read_table(path, partitioning=None)
    metadata = {
        key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()
    }
    tables = {rows: slices(day, rows) for rows in ROWS}
    print(f"pyarrow {pa.__version__}, duckdb {duckdb.__version__}\n")
    titles = ["", *(f"{rows:,} rows" if rows > 1 else "1 row" for rows in ROWS)]
    print(table(titles, sizes(tables, metadata, asked.runs)), "\n")
    print(table(titles, look_ups(tables, metadata)))


if __name__ == "__main__":
    prepare_process()
    main()
