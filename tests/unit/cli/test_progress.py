"""How far a command is, by a clock that the tests turn."""

from collections.abc import Callable

import pytest

from cloudtrail_parquet.cli import progress
from cloudtrail_parquet.cli.progress import LINE_EVERY_S, Amount, Meter, tell

MB = 1_000_000


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def meter_of(clock: Clock, goal: Amount, look: Callable[[], Amount] | None = None) -> Meter:
    return Meter("converting", goal, "unit", look, clock)


def after(meter: Meter, clock: Clock, seconds: float, **done: int) -> str:
    clock.now += seconds
    meter.add(**done)
    meter.see()
    return meter.facts


def test_bytes_rate_items_and_the_time_left_are_told(clock: Clock) -> None:
    meter = meter_of(clock, Amount(100 * MB, 10))

    assert meter.facts == "0 bytes of 100 MB, 0 of 10 units"
    facts = after(meter, clock, 10, size=20 * MB, items=1)
    assert facts == "20 MB of 100 MB, 2 MB/s, 1 of 10 units, 0:40 left"


def test_no_rate_is_told_of_the_first_moment(clock: Clock) -> None:
    meter = meter_of(clock, Amount(100 * MB, 1))

    assert after(meter, clock, 0.1, size=50 * MB) == "50 MB of 100 MB, 0 of 1 unit"


def test_the_last_minute_counts_most(clock: Clock) -> None:
    meter = meter_of(clock, Amount(100_000 * MB))
    for _ in range(600):
        after(meter, clock, 1, size=100 * MB)
    for _ in range(180):
        after(meter, clock, 1, size=10 * MB)

    left = 100_000 - 600 * 100 - 180 * 10
    assert meter.seconds_left == pytest.approx(left / 14.5, rel=0.02)


def test_a_pause_makes_the_time_left_longer_and_not_unknown(clock: Clock) -> None:
    meter = meter_of(clock, Amount(1000 * MB))
    after(meter, clock, 30, size=300 * MB)
    before = meter.seconds_left
    after(meter, clock, 30)

    assert before is not None
    assert meter.seconds_left is not None
    assert before < meter.seconds_left < 10 * before


def test_work_measures_the_time_where_it_is_known(clock: Clock) -> None:
    """Ten thousand quiet units take as long as one of ten gigabytes."""
    done = Amount()
    meter = meter_of(clock, Amount(10_000 * MB, 10_001, 2000.0), lambda: done)
    clock.now += 100
    done = Amount(10_000 * MB, 1, 1000.0)
    meter.see()

    assert meter.share == 0.5
    assert meter.facts == "10 GB of 10 GB, 100 MB/s, 1 of 10,001 units, 1:40 left"


def test_it_never_goes_back_nor_beyond_the_goal(clock: Clock) -> None:
    amounts = [Amount(10, 1), Amount(7, 2), Amount(30, 3)]
    meter = meter_of(clock, Amount(20, 2), lambda: amounts.pop(0))
    told = []
    for _ in range(3):
        meter.see()
        told.append(meter.facts)

    assert told == [
        "10 bytes of 20 bytes, 1 of 2 units",
        "10 bytes of 20 bytes, 2 of 2 units",
        "20 bytes of 20 bytes, 2 of 2 units",
    ]


def test_without_a_goal_it_tells_what_is_done(clock: Clock) -> None:
    meter = meter_of(clock, Amount())

    assert after(meter, clock, 10, size=20 * MB, items=3) == "20 MB, 2 MB/s, 3 units"
    assert (meter.share, meter.seconds_left) == (None, None)


def test_where_nothing_is_known_only_the_verb_is_told(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    ends = iter([False, True])

    tell(Meter("opening", Amount(), "file", None, clock), lambda _: next(ends))

    assert lines == ["opening"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_bar_fits_the_terminal(clock: Clock, width: int) -> None:
    meter = meter_of(clock, Amount(123_456_789_012, 1234))
    after(meter, clock, 1000, size=61_728_394_506, items=617)

    line = meter.bar(width).plain

    assert len(line) < width
    assert line.startswith("converting ")
    assert len(line) - len(line.replace("━", "").replace("─", "")) in {0, *range(8, 41)}
    assert ("━" in line) == (width >= 80)


def test_lines_come_now_and_then_and_none_of_a_short_run(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "note", lines.append)
    meter = meter_of(clock, Amount(100 * MB, 10))

    def wait_during(seconds: float) -> Callable[[float], bool]:
        end = clock.now + seconds

        def wait(timeout_s: float) -> bool:
            passed = min(timeout_s, end - clock.now)
            clock.now += passed
            meter.add(size=int(passed * MB))
            return clock.now >= end

        return wait

    tell(meter, wait_during(LINE_EVERY_S - 0.1))
    assert lines == []
    tell(meter, wait_during(2.5 * LINE_EVERY_S))
    assert lines == [
        "converting: 30 MB of 100 MB, 1 MB/s, 0 of 10 units, 1:10 left",
        "converting: 45 MB of 100 MB, 1 MB/s, 0 of 10 units, 0:55 left",
    ]
