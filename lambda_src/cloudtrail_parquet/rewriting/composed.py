"""Receipts in another layout: of many units as one, or of one unit as many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from typing import NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import (
    Expired,
    Files,
    PlaceFigures,
    PlaceTable,
    Quarantined,
    Records,
    by_place,
)
from cloudtrail_parquet.state.identities import (
    Fingerprint,
    Identities,
    fingerprint_of,
    is_fingerprint,
)
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of

_OF_LOGS = ("source_fingerprint", "identities")
_OF_ROWS = (
    "conflicts",
    "bytes_inflated",
    "versions",
    "unmapped",
    "derived",
    "discarded",
    "redacted",
)


class Composed(NamedTuple):
    """A receipt in another layout.

    Attributes:
        receipt: The receipt, without parts.
        unknown: The names of what it cannot tell.
    """

    receipt: Receipt
    unknown: list[str]


def names_alike(one: Unit, other: Unit) -> bool:
    """Whether log files are known by the same names in two units, see `addition.name_in`."""
    return all(one.span) == all(other.span)


def as_one(unit: Unit, receipts: Sequence[Receipt]) -> Composed:
    """The receipt of a unit that spans some others, of their receipts.

    Fingerprints add up where log files are known by the same names in both layouts.
    """
    if len(receipts) == 1 and receipts[0].unit.span == unit.span:
        return Composed(receipts[0], [])
    first, fingerprint = receipts[0], Fingerprint()
    is_known = all(
        names_alike(unit, receipt.unit) and is_fingerprint(receipt.source_fingerprint)
        for receipt in receipts
    )
    for receipt in receipts if is_known else ():
        fingerprint.merge(fingerprint_of(receipt.source_fingerprint))
    folders = reduce(and_, (set(receipt.folders) for receipt in receipts))
    kept = [f"{receipt.unit.name}: {receipt.kept}" for receipt in receipts if receipt.kept]
    made = Made(
        converted_at=max(receipt.converted_at for receipt in receipts),
        schema_version=min(receipt.schema_version for receipt in receipts),
        lookbehind_s=first.lookbehind_s,
        lookahead_s=first.lookahead_s,
        folders=tuple(name for name in first.folders if name in folders),
        source_fingerprint=str(fingerprint) if is_known else "",
        settings=first.settings,
    )
    composed = receipt_of(
        unit,
        made,
        Read.total(receipts, _unplaced(receipts)),
        Rows.total(receipts),
        [],
        is_complete=all(receipt.status == "complete" for receipt in receipts),
        settled=all(receipt.settled for receipt in receipts),
        seconds=sum(receipt.seconds for receipt in receipts),
        kept="; ".join(kept),
        kept_source=str(fingerprint) if kept and is_known else "",
    )
    composed = replace(composed, expired=_expired(receipts))
    if is_known:
        return Composed(composed, [])
    return Composed(replace(composed, places=_of(unit, composed.places)), list(_OF_LOGS))


def _expired(receipts: Sequence[Receipt]) -> Expired | UnsetType:
    """What of some units is no longer kept; their own rows only if that is so of all of them."""
    found = [receipt.expired for receipt in receipts if receipt.expired is not UNSET]
    if not found:
        return UNSET
    return Expired(
        at=max(each.at for each in found),
        before=max(each.before for each in found),
        parts=sum(each.parts for each in found),
        rows=sum(each.rows for each in found),
        bytes=sum(each.bytes for each in found),
        is_own=len(found) == len(receipts) and all(each.is_own for each in found),
    )


def _unplaced(receipts: Sequence[Receipt]) -> list[Misplaced]:
    return [each for receipt in receipts for each in receipt.unplaced]


def merged_identities(unit: Unit, known: Mapping[Unit, Identities | None]) -> Identities | None:
    """The identities of a unit that spans some others; None if they are not known."""
    merged = Identities()
    for other, identities in known.items():
        if identities is None or not names_alike(unit, other):
            return None
        merged.merge(identities)
    return merged


def places_in(receipt: Receipt) -> list[Place]:
    """The places that a receipt has figures of, sorted."""
    return [
        Place(account, region)
        for account, regions in receipt.places.items()
        for region in regions
        if region
    ]


def as_one_of_many(unit: Unit, receipt: Receipt, stragglers: Mapping[str, int]) -> Composed:
    """The receipt of a unit that is a part of another one, of its receipt.

    Fingerprints of places are cut short in receipts, and counts by name are not kept by place.

    Args:
        unit: The unit.
        receipt: The receipt of the larger one.
        stragglers: Its rows in others' partitions, by day.
    """
    table = _of(unit, receipt.places)
    figures = [each for regions in table.values() for each in regions.values()]
    counts = Counter[str]()
    for each in figures:
        counts.update(dict(zip(Records.__struct_fields__, each.records, strict=True)))
    bad = [entry for entry in receipt.quarantined if _is_of(unit, entry)]
    files = sum(each.files for each in figures)
    bad_files = len({entry.key for entry in bad if entry.record is None})
    part = replace(
        receipt,
        account=unit.account,
        region=unit.region,
        source_fingerprint="",
        status="partial" if bad or receipt.kept or _has_refused(figures) else "complete",
        files=Files(listed=files, read=files - bad_files, quarantined=bad_files),
        records=Records(**counts),
        conflicts=0,
        bytes_in=sum(each.bytes for each in figures),
        bytes_inflated=0,
        stragglers=dict(stragglers),
        versions={},
        unmapped={},
        derived={},
        redacted={},
        discarded={},
        unstamped=[key for key in receipt.unstamped if _is_key_of(unit, key)],
        quarantined=bad,
        unplaced=[each for each in receipt.unplaced if _is_key_of(unit, each.folder)],
        places=table,
        kept_source="",
        additions=0,
        identities=b"",
        expired=UNSET
        if receipt.expired is UNSET
        else replace(receipt.expired, parts=0, rows=0, bytes=0),
    )
    return Composed(part, [*_OF_LOGS, *_OF_ROWS])


def _of(unit: Unit, table: PlaceTable) -> PlaceTable:
    return by_place(
        {
            Place(account, region): replace(figures, fingerprint="")
            for account, regions in table.items()
            for region, figures in regions.items()
            if unit.holds(account, region)
        }
    )


def _has_refused(figures: Sequence[PlaceFigures]) -> bool:
    return any(each.state != "read" for each in figures)


def _is_of(unit: Unit, entry: Quarantined) -> bool:
    return _is_key_of(unit, entry.key)


def _is_key_of(unit: Unit, key: str) -> bool:
    """Whether a log file is of a unit's account and region, by its folders."""
    folders = key.split("/")
    return all(name in folders for name in unit.span if name)
