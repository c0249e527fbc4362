"""The receipt: what one conversion did, kept as JSON below the state prefix.

Each shard writes a receipt of its own; the last shard of a split adds them up for the unit.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from cloudtrail_parquet.layout import Place, Shard, Unit
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import (
    MAX_NAMES,
    Expired,
    Files,
    Part,
    PlaceTable,
    Quarantined,
    Records,
    Rewritten,
    added,
    added_places,
    by_version,
    commonest,
    first_of,
    summed,
)
from cloudtrail_parquet.version import __version__


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """How and when the parts were made; the attributes are those of `Receipt`."""

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
    def total(cls, receipts: Collection["Receipt"], unplaced: list[Misplaced]) -> "Read":
        """What several runs have read together; ``unplaced`` is the same for all of them."""
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
    places: PlaceTable = {}

    @classmethod
    def total(cls, receipts: Collection["Receipt"]) -> "Rows":
        """What several runs have made together.

        Conflicts are counted within each shard: an ``eventID`` that has other content in another
        shard goes unnoticed.
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
            places=added_places(receipt.places for receipt in receipts),
        )


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one conversion did.

    Attributes:
        account: With ``region`` and ``day`` the unit; absent if it spans all accounts.
        region: See ``account``; absent if it spans all regions.
        day: See ``account``.
        status: ``partial`` when something was quarantined, or a place may not be listed, or the
            parts were kept; see ``kept``.
        settled: Whether the window had passed, with a margin, so that the result will not change.
        converted_at: When the conversion ended.
        converter: The version of the program.
        schema_version: `schema.SCHEMA_VERSION` of the rows.
        lookbehind_s: The window: seconds before the day.
        lookahead_s: The window: seconds after the day.
        folders: The names of the log folders that were read.
        source_fingerprint: Changes when the set of log files does; see `identities`.
        files: Counts of log files.
        records: Counts of records.
        conflicts: Records kept although another record has the same eventID and other content.
        bytes_in: Stored bytes of the log files delivered on the day itself, so that the figures of
            several days add up.
        bytes_inflated: Bytes of JSON text read, including files of other days in the window.
        bytes_out: Bytes of the parts.
        seconds: How long the conversion took.
        parts: The parts it wrote, including those of stragglers in other partitions.
        stragglers: Records written into other days' partitions, by day.
        versions: Records that the unit owns, including repeated ones, by eventVersion ("" if
            absent); the 1,000 commonest.
        unmapped: How many of these hold something under a dotted name in ``unmapped``, by name; the
            1,000 commonest names, long ones shortened.
        derived: In how many of these a column was filled in, by column.
        unstamped: Log files read whose names have no delivery time; the first 1,000.
        quarantined: What could not be read; the first 1,000, files before records.
        discarded: Records that a rule discarded, by rule; and elements that hold none, by kind.
        redacted: Values that a rule removed, including those in repeated records, by rule.
        kept: Why the last run replaced nothing: its source had shrunk since the run that the
            other figures are about. Empty otherwise.
        kept_source: The fingerprint of the log files that this last run saw; after it, if the run
            had other settings, a digest of these.
        settings: The settings that files depend on, by name, as in the parts' footers.
        run: The name of the run that wrote the parts, as in its intent.
        unplaced: Objects without bytes that are named like log files of the day, by folder.
        places: What each place has given, by account and region.
        additions: How many runs have added to the parts since the unit was converted as a whole.
        identities: Of the log files that the parts were made of, as `identities` has them; empty if
            they lie in an object of their own, since they are many or a shard's.
        rewritten: What the parts were made of, if not of log files; else absent.
        expired: What of the parts is no longer kept; else absent.
        rebuilt: Whether the receipt was lost and made again from the parts. Then counts that only
            log files can give are unknown: what is said of files is 0, no record was repeated,
            discarded or quarantined, and ``read`` is the number of rows.
    """

    account: str = ""
    region: str = ""
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
    places: PlaceTable = {}
    additions: int = 0
    identities: bytes = b""
    rewritten: Rewritten | UnsetType = UNSET
    expired: Expired | UnsetType = UNSET
    rebuilt: bool = False

    @property
    def is_expired(self) -> bool:
        """Whether the unit's own rows are no longer kept."""
        return self.expired is not UNSET and self.expired.is_own

    def of_shard(self, shard: Shard, seen: str) -> "ShardReceipt":
        """This receipt as the receipt of a shard."""
        facts = {name: getattr(self, name) for name in Receipt.__struct_fields__}
        facts["identities"] = b""
        return ShardReceipt(**facts, number=shard.number, of=shard.of, cut=shard.cut, seen=seen)

    @property
    def unit(self) -> Unit:
        """The unit that was converted."""
        return Unit(self.account, self.region, self.day)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``; without account or region that the unit spans.

        Only a receipt that was rebuilt says so.
        """
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        for name in (*Place._fields, "rebuilt"):
            if not builtins[name]:
                del builtins[name]
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
    additions: int = 0,
    identities: bytes = b"",
    rebuilt: bool = False,
) -> Receipt:
    """Put a receipt together from its groups."""
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
        additions=additions,
        identities=identities,
        rebuilt=rebuilt,
        **{name: getattr(group, name) for group in groups for name in group.__struct_fields__},
    )


R = TypeVar("R", bound=Receipt)


class ShardReceipt(Receipt, frozen=True, kw_only=True):
    """What the conversion of one shard did; all figures but the fingerprint are the shard's own.

    Attributes:
        number: With ``of`` the shard.
        of: See ``number``.
        cut: The digest of the bounds between the shards; empty if they are slices of the window.
        seen: A digest of what the last run worked from: all log files of the window, the schema and
            the settings. Shards add up to a unit only if these are equal.
    """

    number: int
    of: int
    seen: str
    cut: str = ""

    @property
    def shard(self) -> Shard:
        """The shard that was converted."""
        return Shard(self.number, self.of, self.cut)


def to_text(receipt: Receipt) -> bytes:
    """A receipt as it is stored; its places, of which there may be thousands, on one line."""
    plain = receipt.to_json()
    places = msgspec.json.encode(plain.pop("places"))
    text = msgspec.json.format(msgspec.json.encode(plain))
    return text.removesuffix(b"\n}") + b',\n  "places": ' + places + b"\n}"
