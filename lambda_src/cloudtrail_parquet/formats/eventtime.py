"""Event times: the text that CloudTrail writes, and microseconds since 1970 in UTC.

CloudTrail writes ``2026-01-10T12:34:56Z``. Copies made by other programs carry fractions of
seconds, offsets, the basic form ``20260110T123456Z`` or numbers since 1970; these are understood,
too, and the caller keeps the delivered text beside the value.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
EARLIEST_US = -62_135_596_800 * SECOND_US  # the year 1, where Python's and SQL's calendars begin

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_LENIENT = re.compile(
    r"\s*(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,9})\d*)?"
    r"\s*(?:([Zz])|([+-])(\d\d):?(\d\d)?)?\s*",
    re.ASCII,
)
_NUMBER = re.compile(r"-?\d{1,17}(?:\.\d*)?", re.ASCII)
_LEAP_SECOND = 60
_MILLISECONDS_FROM = 100_000_000_000  # as seconds that is the year 5138


def format_time(time_us: int) -> str:
    """Write a time as CloudTrail does, with a fraction of a second only if it has one."""
    moment = (_EPOCH + timedelta(microseconds=time_us)).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds" if time_us % SECOND_US else "seconds") + "Z"


def parse_time(text: str) -> int | None:
    """Read any form of a time that has been seen in copies of logs.

    Returns:
        Microseconds since 1970 in UTC (text without an offset is UTC; digits beyond the
        microsecond are cut off; a leap second is the second before it), or None when the text is
        not a time between the years 1 and 9999.
    """
    match = _LENIENT.fullmatch(text)
    if match is None:
        return _parse_number(text)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, _, sign, offset_hours, offset_minutes = match.groups()[6:]
    if second == _LEAP_SECOND:
        second -= 1
    try:
        zone = UTC
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes or 0))
            zone = timezone(-offset if sign == "-" else offset)
        since = datetime(year, month, day, hour, minute, second, tzinfo=zone) - _EPOCH
    except (ValueError, OverflowError):
        return None
    time_us = since // timedelta(microseconds=1) + int((fraction or "0")[:6].ljust(6, "0"))
    return time_us if _in_range(time_us) else None


def _parse_number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    whole, _, fraction = text.partition(".")
    number = int(whole)
    if abs(number) >= _MILLISECONDS_FROM:
        time_us = number * 1000
    else:
        part = int(fraction[:6].ljust(6, "0") or "0")
        time_us = number * SECOND_US + (-part if whole.startswith("-") else part)
    return time_us if _in_range(time_us) else None


def _in_range(time_us: int) -> bool:
    try:
        _EPOCH + timedelta(microseconds=time_us)
    except OverflowError:
        return False
    return True


def day_of(time_us: int) -> date:
    """The UTC day of a time."""
    return _EPOCH_DAY + timedelta(days=time_us // DAY_US)


def day_start_us(day: date) -> int:
    """Midnight UTC of a day, in microseconds since 1970."""
    return (day - _EPOCH_DAY).days * DAY_US


def to_us(moment: datetime) -> int:
    """An aware datetime in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
