"""What a terabyte of gzipped logs costs to convert, by a rate measured here; for docs/cost.md.

python -m bench.cost
"""

from statistics import median

from bench.convert import run
from bench.corpora import FOLDER, corpus
from cloudtrail_parquet.contract import MEMORY_MB
from cloudtrail_parquet.planning.batches import BATCH_S
from cloudtrail_parquet.planning.cost import FILE_S, LAMBDA_GB_S, UNIT_S, cost
from cloudtrail_parquet.reference.markdown import table

TERABYTE = 10**12
RECORDS = 120_000
FILE_BYTES = {"1 kB": 1_000, "10 kB": 10_000, "80 kB": 80_000}
UNIT_BYTES = 100_000_000  # of a busy account and region, as log files of a megabyte
UNIT_FILES = 100  # of a quiet one, whose log files are small
MEMORY_MBS = (885, MEMORY_MB, 3538)


def rate() -> float:
    """Gzipped bytes that a CPU converts in a second: the median of five runs."""
    logs = corpus("generated", RECORDS)
    size = sum(path.stat().st_size for path in logs.rglob("*_CloudTrail_*.json.gz"))
    return size / median(run("ours", logs, FOLDER / "out" / "cost").cpu_s for _ in range(5))


def main() -> None:
    """Print the rate and the tables."""
    bytes_per_s = rate()
    print(f"{bytes_per_s / 1e6:.1f} MB of gzipped logs a CPU second\n")
    seconds = TERABYTE / bytes_per_s
    rows = []
    for name, size in FILE_BYTES.items():
        files = TERABYTE // size
        for units in sorted({TERABYTE // UNIT_BYTES, files // UNIT_FILES}):
            waiting_s = files * FILE_S + units * UNIT_S
            spent = cost(
                units=units,
                files=files,
                invocations=round((seconds + waiting_s) / BATCH_S),
                seconds=seconds + waiting_s,
                memory_mb=MEMORY_MB,
            )
            cells = (f"{part:,.2f}" for part in (spent.compute, spent.requests, spent.total))
            rows.append([name, f"{files // units:,}", *cells])
    titles = ["log files of", "files a unit"]
    titles += ["compute, dollars", "requests, dollars", "together, dollars"]
    print(table(titles, rows), "\n")
    rows = []
    for memory_mb in MEMORY_MBS:
        slower = max(1, MEMORY_MB / memory_mb)
        dollars = (
            f"{seconds * slower * memory_mb / 1024 * price:,.2f}" for price in LAMBDA_GB_S.values()
        )
        rows.append([f"{memory_mb:,} MB", f"{seconds * slower / 3600:,.0f}", *dollars])
    titles = ["memory", "hours in all", *(f"{machine}, dollars" for machine in LAMBDA_GB_S)]
    print(table(titles, rows))


if __name__ == "__main__":
    main()
