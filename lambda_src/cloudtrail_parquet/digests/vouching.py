"""The log file that an event came in, and the digest files that vouch for it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.digests.files import FOLDER, DigestFile, DigestName, tail_of
from cloudtrail_parquet.digests.found_row import FoundRow
from cloudtrail_parquet.digests.logs import DigestedPlace, Period, files_of_days
from cloudtrail_parquet.digests.proof import is_same, is_signed, parsed, text_of
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.storage import ReadStore, Stored

_LATE = timedelta(days=2)
"""The most by which a digest file, or the one after it, is later than what it names."""


class Vouched(NamedTuple):
    """A log file with a record, and what vouches for it.

    Attributes:
        key: The key of the log file.
        data: Its bytes as stored.
        record: The index of the record in it.
        digest: The digest file that names it, and its object; None if there is none.
        following: The digest file after that, which has its signature; likewise.
    """

    key: str
    data: bytes
    record: int
    digest: tuple[DigestFile, Stored] | None = None
    following: tuple[DigestFile, Stored] | None = None

    @property
    def digests(self) -> list[DigestFile]:
        """Those digest files that there are."""
        return [each[0] for each in (self.digest, self.following) if each]

    def is_signed(self, keys: PublicKeys) -> bool:
        """Whether one of some keys has signed the digest file."""
        if self.digest is None:
            return False
        digest, links = self.digest[0], [each.link for each in self.digests[1:]]
        signatures = {digest.signature, *(link.signature for link in links if link)} - {""}
        return any(
            is_signed(key.value, digest.signed, each)
            for key in keys.named(digest.fingerprint)
            for each in signatures
        )


def vouched(
    source: ReadStore, discovery: Discovery, row: FoundRow, window: Window
) -> Iterator[Vouched]:
    """The log files of a row, with each digest file that names them; one without, if none does.

    The log files that were delivered soonest after the event are read first. If somebody has added
    a digest file, a log file has several: it has to be seen which of them CloudTrail has signed.

    Args:
        source: The source of the logs.
        discovery: What was discovered in it.
        row: The row.
        window: The window of the dataset.

    Raises:
        StorageError: A log file, or a digest file, cannot be read.
    """
    unit, record = Unit(*row.place, row.owner.day), parsed(row.record)
    trails = discovery.trails.get(row.place, [])
    files = window_files(source, trails, unit, window)
    first, has_digest = None, False
    for file in sorted(files, key=lambda file: _wait(file, row.time)):
        data = source.read(file.key)
        number = _record_in(data, record)
        if number is None:
            continue
        first = first or Vouched(file.key, data, number)
        for found in _with_digests(source, Vouched(file.key, data, number), file.delivered):
            has_digest = True
            yield found
    if first and not has_digest:
        yield first


def _wait(file: LogFile, time: datetime | None) -> tuple[bool, timedelta, str]:
    """How long after an event a log file was delivered; those from before come last."""
    wait = file.delivered - time if time else timedelta(0)
    return wait < timedelta(0), abs(wait), file.key


def _record_in(data: bytes, record: dict[str, Any]) -> int | None:
    """The index of a record in a log file; None if it is not there, or the file is damaged."""
    try:
        text = text_of(data)
        if str(record["eventID"]).encode() not in text:
            return None
        delivered = parsed(text)["Records"]
    except (LookupError, TypeError, ValueError):
        return None
    for number, other in enumerate(delivered):
        is_it = isinstance(other, dict) and other.get("eventID") == record["eventID"]
        if is_it and is_same(other, record, []):
            return number
    return None


def _with_digests(source: ReadStore, found: Vouched, delivered: datetime) -> Iterator[Vouched]:
    *above, _, region, _, _, _, _ = found.key.split("/")
    place = DigestedPlace("/".join(above) + "/", region, ())
    tail = tail_of(found.key)
    for digest, stored in _digests(source, place, delivered):
        if all(tail_of(log.s3_object) != tail for log in digest.logs):
            continue
        after = (
            (following, other)
            for following, other in _digests(source, place, digest.end)
            if following.link and following.link.tail == digest.tail
        )
        yield found._replace(digest=(digest, stored), following=next(after, None))


def _digests(
    source: ReadStore, place: DigestedPlace, since: datetime
) -> Iterator[tuple[DigestFile, Stored]]:
    """The digest files that end after a moment, and soon; damaged ones are left out."""
    period = Period(since, since + _LATE)
    for entry in files_of_days(source, place.prefix(FOLDER), period):
        name = DigestName.of(entry.key)
        if name is None or not period.holds(name.end):
            continue
        stored = source.look(entry.key)
        if stored is None:
            what, hint = "it has gone since it was listed", "Run it again"
            raise StorageError(what, f"{source.uri}/{entry.key}", hint)
        try:
            yield DigestFile.of(entry.key, stored), stored
        except ValueError:
            continue
