"""Writing records as log files of a delivered tree, as `deliveries` describes it.

Each record lies in the folder of its own day, in a log file stamped noon of that day or, if there
are several, the minutes that follow, up to ten hours. So its unit reads them, in the order in which
records came, and no other unit does, with any usual window.
"""

from collections.abc import Callable, Iterator
from datetime import date
from hashlib import sha256

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.deliveries import day_folder
from cloudtrail_parquet.formats.gzip_text import deflate
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.settings.settings import LOG_FOLDERS

FILE_BYTES = 16 << 20
"""JSON text of a log file, at most, unless a single record is larger; CloudTrail writes up to
50 MB."""

HELD_BYTES = 64 << 20
"""JSON text that is held of log files which are not written yet."""

_HEAD, _TAIL = b'{"Records":[', b"]}"
_NOON, _MOST_MINUTES = 12 * 60, 10 * 60
_UNIQUE = 16  # characters at the end of a name, as CloudTrail's names have them


class DeliveredTree:
    """Collects records by place and day, and writes each such group as log files.

    The same records in the same order give the same keys and, with one version of the gzip library
    on one kind of processor, the same bytes. A name holds a digest of the records, so two log files
    have the same name only if they hold the same records.

    Log files are written once and whole. A group is written when it fills one, and when groups
    together hold too much, the largest of them are. So records that come sorted by place and day
    make as few log files as possible.

    Attributes:
        files: Log files written so far.
        bytes: Their size as stored.
    """

    def __init__(
        self,
        write: Callable[[str, bytes], object],
        folder: str = LOG_FOLDERS[0],
        file_bytes: int = FILE_BYTES,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        """Begin a tree.

        Args:
            write: Puts a log file at a key, ``AWSLogs/ACCOUNT/FOLDER/REGION/YYYY/MM/DD/NAME``; a
                store's `write`, for example.
            folder: The folder of logs.
            file_bytes: JSON text of a log file, at most.
            held_bytes: JSON text held at most, but for the record that is added.
        """
        self.files = self.bytes = 0
        self._write, self._folder = write, folder
        self._file_bytes, self._held_bytes = file_bytes, held_bytes
        self._groups: dict[tuple[Place, date], _Group] = {}
        self._held = 0

    def add(self, place: Place, day: date, raw: bytes) -> None:
        """Add a record.

        Args:
            place: The account and region that it is delivered for; each is the name of a folder.
            day: The UTC day of its event.
            raw: The record as JSON text in UTF-8, one object.
        """
        group = self._groups.get((place, day))
        if group is None:
            group = self._groups[place, day] = _Group()
        if group.held and group.held + len(raw) > self._file_bytes:
            self._put(place, day, group)
        group.records.append(raw)
        group.held += len(raw) + 1
        self._held += len(raw) + 1
        if self._held > self._held_bytes:
            for key, large in list(self._largest()):
                self._put(*key, large)

    def finish(self) -> None:
        """Write what is held; more of the same places and days may come afterwards."""
        for (place, day), group in self._groups.items():
            if group.held:
                self._put(place, day, group)

    def _largest(self) -> "Iterator[tuple[tuple[Place, date], _Group]]":
        """The largest groups, which together hold half of what may be held."""
        left = self._held
        for entry in sorted(self._groups.items(), key=lambda entry: -entry[1].held):
            if left * 2 <= self._held_bytes:
                return
            left -= entry[1].held
            yield entry

    def _put(self, place: Place, day: date, group: "_Group") -> None:
        text = b"".join((_HEAD, b",".join(group.records), _TAIL))
        self._held -= group.held
        group.records, group.held = [], 0
        group.digest = sha256(group.digest + text).digest()
        hours, minutes = divmod(_NOON + min(group.files, _MOST_MINUTES), 60)
        group.files += 1
        stamp = f"{day.year:04d}{day:%m%d}T{hours:02d}{minutes:02d}Z"
        name = f"{place.account}_{self._folder}_{place.region}_{stamp}"
        folder = f"{LOGS_ROOT}/{place.account}/{self._folder}/{place.region}/{day_folder(day)}"
        stored = deflate(text)
        self._write(f"{folder}{name}_{group.digest.hex()[:_UNIQUE]}.json.gz", stored)
        self.files += 1
        self.bytes += len(stored)


class _Group:
    """The records of a place and day.

    Attributes:
        records: The JSON texts of those that are not written yet.
        held: Bytes of these.
        files: Log files written so far.
        digest: Of all that was written, so that no two log files have the same name.
    """

    __slots__ = ("digest", "files", "held", "records")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.held = self.files = 0
        self.digest = b""
