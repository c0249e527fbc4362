"""The optional queue for backfills of more than a few days."""

import json

from stacks.cdk import (
    Construct,
    LambdaEventSourceMapping,
    LambdaFunction,
    SqsQueueRedriveAllowPolicy,
    TerraformElement,
)
from stacks.constructs.queue import Queue
from stacks.environment.fields import Environment
from stacks.iam.statements import Statement

VISIBILITY_TIMEOUTS = 6
"""Timeouts of the function for which a message stays hidden from others (Lambda guide, SQS)."""


class BackfillQueue(Construct):
    """The queue, and the one for messages that failed too often.

    Attributes:
        queue: Its messages are events as in docs/events.md.
        dead_letters: Receives messages that failed too often.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, "backfill")
        self._environment = environment
        self.dead_letters = Queue(self, "dead_letters", environment, name="backfill-dead-letters")
        self.queue = Queue(
            self,
            "queue",
            environment,
            name="backfill",
            visibility_timeout_s=VISIBILITY_TIMEOUTS * environment.function.timeout_s,
            redrive_policy=json.dumps(
                {
                    "deadLetterTargetArn": self.dead_letters.arn,
                    "maxReceiveCount": environment.backfill_queue.max_receives,
                }
            ),
        )
        SqsQueueRedriveAllowPolicy(
            self,
            "redrive",
            queue_url=self.dead_letters.url,
            redrive_allow_policy=json.dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [self.queue.arn]}
            ),
        )

    def may_use(self) -> Statement:
        """The permission to take messages and to send what is left of them."""
        return Statement(
            sid="Backfill",
            why="take messages of the backfill, hand on what is left of them, and have those that"
            " failed come again soon",
            actions=(
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            resources=(self.queue.arn,),
        )

    def deliver_to(self, function: LambdaFunction, *, needs: TerraformElement) -> None:
        """Let Lambda invoke the function with messages, after ``needs``, its permission, exists."""
        LambdaEventSourceMapping(
            self,
            "mapping",
            event_source_arn=self.queue.arn,
            function_name=function.arn,
            batch_size=1,  # each is minutes of work; a larger batch would time out and come again
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={
                "maximum_concurrency": self._environment.backfill_queue.max_concurrency
            },
            depends_on=[needs],
        )
