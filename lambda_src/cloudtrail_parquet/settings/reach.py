"""How far back the daily run looks, derived from when a day is settled.

Day E is settled from ``E + 1 d + lookahead + margin`` on. A run on day R, at any time of the day,
looks at ``[R - days_back - catch_up_days, R - days_back]``, so that runs look at E up to day
``E + days_back + catch_up_days``. On the last ``SPARE_DAYS + 1`` of these days E is settled: runs
may be so many days apart, or ``SPARE_DAYS`` of them may be missed in a row.
"""

from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

from cloudtrail_parquet.settings.settings import Settings

SPARE_DAYS = 2
"""How many daily runs may be missed in a row."""

_DAY_S = 86_400


class Days(NamedTuple):
    """A range of days, both ends included."""

    first: date
    last: date


def days_until_settled(settings: Settings) -> int:
    """Whole days after the end of a day from which on it is settled at any time of the day."""
    return ceil((settings.lookahead_s + settings.settle_margin_s) / _DAY_S)


def catch_up_days(settings: Settings, days_back: int = 1) -> int:
    """How many days before the scheduled one are looked at again: not settled then, or missed."""
    return SPARE_DAYS + days_until_settled(settings) + max(0, 1 - days_back)


def scheduled_days(today: date, days_back: int, settings: Settings, count: int = 0) -> Days:
    """The days that a scheduled run looks at.

    Args:
        today: The day of the run, UTC.
        days_back: Days from the scheduled day to the day of the run.
        settings: Have the window and the margin.
        count: How many days; 0 for as many as have to be looked at again.
    """
    day = today - timedelta(days=days_back)
    others = count - 1 if count else catch_up_days(settings, days_back)
    return Days(day - timedelta(days=others), day)


def settled_after_min(settings: Settings) -> int:
    """Whole minutes from the end of a day until it is settled."""
    return ceil((settings.lookahead_s + settings.settle_margin_s) / 60)


def settled_at_min(settings: Settings) -> int:
    """The minute of the day at which an earlier day becomes settled."""
    return settled_after_min(settings) % (_DAY_S // 60)
