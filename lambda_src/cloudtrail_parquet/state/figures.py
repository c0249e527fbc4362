"""What receipts are made of: figures, and names of which hostile input may have any number."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

import msgspec

from cloudtrail_parquet.errors import ReconciliationError
from cloudtrail_parquet.layout import LogFile
from cloudtrail_parquet.printable import printable, shortened, writable

MAX_NAMES = 1000
"""So many names a receipt has of a kind of which hostile files and records may have any number."""


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    r"""A log file that could not be read, or a record in it that is none.

    Attributes:
        key: The log file, below the source; bytes that are no UTF-8 as ``\\xe9``.
        reason: What is wrong with it.
        record: Index in its ``Records``; absent when the whole file is meant.
        retryable: Whether another run may find it readable.
    """

    key: str
    reason: str
    record: int | None = None
    retryable: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that the conversion wrote: its key below the dataset, its rows, its size in bytes."""

    key: str
    rows: int
    bytes: int


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """How many log files the window holds, and how many of them were read or quarantined."""

    listed: int
    read: int
    quarantined: int


class Records(msgspec.Struct, kw_only=True):
    """What became of every record read; ``read`` is the sum of the others."""

    read: int = 0
    written: int = 0
    straggled: int = 0
    elsewhere: int = 0
    duplicate: int = 0
    discarded: int = 0
    quarantined: int = 0

    def check(self, where: str) -> None:
        """Prove that nothing is silently gone.

        Raises:
            ReconciliationError: The records read are not the sum of all others.
        """
        total = sum(msgspec.structs.astuple(self)) - self.read
        if total != self.read:
            what = f"{self.read} records read, {total} accounted for: {self}"
            raise ReconciliationError(what, where, "Nothing was replaced; please report this")


def summed(counts: Iterable[msgspec.Struct]) -> dict[str, int]:
    """The sums of structs of counts, member by member."""
    return dict(added(msgspec.to_builtins(one) for one in counts))


def added(counts: Iterable[dict[str, int]]) -> Counter[str]:
    """The sums of counts by name."""
    added: Counter[str] = Counter()
    for one in counts:
        added.update(one)
    return added


def commonest(names: Counter[str]) -> dict[str, int]:
    """The counts of the commonest names; hostile records may have any number of others."""
    shown: Counter[str] = Counter()
    for name, count in names.items():
        shown[shortened(name)] += count
    return dict(shown.most_common(MAX_NAMES))


def by_version(counts: Counter[str]) -> dict[str, int]:
    """The counts of the commonest eventVersions, by these."""
    return dict(sorted(commonest(counts).items()))


def unstamped_of(files: Iterable[LogFile]) -> list[str]:
    """The keys of log files without a stamp, for a receipt."""
    keys = (writable(file.key) for file in files if not file.stamped)
    return list(islice(keys, MAX_NAMES))


def quarantined(
    key: str, reason: str, record: int | None = None, *, retryable: bool = False
) -> Quarantined:
    """Say of a log file, or of a record in it, why it is not read, in words of any origin."""
    reason = shortened(printable(reason))
    return Quarantined(key=writable(key), reason=reason, record=record, retryable=retryable)


def first_of(bad: Iterable[Quarantined]) -> list[Quarantined]:
    """The entries for a receipt, each once: what another run may mend, other files, records."""
    each = dict.fromkeys(bad)
    return sorted(each, key=lambda one: (not one.retryable, one.record is not None))[:MAX_NAMES]
