"""When a schedule runs, as far as that follows from its expression.

Source: EventBridge Scheduler User Guide, "Schedule types".
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from cloudtrail_parquet.settings.reach import days_until_settled
from cloudtrail_parquet.settings.settings import Settings

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)", re.ASCII)
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)
_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")  # numbers begin with 1
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
        minutes_, hours = _values(minute, 0, 59), _values(hour, 0, 23)
        week = range(1, 8) if of_week == "?" else _values(of_week, 1, 7, _WEEK)
        every_day = all(field in {"*", "?", "*/1", "1/1"} for field in (of_month, month, year))
    except ValueError:
        return None
    if not (every_day and minutes_ and hours and week):
        return None
    days = sorted(week)
    apart = max(later - day for day, later in pairwise([*days, days[0] + len(_WEEK)]))
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
    """The greatest age of a day that a daily run finds not settled, unless a run was missed."""
    runs = runs_of(daily)
    return (runs.days if runs else 1) + days_until_settled(settings)


def _values(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> set[int]:
    """The values that a field of a cron expression selects.

    Raises:
        ValueError: The field is not legal, or has a form that is not understood here.
    """
    return {value for item in field.split(",") for value in _item(item, low, high, names)}


def _item(item: str, low: int, high: int, names: tuple[str, ...]) -> Iterator[int]:
    def number(text: str) -> int:
        value = names.index(text) + low if text in names else int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(item)
    every, first, last, step = match.groups()
    begin = low if every else number(first)
    end = high if every or (step and not last) else number(last or first)
    if end < begin and names:  # FRI-MON
        end += high
    values = range(begin, end + 1, int(step or 1))  # a step of 0 is a ValueError
    yield from ((value - low) % (high - low + 1) + low for value in values)
