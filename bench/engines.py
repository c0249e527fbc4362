"""Asks one engine questions: ``python bench/engines.py < request.json > reply.json``.

It imports nothing but the engine, so that any interpreter that has it can run it, even another
version. Each question is asked in a session of its own, whose view or scan is made before the clock
starts; in turn with the others, as often as it is asked for.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypedDict
from urllib.request import urlopen

_LONG_S = 10


class Request(TypedDict):
    """What is asked.

    Attributes:
        engine: ``duckdb`` or ``polars``.
        setup: What the engine's users run first, to have ``cloudtrail``.
        questions: SQL by name.
        runs: How often each is asked; one that takes more than ten seconds, only once.
        endpoint: Host and port of the slow S3 if the dataset is there; empty on a disk.
        counts: The URL where it tells what it has counted; empty on a disk.
    """

    engine: str
    setup: str
    questions: dict[str, str]
    runs: int
    endpoint: str
    counts: str


class Answer(TypedDict):
    """An answer: its rows in a fixed order, and what it took.

    Attributes:
        counts: Requests by kind, and bytes; empty on a disk.
    """

    seconds: float
    counts: dict[str, int]
    rows: list[list[Any]]


class Reply(TypedDict):
    """The answers to all questions, those of each run, and the version of the engine."""

    version: str
    answers: dict[str, list[Answer]]


Session = Callable[[str], list[tuple[Any, ...]]]
"""Answers SQL with rows."""


def duckdb_session(request: Request) -> Session:
    """A new DuckDB, with nothing in its caches; S3 is read by the httpfs extension."""
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if request["endpoint"]:
        (extension,) = files("duckdb_extension_httpfs").glob("extensions/*/httpfs.*")  # type: ignore[attr-defined]  # it is a path
        connection.execute(f"LOAD '{extension}'")
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID 'bench', SECRET 'bench', REGION 'us-east-1',
                ENDPOINT '{request["endpoint"]}', URL_STYLE 'path', USE_SSL false)"""
        )
    connection.execute(request["setup"])
    return lambda sql: connection.sql(sql).fetchall()


def polars_session(request: Request) -> Session:
    """A scan of its own; Polars finds the way to S3 in the environment."""
    import polars as pl  # noqa: PLC0415

    names: dict[str, Any] = {}
    exec(request["setup"], names)  # noqa: S102 - the very text that users are given
    context = pl.SQLContext(cloudtrail=names["cloudtrail"])
    return lambda sql: context.execute(sql, eager=True).rows()


SESSIONS: dict[str, Callable[[Request], Session]] = {
    "duckdb": duckdb_session,
    "polars": polars_session,
}


def answer(request: Request, sql: str) -> Answer:
    """Ask one question in a session of its own."""
    session = SESSIONS[request["engine"]](request)
    before = _counts(request)
    begun = time.perf_counter()
    rows = session(sql)
    seconds = time.perf_counter() - begun
    counts = dict(_counts(request) - before)
    return Answer(
        seconds=seconds, counts=counts, rows=sorted((list(row) for row in rows), key=json.dumps)
    )


def _counts(request: Request) -> Counter[str]:
    if not request["counts"]:
        return Counter()
    with urlopen(request["counts"]) as response:  # noqa: S310 - of a server on this machine
        return Counter(json.load(response))


def main() -> None:
    """Answer what is asked on standard input."""
    request: Request = json.load(sys.stdin)
    answers: dict[str, list[Answer]] = {name: [] for name in request["questions"]}
    for _ in range(request["runs"]):
        for name, sql in request["questions"].items():
            if not any(given["seconds"] > _LONG_S for given in answers[name]):
                answers[name].append(answer(request, sql))
                sys.stderr.write(f"  {answers[name][-1]['seconds']:.3f} s: {name}\n")
    version = sys.modules[request["engine"]].__version__
    json.dump(Reply(version=version, answers=answers), sys.stdout)


if __name__ == "__main__":
    main()
