"""Log files that no unit reads, although CloudTrail gave them their names.

They lie beside the folders of days, or below something that is not ``AWSLogs``, or hold no bytes.
Files of other names at the same levels may hold records, too; nobody has looked.
Source of names: CloudTrail Processing Library; one old sample has no underscore after the Z.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.settings.settings import OTHER_FOLDERS
from cloudtrail_parquet.storage import ReadStore

_LOG_NAME = re.compile(
    r"\d{12}_CloudTrail(?!-Digest_)[^_]*_[^_]+_\d{8}T\d{4}Z_?[^/]*\.json(?:\.gz)?",
    re.ASCII | re.DOTALL,
)
_MAY_HOLD_RECORDS = re.compile(
    r"(?![._])(?:[^./]+|[^/]+\.(?:json|jsonl|ndjson|csv|gz))", re.ASCII | re.DOTALL | re.IGNORECASE
)
_HOLDS_NONE = re.compile(
    rf"\d{{12}}_(?:{'|'.join(OTHER_FOLDERS)})_.*"
    r"|\d{4}(?:-\d\d){5}-[0-9A-F]{16}"  # an access log of S3
    r"|ConfigWritabilityCheckFile|ELBAccessLogTestFile|aws-programmatic-access-test-object"
    r"|.*_\$folder\$|README|LICENSE|NOTICE|Makefile",
    re.ASCII | re.DOTALL,
)
MAX_OBJECTS = 1000
"""Objects listed of a folder that is not read: one page of S3's."""


def is_log_name(key: str) -> bool:
    """Whether the name of an object is one that CloudTrail gives to log files."""
    return _LOG_NAME.fullmatch(key.rpartition("/")[2]) is not None


def may_hold_records(key: str) -> bool:
    """Whether the name of an object is one that people give to files of records.

    Hidden files, log files by their names, and what services are known to write beside them, are
    not.
    """
    name = key.rpartition("/")[2]
    is_of_people = _MAY_HOLD_RECORDS.fullmatch(name) and not _HOLDS_NONE.fullmatch(name)
    return bool(is_of_people) and not is_log_name(name)


class Misplaced(msgspec.Struct, frozen=True, omit_defaults=True):
    """Log files of one folder that no unit reads, or other files that may hold records.

    Attributes:
        folder: The folder, relative to the source; "" or ending in "/".
        files: How many log files.
        example: The key of one of them.
        more: Whether there may be more, since the folder was not listed to its end.
        is_unnamed: Whether they have other names than log files have.
    """

    folder: str
    files: int
    example: str
    more: bool = False
    is_unnamed: bool = False


@dataclass
class Unplaced:
    """Collects log files that no unit reads, and others that may hold records, by folder.

    A folder may be listed more than once, in different ways; its log files count once.
    """

    _folders: dict[str, Misplaced] = field(default_factory=dict)
    _unnamed: dict[str, Misplaced] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._folders or self._unnamed)

    @property
    def files(self) -> int:
        """How many log files."""
        return sum(folder.files for folder in self._folders.values())

    @property
    def folders(self) -> list[Misplaced]:
        """The log files by folder, sorted."""
        return [self._folders[folder] for folder in sorted(self._folders)]

    @property
    def unnamed(self) -> list[Misplaced]:
        """The other files that may hold records by folder, sorted."""
        return [self._unnamed[folder] for folder in sorted(self._unnamed)]

    @property
    def found(self) -> list[Misplaced]:
        """Both, log files first."""
        return [*self.folders, *self.unnamed]

    def add(self, key: str) -> bool:
        """Add the next object of a listing, if its name is that of a log file.

        Returns:
            Whether the object was added.
        """
        if not is_log_name(key):
            return False
        self._count(self._folders, key)
        return True

    def add_any(self, key: str, size: int = 1) -> None:
        """Add the next object of a listing, if it is named like a log file or may hold records.

        Args:
            key: Its key.
            size: Its bytes, if that is known.
        """
        if not self.add(key) and size and may_hold_records(key):
            self._count(self._unnamed, key)

    def _count(self, folders: dict[str, Misplaced], key: str) -> None:
        folder = key[: key.rfind("/") + 1]
        before = folders.get(folder)
        folders[folder] = Misplaced(
            folder,
            before.files + 1 if before else 1,
            before.example if before else key,
            is_unnamed=folders is self._unnamed,
        )

    def merge(self, folders: Iterable[Misplaced]) -> None:
        """Add what another listing has found."""
        for new in folders:
            kind = self._unnamed if new.is_unnamed else self._folders
            known = kind.get(new.folder)
            if known is None or (known.files, known.more) < (new.files, new.more):
                kind[new.folder] = new

    def add_level(self, prefix: str, names: Iterable[str]) -> None:
        """Add the objects directly below a prefix, by their names."""
        level = Unplaced()
        for name in names:
            level.add_any(f"{prefix}{name}")
        self.merge(level.found)


def look_into(source: ReadStore, prefix: str) -> tuple[int, list[Misplaced]]:
    """List a thousand objects of a folder that is not read, which is one request to S3.

    A folder that may not be listed is skipped: nobody wants it converted.

    Returns:
        How many of the objects are not named like log files, and the log files, with the others
        that may hold records.
    """
    unplaced, others, seen, last = Unplaced(), 0, 0, ""
    with suppress(RefusedError):
        for entry in islice(source.files(prefix), MAX_OBJECTS):
            seen += 1
            if unplaced.add(entry.key):
                last = entry.key[: entry.key.rfind("/") + 1]
            else:
                others += 1
                unplaced.add_any(entry.key, entry.size)
    more = seen == MAX_OBJECTS
    return others, [
        msgspec.structs.replace(folder, more=more and folder.folder == last)
        for folder in unplaced.found
    ]
