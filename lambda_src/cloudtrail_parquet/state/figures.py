"""What receipts are made of: figures, and lists of names that hostile input cannot make endless."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

import msgspec

from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import ReconciliationError
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.printable import printable, shortened, writable
from cloudtrail_parquet.wording import counted

MAX_NAMES = 1000
"""The most names of one kind in a receipt, as hostile files and records may bring any number."""


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    r"""A log file that could not be read, or an element of its ``Records`` that is not a record.

    Attributes:
        key: The log file, below the source; bytes that are not UTF-8 appear as ``\\xe9``.
        reason: What is wrong with it.
        record: Index in its ``Records``; absent for the whole file.
        retryable: Whether another run may find it readable.
    """

    key: str
    reason: str
    record: int | None = None
    retryable: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part that the conversion wrote.

    Attributes:
        key: Its key below the dataset.
        rows: Its rows.
        bytes: Its size.
        sha256: The SHA-256 of its bytes, in hexadecimal; empty where that is not known, as of parts
            that an older version wrote.
    """

    key: str
    rows: int
    bytes: int
    sha256: str = ""


class Rewritten(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What parts were made of that were made of other parts, and not of log files.

    Attributes:
        at: When.
        dataset: The dataset of the other parts; empty if these have taken their places.
        runs: The runs that had written them: one, or one for each unit that they are of.
        schema_version: Theirs; the least one.
        settings: The settings that they were made with, as far as those are others now.
        unknown: Figures of the receipt that only the log files could tell; they are 0 or empty.
    """

    at: datetime
    dataset: str = ""
    runs: list[str] = []
    schema_version: int = 0
    settings: dict[str, Any] = {}
    unknown: list[str] = []


class Expired(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is no longer kept of what a conversion wrote, since its day is too long ago.

    Attributes:
        at: When the last of it was removed.
        before: The first day that was kept.
        parts: How many parts were removed.
        rows: Their rows.
        bytes: Their bytes.
        is_own: Whether those of the unit's own partition are among them: it is not converted again.
    """

    at: datetime
    before: date
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    is_own: bool = False


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """How many log files the window holds, and how many of them were read or quarantined."""

    listed: int
    read: int
    quarantined: int


class Records(msgspec.Struct, kw_only=True):
    """What became of the records; ``read`` is the sum of the others."""

    read: int = 0
    written: int = 0
    straggled: int = 0
    elsewhere: int = 0
    duplicate: int = 0
    discarded: int = 0
    quarantined: int = 0

    def check(self, where: str) -> None:
        """Prove that no record was lost silently.

        Raises:
            ReconciliationError: The records read are not the sum of the others.
        """
        total = sum(msgspec.structs.astuple(self)) - self.read
        if total != self.read:
            what = f"{counted(self.read, 'record')} read, {total:,} accounted for: {self}"
            raise ReconciliationError(what, where, "Nothing was replaced; please report this")


class PlaceFigures(msgspec.Struct, frozen=True, array_like=True):
    """What one place has given to a unit; the columns of all places add up to the receipt's.

    Attributes:
        state: ``read``; ``refused``: it may not be listed, so that nothing was read; or ``aside``:
            log files of it were not read, since each process that did was ended.
        files: How many log files the window holds.
        bytes: Stored bytes of those delivered on the day itself.
        records: What became of the records; as an array in the order of the members.
        fingerprint: The first 128 bits of the fingerprint of the log files of the window, in
            hexadecimal; empty if it was refused.
    """

    state: Literal["read", "refused", "aside"]
    files: int = 0
    bytes: int = 0
    records: tuple[int, ...] = (0,) * 7
    fingerprint: str = ""

    def plus(self, other: "PlaceFigures") -> "PlaceFigures":
        """What this and a later run, or another shard, have read of the place together."""
        records = (one + another for one, another in zip(self.records, other.records, strict=True))
        files, size = self.files + other.files, self.bytes + other.bytes
        fingerprint = other.fingerprint or self.fingerprint
        state = self.state if self.state == "aside" else other.state
        return PlaceFigures(state, files, size, tuple(records), fingerprint)


PlaceTable = dict[str, dict[str, PlaceFigures]]
"""Figures of places, by account and region; an account that may not be listed has the region ""."""


def by_place(figures: Mapping[Place, PlaceFigures]) -> PlaceTable:
    """The table of some places, sorted."""
    table: PlaceTable = {}
    for (account, region), each in sorted(figures.items()):
        table.setdefault(account, {})[region] = each
    return table


def added_places(tables: Iterable[PlaceTable]) -> PlaceTable:
    """What shards have read together, place by place."""
    total: dict[Place, PlaceFigures] = {}
    for table in tables:
        for account, regions in table.items():
            for region, figures in regions.items():
                place = Place(account, region)
                total[place] = total[place].plus(figures) if place in total else figures
    return by_place(total)


def summed(counts: Iterable[msgspec.Struct]) -> dict[str, int]:
    """The sum of structs of counts, member by member."""
    return dict(added(msgspec.to_builtins(struct) for struct in counts))


def added(counts: Iterable[dict[str, int]]) -> Counter[str]:
    """The sum of counts by name, name by name."""
    sums: Counter[str] = Counter()
    for by_name in counts:
        sums.update(by_name)
    return sums


def commonest(names: Counter[str]) -> dict[str, int]:
    """The counts of the commonest names, `MAX_NAMES` at most; long names are shortened."""
    shown: Counter[str] = Counter()
    for name, count in names.items():
        shown[shortened(name)] += count
    return dict(shown.most_common(MAX_NAMES))


def by_version(counts: Counter[str]) -> dict[str, int]:
    """The counts of the commonest eventVersions, sorted by version."""
    return dict(sorted(commonest(counts).items()))


def unstamped_of(files: Iterable[LogFile]) -> list[str]:
    """The keys of log files without a stamp in their names, for a receipt."""
    keys = (writable(file.key) for file in files if not file.stamped)
    return list(islice(keys, MAX_NAMES))


def quarantined(
    key: str, reason: str, record: int | None = None, *, retryable: bool = False
) -> Quarantined:
    """The entry for a log file, or a record in it, that is not read; the reason may quote input."""
    reason = shortened(printable(reason))
    return Quarantined(key=writable(key), reason=reason, record=record, retryable=retryable)


def first_of(bad: Iterable[Quarantined]) -> list[Quarantined]:
    """The entries for a receipt, each once: what a retry may mend, then files, then records."""
    entries = dict.fromkeys(bad)
    order = sorted(entries, key=lambda entry: (not entry.retryable, entry.record is not None))
    return order[:MAX_NAMES]
