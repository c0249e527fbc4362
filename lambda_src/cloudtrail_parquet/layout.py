"""Units, and the keys of the parts and of the state that are theirs.

    account=ACCOUNT/region=REGION/year=YYYY/month=MM/day=DD/part-00000.parquet
    account=ACCOUNT/dt=YYYY-MM-DD/part-00000.parquet    in another layout
    .../straggler-YYYYMMDD-00000.parquet                of records delivered on that day
    .../part-03of12-00000.parquet                       of a shard
    .../part-03of12-1a2b3c4d-00000.parquet              of a shard between bounds of that digest

Days are days of events, UTC, but for those of stragglers.
"""

import re
from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote, unquote

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS

ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
ACCOUNT = re.compile(r"[0-9]{12}")
_OF_SPAN = ("account=", "region=")

_PART = re.compile(
    r"(?:part|straggler-(?P<day>\d{8}))-"
    r"(?:(?P<number>\d\d)of(?P<of>\d\d)-(?:(?P<cut>[0-9a-f]{8})-)?)?(?P<part>\d+)\.parquet",
    re.ASCII,
)
_SHARD = re.compile(r"(\d\d)of(\d\d)(?:-([0-9a-f]{8}))?", re.ASCII)
MAX_SHARDS = 99


class Place(NamedTuple):
    """An account and a region, as CloudTrail delivers them; sorted by account, then by region."""

    account: str
    region: str

    @classmethod
    def of_trail(cls, trail: str) -> "Place":
        """The place whose days a prefix of the source holds: ``…/ACCOUNT/FOLDER/REGION/``."""
        *_, account, _, region, _ = ["", "", "", *trail.split("/")]
        return cls(account, region)


class Unit(NamedTuple):
    """What one conversion replaces as a whole: the records of one partition of the layout.

    Attributes:
        account: The account; "" if the layout has no folder for it, and the unit spans all of them.
        region: The region; likewise.
        day: The day of the events.
    """

    account: str
    region: str
    day: date

    @property
    def name(self) -> str:
        """``123456789012 us-east-1 2026-01-10``, for people and logs; only what it has."""
        return " ".join(self.to_json().values())

    def to_json(self) -> dict[str, str]:
        """Plain values, for ``--json`` and logs; without account or region that it spans."""
        values = {"account": self.account, "region": self.region, "day": str(self.day)}
        return {name: value for name, value in values.items() if value}

    @property
    def span(self) -> Place:
        """Account and region, either of them "" if the unit spans all of them."""
        return Place(self.account, self.region)

    def on(self, day: date) -> "Unit":
        """The unit of the same account and region on another day."""
        return self._replace(day=day)

    def holds(self, account: str, region: str) -> bool:
        """Whether records of an account and region are the unit's."""
        return self.account in {"", account} and self.region in {"", region}


def span_of(place: Place, layout: PartitionLayout) -> Place:
    """The `Unit.span` of a place's units: the place, without what is a column of the files."""
    folders = PARTITION_SCHEMAS[layout].names
    account, region = (name in folders for name in Place._fields)
    return Place(place.account if account else "", place.region if region else "")


def fits(unit: Unit, layout: PartitionLayout) -> bool:
    """Whether a unit is one of a layout: it has an account and a region where there are folders."""
    folders = PARTITION_SCHEMAS[layout].names
    return [name in folders for name in Place._fields] == list(map(bool, unit.span))


def check_unit(unit: Unit, layout: PartitionLayout) -> None:
    """Make sure that a unit is one of a layout.

    Raises:
        UsageError: It has an account or a region that the layout has no folder for, or lacks one.
    """
    for name, value in zip(Place._fields, unit.span, strict=True):
        is_folder = name in PARTITION_SCHEMAS[layout].names
        if is_folder != bool(value):
            article = "no" if is_folder else "an" if name == "account" else "a"
            what = f"it has {article} {name}"
            hint = (
                f"Name the {name} as well" if is_folder else f"Leave it out: units span all {name}s"
            )
            raise UsageError(f"{what}, in the layout {layout}", unit.name, hint)


def is_name(text: str) -> bool:
    """Whether a text can be the name of one folder, as that of an account or a region is."""
    return text not in {"", ".", ".."} and "/" not in text and text.isprintable()


@lru_cache(4096)  # each is asked for some twenty times
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


def span_folder(unit: Unit, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """The folder with the partitions of all days of a unit's span; "" for the whole dataset."""
    folders = partition(unit, layout).split("/")
    return "".join(f"{name}/" for name in folders if name.startswith(_OF_SPAN))


class Bound(NamedTuple):
    """A position in the order in which the log files of a unit are read.

    Attributes:
        account: With ``region`` a place.
        region: See ``account``.
        second: A second of the window, from its beginning; 0 for all of the place.
    """

    account: str
    region: str
    second: int


class SplitId(NamedTuple):
    """What the shards of a unit have in common: their number, and the digest of their bounds."""

    of: int
    cut: str


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The share of a unit's log files that a conversion reads: the third of twelve, or all of them.

    Attributes:
        number: Which shard it is, from 1.
        of: How many shards there are; 1 for a unit that is not split.
        cut: The digest of the bounds between the shards; empty if they are slices of the window.
        bounds: These bounds, one less than shards, sorted; empty where only a key is known.
    """

    number: int
    of: int
    cut: str = ""
    bounds: tuple[Bound, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MAX_SHARDS:
            raise ValueError(f"there is no shard {self}; at most {MAX_SHARDS} are possible")

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"

    @classmethod
    def between(cls, number: int, bounds: tuple[Bound, ...]) -> "Shard":
        """The shard of this number of a unit that is cut at some bounds.

        Raises:
            ValueError: The bounds are not in order, or there is no such shard.
        """
        if not bounds or any(one >= other for one, other in pairwise(bounds)):
            raise ValueError("bounds are in order, and each is there once")
        digest = sha256(repr([tuple(bound) for bound in bounds]).encode()).hexdigest()[:8]
        return cls(number, len(bounds) + 1, digest, bounds)

    @classmethod
    def named(cls, name: str) -> "Shard | None":
        """The shard with this `name`; None for any other text."""
        match = _SHARD.fullmatch(name)
        try:
            return cls(int(match[1]), int(match[2]), match[3] or "") if match else None
        except ValueError:
            return None

    @property
    def name(self) -> str:
        """``03of12``, or ``03of12-1a2b3c4d`` with the digest of its bounds, for keys."""
        return f"{self.number:02d}of{self.of:02d}" + (f"-{self.cut}" if self.cut else "")

    @property
    def split(self) -> SplitId:
        """What it has in common with the other shards."""
        return SplitId(self.of, self.cut)

    @property
    def siblings(self) -> "list[Shard]":
        """All shards of the same split, including this one."""
        return [replace(self, number=number) for number in range(1, self.of + 1)]


WHOLE = Shard(1, 1)
"""All log files of a unit."""


class Owner(NamedTuple):
    """The owner of a part, within a span: the unit, by its day, and its shard."""

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
        of, cut = match["of"], match["cut"] or ""
        shard = Shard(int(match["number"]), int(of), cut) if of else WHOLE
        stamp = match["day"]
        own = day if stamp is None else date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:]))
    except ValueError:  # not a day of the calendar, or not a shard
        return None
    return None if match["of"] and shard == WHOLE else Owner(own, shard)


def owner_unit(key: str) -> Unit | None:
    """The unit that owns a part, wherever it lies; None for a file that is not ours."""
    target = unit_of(key)
    owner = owner_of(key, target.day) if target else None
    return target.on(owner.day) if target and owner else None


def owner_day(key: str, day: date) -> date | None:
    """The day of the unit that owns a part in the partition of a day; None if it is not ours."""
    owner = owner_of(key, day)
    return owner and owner.day


def part_number(key: str) -> int:
    """The number of a part of ours among those of its owner in its partition; -1 for other keys."""
    match = _PART.fullmatch(key.rpartition("/")[2])
    return int(match["part"]) if match else -1


def shard_of(key: str) -> Shard:
    """The shard that wrote a part of ours; `WHOLE` if its name has none."""
    owner = owner_of(key, date.min)
    return owner.shard if owner else WHOLE


def unit_of(key: str) -> Unit | None:
    """The unit whose partition a part is in, in any layout; None for a key that is not a part's."""
    folders, _, name = key.rpartition("/")
    return _unit(folders, _FOLDERS) if name.endswith(".parquet") else None


def is_part(key: str) -> bool:
    """Whether a key in a partition is one that a conversion writes, and not a copy beside it."""
    folders, _, _ = key.rpartition("/")
    return all("=" in name for name in folders.split("/")) and owner_of(key, date.min) is not None


_FOLDERS = {tuple(schema.names) for schema in PARTITION_SCHEMAS.values()}
_STATE_FOLDERS = {
    (*span, "year", "month", "day") for span in ((), ("account",), ("account", "region"))
}


def _unit(folders: str, known: Container[tuple[str, ...]]) -> Unit | None:
    values = dict(folder.split("=", 1) for folder in folders.split("/") if "=" in folder)
    if tuple(values) not in known:
        return None
    account, region = (unquote(values.get(name, "")) for name in Place._fields)
    day = values["dt"].split("-") if "dt" in values else list(values.values())[-3:]
    try:
        year, month, day_ = map(int, day)
        return Unit(account, region, date(year, month, day_))
    except ValueError:
        return None


def state_unit(key: str) -> Unit | None:
    """The unit that a `state_key` is about; None for any other key."""
    return _unit(key.rpartition(".")[0], _STATE_FOLDERS)


@lru_cache(4096)
def state_key(kind: str, unit: Unit, ending: str = ".json") -> str:
    """The key, below the state prefix, of something about a unit: its receipt, its lease, ...

    Whatever the layout, days are ``year=/month=/day=``; a span's account or region that is "" has
    no folder.
    """
    names = zip(_OF_SPAN, unit.span, strict=True)
    span = "".join(f"{name}{quote(value, safe=' ')}/" for name, value in names if value)
    return f"{kind}/{span}{partition(unit, 'year/month/day').rstrip('/')}{ending}"
