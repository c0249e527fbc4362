"""Replacing what stands: wherever a run ends, what is not whole is found, and made whole again."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from obstore.store import MemoryStore

from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.coverage.rebuild import rebuild
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.rules import Redact
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state import identities
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import read_notes, unfinished
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ObjectStore
from tests.builders import WritableStores
from tests.unit.deliveries import ACCOUNT, REGION, checksums, deliver, event, found, memory, rows
from tests.unit.mortal import Killed, KilledError, Mortal

DAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, DAY)
SMALL = Settings(row_group_rows=3, part_bytes=1, fetch_threads=1)
BEFORE = UnitRange(date(2026, 1, 1), date(2026, 1, 31))

REDACTING = (Redact(name="secrets", keys=("secret",)),)


def delivered() -> WritableStores:
    """A day with rows for five parts, and two stragglers of the day before."""
    stores = memory()
    fill(stores)
    return stores


def fill(stores: WritableStores) -> None:
    for number in range(12):
        when = NOON + timedelta(minutes=number)
        secret = {"requestParameters": {"secret": f"s-{number}"}}
        deliver(stores, when, [event(number, when) | secret])
    deliver(stores, NOON, [event(n, NOON - timedelta(days=1)) for n in (50, 51)])


def more(stores: WritableStores) -> None:
    deliver(stores, NOON, [event(number, NOON) for number in range(100, 110)])


def repaired(stores: WritableStores) -> None:
    """A log file that holds one record more than it did."""
    entry = next(iter(stores.source.files("")))
    other = memory()
    deliver(other, NOON, [event(0, NOON), event(200, NOON)])
    stores.source.write(entry.key, other.source.read(next(iter(other.source.files(""))).key))


def convert(
    stores: WritableStores, settings: Settings = SMALL, shard: Shard = WHOLE, unit: Unit = UNIT
) -> Receipt | None:
    trails = discover(stores.source, settings.folders).trails[ACCOUNT, REGION]
    return convert_unit(unit, trails, stores, settings, shard=shard)


def outdated(stores: WritableStores, settings: Settings = SMALL) -> dict[Unit, str]:
    """What an operator's plan would convert, and why."""
    discovery = discover(stores.source, settings.folders)
    receipts = Receipts(stores.state, stores.now(), stores.dataset)
    units = plan_units(
        stores.source, receipts, discovery, BEFORE, "outdated", PlanOptions.of(settings)
    )
    return {one.unit: one.why for one in units}


def is_true(stores: WritableStores, unit: Unit = UNIT) -> bool:
    """Whether the receipt of a unit tells of just the parts that there are."""
    receipt = read_notes(stores.state, unit).receipt
    there = {entry.key: entry.size for entry in stores.dataset.files("")}
    return receipt is not None and {part.key: part.bytes for part in receipt.parts} == there


def parts_by_partition(stores: WritableStores) -> Counter[str]:
    """How many parts there are; their numbers depend on what stood while they were put."""
    return Counter(key.rpartition("/")[0] for key in checksums(stores))


CHANGES: list[tuple[str, Callable[[WritableStores], object], Settings]] = [
    ("other settings", lambda _: None, Settings(fetch_threads=1)),
    ("more files", more, SMALL),
    ("fewer parts of more files", more, Settings(fetch_threads=1)),
    ("rules", lambda _: None, dataclasses.replace(SMALL, redact=REDACTING)),
    ("other encoding", lambda _: None, dataclasses.replace(SMALL, json_encoding="json")),
]


def settled() -> WritableStores:
    """The same, converted."""
    stores = delivered()
    convert(stores)
    assert outdated(stores) == {}
    return stores


@pytest.mark.parametrize("few", [100, 0], ids=["few log files", "many"])
@pytest.mark.parametrize(("name", "change", "settings"), CHANGES, ids=[one[0] for one in CHANGES])
def test_a_run_that_was_killed_while_replacing_is_found_wherever_that_was(
    name: str,
    change: Callable[[WritableStores], object],
    settings: Settings,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identities, "FEW", few)
    whole = settled()
    change(whole)
    convert(whole, settings)
    ends = [parts_by_partition(whole)]
    convert(whole, settings)  # as a run does that finds all of it done but for its last step
    ends.append(parts_by_partition(whole))

    for changes in range(200):
        stores = settled()
        change(stores)
        before = checksums(stores)
        with suppress(KilledError):
            convert(Killed(stores, changes).stores, settings)
            break
        if checksums(stores) != before:
            assert UNIT in outdated(stores, settings) or is_true(stores), (name, changes)
            assert outdated(stores, SMALL).get(UNIT) or is_true(stores), (name, changes)

        convert(stores, settings)
        assert found(stores) == found(whole), changes
        assert parts_by_partition(stores) in ends, changes
        assert is_true(stores)
        assert not unfinished(stores.state)
        assert left_over(stores) == [], changes
    else:
        pytest.fail("it is never done")
    assert changes > 3


def earlier(stores: WritableStores) -> None:
    """Records that sort before those that stand."""
    when = NOON - timedelta(hours=1)
    deliver(stores, when, [event(number, when) for number in range(300, 304)])


def ids(stores: WritableStores) -> Counter[str]:
    return Counter(json.loads(text)["eventID"] for _, text in found(stores).elements())


OTHERS = [
    ("fewer parts", lambda _: None, Settings(fetch_threads=1), True),
    ("other bytes", lambda _: None, dataclasses.replace(SMALL, json_encoding="json"), True),
    ("other rows", earlier, dataclasses.replace(SMALL, json_encoding="json"), False),
]


@pytest.mark.parametrize(
    ("change", "settings", "once"), [one[1:] for one in OTHERS], ids=[one[0] for one in OTHERS]
)
@pytest.mark.parametrize("gone", [slice(5, 6), slice(0, 12)], ids=["one", "all"])
def test_nothing_is_lost_with_a_log_file_that_goes_after_a_run_was_killed_amid_replacing(
    change: Callable[[WritableStores], object],
    settings: Settings,
    once: bool,  # noqa: FBT001
    gone: slice,
) -> None:
    before = ids(settled())
    for changes in range(60):
        stores = settled()
        change(stores)
        with suppress(KilledError):
            convert(Killed(stores, changes).stores, settings)
            break
        stood = ids(stores)
        keys = [entry.key for entry in stores.source.files("")]
        stores.source.delete(keys[gone])

        convert(stores, settings)

        assert before.keys() <= stood.keys() <= ids(stores).keys(), changes
        assert not once or set(ids(stores).values()) == {1}, changes
        assert is_true(stores), changes
        assert left_over(stores) == [], changes
    assert changes > 5


def lose_state(stores: WritableStores) -> None:
    stores.state.delete([entry.key for entry in stores.state.files("")])


def lose_and_rebuild(stores: WritableStores) -> None:
    lose_state(stores)
    rebuild(stores, LeaseOptions.of(SMALL), SMALL.settle_margin_s)


@pytest.mark.parametrize("lose", [lose_state, lose_and_rebuild])
@pytest.mark.parametrize(
    "settings", [one[2] for one in OTHERS[:2]], ids=[one[0] for one in OTHERS[:2]]
)
def test_what_a_killed_run_has_put_does_not_stand_twice_though_the_state_is_lost(
    lose: Callable[[WritableStores], None],
    settings: Settings,
) -> None:
    for changes in range(60):
        stores = settled()
        with suppress(KilledError):
            convert(Killed(stores, changes).stores, settings)
            break
        stood = ids(stores)
        lose(stores)
        stores.source.delete([entry.key for entry in stores.source.files("")][5:6])

        convert(stores, settings)

        assert stood.keys() == ids(stores).keys(), changes
        assert set(ids(stores).values()) == {1}, changes
        assert is_true(stores), changes
    assert changes > 5


def left_over(stores: WritableStores) -> list[str]:
    kinds = ("receipts/", "identities/", "dataset.json")
    return [one.key for one in stores.state.files("") if not one.key.startswith(kinds)]


def test_a_first_run_that_was_killed_is_found_and_leaves_nothing() -> None:
    whole = delivered()
    convert(whole)
    for changes in range(200):
        stores = delivered()
        with suppress(KilledError):
            convert(Killed(stores, changes).stores)
            break

        assert UNIT in outdated(stores)
        convert(stores)
        assert set(checksums(stores)) == set(checksums(whole))
        assert found(stores) == found(whole)
        assert left_over(stores) == []
    assert changes > 7


@pytest.mark.parametrize("of", [2, 3])
def test_a_split_that_is_killed_over_a_whole_unit_is_found_until_it_is_complete(of: int) -> None:
    for changes in range(0, 200, 3):
        stores = settled()
        more(stores)
        killed = Killed(stores, changes).stores
        with suppress(KilledError):
            for shard in Shard(1, of).siblings:
                convert(killed, shard=shard)
            break

        assert UNIT in outdated(stores)
        for shard in Shard(1, of).siblings:
            convert(stores, shard=shard)
        assert len(rows(stores)) == len(set(rows(stores))) == 24
        assert not unfinished(stores.state)
        assert UNIT not in outdated(stores)


def test_a_shard_that_runs_again_makes_the_unit_unfinished_until_it_is_done() -> None:
    stores = settled()
    for shard in Shard(1, 2).siblings:
        convert(stores, shard=shard)
    assert UNIT not in outdated(stores)
    more(stores)
    convert(stores, shard=Shard(1, 2))

    assert outdated(stores)[UNIT] == "a run that was replacing it has not finished"
    convert(stores, shard=Shard(2, 2))
    assert UNIT not in outdated(stores)


# Somebody who wakes too late.


def interrupted_at(
    changes: int, stores: WritableStores, act: Callable[[], object]
) -> WritableStores:
    """Stores that let something else happen just before the nth change, after all checks."""
    left = changes

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            act()

    return WritableStores(
        stores.source,
        Mortal(stores.dataset, tick),
        Mortal(stores.state, tick),
    )


class Asleep(SystemClock):
    """The clocks of a machine that may have slept."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.slept_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.slept_s


def on_a_machine_that_sleeps() -> tuple[WritableStores, Asleep]:
    clock = Asleep()
    places = (ObjectStore("memory:///", MemoryStore(), clock=clock) for _ in range(3))
    stores = WritableStores(*places, clock=clock)
    stores.source.uri = "memory:///AWSLogs"
    return stores, clock


def test_a_run_that_wakes_after_another_has_taken_over_changes_nothing_of_it() -> None:
    points = 0
    for changes in range(200):
        stores, clock = on_a_machine_that_sleeps()
        fill(stores)
        convert(stores)
        more(stores)
        after: dict[str, Any] = {}

        def take_over(
            stores: WritableStores = stores, clock: Asleep = clock, after: dict[str, Any] = after
        ) -> None:
            clock.slept_s += 3600
            repaired(stores)
            convert(stores, Settings(fetch_threads=1))
            after.update(checksums(stores))

        zombie = interrupted_at(changes, stores, take_over)
        with suppress(StorageError):
            convert(zombie, dataclasses.replace(SMALL, row_group_rows=2))
        if not after:
            break
        points += 1

        assert checksums(stores) == after, changes
        assert is_true(stores), changes
        convert(stores, Settings(fetch_threads=1))  # at worst an intent was left
        assert checksums(stores) == after, changes
        assert left_over(stores) == [], changes
    assert points > 6


def test_runs_that_write_to_the_days_of_each_other_do_not_wait_in_a_circle() -> None:
    stores, days = memory(), [date(2026, 1, 9), date(2026, 1, 10)]
    for number, day in enumerate(days):
        noon = datetime.combine(day, time(12), UTC)
        other = datetime.combine(days[1 - number], time(6), UTC)
        deliver(stores, noon, [event(number, noon), event(10 + number, other)])
    both, settings = Barrier(2), dataclasses.replace(SMALL, lease_wait_s=20)

    class Waiting(Mortal):
        """Holds the first lease until the other run has its own one as well."""

        def lease(self, key: str, wait_s: float, expires_s: float) -> Any:  # noqa: ANN401
            lease = self._store.lease(key, wait_s, expires_s)
            return together(lease) if len(first) < 2 else lease

    first = list[str]()

    @contextmanager
    def together(lease: Any) -> Iterator[Any]:  # noqa: ANN401
        with lease as held:
            first.append("")
            with suppress(BrokenBarrierError):
                both.wait(2)
            yield held

    waiting = WritableStores(stores.source, stores.dataset, Waiting(stores.state, lambda: None))
    with ThreadPoolExecutor(2) as threads:
        units = [Unit(ACCOUNT, REGION, day) for day in days]
        receipts = list(threads.map(lambda unit: convert(waiting, settings, unit=unit), units))

    assert [receipt and receipt.records.straggled for receipt in receipts] == [1, 1]
    assert sum(found(stores).values()) == 4


def test_what_is_begun_is_said_when_a_store_fails_amid_replacing() -> None:
    stores = settled()

    class Failing(Mortal):
        def remove(self, key: str, version: str) -> None:
            raise StorageError(
                f"cannot be deleted ({version})", key, "Run it again; nothing was replaced"
            )

    failing = WritableStores(stores.source, Failing(stores.dataset, lambda: None), stores.state)

    with pytest.raises(StorageError, match=f"Convert {UNIT.name} again: that completes"):
        convert(failing, Settings(fetch_threads=1))
    assert read_notes(stores.state, UNIT).intent is not None
    assert stores.state.look(StateKeys.of(UNIT).intent) is not None


def test_what_others_left_out_as_repeated_returns_after_less_has_replaced_it() -> None:
    """A record of the day before stands as a straggler, and that day has left its own copy out."""
    stores, shrink = memory(), dataclasses.replace(SMALL, replace_shrunk=True)
    day_before, record = UNIT.on(DAY - timedelta(days=1)), event(1, NOON - timedelta(days=1))
    deliver(stores, NOON, [record])
    convert(stores)
    deliver(stores, NOON - timedelta(days=1), [record])
    convert(stores, unit=day_before)
    straggler = next(e for e in stores.source.files("") if "20260110T" in e.key)
    stores.source.delete([straggler.key])
    deliver(stores, NOON, [event(2, NOON)])

    convert(stores, shrink)

    assert day_before in outdated(stores)
    convert(stores, unit=day_before)
    assert outdated(stores) == {}
    assert [day.day for day, _ in rows(stores)] == [9, 10]
