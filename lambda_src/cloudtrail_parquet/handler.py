"""The Lambda function: takes the events of `events`, plans, dispatches and converts.

Where everything is comes from the environment, with the prefix ``CLOUDTRAIL_PARQUET_``:

* ``SOURCE``, ``DATASET``, ``STATE``: URIs;
* ``DISPATCH``: ``events`` (default), ``queue`` or ``inline``; where planned batches go;
* ``EVENT_BUS``: name or ARN of the bus, ``default`` unless given; ``QUEUE_URL``: of the queue;
* and every setting, see docs/settings.md.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, islice
from typing import Any, Protocol

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from cloudtrail_parquet.config import PREFIX, Settings, settings_environment, settings_of
from cloudtrail_parquet.convert import convert_unit, open_dataset_state
from cloudtrail_parquet.dispatch import Places
from cloudtrail_parquet.errors import CloudTrailParquetError, NotEnoughTimeError, UsageError
from cloudtrail_parquet.events import (
    MAX_UNITS,
    Convert,
    Daily,
    Event,
    Only,
    Plan,
    parse,
    parse_text,
)
from cloudtrail_parquet.fanout import EventsFanout, Fanout, QueueFanout
from cloudtrail_parquet.layout import LogFile, Unit
from cloudtrail_parquet.plan import BATCH_S, Range, Sized, pack, plan
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.source import account_roots, discover, trails_of
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.telemetry import Telemetry

CATCH_UP_DAYS = 3
"""Days before the scheduled one that are looked at again: not settled then, changed, or missed."""

MARGIN_S = 20
"""Left at the end of an invocation for what it has begun, and for handing back the rest."""

LEASE_WAIT_S = 60
"""Waited at most for another run of a unit: an invocation that waits is paid for."""


class Context(Protocol):
    """What of Lambda's context object is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the invocation."""
        ...


@dataclass(frozen=True)
class Function:
    """A function with its places and settings, kept from invocation to invocation.

    Attributes:
        stores: Where everything is.
        settings: How to convert.
        fanout: Where planned batches go; None to convert them in the invocation that plans.
        telemetry: Who is told.
        left_s: How many seconds are left of the invocation.
    """

    stores: Stores
    settings: Settings
    fanout: Fanout | None
    telemetry: Telemetry
    left_s: Callable[[], float]

    def run(self, event: Event) -> dict[str, int]:
        """Work on an event.

        Returns:
            Counts, for people who invoke the function by hand.

        Raises:
            CloudTrailParquetError: Some of it was not done, and another attempt may help.
        """
        match event:
            case Convert(units):
                return self._convert([one.unit for one in units])
            case Plan(first, last, accounts, regions, only):
                of = Range(first, last, frozenset(accounts), frozenset(regions))
                return self._dispatch(self._plan(of, only), scheduled=False)
            case Daily(days_back):
                day = datetime.now(UTC).date() - timedelta(days=days_back)
                of = Range(day - timedelta(days=CATCH_UP_DAYS), day)
                return self._dispatch(self._plan(of, "outdated"), scheduled=True)

    def _plan(self, of: Range, only: Only) -> Iterator[Sized]:
        source, _, state = self.stores
        found = discover(source, self.settings.folders)
        return plan(source, state, found, of, only, self.settings)

    def _dispatch(self, units: Iterator[Sized], *, scheduled: bool) -> dict[str, int]:
        """Send planned units on in batches, or convert them here if there is but one."""
        batches = pack(units, BATCH_S, MAX_UNITS)
        ahead = list(islice(batches, 2))
        planned = [one.unit for batch in ahead for one in batch]
        oldest = min((unit.day for unit in planned), default=None) if scheduled else None
        if self.fanout is None or len(ahead) < 2:  # noqa: PLR2004
            units_here = planned + [one.unit for batch in batches for one in batch]
            self.telemetry.planned(len(units_here), 1, oldest)
            return self._convert(units_here)
        counts = {"planned": 0, "batches": 0}

        def counted() -> Iterator[Event]:
            for batch in chain(ahead, batches):
                counts["planned"] += len(batch)
                counts["batches"] += 1
                yield Convert.of(one.unit for one in batch)

        self.fanout.send(counted())
        self.telemetry.planned(counts["planned"], counts["batches"], oldest)
        return counts

    def _convert(self, units: list[Unit]) -> dict[str, int]:
        if not units:
            return {"converted": 0}
        open_dataset_state(self.stores.state, self.settings)
        roots = account_roots(self.stores.source)
        converted, failures = 0, list[CloudTrailParquetError]()
        for number, unit in enumerate(units):
            trails = trails_of(roots, unit.account, unit.region, self.settings.folders)
            try:
                receipt = convert_unit(
                    unit, trails, self.stores, self.settings, self._admission(unit)
                )
            except NotEnoughTimeError as error:
                if not number or self.fanout is None:  # a new invocation would get no further
                    self.telemetry.failed(unit, error)
                    raise
                self._hand_back(units[number:])
                break
            except CloudTrailParquetError as error:
                self.telemetry.failed(unit, error)
                failures.append(error)
            else:
                converted += 1
                if receipt is not None:
                    self.telemetry.converted(receipt)
        if failures:
            raise failures[0]
        return {"converted": converted, "handed_back": len(units) - converted}

    def _admission(self, unit: Unit) -> Callable[[list[LogFile]], None]:
        def admit(files: list[LogFile]) -> None:
            needed_s = Sized(unit, len(files), sum(file.size for file in files)).seconds
            left_s = self.left_s() - MARGIN_S
            if needed_s > left_s:
                raise NotEnoughTimeError(
                    f"needs about {needed_s:.0f} s, {max(left_s, 0):.0f} s are left",
                    unit.name,
                    "If it does so in a new invocation too, give the function more time and memory",
                )

        return admit

    def _hand_back(self, units: list[Unit]) -> None:
        if self.fanout is not None:
            self.fanout.send([Convert.of(units)])
            self.telemetry.handed_back(len(units))


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """The entry point of the Lambda function.

    Returns:
        For SQS the messages that failed, else counts.

    Raises:
        CloudTrailParquetError: Some of it was not done, so that Lambda tries again.
    """
    function = replace(_function(), left_s=lambda: context.get_remaining_time_in_millis() / 1000)
    telemetry = function.telemetry
    telemetry.invoked(context.aws_request_id)
    try:
        if _is_from_queue(event):
            return _run_messages(function, event, context)
        return dict(function.run(_parsed(parse, event, telemetry)))
    finally:
        telemetry.flush()


def _is_from_queue(event: Any) -> bool:  # noqa: ANN401
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and all(
        isinstance(one, dict) and one.get("eventSource") == "aws:sqs" for one in records
    )


def _run_messages(function: Function, event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
    """Work on each message; those that fail come again, or go to the dead-letter queue."""

    def work(record: SQSRecord) -> dict[str, int]:
        try:
            return function.run(_parsed(parse_text, record.body, function.telemetry))
        except Exception as error:
            function.telemetry.message_failed(record.message_id, error)
            raise

    failures = process_partial_response(
        event=event,
        record_handler=work,
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )
    return dict(failures)


def _parsed(read: Callable[[Any], Event], raw: Any, telemetry: Telemetry) -> Event:  # noqa: ANN401
    try:
        return read(raw)
    except UsageError as error:
        telemetry.refused(error)
        raise


@cache
def _function() -> Function:
    prepare_process()
    return function_of(os.environ)


def function_of(environment: Mapping[str, str]) -> Function:
    """The function that an environment describes.

    Raises:
        UsageError: Something is missing or not legal.
    """
    settings = settings_of(*settings_environment(environment))
    if missing := [name for name in _NEEDED if not environment.get(PREFIX + name)]:
        names = ", ".join(PREFIX + name for name in missing)
        raise UsageError(f"not set: {names}", "environment", "Set them to s3://bucket/prefix")
    source, dataset, state = (environment[PREFIX + name] for name in _NEEDED)
    return Function(
        Places.of(source, dataset, state).open(),
        replace(settings, lease_wait_s=min(settings.lease_wait_s, LEASE_WAIT_S)),
        _fanout(environment),
        Telemetry(),
        lambda: 0,
    )


_NEEDED = ("SOURCE", "DATASET", "STATE")


def _fanout(environment: Mapping[str, str]) -> Fanout | None:
    dispatch = environment.get(f"{PREFIX}DISPATCH") or "events"
    if dispatch == "inline":
        return None
    if dispatch not in {"events", "queue"}:
        what = f"{PREFIX}DISPATCH = {dispatch!r}"
        raise UsageError(what, "environment", "Set it to events, queue or inline")
    import boto3  # noqa: PLC0415 - 0.2 s that only this needs

    if dispatch == "events":
        return EventsFanout(
            boto3.client("events"), environment.get(f"{PREFIX}EVENT_BUS", "default")
        )
    url = environment.get(f"{PREFIX}QUEUE_URL")
    if not url:
        raise UsageError(f"not set: {PREFIX}QUEUE_URL", "environment", "Set it to the queue's URL")
    return QueueFanout(boto3.client("sqs"), url)
