"""What queries by name read of a dataset, and how a bucket is read best.

    python -m bench.queries                  what each query reads, against the whole
    python -m bench.queries --s3             eight questions over the slow S3, to httpfs and to us

The first asks every query of the library of a generated organization, without parameters but for
values that are there, and prints what was expected and what was read. The second asks the questions
of `bench.questions` in S3, once through DuckDB's extension httpfs (of another version of DuckDB:
`make httpfs`) and once as `cloudtrail-parquet query` does; answers have to agree.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.asking import Asker, Reading
from bench.corpora import FOLDER, made
from bench.questions import questions
from bench.slow_s3.process import SlowS3
from cloudtrail_parquet.api import convert, make_settings
from cloudtrail_parquet.cli.asking.rows import plain, rows_of
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import ChosenParts, choose
from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.querying.estimate import estimate
from cloudtrail_parquet.querying.library import Query, Value, queries
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import ReadStore, open_store

ALL = UnitRange.of(None, None)
DAY = date(2026, 1, 11)


def dataset(spec: TreeSpec, layout: PartitionLayout) -> Path:
    """A dataset of generated logs, made if it is not there."""
    name = f"{spec.accounts}x{spec.regions}x{spec.days}-{spec.records}"
    logs = made(FOLDER / f"queried-{name}", partial(generate_tree, spec=spec))
    return made(
        FOLDER / f"queried-{name}-{layout.replace('/', '-')}", partial(_convert, logs, layout)
    )


def _convert(logs: Path, layout: PartitionLayout, folder: Path) -> None:
    for outcome in convert(logs, folder, settings=make_settings(partition_layout=layout)):
        if outcome.error:
            raise outcome.error


def rows(engine: Engine, sql: str) -> Iterator[list[object]]:
    """The rows of an answer, as JSON has their values."""
    for result in engine.ask(sql):
        for batch in result.batches:
            yield from (list(map(plain, row)) for row in rows_of(batch))


def parameters(query: Query, known: Mapping[str, Value]) -> dict[str, Value | None]:
    """Values for a query's parameters: what is known to be there, or nothing."""
    return {each.name: known.get(each.name) for each in query.parameters if each.name != "dataset"}


def known_values(engine: Engine) -> dict[str, Value]:
    """A key, a session, an event and a day that are in the dataset."""
    sql = (
        "SELECT userIdentity.accessKeyId, userIdentity.arn, eventID FROM cloudtrail "
        "WHERE userIdentity.accessKeyId IS NOT NULL ORDER BY eventID LIMIT 1"
    )
    ((key, session, event),) = rows(engine, sql)
    return {
        "key": str(key),
        "session": str(session),
        "event_id": str(event),
        "day": DAY,
        "bucket": "orders",
        "least": 3,
    }


def by_name(folder: Path) -> None:
    """Print what each query is expected to read, and what it reads."""
    store = open_store(folder)
    chosen = choose(store, ALL)
    with Engine(store, chosen) as engine:
        known = known_values(engine)
    lines = []
    for query in queries():
        with Engine(store, chosen) as engine:
            engine.assign(parameters(query, known))
            expected = estimate(engine, query.text)
            engine.files.forget()
            before, begun = engine.files.counts.copy(), time.perf_counter()
            count = sum(1 for _ in rows(engine, query.text))
            seconds = time.perf_counter() - begun
            read = engine.files.counts - before
            share = read["bytes"] / chosen.bytes
            lines.append(
                (
                    query.name,
                    f"{expected.parts:,}",
                    f"{count:,}",
                    f"{expected.bytes:,}",
                    f"{read['bytes']:,}",
                    f"{share:.0%}",
                    f"{seconds:.2f}",
                )
            )
    print(f"{len(chosen.parts):,} parts, {chosen.bytes:,} bytes\n")
    titles = ("query", "parts", "rows", "bytes expected", "bytes read", "of the whole", "s")
    print(table(titles, lines))


class Asked(NamedTuple):
    """An answer by us: its rows, what it took, and requests by kind with bytes."""

    rows: list[list[object]]
    seconds: float
    counts: Counter[str]


def ask(store: ReadStore, chosen: ChosenParts, sql: str, server: SlowS3) -> Asked:
    """Ask in a connection of its own."""
    before, begun = server.counts(), time.perf_counter()
    with Engine(store, chosen) as engine:
        answer = list(rows(engine, sql))
    return Asked(answer, time.perf_counter() - begun, server.counts() - before)


def in_s3(folder: Path, layout: PartitionLayout, runs: int) -> int:
    """Print how long questions take in a bucket, to httpfs and to us; returns 1 if they differ."""
    asker = Asker(runs)
    asked = questions(asker.known(layout, folder), layout, date(2026, 1, 10))
    theirs = asker.ask(Reading("duckdb", "s3", layout), folder, asked)
    lines, differing = [], []
    with SlowS3({"lake": folder}) as server:
        os.environ.update(server.environment)
        store = open_store("s3://lake")
        begun = time.perf_counter()
        chosen = choose(store, ALL)
        listing_s = time.perf_counter() - begun
        for name, sql in asked.items():
            answers = sorted(
                (ask(store, chosen, sql, server) for _ in range(runs)), key=lambda one: one.seconds
            )
            ours, their = answers[runs // 2], theirs.by_question[name]
            if sorted(map(repr, ours.rows)) != sorted(map(repr, their["rows"])):
                differing.append(name)
            lines.append(
                (
                    name,
                    *_figures(ours.seconds, ours.counts),
                    *_figures(their["seconds"], Counter(their["counts"])),
                )
            )
    print(f"{len(chosen.parts):,} parts, {chosen.bytes:,} bytes, listed in {listing_s:.2f} s\n")
    ours_titles = ("query: s", "requests", "MB")
    print(table(("question", *ours_titles, f"httpfs {theirs.version}: s", "requests", "MB"), lines))
    for name in differing:
        print(f"DIFFERENT: {name}")
    return 1 if differing else 0


def _figures(seconds: float, counts: Counter[str]) -> tuple[str, str, str]:
    requests = counts["GET"] + counts["HEAD"]
    return f"{seconds:.2f}", f"{requests:,}", f"{counts['bytes read'] / 1e6:.1f}"


def main(command_line: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--s3", action="store_true", help="compare the ways to read a bucket")
    parser.add_argument("--organization", default="3x2x4", metavar="AxRxD")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--layout", default=DEFAULT_LAYOUT)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args(command_line)
    accounts, regions, days = map(int, given.organization.split("x"))
    spec = TreeSpec(accounts=accounts, regions=regions, days=days, records=given.records, late=0.01)
    folder = dataset(spec, given.layout)
    if given.s3:
        return in_s3(folder, given.layout, given.runs)
    by_name(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
