import shutil
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.errors import NotEnoughTimeError, TooLargeError, UsageError
from cloudtrail_parquet.function.admission import Admission
from cloudtrail_parquet.layout import WHOLE, Place, Shard, Unit
from tests.unit.deliveries import START

PLACES = [Place(f"{number:012d}", "eu-central-1") for number in range(4)]
DAY = date(2026, 1, 1)
FOLDED, ONE = Unit("", "", DAY), Unit(*PLACES[0], DAY)


def files(size: int) -> list[LogFile]:
    return [
        LogFile(f"{place}/{hour}", size, START + timedelta(hours=hour), True, place)  # noqa: FBT003
        for place in PLACES
        for hour in range(5)
    ]


class Usage(NamedTuple):
    free: int


def admission(
    monkeypatch: pytest.MonkeyPatch, room: int, whole_s: float = 900, left_s: float = 900
) -> Admission:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(room))
    return Admission(whole_s, lambda: left_s, Window(900, 7200))


def test_a_unit_whose_parts_may_not_find_room_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    small = admission(monkeypatch, 10_000_000)

    with pytest.raises(TooLargeError, match="needs up to 20,000,000 bytes") as folded:
        small.admit(FOLDED, WHOLE, files(1_000_000), 0)
    with pytest.raises(TooLargeError, match="there is room for 8,000,000") as one:
        small.admit(ONE, WHOLE, files(1_000_000), 0)
    with pytest.raises(UsageError, match="Give the function more ephemeral storage"):
        small.admit(ONE, Shard(1, 2), files(1_000_000), 0)

    assert folded.value.shards == one.value.shards == 7
    assert len(folded.value.bounds) == 6
    assert one.value.bounds == ()
    assert small.admit(FOLDED, WHOLE, files(300_000), 0) > 0


def test_a_unit_waits_for_an_invocation_with_time_for_it_and_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = admission(monkeypatch, 10**12, left_s=40)
    needed_s = some.admit(FOLDED, WHOLE, files(1_000_000), 0)

    with pytest.raises(NotEnoughTimeError):
        some.admit(FOLDED, WHOLE, files(1_000_000), 20 - needed_s + 0.1)
    with pytest.raises(TooLargeError):
        admission(monkeypatch, 10**12, whole_s=32).admit(FOLDED, WHOLE, files(1_000_000), 0)
