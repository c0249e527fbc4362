"""Names: the key grammar of what CloudTrail delivers, and the folders of what we write.

    [PREFIX/]AWSLogs/[ORG/]ACCOUNT/FOLDER/REGION/YYYY/MM/DD/FILE                      delivered
    account=ACCOUNT/region=REGION/year=YYYY/month=MM/day=DD/part-00000.parquet        written
    account=ACCOUNT/region=REGION/dt=YYYY-MM-DD/part-00000.parquet                    or written so

Sources: CloudTrail User Guide, "Getting and viewing your CloudTrail log files"; for file names the
CloudTrail Processing Library. YYYY/MM/DD is the UTC day of delivery.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, unquote

from cloudtrail_parquet.schema import DEFAULT_LAYOUT, PARTITION_SCHEMAS, PartitionLayout
from cloudtrail_parquet.storage import Entry

ROOT = "AWSLogs"
ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")

_STAMP = re.compile(r".*_CloudTrail(?:-[A-Za-z]+)?_[^_]+_(\d{8}T\d{4})Z_?[^_]*", re.DOTALL)
_PART = re.compile(r"part-\d+\.parquet")
_STRAGGLER = re.compile(r"straggler-(\d{4})(\d\d)(\d\d)-\d+\.parquet")
_DAY_S = 86_400
_LAST_MOMENT = timedelta(days=1, microseconds=-1)


class Unit(NamedTuple):
    """What one conversion replaces as a whole: the records of an account, a region and a day."""

    account: str
    region: str
    day: date

    @property
    def name(self) -> str:
        """For people and logs: ``123456789012 us-east-1 2026-01-10``."""
        return f"{self.account} {self.region} {self.day}"

    def on(self, day: date) -> "Unit":
        """The unit of the same account and region on another day."""
        return self._replace(day=day)


def partition(unit: Unit, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """The folder of the unit's day, as hive writes it, with a slash at its end."""
    year, month, day = f"{unit.day:%Y}".zfill(4), f"{unit.day:%m}", f"{unit.day:%d}"
    values = {
        "account": quote(unit.account, safe=" "),
        "region": quote(unit.region, safe=" "),
        "year": year,
        "month": month,
        "day": day,
        "dt": f"{year}-{month}-{day}",
    }
    return "".join(f"{name}={values[name]}/" for name in PARTITION_SCHEMAS[layout].names)


def part_key(unit: Unit, number: int, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """The key of a part with the unit's own records."""
    return f"{partition(unit, layout)}part-{number:05d}.parquet"


def straggler_key(
    unit: Unit, owner_day: date, number: int, layout: PartitionLayout = DEFAULT_LAYOUT
) -> str:
    """The key of a part with records of the unit's day that were delivered on another day."""
    stamp = f"{owner_day.year:04d}{owner_day:%m%d}"
    return f"{partition(unit, layout)}straggler-{stamp}-{number:05d}.parquet"


def owner_day(key: str, day: date) -> date | None:
    """The day of the unit that owns a part of the partition of a day.

    Returns:
        A straggler's delivery day, the partition's own day, or None for a file that is not ours.
    """
    name = key.rpartition("/")[2]
    if _PART.fullmatch(name):
        return day
    match = _STRAGGLER.fullmatch(name)
    with suppress(ValueError):  # no day of the calendar
        return date(*map(int, match.groups())) if match else None
    return None


def unit_of(key: str) -> Unit | None:
    """The unit in whose partition a part lies, in any layout, or None for a key that is no part."""
    folders, _, name = key.rpartition("/")
    return _unit(folders) if name.endswith(".parquet") else None


def _unit(folders: str) -> Unit | None:
    values = dict(folder.split("=", 1) for folder in folders.split("/") if "=" in folder)
    if not any(list(values) == schema.names for schema in PARTITION_SCHEMAS.values()):
        return None
    try:
        year, month, day = values["dt"].split("-") if "dt" in values else list(values.values())[2:]
        return Unit(
            unquote(values["account"]),
            unquote(values["region"]),
            date(int(year), int(month), int(day)),
        )
    except ValueError:
        return None


def state_folder(kind: str, account: str, region: str) -> str:
    """The folder below the state prefix with the `state_key` of all days of a region."""
    return state_key(kind, Unit(account, region, date.min)).partition("/year=")[0] + "/"


def state_unit(key: str) -> Unit | None:
    """The unit that a `state_key` is about, or None for another key."""
    return _unit(key.rpartition(".")[0])


def state_key(kind: str, unit: Unit, ending: str = ".json") -> str:
    """The key below the state prefix of something about a unit: its receipt, its lease, ..."""
    return f"{kind}/{partition(unit).rstrip('/')}{ending}"


@dataclass(frozen=True, slots=True)
class Window:
    """How far around a day a unit looks for deliveries, in seconds before and after it."""

    lookbehind_s: int
    lookahead_s: int

    def holds(self, delivered: datetime, day: date) -> bool:
        """Whether a delivery lies in ``[day - lookbehind, day + 1 d + lookahead)``."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        seconds = (delivered - start).total_seconds()
        return -self.lookbehind_s <= seconds < _DAY_S + self.lookahead_s

    def delivery_days(self, day: date) -> list[date]:
        """The delivery days that the window of a day touches."""
        return _days_around(day, self.lookbehind_s, self.lookahead_s)

    def event_days(self, delivery_day: date) -> list[date]:
        """The days whose windows touch a delivery day."""
        return _days_around(delivery_day, self.lookahead_s, self.lookbehind_s)

    def ends(self, day: date) -> datetime:
        """When the last delivery of a day's window has passed."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return start + timedelta(days=1, seconds=self.lookahead_s)


def _days_around(day: date, before_s: int, after_s: int) -> list[date]:
    first = day.toordinal() + before_s // -_DAY_S
    last = day.toordinal() - after_s // -_DAY_S
    in_calendar = range(max(first, 1), min(last, date.max.toordinal()) + 1)
    return [date.fromordinal(ordinal) for ordinal in in_calendar]


class LogFile(NamedTuple):
    """One source object.

    Attributes:
        key: Its key below the source.
        size: Bytes as stored.
        delivered: When it was delivered, UTC.
        stamped: Whether that is the stamp of its name.
    """

    key: str
    size: int
    delivered: datetime
    stamped: bool


def log_file(entry: Entry, delivery_day: date) -> LogFile:
    """The log file at an entry that was listed below the folder of a delivery day.

    Its delivery time is the stamp in its name, or its object time when the name does not parse,
    moved into the folder's day: the folder alone says which units will find the file, so a file
    whose stamp, name or copying disagrees with its folder still has exactly one owner.
    """
    match = _STAMP.fullmatch(entry.key.rpartition("/")[2].partition(".")[0])
    delivered = entry.modified
    if match is not None:
        try:
            delivered = datetime.strptime(match[1], "%Y%m%dT%H%M").replace(tzinfo=UTC)
        except ValueError:
            match = None
    start = datetime(delivery_day.year, delivery_day.month, delivery_day.day, tzinfo=UTC)
    return LogFile(
        entry.key, entry.size, min(max(delivered, start), start + _LAST_MOMENT), match is not None
    )


def day_folder(day: date) -> str:
    """``YYYY/MM/DD/``, as CloudTrail writes it."""
    return f"{day.year:04d}/{day.month:02d}/{day.day:02d}/"
