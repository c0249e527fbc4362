"""Days without log files, by digest files: each names the log files of an hour.

Source: CloudTrail User Guide, "CloudTrail digest file structure". Signatures are not checked.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.coverage.causes.day_sets import day_after
from cloudtrail_parquet.deliveries import day_folder
from cloudtrail_parquet.errors import StorageError, UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import inflate
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.storage import Entry, ReadStore, files_between

_FOLDER = "CloudTrail-Digest"
_MAX_BYTES = 64 << 20
_MOST = 5_000
"""So many digest files are read at most, of which a day of a trail has 24."""
_AT_A_TIME = 32
_DAY_OF_LOG = re.compile(r"/(\d{4})/(\d\d)/(\d\d)/[^/]+$")


class DigestDay(NamedTuple):
    """What the digest files of a place say of a day.

    Attributes:
        digests: How many there are in the folder of the day.
        read: How many of them could be read.
        named: How many log files these name that were delivered on the day.
    """

    digests: int = 0
    read: int = 0
    named: int = 0


class _Digest(msgspec.Struct):
    """As much of a digest file as is needed."""

    logFiles: list[dict[str, Any]] = []  # noqa: N815 - CloudTrail's name


class DigestDays:
    """Reads digest files, up to a number of them.

    Attributes:
        unread: How many days were asked about after that.
    """

    def __init__(self, source: ReadStore, discovery: Discovery, most: int = _MOST) -> None:
        self._source, self._left, self.unread = source, most, 0
        self._prefixes = defaultdict[str, list[str]](list)
        for prefix in discovery.siblings.get(_FOLDER, ()):
            account = prefix.rstrip("/").split("/")[-2]
            self._prefixes[account].append(prefix)

    def look(self, place: Place, first: date, last: date) -> dict[date, DigestDay]:
        """What is said of the days of a range; days without digest files are not there.

        The hour before midnight has its digest in the next day's folder.
        """
        entries = [
            entry
            for prefix in self._prefixes.get(place.account, ())
            for entry in self._list(f"{prefix}{place.region}/", first, last)
        ]
        found = Counter(day for day, _ in entries)
        if len(entries) > self._left:
            self.unread += len([day for day in found if first <= day <= last])
            return {}
        self._left -= len(entries)
        read, named = Counter[date](), Counter[date]()
        answers = ahead(self._source, self._read, (entry for _, entry in entries), _AT_A_TIME)
        for (day, _), digest in zip(entries, answers, strict=True):
            if digest is not None:
                read[day] += 1
                named.update(filter(None, map(_day_of_log, digest.logFiles)))
        return {
            day: DigestDay(found[day], read[day], named[day])
            for day in sorted(found.keys() | named.keys())
            if first <= day <= last
        }

    def _list(self, prefix: str, first: date, last: date) -> Iterable[tuple[date, Entry]]:
        begin, end = (f"{prefix}{day_folder(day)}" for day in (first, day_after(last)))
        for entry in files_between(self._source, begin, end):
            try:
                year, month, day = map(int, entry.key[len(prefix) :].split("/")[:3])
                yield date(year, month, day), entry
            except ValueError:
                continue

    def _read(self, entry: Entry) -> _Digest | None:
        try:
            text = inflate(self._source.read(entry.key), _MAX_BYTES, entry.key)
            return msgspec.json.decode(text, type=_Digest)
        except (StorageError, UnreadableLogError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def _day_of_log(named: dict[str, Any]) -> date | None:
    match = _DAY_OF_LOG.search(str(named.get("s3Object", "")))
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
