"""Why a unit is due for conversion: its receipt compared with what is true now.

A unit is outdated when converting it would give other rows. Settings that only change how its files
look (codec, sizes, filters, order) are asked about separately, as ``reshaped``: otherwise a new
default would cause years of logs to be converted again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtrail_parquet.layout import Unit, owner_day, unit_of
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.state.identities import is_fingerprint
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import decode_receipt
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore

NEVER = "never converted"
NO_RECEIPT = "it has parts, no log files, and no receipt"
UNFINISHED = "a run that was replacing it has not finished"

Sizes = Mapping[str, int]
"""The sizes of the parts of an account and region, in bytes, by key."""


def why_outdated(
    state: ReadStore, unit: Unit, fingerprint: str, options: PlanOptions, *, reshaped: bool = False
) -> tuple[str, Receipt | None]:
    """Why a unit that has a receipt is to be converted again, in words; empty if it is not.

    Args:
        state: The store of the receipt.
        unit: The unit.
        fingerprint: The fingerprint of the log files that are in its window now.
        options: The current options.
        reshaped: Whether settings that only change how files look count as well.

    Returns:
        The reason, and the receipt if it can be read.
    """
    text = state.read_if_there(StateKeys.of(unit).receipt)
    if text is None:
        return NEVER, None  # removed after it was listed
    receipt = decode_receipt(text, unit, Receipt)
    if receipt is None:
        return "its receipt cannot be read", None
    return next(_reasons(receipt, fingerprint, options, reshaped=reshaped), ""), receipt


def _reasons(
    receipt: Receipt, fingerprint: str, options: PlanOptions, *, reshaped: bool
) -> Iterator[str]:
    if any(bad.retryable for bad in receipt.quarantined):
        yield "a log file could not be read that may be readable now"
    if not receipt.settled:
        yield "its window had not passed"
    if receipt.kept:  # as another run would do, unless its source is another one
        if fingerprint != receipt.kept_source:
            yield "log files of its window have changed since it was kept"
        return
    if receipt.schema_version < SCHEMA_VERSION:
        yield f"of schema version {receipt.schema_version}; now it is {SCHEMA_VERSION}"
    if not is_fingerprint(receipt.source_fingerprint):
        yield "its receipt does not say which log files it was made of"
    elif receipt.source_fingerprint != fingerprint:
        yield "log files of its window have changed"
    if names := _differing(receipt.settings, options.rows):
        yield f"made with other {names}"
    if reshaped and (names := _differing(receipt.settings, options.files)):
        yield f"its files were made with other {names}"


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The names of settings that differ; settings that did not exist before do not count."""
    return ", ".join(name for name, value in now.items() if before.get(name, value) != value)


def why_damaged(receipt: Receipt, sizes: Sizes) -> str:
    """Why the parts of a unit do not match its receipt, in words; empty if they do."""
    unit = receipt.unit
    for part in receipt.parts:
        if part.key not in sizes:
            return f"{part.key} is gone"
        if sizes[part.key] != part.bytes:
            return f"{part.key} has {sizes[part.key]} bytes in place of {part.bytes}"
    recorded = {part.key for part in receipt.parts}
    for key in sizes:
        if key not in recorded and unit_of(key) == unit and owner_day(key, unit.day) == unit.day:
            return f"{key} is in no receipt"
    return ""
