import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.deliveries import LogFile, memory_of
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores, open_store
from cloudtrail_parquet.together import Budget, at_a_time, side_by_side
from tests.unit.deliveries import ACCOUNT, REGION, checksums, deliver, event, memory

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
PATIENCE_S = 20


def files(*sizes: int) -> list[LogFile]:
    return [LogFile(str(size), size, NOON, stamped=True) for size in sizes]


def test_actions_that_wait_for_each_other_come_to_an_end_side_by_side() -> None:
    all_are_there = threading.Barrier(4)

    def act(number: int) -> int:
        all_are_there.wait(PATIENCE_S)
        return -number

    assert list(side_by_side(act, range(4), 4)) == [0, -1, -2, -3]


def test_one_at_a_time_is_begun_only_when_it_is_asked_for() -> None:
    begun: list[int] = []
    results = side_by_side(begun.append, range(3), 1)

    next(results)

    assert begun == [0]


def test_an_action_that_fails_raises_in_its_place() -> None:
    def act(number: int) -> int:
        return 1 // number

    results = side_by_side(act, [1, 0, 1], 3)

    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_large_unit_waits_for_those_under_way_and_then_others_for_it() -> None:
    budget, under_way, seen = Budget(100_000), list[str](), list[list[str]]()
    first_is_begun, first_may_end = threading.Event(), threading.Event()

    def work(name: str, size: int, *, waits: bool = False) -> None:
        with budget.share() as take:
            take(size)
            under_way.append(name)
            seen.append(sorted(under_way))
            if waits:
                first_is_begun.set()
                assert first_may_end.wait(PATIENCE_S)
            under_way.remove(name)

    threads = [threading.Thread(target=work, args=("small", 60_000), kwargs={"waits": True})]
    threads[0].start()
    assert first_is_begun.wait(PATIENCE_S)
    work("beside", 30_000)
    threads += [threading.Thread(target=work, args=("large", 1_000_000_000))]
    threads[1].start()
    first_may_end.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    work("after", 60_000)

    assert seen == [["small"], ["beside", "small"], ["large"], ["after"]]


def test_tiny_log_files_count_more_than_their_bytes() -> None:
    assert memory_of(files(1, 5_000, 1)) == 7_000


def test_units_wait_for_a_store_of_objects_but_not_for_a_disk(tmp_path: object) -> None:
    disk, objects = open_store(f"{tmp_path}/a"), open_store("memory:///")

    assert at_a_time(Stores(disk, disk, disk).parallel) == 1
    assert at_a_time(Stores(disk, objects, disk).parallel) > 1


def test_units_converted_side_by_side_have_the_bytes_of_those_converted_one_by_one() -> None:
    alone, together = memory(), memory()
    units = [Unit(ACCOUNT, REGION, date(2026, 1, 5) + timedelta(days=day)) for day in range(12)]
    for number, unit in enumerate(units):
        noon = datetime(unit.day.year, unit.day.month, unit.day.day, 12, tzinfo=UTC)
        late = [event(n, noon - timedelta(days=2)) for n in (1000 + number, 1000 + number // 2)]
        deliver(alone, noon, [event(number, noon), *late])
    for entry in alone.source.files(""):
        together.source.write(entry.key, alone.source.read(entry.key))
    trails = [f"{ACCOUNT}/CloudTrail/{REGION}/"]

    for unit in units:
        convert_unit(unit, trails, alone, Settings())
    receipts = list(
        side_by_side(lambda unit: convert_unit(unit, trails, together, Settings()), units, 8)
    )

    assert [receipt.unit for receipt in receipts if receipt] == units
    assert checksums(together) == checksums(alone)
