"""How far back the daily run looks, derived from what makes a day final.

Day E is final from ``E + 1 d + lookahead + margin`` on. A run on day R, at any time of the day,
looks at ``[R - days_back - catch_up_days, R - days_back]``, so that runs look at E up to day
``E + days_back + catch_up_days``. On the last ``SPARE_DAYS + 1`` of these days E is final: so many
days may runs be apart, or as many as ``SPARE_DAYS`` in a row be missed.
"""

from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

from cloudtrail_parquet.settings.settings import Settings

SPARE_DAYS = 2
"""Daily runs that may be missed in a row."""

_DAY_S = 86_400


class Days(NamedTuple):
    """Days from one to another."""

    first: date
    last: date


def days_until_final(settings: Settings) -> int:
    """How many days after its end a day is final, in whole days, at any time of the day."""
    return ceil((settings.lookahead_s + settings.settle_margin_s) / _DAY_S)


def catch_up_days(settings: Settings, days_back: int = 1) -> int:
    """How many days before the scheduled one are looked at again: not final then, or missed."""
    return SPARE_DAYS + days_until_final(settings) + max(0, 1 - days_back)


def scheduled_days(today: date, days_back: int, settings: Settings) -> Days:
    """The days that a scheduled run looks at.

    Args:
        today: When it runs, UTC.
        days_back: How many days before that the scheduled day is.
        settings: Their window and margin are used.
    """
    day = today - timedelta(days=days_back)
    return Days(day - timedelta(days=catch_up_days(settings, days_back)), day)


def final_at_min(settings: Settings) -> int:
    """The minute of the day from which a day of before is final; the last one for what is later."""
    seconds = (settings.lookahead_s + settings.settle_margin_s) % _DAY_S
    return min(ceil(seconds / 60), _DAY_S // 60 - 1)
