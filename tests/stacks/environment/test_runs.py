"""Cron and rate expressions tell when they run."""

import pytest

from stacks.environment.runs import Runs, runs_of


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("cron(15 3 * * ? *)", Runs(195, 1)),
        ("cron(0,30 0-6/2 * * ? *)", Runs(390, 1)),
        ("cron(*/20 * ? * * *)", Runs(1420, 1)),
        ("cron(5 4/6 * * ? *)", Runs(1325, 1)),
        ("cron(0 4 ? * MON-FRI *)", Runs(240, 3)),
        ("cron(0 4 ? * FRI-MON *)", Runs(240, 4)),
        ("cron(0 4 ? * 1,4,6 *)", Runs(240, 3)),
        ("cron(0 4 ? * MON *)", Runs(240, 7)),
        ("rate(1 hour)", Runs(None, 1)),
        ("rate(1 day)", Runs(None, 1)),
        ("rate(3 days)", Runs(None, 3)),
        ("rate(7 hours)", Runs(None, 1, 7)),
        ("rate(36 hours)", Runs(None, 2, 24)),
        ("cron(15 3 1-31 * ? *)", Runs(195, 1)),
        ("cron(15 3 * 1-12 ? *)", Runs(195, 1)),
        ("cron(15 3 * JAN-DEC ? *)", Runs(195, 1)),
        ("cron(15 3 * */1 ? 2020-2199)", Runs(195, 1)),
        ("cron(15 3 ? 1/1 SUN-SAT 2026/1)", Runs(195, 1)),
        ("cron(15 3 */2 * ? *)", Runs(195, 2)),
        ("cron(15 3 2/2 * ? *)", Runs(195, 3)),
        ("cron(15 3 */3 * ? *)", Runs(195, 3)),
        ("cron(15 3 1-28 * ? *)", Runs(195, 4)),
        ("cron(15 3 1-15,17-31 * ? *)", Runs(195, 2)),
        ("cron(0 4 1 * ? *)", Runs(240, 31)),
        ("cron(0 4 29-31 * ? *)", None),
        ("cron(15 3 * 1-11 ? *)", None),
        ("cron(15 3 * */2 ? *)", None),
        ("cron(15 3 * * ? 2026-2198)", None),
        ("cron(15 3 * * ? 2027-2199)", None),
        ("cron(15 3 * * ? 2026/2)", None),
        ("cron(0 4 L * ? *)", None),
        ("cron(0 4 ? * 6#3 *)", None),
        ("cron(0 4 * JAN ? *)", None),
        ("cron(0 4 * * ? 2027)", None),
        ("cron(60 4 * * ? *)", None),
        ("cron(0 24 * * ? *)", None),
        ("cron(0 */0 * * ? *)", None),
        ("cron(x 4 * * ? *)", None),
    ],
)
def test_an_expression_tells_when_it_runs(expression: str, runs: Runs | None) -> None:
    assert runs_of(expression) == runs
