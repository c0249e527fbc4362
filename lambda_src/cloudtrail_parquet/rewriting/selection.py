"""Which units of a dataset are rewritten, and what of them changes: their receipts tell."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cloudtrail_parquet.layout import Unit, owner_unit, state_unit
from cloudtrail_parquet.planning.cost import REWRITE_BYTES_PER_S, REWRITE_UNIT_S
from cloudtrail_parquet.planning.ranges import ToRewrite, UnitRange
from cloudtrail_parquet.rewriting.wanted import wanted_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.together import ahead

_AT_A_TIME = 16


class PlannedRewrite(NamedTuple):
    """A unit that is to be rewritten.

    Attributes:
        unit: The unit.
        parts: How many parts it has.
        bytes: Their size.
        why: What of them changes: names of settings, and the schema; empty if nothing does.
        keys: The keys of those that a listing has, if there was one.
    """

    unit: Unit
    parts: int
    bytes: int
    why: tuple[str, ...]
    keys: frozenset[str] = frozenset()

    @property
    def seconds(self) -> float:
        """An estimate of how long rewriting it takes."""
        return rewrite_seconds(self.bytes)


def rewrite_seconds(size: int) -> float:
    """An estimate of how long it takes to rewrite a unit with parts of so many bytes."""
    return REWRITE_UNIT_S + size / REWRITE_BYTES_PER_S


def units_in(state: ReadStore, wanted: UnitRange) -> list[Unit]:
    """The units of a range that have a receipt or an intent, sorted."""
    entries = (entry for kind in ("receipts/", "intents/") for entry in state.files(kind))
    units = {unit for entry in entries if (unit := state_unit(entry.key)) is not None}
    return sorted(filter(wanted.holds_unit, units))


def parts_by_owner(dataset: ReadStore, wanted: UnitRange) -> dict[Unit, frozenset[str]]:
    """The keys of all parts of the units of a range, wherever they lie, by unit."""
    found = defaultdict[Unit, list[str]](list)
    for entry in dataset.files(""):
        unit = owner_unit(entry.key)
        if unit is not None and wanted.holds_unit(unit):
            found[unit].append(entry.key)
    return {unit: frozenset(keys) for unit, keys in found.items()}


def planned(
    state: ReadStore,
    units: list[Unit],
    which: ToRewrite,
    settings: Settings,
    parts: Mapping[Unit, frozenset[str]] = MappingProxyType({}),
) -> Iterator[PlannedRewrite]:
    """Those of some units that are to be rewritten in place.

    A unit without a readable receipt, or with an intent, is one of them: whoever rewrites it says
    what is wrong, or completes what was begun. So is one with a part that its receipt does not
    name, as far as ``parts``, the keys of parts by unit, tell.
    """

    def compare(unit: Unit) -> PlannedRewrite | None:
        notes, keys = read_notes(state, unit), parts.get(unit, frozenset())
        receipt = notes.receipt
        if receipt is None:
            return PlannedRewrite(unit, 0, 0, ("receipt",), keys)
        why = wanted_of(receipt.settings, settings).why(receipt.schema_version, receipt.settings)
        if notes.intent_version is not None:
            why = [*why, "begun"]
        if keys.difference(part.key for part in receipt.parts):
            why = [*why, "parts"]
        if not why and which == "outdated":
            return None
        size = sum(part.bytes for part in receipt.parts)
        return PlannedRewrite(unit, len(receipt.parts), size, tuple(why), keys)

    number = _AT_A_TIME if state.parallel > 1 else 1
    return (each for each in ahead(compare, units, number) if each is not None)
