"""Plays seeds: ``python -m tests.simulation --seed 17 --days 30``, or many of them."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.simulation.play import play, play_many
from tests.simulation.report import lines, summary
from tests.simulation.story import Outcome


def main() -> int:
    """Play what the command line says."""
    options = _options()
    started = time.monotonic()
    if options.seed is not None:
        (outcome,) = play([options.seed], options.days)
        for line in lines(outcome, whole=options.trace) if _is_told(outcome, options) else ():
            print(line)
        outcomes: Iterable[Outcome] = [outcome]
    else:
        seeds = range(options.first, options.first + options.seeds)
        outcomes = play_many(seeds, options.days, options.jobs)
    counts, failing = Counter[str](), list[int]()
    for outcome in outcomes:
        counts.update(outcome.counts, seeds=1)
        if outcome.findings:
            failing.append(outcome.seed)
            print(f"seed {outcome.seed}: {outcome.findings[0]}", flush=True)
    print(summary(counts, failing, time.monotonic() - started))
    return 1 if failing else 0


def _is_told(outcome: Outcome, options: argparse.Namespace) -> bool:
    return bool(outcome.findings or options.trace)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and, if it fails, print its trace")
    parser.add_argument("--trace", action="store_true", help="print all of its trace anyway")
    parser.add_argument("--seeds", type=int, default=200, help="without --seed: how many")
    parser.add_argument("--first", type=int, default=1, help="the first of many")
    parser.add_argument("--days", type=int, default=0, help="how long; 0 for what the seed says")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes for many seeds"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
