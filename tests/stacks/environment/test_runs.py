"""When schedules run, and what is derived from it."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.settings.reach import final_at_min, scheduled_days
from cloudtrail_parquet.settings.settings import Settings
from stacks.constructs.alarms import oldest_unsettled_days, settled_within_hours
from stacks.environment.fields import Environment
from stacks.environment.runs import Runs, runs_of
from stacks.environment.validate import conflicts

DAY_MINUTES = 1440


def environment(daily: str, **converter: int) -> Environment:
    raw: dict[str, Any] = {
        "name": "trails",
        "region": "eu-central-1",
        "sources": [{"bucket": "org-logs"}],
        "dataset": {"bucket": "lake", "prefix": "cloudtrail"},
        "schedule": {"daily": daily},
        "converter": converter,
    }
    return Environment.model_validate(raw)


def wrong(one: Environment) -> list[str]:
    return [line for line in conflicts(one) if line.startswith("schedule.daily: ")]


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("cron(15 3 * * ? *)", Runs(195, 1)),
        ("cron(0,30 0-6/2 * * ? *)", Runs(390, 1)),
        ("cron(*/20 * ? * * *)", Runs(1420, 1)),
        ("cron(5 4/6 * * ? *)", Runs(1325, 1)),
        ("cron(0 4 ? * MON-FRI *)", Runs(240, 3)),
        ("cron(0 4 ? * FRI-MON *)", Runs(240, 4)),
        ("cron(0 4 ? * 1,4,6 *)", Runs(240, 3)),
        ("cron(0 4 ? * MON *)", Runs(240, 7)),
        ("rate(1 hour)", Runs(None, 1)),
        ("rate(1 day)", Runs(None, 1)),
        ("rate(3 days)", Runs(None, 3)),
        ("rate(7 hours)", Runs(None, 1, 7)),
        ("rate(36 hours)", Runs(None, 2, 24)),
        ("cron(0 4 1 * ? *)", None),
        ("cron(0 4 L * ? *)", None),
        ("cron(0 4 ? * 6#3 *)", None),
        ("cron(0 4 * JAN ? *)", None),
        ("cron(0 4 * * ? 2027)", None),
        ("cron(60 4 * * ? *)", None),
        ("cron(0 24 * * ? *)", None),
        ("cron(0 */0 * * ? *)", None),
        ("cron(x 4 * * ? *)", None),
    ],
)
def test_an_expression_tells_when_it_runs(expression: str, runs: Runs | None) -> None:
    assert runs_of(expression) == runs


@pytest.mark.parametrize(
    ("daily", "converter", "said"),
    [
        ("cron(59 2 * * ? *)", {}, "before 03:00"),
        ("cron(15 3 * * ? *)", {"lookahead_s": 21_600}, "before 07:00"),
        ("cron(15 3 * * ? *)", {"lookahead_s": 7 * 86_400, "settle_margin_s": 15_000}, "04:10"),
        ("cron(0 4 ? * MON *)", {}, "at least every 3 days"),
        ("rate(4 days)", {}, "at least every 3 days"),
        ("cron(0 4 1 * ? *)", {}, "at least every 3 days"),
    ],
)
def test_a_daily_run_that_comes_too_early_or_seldom_is_refused(
    daily: str, converter: dict[str, int], said: str
) -> None:
    (line,) = wrong(environment(daily, **converter))

    assert said in line


@pytest.mark.parametrize(
    ("daily", "converter"),
    [
        ("cron(0 3 * * ? *)", {}),
        ("cron(0 * * * ? *)", {}),
        ("cron(15 3 * * ? *)", {"lookahead_s": 7 * 86_400}),
        ("cron(0 0 * * ? *)", {"lookahead_s": 0, "settle_margin_s": 0}),
        ("cron(59 23 * * ? *)", {"lookahead_s": 86_399, "settle_margin_s": 0}),
        ("cron(0 4 ? * MON-FRI *)", {}),
        ("rate(3 days)", {}),
    ],
)
def test_any_other_daily_run_is_legal(daily: str, converter: dict[str, int]) -> None:
    assert wrong(environment(daily, **converter)) == []


seconds = st.integers(0, 604_800) | st.integers(0, 7).map(lambda days: days * 86_400)
schedules = st.one_of(
    st.builds(
        lambda hour, minute: f"cron({minute} {hour} * * ? *)",
        st.integers(0, 23),
        st.integers(0, 59),
    ),
    st.sampled_from(["cron(0 4 ? * MON-FRI *)", "cron(30 * * * ? *)", "cron(0 0,23 ? * 1,4,6 *)"]),
)


def simulated(daily: str) -> list[datetime]:
    """The runs of some weeks."""
    minute, hour, _, _, of_week, _ = daily[5:-1].split()
    hours = range(24) if hour == "*" else [int(one) for one in hour.split(",")]
    week = {"MON-FRI": {0, 1, 2, 3, 4}, "1,4,6": {6, 2, 4}}.get(of_week, set(range(7)))
    return [
        datetime(2026, 1, 1, hour, int(minute), tzinfo=UTC) + timedelta(days=day)
        for day in range(60)
        for hour in hours
        if (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)).weekday() in week
    ]


@given(schedules, seconds, seconds)
def test_every_day_becomes_final_as_soon_and_as_regularly_as_the_alarms_want_it(
    daily: str, lookahead_s: int, settle_margin_s: int
) -> None:
    one = environment(daily, lookahead_s=lookahead_s, settle_margin_s=settle_margin_s)
    if wrong(one):
        return
    settings, runs = one.settings, simulated(daily)
    final: dict[date, datetime] = {}
    oldest = []
    for run in runs:
        first, last = scheduled_days(run.date(), 1, settings)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        open_days = [day for day in days if day not in final and day >= date(2026, 1, 5)]
        oldest += [(run.date() - day).days for day in open_days]
        for day in open_days:
            ends = settings.window.ends(day) + timedelta(seconds=settings.settle_margin_s)
            if run >= ends:
                final[day] = run

    settled = [date(2026, 1, 5) + timedelta(days=n) for n in range(30)]
    assert set(settled) <= set(final)
    assert max(oldest) <= oldest_unsettled_days(one)
    times = sorted(set(final.values()))
    assert max(
        (later - run).total_seconds() / 3600 for run, later in pairwise(times)
    ) <= settled_within_hours(one)


def test_by_default_a_day_is_settled_within_26_hours_and_found_open_for_two_days() -> None:
    one = environment("cron(15 3 * * ? *)")

    assert (settled_within_hours(one), oldest_unsettled_days(one)) == (26, 2)
    assert final_at_min(Settings()) == 180
