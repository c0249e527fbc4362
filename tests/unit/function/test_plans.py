"""Plans in slices, killed and repeated: what is sent is what one uninterrupted plan would send."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, count
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    Event,
    PlanEvent,
    UnitRef,
    parse_text,
    to_text,
)
from cloudtrail_parquet.function.plans import NOTED, Planner
from cloudtrail_parquet.function.progress import ProgressNote, TakenOverError
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import Unit, part_key
from cloudtrail_parquet.planning.plan import Only, Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state.keys import ATTEMPTS, StateKeys
from cloudtrail_parquet.storage import Entry, Level, ObjectStore, open_store
from tests.builders import WritableStores, log_key

ACCOUNTS, REGIONS = ("111111111111", "222222222222", "333333333333"), ("eu-west-1", "us-east-1")
LAYOUTS = get_args(PartitionLayout)
_IDS = count(1)
FOLDED: PartitionLayout = "year/month/day"


class Killed(BaseException):
    """The invocation is ended, as by Lambda."""


@dataclass
class Clock:
    """Time that passes with each request, and moments at which the process is killed."""

    left_s: float = 0
    request_s: float = 0.5
    kills: deque[int] = field(default_factory=deque)
    requests: int = 0

    def spend(self) -> None:
        self.requests += 1
        self.left_s -= self.request_s
        if self.left_s <= 0 or (self.kills and self.requests >= self.kills[0]):
            if self.kills and self.requests >= self.kills[0]:
                self.kills.popleft()
            raise Killed


class Spending(ObjectStore):
    """A store in memory whose requests take time."""

    parallel = 1

    def __init__(self, clock: Clock | None = None) -> None:
        memory: Any = open_store("memory:///")
        super().__init__("memory:///", memory._client)  # noqa: SLF001
        self.clock = clock
        self.refused: set[str] = set()
        self.listed = Counter[str]()

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        self.listed[prefix] += 1
        return super().files(prefix, *skip, after=after)

    def _ask(self, done: str, key: str, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        if self.clock is not None:
            self.clock.spend()
        return super()._ask(done, key, *rest, **more)

    def level(self, prefix: str) -> Level:
        if self.refused.intersection(prefix.split("/")):
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return super().level(prefix)


class Invocations:
    """A function with a bus: every event is carried out, again when its invocation was killed.

    Attributes:
        sent: The units that were sent or converted at once, in order.
        carried: The events that were carried out, without repetitions.
        failed: Events that failed for good.
        errors: Why they did.
        counts: What was returned of the others.
        depths: How many invocations led to each of those carried out, itself included.
        killed: How many invocations were killed, or had no time left.
    """

    def __init__(self, stores: WritableStores, layout: PartitionLayout, clock: Clock) -> None:
        self.stores, self.layout, self.clock = stores, layout, clock
        self.sent = list[Unit]()
        self.carried = list[PlanEvent]()
        self.failed = list[PlanEvent]()
        self.errors = list[str]()
        self.counts = list[dict[str, int]]()
        self.depths = list[int]()
        self.killed = 0
        self._waiting = deque[tuple[int, str, PlanEvent]]()
        self._depth = 0

    def send(self, events: Iterable[Event]) -> int:
        number = 0
        for number, event in enumerate(map(parse_text, map(to_text, events)), start=1):
            if number % 10 == 1:
                self.clock.spend()
            if isinstance(event, ConvertEvent):
                self.sent += [ref.unit for ref in event.units]
            else:
                assert isinstance(event, PlanEvent)
                self.carry(event)
        return number

    def carry(self, event: PlanEvent, times: int = 1) -> None:
        self._waiting.extend([(self._depth + 1, f"id-{next(_IDS)}", event)] * times)

    def convert(self, refs: list[UnitRef]) -> dict[str, int]:
        self.sent += [ref.unit for ref in refs]
        return {"converted": len(refs), "handed_back": 0}

    def run(self, whole_s: float, most: int = 400) -> None:
        while self._waiting:
            most -= 1
            assert most, "the plan does not end"
            self._depth, delivery, event = self._waiting.popleft()
            self.clock.left_s = whole_s
            planner = Planner(
                stores=self.stores,
                settings=Settings(partition_layout=self.layout),
                fanout=lambda: self,
                telemetry=Telemetry(),
                whole_s=whole_s,
                left_s=lambda: self.clock.left_s,
                convert=self.convert,
            )
            try:
                self.counts.append(planner.run(event, delivery))
            except Killed:
                self.killed += 1
                self._waiting.appendleft((self._depth, delivery, event))
                continue
            except (UsageError, RefusedError) as error:
                self.failed.append(event)
                self.errors.append(str(error))
            self.carried.append(event)
            self.depths.append(self._depth)


def stores_of(clock: Clock, keys: Iterable[str]) -> WritableStores:
    stores = WritableStores(Spending(), Spending(), Spending())
    for key in keys:
        stores.source.write(key, b"x")
    for store in (stores.source, stores.dataset, stores.state):
        store.clock = clock  # type: ignore[attr-defined]
    return stores


def uninterrupted(stores: WritableStores, layout: PartitionLayout, event: PlanEvent) -> list[Unit]:
    """The units of an event as one plan that has all the time there is finds them."""
    clock = stores.source.clock  # type: ignore[attr-defined]
    clock.left_s, kills, clock.kills = 1e9, clock.kills, deque()
    options = PlanOptions.of(Settings(partition_layout=layout))
    found = discover(stores.source, Settings().folders)
    wanted = UnitRange.of(event.first, event.last, event.accounts, event.regions)
    receipts = Receipts(stores.state, stores.now(), stores.dataset)
    planned = plan_units(stores.source, receipts, found, wanted, event.only, options)
    units = [one.unit for one in planned]
    clock.kills, clock.requests = kills, 0
    return units


moments = st.datetimes(datetime(2025, 11, 20), datetime(2026, 3, 10), timezones=st.just(UTC))  # noqa: DTZ001
places = st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(REGIONS))
deliveries = st.lists(st.tuples(places, moments), min_size=1, max_size=30)
spans_of_days = st.tuples(
    st.dates(date(2025, 11, 1), date(2026, 4, 1)), st.dates(date(2025, 11, 1), date(2026, 4, 1))
).map(sorted)


@given(
    deliveries,
    st.sampled_from(LAYOUTS),
    spans_of_days,
    st.sampled_from(get_args(Only)),
    st.sets(st.sampled_from(ACCOUNTS)),
    st.integers(0, 30),
    st.lists(st.integers(1, 90), max_size=6),
    st.integers(20, 48),
    st.integers(1, 2),
)
def test_slices_kills_and_repetitions_change_nothing_of_what_is_sent(  # noqa: PLR0913, PLR0917
    delivered: list[tuple[tuple[str, str], datetime]],
    layout: PartitionLayout,
    days: list[date],
    only: Only,
    accounts: set[str],
    intents: int,
    gaps: list[int],
    whole_s: int,
    times: int,
) -> None:
    clock = Clock()
    keys = {
        log_key(*place, moment, unique=f"{n:016d}") for n, (place, moment) in enumerate(delivered)
    }
    stores = stores_of(clock, sorted(keys))
    first, last = days
    known = {account for (account, _), _ in delivered}
    event = PlanEvent(first, last, accounts=tuple(sorted(accounts & known)), only=only)
    units = uninterrupted(stores, layout, replace(event, only="all"))
    clock.left_s = 1e9
    for unit in units[: intents // 3 : 2]:
        stores.state.write(StateKeys.of(unit).intent, b"{}")
    for unit in units[1:intents:3]:
        stores.state.write(StateKeys.of(unit).receipt, b"cannot be read")
        stores.dataset.write(part_key(unit, 0, layout), b"parquet")
    expected = uninterrupted(stores, layout, event)
    clock.kills = deque(accumulate(gaps))

    work = Invocations(stores, layout, clock)
    work.carry(event, times)
    work.run(whole_s if expected else 1000)  # an error for days without logs tells all days

    assert set(work.sent) == set(expected)
    assert work.killed or times > 1 or len(work.sent) == len(expected)
    assert not work.failed or (not expected and work.failed == [event] * times)


def organisation(clock: Clock, accounts: int, days: int) -> WritableStores:
    """Accounts with a log file a day from January 1 on."""
    first = datetime(2026, 1, 1, 12, tzinfo=UTC)
    moments = [first + timedelta(days=day) for day in range(days)]
    keys = [log_key(f"{n:012d}", "us-east-1", at) for n in range(accounts) for at in moments]
    return stores_of(clock, keys)


YEAR = PlanEvent(date(2026, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_left_is_handed_on_in_time_and_no_place_is_listed_twice(
    layout: PartitionLayout,
) -> None:
    clock = Clock(request_s=1)
    stores = organisation(clock, accounts=60, days=60)
    expected = uninterrupted(stores, layout, YEAR)
    stores.source.listed.clear()  # type: ignore[attr-defined]
    work = Invocations(stores, layout, clock)

    work.carry(YEAR)
    work.run(whole_s=200)

    assert sorted(work.sent) == sorted(expected)
    assert set(stores.source.listed.values()) == {1}  # type: ignore[attr-defined]
    assert len(work.carried) > 3
    assert not work.killed
    spans_accounts = layout in {FOLDED, "dt"}  # then one goes on with the sums of another
    assert max(work.depths) <= (16 if spans_accounts else 6)


def test_an_attempt_after_a_kill_begins_with_what_was_not_sent() -> None:
    clock = Clock(request_s=1)
    stores = organisation(clock, accounts=100, days=3)
    whole = Invocations(stores, DEFAULT_LAYOUT, clock)
    whole.carry(YEAR)
    whole.run(whole_s=3000)
    listed = clock.requests

    stores = organisation(clock := Clock(request_s=1), accounts=100, days=3)
    clock.kills = deque([listed * 9 // 10])
    work = Invocations(stores, DEFAULT_LAYOUT, clock)
    work.carry(YEAR)
    work.run(whole_s=3000)

    assert set(work.sent) == set(whole.sent)
    assert len(work.sent) - len(whole.sent) < len(whole.sent) / 5
    discovery, noted_after = 2 * 100, 3000 * NOTED
    assert clock.requests < listed + discovery + noted_after + 10


def test_a_place_that_takes_longer_than_an_invocation_is_planned_in_halves_of_its_days() -> None:
    clock = Clock(request_s=0.001)
    stores, refused = organisation(clock, accounts=2, days=64), "000000000001"
    stores.source.refused = {refused}  # type: ignore[attr-defined]
    files = stores.source.files

    def slow(prefix: str, *skip: Any, **after: Any) -> Iterator[Entry]:  # noqa: ANN401
        for entry in files(prefix, *skip, **after):
            clock.left_s -= 1
            yield entry

    vars(stores.source)["files"] = slow
    for layout in (DEFAULT_LAYOUT, FOLDED):
        expected = uninterrupted(stores, layout, YEAR)
        work = Invocations(stores, layout, clock)
        work.carry(YEAR)
        work.run(whole_s=20)
        assert sorted(work.sent) == sorted(expected)
        if layout == DEFAULT_LAYOUT:  # each day of the account that may not be listed is told once
            days = [(event.last - event.first).days + 1 for event in work.failed]
            assert sum(days) == 365
        work.failed.clear()

        work.carry(replace(YEAR, last=YEAR.first))
        work.run(whole_s=1)
        assert work.failed == [replace(YEAR, last=YEAR.first)]


def test_an_account_that_may_not_be_listed_is_left_out_once_in_all_slices() -> None:
    clock = Clock(request_s=1)
    stores = organisation(clock, accounts=60, days=2)
    expected = uninterrupted(stores, DEFAULT_LAYOUT, YEAR)
    refused = "000000000042"
    stores.source.refused = {refused}  # type: ignore[attr-defined]
    work = Invocations(stores, DEFAULT_LAYOUT, clock)

    work.carry(YEAR)
    work.run(whole_s=200)

    assert len(work.carried) > 3
    assert sorted(work.sent) == [unit for unit in sorted(expected) if unit.account != refused]
    assert work.failed == [replace(YEAR, accounts=(refused,))]


def test_what_is_left_of_a_daily_run_does_not_compare_parts_either() -> None:
    clock = Clock(request_s=1)
    stores = organisation(clock, accounts=60, days=2)
    work = Invocations(stores, DEFAULT_LAYOUT, clock)

    work.carry(replace(YEAR, only="outdated", daily=True))
    work.run(whole_s=200)

    assert len(work.carried) > 1
    assert all(event.daily for event in work.carried)


def test_a_slice_of_accounts_of_a_layout_without_any_is_refused() -> None:
    clock = Clock()
    work = Invocations(organisation(clock, 1, 1), FOLDED, clock)

    work.carry(replace(YEAR, after=("000000000000", "us-east-1")))
    work.run(whole_s=900)

    (error,) = work.errors
    assert "after and through name accounts, and the layout year/month/day has no folders" in error


# The note.


def test_of_two_invocations_of_an_event_one_goes_on() -> None:
    state = Spending()
    first, second = (ProgressNote(state, YEAR, "id") for _ in range(2))
    first.reach(replace(YEAR, after=("1", "a")), has_logs=True)

    with pytest.raises(TakenOverError):
        second.reach(replace(YEAR, after=("1", "a")), has_logs=True)

    third = ProgressNote(state, YEAR, "id")
    assert third.is_resumed
    third.divide([])
    with pytest.raises(TakenOverError):
        first.divide([])
    assert not ProgressNote(state, YEAR, "another id").is_resumed


def test_a_note_that_cannot_be_read_is_as_none() -> None:
    state = Spending()
    ProgressNote(state, YEAR, "id").reach(YEAR, has_logs=True)
    (entry,) = state.files(ATTEMPTS)

    state.write(entry.key, b"{")
    note = ProgressNote(state, YEAR, "id")
    note.reach(YEAR, has_logs=False)

    assert not note.has_logs
    assert ProgressNote(state, YEAR, "id").is_resumed
