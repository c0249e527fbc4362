"""The event bus by which a plan hands its batches to other invocations.

Each deployment has its own: on the default bus, all would receive the batches of all.
"""

import json

from cloudtrail_parquet.contract import DETAIL_TYPE, EVENT_SOURCE
from stacks.cdk import (
    CloudwatchEventBus,
    CloudwatchEventRule,
    CloudwatchEventTarget,
    Construct,
    LambdaFunction,
    LambdaPermission,
)
from stacks.environment.fields import Environment
from stacks.iam.statements import Aws, Condition, Statement

EVENT_AGE_S = 6 * 3600
"""How long EventBridge, Scheduler and Lambda try to deliver an event to the function."""

RETRY_POLICY = {"maximum_event_age_in_seconds": EVENT_AGE_S, "maximum_retry_attempts": 20}
"""For what EventBridge and Scheduler deliver."""


class EventBus(Construct):
    """A bus, and the rule that sends each batch on it to the function.

    Attributes:
        arn: ARN of the bus.
        name: Name of the bus.
        rule_arn: ARN of the rule.
    """

    def __init__(self, scope: Construct, environment: Environment, aws: Aws) -> None:
        super().__init__(scope, "fan_out")
        self.name = environment.name
        self._bus = CloudwatchEventBus(
            self, "this", name=self.name, description="Batches of units, for the converter"
        )
        self.arn = self._bus.arn
        self._rule = CloudwatchEventRule(
            self,
            "rule",
            name="batches",
            description="Sends each batch of units to the converter",
            event_bus_name=self._bus.name,
            event_pattern=json.dumps(
                {
                    "account": [aws.account],
                    "source": [EVENT_SOURCE],
                    "detail-type": [DETAIL_TYPE],
                }
            ),
        )
        self.rule_arn = self._rule.arn

    def may_send(self) -> Statement:
        """The permission to hand batches on."""
        return Statement(
            sid="HandOn",
            why="hand batches of units to other invocations",
            actions=("events:PutEvents",),
            resources=(self.arn,),
        )

    def sends_to_failures(self) -> Statement:
        """The permission, on the queue for failures, to send batches that cannot be delivered."""
        return Statement(
            sid="Undelivered",
            why="EventBridge keeps batches that it could not deliver",
            actions=("sqs:SendMessage",),
            conditions=(Condition("ArnEquals", "aws:SourceArn", (self.rule_arn,)),),
            service="events.amazonaws.com",
        )

    def deliver_to(self, function: LambdaFunction, failures_arn: str) -> None:
        """Let the rule invoke the function."""
        permission = LambdaPermission(
            self,
            "permission",
            statement_id="batches",
            action="lambda:InvokeFunction",
            function_name=function.function_name,
            principal="events.amazonaws.com",
            source_arn=self.rule_arn,
        )
        CloudwatchEventTarget(
            self,
            "target",
            rule=self._rule.name,
            event_bus_name=self._bus.name,
            target_id="converter",
            arn=function.arn,
            dead_letter_config={"arn": failures_arn},
            retry_policy=RETRY_POLICY,
            depends_on=[permission],
        )
