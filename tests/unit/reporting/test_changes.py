"""What has changed since the last report, from the page that it has left."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.reporting.changes import (
    Range,
    ReportChanges,
    ReportSummary,
    compared,
    embedded,
    is_report,
    summary_in,
)
from cloudtrail_parquet.reporting.figures import ReportFigures
from tests.page_checks import text_of
from tests.reported import (
    CONVERTED,
    GAPS,
    PLACE,
    day_of,
    html_after,
    html_of,
    organisation,
    ranges_of,
)

DAYS = 12


def summary(lacks: list[Range], *, last: int = DAYS - 1, first: int = 0) -> ReportSummary:
    return ReportSummary(
        version=1,
        dataset="lake",
        made="2026-01-01T08:00:00Z",
        first=day_of(first),
        last=day_of(last),
        lacks=tuple(lacks),
    )


def ranges(days: set[int]) -> list[Range]:
    said = [GAPS[0] if number in days else CONVERTED for number in range(DAYS)]
    return [(*PLACE, each.first, each.last) for each in ranges_of(said) if each.verdict.is_lack]


def days_in(found: tuple[Range, ...]) -> set[int]:
    return {
        number
        for _, _, first, last in found
        for number in range((first - day_of(0)).days, (last - day_of(0)).days + 1)
    }


@given(
    st.sets(st.integers(0, DAYS - 1)), st.sets(st.integers(0, DAYS - 1)), st.integers(3, DAYS - 1)
)
def test_days_that_opened_and_closed_are_those_of_the_days_that_both_are_about(
    before: set[int], now: set[int], last: int
) -> None:
    old = summary(ranges({day for day in before if day <= last}), last=last)

    found = compared(old, summary(ranges({day for day in now if day >= 2}), first=2))

    assert isinstance(found, ReportChanges)
    both = set(range(2, last + 1))
    assert days_in(found.closed) == (before - now) & both
    assert days_in(found.opened) == (now - before) & both


def test_the_last_day_of_all_is_a_day() -> None:
    whole = ("1", "a", date.min, date.max)
    old = ReportSummary(
        version=1, dataset="x", made="", first=date.min, last=date.max, lacks=(whole,)
    )

    found, same = compared(old, msgspec.structs.replace(old, lacks=())), compared(old, old)

    assert found is not None
    assert (found.closed, found.opened) == ((whole,), ())
    assert same is not None
    assert (same.closed, same.opened) == ((), ())


def test_reports_of_other_datasets_are_not_compared() -> None:
    other = msgspec.structs.replace(summary([]), dataset="another")
    selected = msgspec.structs.replace(summary([]), selection=(("1",), ()))

    assert compared(summary([]), other) is None
    assert compared(summary([]), selected) is None


def test_a_page_carries_its_summary() -> None:
    figures = organisation(3, 2, 30, 9)

    found = summary_in(html_of(figures).encode())

    assert found is not None
    assert (found.records, found.places) == (figures.total.records, 6)
    assert found.lacking == figures.lacking


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>",
        embedded(summary([])).replace('"version":1', '"version":2').encode(),
        embedded(summary([])).replace('"lake"', "1").encode(),
        embedded(summary([])).replace('"records":0', '"records":-1').encode(),
        embedded(summary([])).replace('"log_bytes":0', f'"log_bytes":1{"0" * 400}').encode(),
        embedded(summary([])).replace('"places":0', f'"x":{"[" * 99_999}{"]" * 99_999}').encode(),
        embedded(summary([])).encode()[:-12],
        embedded(summary([])).encode()[:-12] * 10_000,
        embedded(summary([])).replace("lake", "\\ud800").encode() + b"\xff",
    ],
)
def test_what_is_no_summary_is_told_from_one(page: bytes) -> None:
    assert summary_in(page) is None
    assert is_report(page) == (b'id="summary"' in page)


def test_the_page_says_what_has_changed() -> None:
    before = ReportFigures(day_of(0), day_of(3), {PLACE: ranges_of([GAPS[0]] * 4)})
    healed = [CONVERTED] * 2 + [GAPS[0]] * 2 + [CONVERTED]
    now = ReportFigures(day_of(0), day_of(4), {PLACE: ranges_of(healed)})

    text = text_of(html_after(before, now))

    assert "days of places that lack 4 2 \N{MINUS SIGN}2" in text
    assert (
        "lacked and do not any more: 2 days (UTC) account region 2025-01-01 to 2025-01-02 1 a"
        in text
    )
