"""Keys: those that CloudTrail gives to log files, and those of the parts that we write.

    [PREFIX/]AWSLogs/[ORG/]ACCOUNT/FOLDER/REGION/YYYY/MM/DD/FILE                      delivered
    account=ACCOUNT/region=REGION/year=YYYY/month=MM/day=DD/part-00000.parquet        written
    account=ACCOUNT/region=REGION/dt=YYYY-MM-DD/part-00000.parquet                    or so
    .../straggler-YYYYMMDD-00000.parquet                records that were delivered on another day
    .../part-03of12-00000.parquet, .../straggler-YYYYMMDD-03of12-00000.parquet      of one shard

Sources: CloudTrail User Guide, "Getting and viewing your CloudTrail log files"; for file names the
CloudTrail Processing Library. YYYY/MM/DD is the UTC day of delivery.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS
from cloudtrail_parquet.storage import Entry

ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
LIKE_ORGANIZATION = re.compile(r"o-[A-Za-z0-9]+")
"""An organization's id if accounts lie below it; other programs invent shorter ids."""

ACCOUNT = re.compile(r"[0-9]{12}")

_STAMP = re.compile(
    r".*?_CloudTrail(?:-[A-Za-z]+)?_[^_]+_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z.*", re.DOTALL
)
_PART = re.compile(
    r"(?:part|straggler-(?P<day>\d{8}))-(?:(?P<number>\d\d)of(?P<of>\d\d)-)?\d+\.parquet",
    re.ASCII,
)
_SHARD = re.compile(r"(\d\d)of(\d\d)", re.ASCII)
MAX_SHARDS = 99
_DAY_S = 86_400
_DAY = timedelta(days=1)
_LAST_MOMENT = timedelta(days=1, microseconds=-1)


class Unit(NamedTuple):
    """What one conversion replaces as a whole: the records of an account, a region and a day."""

    account: str
    region: str
    day: date

    @property
    def name(self) -> str:
        """``123456789012 us-east-1 2026-01-10``, for people and logs."""
        return f"{self.account} {self.region} {self.day}"

    def to_json(self) -> dict[str, str]:
        """Plain values, for ``--json`` and logs."""
        return {"account": self.account, "region": self.region, "day": str(self.day)}

    def on(self, day: date) -> "Unit":
        """The unit of the same account and region on another day."""
        return self._replace(day=day)


def is_name(text: str) -> bool:
    """Whether a text can be the name of one folder, as that of an account or a region is."""
    return text not in {"", ".", ".."} and "/" not in text and text.isprintable()


def partition(unit: Unit, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """The folder of a unit's partition, in Hive's style, with a slash at its end."""
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


def place_folder(unit: Unit, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """The folder with the partitions of all days of a unit's account and region."""
    return "".join(f"{name}/" for name in partition(unit, layout).split("/")[:2])


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The share of a unit's log files that a conversion reads: the third of twelve, or all of them.

    Attributes:
        number: Which shard it is, from 1.
        of: How many shards there are; 1 for a unit that is not split.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MAX_SHARDS:
            raise ValueError(f"there is no shard {self}; at most {MAX_SHARDS} are possible")

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    @classmethod
    def named(cls, name: str) -> "Shard | None":
        """The shard with this `name`; None for any other text."""
        match = _SHARD.fullmatch(name)
        try:
            return cls(int(match[1]), int(match[2])) if match else None
        except ValueError:
            return None

    @property
    def name(self) -> str:
        """``03of12``, for keys."""
        return f"{self.number:02d}of{self.of:02d}"

    @property
    def siblings(self) -> "list[Shard]":
        """All shards of the same split, including this one."""
        return [Shard(number, self.of) for number in range(1, self.of + 1)]


WHOLE = Shard(1, 1)
"""All log files of a unit."""


class Owner(NamedTuple):
    """The owner of a part, within an account and region: the unit, by its day, and its shard."""

    day: date
    shard: Shard = WHOLE


def part_key(
    unit: Unit, number: int, layout: PartitionLayout = DEFAULT_LAYOUT, shard: Shard = WHOLE
) -> str:
    """The key of a part with the unit's own records."""
    return f"{partition(unit, layout)}part-{_numbered(shard, number)}"


def straggler_key(
    unit: Unit,
    owner: date,
    number: int,
    layout: PartitionLayout = DEFAULT_LAYOUT,
    shard: Shard = WHOLE,
) -> str:
    """The key of a part with records of the unit's day that were delivered on another day."""
    stamp = f"{owner.year:04d}{owner:%m%d}"
    return f"{partition(unit, layout)}straggler-{stamp}-{_numbered(shard, number)}"


def _numbered(shard: Shard, number: int) -> str:
    return ("" if shard == WHOLE else f"{shard.name}-") + f"{number:05d}.parquet"


def owner_of(key: str, day: date) -> Owner | None:
    """The owner of a part in the partition of a day.

    Returns:
        The delivery day for stragglers, else the partition's own day, and the shard; None for a
        file that is not ours.
    """
    match = _PART.fullmatch(key.rpartition("/")[2])
    if match is None:
        return None
    try:
        shard = Shard(int(match["number"]), int(match["of"])) if match["of"] else WHOLE
        stamp = match["day"]
        own = day if stamp is None else date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:]))
    except ValueError:  # not a day of the calendar, or not a shard
        return None
    return None if match["of"] and shard == WHOLE else Owner(own, shard)


def owner_day(key: str, day: date) -> date | None:
    """The day of the unit that owns a part in the partition of a day; None if it is not ours."""
    owner = owner_of(key, day)
    return owner and owner.day


def shard_of(key: str) -> Shard:
    """The shard that wrote a part of ours; `WHOLE` if its name has none."""
    owner = owner_of(key, date.min)
    return owner.shard if owner else WHOLE


def unit_of(key: str) -> Unit | None:
    """The unit whose partition a part is in, in any layout; None for a key that is not a part's."""
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
    """The folder, below the state prefix, of the `state_key` of all days of a region."""
    return state_key(kind, Unit(account, region, date.min)).partition("/year=")[0] + "/"


def state_unit(key: str) -> Unit | None:
    """The unit that a `state_key` is about; None for any other key."""
    return _unit(key.rpartition(".")[0])


def state_key(kind: str, unit: Unit, ending: str = ".json") -> str:
    """The key, below the state prefix, of something about a unit: its receipt, its lease, ..."""
    return f"{kind}/{partition(unit).rstrip('/')}{ending}"


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

        The window is cut into ranges of delivery time, one for each shard. A log file whose name
        bears no time is assigned by its name, since its object time changes when it is copied and
        may be the same for all files of a tree.
        """
        if file.stamped:
            since = file.delivered - _midnight(day) + timedelta(seconds=self.lookbehind_s)
            whole = _DAY + timedelta(seconds=self.lookbehind_s + self.lookahead_s)
            return since * shard.of // whole == shard.number - 1
        name = file.key.rpartition("/")[2].encode(errors="surrogateescape")
        return crc32(name) % shard.of == shard.number - 1

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


def _days_around(day: date, before_s: int, after_s: int) -> list[date]:
    first = day.toordinal() + before_s // -_DAY_S
    last = day.toordinal() - after_s // -_DAY_S
    in_calendar = range(max(first, 1), min(last, date.max.toordinal()) + 1)
    return [date.fromordinal(ordinal) for ordinal in in_calendar]


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
    """

    key: str
    size: int
    delivered: datetime
    stamped: bool


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
