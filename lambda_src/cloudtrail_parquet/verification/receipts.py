"""Receipts as data: what they say of a unit, and whether that adds up."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from msgspec import UNSET

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Place, Unit, unit_of
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import intents
from cloudtrail_parquet.state.notes import (
    Notes,
    known_identities,
    read_identities,
    read_notes,
    shard_notes,
)
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.verification.logs import Bounds
from cloudtrail_parquet.verification.parts import DAMAGE, opened
from cloudtrail_parquet.wording import counted

_FATES = ("written", "straggled", "elsewhere", "duplicate", "discarded", "quarantined")
_NAMES = ("read", *_FATES)


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is the same for all of a dataset."""

    layout: PartitionLayout
    bounds: Bounds
    folders: tuple[str, ...]


def properties_of(dataset: ReadStore, state: ReadStore) -> DatasetFacts:
    """What the state says of a dataset, or else the footer of its first part.

    Raises:
        UsageError: Neither does; or ``dataset.json`` is damaged.
    """
    text = state.read_if_there("dataset.json")
    facts = _settings_of_first_part(dataset) if text is None else text.decode(errors="replace")
    try:
        values = json.loads(facts)
        layout = values.get("partition_layout", DEFAULT_LAYOUT)
        PARTITION_COLUMNS[layout]
        bounds = Bounds(int(values["lookbehind_s"]), int(values["lookahead_s"]))
        return DatasetFacts(layout, bounds, tuple(values["folders"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        what = "neither its state nor a part says how the dataset was made"
        hint = "Name a dataset that convert has written, and with --state where its receipts are"
        raise UsageError(what, state.uri, hint) from error


def _settings_of_first_part(dataset: ReadStore) -> str:
    for entry in dataset.files(""):
        if unit_of(entry.key) is not None:
            try:
                with opened(dataset, entry) as part:
                    settings: str = part.footer.get("settings", "")
                    return settings
            except DAMAGE:
                continue
    return ""


class StateReader:
    """What the state says of units.

    Attributes:
        state: The store of receipts, intents and identities.
    """

    def __init__(self, state: ReadStore) -> None:
        self.state = state
        self._cached = lru_cache(64)(self._noted)
        self._with_intents = {unit for unit, _ in intents(state)}

    def of(self, unit: Unit) -> Notes[Receipt]:
        """What it says of a unit now."""
        return read_notes(self.state, unit)

    def noted(self, unit: Unit) -> Notes[Receipt]:
        """What it says of the owner of a part in another unit's partition."""
        return self._cached(unit)

    def _noted(self, unit: Unit) -> Notes[Receipt]:
        return read_notes(self.state, unit)

    def is_open(self, unit: Unit, notes: Notes[Receipt]) -> bool:
        """Whether a run has begun to replace parts of a unit, or of a shard, and has not ended."""
        if notes.intent is not None and not notes.is_true:
            return True
        if unit not in self._with_intents:
            return False
        return any(shard.intent for shard in shard_notes(self.state, unit).values())

    def identities(self, unit: Unit, notes: Notes[Receipt]) -> Identities | None:
        """The log files that a unit was made of; None if that is not known.

        They are kept for the sake of its parts: without any, they may be those of an earlier run.
        """
        receipt = notes.receipt
        if receipt is not None and not receipt.parts and not receipt.identities:
            return None
        known = known_identities(self.state, unit, notes)
        if known is None and (shards := shard_notes(self.state, unit)):
            known = read_identities(self.state, unit, shards)
        return known


def sums(receipt: Receipt) -> Iterator[str]:
    """What does not add up in a receipt, in words."""
    records = receipt.records
    fates = {name: getattr(records, name) for name in _FATES}
    if sum(fates.values()) != records.read:
        yield f"{counted(records.read, 'record')} read, {sum(fates.values()):,} accounted for"
    rows = rows_removed(receipt) + sum(part.rows for part in receipt.parts)
    size = sum(part.bytes for part in receipt.parts)
    if rows != records.written + records.straggled:
        made = records.written + records.straggled
        yield f"{counted(made, 'record')} written, {counted(rows, 'row')} in its parts"
    if size != receipt.bytes_out:
        yield f"{counted(receipt.bytes_out, 'byte')} out, {size:,} in its parts"
    by_day = sum(receipt.stragglers.values())
    if not 0 <= records.straggled - by_day <= rows_removed(receipt):  # days of those may be unknown
        yield f"{counted(records.straggled, 'straggler')}, {by_day:,} by day"
    if receipt.files.listed != receipt.files.read + receipt.files.quarantined:
        yield f"{counted(receipt.files.listed, 'log file')}, not as many read or quarantined"
    yield from _sums_of_places(receipt)


def _sums_of_places(receipt: Receipt) -> Iterator[str]:
    figures = [one for regions in receipt.places.values() for one in regions.values()]
    if not figures or any(len(one.records) != len(_NAMES) for one in figures):
        return
    for number, name in enumerate(_NAMES):
        total = sum(one.records[number] for one in figures)
        if total != getattr(receipt.records, name):
            said = counted(getattr(receipt.records, name), "record")
            yield f"{said} {name}, {total:,} of its places"


def written_by_place(receipt: Receipt) -> dict[Place, int]:
    """How many rows of its own day each place has; nothing if its table does not tell."""
    figures = {
        Place(account, region): one
        for account, regions in receipt.places.items()
        for region, one in regions.items()
        if len(one.records) == len(_NAMES)
    }
    written = {place: one.records[_NAMES.index("written")] for place, one in figures.items()}
    is_told = all(all(place) or not rows for place, rows in written.items())
    return {place: rows for place, rows in written.items() if rows} if is_told else {}


def rows_removed(receipt: Receipt) -> int:
    """How many rows of a unit are no longer kept, since their days are too old."""
    return 0 if receipt.expired is UNSET else receipt.expired.rows


def has_removed(receipt: Receipt | None, day: date) -> bool:
    """Whether a receipt says that what its unit had of a day is no longer kept."""
    return receipt is not None and receipt.expired is not UNSET and day < receipt.expired.before


def part_named(receipt: Receipt | None, key: str) -> Part | None:
    """What a receipt says of a part."""
    return next((part for part in receipt.parts if part.key == key), None) if receipt else None


def is_unread(receipt: Receipt | None, place: Place) -> bool:
    """Whether a receipt says that not all log files of a place were read."""
    if receipt is None:
        return False
    regions = receipt.places.get(place.account, {})
    figures = [regions.get(place.region), regions.get("")]
    return any(one is not None and one.state != "read" for one in figures)


def rules_of(settings: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The rules of settings, as receipts and footers have them."""
    rules = settings.get(name) or ()
    return [rule for rule in rules if isinstance(rule, Mapping)]
