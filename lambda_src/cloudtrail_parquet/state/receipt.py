"""The receipt: the account of one conversion, kept as JSON under the state prefix.

A shard writes one of its own, and the last of a split makes the unit's receipt of them all.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import msgspec

from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import (
    MAX_NAMES,
    Files,
    Part,
    Quarantined,
    Records,
    added,
    by_version,
    commonest,
    first_of,
    summed,
)
from cloudtrail_parquet.version import __version__


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """When and with what parts were made; the attributes are those of `Receipt`."""

    converted_at: datetime
    schema_version: int
    lookbehind_s: int
    lookahead_s: int
    folders: tuple[str, ...]
    source_fingerprint: str = ""
    settings: dict[str, Any] = {}
    run: str = ""
    converter: str = __version__


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The log files that were read; the attributes are those of `Receipt`."""

    files: Files = Files(listed=0, read=0, quarantined=0)
    bytes_in: int = 0
    bytes_inflated: int = 0
    unstamped: list[str] = []
    quarantined: list[Quarantined] = []
    unplaced: list[Misplaced] = []

    @classmethod
    def total(cls, receipts: Collection["ShardReceipt"], unplaced: list[Misplaced]) -> "Read":
        """What shards have read together; ``unplaced`` is the same for all."""
        return cls(
            files=Files(**summed(receipt.files for receipt in receipts)),
            bytes_in=sum(receipt.bytes_in for receipt in receipts),
            bytes_inflated=sum(receipt.bytes_inflated for receipt in receipts),
            unstamped=[key for receipt in receipts for key in receipt.unstamped][:MAX_NAMES],
            quarantined=first_of(bad for receipt in receipts for bad in receipt.quarantined),
            unplaced=unplaced,
        )


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the records; the attributes are those of `Receipt`."""

    records: Records
    conflicts: int = 0
    stragglers: dict[str, int] = {}
    versions: dict[str, int] = {}
    unmapped: dict[str, int] = {}
    derived: dict[str, int] = {}
    discarded: dict[str, int] = {}
    redacted: dict[str, int] = {}

    @classmethod
    def total(cls, receipts: Collection["ShardReceipt"]) -> "Rows":
        """What shards have made together.

        Conflicts are those within shards: an ``eventID`` that has other contents in another shard
        is not noticed.
        """
        return cls(
            records=Records(**summed(receipt.records for receipt in receipts)),
            conflicts=sum(receipt.conflicts for receipt in receipts),
            stragglers=dict(sorted(added(receipt.stragglers for receipt in receipts).items())),
            versions=by_version(added(receipt.versions for receipt in receipts)),
            unmapped=commonest(added(receipt.unmapped for receipt in receipts)),
            derived=dict(added(receipt.derived for receipt in receipts)),
            discarded=dict(added(receipt.discarded for receipt in receipts)),
            redacted=dict(added(receipt.redacted for receipt in receipts)),
        )


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

    def of_shard(self, shard: Shard, seen: str) -> "ShardReceipt":
        """The same as the receipt of a shard."""
        facts = {name: getattr(self, name) for name in Receipt.__struct_fields__}
        return ShardReceipt(**facts, number=shard.number, of=shard.of, seen=seen)

    @property
    def unit(self) -> Unit:
        """The unit that was converted."""
        return Unit(self.account, self.region, self.day)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins


def receipt_of(  # noqa: PLR0913
    unit: Unit,
    made: Made,
    read: Read,
    rows: Rows,
    parts: list[Part],
    *,
    is_complete: bool,
    settled: bool,
    seconds: float = 0,
    kept: str = "",
    kept_source: str = "",
) -> Receipt:
    """Put a receipt together from what it is about."""
    groups = (made, read, rows)
    return Receipt(
        account=unit.account,
        region=unit.region,
        day=unit.day,
        status="complete" if is_complete else "partial",
        settled=settled,
        bytes_out=sum(part.bytes for part in parts),
        seconds=round(seconds, 3),
        parts=parts,
        kept=kept,
        kept_source=kept_source,
        **{name: getattr(group, name) for group in groups for name in group.__struct_fields__},
    )


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


def total(receipts: Collection[ShardReceipt], run: str) -> Receipt:
    """The receipt of a unit whose shards have these, in the order of their numbers."""
    last = max(receipts, key=lambda receipt: receipt.converted_at)
    kept = [receipt for receipt in receipts if receipt.kept]
    current = next((receipt for receipt in reversed([*receipts]) if not receipt.kept), last)
    return receipt_of(
        last.unit,
        Made(
            converted_at=last.converted_at,
            converter=last.converter,
            schema_version=min(receipt.schema_version for receipt in receipts),
            lookbehind_s=last.lookbehind_s,
            lookahead_s=last.lookahead_s,
            folders=current.folders,
            source_fingerprint=current.source_fingerprint,
            settings=current.settings,
            run=run,
        ),
        Read.total(receipts, current.unplaced),
        Rows.total(receipts),
        [part for receipt in receipts for part in receipt.parts],
        is_complete=all(receipt.status == "complete" for receipt in receipts),
        settled=all(receipt.settled for receipt in receipts),
        seconds=sum(receipt.seconds for receipt in receipts),
        kept="; ".join(f"shard {receipt.shard}: {receipt.kept}" for receipt in kept),
        kept_source=kept[0].kept_source if kept else "",
    )


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


def to_text(receipt: Receipt) -> bytes:
    """A receipt as it is kept."""
    return msgspec.json.format(msgspec.json.encode(receipt))
