"""Alarms: which there are, when they go off, and what the operations page says of them."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.settings.reach import scheduled_days, settled_at_min
from cloudtrail_parquet.settings.settings import Settings
from stacks.environment.fields import Environment
from stacks.environment.runs import oldest_unsettled_days, settled_within_hours
from tests.stacks.conftest import ROOT
from tests.stacks.environment.files import schedule_conflicts, scheduled
from tests.stacks.reading import Stack, StackOf, all_of

DOCS = ROOT / "docs"


def alarms(environment: Environment) -> dict[str, tuple[str, str, dict[str, str], str, float]]:
    """Metric, dimensions, statistic and threshold of each alarm that there should be."""
    name = environment.name
    function, ours = {"FunctionName": name}, {"service": name}
    visible = "ApproximateNumberOfMessagesVisible"
    near_limit = 0.9 * 1000 * environment.function.timeout_s
    wanted: dict[str, tuple[str, str, dict[str, str], str, float]] = {
        "errors": ("AWS/Lambda", "Errors", function, "Sum", 0),
        "throttles": ("AWS/Lambda", "Throttles", function, "Sum", 0),
        "accounts-refused": ("CloudTrailParquet", "AccountsRefused", ours, "Sum", 0),
        "unplaced": ("CloudTrailParquet", "FilesUnplaced", ours, "Sum", 0),
        "duration": ("AWS/Lambda", "Duration", function, "Maximum", near_limit),
        "failures": ("AWS/SQS", visible, {"QueueName": f"{name}-failures"}, "Maximum", 0),
        "partial": ("CloudTrailParquet", "UnitsPartial", ours, "Sum", 0),
        "units-failed": ("CloudTrailParquet", "UnitsFailed", ours, "Sum", 0),
        "events-refused": ("CloudTrailParquet", "EventsRefused", ours, "Sum", 0),
    }
    if environment.schedule.enabled:
        wanted["not-settled"] = ("CloudTrailParquet", "UnitsSettled", ours, "Sum", 1)
        oldest = ("CloudTrailParquet", "OldestUnsettledDays", ours, "Maximum", 1)
        wanted["oldest-unsettled"] = oldest
    if environment.backfill_queue.enabled:
        dead, queue = f"{name}-backfill-dead-letters", f"{name}-backfill"
        age = "ApproximateAgeOfOldestMessage"
        wanted["messages-failed"] = ("CloudTrailParquet", "MessagesFailed", ours, "Sum", 0)
        dropped = "RecursiveInvocationsDropped"
        wanted["recursion"] = ("AWS/Lambda", dropped, function, "Sum", 0)
        wanted["dead-letters"] = ("AWS/SQS", visible, {"QueueName": dead}, "Maximum", 0)
        wanted["oldest-message"] = ("AWS/SQS", age, {"QueueName": queue}, "Maximum", 86_400)
    return wanted


def test_there_is_an_alarm_for_everything_that_somebody_has_to_be_told_about(
    stack: Stack, environment: Environment
) -> None:
    found = {
        one["alarm_name"].removeprefix(f"{environment.name}-"): (
            one["namespace"],
            one["metric_name"],
            one["dimensions"],
            one["statistic"],
            one["threshold"],
        )
        for one in all_of(stack, "aws_cloudwatch_metric_alarm").values()
    }

    assert found == alarms(environment)


def test_an_alarm_tells_the_topic_and_says_what_has_happened(
    stack: Stack, environment: Environment
) -> None:
    topics = [environment.alarms.topic] if environment.alarms.topic else None

    for one in all_of(stack, "aws_cloudwatch_metric_alarm").values():
        assert one.get("alarm_actions") == one.get("ok_actions") == topics
        assert len(one["alarm_description"]) > 40
        low = one["comparison_operator"] == "LessThanThreshold"
        assert low or one["comparison_operator"] == "GreaterThanThreshold"
        assert one["treat_missing_data"] == ("breaching" if low else "notBreaching")


def test_no_settled_day_in_26_hours_is_an_alarm_even_when_nothing_runs_at_all(
    other: StackOf,
) -> None:
    alarm = all_of(other("minimal"), "aws_cloudwatch_metric_alarm")["alarms_not_settled"]

    assert alarm["treat_missing_data"] == "breaching"
    assert alarm["comparison_operator"] == "LessThanThreshold"
    assert alarm["period"] * alarm["evaluation_periods"] == 26 * 3600
    # CloudWatch allows a week in periods of an hour, a day in shorter ones.
    assert alarm["period"] >= 3600
    assert "datapoints_to_alarm" not in alarm  # all of them


def test_the_page_of_operations_explains_each_alarm(other: StackOf) -> None:
    stack = other("everything")
    alarms = stack["resource"]["aws_cloudwatch_metric_alarm"].values()
    page = (DOCS / "operations.md").read_text().partition("## Alarms")[2].partition("\n## ")[0]

    rows = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)

    assert sorted(rows) == sorted(one["alarm_name"].removeprefix("trails-") for one in alarms)


seconds = st.integers(0, 604_800) | st.integers(0, 7).map(lambda days: days * 86_400)
schedules = st.one_of(
    st.builds(
        lambda hour, minute: f"cron({minute} {hour} * * ? *)",
        st.integers(0, 23),
        st.integers(0, 59),
    ),
    st.sampled_from(["cron(0 4 ? * MON-FRI *)", "cron(30 * * * ? *)", "cron(0 0,23 ? * 1,4,6 *)"]),
)


def simulated(daily: str) -> list[datetime]:
    """The runs of some weeks."""
    minute, hour, _, _, of_week, _ = daily[5:-1].split()
    hours = range(24) if hour == "*" else [int(one) for one in hour.split(",")]
    week = {"MON-FRI": {0, 1, 2, 3, 4}, "1,4,6": {6, 2, 4}}.get(of_week, set(range(7)))
    return [
        datetime(2026, 1, 1, hour, int(minute), tzinfo=UTC) + timedelta(days=day)
        for day in range(60)
        for hour in hours
        if (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)).weekday() in week
    ]


@given(schedules, seconds, seconds)
def test_every_day_becomes_final_as_soon_and_as_regularly_as_the_alarms_want_it(
    daily: str, lookahead_s: int, settle_margin_s: int
) -> None:
    one = scheduled(daily, lookahead_s=lookahead_s, settle_margin_s=settle_margin_s)
    if schedule_conflicts(one):
        return
    settings, runs = one.settings, simulated(daily)
    final: dict[date, datetime] = {}
    oldest = []
    for run in runs:
        first, last = scheduled_days(run.date(), 1, settings)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        open_days = [day for day in days if day not in final and day >= date(2026, 1, 5)]
        oldest += [(run.date() - day).days for day in open_days]
        for day in open_days:
            ends = settings.window.ends(day) + timedelta(seconds=settings.settle_margin_s)
            if run >= ends:
                final[day] = run

    settled = [date(2026, 1, 5) + timedelta(days=n) for n in range(30)]
    assert set(settled) <= set(final)
    assert max(oldest) <= oldest_unsettled_days(one.schedule.daily, one.settings)
    times = sorted(set(final.values()))
    assert max(
        (later - run).total_seconds() / 3600 for run, later in pairwise(times)
    ) <= settled_within_hours(one.schedule.daily)


def test_by_default_a_day_is_settled_within_26_hours_and_found_open_for_one() -> None:
    one = scheduled("cron(15 3 * * ? *)")

    assert (
        settled_within_hours(one.schedule.daily),
        oldest_unsettled_days(one.schedule.daily, one.settings),
    ) == (26, 1)
    # Created at any time of the day, a rate may first run before days are settled.
    assert oldest_unsettled_days("rate(1 day)", one.settings) == 2
    assert settled_at_min(Settings()) == 180
