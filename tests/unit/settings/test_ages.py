"""Ages of days."""

from datetime import date

import pytest

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.settings.ages import days_of, first_kept

TODAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("age", "day"),
    [
        ("7y", date(2019, 11, 28)),
        ("7 years", date(2019, 11, 28)),
        ("1 year", date(2025, 11, 28)),
        ("18 months", date(2025, 5, 28)),
        ("11 month", date(2025, 12, 28)),
        ("90d", date(2026, 8, 30)),
        (" 90 Days ", date(2026, 8, 30)),
        ("9999 y", date.min),
        ("99999d", date(1753, 2, 13)),
    ],
)
def test_an_age_is_years_months_or_days(age: str, day: date) -> None:
    assert first_kept(age, TODAY, "a field") == day


@pytest.mark.parametrize(
    ("today", "age", "day"),
    [
        (date(2024, 2, 29), "1y", date(2023, 2, 28)),
        (date(2026, 3, 31), "1 month", date(2026, 2, 28)),
        (date(2027, 1, 31), "1 month", date(2026, 12, 31)),
        (date(2026, 12, 31), "1 month", date(2026, 11, 30)),
    ],
)
def test_a_month_that_lacks_the_day_ends_with_its_last(today: date, age: str, day: date) -> None:
    assert first_kept(age, today, "a field") == day


@pytest.mark.parametrize("age", ["7", "y", "-7y", "7m", "1.5y", "seven years", "29d", "0y", ""])
def test_what_is_no_age_or_too_short_is_told(age: str) -> None:
    with pytest.raises(UsageError, match=r"^a field: .*(is not an age|is too short)"):
        first_kept(age, TODAY, "a field")


@pytest.mark.parametrize(
    ("age", "days"),
    [("90d", (90, 90)), ("1 month", (28, 31)), ("1y", (365, 366)), ("7y", (2556, 2557))],
)
def test_months_and_years_differ_in_days(age: str, days: tuple[int, int]) -> None:
    assert days_of(age, "a field") == days
