"""An SQS queue as all of ours are: encrypted, for TLS only, with the longest retention."""

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
        arn: ARN of the queue.
        url: URL of the queue.
        name: Name of the queue.
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
        """Create the queue.

        Args:
            scope: The parent construct.
            id_: Id of the construct.
            environment: The deployment.
            name: The end of its name, after the environment's name.
            senders: Permissions of services to send to it; those of roles are in their policies.
            visibility_timeout_s: How long a received message is hidden from other receivers.
            redrive_policy: Where messages go after too many receives, as JSON.
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
        statements += [replace(statement, resources=(queue.arn,)) for statement in senders]
        SqsQueuePolicy(
            self,
            "policy",
            queue_url=queue.url,
            policy=policy_document(self, "access", statements),
        )
