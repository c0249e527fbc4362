"""Figures of a report as an organisation has them, made up, with gaps of several causes."""

import random
from datetime import date, timedelta

from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.reporting.changes import ReportChanges, compared, summary_of
from cloudtrail_parquet.reporting.figures import (
    Counted,
    DayFigures,
    ReportFigures,
    TopFigures,
    Unreadable,
)
from cloudtrail_parquet.reporting.page import page
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import Quarantined

REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("eu-central-1", "eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "sa-east-1"),
    *("ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
)
FIRST = date(2025, 1, 1)
GAPS = (
    Verdict("missing", "never converted", "there are 12 log files, and no receipt"),
    Verdict("missing", "deleted", "log files that a digest names are gone"),
    Verdict("outdated", "schema", "made with schema 1; now it is 2"),
    Verdict("partial", "quarantined", "log files or records could not be read"),
    Verdict("partial", "refused", "the account could not be listed"),
    Verdict("kept", "shrunk", "its log files were gone, or could not be read again"),
    Verdict("empty", "trail stopped", "StopLogging by role/ops at 2025-03-03 09:12"),
)
CONVERTED = Verdict("converted")
QUIET = Verdict("empty", "quiet", "there are no log files")
PLACE = Place("1", "a")


def day_of(number: int) -> date:
    """A day by its number, from 0."""
    return FIRST + timedelta(number)


def ranges_of(days: list[Verdict], place: Place = PLACE) -> list[CoveredRange]:
    """What is said of consecutive days of a place, as ranges."""
    ranges, begin = [], 0
    for number in range(1, len(days) + 1):
        if number == len(days) or days[number] != days[begin]:
            ends = day_of(begin), day_of(number - 1)
            ranges.append(CoveredRange(place, *ends, days[begin]))
            begin = number
    return ranges


def organisation(accounts: int, regions: int, days: int, gaps: int, seed: int = 1) -> ReportFigures:
    """The figures of an organisation: places with quiet days, an outage of half of them, gaps."""
    draw = random.Random(seed)
    grid = {
        Place(f"{100_000_000_000 + 8_021_947 * number}", region): [CONVERTED] * days
        for number in range(accounts)
        for region in REGIONS[:regions]
    }
    places = list(grid)
    for said in grid.values():
        for _ in range(days // 10):
            said[draw.randrange(days)] = QUIET
    for _ in range(gaps):
        days_of_place, gap = grid[draw.choice(places)], draw.choice(GAPS)
        begin, length = draw.randrange(days), draw.choice([1, 1, 2, 5, 20])
        days_of_place[begin : begin + length] = [gap] * len(days_of_place[begin : begin + length])
    outage = days * 2 // 3
    for place in places[: len(places) // 2] if gaps else ():
        grid[place][outage : outage + 2] = [GAPS[0]] * len(grid[place][outage : outage + 2])
    figures = ReportFigures(FIRST, day_of(days - 1))
    figures.coverage = {place: ranges_of(said, place) for place, said in grid.items()}
    for number in range(days):
        records = len(places) * draw.randrange(300, 500)
        figures.days[day_of(number)] = DayFigures(
            written=records,
            late=records // draw.choice([20, 900, 1100]),
            files=records // 60,
            log_bytes=records * 250,
            parquet_bytes=records * 130,
        )
    late = figures.total.late
    figures.lateness = {1: late - late // 3, 5: late // 3}
    return figures


def with_names(figures: ReportFigures, name: str) -> ReportFigures:
    """The same with a name, of anybody's choice, wherever a name of others stands."""
    place = Place(name, name)
    told = Verdict("missing", "never converted", name)
    figures.coverage[place] = [CoveredRange(place, figures.first, figures.first, told)]
    figures.days[figures.first].unreadable = 1
    bad = Quarantined(key=f"AWSLogs/{name}", reason=name, retryable=True)
    figures.unreadable = [Unreadable(name, bad)]
    figures.unplaced = [Misplaced(f"{name}/", 3, f"{name}/{name}", more=True)]
    top = (Counted(name, 20, 5), Counted("", 10, 0))
    figures.tops = TopFigures(figures.first, figures.last, top, top, top, 30, 5)
    return figures


def html_of(
    figures: ReportFigures, changes: ReportChanges | None = None, where: str = "lake"
) -> str:
    """The page of some figures."""
    summary = summary_of(figures, where, "2026-01-01T08:00:00Z", ((), ()))
    return page(figures, summary, changes, "There was no report before this one.")


def html_after(before: ReportFigures, now: ReportFigures) -> str:
    """The page of some figures, compared with those of others."""
    old = summary_of(before, "lake", "2025-12-01T08:00:00Z", ((), ()))
    new = summary_of(now, "lake", "2026-01-01T08:00:00Z", ((), ()))
    return html_of(now, compared(old, new))
