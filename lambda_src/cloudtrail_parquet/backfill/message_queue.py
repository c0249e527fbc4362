"""A queue of SQS as those need it who fill it and look after it.

Source: SQS API Reference, SendMessageBatch, ReceiveMessage, GetQueueAttributes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, Self

from cloudtrail_parquet.backfill.aws import client_of, explained, region_in
from cloudtrail_parquet.contract import BACKFILL_ATTRIBUTE
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.function.fanout import marks_of, portions, send_portion
from cloudtrail_parquet.wording import counted

_URL = re.compile(r"https?://[^/?#]+/\d{12}/[A-Za-z0-9_-]{1,80}")
_ENTRIES = 10
_OVERHEAD = 100  # bytes of a message beside its body: the attribute's name, type and value
_WAIT_S = 1  # long polling, which asks all servers of the queue
_AGAIN = "Run it again: what is done is not done twice"


class Message(NamedTuple):
    """A message that was received.

    Attributes:
        id: Its id, which the function's log names as well.
        body: Its text.
        attributes: Those that its sender gave it, as text.
        sent_ms: When it was sent, in milliseconds since 1970.
        handle: What deletes or releases it.
    """

    id: str
    body: str
    attributes: dict[str, str]
    sent_ms: int
    handle: str

    @property
    def backfill(self) -> str:
        """The id of the backfill that it is part of; empty if it is of none."""
        return self.attributes.get(BACKFILL_ATTRIBUTE, "")


class Outgoing(NamedTuple):
    """A message to send: its text, and the id of the backfill that it is part of."""

    body: str
    backfill: str = ""


class Counts(NamedTuple):
    """How many messages a queue has, about: SQS counts them within a minute.

    Attributes:
        waiting: To be received.
        under_way: Received, and neither deleted nor visible again.
    """

    waiting: int
    under_way: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.under_way


class MessageQueue:
    """A queue.

    Attributes:
        url: Its URL.
    """

    def __init__(self, client: Any, url: str) -> None:  # noqa: ANN401 - a boto3 client
        self._client, self.url = client, url

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[Self]:
        """The queue of a URL, which has to be there.

        Raises:
            UsageError: It is not the URL of a queue, there is no such queue, or there are no
                credentials.
            RefusedError: These may not read its attributes.
        """
        if not _URL.fullmatch(url):  # this leaves out FIFO queues, which a mapping does not scale
            what = "is not the URL of a standard queue"
            hint = "It looks like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
            raise UsageError(what, url, hint)
        with client_of("sqs", url, region_in(url)) as client:
            queue = cls(client, url)
            queue.counts()
            yield queue

    def counts(self) -> Counts:
        """How many messages it has."""
        read = self._attributes(_WAITING, _DELAYED, _UNDER_WAY)
        return Counts(int(read[_WAITING]) + int(read[_DELAYED]), int(read[_UNDER_WAY]))

    def dead_letters(self) -> "MessageQueue | None":
        """The queue that messages go to that failed too often; None if there is none."""
        policy = self._redrive_policy()
        if not policy:
            return None
        *_, account, name = policy["deadLetterTargetArn"].split(":")
        with explained(name):
            url = self._client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
        return MessageQueue(self._client, url["QueueUrl"])

    def max_receives(self) -> int | None:
        """How often a message is received before it is a dead letter; None if it never is."""
        policy = self._redrive_policy()
        return int(policy["maxReceiveCount"]) if policy else None

    def no_dead_letters(self) -> UsageError:
        """The error that this is not the queue of a function, which has one for dead letters."""
        what = "has no queue for dead letters, as the queue that a function reads has"
        return UsageError(what, self.url, "Name the queue that the function reads")

    def _redrive_policy(self) -> dict[str, Any]:
        policy: dict[str, Any] = json.loads(
            self._attributes("RedrivePolicy").get("RedrivePolicy") or "{}"
        )
        return policy

    def _attributes(self, *names: str) -> dict[str, str]:
        with explained(self.url):
            answer = self._client.get_queue_attributes(
                QueueUrl=self.url, AttributeNames=list(names)
            )
        attributes: dict[str, str] = answer.get("Attributes", {})
        return attributes

    def send(self, messages: Iterable[Outgoing]) -> Iterator[int]:
        """Send messages, in as large requests as SQS takes.

        Yields:
            After each request, how many it has sent.

        Raises:
            StorageError: The queue refused some of them, several times; those before them were
                sent.
        """
        for portion in portions(messages, _size):
            send_portion(portion, self._put, self.url)
            yield len(portion)

    def _put(self, messages: list[Outgoing]) -> list[Outgoing]:
        entries = [
            {"Id": str(number), "MessageBody": message.body, **marks_of(message.backfill)}
            for number, message in enumerate(messages)
        ]
        answer = self._client.send_message_batch(QueueUrl=self.url, Entries=entries)
        return [messages[int(failure["Id"])] for failure in answer.get("Failed", ())]

    def receive(self, hidden_s: int) -> Iterator[Message]:
        """Receive all messages that are waiting, each once, until none comes.

        Args:
            hidden_s: How long each is hidden from others, unless it is deleted or released before.
        """
        while True:
            with explained(self.url):
                answer = self._client.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_ENTRIES,
                    VisibilityTimeout=hidden_s,
                    WaitTimeSeconds=_WAIT_S,
                    AttributeNames=["SentTimestamp"],
                    MessageAttributeNames=["All"],
                )
            received = answer.get("Messages", [])
            if not received:
                return
            yield from map(_message, received)

    def delete(self, messages: Iterable[Message]) -> None:
        """Remove messages that were received.

        Raises:
            StorageError: Some of them are still there.
        """
        self._on_each(messages, self._client.delete_message_batch, "deleted")

    def release(self, messages: Iterable[Message]) -> None:
        """Make messages that were received visible to others again, at once.

        Raises:
            StorageError: Some of them stay hidden for as long as was asked for.
        """
        visible = {"VisibilityTimeout": 0}
        self._on_each(messages, self._client.change_message_visibility_batch, "released", visible)

    def _on_each(
        self,
        messages: Iterable[Message],
        act: Callable[..., Any],
        done: str,
        more: dict[str, Any] | None = None,
    ) -> None:
        rest = iter(messages)
        while some := list(islice(rest, _ENTRIES)):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.handle, **(more or {})}
                for number, message in enumerate(some)
            ]
            with explained(self.url):
                failed = act(QueueUrl=self.url, Entries=entries).get("Failed", ())
            if failed:
                what = f"not {done}: {counted(len(failed), 'message')} ({failed[0].get('Code')})"
                raise StorageError(what, self.url, _AGAIN)


_WAITING = "ApproximateNumberOfMessages"
_DELAYED = "ApproximateNumberOfMessagesDelayed"
_UNDER_WAY = "ApproximateNumberOfMessagesNotVisible"


def _size(message: Outgoing) -> int:
    return len(message.body.encode()) + _OVERHEAD


def _message(received: dict[str, Any]) -> Message:
    attributes = received.get("MessageAttributes", {})
    return Message(
        received["MessageId"],
        received["Body"],
        {name: value.get("StringValue", "") for name, value in attributes.items()},
        int(received.get("Attributes", {}).get("SentTimestamp", 0)),
        received["ReceiptHandle"],
    )
