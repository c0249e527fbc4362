"""The entry point of the Lambda function, which works on the events of `function.events`.

It is configured by environment variables with the prefix ``CLOUDTRAIL_PARQUET_``:

* ``SOURCE``, ``DATASET``, ``STATE``: URIs; several sources have spaces between them;
* ``DISPATCH``: how planned batches are sent on: ``events`` (default), ``queue`` or ``inline``;
* ``EVENT_BUS``: the name or ARN of the bus, by default ``default``; ``QUEUE_URL``: the queue, which
  also receives batches that a message from it leads to, unless ``DISPATCH`` is ``inline``;
* and every setting, see docs/settings.md.
"""

import gc

gc.disable()  # imports make many objects and no garbage: 12 ms of a cold start

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from cloudtrail_parquet.contract import BACKFILL_ATTRIBUTE
from cloudtrail_parquet.errors import CloudTrailParquetError, UsageError
from cloudtrail_parquet.function.converting import translated_errors
from cloudtrail_parquet.function.events import Event, parse, parse_text
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.wiring import fanout_of, function_of, redelivery_of
from cloudtrail_parquet.process import prepare_process

gc.freeze()  # else the first collection would look through all that
gc.enable()


class Context(Protocol):
    """The parts of Lambda's context object that are used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """The time left for the invocation."""
        ...


def handler(event: Any, context: Context) -> dict[str, Any]:  # noqa: ANN401 - whatever comes
    """Work on an event; see `function.events`.

    Returns:
        For SQS the messages that failed, else counts.

    Raises:
        CloudTrailParquetError: Some of it was not done, so Lambda has to try again.
    """

    def left_s() -> float:
        return context.get_remaining_time_in_millis() / 1000

    _prepare()
    messages = _messages(event)
    # New connections each time: while a function is frozen, open ones are closed unnoticed.
    try:
        function = function_of(os.environ, by_queue=bool(messages))
    except CloudTrailParquetError:
        redelivery_of(os.environ).soon(messages)
        raise
    function = replace(function, whole_s=left_s(), left_s=left_s)
    telemetry = function.telemetry
    telemetry.invoked(context.aws_request_id)
    try:
        if messages:
            failed = _work_on_messages(function, messages)
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
        function = replace(function, delivery=context.aws_request_id)
        return dict(_work(function, parse, event))
    except CloudTrailParquetError as error:
        telemetry.event_failed(error)
        raise
    finally:
        telemetry.flush()
        gc.collect()  # frees connections, which are limited


def _messages(event: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """The messages of an event from SQS; empty for any other event."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        return []
    return [
        record
        for record in records
        if isinstance(record, dict) and record.get("eventSource") == "aws:sqs"
    ]


def _work_on_messages(function: Function, messages: list[dict[str, Any]]) -> list[str]:
    """Work on messages; those that fail come again, or go to the dead-letter queue.

    Returns:
        The ids of the messages that failed.

    Raises:
        UsageError: One of them has no id, by which it could be named.
    """
    if not all(isinstance(message.get("messageId"), str) for message in messages):
        function.telemetry.refused()
        what, hint = "a message of SQS without messageId", "Send what SQS sends"
        raise UsageError(what, "event", hint)
    failed, redelivery = [], redelivery_of(os.environ)
    for message in messages:
        # What is left of a message of a backfill is part of it as well.
        fanout = fanout_of(os.environ, by_queue=True, backfill=_backfill_of(message))
        try:
            of_message = replace(function, delivery=message["messageId"], fanout=fanout)
            _work(of_message, parse_text, message.get("body"))
        except CloudTrailParquetError as error:
            function.telemetry.event_failed(error, message["messageId"])
            failed.append(message["messageId"])
            if reason := redelivery.soon([message]):
                function.telemetry.not_soon(reason)
    return failed


def _backfill_of(message: dict[str, Any]) -> str:
    """The id of the backfill that a message is part of; empty if it is of none.

    Source: Lambda Developer Guide, "Using Lambda with Amazon SQS", example event.
    """
    attributes = message.get("messageAttributes")
    mark = attributes.get(BACKFILL_ATTRIBUTE) if isinstance(attributes, dict) else None
    value = mark.get("stringValue") if isinstance(mark, dict) else None
    return value if isinstance(value, str) else ""


def _work(function: Function, read: Callable[[Any], Event], raw: Any) -> dict[str, int]:  # noqa: ANN401
    with translated_errors("event"):
        try:
            event = read(raw)
        except UsageError:
            function.telemetry.refused()
            raise
        return function.run(event)


_prepare = cache(prepare_process)
