"""What lies in the source: its accounts and regions, their days, and the log files of a window."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import (
    ORGANIZATION,
    ROOT,
    LogFile,
    Unit,
    Window,
    day_folder,
    log_file,
)
from cloudtrail_parquet.storage import Store

_YEAR = re.compile(r"\d{4}")
_MONTH_OR_DAY = re.compile(r"\d\d")
_MAX_DEPTH = 12  # folders between SOURCE and AWSLogs; prefixes of trails are short


@dataclass
class Discovery:
    """What a look at the source found.

    Attributes:
        trails: By (account, region): the prefixes, ending in "/", below which its days lie; one
            for each layout of the bucket and folder of logs.
        siblings: The prefixes of other folders beside the logs, by folder name.
    """

    trails: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    siblings: dict[str, list[str]] = field(default_factory=dict)


def discover(source: Store, folders: Iterable[str]) -> Discovery:
    """Find every account and region at or below a source.

    Args:
        source: A place at or above ``AWSLogs``.
        folders: Exact names of the folders that hold logs, such as ``CloudTrail``.

    Raises:
        UsageError: There is no ``AWSLogs`` with an account in it.
    """
    found = Discovery()
    at_root = re.search(rf"(^|[/\\]){ROOT}[/\\]*$", source.uri) is not None
    for root in [""] if at_root else _roots(source, ""):
        _read_root(source, root, frozenset(folders), found)
    if not found.trails and not found.siblings:
        raise UsageError(
            f"no {ROOT} folder with CloudTrail logs", source.uri, f"Name a place at or above {ROOT}"
        )
    return found


def _roots(source: Store, prefix: str, depth: int = 0) -> Iterator[str]:
    for name in source.folders(prefix):
        if name == ROOT:
            yield f"{prefix}{name}/"
        elif depth < _MAX_DEPTH:
            yield from _roots(source, f"{prefix}{name}/", depth + 1)


def _read_root(source: Store, root: str, folders: frozenset[str], found: Discovery) -> None:
    """Read the accounts below an ``AWSLogs``, or below an organization id in it."""
    for name in source.folders(root):
        below = f"{root}{name}/"
        if ORGANIZATION.fullmatch(name) or name == ROOT:
            _read_root(source, below, folders, found)
            continue
        inner = source.folders(below)
        if not name.isdigit() and folders.isdisjoint(inner):
            for deeper in _roots(source, below):  # a trail's prefix may itself hold AWSLogs
                _read_root(source, deeper, folders, found)
        for folder in inner:
            if folder in folders:
                for region in source.folders(f"{below}{folder}/"):
                    found.trails.setdefault((name, region), []).append(f"{below}{folder}/{region}/")
            elif folder != ROOT:
                found.siblings.setdefault(folder, []).append(f"{below}{folder}/")


def count_siblings(source: Store, siblings: dict[str, list[str]]) -> Counter[str]:
    """How many objects lie in the folders that are not read, by folder name."""
    return Counter(
        {
            folder: sum(1 for prefix in prefixes for _ in source.files(prefix))
            for folder, prefixes in siblings.items()
        }
    )


def delivery_days(source: Store, trail: str) -> Iterator[date]:
    """The days that have a folder below a trail's region, in order."""
    for year in filter(_YEAR.fullmatch, source.folders(trail)):
        for month in filter(_MONTH_OR_DAY.fullmatch, source.folders(f"{trail}{year}/")):
            for day in filter(_MONTH_OR_DAY.fullmatch, source.folders(f"{trail}{year}/{month}/")):
                try:
                    yield date(int(year), int(month), int(day))
                except ValueError:
                    continue


def units(
    source: Store,
    found: Discovery,
    window: Window,
    first: date | None = None,
    last: date | None = None,
) -> list[Unit]:
    """The units of a source, sorted: every day whose window touches a delivery day.

    That is one day more at each end than there are folders: the first minutes of a folder hold
    events of the evening before.

    Args:
        source: Where to look.
        found: What `discover` found in it.
        window: The window of a day.
        first: Only this day and later ones.
        last: Only this day and earlier ones.
    """
    return sorted(
        {
            Unit(account, region, day)
            for (account, region), trails in found.trails.items()
            for trail in trails
            for delivered in delivery_days(source, trail)
            for day in window.event_days(delivered)
            if (first is None or first <= day) and (last is None or day <= last)
        }
    )


def window_files(source: Store, trails: Iterable[str], unit: Unit, window: Window) -> list[LogFile]:
    """The log files that a unit reads, from all its layouts, in delivery order.

    Objects of no bytes are folder markers and are left out, as are names that begin with a dot.
    """
    files = [
        file
        for trail in trails
        for day in window.delivery_days(unit.day)
        for entry in source.files(f"{trail}{day_folder(day)}")
        if entry.size and not entry.key.rpartition("/")[2].startswith(".")
        for file in [log_file(entry, day)]
        if window.holds(file.delivered, unit.day)
    ]
    return sorted(files, key=lambda file: (file.delivered, file.key))
