"""Deliveries: the log files of a source, and the window of delivery times that a day reads.

    [PREFIX/]AWSLogs/[ORG/]ACCOUNT/FOLDER/REGION/YYYY/MM/DD/FILE

Sources: CloudTrail User Guide, "Getting and viewing your CloudTrail log files"; for file names the
CloudTrail Processing Library. YYYY/MM/DD is the UTC day of delivery.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zlib import crc32

from cloudtrail_parquet.layout import Bound, Place, Shard
from cloudtrail_parquet.storage import Entry

_STAMP = re.compile(
    r".*?_CloudTrail(?:-[A-Za-z]+)?_[^_]+_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z.*", re.DOTALL
)
_DAY_S = 86_400
_DAY = timedelta(days=1)
_LEAST_BYTES = 1_000  # that a log file counts when its memory is estimated
_LAST_MOMENT = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True, slots=True)
class Window:
    """How far a unit looks for deliveries around its day, in seconds before and after it."""

    lookbehind_s: int
    lookahead_s: int

    def holds(self, delivered: datetime, day: date) -> bool:
        """Whether a delivery is in ``[day - lookbehind, day + 1 d + lookahead)``."""
        begin, end = self.seconds(day, day)
        return begin <= self.second(delivered, day) < end

    @staticmethod
    def second(delivered: datetime, day: date) -> float:
        """The seconds from the beginning of a day to a delivery."""
        return (delivered - _midnight(day)).total_seconds()

    def seconds(self, day: date, since: date) -> tuple[int, int]:
        """The window of a day in seconds since the beginning of another day: begin, and end."""
        start = (day - since).days * _DAY_S
        return start - self.lookbehind_s, start + _DAY_S + self.lookahead_s

    def takes(self, shard: Shard, file: "LogFile", day: date) -> bool:
        """Whether a shard of a unit reads a log file in the window of the unit's day.

        The window is cut into ranges of delivery time, one for each shard, unless the shards have
        bounds. A log file whose name bears no time is assigned by its name, since its object time
        changes when it is copied and may be the same for all files of a tree.
        """
        if shard.cut:
            return bisect_right(shard.bounds, self.position(file, day)) == shard.number - 1
        if file.stamped:
            since = file.delivered - _midnight(day) + timedelta(seconds=self.lookbehind_s)
            whole = _DAY + timedelta(seconds=self.lookbehind_s + self.lookahead_s)
            return since * shard.of // whole == shard.number - 1
        return crc32(_name(file)) % shard.of == shard.number - 1

    def position(self, file: "LogFile", day: date) -> Bound:
        """The position of a log file in the order in which the unit of a day reads its log files.

        One whose name bears no time is somewhere in the window, which depends on the name alone.
        """
        whole_s = self.lookbehind_s + _DAY_S + self.lookahead_s
        if file.stamped:
            second = int(self.second(file.delivered, day)) + self.lookbehind_s
        else:
            second = crc32(_name(file)) * whole_s >> 32
        return Bound(*file.place, second)

    def delivery_days(self, day: date) -> list[date]:
        """The delivery days that the window of a day touches."""
        return _days_around(day, self.lookbehind_s, self.lookahead_s)

    def event_days(self, delivery_day: date) -> list[date]:
        """The days whose windows touch a delivery day."""
        return _days_around(delivery_day, self.lookahead_s, self.lookbehind_s)

    def ends(self, day: date) -> datetime:
        """The end of a day's window; capped at the latest time that Python knows."""
        try:
            return _midnight(day) + timedelta(days=1, seconds=self.lookahead_s)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    def has_passed(self, day: date, now: datetime, margin_s: float) -> bool:
        """Whether the window of a day has ended so many seconds ago, or earlier."""
        return now - timedelta(seconds=margin_s) >= self.ends(day)


def _days_around(day: date, before_s: int, after_s: int) -> list[date]:
    first = day.toordinal() + before_s // -_DAY_S
    last = day.toordinal() - after_s // -_DAY_S
    in_calendar = range(max(first, 1), min(last, date.max.toordinal()) + 1)
    return [date.fromordinal(ordinal) for ordinal in in_calendar]


def _name(file: "LogFile") -> bytes:
    return file.key.rpartition("/")[2].encode(errors="surrogateescape")


def _midnight(day: date) -> datetime:
    """The moment at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class LogFile(NamedTuple):
    """One source object.

    Attributes:
        key: Its key below the source.
        size: Bytes as stored.
        delivered: Its delivery time, UTC.
        stamped: Whether that is the stamp in its name.
        place: The account and region that it was delivered for, by its folders.
    """

    key: str
    size: int
    delivered: datetime
    stamped: bool
    place: Place = Place("", "")


def memory_of(files: Iterable[LogFile]) -> int:
    """The stored bytes of log files; a small one counts more, as it costs memory beside them."""
    return sum(max(file.size, _LEAST_BYTES) for file in files)


def log_file(entry: Entry, delivery_day: date) -> LogFile:
    """The log file at an entry that was listed below the folder of a delivery day.

    Its delivery time is the stamp in its name, or its object time when the name does not parse,
    moved into the folder's day. The folder alone decides which units will find the file, so that a
    file whose stamp, or object time, says another day still has exactly one owner.
    """
    match = _STAMP.fullmatch(entry.key.rpartition("/")[2].partition(".")[0])
    delivered = entry.modified
    if match is not None:
        try:
            year, month, day, hour, minute = map(int, match.groups())
            delivered = datetime(year, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            match = None
    start = _midnight(delivery_day)
    return LogFile(
        entry.key, entry.size, min(max(delivered, start), start + _LAST_MOMENT), match is not None
    )


def day_folder(day: date) -> str:
    """``YYYY/MM/DD/``, as CloudTrail writes it."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}/"
