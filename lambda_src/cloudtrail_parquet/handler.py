"""The Lambda function: takes the events of `events`, plans, dispatches and converts.

Where everything is comes from the environment, with the prefix ``CLOUDTRAIL_PARQUET_``:

* ``SOURCE``, ``DATASET``, ``STATE``: URIs; of sources several, with spaces between them;
* ``DISPATCH``: ``events`` (default), ``queue`` or ``inline``; where planned batches go;
* ``EVENT_BUS``: name or ARN of the bus, ``default`` unless given; ``QUEUE_URL``: of the queue,
  where batches go that a message of it leads to, whatever ``DISPATCH`` says but ``inline``;
* and every setting, see docs/settings.md.
"""

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    UsageError,
)
from cloudtrail_parquet.function.events import (
    Event,
    parse,
    parse_text,
)
from cloudtrail_parquet.function.service import Function, as_ours
from cloudtrail_parquet.function.wiring import function_of
from cloudtrail_parquet.process import prepare_process


class Context(Protocol):
    """What of Lambda's context object is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the invocation."""
        ...


def handler(event: Any, context: Context) -> dict[str, Any]:  # noqa: ANN401 - whatever comes
    """The entry point of the Lambda function.

    Returns:
        For SQS the messages that failed, else counts.

    Raises:
        CloudTrailParquetError: Some of it was not done, so that Lambda tries again.
    """

    def left_s() -> float:
        return context.get_remaining_time_in_millis() / 1000

    _prepare()
    messages = _messages(event)
    # With connections of its own: while a function is frozen, those it had are closed unseen.
    function = function_of(os.environ, by_queue=bool(messages))
    function = replace(function, whole_s=left_s(), left_s=left_s)
    telemetry = function.telemetry
    telemetry.invoked(context.aws_request_id)
    try:
        if messages:
            failed = [one["messageId"] for one in messages if not _is_done(function, one)]
            return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
        return dict(_work(function, parse, event))
    except CloudTrailParquetError as error:
        telemetry.event_failed(error)
        raise
    finally:
        telemetry.flush()
        gc.collect()  # what still holds connections: they are limited


def _messages(event: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """The messages of an event from SQS; none of any other event."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        return []
    ours = [one for one in records if isinstance(one, dict) and one.get("eventSource") == "aws:sqs"]
    if not all(isinstance(one.get("messageId"), str) for one in ours):
        what, hint = "a message of SQS without messageId", "Send what SQS sends"
        raise UsageError(what, "event", hint)
    return ours


def _is_done(function: Function, message: dict[str, Any]) -> bool:
    """Work on a message; one that fails comes again, or goes to the dead-letter queue."""
    try:
        _work(function, parse_text, message.get("body"))
    except CloudTrailParquetError as error:
        function.telemetry.event_failed(error, message["messageId"])
        return False
    return True


def _work(function: Function, read: Callable[[Any], Event], raw: Any) -> dict[str, int]:  # noqa: ANN401
    with as_ours("event"):
        try:
            event = read(raw)
        except UsageError:
            function.telemetry.refused()
            raise
        return function.run(event)


_prepare = cache(prepare_process)
