"""What a rewrite costs, compared with converting the log files again.

    python -m bench.rewriting [--corpus generated] [--records 120000]

Each way runs in a process of its own with one worker, in turn, several times; the figures are
medians. What a process costs that does nothing is shown first, and left out of the last column.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from statistics import median

from bench.apart import Usage, run_apart
from bench.corpora import FOLDER, MAKERS, corpus
from cloudtrail_parquet.reference.markdown import table

PROGRAM = (sys.executable, "-m", "cloudtrail_parquet.cli")
NOTHING, CONVERT = "nothing (`--version`)", "`convert` again"
WAYS = {
    "codec (`--compression-level 3`)": ["--compression-level", "3"],
    "encoding (`--json-encoding json`)": ["--json-encoding", "json"],
    "row groups (`--row-group-rows 65536`)": ["--row-group-rows", "65536"],
    "redaction": ["--redact", '[{"name": "r", "keys": ["userName"]}]'],
    "layout (`year/month/day`)": ["TARGET", "--partition-layout", "year/month/day"],
}


def fresh(made: Path, dataset: Path) -> None:
    """The dataset and its state as they were converted."""
    for ending in ("", ".state"):
        shutil.rmtree(f"{dataset}{ending}", ignore_errors=True)
        shutil.copytree(f"{made}{ending}", f"{dataset}{ending}")
        shutil.rmtree(f"{dataset}.target{ending}", ignore_errors=True)


def measure(name: str, records: int, runs: int) -> dict[str, list[Usage]]:
    """The measurements of each way over one corpus."""
    logs, made, dataset = corpus(name, records), FOLDER / "made", FOLDER / "rewritten"
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for ending in ("", ".state"):
        shutil.rmtree(f"{made}{ending}", ignore_errors=True)
    convert = (*PROGRAM, "convert", str(logs), str(made), "--workers", "1", "--json")
    run_apart(convert, environment)
    again = (*convert[:5], str(dataset), "--only", "all", *convert[6:])
    rewrite = (*PROGRAM, "rewrite", str(dataset), "--workers", "1", "--json")
    target = {"TARGET": f"{dataset}.target"}
    commands = {NOTHING: (*PROGRAM, "--version"), CONVERT: again} | {
        way: (*rewrite, *(target.get(option, option) for option in options))
        for way, options in WAYS.items()
    }
    measured: dict[str, list[Usage]] = {way: [] for way in commands}
    for _ in range(runs):
        for way, command in commands.items():
            fresh(made, dataset)
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
    options.add_argument("--runs", type=int, default=3)
    asked = options.parse_args()
    measured = measure(asked.corpus, asked.records, asked.runs)
    cpu_s = {way: median(usage.cpu_s for usage in usages) for way, usages in measured.items()}
    of_convert = cpu_s[CONVERT] - cpu_s[NOTHING]
    rows = [
        [
            way,
            f"{cpu_s[way]:.2f}",
            f"{median(usage.peak_mib for usage in usages):.0f}",
            f"{(cpu_s[way] - cpu_s[NOTHING]) / of_convert:.2f}",
        ]
        for way, usages in measured.items()
    ]
    print(table(["", "CPU s", "peak MiB", "CPU to converting again"], rows))


if __name__ == "__main__":
    main()
