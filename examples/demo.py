"""First steps with cloudtrail-parquet: make logs, convert them, ask questions.

Run by ``make demo``. Everything it makes stays below build/demo, to look around in.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb

HERE = Path("build/demo")
LOGS, DATASET = HERE / "logs", HERE / "dataset"

DUCKDB_VIEW = """
    CREATE VIEW cloudtrail AS SELECT * FROM read_parquet('build/demo/dataset/**/*.parquet',
        hive_partitioning = true, hive_types_autocast = false,
        hive_types = {'year': BIGINT, 'month': BIGINT, 'day': BIGINT})"""

QUESTIONS = {
    "Which services are busiest?": """
        SELECT eventSource, count(*) AS calls, count(errorCode) AS failed
        FROM cloudtrail GROUP BY ALL ORDER BY calls DESC, eventSource LIMIT 5""",
    "Who signed in to the console without MFA?": """
        SELECT eventTime, account, userIdentity.arn AS who, sourceIPAddress
        FROM cloudtrail
        WHERE eventName = 'ConsoleLogin'
          AND additionalEventData->>'$.MFAUsed' = 'No'
          AND responseElements->>'$.ConsoleLogin' = 'Success'
        ORDER BY eventTime LIMIT 5""",
    "Whose calls are denied most often?": """
        SELECT coalesce(userIdentity.sessionContext.sessionIssuer.userName,
                        userIdentity.userName) AS who, eventName, count(*) AS denied
        FROM cloudtrail
        WHERE errorCode IN ('AccessDenied', 'Client.UnauthorizedOperation')
        GROUP BY ALL ORDER BY denied DESC, who, eventName LIMIT 5""",
}

NEXT = """\
  look around in build/demo; run questions of your own there (queries/README.md has two dozen)
  .venv/bin/cloudtrail-parquet plan FOLDER                 # with your logs: their size, a layout
  .venv/bin/cloudtrail-parquet convert FOLDER DATASET      # then ask as above: docs/reading.md
  make package, environments/example.toml, docs/deploy.md  # the same in AWS, day by day"""


def run(*arguments: str) -> None:
    """Print a cloudtrail-parquet command and run it."""
    print(f"\n$ cloudtrail-parquet {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "cloudtrail_parquet.cli", *arguments], check=True)


def show_tree(root: Path) -> None:
    """Print the folders of the dataset with the parts in them."""
    print(f"\n{root}")
    for path in sorted(root.rglob("*")):
        depth = len(path.relative_to(root).parts)
        size = f"  {path.stat().st_size:,} bytes" if path.is_file() else ""
        print(f"{'  ' * depth}{path.name}{size}")


def main() -> None:
    """Show the whole way from log files to answers."""
    started = time.monotonic()
    shutil.rmtree(HERE, ignore_errors=True)
    tree = "--accounts 2 --regions 2 --days 3 --records 20000 --late 0.01 --duplicates 0.02"
    run("generate", str(LOGS), *tree.split())
    run("convert", str(LOGS), str(DATASET))
    show_tree(DATASET)

    con = duckdb.connect()
    con.execute(DUCKDB_VIEW)
    for question, sql in QUESTIONS.items():
        print(f"\n{question}")
        con.sql(sql).show()

    print(f"\nThat took {time.monotonic() - started:.0f} s. What next:")
    print(NEXT)


if __name__ == "__main__":
    main()
