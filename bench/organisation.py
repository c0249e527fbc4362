"""What the dataset of a whole organisation costs to make and to ask, in each layout.

    python -m bench.organisation --organisation 300x17x1 --on disk --keep /tmp/organisations

The logs of accounts x regions x days are converted in each layout by the command line, on a disk
and in the slow S3 of bench/slow_s3. Then DuckDB and Polars are asked eight questions, over what
`cloudtrail-parquet schema` prints for them. It fails if two answers to a question differ, whatever
the layout, the engine or the storage, or if there are not as many rows as records.

CPU is user plus system seconds of the command and its worker processes, start and imports included.
DuckDB reads S3 by its extension httpfs, of which there is no package for its newest versions:
`make httpfs` installs one that has it in an environment of its own.
"""

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

from bench.asking import HTTPFS_PYTHON, Answers, Asker, Engine, Reading, disagreements
from bench.conversions import DATASET, Conversion, Converter, Storage
from bench.corpora import FOLDER, corpus, made
from bench.engines import Answer
from bench.questions import questions
from bench.slow_s3.process import gets_per_s
from bench.slow_s3.server import FIRST_BYTE_S
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.planning.cost import S3_GET, S3_PUT
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree

LAYOUTS: tuple[PartitionLayout, ...] = tuple(PARTITION_COLUMNS)
STORAGES: tuple[Storage, ...] = get_args(Storage)
ENGINES: dict[Engine, str] = {"duckdb": "DuckDB", "polars": "Polars"}
WHERE: dict[Storage, str] = {"disk": "on a disk", "s3": "in S3"}

RECORDS = {"300x17x1": 102_000, "40x6x30": 400_000}
_RECORDS_A_UNIT = 50  # of any other organisation
_SEED = 5
REFERENCE_RECORDS = 120_000


def organisation(name: str) -> TreeSpec:
    """The organisation of a name such as ``300x17x1``: accounts, regions and days.

    Raises:
        ValueError: It is not such a name, or there cannot be as many.
    """
    match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", name)
    if match is None:
        raise ValueError(f"{name} is not ACCOUNTSxREGIONSxDAYS")
    accounts, regions, days = map(int, match.groups())
    records = RECORDS.get(name, accounts * regions * days * _RECORDS_A_UNIT)
    return TreeSpec(accounts=accounts, regions=regions, days=days, records=records, seed=_SEED)


class Options(NamedTuple):
    """How everything is measured.

    Attributes:
        folder: Receives logs and datasets.
        reuses: Whether datasets that are there already are taken as they are.
        runs: How often everything is repeated; medians are taken.
        workers: Worker processes of a conversion; the command decides if None.
        limit_s: A conversion that takes longer is ended.
        first_byte_s: How slow S3 is.
        httpfs_python: An interpreter whose DuckDB reads S3.
    """

    folder: Path
    reuses: bool = False
    runs: int = 1
    workers: int | None = None
    limit_s: float = 600
    first_byte_s: float = FIRST_BYTE_S
    httpfs_python: Path = HTTPFS_PYTHON

    def converter(self, logs: Path, folder: Path) -> Converter:
        """Converts some logs to datasets in a folder."""
        options = ["--workers", str(self.workers)] if self.workers else []
        return Converter(
            logs=logs,
            folder=folder,
            options=options,
            runs=self.runs,
            reuses=self.reuses,
            limit_s=self.limit_s,
            first_byte_s=self.first_byte_s,
        )

    def asker(self) -> Asker:
        """Asks the engines."""
        return Asker(self.runs, self.httpfs_python, self.first_byte_s)


def progress(text: str) -> None:
    """Tell whoever waits what is being done."""
    sys.stderr.write(f"{text}\n")


def reference(asked: Options) -> float:
    """CPU seconds a record of one large unit: 120,000 records of one account, region and day."""
    progress("converting one large unit")
    logs = corpus("generated", REFERENCE_RECORDS)
    done = asked.converter(logs, asked.folder / "reference").convert(DEFAULT_LAYOUT, "disk")
    return done.cpu_s / done.records


class Measured(NamedTuple):
    """What was measured of an organisation.

    Attributes:
        records: Records of the source.
        bytes: Size of its log files.
        conversions: By layout and storage.
        answers: Of each engine, by what it read.
    """

    records: int
    bytes: int
    conversions: dict[tuple[PartitionLayout, Storage], Conversion]
    answers: dict[Reading, Answers]


def measure(
    name: str, layouts: Sequence[PartitionLayout], storages: Sequence[Storage], asked: Options
) -> Measured:
    """Convert the logs of an organisation, and ask questions of each dataset."""
    spec = organisation(name)
    logs = made(asked.folder / name / "logs", partial(generate_tree, spec=spec))
    size = sum(path.stat().st_size for path in logs.rglob("*_CloudTrail_*.json.gz"))
    converter = asked.converter(logs, asked.folder / name)
    conversions = {}
    for layout, storage in product(layouts, storages):
        progress(f"converting {name}, {layout}, {storage}")
        conversions[layout, storage] = converter.convert(layout, storage)
    datasets = {
        (layout, storage): converter.home(layout, storage) / DATASET
        for (layout, storage), conversion in conversions.items()
        if conversion.finished
    }
    return Measured(spec.records, size, conversions, ask_all(datasets, conversions, asked, spec))


def ask_all(
    datasets: Mapping[tuple[PartitionLayout, Storage], Path],
    wanted: Iterable[tuple[PartitionLayout, Storage]],
    asked: Options,
    spec: TreeSpec,
) -> dict[Reading, Answers]:
    """Put the questions to each engine in each layout and storage.

    A dataset that was not finished in S3 is read from there all the same if there is one of the
    disk, which has the same bytes. An engine that cannot read S3 reads the disk.
    """
    if not datasets:
        return {}
    (layout, _), dataset = next(iter(datasets.items()))
    asker = asked.asker()
    known = asker.known(layout, dataset)
    answers: dict[Reading, Answers] = {}
    for engine, (layout, storage) in product(ENGINES, wanted):
        found = datasets.get((layout, storage)) or datasets.get((layout, "disk"))
        reads = storage if asker.can_ask(engine, storage) else "disk"
        reading = Reading(engine, reads, layout)
        if found and reading not in answers:
            progress(f"asking {reading}")
            sql = questions(known, layout, spec.first_day)
            answers[reading] = asker.ask(reading, found, sql)
    return answers


TITLES = (
    *("layout", "on", "files", "MB", "of the source", "CPU µs a record", "to one large unit"),
    *("peak MiB", "wall s", "GET, HEAD", "PUT", "LIST", "DELETE", "dollars"),
)


def conversion_rows(measured: Measured, reference_s: float | None) -> Iterator[tuple[str, ...]]:
    """The conversions as rows of a table; ``reference_s`` is the CPU a record of one large unit."""
    for (layout, storage), done in measured.conversions.items():
        cpu_s = done.cpu_s / max(done.records, 1)
        yield (
            layout,
            storage,
            f"{done.files:,}" if done.finished else f"{done.files:,} when it was ended",
            f"{done.bytes / 1e6:.1f}",
            f"{done.bytes / measured.bytes:.0%}",
            f"{cpu_s * 1e6:,.1f}" if done.finished else "-",
            f"{cpu_s / reference_s:.1f}" if done.finished and reference_s else "-",
            f"{done.peak_mib:.0f}" if done.finished else "-",
            f"{done.wall_s:,.1f}",
            *(request_cells(done.counts) if storage == "s3" else ["-"] * 5),
        )


def request_cells(counts: Mapping[str, int]) -> list[str]:
    """Requests by kind, and their dollars; those that remove objects are free."""
    reads = counts.get("GET", 0) + counts.get("HEAD", 0)
    puts, lists, deletes = (counts.get(kind, 0) for kind in ("PUT", "LIST", "DELETE"))
    dollars = reads * S3_GET + (puts + lists) * S3_PUT
    return [*(f"{count:,}" for count in (reads, puts, lists, deletes)), f"{dollars:.4f}"]


def answer_rows(by_layout: Sequence[Answers]) -> Iterator[list[str]]:
    """The answers of an engine as rows of a table, a column for each layout."""
    for question, first in by_layout[0].by_question.items():
        cells = (answer_cell(answers.by_question[question]) for answers in by_layout)
        yield [question, f"{len(first['rows']):,}", *cells]


def answer_cell(answer: Answer) -> str:
    """What an answer took."""
    seconds, counts = f"{answer['seconds']:.3f} s", answer["counts"]
    if not counts:  # on a disk
        return seconds
    gets = counts.get("GET", 0) + counts.get("HEAD", 0)
    megabytes = counts.get("bytes read", 0) / 1e6
    return f"{seconds}, {gets:,} GET, {counts.get('LIST', 0):,} LIST, {megabytes:.1f} MB"


def missing_records(measured: Measured) -> Iterator[str]:
    """The conversions whose rows are not as many as the source's records, all of them distinct."""
    for (layout, storage), done in measured.conversions.items():
        if done.finished and done.records != measured.records:
            yield f"{layout}, {storage}: {done.records:,} rows of {measured.records:,} records"


def print_answers(measured: Measured) -> None:
    """Print a table for each engine and storage, and what could not be asked."""
    for engine, storage in product(ENGINES, STORAGES):
        by_layout = {
            reading.layout: answers
            for reading, answers in measured.answers.items()
            if (reading.engine, reading.storage) == (engine, storage)
        }
        if by_layout:
            versions = {answers.version for answers in by_layout.values()}
            print(f"\n{ENGINES[engine]} {', '.join(versions)}, {WHERE[storage]}\n")
            titles = ["question", "rows", *by_layout]
            print(table(titles, answer_rows(list(by_layout.values()))), flush=True)
        elif storage in {stored for _, stored in measured.conversions}:
            print(f"\n{ENGINES[engine]} WAS NOT ASKED {WHERE[storage].upper()}, ONLY ON THE DISK:")
            print("there is no httpfs for the installed version. `make httpfs` installs another.")


def _organisation_name(name: str) -> str:
    """The name, which argparse refuses if there is no such organisation."""
    try:
        organisation(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def arguments(command_line: Sequence[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--organisation",
        action="append",
        type=_organisation_name,
        metavar="AxRxD",
        help=f"default: {' and '.join(RECORDS)}",
    )
    add("--layout", action="append", choices=LAYOUTS, help="default: all")
    add("--on", action="append", choices=STORAGES, help="default: both")
    add("--runs", type=int, default=3, help="of which medians are taken")
    add("--workers", type=int, help="of a conversion; by default the command decides")
    add("--limit-s", type=float, default=600, help="a conversion that takes longer is ended")
    add("--first-byte-ms", type=float, default=FIRST_BYTE_S * 1000, help="how slow S3 is")
    add("--reference", action="store_true", help="compare with one large unit")
    add("--keep", type=Path, metavar="FOLDER", help="keep logs and datasets there, and reuse them")
    add("--httpfs-python", type=Path, default=HTTPFS_PYTHON, help="its DuckDB reads S3")
    return parser.parse_args(command_line)


def print_machine(asked: Options, storages: Sequence[Storage]) -> None:
    """Print where this runs, and how fast the server is."""
    packages = [f"{name} {version(name)}" for name in ("pyarrow", "obstore", "duckdb", "polars")]
    machine = [platform.machine(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    print(", ".join([*machine, *packages]) + f"; median of {asked.runs}")
    if "s3" in storages:
        rate = gets_per_s(asked.first_byte_s)
        print(f"S3: {asked.first_byte_s * 1000:g} ms to the first byte, sustains {rate:,.0f} GET/s")


def main(command_line: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns 1 if answers differ."""
    given = arguments(command_line)
    storages, layouts = given.on or STORAGES, given.layout or LAYOUTS
    asked = Options(
        folder=given.keep or FOLDER / "organisation",
        reuses=given.keep is not None,
        runs=given.runs,
        workers=given.workers,
        limit_s=given.limit_s,
        first_byte_s=given.first_byte_ms / 1000,
        httpfs_python=given.httpfs_python,
    )
    print_machine(asked, storages)
    reference_s = reference(asked) if given.reference else None
    if reference_s:
        print(f"one large unit, {REFERENCE_RECORDS:,} records: {reference_s * 1e6:.1f} CPU µs each")
    differences: list[str] = []
    for name in given.organisation or RECORDS:
        measured = measure(name, layouts, storages, asked)
        about = f"{measured.records:,} records, {measured.bytes / 1e6:.1f} MB gzipped"
        print(f"\n### {name}: {about}\n\n{table(TITLES, conversion_rows(measured, reference_s))}")
        print_answers(measured)
        differences += [*missing_records(measured), *disagreements(measured.answers)]
    for difference in differences:
        print(f"\nDIFFERENT: {difference}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
