"""What settings cost and gain: size, CPU and the bytes that ten questions read.

The same records are converted with several settings. Each question is asked of each dataset in
DuckDB and in pyarrow.dataset over a file system that notes every range read; a row group counts if
any of its pages was read.

    python -m bench.layout > build/tuning.md    # the tables of docs/tuning.md
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from fsspec.implementations.local import (
    LocalFileOpener,
    LocalFileSystem,
)

from bench.corpora import FOLDER, made
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.schema.columns import JSON_COLUMNS, PARTITION_SCHEMA, TIMESTAMP
from cloudtrail_parquet.settings.settings import Settings

DAYS = 30
_DELTA_TIME = ",eventTime=DELTA_BINARY_PACKED"


def _each(encoding: str) -> str:
    """Another encoding for the columns that have one by default."""
    return ",".join(f"{column}={encoding}" for column in Settings().column_encoding)


SETTINGS: dict[str, list[str]] = {
    "defaults": [],
    "row groups of 8,192": ["--row-group-rows", "8192"],
    "row groups of 16,384": ["--row-group-rows", "16384"],
    "row groups of 131,072": ["--row-group-rows", "131072"],
    "sorted by time": ["--sort-by", "eventTime"],
    "sorted by service, call, time": ["--sort-by", "eventSource,eventName,eventTime"],
    "sorted by principal first": ["--sort-by", "userIdentity.arn,eventSource,eventName,eventTime"],
    "no Bloom filters": ["--bloom-columns", ""],
    "Bloom filters at 1 %": ["--bloom-fpp", "0.01"],
    "pages of 64 KiB": ["--page-bytes", "65536"],
    "pages of 1 MiB": ["--page-bytes", "1048576"],
    "no page checksums": ["--no-page-checksums"],
    "zstd 1": ["--compression-level", "1"],
    "zstd 3": ["--compression-level", "3"],
    "zstd 9": ["--compression-level", "9"],
    "snappy": ["--compression", "snappy"],
    "delta encodings": ["--column-encoding", _each("DELTA_LENGTH_BYTE_ARRAY") + _DELTA_TIME],
    "DICTIONARY everywhere": ["--column-encoding", _each("DICTIONARY")],
    "statistics of ids and messages": ["--without-statistics", ",".join(JSON_COLUMNS)],
}


class Question(NamedTuple):
    """A question that people ask, in both engines' languages.

    Attributes:
        name: The question in words.
        sql: For DuckDB, over the view ``cloudtrail``.
        columns: For pyarrow: the columns to read; empty for all.
        condition: For pyarrow: selects the rows.
    """

    name: str
    sql: str
    columns: list[str]
    condition: pc.Expression


def questions(known: dict[str, Any]) -> list[Question]:
    """Ten questions about values that a dataset holds."""
    field = pc.field
    one_day = (field("year") == 2026) & (field("month") == 1) & (field("day") == 15)
    week = (field("year") == 2026) & (field("month") == 1) & (field("day") >= 9)
    week = week & (field("day") < 16)
    key, role = ("userIdentity", "accessKeyId"), ("userIdentity", "sessionContext")
    hour = [pa.scalar(known[name], TIMESTAMP) for name in ("hour", "next_hour")]
    return [
        Question(
            "one event id",
            f"SELECT * FROM cloudtrail WHERE eventID = '{known['eventID']}'",
            [],
            field("eventID") == known["eventID"],
        ),
        Question(
            "one request id",
            f"SELECT * FROM cloudtrail WHERE requestID = '{known['requestID']}'",
            [],
            field("requestID") == known["requestID"],
        ),
        Question(
            "all calls with one access key",
            f"""SELECT eventTime, eventSource, eventName, sourceIPAddress FROM cloudtrail
                WHERE userIdentity.accessKeyId = '{known["accessKeyId"]}'""",
            ["eventTime", "eventSource", "eventName", "sourceIPAddress"],
            field(*key) == known["accessKeyId"],
        ),
        Question(
            "failed console logins",
            """SELECT eventTime, userIdentity.arn, sourceIPAddress, errorMessage FROM cloudtrail
               WHERE eventSource = 'signin.amazonaws.com' AND eventName = 'ConsoleLogin'
               AND errorMessage IS NOT NULL""",
            ["eventTime", "userIdentity", "sourceIPAddress", "errorMessage"],
            (field("eventSource") == "signin.amazonaws.com")
            & (field("eventName") == "ConsoleLogin")
            & field("errorMessage").is_valid(),
        ),
        Question(
            "all calls of a role in a week",
            f"""SELECT eventTime, eventSource, eventName FROM cloudtrail
                WHERE year = 2026 AND month = 1 AND day BETWEEN 9 AND 15
                AND userIdentity.sessionContext.sessionIssuer.arn = '{known["role"]}'""",
            ["eventTime", "eventSource", "eventName"],
            week & (field(*role, "sessionIssuer", "arn") == known["role"]),
        ),
        Question(
            "top services of a day",
            """SELECT eventSource, count(*) FROM cloudtrail
               WHERE year = 2026 AND month = 1 AND day = 15 GROUP BY ALL""",
            ["eventSource"],
            one_day,
        ),
        Question(
            "deletes in one bucket",
            f"""SELECT eventTime, userIdentity.arn, requestParameters FROM cloudtrail
                WHERE eventSource = 's3.amazonaws.com' AND eventName = 'DeleteObject'
                AND requestParameters LIKE '%{known["bucket"]}%'""",
            ["eventTime", "userIdentity", "requestParameters"],
            (field("eventSource") == "s3.amazonaws.com")
            & (field("eventName") == "DeleteObject")
            & pc.match_substring(field("requestParameters"), known["bucket"]),
        ),
        Question(
            "denied calls by principal in a week",
            """SELECT userIdentity.arn, count(*) FROM cloudtrail
               WHERE year = 2026 AND month = 1 AND day BETWEEN 9 AND 15
               AND errorCode IN ('AccessDenied', 'Client.UnauthorizedOperation') GROUP BY ALL""",
            ["userIdentity", "errorCode"],
            week & field("errorCode").isin(["AccessDenied", "Client.UnauthorizedOperation"]),
        ),
        Question(
            "everything within one hour",
            f"""SELECT eventTime, eventSource, eventName, userIdentity.arn FROM cloudtrail
                WHERE eventTime >= '{known["hour"]}' AND eventTime < '{known["next_hour"]}'""",
            ["eventTime", "eventSource", "eventName", "userIdentity"],
            (field("eventTime") >= hour[0]) & (field("eventTime") < hour[1]),
        ),
        Question(
            "all calls from one address",
            f"""SELECT eventTime, eventSource, eventName, userIdentity.arn FROM cloudtrail
                WHERE sourceIPAddress = '{known["sourceIPAddress"]}'""",
            ["eventTime", "eventSource", "eventName", "userIdentity"],
            field("sourceIPAddress") == known["sourceIPAddress"],
        ),
    ]


class NotingFileSystem(LocalFileSystem):  # type: ignore[misc]  # it has no types
    """Local files, with a note of every range that is read.

    Attributes:
        reads: (path, offset, bytes) in the order of the reads.
    """

    protocol = "noted"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, int, int]] = []

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:  # noqa: ANN401
        return _NotingFile(path, mode, fs=self, reads=self.reads)


class _NotingFile(LocalFileOpener):  # type: ignore[misc]
    """A file with a position for each thread: DuckDB seeks and reads from several at once."""

    def __init__(self, path: str, mode: str, *, fs: Any, reads: list[Any]) -> None:  # noqa: ANN401
        super().__init__(path, mode, fs=fs, autocommit=True)
        self._reads = reads
        self._here = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size}
        self._here.at = starts[whence] + offset
        return self.tell()

    def tell(self) -> int:
        return getattr(self._here, "at", 0)

    def read(self, size: int = -1) -> bytes:
        at = self.tell()
        data = os.pread(self.f.fileno(), self.size - at if size < 0 else size, at)
        self._here.at = at + len(data)
        self._reads.append((self.path, at, len(data)))
        return data

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Cost(NamedTuple):
    """The cost of an answer: bytes read, row groups with a page read, rows found."""

    bytes: int
    row_groups: int
    rows: int


class Dataset:
    """A dataset, and where the row groups are in its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.parts = sorted(self.folder.rglob("*.parquet"))
        self.size = sum(part.stat().st_size for part in self.parts)
        footers = {str(part): pq.read_metadata(part) for part in self.parts}
        self.row_groups = sum(footer.num_row_groups for footer in footers.values())
        self.footer_bytes = sum(footer.serialized_size for footer in footers.values())
        self._starts = {path: list(_starts(footer)) for path, footer in footers.items()}

    def cost(self, ask: Callable[["Dataset", NotingFileSystem], int]) -> Cost:
        """Ask a question and count what it reads."""
        files = NotingFileSystem()
        rows = ask(self, files)
        groups = {
            (path, group)
            for path, at, count in files.reads
            for group in self._groups(path, at, at + count)
        }
        return Cost(sum(count for _, _, count in files.reads), len(groups), rows)

    def _groups(self, path: str, start: int, end: int) -> Iterator[int]:
        """The row groups whose pages a range overlaps; filters and footer come after them."""
        starts = self._starts[path]
        first = max(bisect_right(starts, start) - 1, 0)
        for group in range(first, len(starts) - 1):
            if starts[group] < end and start < starts[group + 1]:
                yield group


def _starts(footer: pq.FileMetaData) -> Iterator[int]:
    end = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        chunks = [group.column(index) for index in range(group.num_columns)]
        firsts = [chunk.dictionary_page_offset or chunk.data_page_offset for chunk in chunks]
        yield min(firsts)
        end = max(
            first + chunk.total_compressed_size for first, chunk in zip(firsts, chunks, strict=True)
        )
    yield end


def in_duckdb(question: Question) -> Callable[[Dataset, NotingFileSystem], int]:
    """Ask in DuckDB."""

    def ask(dataset: Dataset, files: NotingFileSystem) -> int:
        with duckdb.connect() as connection:
            connection.register_filesystem(files)
            connection.execute(
                f"""CREATE VIEW cloudtrail AS SELECT * FROM read_parquet(
                      'noted://{dataset.folder}/**/*.parquet', hive_partitioning = true,
                      hive_types_autocast = false,
                      hive_types = {{'year': BIGINT, 'month': BIGINT, 'day': BIGINT}})"""
            )
            files.reads.clear()  # the view has looked at a footer
            rows = 0
            for batch in connection.sql(question.sql).to_arrow_reader():  # reads all columns
                rows += batch.num_rows
            return rows

    return ask


def in_pyarrow(question: Question) -> Callable[[Dataset, NotingFileSystem], int]:
    """Ask in pyarrow.dataset."""

    def ask(dataset: Dataset, files: NotingFileSystem) -> int:
        opened = pads.dataset(
            str(dataset.folder),
            filesystem=pafs.PyFileSystem(pafs.FSSpecHandler(files)),
            format="parquet",
            partitioning=pads.HivePartitioning(PARTITION_SCHEMA),
        )
        columns = question.columns or None
        rows: int = opened.to_table(columns=columns, filter=question.condition).num_rows
        return rows

    return ask


def convert(logs: Path, out: Path, options: list[str]) -> float:
    """Convert in one process; returns its CPU seconds, user and system."""
    for folder in (out, Path(f"{out}.state")):
        shutil.rmtree(folder, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "cloudtrail_parquet.cli", "convert", str(logs), str(out)]
    subprocess.run(
        [*command, "--workers", "1", "--json", *options], check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def known_values(dataset: Dataset) -> dict[str, Any]:
    """The values to ask for: those of a record in the middle of the month."""
    connection = duckdb.connect()
    names = ("eventID", "requestID", "accessKeyId", "sourceIPAddress", "role", "hour", "next_hour")
    (values,) = connection.execute(
        f"""SELECT eventID, requestID, userIdentity.accessKeyId AS key, sourceIPAddress,
                   userIdentity.sessionContext.sessionIssuer.arn AS role,
                   date_trunc('hour', eventTime)::TIMESTAMP AS hour, hour + INTERVAL 1 HOUR
            FROM '{dataset.folder}/**/*.parquet'
            WHERE role IS NOT NULL AND key IS NOT NULL AND requestID IS NOT NULL
              AND regexp_matches(sourceIPAddress, '^[0-9.]+$')
              AND eventTime >= '2026-01-15' ORDER BY eventTime, eventID LIMIT 1"""
    ).fetchall()
    ((bucket,),) = connection.execute(
        f"""SELECT requestParameters ->> 'bucketName' FROM '{dataset.folder}/**/*.parquet'
            WHERE eventName = 'DeleteObject' ORDER BY eventTime, eventID LIMIT 1"""
    ).fetchall()
    return {**dict(zip(names, values, strict=True)), "bucket": bucket}


def logs_of(records: int) -> Path:
    """A month of one account in one region, made once."""
    spec = TreeSpec(accounts=1, regions=1, days=DAYS, records=records)
    return made(FOLDER / f"month-{records}", lambda folder: generate_tree(folder, spec))


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=600_000)
    options.add_argument("--runs", type=int, default=3, help="of which the median CPU is taken")
    options.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    asked = options.parse_args()
    logs, out = logs_of(asked.records), FOLDER / "out" / "layout"
    gzipped = sum(path.stat().st_size for path in logs.rglob("*_CloudTrail_*.json.gz"))
    convert(logs, out, [])
    asking = questions(known_values(Dataset(out)))
    sizes, costs = [], {in_duckdb: list[list[str]](), in_pyarrow: list[list[str]]()}
    base_s = 0.0
    for name in asked.only:
        cpu_s = median(convert(logs, out, SETTINGS[name]) for _ in range(asked.runs))
        base_s = base_s or cpu_s
        dataset = Dataset(out)
        sizes.append(
            [
                name,
                f"{dataset.size / 1e6:.1f}",
                f"{dataset.size / gzipped:.1%}",
                f"{cpu_s / base_s:.2f}",
                str(dataset.row_groups),
                f"{dataset.footer_bytes / dataset.size:.1%}",
            ]
        )
        for engine, rows in costs.items():
            answers = [dataset.cost(engine(question)) for question in asking]
            cells = [f"{cost.bytes / dataset.size:.1%} ({cost.row_groups})" for cost in answers]
            rows.append([name, *cells])
            sys.stderr.write(f"{name}: {[cost.rows for cost in answers]}\n")
    versions = f"pyarrow {pa.__version__}, duckdb {duckdb.__version__}"
    print(f"{asked.records:,} records in {DAYS} days, {gzipped / 1e6:.1f} MB gzipped; {versions}\n")
    titles = ["settings", "MB", "of the source", "CPU", "row groups", "footers"]
    print(table(titles, sizes), "\n")
    for title, rows in zip(("DuckDB", "pyarrow.dataset"), costs.values(), strict=True):
        print(f"{title}: bytes read, of the dataset (row groups)\n")
        print(table(["settings", *(question.name for question in asking)], rows), "\n")


if __name__ == "__main__":
    main()
