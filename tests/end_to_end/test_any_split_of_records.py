"""However records lie, and in whatever order they are converted, each is there once."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrail_parquet import Outcome, convert
from tests.builders import log_file, log_key, record

ACCOUNTS = "012345678901", "123456789012"
REGIONS = "eu-central-1", "us-west-2"
MIDNIGHT = datetime(2026, 1, 10, tzinfo=UTC)
WAYS = "tree", "flat", "lines", "single"
TIMES = st.sampled_from([-130, -1, 0, 9, 600, 1425, 1439, 1440])  # minutes around a day
DELAYS = st.sampled_from([5, 14, 121, 1800])  # beyond two hours after midnight is late


class Delivery(NamedTuple):
    """A record, when it happened and was delivered, and the ways in which somebody has it.

    A log file in a flat folder is a copy of one that was delivered, with all of its records: so of
    records with one time of delivery, those that lie in other ways are in a log file of their own.
    """

    account: str
    region: str
    minute: int
    delay: int
    delivered: frozenset[str]
    ways: frozenset[str]

    @property
    def time(self) -> datetime:
        return MIDNIGHT + timedelta(minutes=self.minute)

    @property
    def key(self) -> str:
        time = self.time + timedelta(minutes=self.delay)
        unique = f"{'-'.join(sorted(self.delivered)):x<16}"
        return log_key(self.account, self.region, time, unique=unique)


def some_of(*ways: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(ways))


DELIVERIES = st.builds(
    Delivery,
    st.sampled_from(ACCOUNTS),
    st.sampled_from(REGIONS),
    TIMES,
    DELAYS,
    some_of("tree", "flat"),
    some_of("lines", "single"),
).filter(lambda one: one.delivered | one.ways)
ORDERS = st.lists(st.permutations(WAYS), min_size=1, max_size=2)


def lay_out(root: Path, deliveries: Sequence[Delivery], ways: Sequence[str] = WAYS) -> None:
    """Write what somebody has in some ways, in a folder for each."""
    lines = []
    files = defaultdict[str, list[object]](list)
    for number, delivery in enumerate(deliveries):
        members = record(
            eventID=f"{number}",
            eventTime=f"{delivery.time:%Y-%m-%dT%H:%M:%SZ}",
            recipientAccountId=delivery.account,
            awsRegion=delivery.region,
        )
        key, has = delivery.key, delivery.delivered | delivery.ways
        if "tree" in ways and ("tree" in has or ways == ["tree"]):
            files[f"tree/{key}"].append(members)
        if "flat" in has.intersection(ways):
            files[f"flat/{key.rpartition('/')[2]}"].append(members)
        if "lines" in has.intersection(ways):
            lines.append(members)
        if "single" in has.intersection(ways):
            files[f"single/{number % 2}/{number}.json"].append(members)
    for way in ways:
        (root / way).mkdir(parents=True)
    for name, members_of in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(log_file(*members_of))
    if lines:
        text = "".join(f"{json.dumps(members)}\n" for members in lines)
        (root / "lines" / "all.jsonl").write_text(text)


def check_counts(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        assert outcome.receipt, outcome.error
        counts = outcome.receipt.records
        assert counts.quarantined == 0
        rows = sum(part.rows for part in outcome.receipt.parts)
        assert rows == counts.written + counts.straggled


def found(lake: Path) -> dict[tuple[str, ...], list[str]]:
    """The ids in each partition."""
    rows = defaultdict[tuple[str, ...], list[str]](list)
    for part in lake.rglob("*.parquet"):
        place = tuple(name.partition("=")[2] for name in part.parts[-6:-1])
        rows[place] += pq.ParquetFile(part).read(["eventID"])["eventID"].to_pylist()
    return {place: sorted(ids) for place, ids in rows.items() if ids}


def expected(deliveries: Sequence[Delivery]) -> dict[tuple[str, ...], list[str]]:
    rows = defaultdict[tuple[str, ...], list[str]](list)
    for number, delivery in enumerate(deliveries):
        day = f"{delivery.time:%Y %m %d}".split()
        rows[delivery.account, delivery.region, *day].append(f"{number}")
    return {place: sorted(ids) for place, ids in rows.items()}


@settings(max_examples=12)
@given(st.lists(DELIVERIES, min_size=1, max_size=6), ORDERS)
def test_any_split_in_any_order_gives_each_record_once(
    deliveries: list[Delivery], orders: list[list[str]]
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root, deliveries)
        had = {way for one in deliveries for way in one.delivered | one.ways}
        for way in (way for order in orders for way in order if way in had):
            check_counts(list(convert(root / way, root / "lake")))

        assert found(root / "lake") == expected(deliveries)


@settings(max_examples=6)
@given(st.lists(DELIVERIES, min_size=1, max_size=6))
def test_all_but_the_tree_may_lie_together(deliveries: list[Delivery]) -> None:
    """The rows are those of a delivered tree with all records."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root / "of tree", deliveries, ["tree"])
        lay_out(root / "mixed", deliveries, WAYS[1:])
        others = {
            f"{n}" for n, one in enumerate(deliveries) if one.delivered | one.ways != {"tree"}
        }

        check_counts(list(convert(root / "of tree" / "tree", root / "lake")))
        if others:
            check_counts(list(convert(root / "mixed", root / "mixed lake")))
            check_counts(list(convert(root / "mixed", root / "lake")))

        assert found(root / "lake") == expected(deliveries)
        wanted = {
            place: [row for row in rows if row in others]
            for place, rows in expected(deliveries).items()
        }
        assert found(root / "mixed lake") == {place: rows for place, rows in wanted.items() if rows}
