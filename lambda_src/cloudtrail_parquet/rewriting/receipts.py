"""Receipts of parts that were made of other parts."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec.structs import astuple, replace

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.rewriting.parts.rows import RowChanger
from cloudtrail_parquet.rewriting.wanted import Wanted
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.state.figures import (
    PlaceTable,
    Records,
    added,
    commonest,
)
from cloudtrail_parquet.state.receipt import Receipt

_RECORDS = Records.__struct_fields__


def as_changed(
    before: Receipt,
    wanted: Wanted,
    own: Collection[RowChanger],
    stragglers: Collection[RowChanger],
    inexact: Mapping[str, int],
) -> Receipt:
    """The receipt of rows that were changed; parts and how they were made are for others to add.

    Args:
        before: The receipt of the rows as they were.
        wanted: What they are like now.
        own: What was changed of the rows in the unit's own partition.
        stragglers: Likewise of those in others'.
        inexact: Rows of which ``unmapped`` keeps an exact text, by name, as the writer has counted.
    """
    changers = [*own, *stragglers]
    unmapped = _sum(before.unmapped, *(one.unmapped for one in changers), inexact)
    derived = _sum(before.derived, *(one.derived for one in changers))
    records, places, rules = before.records, before.places, Counter(before.discarded)
    for changer in changers:
        name = "written" if changer in own else "straggled"
        for place, counts in changer.discarded.items():
            rules.update(counts)
            records = Records(**_moved(astuple(records), name, counts.total()))
            places = _moved_in(places, place, before.unit.span, name, counts.total())
    return replace(
        before,
        schema_version=SCHEMA_VERSION,
        settings=wanted.shaping,
        unmapped=commonest(unmapped),
        derived=dict(derived),
        discarded=dict(rules),
        redacted=dict(added([before.redacted, *(one.redactor.counts for one in changers)])),
        records=records,
        places=places,
        kept_source="",  # what could not join the parts as they were may join them now
    )


def _sum(*counts: Mapping[str, int]) -> Counter[str]:
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return +total


def _moved(records: Iterable[int], name: str, rows: int) -> dict[str, int]:
    """What became of records, of which some are discarded that were kept under a name."""
    counts = dict(zip(_RECORDS, records, strict=True))
    counts[name] -= rows
    counts["discarded"] += rows
    return counts


def _moved_in(places: PlaceTable, place: Place, span: Place, name: str, rows: int) -> PlaceTable:
    """The same for a place, or the unit's span where the table has that only."""
    where = place if place.region in places.get(place.account, {}) else span
    figures = places.get(where.account, {}).get(where.region)
    if figures is None:
        return places
    counts = _moved(figures.records, name, rows)
    records = tuple(counts[field] for field in _RECORDS)
    account, region = where
    regions = {**places[account], region: replace(figures, records=records)}
    return {**places, account: regions}


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were others before, with their values."""
    return {name: value for name, value in before.items() if now.get(name) != value}
