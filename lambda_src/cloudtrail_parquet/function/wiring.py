"""Wiring: from environment variables to the function that they describe."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from cloudtrail_parquet.contract import DEFAULT_SERVICE, Variable
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.function.fanout import EventsFanout, Fanout, QueueFanout
from cloudtrail_parquet.function.redelivery import Redelivery
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.settings.settings import settings_environment, settings_of
from cloudtrail_parquet.storage.locations import Locations


def function_of(environment: Mapping[str, str], *, by_queue: bool = False) -> Function:
    """The function that an environment describes.

    Args:
        environment: The environment variables.
        by_queue: Whether the invocation's events came from the queue.

    Raises:
        UsageError: A variable is missing or not valid.
    """
    settings = settings_of(*settings_environment(environment))
    if missing := [name for name in _NEEDED if not environment.get(name)]:
        what = f"not set: {', '.join(missing)}"
        raise UsageError(what, "environment", "Set them to s3://bucket/prefix")
    locations = Locations.of(*(environment[name] for name in _NEEDED))
    locations.check(settings.part_bytes)
    telemetry = Telemetry(environment.get(Variable.SERVICE) or DEFAULT_SERVICE)
    fanout = fanout_of(environment, by_queue=by_queue)
    return Function(locations.open(), settings, fanout, telemetry)


def redelivery_of(environment: Mapping[str, str]) -> Redelivery:
    """What has failed messages of the queue of an environment delivered again."""
    return Redelivery(cache(_impatient_sqs), environment.get(Variable.QUEUE_URL, ""))


_NEEDED = (Variable.SOURCE, Variable.DATASET, Variable.STATE)


def fanout_of(
    environment: Mapping[str, str], *, by_queue: bool, backfill: str = ""
) -> Callable[[], Fanout] | None:
    """The fan-out for batches; those of a message go to its queue, so a backfill stays in it.

    Args:
        environment: The environment variables.
        by_queue: Whether the event came from the queue.
        backfill: Id of the backfill that its message is part of, as are those that it leads to.

    Raises:
        UsageError: A variable is missing or not valid.
    """
    dispatch = environment.get(Variable.DISPATCH) or "events"
    url = environment.get(Variable.QUEUE_URL)
    if dispatch == "inline":
        return None
    if dispatch == "events" and not (by_queue and url):
        bus = environment.get(Variable.EVENT_BUS) or "default"
        return cache(partial(_events_fanout, bus))
    if dispatch not in {"events", "queue"}:
        what = f"{Variable.DISPATCH} = {dispatch!r}"
        raise UsageError(what, "environment", "Set it to events, queue or inline")
    if not url:
        raise UsageError(
            f"not set: {Variable.QUEUE_URL}", "environment", "Set it to the queue's URL"
        )
    return cache(partial(_queue_fanout, url, backfill))


def _events_fanout(bus: str) -> Fanout:
    import boto3  # noqa: PLC0415 - 0.2 s that only fanning out needs

    return EventsFanout(boto3.client("events"), bus)


def _queue_fanout(url: str, backfill: str) -> Fanout:
    import boto3  # noqa: PLC0415 - as above

    return QueueFanout(boto3.client("sqs"), url, backfill)


def _impatient_sqs() -> Any:  # noqa: ANN401 - a boto3 client
    """A client that gives up soon: without an answer, a message comes again later, no more."""
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.client("sqs", config=config)
