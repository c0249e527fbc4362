"""Numbers in sentences."""

import pytest

from cloudtrail_parquet.wording import counted, duration_of, plural_of, size_of


def test_one_is_singular_and_all_else_is_plural() -> None:
    assert [counted(number, "log file") for number in (0, 1, 2, 1200)] == [
        "0 log files",
        "1 log file",
        "2 log files",
        "1,200 log files",
    ]
    assert (counted(1, "query", "queries"), counted(2, "query", "queries")) == (
        "1 query",
        "2 queries",
    )
    assert (plural_of(1, "is", "are"), plural_of(0, "is", "are")) == ("is", "are")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (999.6, "1 kB"),
        (1000, "1 kB"),
        (1449, "1.4 kB"),
        (9_949, "9.9 kB"),
        (9_951, "10 kB"),
        (999_499, "999 kB"),
        (999_501, "1 MB"),
        (6_100_000, "6.1 MB"),
        (34_000_000_000, "34 GB"),
        (1.2e15, "1,200 TB"),
    ],
)
def test_sizes_have_two_digits_or_more(size: float, text: str) -> None:
    assert size_of(size) == text


def test_durations_are_as_clocks_have_them() -> None:
    texts = [duration_of(seconds) for seconds in (0, 0.6, 59.6, 61, 3600, 90_061)]

    assert texts == ["0:00", "0:01", "1:00", "1:01", "1:00:00", "25:01:01"]
