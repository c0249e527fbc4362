"""Which partition layout would make fewer and larger files of a source than the current one."""

from math import ceil
from typing import NamedTuple

from cloudtrail_parquet.contract import MAX_BUCKET_PART_BYTES, PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.grain import SMALL_BYTES
from cloudtrail_parquet.wording import counted, size_of

MANY_UNITS = 200
"""The units of a day from which on it matters that they are small."""

PARQUET_SHARE = 0.52
"""Bytes of Parquet for each gzipped byte, where units are not small: docs/tuning.md."""

_COARSER: dict[PartitionLayout, tuple[PartitionLayout, ...]] = {
    "account/region/year/month/day": ("account/year/month/day", "year/month/day"),
    "account/region/dt": ("account/dt", "dt"),
    "account/year/month/day": ("year/month/day",),
    "account/dt": ("dt",),
}


class Recommendation(NamedTuple):
    """A layout, and what it would make of a day.

    Attributes:
        layout: The layout.
        files: How many files.
        bytes: The size of one of them.
    """

    layout: PartitionLayout
    files: int
    bytes: float


def recommended(discovery: Discovery, layout: PartitionLayout) -> Recommendation | None:
    """The layout with the smallest units that are not too small; None if the current one is fine.

    That is the case unless most of what a plan has listed is small units, and many of them a day.
    """
    grain = discovery.grain
    if grain.filled < MANY_UNITS * len(grain.days) or 2 * grain.small <= grain.filled:
        return None
    best, a_day = None, grain.bytes / len(grain.days)
    accounts = len({account for account, _ in discovery.with_logs})
    for coarser in _COARSER.get(layout, ()):
        units = 1 if "account" in PLACE_COLUMNS[coarser] else accounts
        parts = ceil(a_day / units * PARQUET_SHARE / MAX_BUCKET_PART_BYTES)
        best = Recommendation(coarser, units * parts, a_day * PARQUET_SHARE / units / parts)
        if a_day / units >= SMALL_BYTES:
            break
    return best


def recommendation_line(discovery: Discovery, layout: PartitionLayout) -> str:
    """The recommendation in words; empty if the current layout is fine."""
    better, grain = recommended(discovery, layout), discovery.grain
    if better is None:
        return ""
    units = counted(round(grain.filled / len(grain.days)), "unit")
    files = counted(better.files, "file")
    return (
        f"{units} a day of {size_of(grain.bytes / grain.filled)} on average: "
        f'partition_layout = "{better.layout}" would make {files} of about '
        f"{size_of(better.bytes)} a day instead, in a new DATASET (docs/tuning.md)"
    )
