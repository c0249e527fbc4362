"""Dead letters: events that failed too often, why they did, and sending them again.

Where the reason is depends on who gave the event up:

    Lambda, asynchronous invocations    ``responsePayload`` of the body, with the event beside it
    EventBridge, Scheduler              the message's attribute ``ERROR_MESSAGE``
    a queue, by its redrive policy      only in the function's log, by the id of the message

Sources: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations";
EventBridge User Guide, "Using dead-letter queues"; EventBridge Scheduler User Guide, the same.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Self

import msgspec

from cloudtrail_parquet.backfill.aws import explained
from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue, Outgoing
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    DailyEvent,
    Event,
    ExpireEvent,
    PlanEvent,
    RewriteEvent,
    UnitRef,
    parse,
)
from cloudtrail_parquet.function.fanout import EventsFanout

NOT_LOGGED = "the log has no reason: mostly, time or memory ran out"
_HIDDEN_S = 600
_AT_A_TIME = 10


class DeadLetter(NamedTuple):
    """An event that failed too often.

    Attributes:
        message: The message that holds it.
        event: The event; None if it is not one.
        reason: Why it failed, in words.
    """

    message: Message
    event: Event | None
    reason: str

    @property
    def about(self) -> str:
        """What it was to do, in words."""
        match self.event:
            case ConvertEvent(units):
                return f"convert {_named(units)}"
            case RewriteEvent(units):
                return f"rewrite {_named(units) if units else 'a range'}"
            case ExpireEvent(age):
                return f"expire what is older than {age}"
            case PlanEvent(first, last):
                return f"plan {first} to {last}"
            case DailyEvent():
                return "daily"
            case _:
                return "not an event"


def _named(units: Sequence[UnitRef]) -> str:
    more = f" and {len(units) - 1:,} more" if len(units) > 1 else ""
    return f"{units[0].unit.name}{more}"


Send = Callable[[list[DeadLetter]], None]
"""Sends some dead letters again, ten at most."""

Reasons = Callable[[list[Message]], Mapping[str, str]]
"""Looks up the reasons of messages that do not say it themselves; gives them by id."""


class DeadLetters:
    """The dead letters of a queue, hidden from others for as long as the context lasts.

    Attributes:
        letters: The dead letters.
    """

    def __init__(self, queue: MessageQueue, reasons: Reasons) -> None:
        self._queue, self._reasons = queue, reasons
        self._held = dict[str, Message]()
        self.letters = list[DeadLetter]()

    def __enter__(self) -> Self:
        try:
            for message in self._queue.receive(_HIDDEN_S):
                self._held[message.id] = message
            silent = [message for message in self._held.values() if not _reason_in(message)]
            known = self._reasons(silent) if silent else {}
            self.letters = [
                DeadLetter(
                    message,
                    _event_in(message),
                    _reason_in(message) or known.get(message.id, NOT_LOGGED),
                )
                for message in self._held.values()
            ]
        except BaseException:
            self._queue.release(self._held.values())
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.release(self._held.values())

    def resend(self, letters: Iterable[DeadLetter], send: Send) -> int:
        """Send some of them again, and remove them here once they are sent.

        Returns:
            How many were sent: all that are events.

        Raises:
            StorageError: Some were not taken; these are still here.
        """
        sent, events = 0, (letter for letter in letters if letter.event is not None)
        while some := list(islice(events, _AT_A_TIME)):
            send(some)
            self._queue.delete(letter.message for letter in some)
            sent += len(some)
            for letter in some:
                del self._held[letter.message.id]
        return sent


def to_queue(queue: MessageQueue) -> Send:
    """Send the same messages to a queue, each as a part of its backfill."""

    def send(letters: list[DeadLetter]) -> None:
        messages = (Outgoing(letter.message.body, letter.message.backfill) for letter in letters)
        for _ in queue.send(messages):
            pass

    return send


def to_bus(client: Any, bus: str) -> Send:  # noqa: ANN401 - a boto3 client
    """Send the events to a bus."""

    def send(letters: list[DeadLetter]) -> None:
        EventsFanout(client, bus).send(letter.event for letter in letters if letter.event)

    return send


def logged_reasons(client: Any, group: str) -> Reasons:  # noqa: ANN401 - a boto3 client
    """Look reasons up in the log of the function, from when the oldest message was sent."""

    def look_up(messages: list[Message]) -> dict[str, str]:
        wanted, reasons = {message.id for message in messages}, dict[str, str]()
        with explained(group):
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=group,
                filterPattern='"message_failed"',
                startTime=min(message.sent_ms for message in messages),
            )
            for page in pages:
                for line in map(_line, page["events"]):
                    if line.get("message_id") in wanted:
                        reasons[line["message_id"]] = str(line.get("error"))
        return reasons

    return look_up


def _line(event: dict[str, Any]) -> dict[str, Any]:
    try:
        line = json.loads(event["message"])
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _members(message: Message) -> dict[str, Any]:
    try:
        members = msgspec.json.decode(message.body)
    except msgspec.DecodeError:
        return {}
    return members if isinstance(members, dict) else {}


def _event_in(message: Message) -> Event | None:
    members = _members(message)
    try:
        return parse(members.get("requestPayload", members))
    except UsageError:
        return None


def _reason_in(message: Message) -> str:
    """The reason that a message gives; empty if it gives none."""
    if reason := message.attributes.get("ERROR_MESSAGE"):
        return " ".join(filter(None, (message.attributes.get("ERROR_CODE"), reason)))
    members = _members(message)
    if "requestPayload" not in members:
        return ""
    answer, context = (members.get(name) for name in ("responsePayload", "requestContext"))
    error = answer.get("errorMessage") if isinstance(answer, dict) else None
    condition = context.get("condition") if isinstance(context, dict) else None
    return str(error or condition or "Lambda gives no reason")
