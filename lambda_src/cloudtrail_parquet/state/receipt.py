"""The receipt: the account of one conversion, kept as JSON under the state prefix.

A shard writes one of its own, and the last of a split makes the unit's receipt of them all.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal, TypeVar

import msgspec

from cloudtrail_parquet.errors import ReconciliationError
from cloudtrail_parquet.layout import (
    WHOLE,
    LogFile,
    Shard,
    Unit,
    state_folder,
    state_key,
    state_unit,
)
from cloudtrail_parquet.printable import printable, shortened, writable
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.storage import ReadStore

_MAX_NAMES = 1000
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


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one conversion.

    Attributes:
        account: With ``region`` and ``day`` the unit.
        region: See ``account``.
        day: See ``account``.
        status: ``partial`` when something was quarantined, or ``kept``.
        settled: Whether the window was wholly in the past, so that the result is final.
        converted_at: When the conversion ended.
        converter: Version of the program.
        schema_version: `schema.SCHEMA_VERSION` of the rows.
        lookbehind_s: The window used.
        lookahead_s: The window used.
        folders: The folders of logs that were read.
        source_fingerprint: Changes when the set of log files does; see `identities`.
        files: Log files.
        records: Records.
        conflicts: Records kept although another one has their eventID and another content.
        bytes_in: Bytes as stored of the log files delivered on the day itself, so that the bytes
            of several days add up.
        bytes_inflated: Bytes of JSON text read, with what the window holds of other days.
        bytes_out: Bytes of the parts.
        seconds: How long the conversion took.
        parts: What it wrote, stragglers in other partitions included.
        stragglers: Records written into other days' partitions, by day.
        versions: Records that the unit owns, repeated ones too, by eventVersion ("" for none); the
            1,000 commonest.
        unmapped: Of these, how many hold something under this dotted name in ``unmapped``; the
            1,000 commonest names, long ones shortened.
        derived: Of these, in how many this column was filled in.
        unstamped: Log files read whose names have no delivery time; the first 1,000.
        quarantined: What could not be read; the first 1,000, files before records.
        discarded: Records that a rule discarded, by rule.
        redacted: Values that a rule took out, repeated records' too, by rule.
        kept: Why the last run replaced nothing: its source had shrunk since the run that the
            other figures are about. Empty otherwise.
        kept_source: The fingerprint of the log files that this last run saw.
        settings: Those that the files depend on, by name, as in the parts' footers.
        run: The name of the run that wrote the parts, as in its intent.
        unplaced: What is named like a log file of the day and has no bytes, by folder.
    """

    account: str
    region: str
    day: date
    status: Literal["complete", "partial"]
    settled: bool
    converted_at: datetime
    converter: str
    schema_version: int
    lookbehind_s: int
    lookahead_s: int
    folders: tuple[str, ...]
    source_fingerprint: str
    files: Files
    records: Records
    conflicts: int
    bytes_in: int
    bytes_inflated: int
    bytes_out: int
    seconds: float
    parts: list[Part]
    stragglers: dict[str, int]
    versions: dict[str, int]
    unmapped: dict[str, int]
    derived: dict[str, int]
    unstamped: list[str]
    quarantined: list[Quarantined]
    discarded: dict[str, int] = {}
    redacted: dict[str, int] = {}
    kept: str = ""
    kept_source: str = ""
    settings: dict[str, Any] = {}
    run: str = ""
    unplaced: list[Misplaced] = []

    @property
    def unit(self) -> Unit:
        """The unit that was converted."""
        return Unit(self.account, self.region, self.day)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins


R = TypeVar("R", bound=Receipt)


class ShardReceipt(Receipt, frozen=True, kw_only=True):
    """The account of one shard of a unit; all figures but the fingerprint are the shard's own.

    Attributes:
        number: With ``of`` the shard.
        of: See ``number``.
        seen: A digest of what the last run was about: all log files of the window, the schema and
            the settings. Shards add up to a unit when they have seen the same.
    """

    number: int
    of: int
    seen: str

    @property
    def shard(self) -> Shard:
        """The shard that was converted."""
        return Shard(self.number, self.of)


def total(receipts: Iterable[ShardReceipt], run: str) -> Receipt:
    """The receipt of a unit whose shards have these, in the order of their numbers.

    Conflicts are those within shards: an ``eventID`` that has other contents in another shard is
    not noticed.
    """
    some = list(receipts)
    last = max(some, key=lambda one: one.converted_at)
    current = next((one for one in reversed(some) if not one.kept), last)
    return Receipt(
        account=last.account,
        region=last.region,
        day=last.day,
        status="complete" if all(one.status == "complete" for one in some) else "partial",
        settled=all(one.settled for one in some),
        converted_at=last.converted_at,
        converter=last.converter,
        schema_version=min(one.schema_version for one in some),
        lookbehind_s=last.lookbehind_s,
        lookahead_s=last.lookahead_s,
        folders=current.folders,
        source_fingerprint=current.source_fingerprint,
        files=Files(**_sum(one.files for one in some)),
        records=Records(**_sum(one.records for one in some)),
        conflicts=sum(one.conflicts for one in some),
        bytes_in=sum(one.bytes_in for one in some),
        bytes_inflated=sum(one.bytes_inflated for one in some),
        bytes_out=sum(one.bytes_out for one in some),
        seconds=round(sum(one.seconds for one in some), 3),
        parts=[part for one in some for part in one.parts],
        stragglers=dict(sorted(_add(one.stragglers for one in some).items())),
        versions=dict(sorted(commonest(_add(one.versions for one in some)).items())),
        unmapped=commonest(_add(one.unmapped for one in some)),
        derived=dict(_add(one.derived for one in some)),
        unstamped=[key for one in some for key in one.unstamped][:_MAX_NAMES],
        quarantined=first_of(bad for one in some for bad in one.quarantined),
        discarded=dict(_add(one.discarded for one in some)),
        redacted=dict(_add(one.redacted for one in some)),
        kept="; ".join(f"shard {one.shard}: {one.kept}" for one in some if one.kept),
        kept_source=next((one.kept_source for one in some if one.kept), ""),
        settings=current.settings,
        run=run,
        unplaced=current.unplaced,
    )


def _sum(counts: Iterable[msgspec.Struct]) -> dict[str, int]:
    return dict(_add(msgspec.to_builtins(one) for one in counts))


def _add(counts: Iterable[dict[str, int]]) -> Counter[str]:
    added: Counter[str] = Counter()
    for one in counts:
        added.update(one)
    return added


def as_kept(  # noqa: PLR0913
    before: R,
    why: str,
    *,
    source: str,
    quarantined: list[Quarantined],
    when: datetime,
    settled: bool,
    run: str,
) -> R:
    """The receipt of a run that replaced nothing: that of the run before it, and why.

    Args:
        before: The receipt of the run before.
        why: What the source has lost, in words.
        source: The fingerprint of what it holds now.
        quarantined: What could not be read of that.
        when: The time.
        settled: Whether the unit's window has passed by now.
        run: The name of the run that keeps it, or that wrote it if that says nothing more.
    """
    return msgspec.structs.replace(
        before,
        status="partial",
        kept=why,
        kept_source=source,
        quarantined=quarantined,
        converted_at=when,
        settled=settled,
        run=run,
    )


def commonest(names: Counter[str]) -> dict[str, int]:
    """The counts of the commonest names; hostile records may have any number of others."""
    shown: Counter[str] = Counter()
    for name, count in names.items():
        shown[shortened(name)] += count
    return dict(shown.most_common(_MAX_NAMES))


def unstamped_of(files: Iterable[LogFile]) -> list[str]:
    """The keys of log files without a stamp, for a receipt."""
    keys = (writable(file.key) for file in files if not file.stamped)
    return list(islice(keys, _MAX_NAMES))


def quarantined(
    key: str, reason: str, record: int | None = None, *, retryable: bool = False
) -> Quarantined:
    """Say of a log file, or of a record in it, why it is not read, in words of any origin."""
    reason = shortened(printable(reason))
    return Quarantined(key=writable(key), reason=reason, record=record, retryable=retryable)


def first_of(bad: Iterable[Quarantined]) -> list[Quarantined]:
    """The entries for a receipt, each once: what another run may mend, other files, records."""
    each = dict.fromkeys(bad)
    return sorted(each, key=lambda one: (not one.retryable, one.record is not None))[:_MAX_NAMES]


def receipt_key(unit: Unit, shard: Shard = WHOLE) -> str:
    """The key of the receipt of a unit, or of a shard."""
    if shard == WHOLE:
        return state_key("receipts", unit)
    return state_key("shards", unit, f"/{shard.name}.json")


def to_text(receipt: Receipt) -> bytes:
    """A receipt as it is kept."""
    return msgspec.json.format(msgspec.json.encode(receipt))


def receipt_days(state: ReadStore, account: str, region: str) -> set[date]:
    """The days of an account and region that have a receipt."""
    entries = state.files(state_folder("receipts", account, region))
    return {unit.day for unit in (state_unit(entry.key) for entry in entries) if unit}
