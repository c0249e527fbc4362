"""A run that is stopped at any of its requests, and goes on after another has taken over.

Its machine sleeps for longer than its leases last. Meanwhile the source has got more, and a newer
run takes over the leases, replaces what the first was replacing, and finishes. Whatever the first
one does then, the dataset and the receipts stay those of the newer run.

Most of it is done in memory, where a request is a call of the client; some of it over HTTP.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import pytest
from obstore.store import MemoryStore

from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state.notes import read_notes, unfinished
from cloudtrail_parquet.storage import ObjectStore, Store, open_store
from tests.builders import WritableStores
from tests.s3.faults import Answer, Fault, FaultProxy, Request
from tests.unit.deliveries import ACCOUNT, REGION, deliver, event, found

DAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, DAY)
SMALL = Settings(row_group_rows=3, part_bytes=1, fetch_threads=1)
LARGE = Settings(fetch_threads=4)  # which runs of one process share, also while one is stopped
SLEEP_S = 3600
ROWS = 20

Side = Literal["before", "after"]
When = Callable[[], None]


# Locations.


class Asleep(SystemClock):
    """The clocks of a machine that may have slept, or of one that is ahead of others."""

    def __init__(self, slept_s: float = 0) -> None:
        self.slept_s = slept_s

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.slept_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.slept_s


@dataclass
class Stop:
    """Stops a run at one of its requests.

    Attributes:
        number: Of the request.
        side: Whether it has not been received then, or has been carried out.
        meanwhile: What happens before the run goes on; of its requests none does.
        count: How many requests there were.
    """

    number: int
    side: Side
    meanwhile: When
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, request: Callable[[], Any]) -> Any:  # noqa: ANN401 - what it answers
        with self._lock:
            is_here = self.count == self.number
            self.count += 1
            if is_here and self.side == "before":
                self.meanwhile()
        try:
            return request()
        finally:
            if is_here and self.side == "after":
                with self._lock:
                    self.meanwhile()


class Client:
    """A client in memory whose requests may be stopped."""

    def __init__(self, store: MemoryStore, stop: Stop) -> None:
        self.store, self._stop = store, stop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.store, name)
        return lambda *args, **more: self._stop.around(lambda: method(*args, **more))

    def remove_if(self, key: str, version: str) -> bool:
        """One request, as in S3."""

        def remove() -> bool:
            try:
                if self.store.head(key)["e_tag"] != version:
                    return False
            except FileNotFoundError:
                return False
            self.store.delete(key)
            return True

        answer: bool = self._stop.around(remove)
        return answer


class InMemory:
    """Locations in memory, for several runs."""

    def __init__(self) -> None:
        self._stores = [MemoryStore() for _ in range(3)]

    def opened(self, clock: Asleep, stop: Stop | None = None) -> WritableStores:
        """The locations as one run sees them."""
        never = Stop(-1, "before", lambda: None)
        source, dataset, state = (
            ObjectStore(
                "memory:///AWSLogs",
                Client(one, stop or never),
                clock=clock,
                remove_if=Client.remove_if,
            )
            for one in self._stores
        )
        return WritableStores(source, dataset, state, clock=clock)


class InBuckets:
    """Locations in a bucket; a run that may be stopped has a proxy in front of them."""

    def __init__(self, bucket: str, direct: str, proxy: FaultProxy) -> None:
        self._bucket, self._direct, self._proxy = bucket, direct, proxy

    def opened(self, clock: Asleep, stop: Stop | None = None) -> WritableStores:
        """The locations as one run sees them."""
        if stop is not None:
            self._proxy.clear()
            self._proxy.add(*stopping(stop))
        endpoint = self._direct if stop is None else self._proxy.url
        source, dataset, state = (
            self._store(f"s3://{self._bucket}/{place}?endpoint={endpoint}", clock)
            for place in ("AWSLogs", "lake", "state")
        )
        return WritableStores(source, dataset, state, clock=clock)

    @staticmethod
    def _store(uri: str, clock: Asleep) -> ObjectStore:
        store = open_store(uri)
        assert isinstance(store, ObjectStore)
        store._clock = clock  # noqa: SLF001 - a place takes no clock by its URI
        return store


def stopping(stop: Stop) -> Iterator[Fault]:
    """What a proxy has to do: it asks about each request in turn."""

    def is_here(_: Request) -> bool:
        here = stop.count == stop.number
        stop.count += 1
        if here and stop.side == "before":
            stop.meanwhile()
        return here

    def answered(_: Request, answer: Answer) -> Answer:
        if stop.side == "after":
            stop.meanwhile()
        return answer

    yield Fault(when=is_here, change=answered)


Locations = InMemory | InBuckets


# Runs.


def add(stores: WritableStores, numbers: range, day: date = DAY) -> None:
    """One more log file, with a record for each number."""
    when = NOON + timedelta(minutes=numbers.start)
    deliver(stores, when, [event(number, when - (DAY - day)) for number in numbers])


def convert(
    stores: WritableStores,
    settings: Settings,
    shards: tuple[Shard, ...],
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    trails = discover(stores.source, settings.folders).trails[ACCOUNT, REGION]
    for shard in shards:
        if goes_on():
            convert_unit(UNIT, trails, stores, settings, shard=shard)


class Case(NamedTuple):
    """What a run is doing when it is stopped, and what the newer one does.

    Attributes:
        before: What stands: by which settings and in which shards; None for nothing.
        stopped: How the first run converts.
        newer: How the newer one does.
    """

    before: tuple[Settings, tuple[Shard, ...]] | None
    stopped: tuple[Settings, tuple[Shard, ...]]
    newer: tuple[Settings, tuple[Shard, ...]]


HALVES = tuple(Shard(1, 2).siblings)
CASES = {
    "fewer parts": Case((SMALL, (WHOLE,)), (SMALL, (WHOLE,)), (LARGE, (WHOLE,))),
    "fewer parts than stood": Case((SMALL, (WHOLE,)), (LARGE, (WHOLE,)), (SMALL, (WHOLE,))),
    "more parts than stood": Case((LARGE, (WHOLE,)), (SMALL, (WHOLE,)), (LARGE, (WHOLE,))),
    "nothing stood": Case(None, (SMALL, (WHOLE,)), (LARGE, (WHOLE,))),
    "shards over a whole unit": Case((SMALL, (WHOLE,)), (LARGE, HALVES), (SMALL, (WHOLE,))),
    "a whole unit over shards": Case((LARGE, HALVES), (SMALL, (WHOLE,)), (LARGE, (WHOLE,))),
    "shards over shards": Case((LARGE, HALVES), (SMALL, HALVES), (LARGE, HALVES)),
}
STEPS = {"fewer parts than stood": 1, "more parts than stood": 1}
"""Of cases, by how many requests to go on; the others, which are like these, go on by seven."""


class Outcome(NamedTuple):
    """What has come of it.

    Attributes:
        requests: How many the stopped run made.
        held: Whether it held the unit when it was stopped; otherwise it begins after the newer one.
        after: The dataset and receipts as the newer run left them; empty if it never came to that.
        end: The same in the end.
        stores: To look further.
    """

    requests: int
    held: bool
    after: dict[str, bytes]
    end: dict[str, bytes]
    stores: WritableStores


def contents(store: Store, below: str = "") -> dict[str, bytes]:
    return {entry.key: store.read(entry.key) for entry in store.files(below)}


def told(stores: WritableStores) -> dict[str, bytes]:
    """The dataset, and all receipts."""
    receipts = contents(stores.state, "receipts/") | contents(stores.state, "shards/")
    return contents(stores.dataset) | {
        key: data for key, data in receipts.items() if key.endswith(".json")
    }


def stopped_at(  # noqa: PLR0913
    locations: Locations,
    case: Case,
    number: int,
    side: Side,
    *,
    knows: bool,
    slept_s: float = SLEEP_S,
) -> Outcome:
    """Let a run be stopped at a request, the newer one finish, and the first one go on.

    Args:
        locations: Where all of it is.
        case: What they do.
        number: Of the request.
        side: See `Stop`.
        knows: Whether the clocks of the stopped run's machine show that it has slept.
        slept_s: For how long, beside the time that this takes.
    """
    others = locations.opened(Asleep(slept_s))
    add(others, range(9))
    add(others, range(50, 52), DAY - timedelta(days=1))
    if case.before is not None:
        convert(others, *case.before)
    add(others, range(9, 12))
    clock, after, held = Asleep(), dict[str, bytes](), list[str]()

    def take_over() -> None:
        held.extend(key for key in contents(others.state, "leases/") if "/shards/" not in key)
        add(others, range(12, ROWS - 2))
        convert(others, *case.newer)
        after.update(told(others))
        clock.slept_s = slept_s if knows else 0

    stop = Stop(number, side, take_over)
    with suppress(StorageError):
        convert(locations.opened(clock, stop), *case.stopped, goes_on=lambda: not after)
    return Outcome(stop.count, bool(held), after, told(others), others)


def assert_is_of_the_newer_run(outcome: Outcome, case: Case, where: object) -> None:
    stores = outcome.stores
    if outcome.held:
        # Of shards that are no more a receipt may come too late; the unit's does not ask for them.
        added = outcome.end.keys() - outcome.after.keys()
        assert {key.partition("/")[0] for key in added} <= {"shards"}, where
        assert {key: outcome.end.get(key) for key in outcome.after} == outcome.after, where
    assert_is_true(stores, where)
    if unfinished(stores.state):  # an intent, too, may come too late: it is converted again
        convert(stores, *case.newer)
        assert_is_true(stores, where)
    assert (unfinished(stores.state), contents(stores.state, "leases/")) == ({}, {}), where


def assert_is_true(stores: WritableStores, where: object) -> None:
    """Every record once, and a receipt of just the parts that there are."""
    rows = found(stores)
    assert (len(rows), set(rows.values())) == (ROWS, {1}), where
    receipt = read_notes(stores.state, UNIT).receipt
    assert receipt is not None
    there = {entry.key: entry.size for entry in stores.dataset.files("")}
    assert {part.key: part.bytes for part in receipt.parts} == there, where


def assert_holds_what_the_newer_run_wrote(outcome: Outcome, where: object) -> None:
    if outcome.held:
        assert {key: outcome.end.get(key) for key in outcome.after} == outcome.after, where


def points(case: Case, side: Side, step: int, *, knows: bool = True) -> Iterator[Outcome]:
    """What comes of it when a run is stopped at its requests in turn."""
    for number in range(0, 1000, step):
        outcome = stopped_at(InMemory(), case, number, side, knows=knows)
        if not outcome.after:
            return
        yield outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_run_that_goes_on_too_late_leaves_what_a_newer_one_has_made(name: str) -> None:
    case, step = CASES[name], STEPS.get(name, 7)
    ways: tuple[tuple[Side, int], ...] = (("before", step), ("after", 3 * step))
    for side, steps in ways:
        outcomes = list(points(case, side, steps))
        for number, outcome in enumerate(outcomes):
            assert_is_of_the_newer_run(outcome, case, (side, number * steps))
        assert len(outcomes) * steps > 25
        assert any(outcome.held for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_run_whose_clocks_stood_still_overwrites_and_removes_nothing_of_a_newer_one(
    name: str,
) -> None:
    for number, outcome in enumerate(points(CASES[name], "before", 7, knows=False)):
        assert_holds_what_the_newer_run_wrote(outcome, number * 7)


# In buckets: where versions are digests of what is written, and removals requests of our own.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("more parts than stood", "before"),
        ("fewer parts than stood", "before"),
        ("fewer parts than stood", "after"),
    ],
)
def test_in_buckets_no_change_that_comes_too_late_is_made_to_what_a_newer_run_has_made(
    moto: str, proxy: FaultProxy, new_bucket: Callable[[], str], name: str, side: Side
) -> None:
    def outcome_at(number: int) -> Outcome:
        locations = InBuckets(new_bucket(), moto, proxy)
        return stopped_at(locations, CASES[name], number, side, knows=True)

    outcome_at(1000)
    changes = [
        number
        for number, request in enumerate(proxy.requests)
        if request.method in {"PUT", "DELETE"} and "/leases/" not in request.path
    ]
    assert {proxy.requests[number].method for number in changes} == {"PUT", "DELETE"}

    for number in changes:
        outcome = outcome_at(number)
        assert outcome.held
        assert_is_of_the_newer_run(outcome, CASES[name], number)


@pytest.mark.slow
def test_a_lease_that_has_run_out_indeed_is_no_longer_held_by_a_run_that_goes_on(
    moto: str, proxy: FaultProxy, new_bucket: Callable[[], str]
) -> None:
    before, *runs = CASES["fewer parts than stood"]
    short = (
        (replace(settings, lease_s=1, lease_wait_s=60), shards)
        for settings, shards in filter(None, runs)
    )
    case = Case(before, *short)

    def outcome_at(number: int) -> Outcome:
        locations = InBuckets(new_bucket(), moto, proxy)
        return stopped_at(locations, case, number, "before", knows=True, slept_s=0)

    outcome_at(1000)
    (number, *_) = (
        number
        for number, request in enumerate(proxy.requests)
        if request.method == "PUT" and "/lake/" in request.path
    )

    outcome = outcome_at(number)

    assert outcome.held
    assert_is_of_the_newer_run(outcome, case, number)
