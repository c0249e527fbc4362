"""Why a unit is due for conversion: its receipt compared with what is true now.

A unit is outdated when converting it would give other rows. Settings that only change how its files
look (codec, sizes, filters, order) are asked about separately, as ``reshaped``: otherwise a new
default would cause years of logs to be converted again.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from cloudtrail_parquet.layout import Unit, owner_day, unit_of
from cloudtrail_parquet.planning.part_sizes import PartSizes
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


def why_outdated(  # noqa: PLR0913
    state: ReadStore,
    unit: Unit,
    fingerprint: str,
    parts: PartSizes | None,
    options: PlanOptions,
    *,
    reshaped: bool = False,
) -> str:
    """Why a unit that has a receipt is to be converted again, in words; empty if it is not.

    Args:
        state: The store of the receipt.
        unit: The unit.
        fingerprint: The fingerprint of the log files that are in its window now.
        parts: The parts that there are now; None if these are not compared.
        options: The current options.
        reshaped: Whether settings that only change how files look count as well.
    """
    text = state.read_if_there(StateKeys.of(unit).receipt)
    if text is None:
        return NEVER  # removed after it was listed
    receipt = decode_receipt(text, unit, Receipt)
    if receipt is None:
        return "its receipt cannot be read"
    reasons = _reasons(receipt, fingerprint, options, reshaped=reshaped)
    damage = _damage(receipt, parts) if parts is not None else ()
    return next(chain(reasons, damage), "")


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


def _damage(receipt: Receipt, parts: PartSizes) -> Iterator[str]:
    """How the parts of a unit differ from its receipt, in words."""
    unit = receipt.unit
    for part in receipt.parts:
        partition_of = unit_of(part.key)
        size = parts.on(partition_of.day).get(part.key) if partition_of else None
        if size is None:
            yield f"{part.key} is gone"
        elif size != part.bytes:
            yield f"{part.key} has {size} bytes in place of {part.bytes}"
    recorded = {part.key for part in receipt.parts}
    for key in parts.on(unit.day):
        if key not in recorded and owner_day(key, unit.day) == unit.day:
            yield f"{key} is in no receipt"
