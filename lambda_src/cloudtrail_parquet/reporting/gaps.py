"""Days of which something is to be said, with the cause, as ranges: worst first."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined
from cloudtrail_parquet.reporting.drawing.tables import NUMBER, folded, paragraph, table
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.kinds import kind_of, places_in_words, severity, told
from cloudtrail_parquet.wording import counted

_SHOWN, _ON_DEMAND = 25, 200
_OF_NOTE = frozenset({"lack", "old", "part", "none"})


class NotedDays(NamedTuple):
    """Days of some places of which the same is said."""

    first: date
    last: date
    verdict: Verdict
    places: list[Place]

    @property
    def days(self) -> int:
        """How many days of places."""
        return ((self.last - self.first).days + 1) * len(self.places)


def gaps_of(figures: ReportFigures) -> list[NotedDays]:
    """All gaps, worst first."""
    return grouped(each for each in figures.ranges() if kind_of(each.verdict) in _OF_NOTE)


def grouped(ranges: Iterable[CoveredRange]) -> list[NotedDays]:
    """Days of places, worst first; what befell several places on the same days is one of them."""
    alike = defaultdict[tuple[date, date, str, str], list[CoveredRange]](list)
    for each in ranges:
        alike[each.first, each.last, each.verdict.state, each.verdict.cause].append(each)
    found = [
        NotedDays(some[0].first, some[0].last, some[0].verdict, [each.place for each in some])
        for some in alike.values()
    ]
    return sorted(found, key=_rank)


def _rank(gap: NotedDays) -> tuple[object, ...]:
    return -severity(kind_of(gap.verdict)), -gap.days, gap.first, gap.last, gap.places


def gaps_table(gaps: list[NotedDays]) -> Markup:
    """The first of some gaps as a table, further ones on demand, and how many others there are."""
    columns = (
        ("days (UTC)", "days"),
        ("account", "names"),
        ("region", "names"),
        ("state and cause", "cause"),
        ("days of places", NUMBER),
    )
    further, others = gaps[_SHOWN:_ON_DEMAND], len(gaps) - _ON_DEMAND
    return joined(
        table(columns, map(_row, gaps[:_SHOWN]), "stacked gaps"),
        folded(
            counted(len(gaps) - _SHOWN, "further range"),
            table(columns, map(_row, further), "stacked gaps"),
            paragraph(f"And {others:,} more, no worse than these.") if others > 0 else None,
        )
        if further
        else None,
    )


def _row(gap: NotedDays) -> tuple[object, ...]:
    verdict = gap.verdict
    accounts, regions = places_in_words(gap.places)
    basis = element("small", verdict.basis) if verdict.basis else None
    cause = joined(element("b", told(verdict), class_=f"{kind_of(verdict)} mark"), " ", basis)
    days = days_in_words(gap.first, gap.last)
    return days, accounts, regions, cause, f"{gap.days:,}"


def days_in_words(first: date, last: date) -> Markup:
    """One day, or the first and the last of several, each on a line that is not broken."""
    parts: Iterator[Markup] = (
        element("time", str(day), datetime=str(day)) for day in dict.fromkeys((first, last))
    )
    return joined(*parts, by=" to ")
