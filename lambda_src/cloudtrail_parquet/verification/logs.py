"""The log files of a source, found and read with nothing but the standard library.

    [PREFIX/]AWSLogs/[ORG/]ACCOUNT/FOLDER/REGION/YYYY/MM/DD/
        ACCOUNT_FOLDER_REGION_YYYYMMDDTHHMMZ_….json.gz

The day of the folder and the stamp in the name say when a log file was delivered;
docs/architecture.md says what that is for names without one. A text that `json` refuses, or that is
no object with a list ``Records``, is taken apart by the converter's reader of shapes: such log
files are counted as odd.
"""

import base64
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.envelopes.shapes import enclosed_records
from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.formats.gzip_text import inflate
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.printable import is_writable
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.verification.tables import Ref
from cloudtrail_parquet.verification.values import canonical, parse, parse_deep

MAX_INFLATED_BYTES = 1 << 30
_MAX_DEPTH = 14  # folders above accounts
_DAYS_AT_HAND = 12  # listings of days: those of a place are asked for up to three times
_PLACES_AT_HAND = 4096
_STAMP = re.compile(r".*?_CloudTrail(?:-[A-Za-z]+)?_[^_]+_(\d{8}T\d{4})Z.*", re.DOTALL)
_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class Delivery(NamedTuple):
    """A log file that was delivered.

    Attributes:
        key: Its key below the source.
        size: Bytes as stored.
        modified: Its object time.
        delivered: When it was delivered, UTC.
        place: The account and the region that it was delivered for.
    """

    key: str
    size: int
    modified: datetime
    delivered: datetime
    place: Place

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.key.rpartition("/")[2]


class Bounds(NamedTuple):
    """The window of a day: seconds before it and after it."""

    before_s: int
    after_s: int

    def hold(self, delivered: datetime, day: date) -> bool:
        """Whether the window of a day holds a delivery."""
        since = (delivered - _midnight(day)).total_seconds()
        return -self.before_s <= since < 86_400 + self.after_s

    def days(self, day: date) -> list[date]:
        """The days of delivery that the window of a day touches."""
        first, last = -(-self.before_s // 86_400), -(-self.after_s // 86_400)
        numbers = range(day.toordinal() - first, day.toordinal() + last + 1)
        return [date.fromordinal(n) for n in numbers if 1 <= n <= date.max.toordinal()]


class Element(NamedTuple):
    """An element of a log file: a parsed record; None for what is no record."""

    position: int
    record: dict[str, Any] | None


class LogTree:
    """The trails of a source.

    Attributes:
        trails: The prefixes that hold the days of each place, with their folder of logs.
        refused: The prefixes that may not be listed.
    """

    def __init__(self, store: ReadStore, folders: Collection[str]) -> None:
        """Find them; ``folders`` are the names of the folders that hold logs."""
        self._store, self._folders = store, frozenset(folders)
        self.trails: dict[Place, list[tuple[str, str]]] = {}
        self.refused: list[str] = []
        self._listed = lru_cache(_DAYS_AT_HAND)(self._list)
        self._oldest = lru_cache(_PLACES_AT_HAND)(self._first_day)
        is_root = store.uri.rstrip("/").rpartition("/")[2] == LOGS_ROOT
        self._search("", _MAX_DEPTH, below=is_root)

    def _search(self, prefix: str, depth: int, *, below: bool) -> None:
        """Find what has folders of logs, below ``AWSLogs`` only."""
        name = prefix.rstrip("/").rpartition("/")[2]
        below = below or name == LOGS_ROOT
        try:
            inner = self._store.folders(prefix)
        except RefusedError:
            self.refused.append(prefix)
            return
        may_be_account = below and name != LOGS_ROOT and is_writable(name)
        logs = self._folders.intersection(inner) if may_be_account else ()
        for folder in sorted(logs):
            trail = f"{prefix}{folder}/"
            try:
                for region in filter(is_writable, self._store.folders(trail)):
                    place = Place(name, region)
                    self.trails.setdefault(place, []).append((f"{trail}{region}/", folder))
            except RefusedError:
                self.refused.append(trail)
        if logs or not depth or (below and name.isdigit()):
            return
        for folder in inner:
            self._search(f"{prefix}{folder}/", depth - 1, below=below)

    def days(self, place: Place, first: date, last: date) -> set[date]:
        """The days of delivery, of a range, that have a folder."""
        found = set[date]()
        for trail, _ in self.trails.get(place, ()):
            for year in self._numbers(trail, r"\d{4}"):
                for month in self._numbers(f"{trail}{year}/", r"\d\d"):
                    for day in self._numbers(f"{trail}{year}/{month}/", r"\d\d"):
                        try:
                            found.add(date(int(year), int(month), int(day)))
                        except ValueError:
                            continue
        return {day for day in found if first <= day <= last}

    def oldest(self, place: Place) -> date:
        """The first day of delivery that has a log file; the last day of the calendar without."""
        return self._oldest(place)

    def _first_day(self, place: Place) -> date:
        for day in sorted(self.days(place, date.min, date.max)):
            trails = self.trails.get(place, ())
            if any(self._listed(place, trail, folder, day) for trail, folder in trails):
                return day
        return date.max

    def _numbers(self, prefix: str, form: str) -> list[str]:
        return [name for name in self._store.folders(prefix) if re.fullmatch(form, name)]

    def files(self, unit: Unit, bounds: Bounds) -> list[Delivery]:
        """The log files in the window of a unit, by place and time."""
        found = (
            file
            for place, trails in self.trails.items()
            if unit.holds(*place)
            for trail, folder in trails
            for day in bounds.days(unit.day)
            for file in self._listed(place, trail, folder, day)
            if bounds.hold(file.delivered, unit.day)
        )
        return sorted(found, key=lambda file: (file.place, file.delivered, file.key))

    def _list(self, place: Place, trail: str, folder: str, day: date) -> Sequence[Delivery]:
        prefix = f"{trail}{day.year:04d}/{day:%m/%d}/"
        usual = f"{prefix}{place.account}_{folder}_{place.region}_{day.year:04d}{day:%m%d}T"
        return [
            Delivery(e.key, e.size, e.modified, delivered_at(e, day, usual), place)
            for e in self._store.files(prefix)
            if e.size and not e.key.rpartition("/")[2].startswith(".") and e.key[-1] != "/"
        ]

    def elements(self, file: Delivery) -> tuple[Iterator[Element], bool]:
        """The elements of a log file in its order, and whether it is odd.

        Raises:
            UnreadableLogError: Nothing can be read of it.
            StorageError: The store cannot read it.
        """
        return elements_of(self._store.read(file.key), file.key)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def delivered_at(entry: Entry, day: date, usual: str) -> datetime:
    """When a log file in the folder of a day was delivered.

    Args:
        entry: The log file.
        day: The day of its folder.
        usual: How the keys begin that CloudTrail gives to log files of that day, up to their time.
            A name that sorts among those has the time at which it sorts.
    """
    start = _midnight(day)
    rest = entry.key.removeprefix(usual)
    if entry.key.startswith(usual) and "0000Z" <= rest <= "2359Z~":
        return start + timedelta(minutes=_minute(rest))
    match = _STAMP.fullmatch(entry.key.rpartition("/")[2].partition(".")[0])
    delivered = entry.modified
    if match:
        with suppress(ValueError):
            delivered = datetime.strptime(match[1], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    return min(max(delivered, start), start + _DAY - _MOMENT)


def _minute(rest: str) -> int:
    """The last minute of a day whose ``HHMMZ`` does not sort behind a text."""
    low, high = 0, 1439
    while low < high:
        middle = (low + high + 1) // 2
        if f"{middle // 60:02d}{middle % 60:02d}Z" <= rest:
            low = middle
        else:
            high = middle - 1
    return low


def elements_of(data: bytes, where: str) -> tuple[Iterator[Element], bool]:
    """The elements of a log file as it is stored, and whether it is odd.

    Raises:
        UnreadableLogError: Nothing can be read of it.
    """
    try:
        records = _plain(data)
    except (ValueError, RecursionError, zlib.error, MemoryError):
        return _odd(data, where), True
    return (Element(n, one if type(one) is dict else None) for n, one in enumerate(records)), False


def _plain(data: bytes) -> list[Any]:
    """The list ``Records`` of a log file as CloudTrail writes it.

    Raises:
        ValueError, RecursionError, zlib.error: It is another one.
    """
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    text = stream.decompress(data, MAX_INFLATED_BYTES)
    if not stream.eof or stream.unused_data:
        raise ValueError("not one gzip member")
    whole = parse(text.decode())
    if type(whole) is not dict or [*whole] != ["Records"] or type(whole["Records"]) is not list:
        raise ValueError("not CloudTrail's own shape")
    records: list[Any] = whole["Records"]
    return records


def _odd(data: bytes, where: str) -> Iterator[Element]:
    text = inflate(data, MAX_INFLATED_BYTES, where)
    elements = enclosed_records(text, where)
    return (
        Element(number, None if each.fault else _record(each.raw))
        for number, each in enumerate(elements)
    )


def _record(raw: bytes) -> dict[str, Any] | None:
    try:
        record = parse_deep(raw.decode())
    except UnicodeDecodeError:
        record = _invalid(raw)
    except ValueError:
        return None
    return record if type(record) is dict else None


def _invalid(raw: bytes) -> Any:  # noqa: ANN401
    """A record that is not UTF-8 text comes back with its own bytes beside it."""
    try:
        record = parse_deep(raw.decode(errors="replace"))
    except ValueError:
        return None
    if type(record) is dict:
        record["invalidUtf8"] = base64.b64encode(raw).decode()
    return record


def fingerprint_of(names: Iterable[tuple[bytes, int]]) -> str:
    """The fingerprint of log files, as receipts have it: of what they are known by, and sizes."""
    total = sum(int.from_bytes(sha256(b"%s\0%d" % one).digest()) for one in names)
    return f"sum:{total % (1 << 256):064x}"


def records_in(
    tree: LogTree, file: Delivery, positions: Container[int]
) -> dict[int, dict[str, Any]]:
    """Some records of a log file, by their positions."""
    elements, _ = tree.elements(file)
    return {n: record for n, record in elements if n in positions and record is not None}


def different(tree: LogTree, files: list[Delivery], refs: Iterable[Ref]) -> int:
    """How many different records there are, as they were delivered."""
    by_file = defaultdict[int, set[int]](set)
    for ref in refs:
        by_file[ref.number].add(ref.position)
    found = (records_in(tree, files[number], which) for number, which in by_file.items())
    return len({canonical(record) for records in found for record in records.values()})
