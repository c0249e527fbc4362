"""Additions: log files that are new to a unit are read alone, and no part is touched.

An addition starts from a true receipt and from the identities of the log files that its parts were
made of. It reads the others, leaves out what the unit's own parts hold already, and writes further
parts; the receipts add up. It is what a provisional hour, a late log file, or a new account of a
folded unit needs, and all that can be done where the source no longer holds what was read before.

When the day is settled, or after `MAX_ADDITIONS`, the unit is converted as a whole again, if
nothing is gone from the source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from cloudtrail_parquet.conversion.guard import keys_in
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.layout import Unit, part_number, unit_of
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.state.identities import Fingerprint, Identities, fingerprint_of
from cloudtrail_parquet.state.notes import Notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore

MAX_ADDITIONS = 8
"""So many parts of additions a unit may have: readers open each of them."""


@dataclass(frozen=True)
class Addition:
    """What an addition starts from.

    Attributes:
        before: The receipt of the parts that stay.
        known: The identities of the log files that these were made of.
        files: The log files of the window that are not among them.
        gone: What the source has lost of them, in words; empty if nothing.
        fingerprint: The fingerprint of all of them, those that are gone and the new ones.
    """

    before: Receipt
    known: Identities
    files: list[LogFile]
    gone: str
    fingerprint: str

    @property
    def kept(self) -> frozenset[str]:
        """The keys of the parts that stay."""
        return frozenset(part.key for part in self.before.parts)

    def keys(self, dataset: ReadStore, day: date) -> pa.Array:
        """The keys of the rows that stay in the partition of a day: int64."""
        return keys_in(dataset, sorted(key for key in self.kept if day_of_part(key) == day))


def first_number(unit: Unit, keys: Iterable[str]) -> int:
    """The number after those of the parts, among some, that lie in a unit's partition."""
    numbers = (part_number(key) for key in keys if unit_of(key) == unit)
    return max(numbers, default=-1) + 1


def addition_of(
    notes: Notes[Receipt],
    known: Identities | None,
    window: list[LogFile],
    options: ConversionOptions,
    *,
    is_settled: bool,
) -> Addition | None:
    """What can be added to a unit; None if it has to be converted as a whole, or kept.

    Args:
        notes: What the state says about the unit.
        known: The identities of the log files of the parts that its receipt names.
        window: All log files of the unit that there are now.
        options: How they would be converted.
        is_settled: Whether the unit would be settled.
    """
    before = notes.receipt
    if before is None or known is None:
        return None
    if not is_made_alike(before, options) or may_retry(before):
        return None
    new, gone = known.unknown(window), known.missing_among(file.key for file in window)
    if not new:
        return None
    fingerprint = fingerprint_of(before.source_fingerprint)
    for file in new:
        fingerprint.add(file.key, file.size)
    if not gone:
        is_settling = is_settled and not before.settled
        if is_settling or before.additions >= MAX_ADDITIONS or before.kept:
            return None
        now = Fingerprint()
        for file in window:
            now.add(file.key, file.size)
        if str(now) != str(fingerprint):  # a log file was replaced by another of its name
            return None
    return Addition(before, known, new, gone, str(fingerprint))


def is_made_alike(before: Receipt, options: ConversionOptions) -> bool:
    """Whether a receipt is about rows like those that would be made today."""
    window = options.dataset.window
    made = before.lookbehind_s, before.lookahead_s, before.schema_version, before.folders
    today = window.lookbehind_s, window.lookahead_s, SCHEMA_VERSION, options.dataset.folders
    return made == today and all(
        before.settings.get(name) == value for name, value in options.row_shaping.items()
    )


def may_retry(before: Receipt) -> bool:
    """Whether something that could not be read may be readable now."""
    return any(bad.retryable for bad in before.quarantined)


def day_of_part(key: str) -> date | None:
    """The day of the partition that a part is in."""
    unit = unit_of(key)
    return unit and unit.day
