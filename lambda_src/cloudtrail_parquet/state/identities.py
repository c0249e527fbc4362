"""The log files that a unit was made of: all of them as one number, and an identity for each.

A fingerprint is the sum, modulo 2**256, of the SHA-256 of each file's name and size. It does not
depend on the order of the files and can be added up in portions, so a plan computes it from
listings without holding them. It tells whether anything has changed.

Identities tell whether something is gone. For each log file they hold 8 bytes of the SHA-256 of its
name, and how many of its records could be read. Those of few log files lie in the receipt, and
while something is replaced in the intent as well. Those of many, which a plan need not read, are
stored in an object of their own beside the receipt. Intent and object are written before any part
made of these files; so the published parts of a unit that has either were made of no other files.
"""

import struct
from collections.abc import Collection, Container, Iterable
from hashlib import blake2b, sha256
from typing import Self

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.wording import counted, plural_of

_MODULUS = 1 << 256
_FORM = "sum:"  # begins the fingerprints of this version
_MAGIC = b"logfiles"
_ENTRY = struct.Struct(">QI")
_DIGEST_BYTES = 8
_MAX_COUNT = (1 << 32) - 1

FEW = 100
"""So many log files are named in receipts: 1.6 kB of text, beside the 2 or 3 that a receipt has."""


def known_as(key: str, place: Place | None = None) -> str:
    """What a log file is known by: its name, whatever its prefix; and its place, if one is given.

    Names of CloudTrail's are unique. Others may be the same in the places that a unit spans.
    """
    name = key.rpartition("/")[2]
    return name if place is None else "\0".join((*place, name))


def _name(key: str) -> bytes:
    """A log file's name; on a disk it need not be UTF-8."""
    return key.rpartition("/")[2].encode(errors="surrogateescape")


def digest_of(key: str, size: int) -> int:
    """What a log file adds to a fingerprint, by its key or what it is `known_as`, and its size."""
    return int.from_bytes(sha256(b"%s\0%d" % (_name(key), size)).digest())


class Fingerprint:
    """The fingerprint of the log files added so far.

    Attributes:
        total: The sum of their digests.
    """

    def __init__(self) -> None:
        self.total = 0

    def add(self, key: str, size: int) -> None:
        """Add a log file, by its key or what it is `known_as`, and its size in bytes as stored."""
        self.total += digest_of(key, size)

    def merge(self, other: "Fingerprint") -> None:
        """Add all log files of another one."""
        self.total += other.total

    @property
    def short(self) -> str:
        """Its first 128 bits, where there are thousands: hexadecimal."""
        return f"{self.total % _MODULUS:064x}"[:32]

    def __str__(self) -> str:
        return f"{_FORM}{self.total % _MODULUS:064x}"


def fingerprint_of(text: str) -> Fingerprint:
    """The fingerprint with this text, to be added to; an empty one for another version's."""
    fingerprint = Fingerprint()
    if is_fingerprint(text):
        fingerprint.total = int(text.removeprefix(_FORM), 16)
    return fingerprint


def is_fingerprint(text: str) -> bool:
    """Whether a text is a fingerprint of this version; others cannot be compared with it."""
    return text.startswith(_FORM)


def is_without(now: str, before: str, places: Collection[str]) -> bool:
    """Whether a fingerprint is that of another one's log files without those of some places.

    Args:
        now: The fingerprint.
        before: The other one.
        places: `Fingerprint.short` of the places: without the digits that may carry into it.
    """
    if not places or not (is_fingerprint(now) and is_fingerprint(before)):
        return False
    of_now, of_before = (int(text.removeprefix(_FORM), 16) >> 128 for text in (now, before))
    carried = of_before - of_now - sum(int(place, 16) for place in places)
    return carried % (_MODULUS >> 128) <= len(places)


class Identities:
    """Log files, and how many of their records could be read.

    Attributes:
        counts: Records by the number that identifies a log file's name.
    """

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self.counts = dict(counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identities) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # instances are mutable

    def add(self, key: str, records: int) -> int:
        """Add a log file, with the number of records that could be read.

        Returns:
            Its number, by which it is known.
        """
        number = _number(key)
        while number in self.counts:  # only a copy of a file has the same name
            number = _next(number)
        self.counts[number] = min(records, _MAX_COUNT)
        return number

    def merge(self, other: "Identities") -> None:
        """Add all log files of another set; the larger count holds for a file in both."""
        for number, records in other.counts.items():
            self.counts[number] = max(records, self.counts.get(number, 0))

    def missing_in(self, later: "Identities") -> str:
        """What these have and a later set lacks, in words; empty if that is nothing.

        A log file of which no record could be read is not missed.
        """
        gone = self._gone(later.counts)
        if gone:
            return gone
        unread = sum(
            max(0, records - later.counts.get(number, 0)) for number, records in self.counts.items()
        )
        total = sum(self.counts.values())
        return f"{unread:,} of {counted(total, 'record')} can no longer be read" if unread else ""

    def records_of(self, name: str) -> int | None:
        """How many records of a log file could be read, by its name; None if it is not known."""
        return self.counts.get(_number(name))

    def forget(self, name: str) -> None:
        """Leave out a log file, by its name."""
        self.counts.pop(_number(name), None)

    def without(self, numbers: Iterable[int]) -> "Identities":
        """These without some log files, by their numbers."""
        gone = frozenset(numbers)
        return Identities(entry for entry in self.counts.items() if entry[0] not in gone)

    def missing_among(self, keys: Iterable[str]) -> str:
        """The same as `missing_in` for log files of which only the keys are known."""
        present = Identities()
        for key in keys:
            present.add(key, 0)
        return self._gone(present.counts)

    def _gone(self, numbers: Container[int]) -> str:
        gone = sum(records > 0 and number not in numbers for number, records in self.counts.items())
        what = f"{gone:,} of {counted(len(self), 'log file')} {plural_of(gone, 'is', 'are')} gone"
        return f"{what} from the source" if gone else ""

    def to_bytes(self) -> bytes:
        """12 bytes for each log file, sorted, so that the same log files give the same bytes."""
        body = _MAGIC + b"".join(_ENTRY.pack(*entry) for entry in sorted(self.counts.items()))
        return body + _digest(body)

    @property
    def few(self) -> bytes:
        """What a receipt says of them: the same; nothing if there are too many for that."""
        return self.to_bytes() if len(self) <= FEW else b""

    @classmethod
    def of_bytes(cls, data: bytes) -> Self | None:
        """Read what `to_bytes` wrote; None for anything else, such as a damaged object."""
        body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        if not body.startswith(_MAGIC) or digest != _digest(body):
            return None
        return cls(_ENTRY.iter_unpack(body[len(_MAGIC) :]))


def _number(key: str) -> int:
    return int.from_bytes(sha256(_name(key)).digest()[:8])


def _next(number: int) -> int:
    return int.from_bytes(sha256(number.to_bytes(8)).digest()[:8])


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
