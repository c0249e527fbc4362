"""What page checksums cost: CPU to write and to read, and bytes.

A part made from one day is written and read back in memory, with checksums and without, in turn;
the figures are medians. Reading with checksums verifies them.

    python -m bench.checksums
"""

import argparse
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from bench.contestants import cpu_s, hide_pandas
from bench.convert import run
from bench.corpora import FOLDER, MAKERS, corpus
from cloudtrail_parquet.dataset.writer import parquet_options
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.settings import Settings


def write(rows: pa.Table, settings: Settings) -> pa.Buffer:
    """Write a part into memory."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, rows.schema, **parquet_options(WriterOptions.of(settings))
    ) as writer:
        writer.write_table(rows, row_group_size=settings.row_group_rows)
    return sink.getvalue()


def read(part: pa.Buffer, *, verify: bool) -> pa.Table:
    """Read all columns of a part."""
    return pq.ParquetFile(pa.BufferReader(part), page_checksum_verification=verify).read()


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", choices=MAKERS, default="generated")
    options.add_argument("--records", type=int, default=120_000)
    options.add_argument("--runs", type=int, default=21)
    asked = options.parse_args()
    out = FOLDER / "out" / "checksums"
    run("ours", corpus(asked.corpus, asked.records), out)
    (path,) = out.rglob("part-*.parquet")
    rows = pq.read_table(path, partitioning=None)
    settings = {checksums: Settings(page_checksums=checksums) for checksums in (False, True)}
    parts = {checksums: write(rows, used) for checksums, used in settings.items()}  # a warm-up
    writing: dict[bool, list[float]] = {False: [], True: []}
    reading: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(asked.runs):
        for checksums, part in parts.items():
            begun = cpu_s()
            write(rows, settings[checksums])
            written = cpu_s()
            read(part, verify=checksums)
            writing[checksums].append(written - begun)
            reading[checksums].append(cpu_s() - written)
    print(f"{rows.num_rows:,} records; pyarrow {pa.__version__}\n")
    print(
        table(
            ("page checksums", "bytes", "write, CPU s", "ratio", "read, CPU s", "ratio"),
            (
                (
                    "with" if checksums else "without",
                    f"{part.size:,}",
                    *figures(writing[checksums], writing[False]),
                    *figures(reading[checksums], reading[False]),
                )
                for checksums, part in parts.items()
            ),
        )
    )


def figures(seconds: list[float], base: list[float]) -> tuple[str, str]:
    """A median, and its ratio to another."""
    return f"{median(seconds):.3f}", f"{median(seconds) / median(base):.3f}"


if __name__ == "__main__":
    hide_pandas()
    prepare_process()
    main()
