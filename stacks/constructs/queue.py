"""An SQS queue as all of ours are: encrypted, for TLS only, keeping messages as long as it can."""

from collections.abc import Iterable
from dataclasses import replace

from stacks.cdk import Construct, SqsQueue, SqsQueuePolicy
from stacks.environment.fields import Environment
from stacks.iam.roles import policy_document
from stacks.iam.statements import Statement, tls_only

RETENTION_S = 14 * 86_400
"""The longest that SQS keeps a message (SQS quotas)."""


class Queue(Construct):
    """A queue.

    Attributes:
        arn: Of the queue.
        url: Of the queue.
        name: Of the queue.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        environment: Environment,
        *,
        name: str,
        senders: Iterable[Statement] = (),
        visibility_timeout_s: int | None = None,
        redrive_policy: str | None = None,
    ) -> None:
        """Make it.

        Args:
            scope: What it belongs to.
            id_: Of the construct.
            environment: What all queues have in common.
            name: What follows the environment's in its name.
            senders: Services that may send to it; roles say so themselves.
            visibility_timeout_s: How long a message that was taken is unseen by others.
            redrive_policy: Where messages go that were taken too often.
        """
        super().__init__(scope, id_)
        self.name = f"{environment.name}-{name}"
        queue = SqsQueue(
            self,
            "this",
            name=self.name,
            message_retention_seconds=RETENTION_S,
            visibility_timeout_seconds=visibility_timeout_s,
            redrive_policy=redrive_policy,
            sqs_managed_sse_enabled=None if environment.kms_key else True,
            kms_master_key_id=environment.kms_key,
        )
        self.arn, self.url = queue.arn, queue.url
        statements = [tls_only("sqs:*", queue.arn)]
        statements += [replace(one, resources=(queue.arn,)) for one in senders]
        SqsQueuePolicy(
            self,
            "policy",
            queue_url=queue.url,
            policy=policy_document(self, "access", statements),
        )
