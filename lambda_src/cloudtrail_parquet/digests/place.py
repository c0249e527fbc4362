"""The digest files of one account and region, and the log files that they name."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from cloudtrail_parquet.digests.chain import Chain, spelt
from cloudtrail_parquet.digests.files import FOLDER, DigestFile, DigestName, tail_of
from cloudtrail_parquet.digests.findings import DigestFinding
from cloudtrail_parquet.digests.logs import (
    DigestedPlace,
    LogFindings,
    Period,
    Remains,
    files_of_days,
)
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.together import ahead
from cloudtrail_parquet.wording import counted

_HOUR = timedelta(hours=1)
_LATE = timedelta(hours=2)
"""After its delivery, the latest end of the digest file that names a log file."""


@dataclass(slots=True)
class PlaceReport:
    """What was found about a place.

    Attributes:
        place: The account and region.
        digests: How many digest files were read.
        signed: How many of them have a signature that is right.
        log_files: How many log files were compared with their hashes.
        bytes: Their size as stored.
        uncovered: How many log files no digest file covers.
        findings: What is wrong, and notes.
    """

    place: Place
    digests: int = 0
    signed: int = 0
    log_files: int = 0
    bytes: int = 0
    uncovered: int = 0
    findings: list[DigestFinding] = field(default_factory=list)


def check_place(
    source: ReadStore,
    digested: DigestedPlace,
    period: Period,
    keys: PublicKeys | None,
    threads: int = 1,
) -> PlaceReport:
    """Check the digest files of a place, and the log files that they name.

    Args:
        source: The source of the logs.
        digested: The place.
        period: Which log files are looked at.
        keys: The public keys; None if signatures cannot be checked.
        threads: How many files are read at a time.

    Raises:
        StorageError: Something cannot be read.
    """
    remains = Remains(source, digested)
    digests = DigestsOfPlace(source, digested, period)
    chain = Chain(digests.read(threads), digested.region, keys, digests.find_earlier)
    logs = LogFindings(source, digested, period)
    findings = digests.findings + list(chain.check(digests.unreadable))
    findings += digests.missing_in(chain, remains)
    findings += digests.moved_in(chain)
    if not chain.digests and not digests.unreadable:
        what = "there are no digest files of this time"
        findings.append(DigestFinding("no digests", digested.prefix(FOLDER), what))
    logs.check(chain, remains, threads)
    return PlaceReport(
        digested.place,
        len(chain.digests),
        chain.signed,
        logs.files,
        logs.bytes,
        logs.uncovered,
        findings + logs.findings,
    )


class DigestsOfPlace:
    """The digest files of a place that may name log files of a period.

    Attributes:
        findings: What is wrong with single ones.
        unreadable: The keys of those that cannot be read, by tail.
    """

    def __init__(self, source: ReadStore, digested: DigestedPlace, period: Period) -> None:
        self.findings: list[DigestFinding] = []
        self.unreadable: dict[str, str] = {}
        self._source, self._digested, self._period = source, digested, period

    def read(self, threads: int) -> Iterator[DigestFile]:
        """Read them, so many at a time."""
        prefix, begin = self._digested.prefix(FOLDER), self._period.begin
        wanted = Period(begin, self._period.end + _LATE)
        names = (
            (entry.key, DigestName.of(entry.key))
            for entry in files_of_days(self._source, prefix, wanted)
        )
        keys = [key for key, name in names if name and wanted.holds(name.end)]
        for key, digest in zip(keys, ahead(self._look, keys, threads), strict=True):
            if isinstance(digest, str):
                self.unreadable[tail_of(key)] = key
                self.findings.append(DigestFinding("digest unreadable", key, digest))
                continue
            if digest.tail != tail_of(key):
                what = f"it holds what {self._digested.key(digest.tail)} has to hold"
                self.findings.append(DigestFinding("digest swapped", key, what))
            yield digest

    def _look(self, key: str) -> DigestFile | str:
        """A digest file, or what is wrong with it."""
        stored = self._source.look(key)
        if stored is None:
            return "it has gone since it was listed"
        try:
            return DigestFile.of(key, stored)
        except ValueError as error:
            return f"it is damaged, or no digest file ({error})"

    def find_earlier(self, tail: str) -> DigestFile | None:
        """The digest file with a tail from before the period; None if there is none."""
        key, name = self._digested.key(tail), DigestName.of(tail)
        if name is None or name.end >= self._period.begin:
            return None
        stored = self._source.look(key)
        try:
            return None if stored is None else DigestFile.of(key, stored)
        except ValueError as error:
            self.unreadable[tail] = key
            self.findings.append(DigestFinding("digest unreadable", key, str(error)))
            return None

    def missing_in(self, chain: Chain, remains: Remains) -> Iterator[DigestFinding]:
        """The digest files that others name and that are not there."""
        for digest, link in chain.missing(self.unreadable):
            key, name = self._digested.key(link.tail), DigestName.of(link.tail)
            if remains.has_expired((name.end if name else digest.start).date()):
                what = f"{digest.key} names it; nothing of that day is left, or of any before it"
                yield DigestFinding("expired", key, what)
                continue
            what = f"it is not there; {digest.key} names it"
            if before := chain.last_before(digest):
                hours = round((digest.start - before.end) / _HOUR)
                what += f". Nothing covers {spelt(before.end)} to {spelt(digest.start)}"
                what += f", so about {hours:,} are missing" if hours > 1 else ""
            yield DigestFinding("digest missing", key, what)

    def moved_in(self, chain: Chain) -> Iterator[DigestFinding]:
        """Notes on where digest files were delivered, if that is another bucket, or elsewhere."""
        if "://" not in self._source.uri:
            return
        here = self._digested.above  # of several locations, each has its name in it
        if len(self._source.tops) == 1:
            here = f"{self._source.uri.partition('://')[2]}/{here}"
        origins = Counter(digest.origin for digest in chain.digests.values())
        for origin, number in sorted(origins.items()):
            if origin != here.removesuffix(f"{self._digested.place.account}/"):
                what = f"{counted(number, 'digest file')} delivered to s3://{origin}"
                yield DigestFinding("moved", self._digested.prefix(FOLDER), what)
