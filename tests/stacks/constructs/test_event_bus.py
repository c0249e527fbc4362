"""The bus brings a function its own batches, and nothing else."""

import json
from typing import Any

from cloudtrail_parquet.contract import PREFIX
from cloudtrail_parquet.function.events import ConvertEvent, parse
from cloudtrail_parquet.function.fanout import EventsFanout
from stacks.environment.fields import Environment
from tests.stacks.conftest import CASES
from tests.stacks.reading import ACCOUNT, UNIT, Stack, StackOf, filled, only, variables


class Bus:
    """Keeps what is put on it, as EventBridge hands it to rules."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - as boto3
        for one in Entries:
            self.events.append(
                {
                    "account": ACCOUNT,
                    "source": one["Source"],
                    "detail-type": one["DetailType"],
                    "detail": json.loads(one["Detail"]),
                    "bus": one["EventBusName"],
                }
            )
        return {"Entries": [{} for _ in Entries]}


def test_the_rule_takes_the_batches_of_its_own_function_and_nothing_else(
    stack: Stack, environment: Environment
) -> None:
    bus = Bus()
    EventsFanout(bus, variables(stack)[f"{PREFIX}EVENT_BUS"]).send([ConvertEvent((UNIT,))])
    (sent,) = bus.events
    rule = only(stack, "aws_cloudwatch_event_rule")
    pattern = json.loads(filled(rule["event_pattern"], account_id=ACCOUNT))

    def takes(event: dict[str, Any]) -> bool:
        return all(event[name] in values for name, values in pattern.items())

    assert takes(sent)
    assert parse(sent) == ConvertEvent((UNIT,))
    assert not takes({**sent, "source": "aws.s3"})
    assert not takes({**sent, "detail-type": "Scheduled Event"})
    assert not takes({**sent, "account": "210987654321"})
    assert rule["event_bus_name"] == "${aws_cloudwatch_event_bus.fan_out.name}"
    assert only(stack, "aws_cloudwatch_event_bus")["name"] == sent["bus"] == environment.name


def test_the_rule_may_invoke_the_function_and_nobody_else_may(stack: Stack) -> None:
    target = only(stack, "aws_cloudwatch_event_target")
    permission = only(stack, "aws_lambda_permission")

    assert target["arn"] == "${aws_lambda_function.converter.arn}"
    assert target["event_bus_name"] == "${aws_cloudwatch_event_bus.fan_out.name}"
    assert target["rule"] == "${aws_cloudwatch_event_rule.fan_out_rule.name}"
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["source_arn"] == "${aws_cloudwatch_event_rule.fan_out_rule.arn}"
    assert permission["function_name"] == "${aws_lambda_function.converter.function_name}"


def test_no_bus_is_shared(other: StackOf) -> None:
    names = [only(other(case), "aws_cloudwatch_event_bus")["name"] for case in (*CASES, "china")]

    assert len(set(names)) == len(names)
    assert "default" not in names
