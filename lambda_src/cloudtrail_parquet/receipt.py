"""The receipt: the account of one conversion, kept as JSON under the state prefix.

A shard writes one of its own, and the last of a split makes the unit's receipt of them all.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import msgspec

from cloudtrail_parquet.layout import Shard, Unit, state_folder, state_key, state_unit
from cloudtrail_parquet.storage import Store

_MAX_NAMES = 1000


class Quarantined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A log file that could not be read, or a record in it that is none.

    Attributes:
        key: The log file, below the source.
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


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every record read; ``read`` is the sum of the others."""

    read: int
    written: int
    straggled: int
    elsewhere: int
    duplicate: int
    discarded: int
    quarantined: int


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
        source_fingerprint: Changes when the set of log files does.
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
        versions: Records that the unit owns, repeated ones too, by eventVersion ("" for none).
        unmapped: Of these, how many hold something under this dotted name in ``unmapped``.
        derived: Of these, in how many this column was filled in.
        unstamped: Log files read whose names have no delivery time.
        quarantined: What could not be read.
        discarded: Records that a rule discarded, by rule.
        redacted: Values that a rule took out, repeated records' too, by rule.
        kept: Why the last run replaced nothing: its source had shrunk since the run that the
            other figures are about. Empty otherwise.
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


def total(receipts: Iterable[ShardReceipt]) -> Receipt:
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
        versions=dict(sorted(_add(one.versions for one in some).items())),
        unmapped=commonest(_add(one.unmapped for one in some)),
        derived=dict(_add(one.derived for one in some)),
        unstamped=[key for one in some for key in one.unstamped],
        quarantined=list(dict.fromkeys(bad for one in some for bad in one.quarantined)),
        discarded=dict(_add(one.discarded for one in some)),
        redacted=dict(_add(one.redacted for one in some)),
        kept="; ".join(f"shard {one.shard}: {one.kept}" for one in some if one.kept),
    )


def _sum(counts: Iterable[msgspec.Struct]) -> dict[str, int]:
    return dict(_add(msgspec.to_builtins(one) for one in counts))


def _add(counts: Iterable[dict[str, int]]) -> Counter[str]:
    added: Counter[str] = Counter()
    for one in counts:
        added.update(one)
    return added


def as_kept(before: R, why: str, quarantined: list[Quarantined], when: datetime) -> R:
    """The receipt of a run that replaced nothing: that of the run before it, and why."""
    return msgspec.structs.replace(
        before, status="partial", kept=why, quarantined=quarantined, converted_at=when
    )


def commonest(names: Counter[str]) -> dict[str, int]:
    """The counts of the commonest names; hostile records may have any number of others."""
    return dict(names.most_common(_MAX_NAMES))


def write_receipt(state: Store, receipt: Receipt) -> None:
    """Put a receipt in place of the last one of the unit, or of the shard."""
    key = state_key("receipts", receipt.unit)
    if isinstance(receipt, ShardReceipt):
        key = shard_key(receipt.unit, receipt.shard)
    state.write(key, msgspec.json.format(msgspec.json.encode(receipt)))


def shard_key(unit: Unit, shard: Shard) -> str:
    """The key of the receipt of a shard."""
    return state_key("shards", unit, f"/{shard.name}.json")


def read_receipt(state: Store, unit: Unit) -> Receipt | None:
    """The unit's receipt; None if there is none or if another version wrote it in another form."""
    return _read(state, state_key("receipts", unit), Receipt)


def read_shard_receipt(state: Store, unit: Unit, shard: Shard) -> ShardReceipt | None:
    """A shard's receipt; None as with `read_receipt`."""
    return _read(state, shard_key(unit, shard), ShardReceipt)


def _read(state: Store, key: str, kind: type[R]) -> R | None:
    text = state.read_if_there(key)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        return None


def receipt_days(state: Store, account: str, region: str) -> set[date]:
    """The days of an account and region that have a receipt."""
    entries = state.files(state_folder("receipts", account, region))
    return {unit.day for unit in (state_unit(entry.key) for entry in entries) if unit}
