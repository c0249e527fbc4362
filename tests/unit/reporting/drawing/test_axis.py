"""The days of a report from left to right."""

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.reporting.drawing.axis import Axis

FIRST = date(2025, 1, 1)


def of_days(days: int, first: date = FIRST) -> Axis:
    return Axis(first, first + timedelta(days - 1))


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.integers(1, 8000))
def test_bins_tile_the_days_and_labels_are_few_and_inside(first: date, days: int) -> None:
    axis = of_days(days, first)
    bins = list(axis.bins())

    assert (bins[0].first, bins[-1].last) == axis
    assert all(after.first - before.last == timedelta(1) for before, after in pairwise(bins))
    assert len(bins) <= 400
    drawn = axis.drawn()
    places = [float(x) for x in re.findall(r'<text x="([\d.]*)%', drawn)]
    assert 1 <= len(places) <= (14 if days <= 14 else 7)
    assert all(0 <= x <= 97 for x in places)
    assert all(after - before > 5 for before, after in pairwise(places))


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (1, ["1 Jan"]),
        (5, ["1 Jan", "2 Jan", "3 Jan", "4 Jan", "5 Jan"]),
        (30, ["1 Jan", "6 Jan", "11 Jan", "16 Jan", "21 Jan", "26 Jan"]),
        (365, ["Jan 2025", "Apr 2025", "Jul 2025", "Oct 2025"]),
        (2190, ["2025", "2026", "2027", "2028", "2029", "2030"]),
    ],
)
def test_labels_say_days_months_or_years(days: int, labels: list[str]) -> None:
    assert re.findall(r">([^<]+)</text>", of_days(days).drawn()) == labels


def test_bars_stand_for_weeks_where_days_are_too_many() -> None:
    assert [of_days(days).bin_days for days in (400, 401, 2800, 2801)] == [1, 7, 7, 14]
