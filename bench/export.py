"""What an export costs, compared with the conversion before it, and with row after row.

    python -m bench.export [--corpus generated] [--records 400000]

Each way runs in a process of its own, in turn, several times; the figures are medians. Row by row,
`from_arrow.restore_json` makes the text of each record from Python objects, as exports once did.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

from bench.apart import Usage, run_apart
from bench.corpora import FOLDER, MAKERS, corpus
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.reference.markdown import table

BY_ROW = "row by row"
PROGRAM = (sys.executable, "-m", "cloudtrail_parquet.cli")


def export_by_row(dataset: Path) -> None:
    """Print the records of a dataset, each made from its row."""
    prepare_process()
    for path in sorted(dataset.rglob("*.parquet")):
        for batch in pq.ParquetFile(path, page_checksum_verification=True).iter_batches(4096):
            for text in map(restore_json, batch.to_pylist()):
                line = text.replace("\n", " ").replace("\r", " ")
                sys.stdout.buffer.write(line.encode() + b"\n")


def commands(logs: Path, dataset: Path) -> dict[str, tuple[str, ...]]:
    """The ways, in the order in which they are run: the first one makes the dataset."""
    quietly = ("sh", "-c", '"$@" > /dev/null', "sh")
    ourselves = (sys.executable, "-m", "bench.export")
    return {
        "convert": (*PROGRAM, "convert", str(logs), str(dataset), "--workers", "1", "--json"),
        "export": (*quietly, *PROGRAM, "export", str(dataset)),
        BY_ROW: (*quietly, *ourselves, "--by-row", str(dataset)),
    }


def measure(name: str, records: int, runs: int) -> dict[str, list[Usage]]:
    """The measurements of each way over one corpus; the exports are the same bytes."""
    logs, dataset = corpus(name, records), FOLDER / "exported"
    ways, environment = commands(logs, dataset), dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    measured: dict[str, list[Usage]] = {way: [] for way in ways}
    for _ in range(runs):
        for folder in (dataset, Path(f"{dataset}.state")):
            shutil.rmtree(folder, ignore_errors=True)
        for way, command in ways.items():
            usage = run_apart(command, environment)
            if usage.status:
                raise SystemExit(f"{way} failed with {usage.status}")
            measured[way].append(usage)
    return measured


def main() -> None:
    """Print the medians of what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", choices=MAKERS, default="generated")
    options.add_argument("--records", type=int, default=120_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--by-row", type=Path, metavar="DATASET")
    asked = options.parse_args()
    if asked.by_row:
        export_by_row(asked.by_row)
        return
    measured = measure(asked.corpus, asked.records, asked.runs)
    cpu_s = {way: median(usage.cpu_s for usage in usages) for way, usages in measured.items()}
    rows = [
        [
            way,
            f"{cpu_s[way]:.2f}",
            f"{median(usage.wall_s for usage in usages):.2f}",
            f"{median(usage.peak_mib for usage in usages):.0f}",
            f"{cpu_s[way] / asked.records * 1e6:.1f}",
            f"{cpu_s[way] / cpu_s['export']:.2f}",
        ]
        for way, usages in measured.items()
    ]
    titles = ["", "CPU s", "wall s", "peak MiB", "CPU µs a record", "CPU to an export"]
    print(table(titles, rows))


if __name__ == "__main__":
    main()
