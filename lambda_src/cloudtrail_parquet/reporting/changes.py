"""What has changed since the last report, which the page that is replaced tells.

A page carries a summary of itself as JSON. No program has to keep it elsewhere: where a report is
written over an older one, that is read first, and the two are compared.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, NamedTuple

import msgspec

from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.reporting.drawing.markup import Markup, literal
from cloudtrail_parquet.reporting.figures import DAY, ReportFigures

_BEGIN = b'<script type="application/json" id="summary">'
_END = b"</script>"
_MOST = 5_000
VERSION = 1

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""A number that a report counts to; a page that has been tampered with may have any other."""

Range = tuple[str, str, date, date]
"""An account, a region, the first day and the last one."""


class ReportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a report remembers for the next one.

    Attributes:
        version: Of this form.
        dataset: The location of the dataset.
        made: When the report was made: ISO 8601, UTC.
        first: The first day.
        last: The last day.
        selection: The accounts and regions that it is about; empty for all.
        records: Records in the dataset.
        late: Those of them that came late.
        unreadable: Log files and records that could not be read.
        log_bytes: Stored bytes of log files.
        parquet_bytes: Bytes of parts.
        places: How many places have been seen.
        lacking: How many days of places lack.
        lacks: Those days as ranges; the first of them, if they are very many.
    """

    version: int
    dataset: str
    made: str
    first: date
    last: date
    selection: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    records: Count = 0
    late: Count = 0
    unreadable: Count = 0
    log_bytes: Count = 0
    parquet_bytes: Count = 0
    places: Count = 0
    lacking: Count = 0
    lacks: tuple[Range, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all days that lack are named."""
        return len(self.lacks) < _MOST


class ReportChanges(NamedTuple):
    """What has changed between two reports.

    Attributes:
        before: The earlier one.
        now: The later one.
        closed: Days of places that lacked before and do not now.
        opened: Days of places that lack now and did not before, though both are about them.
    """

    before: ReportSummary
    now: ReportSummary
    closed: tuple[Range, ...]
    opened: tuple[Range, ...]


def summary_of(
    figures: ReportFigures, dataset: str, made: str, selection: tuple[tuple[str, ...], ...]
) -> ReportSummary:
    """The summary of a report."""
    total = figures.total
    lacks = [
        (writable(each.place.account), writable(each.place.region), each.first, each.last)
        for each in figures.ranges()
        if each.verdict.is_lack
    ]
    accounts, regions = selection
    return ReportSummary(
        version=VERSION,
        dataset=writable(dataset),
        made=made,
        first=figures.first,
        last=figures.last,
        selection=(accounts, regions),
        records=total.records,
        late=total.late,
        unreadable=figures.unreadable_count,
        log_bytes=total.log_bytes,
        parquet_bytes=total.parquet_bytes,
        places=len(figures.coverage),
        lacking=figures.lacking,
        lacks=tuple(lacks[:_MOST]),
    )


def embedded(summary: ReportSummary) -> Markup:
    """A summary as a page carries it; none of its names can end it."""
    text = json.dumps(msgspec.to_builtins(summary), separators=(",", ":"))  # ASCII
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return literal(_BEGIN.decode() + safe + _END.decode())


def is_report(page: bytes) -> bool:
    """Whether a file is a report, of any version."""
    return _BEGIN in page


def summary_in(page: bytes) -> ReportSummary | None:
    """The summary that a page carries; None if it is not a report, or one of another form."""
    text, end, _ = page.partition(_BEGIN)[2].partition(_END)
    if not end:
        return None
    try:
        summary = msgspec.json.decode(text, type=ReportSummary)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return summary if summary.version == VERSION else None


def compared(before: ReportSummary, now: ReportSummary) -> ReportChanges | None:
    """What has changed; None if the reports are about different datasets, accounts or regions."""
    if (before.dataset, before.selection) != (now.dataset, now.selection):
        return None
    both = max(before.first, now.first), min(before.last, now.last)
    if not (before.is_whole and now.is_whole):
        return ReportChanges(before, now, (), ())
    closed = tuple(_without(before.lacks, now.lacks, both))
    return ReportChanges(before, now, closed, tuple(_without(now.lacks, before.lacks, both)))


def _without(
    ranges: Iterable[Range], others: Iterable[Range], within: tuple[date, date]
) -> Iterator[Range]:
    """Ranges of days without those that are among others, and only within some days."""
    taken = defaultdict[Place, list[tuple[date, date]]](list)
    for account, region, first, last in others:
        taken[Place(account, region)].append((first, last))
    for account, region, first, last in ranges:
        begin, end = max(first, within[0]), min(last, within[1])
        for other_first, other_last in sorted(taken[Place(account, region)]):
            if other_last < begin or other_first > end:
                continue
            if other_first > begin:
                yield account, region, begin, other_first - DAY
            if other_last >= end:
                break
            begin = other_last + DAY
        else:
            if begin <= end:
                yield account, region, begin, end


def as_covered(ranges: Iterable[Range]) -> Iterator[CoveredRange]:
    """Ranges as the coverage has them."""
    for account, region, first, last in ranges:
        yield CoveredRange(Place(account, region), first, last, Verdict("missing"))
