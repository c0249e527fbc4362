"""Sending batches of units to other invocations, by EventBridge or by SQS.

Both take ten messages at a time, of a total size that depends on the region: in China 256 KB, in
others about a megabyte. Portions stay below what all of them take; a batch is below 100 kB. What a
service refuses is sent again after growing pauses, and in the end is an error.

Sources: PutEvents (EventBridge API Reference); "Calculating PutEvents event entry size" (its User
Guide, also that of China); SendMessageBatch (SQS API Reference).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from cloudtrail_parquet.contract import BACKFILL_ATTRIBUTE, DETAIL_TYPE, EVENT_SOURCE
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function.events import Event, to_text
from cloudtrail_parquet.wording import counted, plural_of

_AT_A_TIME = 10
_BYTES_AT_A_TIME = 200_000
_PAUSES_S = (0.2, 0.5, 1, 2, 4, 8)

T = TypeVar("T")


class Fanout(Protocol):
    """Sends events to other invocations."""

    def send(self, events: Iterable[Event]) -> int:
        """Send all events.

        Returns:
            How many were sent.

        Raises:
            StorageError: The service refused some of them; those before them were sent.
        """
        ...


class EventsFanout:
    """Puts events on an EventBridge bus, whose rule sends each to the function."""

    def __init__(self, client: Any, bus: str) -> None:  # noqa: ANN401 - a boto3 client
        """``bus`` is the name or ARN of the bus."""
        self._client, self._bus = client, bus

    def send(self, events: Iterable[Event]) -> int:
        """See `Fanout.send`."""
        return _send_all(map(to_text, events), self._put, f"event bus {self._bus}")

    def _put(self, texts: list[str]) -> list[str]:
        entries = [
            {
                "Source": EVENT_SOURCE,
                "DetailType": DETAIL_TYPE,
                "Detail": text,
                "EventBusName": self._bus,
            }
            for text in texts
        ]
        results = self._client.put_events(Entries=entries)["Entries"]
        return [text for text, result in zip(texts, results, strict=True) if "ErrorCode" in result]


class QueueFanout:
    """Sends events to an SQS queue, from which the function receives them."""

    def __init__(self, client: Any, url: str, backfill: str = "") -> None:  # noqa: ANN401
        """Send to a queue.

        Args:
            client: A boto3 client.
            url: URL of the queue.
            backfill: Id of the backfill that the messages are part of; empty if of none.
        """
        self._client, self._url, self._marks = client, url, marks_of(backfill)

    def send(self, events: Iterable[Event]) -> int:
        """See `Fanout.send`."""
        return _send_all(map(to_text, events), self._put, f"queue {self._url}")

    def _put(self, texts: list[str]) -> list[str]:
        entries = [
            {"Id": str(n), "MessageBody": text, **self._marks} for n, text in enumerate(texts)
        ]
        answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        return [texts[int(failure["Id"])] for failure in answer.get("Failed", ())]


def marks_of(backfill: str) -> dict[str, Any]:
    """The members of an entry of SendMessageBatch that make a message part of a backfill."""
    if not backfill:
        return {}
    mark = {"DataType": "String", "StringValue": backfill}
    return {"MessageAttributes": {BACKFILL_ATTRIBUTE: mark}}


def _send_all(texts: Iterable[str], put: Callable[[list[str]], list[str]], where: str) -> int:
    """Send texts in portions; ``put`` returns those that were refused.

    Returns:
        How many were sent.
    """
    count = 0
    for portion in portions(texts, entry_bytes):
        send_portion(portion, put, where)
        count += len(portion)
    return count


def send_portion(portion: list[T], put: Callable[[list[T]], list[T]], where: str) -> None:
    """Send what a request takes; ``put`` returns what was refused, which is sent again.

    Raises:
        StorageError: The service refused some of it at every attempt, or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - comes with clients

    left = portion
    for pause_s in (*_PAUSES_S, None):
        try:
            left = put(left)
        except (BotoCoreError, ClientError) as error:  # after several attempts by boto3
            what = f"events were not taken ({error})"
            hint = "Fix the cause and run it again; what was sent is being converted"
            raise StorageError(what, where, hint) from error
        if not left:
            return
        if pause_s is None:
            what = f"{counted(len(left), 'event')} {plural_of(len(left), 'was', 'were')} not taken"
            raise StorageError(what, where, "Run it again; what was sent is being converted")
        time.sleep(pause_s)


def portions(messages: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Messages in their order, as many at a time as both services take; a larger one goes alone."""
    portion, portion_bytes = list[T](), 0
    for message in messages:
        size = size_of(message)
        if portion and (len(portion) == _AT_A_TIME or portion_bytes + size > _BYTES_AT_A_TIME):
            yield portion
            portion, portion_bytes = [], 0
        portion.append(message)
        portion_bytes += size
    if portion:
        yield portion


def entry_bytes(text: str) -> int:
    """Size of an entry as EventBridge counts it, without ``Time`` and ``Resources``; SQS less."""
    return sum(len(part.encode()) for part in (EVENT_SOURCE, DETAIL_TYPE, text))
