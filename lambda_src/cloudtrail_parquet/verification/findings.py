"""What a verification has found: of which kind, where, and what to do about it."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What may be found; those of `NOTES` are no faults."""

    PART_ALTERED = "part altered"
    PART_DAMAGED = "part damaged"
    PART_MISSING = "part missing"
    PART_UNKNOWN = "part unknown"
    ROW_MISPLACED = "row misplaced"
    ROW_REPEATED = "row repeated"
    ROW_UNREADABLE = "row unreadable"
    ROW_UNVOUCHED = "row without a log file"
    RECEIPT_FALSE = "receipt false"
    RECEIPT_MISSING = "receipt missing"
    UNIT_MISSING = "unit missing"
    UNFINISHED = "unfinished"
    RECORD_MISSING = "record missing"
    RECORD_ALTERED = "record altered"
    NOT_DISCARDED = "record not discarded"
    NOT_REDACTED = "value not redacted"
    LOG_GONE = "log file gone"
    LOG_CHANGED = "log file changed"
    LOG_DAMAGED = "log file damaged"
    LOG_ADDED = "log file added"
    UNREADABLE = "could not be read"

    PENDING = "not converted yet"
    QUARANTINED = "quarantined"
    KEPT = "kept"
    EXPIRED = "expired"
    REMOVED = "no longer kept"
    UNHASHED = "no hash"
    REBUILT = "receipt rebuilt"
    ELSEWHERE = "not looked at"


_CONVERT = "convert its unit again while the log files are there"
_RESTORE = "restore it from a backup or an older version of the object, or " + _CONVERT
_DIGESTS = "compare the log files with CloudTrail's digest files"
_WHO = "find out who has changed it (S3 data events, object versions)"

ADVICE: dict[Kind, str] = {
    Kind.PART_ALTERED: f"{_WHO}; {_RESTORE}",
    Kind.PART_DAMAGED: _RESTORE,
    Kind.PART_MISSING: _RESTORE,
    Kind.PART_UNKNOWN: f"find out who has put it there; remove it, or {_CONVERT}",
    Kind.ROW_MISPLACED: _CONVERT,
    Kind.ROW_REPEATED: _CONVERT,
    Kind.ROW_UNREADABLE: _CONVERT,
    Kind.ROW_UNVOUCHED: f"{_WHO}; {_DIGESTS}",
    Kind.RECEIPT_FALSE: f"{_WHO}; {_CONVERT}",
    Kind.RECEIPT_MISSING: _CONVERT,
    Kind.UNIT_MISSING: f"{_WHO}; {_CONVERT}",
    Kind.UNFINISHED: "wait for the run, or convert the unit again: that completes what was begun",
    Kind.RECORD_MISSING: _CONVERT,
    Kind.RECORD_ALTERED: f"{_DIGESTS}; if these are right, {_CONVERT}",
    Kind.NOT_DISCARDED: f"{_CONVERT}, with the rule",
    Kind.NOT_REDACTED: f"{_CONVERT}, with the rule",
    Kind.LOG_GONE: "restore it; if it has expired, convert again: the receipt then says kept",
    Kind.LOG_CHANGED: f"{_WHO}; {_DIGESTS}",
    Kind.LOG_DAMAGED: "restore it from an older version of the object",
    Kind.LOG_ADDED: f"{_DIGESTS}; if it is CloudTrail's, {_CONVERT}",
    Kind.UNREADABLE: "verify again when it can be read",
    Kind.PENDING: "convert",
    Kind.QUARANTINED: "see docs/operations.md, Quarantine",
    Kind.KEPT: "nothing: the log files are gone, and the parts are what is left of them",
    Kind.EXPIRED: "nothing, if a lifecycle rule removes log files; else find out who did",
    Kind.REMOVED: "nothing: expire has removed the days that are too old, as the receipts say",
    Kind.UNHASHED: "nothing; the next conversion of the unit notes it",
    Kind.REBUILT: f"{_CONVERT}: then it counts what the log files hold",
    Kind.ELSEWHERE: "verify these days as well",
}
"""What to do about each kind."""

NOTES = frozenset(
    {
        Kind.PENDING,
        Kind.QUARANTINED,
        Kind.KEPT,
        Kind.EXPIRED,
        Kind.REMOVED,
        Kind.UNHASHED,
        Kind.REBUILT,
        Kind.ELSEWHERE,
    }
)
"""The kinds that say what could not be proved, and why; nothing is wrong."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was found.

    Attributes:
        kind: Its kind.
        unit: The unit that it is about, as `Unit.name` has it; empty for what is in no partition.
        what: What is so, in words.
        part: The key of the part.
        row: The index of the row in it.
        event_id: The ``eventID`` of the row, or of the record.
        log_file: The key of the log file.
        record: The index of the record in it.
        count: How many of them this stands for.
    """

    kind: Kind
    unit: str
    what: str
    part: str = ""
    row: int | None = None
    event_id: str = ""
    log_file: str = ""
    record: int | None = None
    count: int = 1

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong."""
        return self.kind not in NOTES

    @property
    def where(self) -> str:
        """The part with the row, or the log file with the record; else the unit."""
        places = ((self.part, "row", self.row), (self.log_file, "record", self.record))
        found = [f"{key}{'' if n is None else f' {name} {n}'}" for key, name, n in places if key]
        return "; ".join(found) or self.unit


class Amounts(msgspec.Struct, kw_only=True):
    """How much was looked at, or there is.

    Attributes:
        units: Units.
        parts: Parts.
        rows: Their rows.
        bytes: Their bytes.
        log_files: Log files that were read.
        log_bytes: Their bytes as stored.
        records: Records in them.
        odd: Log files that only the converter's own reader can take apart.
    """

    units: int = 0
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    log_files: int = 0
    log_bytes: int = 0
    records: int = 0
    odd: int = 0

    def add(self, other: "Amounts") -> None:
        """Add another amount."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
