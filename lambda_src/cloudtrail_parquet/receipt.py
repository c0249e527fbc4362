"""The receipt: the account of one conversion, kept as JSON under the state prefix."""

from datetime import UTC, date, datetime
from typing import Any, Literal

import msgspec

from cloudtrail_parquet.layout import Unit, state_folder, state_key, state_unit
from cloudtrail_parquet.storage import Store


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


def write_receipt(state: Store, receipt: Receipt) -> None:
    """Put a receipt in place of the unit's last one."""
    state.write(
        state_key("receipts", receipt.unit), msgspec.json.format(msgspec.json.encode(receipt))
    )


def read_receipt(state: Store, unit: Unit) -> Receipt | None:
    """The unit's receipt; None if there is none or if another version wrote it in another form."""
    text = state.read_if_there(state_key("receipts", unit))
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Receipt)
    except msgspec.DecodeError:
        return None


def receipt_days(state: Store, account: str, region: str) -> set[date]:
    """The days of an account and region that have a receipt."""
    entries = state.files(state_folder("receipts", account, region))
    return {unit.day for unit in (state_unit(entry.key) for entry in entries) if unit}


def now() -> datetime:
    """The time, to the second: what receipts are dated with."""
    return datetime.now(UTC).replace(microsecond=0)
