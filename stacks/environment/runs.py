"""When a schedule runs, as far as that follows from its expression.

Source: EventBridge Scheduler User Guide, "Schedule types".
"""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from cloudtrail_parquet.settings.reach import days_until_settled, settled_after_min
from cloudtrail_parquet.settings.settings import Settings
from stacks.environment.cron import DAY_OF_MONTH, DAY_OF_WEEK, HOURS, MINUTES, MONTH, YEAR

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_WEEK_DAYS = 7
_MONTH_DAYS = (28, 29, 30, 31)
_YEARS = set(range(2026, YEAR.high + 1))
"""Of a schedule that never ends; those before are over."""

_DAY_MINUTES = 1440
_DAY_HOURS = 24

LONGER_H = 2
"""Hours by which a run may take longer than the one of the day before."""


class Runs(NamedTuple):
    """When a schedule runs.

    Attributes:
        latest: The last minute of the day at which it runs; None where that changes, or depends on
            when the schedule was created.
        days: Most days from one day with a run to the next.
        drift_h: Most hours by which the first run after a given time of day comes later than it did
            on the day before.
    """

    latest: int | None
    days: int
    drift_h: int = 0


def runs_of(expression: str) -> Runs | None:
    """When a schedule runs; None if that cannot be told, or changes during the year."""
    if match := _RATE.fullmatch(expression):
        minutes = int(match[1]) * _MINUTES[match[2]]
        apart = -(-minutes // _DAY_MINUTES)
        steady = _DAY_MINUTES * apart % minutes == 0
        return Runs(None, apart, 0 if steady else -(-min(minutes, _DAY_MINUTES) // 60))
    try:
        minute, hour, of_month, month, of_week, year = expression[len("cron(") : -1].split()
        minutes_, hours = MINUTES.values(minute), HOURS.values(hour)
        days = DAY_OF_MONTH.values(of_month.replace("?", "*"))
        week = DAY_OF_WEEK.values(of_week.replace("?", "*"))
        every_month = MONTH.values(month) >= MONTH.values("*")
        every_year = YEAR.values(year) >= _YEARS
    except ValueError:
        return None
    if not (every_month and every_year and min(days) <= min(_MONTH_DAYS)):
        return None
    # One of the two is every day, as EventBridge wants a ? there.
    apart = max(_days_apart(week, _WEEK_DAYS), *(_days_apart(days, of) for of in _MONTH_DAYS))
    return Runs(max(hours) * 60 + max(minutes_), apart)


def _days_apart(days: Iterable[int], count: int) -> int:
    """Most days from one run to the next, in a week or month of so many days and to the next."""
    runs = sorted(day for day in days if day <= count)
    return max(later - day for day, later in pairwise([*runs, runs[0] + count]))


def settled_within_hours(daily: str) -> int:
    """The longest time from one settled day to the next: that between runs, and their delays.

    Raises:
        ValueError: Nobody can tell when the schedule runs; `validate` refuses it.
    """
    runs = runs_of(daily)
    if runs is None:
        raise ValueError(daily)
    return runs.days * _DAY_HOURS + LONGER_H + runs.drift_h


def oldest_unsettled_days(daily: str, settings: Settings) -> int:
    """The greatest age of a day that a daily run finds not settled, unless a run was missed.

    A run whose time of day is known comes after days become settled; `validate` refuses others.
    """
    runs = runs_of(daily)
    days = runs.days if runs else 1
    if runs is None or runs.latest is None:
        return days + days_until_settled(settings)
    return days + settled_after_min(settings) // _DAY_MINUTES
