"""Gaps as ranges: worst first, each day of a place in one of them."""

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.gaps import gaps_of, gaps_table
from cloudtrail_parquet.reporting.kinds import kind_of
from tests.page_checks import text_of
from tests.reported import CONVERTED, GAPS, PLACE, QUIET, day_of, organisation, ranges_of


def test_what_befell_several_places_at_a_time_is_one_gap() -> None:
    coverage = {
        place: ranges_of([CONVERTED, GAPS[0], GAPS[0], QUIET], place)
        for place in (Place(account, region) for account in "12" for region in "abcd")
    }
    last = Place("3", "a")
    coverage[last] = ranges_of([GAPS[2], CONVERTED, CONVERTED, GAPS[6]], last)

    gaps = gaps_of(ReportFigures(day_of(0), day_of(3), coverage))

    assert [(gap.verdict.state, gap.days) for gap in gaps] == [
        ("missing", 16),
        ("outdated", 1),
        ("empty", 1),
    ]
    text = text_of(gaps_table(gaps))
    assert "2025-01-02 to 2025-01-03 1, 2 a, b, c and 1 other missing: never converted" in text
    assert "empty: trail stopped StopLogging by role/ops" in text


def test_of_gaps_alike_the_longest_comes_first() -> None:
    days = [GAPS[0], CONVERTED, GAPS[0], GAPS[0], CONVERTED, GAPS[2], GAPS[2], GAPS[2]]

    gaps = gaps_of(ReportFigures(day_of(0), day_of(7), {PLACE: ranges_of(days)}))

    assert [(gap.verdict.state, gap.days) for gap in gaps] == [
        ("missing", 2),
        ("missing", 1),
        ("outdated", 3),
    ]


def test_every_day_of_note_is_in_a_gap_and_the_table_says_how_many_are_not_shown() -> None:
    figures = organisation(20, 3, 365, 2000)
    gaps = gaps_of(figures)

    of_note = sum(
        each.days for each in figures.ranges() if kind_of(each.verdict) not in {"have", "soon"}
    )
    assert sum(gap.days for gap in gaps) == of_note
    text = text_of(gaps_table(gaps))
    assert f"{len(gaps) - 25:,} further ranges" in text
    assert f"And {len(gaps) - 200:,} more, no worse than these." in text
