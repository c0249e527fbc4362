"""Whether a dataset comes through rewriting without its logs as it was, and what that takes.

    python -m bench.lossless [--records 1000000] [--logs FOLDER]

Logs are made, or taken from a folder that is not changed; they are converted, and the copy of them
is deleted. Then the dataset is rewritten, again and again, and exported each time. The SHA-256 of
an export is that of its bytes where days stay in their places, and that of its sorted lines where
another layout puts them in another order.
"""

import argparse
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from bench.apart import Usage, run_apart
from bench.corpora import FOLDER, made
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree

PROGRAM = (sys.executable, "-m", "cloudtrail_parquet.cli")
STEPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "codec": ("lake", "", ("--compression", "gzip")),
    "encoding": ("lake", "", ("--json-encoding", "json")),
    "back": ("lake", "", ()),
    "layout `dt`": ("lake", "by-day", ("--partition-layout", "dt")),
    "back from `dt`": ("by-day", "again", ()),
}
"""What is rewritten, into what, and how: dataset, target, options."""


class Exported(NamedTuple):
    """What an export printed: records, digests of its bytes and of its sorted lines."""

    records: int
    in_order: str
    sorted: str


def exported(dataset: Path) -> Exported:
    """Export a dataset."""
    with subprocess.Popen((*PROGRAM, "export", str(dataset)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101
        whole, lines = sha256(), list[bytes]()
        for line in process.stdout:
            whole.update(line)
            lines.append(sha256(line).digest())
    if process.returncode:
        raise SystemExit(f"export {dataset} failed with {process.returncode}")
    return Exported(len(lines), whole.hexdigest(), sha256(b"".join(sorted(lines))).hexdigest())


def usage_of(*command: str) -> Usage:
    """Run a command of the program."""
    environment = {
        name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    usage = run_apart((*PROGRAM, *command), environment, sys.stderr.buffer)
    if usage.status:
        raise SystemExit(f"{' '.join(command)} failed with {usage.status}")
    return usage


def generated(folder: Path, records: int) -> None:
    """Logs of twelve places and three days, with what comes late, or twice."""
    generate_tree(
        folder,
        TreeSpec(
            accounts=4,
            regions=3,
            days=3,
            records=records,
            late=0.02,
            duplicates=0.01,
            corrupt=0,
        ),
    )


def main() -> None:
    """Print the table; exit status 1 if an export differs."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--logs", type=Path)
    asked = options.parse_args()
    logs = asked.logs or made(
        FOLDER / f"places-{asked.records}", lambda folder: generated(folder, asked.records)
    )
    folder = FOLDER / "lossless"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(logs, folder / "logs")
    converted = usage_of("convert", str(folder / "logs"), str(folder / "lake"), "--workers", "1")
    shutil.rmtree(folder / "logs")
    before = exported(folder / "lake")
    rows, same = [["`convert`", f"{converted.cpu_s:.1f}", f"{before.records:,}", ""]], True
    for name, (source, target, how) in STEPS.items():
        places = [str(folder / source), *([str(folder / target)] if target else [])]
        usage = usage_of("rewrite", *places, *how, "--workers", "1")
        after = exported(folder / (target or source))
        is_same = after.sorted == before.sorted and (bool(target) or after == before)
        same = same and is_same
        told = "the same bytes" if after == before else "the same lines" if is_same else "OTHERS"
        rows.append([name, f"{usage.cpu_s:.1f}", f"{after.records:,}", told])
    print(table(["", "CPU s", "records", "export"], rows))
    print(f"SHA-256 of the export: {before.in_order}")
    shutil.rmtree(folder)
    sys.exit(not same)


if __name__ == "__main__":
    main()
