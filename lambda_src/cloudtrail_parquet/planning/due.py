"""Why a unit is due for conversion: its receipt compared with what is true now.

A unit is outdated when converting it would give other rows. Settings that only change how its files
look (codec, sizes, filters, order) are asked about separately, as ``reshaped``: otherwise a new
default would cause years of logs to be converted again.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

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
CHANGED = "log files of its window have changed"
REBUILT = "its receipt was rebuilt from its parts, and its log files can tell more"


ReasonKind = Literal["schema", "settings", "window", "files", "parts", "refused", "rebuilt"]
"""What has changed since a unit was converted: the schema; settings; whether its window has passed;
its log files, or whether they can be read; its parts; whether an account may be listed. Or its
receipt was rebuilt from its parts, so that its log files tell more."""


class Reason(NamedTuple):
    """Why a unit is outdated.

    Attributes:
        kind: What has changed.
        words: The same in words.
    """

    kind: ReasonKind
    words: str


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
    why = next((each.words for each in reasons(receipt, present, options, reshaped=reshaped)), "")
    if incomplete is not None and not why and receipt.status == "partial":
        incomplete.append(f"{unit.name}: {_lacks(receipt)}")
    return why


def reasons(
    receipt: Receipt, present: Present, options: PlanOptions, *, reshaped: bool = False
) -> Iterator[Reason]:
    """Why a unit is outdated, by its receipt; the arguments are those of `why_outdated`."""
    of_rows = _if_kept if receipt.kept else partial(_if_made, reshaped=reshaped)
    yield from _of_quarantine(receipt)
    yield from of_rows(receipt, present, options)
    yield from _of_parts(receipt, present)
    if present.is_settled and not receipt.settled:
        yield Reason("window", SETTLES)


def _lacks(receipt: Receipt) -> str:
    """Why a receipt is of a part of its log files only, in words."""
    if receipt.kept:
        return f"kept as it was: {receipt.kept}"
    files, records = receipt.files.quarantined, receipt.records.quarantined
    if files or records:
        return f"quarantined: {counted(files, 'log file')}, {counted(records, 'record')}"
    return "an account may not be listed"


def _of_quarantine(receipt: Receipt) -> Iterator[Reason]:
    if any(bad.retryable for bad in receipt.quarantined):
        yield Reason("files", "a log file could not be read that may be readable now")


def _if_kept(receipt: Receipt, present: Present, options: PlanOptions) -> Iterator[Reason]:
    """Another run would keep the parts as well, unless its source is another one."""
    if options.replace_shrunk and not present.refused:
        yield Reason("files", "it was kept as it was, and replace_shrunk replaces it")
    if kept_source(receipt, present.fingerprint, options.rows) != receipt.kept_source:
        yield Reason("files", "log files of its window have changed since it was kept")


def _if_made(
    receipt: Receipt, present: Present, options: PlanOptions, *, reshaped: bool
) -> Iterator[Reason]:
    if receipt.schema_version < SCHEMA_VERSION:
        words = f"of schema version {receipt.schema_version}; now it is {SCHEMA_VERSION}"
        yield Reason("schema", words)
    if not is_fingerprint(receipt.source_fingerprint):
        yield Reason("files", "its receipt does not say which log files it was made of")
    elif not _is_same_source(receipt, present):
        yield Reason("files", CHANGED)
    yield from _no_longer_refused(receipt, present)
    if names := _differing(receipt.settings, options.rows):
        yield Reason("settings", f"made with other {names}")
    if receipt.rebuilt:
        yield Reason("rebuilt", REBUILT)
    if reshaped and (names := _differing(receipt.settings, options.files)):
        yield Reason("settings", f"its files were made with other {names}")


def _no_longer_refused(receipt: Receipt, present: Present) -> Iterator[Reason]:
    for account, regions in receipt.places.items():
        was_refused = any(place.state == "refused" for place in regions.values())
        if was_refused and account not in present.refused:
            yield Reason("refused", f"account {account} can be listed again")


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


def _of_parts(receipt: Receipt, present: Present) -> Iterator[Reason]:
    """How the parts of a unit differ from its receipt."""
    unit, parts = receipt.unit, present.parts
    if parts is None:
        return
    for part in receipt.parts:
        partition_of = unit_of(part.key)
        size = parts.on(partition_of.day).get(part.key) if partition_of else None
        if size is None:
            yield Reason("parts", f"{part.key} is gone")
        elif size != part.bytes:
            words = f"{part.key} has {counted(size, 'byte')} in place of {part.bytes:,}"
            yield Reason("parts", words)
    recorded = {part.key for part in receipt.parts}
    for key in parts.on(unit.day):
        if key not in recorded and owner_day(key, unit.day) == unit.day:
            yield Reason("parts", f"{key} is in no receipt")
