"""Ages of days, such as ``7y``: how long a dataset is kept."""

import re
from datetime import date
from itertools import product

from cloudtrail_parquet.errors import UsageError

LEAST_DAYS = 30
"""Younger days may still be converted, and an expired one never is."""

_FOUR_YEARS = range(2024, 2028)  # one of them is a leap year

_AGE = re.compile(r"\s*(\d{1,5})\s*(d|days?|months?|y|years?)\s*", re.ASCII | re.IGNORECASE)


def first_kept(age: str, today: date, where: str) -> date:
    """The first day that is kept, by an age such as ``7y``, ``18 months`` or ``90d``.

    Args:
        age: The age.
        today: The day that it is counted back from.
        where: The option or the field that has it, for errors.

    Raises:
        UsageError: It is no age, or one of days that may still be converted.
    """
    kept = _counted_back(age, today, where)
    if (today - kept).days < LEAST_DAYS:
        hint = f"Name {LEAST_DAYS} days or more: younger days may still be converted"
        raise UsageError(f"{age.strip()} is too short", where, hint)
    return kept


def days_of(age: str, where: str) -> tuple[int, int]:
    """How many days an age has at least and at most, as months and years differ.

    Raises:
        UsageError: It is no age.
    """
    firsts = (date(year, month, 1) for year, month in product(_FOUR_YEARS, range(1, 13)))
    numbers = [(first - _counted_back(age, first, where)).days for first in firsts]
    return min(numbers), max(numbers)


def _counted_back(age: str, today: date, where: str) -> date:
    match = _AGE.fullmatch(age)
    if match is None:
        hint = "Write a number of years, months or days: 7y, 18 months, 90d"
        raise UsageError(f"{age!r} is not an age", where, hint)
    number, what = int(match[1]), match[2][0].lower()
    if what == "d":
        ordinal = today.toordinal() - number
        return date.fromordinal(ordinal) if ordinal > 0 else date.min
    return _months_before(today, number * (12 if what == "y" else 1))


def _months_before(day: date, months: int) -> date:
    """The same day of a month so many months before, or the last that it has."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < 1:
        return date.min
    first = date(year, month + 1, 1)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return first.replace(day=min(day.day, (following - first).days))
