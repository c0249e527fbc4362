"""Whatever the window: a daily run looks at a day again when that is final."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.settings.reach import (
    SPARE_DAYS,
    catch_up_days,
    scheduled_days,
    settled_at_min,
)
from cloudtrail_parquet.settings.settings import Settings

WEEK_S = 604_800
DAY = date(2026, 1, 10)
seconds = st.integers(0, WEEK_S) | st.integers(0, 7).map(lambda days: days * 86_400)


def final_from(day: date, settings: Settings) -> datetime:
    return settings.window.ends(day) + timedelta(seconds=settings.settle_margin_s)


def runs_that_look_at(day: date, settings: Settings, minute: int, days_back: int) -> list[datetime]:
    """The daily runs, at a minute of the day, that look at a day."""
    found = []
    for number in range(400):
        today = day + timedelta(days=number)
        first, last = scheduled_days(today, days_back, settings)
        if first <= day <= last:
            midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
            found.append(midnight + timedelta(minutes=minute))
    return found


@given(seconds, seconds, st.integers(0, 1439), st.integers(0, 366))
@example(WEEK_S, WEEK_S, 0, 1)
@example(WEEK_S, WEEK_S, 0, 0)
@example(5 * 86_400, 3600, 195, 1)
@example(0, 0, 0, 1)
def test_a_day_is_looked_at_when_it_is_final_though_as_many_runs_are_missed_as_may_be(
    lookahead_s: int, settle_margin_s: int, minute: int, days_back: int
) -> None:
    settings = Settings(lookahead_s=lookahead_s, settle_margin_s=settle_margin_s)

    runs = runs_that_look_at(DAY, settings, minute, days_back)

    final = [run for run in runs if run >= final_from(DAY, settings)]
    assert len(final) >= SPARE_DAYS + 1
    if days_back <= 1:
        assert len(final) <= SPARE_DAYS + 2  # and no day is looked at for longer than need be


def test_by_default_the_daily_run_looks_at_three_days_before_yesterday() -> None:
    assert catch_up_days(Settings()) == 3
    assert scheduled_days(DAY, 1, Settings()) == (date(2026, 1, 6), date(2026, 1, 9))


@given(seconds, seconds)
def test_from_the_minute_at_which_days_are_final_on_a_run_finds_one_that_has_become_so(
    lookahead_s: int, settle_margin_s: int
) -> None:
    settings = Settings(lookahead_s=lookahead_s, settle_margin_s=settle_margin_s)
    midnight = datetime(2026, 1, 30, tzinfo=UTC)

    run = midnight + timedelta(minutes=settled_at_min(settings))

    days = [DAY + timedelta(days=number) for number in range(20)]
    ages = [(run - final_from(day, settings)).total_seconds() for day in days]
    if settled_at_min(settings) < 1439:
        assert any(0 <= age < 60 for age in ages)
