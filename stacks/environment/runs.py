"""When a schedule runs, as far as that follows from its expression.

Source: EventBridge Scheduler User Guide, "Schedule types".
"""

import re
from itertools import pairwise
from typing import NamedTuple

from cloudtrail_parquet.settings.reach import days_until_settled, settled_after_min
from cloudtrail_parquet.settings.settings import Settings
from stacks.environment.cron import DAY_OF_WEEK, HOURS, MINUTES

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_WEEK_DAYS = 7
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
        week = DAY_OF_WEEK.values("*" if of_week == "?" else of_week)
        every_day = all(field in {"*", "?", "*/1", "1/1"} for field in (of_month, month, year))
    except ValueError:
        return None
    if not every_day:
        return None
    days = sorted(week)
    apart = max(later - day for day, later in pairwise([*days, days[0] + _WEEK_DAYS]))
    return Runs(max(hours) * 60 + max(minutes_), apart)


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
