"""The ranges that the command status prints: by state and cause, and not without end."""

from datetime import date, timedelta

from cloudtrail_parquet.cli.history.status import range_lines
from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.layout import Place

NEVER = Verdict("missing", "never converted", "log files are in the source")
CONVERTED = Verdict("converted")
FIRST = date(2026, 1, 1)


def covered(region: str, day: int, days: int, verdict: Verdict) -> CoveredRange:
    first = FIRST + timedelta(days=day)
    return CoveredRange(Place("1" * 12, region), first, first + timedelta(days=days - 1), verdict)


def test_what_is_alike_is_one_range_and_ranges_of_a_cause_are_by_day() -> None:
    ranges = [
        covered("eu-central-1", 9, 2, NEVER),
        covered("us-east-1", 1, 1, NEVER),
        covered("us-west-2", 9, 2, NEVER),
        covered("us-east-1", 2, 7, CONVERTED),
    ]

    assert list(range_lines(ranges)) == [
        "missing 2026-01-02: never converted, log files are in the source",
        "  111111111111 us-east-1",
        "missing 2026-01-10 to 2026-01-11: never converted, log files are in the source",
        "  111111111111 eu-central-1, us-west-2",
        "converted 2026-01-03 to 2026-01-09",
        "  111111111111 us-east-1",
    ]


def test_of_each_cause_the_largest_ranges_are_printed_and_the_others_counted() -> None:
    small = [covered("us-east-1", 3 * day, 1, NEVER) for day in range(30)]
    ranges = [*small, covered("us-east-1", 200, 5, NEVER), covered("us-west-2", 0, 9, CONVERTED)]

    lines = list(range_lines(ranges))

    heads = [line for line in lines if not line.startswith("  ")]
    assert len(heads) == 20 + 1 + 1
    assert heads[19].startswith("missing 2026-07-20 to 2026-07-24: ")
    assert heads[20:] == [
        "missing: never converted: 11 more ranges, 11 days; --json has all",
        "converted 2026-01-01 to 2026-01-09",
    ]
