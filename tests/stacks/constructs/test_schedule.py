"""Schedules send events that the function accepts."""

import json

from cloudtrail_parquet.function.events import DailyEvent, Event, ExpireEvent, parse
from stacks.environment.fields import Environment
from tests.stacks.reading import Stack, all_of, filled


def test_a_schedule_sends_an_event_that_the_function_accepts(
    stack: Stack, environment: Environment
) -> None:
    wanted = environment.schedule
    events: dict[str, tuple[str, Event]] = {"daily": (wanted.daily, DailyEvent(days_back=1))}
    if wanted.provisional:
        events["provisional"] = (wanted.provisional, DailyEvent(days_back=0))
    if wanted.catch_up_days:
        events["catch-up"] = (wanted.catch_up, DailyEvent(days=wanted.catch_up_days))
    if wanted.expire_after:
        events["expire"] = (wanted.expire, ExpireEvent(wanted.expire_after))
    schedules = {one["name"]: one for one in all_of(stack, "aws_scheduler_schedule").values()}

    assert schedules.keys() == events.keys()
    for name, one in schedules.items():
        when, event = events[name]
        assert parse(json.loads(filled(one["target"]["input"]))) == event
        assert one["schedule_expression"] == when
        assert one["schedule_expression_timezone"] == "UTC"
        assert one["state"] == ("ENABLED" if wanted.enabled else "DISABLED")
        assert one["target"]["arn"] == "${aws_lambda_function.converter.arn}"
        assert one["target"]["role_arn"] == "${aws_iam_role.schedule_role.arn}"
        assert one["depends_on"] == ["aws_iam_role_policy.schedule_role_policy"]
