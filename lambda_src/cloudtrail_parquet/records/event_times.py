"""The event times of records, for which CloudTrail has one form and others have many."""

from collections.abc import Iterable
from contextlib import suppress
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import EARLIEST_US, format_time, parse_time
from cloudtrail_parquet.records.coerce import Unmapped
from cloudtrail_parquet.schema.columns import TIMESTAMP

_TIME_LENGTH, _TIME_T = len("2026-01-10T12:34:56Z"), len("2026-01-10")
_TIME = attrgetter("eventTime")

AGGREGATED = "Aggregated"
"""The eventCategory of records that sum up five minutes of others."""


def is_canonical(texts: list[str | None]) -> bool:
    """Whether all texts look like times as CloudTrail writes them; those that can be cast are.

    Of the forms that Arrow casts to a timestamp with a zone, only ``2026-01-10T12:34:56Z`` and the
    same with a space have 20 characters.
    """
    if None in texts or set(map(len, texts)) != {_TIME_LENGTH}:  # type: ignore[arg-type]
        return False
    return "".join(texts)[_TIME_T::_TIME_LENGTH] == "T" * len(texts)  # type: ignore[arg-type]


def event_times(records: list[Any], unmapped: dict[int, Unmapped]) -> pa.Array:
    """The event times of n records: int64 microseconds since 1970, null where there is none.

    A text that CloudTrail would not write is kept as unmapped, and replaced by one that it would.
    Aggregated records have none; their time is the beginning of the window that they sum up
    (CloudTrail User Guide, "CloudTrail record contents for aggregated events").
    """
    texts = list(map(_TIME, records))
    if is_canonical(texts):
        with suppress(pa.ArrowInvalid):  # not a day, or not an hour
            parsed = pa.array(texts, pa.string()).cast(TIMESTAMP).cast(pa.int64())
            if pc.min(parsed).as_py() >= EARLIEST_US:  # Arrow knows a year 0
                return parsed
    times = []
    for row, record in enumerate(records):
        text = record.eventTime
        if text is None and record.eventCategory == AGGREGATED:
            times.append(_window_start(unmapped.get(row, ())))
            continue
        time_us = None if text is None else parse_time(text)
        if text is not None and (time_us is None or text != format_time(time_us)):
            parts = unmapped.setdefault(row, [])
            if not has_time_text(parts):
                parts.append(("eventTime", jsontext.quote(text)))
            record.eventTime = None if time_us is None else format_time(time_us)
        times.append(time_us)
    return pa.array(times, pa.int64())


def _window_start(unmapped: Iterable[tuple[str, bytes]]) -> int | None:
    with suppress(ValueError):
        window = jsontext.members(dict(unmapped).get("timeWindow", jsontext.NULL))
        text, _ = jsontext.string(window.get("windowStart", jsontext.NULL))
        return None if text is None else parse_time(text)
    return None


def has_time_text(unmapped: Iterable[tuple[str, Any]]) -> bool:
    """Whether what is unmapped of a record holds its eventTime."""
    return any(name == "eventTime" for name, _ in unmapped)
