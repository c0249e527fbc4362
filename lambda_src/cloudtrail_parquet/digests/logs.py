"""The log files of a place, compared with the digest files that name them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from cloudtrail_parquet.deliveries import day_folder, log_file
from cloudtrail_parquet.digests.chain import Chain, covered, spelt
from cloudtrail_parquet.digests.files import MAX_TEXT_BYTES, DigestFile, tail_of
from cloudtrail_parquet.digests.findings import DigestFinding
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import LargeText, text_of
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.settings.settings import LOG_FOLDERS
from cloudtrail_parquet.source.log_files import delivery_days, is_log_file
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.together import ahead
from cloudtrail_parquet.wording import counted

_FIRST, _LAST = date(2000, 1, 1), date(9000, 1, 1)
"""CloudTrail began in 2013; moments may be added to."""

_SETTLED = timedelta(minutes=15)
"""The most by which a log file is delivered after the time in its name."""


class Period(NamedTuple):
    """The log files that are looked at: those delivered from a moment on, and before another."""

    begin: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date, before_s: int = 0, after_s: int = 0) -> "Period":
        """The days from one to another, and so many seconds before and after them."""
        first, last = max(first, _FIRST), min(last, _LAST)
        begin, end = (datetime.combine(day, time(), UTC) for day in (first, last))
        return cls(begin - timedelta(seconds=before_s), end + timedelta(days=1, seconds=after_s))

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is in the period."""
        return self.begin <= moment < self.end


class DigestedPlace(NamedTuple):
    """An account and region in one layout of a bucket, with its digest files.

    Attributes:
        above: The prefix of the account.
        region: The region.
        folders: The folders of logs in which no log file may lie that no digest file names.
    """

    above: str
    region: str
    folders: tuple[str, ...]

    @property
    def place(self) -> Place:
        """The account and the region."""
        return Place(self.above.split("/")[-2], self.region)

    def prefix(self, folder: str) -> str:
        """The prefix of the days of a folder."""
        return f"{self.above}{folder}/{self.region}/"

    def key(self, tail: str) -> str:
        """The key of what has a tail, see `tail_of`."""
        return self.above + tail.partition("/")[2]


class Remains:
    """What is left of a place, of which a lifecycle rule may have removed the oldest days."""

    def __init__(self, source: ReadStore, digested: DigestedPlace) -> None:
        self._source, self._digested = source, digested

    @cached_property
    def folders(self) -> frozenset[str]:
        """The names of the account's folders."""
        return frozenset(self._source.folders(self._digested.above))

    def has_expired(self, day: date) -> bool:
        """Whether nothing of a day is left, nor of any day before it."""
        return day < self._oldest

    @cached_property
    def _oldest(self) -> date:
        prefixes = map(self._digested.prefix, self.folders)
        return min(map(self._oldest_of, prefixes), default=date.max)

    def _oldest_of(self, prefix: str) -> date:
        """The oldest day with a file; folders on a disk may be empty."""
        for day in delivery_days(self._source, prefix):
            if self._source.level(f"{prefix}{day_folder(day)}").files:
                return day
        return date.max


class LogFindings:
    """What is found about log files.

    Attributes:
        findings: What is wrong, and notes.
        files: How many were compared with their hashes.
        bytes: Their size as stored.
        uncovered: How many no digest file covers.
    """

    def __init__(self, source: ReadStore, digested: DigestedPlace, period: Period) -> None:
        self.findings: list[DigestFinding] = []
        self.files = self.bytes = self.uncovered = 0
        self._source, self._digested, self._period = source, digested, period

    def check(self, chain: Chain, remains: Remains, threads: int) -> None:
        """Compare the log files of the period with what the digest files say of them.

        Args:
            chain: The digest files.
            remains: What is left of the place.
            threads: How many log files are read at a time.
        """
        named = {
            tail: (log.hash_value, digest)
            for digest in sorted(chain.digests.values(), key=chain.trust)  # the last one counts
            for log in digest.logs
            if self._period.holds(delivered_at(tail := tail_of(log.s3_object), digest.start))
        }
        there = {tail_of(entry.key): entry for entry in self._listed(named, remains)}
        self._compare(named, there, threads)
        self._find_missing(named, there, remains)
        added = [entry for tail, entry in there.items() if tail not in named]
        self._find_added(added, list(chain.digests.values()))

    def _listed(self, named: Iterable[str], remains: Remains) -> Iterator[Entry]:
        """The log files of the period, in folders that are read and in those of named ones."""
        folders = {tail.split("/")[1] for tail in named}.union(self._digested.folders)
        if not folders.issubset(self._digested.folders):
            folders &= remains.folders
        for folder in sorted(folders):
            prefix = self._digested.prefix(folder)
            for entry in files_of_days(self._source, prefix, self._period):
                if is_log_file(entry) and self._period.holds(
                    delivered_at(tail_of(entry.key), entry.modified)
                ):
                    yield entry

    def _compare(
        self, named: dict[str, tuple[str, DigestFile]], there: dict[str, Entry], threads: int
    ) -> None:
        wanted = [tail for tail in named if tail in there]
        hashes = ahead(lambda tail: hash_of(self._source, there[tail].key), wanted, threads)
        by_hash = {expected: tail for tail, (expected, _) in named.items()}
        for tail, found in zip(wanted, hashes, strict=True):
            (expected, digest), entry = named[tail], there[tail]
            self.files += 1
            self.bytes += entry.size
            if found is None:
                what = f"its gzip stream is damaged, so it is not what {digest.key} names"
                self._find("log altered", entry.key, what)
            elif found != expected.lower() and (other := by_hash.get(found)):
                what = f"it holds what {self._digested.key(other)} has to hold"
                self._find("log swapped", entry.key, what)
            elif found != expected.lower():
                what = f"its text has another hash than {digest.key} says"
                self._find("log altered", entry.key, what)

    def _find_missing(
        self, named: dict[str, tuple[str, DigestFile]], there: dict[str, Entry], remains: Remains
    ) -> None:
        absent = [tail for tail in named if tail not in there]
        folders = {tail.split("/")[1] for tail in absent}.difference(LOG_FOLDERS)
        not_copied = folders - remains.folders if folders else folders
        for folder in sorted(not_copied):
            what = "log files in it are named by digest files, and there is no such folder"
            self._find("folder missing", self._digested.prefix(folder), what)
        for tail in absent:
            digest = named[tail][1]
            if tail.split("/")[1] in not_copied:
                continue
            if remains.has_expired(delivered_at(tail, digest.start).date()):
                what = f"{digest.key} names it; nothing of that day is left, or of any before it"
                self._find("expired", self._digested.key(tail), what)
            else:
                what = f"it is not there; {digest.key} names it"
                self._find("log missing", self._digested.key(tail), what)

    def _find_added(self, added: list[Entry], digests: list[DigestFile]) -> None:
        spans, uncovered = covered(digests), list[tuple[datetime, str]]()
        for entry in added:
            delivered = delivered_at(tail_of(entry.key), entry.modified)
            if any(start <= delivered <= end - _SETTLED for start, end in spans):
                what = f"no digest file names it, though {spelt(delivered)} is covered"
                self._find("log added", entry.key, what)
            else:
                uncovered.append((delivered, entry.key))
        self.uncovered = len(uncovered)
        if uncovered:
            (first, key), (last, _) = min(uncovered), max(uncovered)
            what = f"{counted(len(uncovered), 'log file')} of {spelt(first)} to {spelt(last)}"
            self._find("not covered", key, f"{what}: no digest file covers that time")

    def _find(self, kind: str, where: str, what: str) -> None:
        self.findings.append(DigestFinding(kind, where, what))


def delivered_at(tail: str, otherwise: datetime) -> datetime:
    """When a log file was delivered, by its name, or else at a moment, on the day of its folder."""
    *_, year, month, day, _ = ["", "", "", *tail.split("/")]
    try:
        folder = date(int(year), int(month), int(day))
    except ValueError:
        return otherwise
    return log_file(Entry(tail, 1, otherwise), folder).delivered


def files_of_days(source: ReadStore, prefix: str, period: Period) -> Iterator[Entry]:
    """The files in the folders of the days of a period, in order; one listing has all of them."""
    first, last = (prefix + day_folder(moment.date()) for moment in period)
    for entry in source.files(prefix, after=first):
        if entry.key > last and not entry.key.startswith(last):
            return
        yield entry


def hash_of(source: ReadStore, key: str) -> str | None:
    """The SHA-256 of the text of a log file, in hexadecimal; None if it cannot be inflated."""
    try:
        text = text_of(source.read(key), MAX_TEXT_BYTES, key)
        if not isinstance(text, LargeText):
            return sha256(text).hexdigest()
        digest = sha256()
        for piece in text.pieces():
            digest.update(piece)
        return digest.hexdigest()
    except (UnreadableLogError, ValueError):
        return None
