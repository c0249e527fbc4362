"""When a message of SQS that has failed comes again.

A message stays hidden for the visibility timeout of its queue, which is six times the function's
time limit: as long as an invocation that nobody hears of may take. Where the function itself knows
that it has failed, the message comes again after minutes.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS"; SQS Developer Guide, "Amazon SQS
visibility timeout".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

FIRST_S = 120
"""The seconds after the first failure, in which a lease of a run that was killed expires."""

LONGEST_S = 900


def delay_s(receives: int) -> int:
    """The seconds until a message comes again that was received so often: twice those before."""
    return min(FIRST_S << min(max(receives, 1) - 1, 10), LONGEST_S)


@dataclass(frozen=True)
class Redelivery:
    """Has messages of one queue delivered again.

    Attributes:
        client: Opens a client of SQS.
        url: The URL of the queue; empty if it is not known.
    """

    client: Callable[[], Any]
    url: str

    def soon(self, messages: Iterable[dict[str, Any]]) -> str:
        """Let messages come again after minutes, if they are of this queue.

        Returns:
            Why some of them come only after the visibility timeout; empty if none does.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only here

        try:
            for message in filter(self._is_ours, messages):
                self.client().change_message_visibility(
                    QueueUrl=self.url,
                    ReceiptHandle=message["receiptHandle"],
                    VisibilityTimeout=delay_s(_receives(message)),
                )
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return ""

    def _is_ours(self, message: dict[str, Any]) -> bool:
        queue = str(message.get("eventSourceARN", "")).rpartition(":")[2]
        return bool(queue and message.get("receiptHandle")) and queue == self.url.rpartition("/")[2]


def _receives(message: dict[str, Any]) -> int:
    attributes = message.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, dict) else None
    return int(count) if isinstance(count, str) and count.isdigit() else 1
