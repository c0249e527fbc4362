"""Why a unit is due for conversion: its receipt compared with what is true now.

A unit is outdated when converting it would give other rows. Settings that only change how its files
look (codec, sizes, filters, order) are asked about separately, as ``reshaped``: otherwise a new
default would cause years of logs to be converted again.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from cloudtrail_parquet.layout import Unit, owner_day, unit_of
from cloudtrail_parquet.planning.part_sizes import PartSizes
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.state.identities import is_fingerprint, is_without
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import decode_receipt
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.state.sums import kept_source
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.wording import counted

NEVER = "never converted"
NO_RECEIPT = "it has parts, no log files, and no receipt"
UNFINISHED = "a run that was replacing it has not finished"
SETTLES = "its window had not passed"


class Present(NamedTuple):
    """What is true of a unit now.

    Attributes:
        fingerprint: The fingerprint of the log files that are in its window.
        is_settled: Whether this window has passed, with a margin.
        refused: Accounts that may not be listed.
        parts: The parts that there are; None if these are not compared.
    """

    fingerprint: str
    is_settled: bool
    refused: Collection[str] = ()
    parts: PartSizes | None = None


def why_outdated(  # noqa: PLR0913
    state: ReadStore,
    unit: Unit,
    present: Present,
    options: PlanOptions,
    *,
    reshaped: bool = False,
    incomplete: list[str] | None = None,
) -> str:
    """Why a unit that has a receipt is to be converted again, in words; empty if it is not.

    A unit whose window has not passed is only due if its log files have changed. Once the window
    has passed it is due a last time, for the receipt to say so. One whose rows are no longer kept
    never is.

    Args:
        state: The store of the receipt.
        unit: The unit.
        present: What is true of it now.
        options: The current options.
        reshaped: Whether settings that only change how files look count as well.
        incomplete: Receives in words what a unit lacks that is not due.
    """
    text = state.read_if_there(StateKeys.of(unit).receipt)
    if text is None:
        return NEVER  # removed after it was listed
    receipt = decode_receipt(text, unit, Receipt)
    if receipt is None:
        return "its receipt cannot be read"
    if receipt.is_expired:
        return ""
    reasons = _if_kept if receipt.kept else partial(_if_made, reshaped=reshaped)
    why = next(
        chain(
            _of_quarantine(receipt),
            reasons(receipt, present, options),
            _of_parts(receipt, present),
            [SETTLES] if present.is_settled and not receipt.settled else [],
        ),
        "",
    )
    if incomplete is not None and not why and receipt.status == "partial":
        incomplete.append(f"{unit.name}: {_lacks(receipt)}")
    return why


def _lacks(receipt: Receipt) -> str:
    """Why a receipt is of a part of its log files only, in words."""
    if receipt.kept:
        return f"kept as it was: {receipt.kept}"
    files, records = receipt.files.quarantined, receipt.records.quarantined
    if files or records:
        return f"quarantined: {counted(files, 'log file')}, {counted(records, 'record')}"
    return "an account may not be listed"


def _of_quarantine(receipt: Receipt) -> Iterator[str]:
    if any(bad.retryable for bad in receipt.quarantined):
        yield "a log file could not be read that may be readable now"


def _if_kept(receipt: Receipt, present: Present, options: PlanOptions) -> Iterator[str]:
    """Another run would keep the parts as well, unless its source is another one."""
    if options.replace_shrunk and not present.refused:
        yield "it was kept as it was, and replace_shrunk replaces it"
    if kept_source(receipt, present.fingerprint, options.rows) != receipt.kept_source:
        yield "log files of its window have changed since it was kept"


def _if_made(
    receipt: Receipt, present: Present, options: PlanOptions, *, reshaped: bool
) -> Iterator[str]:
    if receipt.schema_version < SCHEMA_VERSION:
        yield f"of schema version {receipt.schema_version}; now it is {SCHEMA_VERSION}"
    if not is_fingerprint(receipt.source_fingerprint):
        yield "its receipt does not say which log files it was made of"
    elif not _is_same_source(receipt, present):
        yield "log files of its window have changed"
    yield from _no_longer_refused(receipt, present)
    if names := _differing(receipt.settings, options.rows):
        yield f"made with other {names}"
    if reshaped and (names := _differing(receipt.settings, options.files)):
        yield f"its files were made with other {names}"


def _no_longer_refused(receipt: Receipt, present: Present) -> Iterator[str]:
    for account, regions in receipt.places.items():
        was_refused = any(place.state == "refused" for place in regions.values())
        if was_refused and account not in present.refused:
            yield f"account {account} can be listed again"


def _is_same_source(receipt: Receipt, present: Present) -> bool:
    """Whether a unit was made of the log files that there are now.

    Those of an account that may not be listed for now are taken to be there still: what was made
    of them would be kept.
    """
    if receipt.source_fingerprint == present.fingerprint:
        return True
    by_region = (receipt.places.get(account, {}) for account in present.refused)
    places = [place.fingerprint for places in by_region for place in places.values()]
    known = [fingerprint for fingerprint in places if fingerprint]
    return is_without(present.fingerprint, receipt.source_fingerprint, known)


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The names of settings that differ; settings that did not exist before do not count."""
    return ", ".join(name for name, value in now.items() if before.get(name, value) != value)


def _of_parts(receipt: Receipt, present: Present) -> Iterator[str]:
    """How the parts of a unit differ from its receipt."""
    unit, parts = receipt.unit, present.parts
    if parts is None:
        return
    for part in receipt.parts:
        partition_of = unit_of(part.key)
        size = parts.on(partition_of.day).get(part.key) if partition_of else None
        if size is None:
            yield f"{part.key} is gone"
        elif size != part.bytes:
            yield f"{part.key} has {counted(size, 'byte')} in place of {part.bytes:,}"
    recorded = {part.key for part in receipt.parts}
    for key in parts.on(unit.day):
        if key not in recorded and owner_day(key, unit.day) == unit.day:
            yield f"{key} is in no receipt"
