"""Cron expressions that EventBridge would refuse are refused with the reason."""

import pytest

from stacks.environment.cron import cron_mistakes
from tests.stacks.environment.files import problem


@pytest.mark.parametrize(
    "expression",
    [
        # Those of the reference, and of its wildcards.
        "cron(0 10 * * ? *)",
        "cron(0 18 ? * MON-FRI *)",
        "cron(0 8 1 * ? *)",
        "cron(0/15 * * * ? *)",
        "cron(0/5 8-17 ? * MON-FRI *)",
        "cron(0/30 20-23,0-2 ? * MON-FRI *)",
        "cron(1/10 3,5-7 1-15 JAN,FEB,MAR ? 2026-2030)",
        "cron(0 3 3W * ? *)",
        "cron(0 3 L * ? *)",
        "cron(0 3 ? * 3#2 *)",
        "cron(0 3 ? * L *)",
        "cron(0 3 ? * 6L 2026/2)",
        "cron(0 3 ? * FRI-MON *)",
    ],
)
def test_what_the_reference_has_is_legal(expression: str) -> None:
    assert list(cron_mistakes(expression)) == []


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("cron(60 3 * * ? *)", "minutes: 60 is not 0 to 59"),
        ("cron(15 24 * * ? *)", "hours: 24 is not 0 to 23"),
        ("cron(15 3 0 * ? *)", "day of month: 0 is not 1 to 31"),
        ("cron(15 3 32W * ? *)", "day of month: 32W is not 1 to 31"),
        ("cron(15 3 * 13 ? *)", "month: 13 is not 1 to 12 or JAN to DEC"),
        ("cron(15 3 * Jan ? *)", "month: Jan is not 1 to 12 or JAN to DEC"),
        ("cron(15 3 ? * 0 *)", "day of week: 0 is not 1 to 7 or SUN to SAT"),
        ("cron(15 3 ? * 3#6 *)", "day of week: 3#6 is not legal there"),
        ("cron(15 3 ? * 2/2 *)", "day of week: 2/2 is not legal there"),
        ("cron(15 3 ? * 3#1,6#3 *)", "day of week: 3#1 stands alone; day of week: 6#3 stands"),
        ("cron(15 3 * * ? 1969)", "year: 1969 is not 1970 to 2199"),
        ("cron(? 3 * * ? *)", "minutes: ? is not legal there"),
        ("cron(15 22-2 * * ? *)", "hours: 22-2 ends before it begins"),
        ("cron(*/0 3 * * ? *)", "minutes: */0 has a step that is not 1 to 59"),
        ("cron(1, 3 * * ? *)", "minutes:  is not legal there"),
        (
            "cron(15 3 * * * *)",
            "one of day of month and day of week, and only one, is ?, not *",
        ),
        ("cron(15 3 ? * ? *)", "and only one, is ?, not ? and ?"),
        ("cron(15 3 1 * MON *)", "and only one, is ?, not 1 and MON"),
    ],
)
def test_what_it_has_not_is_refused_with_the_reason(expression: str, reason: str) -> None:
    assert reason in "; ".join(cron_mistakes(expression))


def test_all_that_is_wrong_with_an_expression_is_one_line() -> None:
    assert problem(schedule__provisional="cron(99 99 * * * *)") == (
        "a.toml: schedule.provisional = 'cron(99 99 * * * *)': EventBridge would refuse it:"
        " minutes: 99 is not 0 to 59; hours: 99 is not 0 to 23; one of day of month and day of"
        " week, and only one, is ?, not * and *"
    )
