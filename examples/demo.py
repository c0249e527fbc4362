"""First steps with cloudtrail-parquet: make logs, convert them, ask questions.

Run by ``make demo``. Everything it makes stays below build/demo, to look around in.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path("build/demo")
LOGS, DATASET = HERE / "logs", HERE / "dataset"

QUESTIONS = {
    "Which services are busiest?": [
        """
        SELECT eventSource, count(*) AS calls, count(errorCode) AS failed
        FROM cloudtrail GROUP BY ALL ORDER BY calls DESC, eventSource LIMIT 5"""
    ],
    "Who signed in to the console without MFA?": [
        "console_logins_without_mfa",
        "--day",
        "2026-01-11",
    ],
    "Whose calls are denied most often?": [
        """
        SELECT coalesce(userIdentity.sessionContext.sessionIssuer.userName,
                        userIdentity.userName) AS who, eventName, count(*) AS denied
        FROM cloudtrail
        WHERE errorCode IN ('AccessDenied', 'Client.UnauthorizedOperation')
        GROUP BY ALL ORDER BY denied DESC, who, eventName LIMIT 5"""
    ],
}

NEXT = """\
  .venv/bin/cloudtrail-parquet query build/demo/dataset    # SQL of your own; queries/README.md
  .venv/bin/cloudtrail-parquet plan FOLDER                 # with your logs: their size, a layout
  .venv/bin/cloudtrail-parquet convert FOLDER DATASET      # then ask as above: docs/quickstart.md
  make package, environments/example.toml, docs/deploy.md  # the same in AWS, day by day"""


def run(*arguments: str) -> None:
    """Print a cloudtrail-parquet command and run it."""
    typed = (f'"{word}"' if " " in word else word for word in arguments)
    print(f"\n$ cloudtrail-parquet {' '.join(typed)}", flush=True)
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

    for question, asked in QUESTIONS.items():
        print(f"\n{question}")
        run("query", str(DATASET), *asked)
    print(f"\nThat took {time.monotonic() - started:.0f} s. What next:")
    print(NEXT)


if __name__ == "__main__":
    main()
