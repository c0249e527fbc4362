"""The coverage calendar: worst first, of each day the worst, and no day lost."""

import re
from collections import Counter

from cloudtrail_parquet.coverage.ranges import RangesByPlace
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.reporting.calendar import calendar
from cloudtrail_parquet.reporting.drawing.axis import Axis
from cloudtrail_parquet.reporting.figures import ReportFigures
from tests.reported import CONVERTED, GAPS, day_of, organisation, ranges_of

MISSING, OUTDATED = GAPS[0], GAPS[2]


def figures_of(days: int, coverage: RangesByPlace) -> ReportFigures:
    return ReportFigures(day_of(0), day_of(days - 1), coverage)


def drawn(figures: ReportFigures) -> str:
    return calendar(figures, Axis(figures.first, figures.last)).markup


def bands(markup: str) -> list[Counter[str]]:
    """Of each band, how many days are drawn of each kind."""
    found = []
    for band in re.findall(r'<svg class="band".*?</svg>', markup):
        days = Counter[str]()
        for kind, path in re.findall(r'<path class="(\w+)" d="([^"]*)"', band):
            days[kind] = sum(map(int, re.findall(r"h(\d+)", path)))
        found.append(days)
    return found


def names(markup: str) -> list[str]:
    return re.findall(r'<span class="name">([^<]+)</span>', markup)


def test_an_account_shows_the_worst_of_its_regions_which_are_below_it() -> None:
    markup = drawn(
        figures_of(
            10,
            {
                Place("1", "a"): ranges_of([CONVERTED] * 4 + [MISSING] * 2 + [CONVERTED] * 4),
                Place("1", "b"): ranges_of([CONVERTED] * 5 + [OUTDATED] * 3 + [CONVERTED] * 2),
                Place("1", "c"): ranges_of([CONVERTED] * 10),
                Place("1", "d"): ranges_of([CONVERTED] * 10),
            },
        )
    )

    legend, rows = markup.split("</ul>")
    assert bands(legend) == [{"lack": 1}, {"old": 1}, {"have": 1}]
    assert names(rows) == ["1", "a", "b", "c, d"]
    assert bands(rows) == [
        {"have": 6, "old": 2, "lack": 2},
        {"have": 8, "lack": 2},
        {"have": 7, "old": 3},
        {"have": 10},
    ]
    assert "2 missing, 3 outdated" in rows


def test_accounts_with_most_gaps_come_first() -> None:
    markup = drawn(
        figures_of(
            3,
            {
                Place("1", "a"): ranges_of([CONVERTED] * 3),
                Place("2", "a"): ranges_of([OUTDATED] * 3),
                Place("3", "a"): ranges_of([MISSING, CONVERTED, CONVERTED]),
                Place("4", "a"): ranges_of([MISSING, MISSING, CONVERTED]),
            },
        )
    )

    assert names(markup) == ["4", "3", "2", "1"]


def test_a_day_of_six_years_can_be_seen() -> None:
    days = [CONVERTED] * 2190
    days[-1] = MISSING

    (band,) = bands(drawn(figures_of(2190, {Place("1", "a"): ranges_of(days)})).split("</ul>")[1])

    assert band["lack"] == 11  # of 2,190: two pixels of a phone


def test_many_accounts_of_which_the_same_is_said_share_a_row() -> None:
    coverage = {
        Place(f"{account:012}", region): ranges_of([CONVERTED] * 30)
        for account in range(100)
        for region in ("a", "b")
    }
    coverage[Place(f"{7:012}", "a")] = ranges_of([MISSING] + [CONVERTED] * 29)

    markup = drawn(figures_of(30, coverage))

    assert names(markup) == ["000000000007", "a", "b", "99 accounts", "a, b"]
    listed = re.search(r'<p class="names">([^<]+)</p>', markup)
    assert listed is not None
    assert listed[1].split(", ") == [f"{number:012}" for number in range(100) if number != 7]


def test_what_has_no_room_is_counted() -> None:
    figures = organisation(2500, 1, 60, 12_000)

    found = calendar(figures, Axis(figures.first, figures.last))

    counts = (re.fullmatch(r"(?:(\d+) accounts|\d{12})", name) for name in names(found.markup))
    shown = sum(int(count[1] or 1) for count in counts if count)
    assert shown + found.accounts_left_out == 2500
    assert found.accounts_left_out > 0
