"""Which units of a dataset are rewritten, and what of them changes: their receipts tell."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from cloudtrail_parquet.layout import Unit, state_unit
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.rewriting.wanted import wanted_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.together import ahead

Which = Literal["outdated", "all"]
"""Which units are rewritten: those that would become others, or all."""

_AT_A_TIME = 16


class PlannedRewrite(NamedTuple):
    """A unit that is to be rewritten.

    Attributes:
        unit: The unit.
        parts: How many parts it has.
        bytes: Their size.
        why: What of them changes: names of settings, and the schema; empty if nothing does.
    """

    unit: Unit
    parts: int
    bytes: int
    why: tuple[str, ...]


def units_in(state: ReadStore, wanted: UnitRange) -> list[Unit]:
    """The units of a range that have a receipt or an intent, sorted."""
    entries = (entry for kind in ("receipts/", "intents/") for entry in state.files(kind))
    units = {unit for entry in entries if (unit := state_unit(entry.key)) is not None}
    return sorted(filter(wanted.holds_unit, units))


def planned(
    state: ReadStore, units: list[Unit], which: Which, settings: Settings
) -> Iterator[PlannedRewrite]:
    """Those of some units that are to be rewritten in place.

    A unit without a readable receipt, or with an intent, is one of them: whoever rewrites it says
    what is wrong, or completes what was begun.
    """

    def compare(unit: Unit) -> PlannedRewrite | None:
        notes = read_notes(state, unit)
        receipt = notes.receipt
        if receipt is None:
            return PlannedRewrite(unit, 0, 0, ("receipt",))
        why = wanted_of(receipt.settings, settings).why(receipt.schema_version, receipt.settings)
        if notes.intent_version is not None:
            why = [*why, "begun"]
        if not why and which == "outdated":
            return None
        size = sum(part.bytes for part in receipt.parts)
        return PlannedRewrite(unit, len(receipt.parts), size, tuple(why))

    number = _AT_A_TIME if state.parallel > 1 else 1
    return (each for each in ahead(compare, units, number) if each is not None)
