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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from itertools import chain
from math import ceil
from traceback import walk_tb
from typing import Any, Protocol

from msgspec.structs import replace as replace_in

from cloudtrail_parquet.accounts import Accounts
from cloudtrail_parquet.config import PREFIX, Settings, Source, settings_environment, settings_of
from cloudtrail_parquet.convert import convert_unit
from cloudtrail_parquet.discover import discover, look_into_odd_siblings
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    NotEnoughTimeError,
    StorageError,
    TooLargeError,
    UsageError,
)
from cloudtrail_parquet.events import (
    MAX_UNITS,
    Convert,
    Daily,
    Event,
    Plan,
    UnitRef,
    parse,
    parse_text,
)
from cloudtrail_parquet.fanout import EventsFanout, Fanout, QueueFanout
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, LogFile, Shard, Unit
from cloudtrail_parquet.notes import read_notes, shard_notes, unfinished
from cloudtrail_parquet.ownership import open_dataset_state
from cloudtrail_parquet.places import Places
from cloudtrail_parquet.plan import BATCH_S, FUNCTION_S, Range, Receipts, Sized, pack, plan
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.reach import scheduled_days
from cloudtrail_parquet.receipt import Receipt
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.telemetry import SERVICE, Telemetry

START_S = 10
"""What an invocation may take before its first unit: listings, mostly."""

MARGIN_S = 20
"""Left at the end of an invocation for what it has begun, and for handing back the rest."""

FETCH_THREADS = 32
"""Log files fetched at a time, unless said otherwise: at 20 ms a GET, 1,500 files a second."""

LEASE_WAIT_S = 60
"""Waited at most for another run of a unit: an invocation that waits is paid for."""

SHARD_WAIT_S = 300
"""The same for a shard: shards are published one after the other, and are ready together."""

SHARDS_MORE = 2.5
"""Into how many times more shards than needed a unit is split: busy hours make larger ones, and a
shard is read again when another one has published a record of it meanwhile."""


class Context(Protocol):
    """What of Lambda's context object is used."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the invocation."""
        ...


@dataclass(frozen=True)
class Function:
    """A function with its places and settings, for one invocation.

    Attributes:
        stores: Where everything is.
        settings: How to convert.
        fanout: Opens where planned batches go; None to convert them in the invocation that plans.
        telemetry: Who is told.
        whole_s: How many seconds the invocation had when it began.
        left_s: How many are left of it.
    """

    stores: Stores
    settings: Settings
    fanout: Callable[[], Fanout] | None
    telemetry: Telemetry
    whole_s: float = 0
    left_s: Callable[[], float] = lambda: 0

    def run(self, event: Event) -> dict[str, int]:
        """Work on an event.

        Returns:
            Counts, for people who invoke the function by hand.

        Raises:
            CloudTrailParquetError: Some of it was not done, and another attempt may help.
        """
        match event:
            case Convert(units):
                return self._convert(list(units))
            case Plan():
                return self._plan(event, scheduled=False)
            case Daily(days_back):
                today = self.stores.clock.now().date()
                days = scheduled_days(today, days_back, self.settings)
                return self._plan(Plan(*days, only="outdated"), scheduled=True)

    def _plan(self, asked: Plan, *, scheduled: bool) -> dict[str, int]:
        """Have units converted; accounts that may not be listed go on as a plan of their own.

        One of nothing but such accounts fails.
        """
        source, state = self.stores.source, self.stores.state
        of = Range(asked.first, asked.last, frozenset(asked.accounts), frozenset(asked.regions))
        found = discover(source, self.settings.folders)
        for place in found.without_logs:
            self.telemetry.without_logs(place)
        found.check(asked.accounts, asked.regions, "plan")
        refused = found.refused_of(of.accounts)
        for account, error in refused.items():
            self.telemetry.account_refused(account, error)
        # To compare all parts is asked for by hand; the daily run would list thousands of folders.
        receipts = Receipts(state, None if scheduled else self.stores.dataset)
        units = plan(source, receipts, found, of, asked.only, self.settings)
        others = self._unfinished(of)
        if scheduled:
            units = chain(
                units,
                *(plan(source, receipts, found, one, "outdated", self.settings) for one in others),
            )
        look_into_odd_siblings(source, found)
        try:
            counts = self._dispatch(units, scheduled=scheduled)
        finally:
            self.telemetry.unplaced(found.unplaced)
        if not refused:
            if not found.with_logs:
                raise found.no_logs(source, of.holds)
            return counts
        if self.fanout is None or not any(of.holds(*place) for place in found.trails):
            raise next(iter(refused.values()))
        self.fanout().send([replace_in(asked, accounts=tuple(refused))])
        return {**counts, "accounts_refused": len(refused)}

    def _unfinished(self, of: Range) -> list[Range]:
        """The units outside of a range that a run has begun to replace and not finished.

        A daily run completes them. A run that is still under way is no older than an invocation.
        """
        left, now = list[Range](), self.stores.clock.now()
        for unit, since in sorted(unfinished(self.stores.state).items()):
            inside = of.first <= unit.day <= of.last and of.holds(unit.account, unit.region)
            if not inside and now - since > timedelta(seconds=FUNCTION_S):
                self.telemetry.unfinished(unit, since)
                places = frozenset([unit.account]), frozenset([unit.region])
                left.append(Range(unit.day, unit.day, *places))
        return left

    def _dispatch(self, units: Iterator[Sized], *, scheduled: bool) -> dict[str, int]:
        """Send planned units on in batches, or convert them here if there is but one."""
        planned, days = 0, set[date]()

        def noted() -> Iterator[Sized]:
            nonlocal planned
            for one in units:
                planned += 1
                if scheduled and one.files:  # without any, it may turn out to have no records
                    days.add(one.unit.day)
                yield one

        batches = pack(noted(), BATCH_S * self.whole_s / FUNCTION_S, MAX_UNITS)
        first, second = next(batches, []), next(batches, [])
        of_units = ([one.unit for one in batch] for batch in chain((first, second), batches))
        if self.fanout is None or not second:
            here = list(chain.from_iterable(of_units))
            self.telemetry.planned(planned, min(planned, 1), min(days, default=None))
            return self._convert([UnitRef(*unit) for unit in here])
        sent = self.fanout().send(map(Convert.of, of_units))
        self.telemetry.planned(planned, sent, min(days, default=None))
        return {"planned": planned, "batches": sent}

    def _convert(self, units: list[UnitRef]) -> dict[str, int]:
        """Convert units; what is left of them goes to another invocation if this one got on.

        So it comes to an end: events become shorter, and one that nothing can be done of fails.
        """
        late = self.whole_s - self.left_s() > START_S  # other work has taken the time
        got_on, converted = False, 0
        left, failures = list[UnitRef](), list[CloudTrailParquetError]()
        if not units:
            return {"converted": 0, "handed_back": 0}
        open_dataset_state(self.stores, self.settings)
        accounts = Accounts(self.stores.source, self.settings.folders)
        for number, unit in enumerate(units):
            try:
                receipt = self._convert_unit(unit, accounts)
            except NotEnoughTimeError as error:
                left += units[number:]
                failures.append(error)
                got_on = got_on or late
                break
            except CloudTrailParquetError as error:
                if isinstance(error, TooLargeError) and self.fanout is not None:
                    shards = unit.split(error.shards)
                    self.fanout().send(Convert((shard,)) for shard in shards)
                    self.telemetry.handed_back(len(shards))
                    got_on = True
                    continue
                self.telemetry.failed(unit.unit, error)
                left.append(unit)
                failures.append(error)
            else:
                got_on = True
                if receipt is not None:
                    self.telemetry.converted(receipt)
                    converted += 1
        if failures and (self.fanout is None or not got_on):
            raise failures[0]
        if left and self.fanout is not None:
            self.fanout().send([Convert(tuple(left))])
            self.telemetry.handed_back(len(left))
        return {"converted": converted, "handed_back": len(left)}

    def _convert_unit(self, ref: UnitRef, accounts: Accounts) -> Receipt | None:
        """Convert a unit or a shard of it.

        Raises:
            UsageError: The source has no logs for it, and it was never converted.
        """
        unit, shard = ref.unit, Shard(*ref.shard)
        self._admit(unit, shard, [])
        holds_logs = False

        def admit(files: list[LogFile]) -> None:
            nonlocal holds_logs
            holds_logs = True  # it is asked only when there is something to convert
            self._admit(unit, shard, files)

        longest_s = LEASE_WAIT_S if shard == WHOLE else SHARD_WAIT_S
        wait_s = min(self.settings.lease_wait_s, longest_s, int(self.left_s() - MARGIN_S))
        settings = replace(self.settings, lease_wait_s=wait_s)
        with _as_ours(unit.name):
            trails = self._trails(unit, accounts)
            receipt = convert_unit(unit, trails, self.stores, settings, admit, shard)
            if receipt is None and not holds_logs:
                raise accounts.no_logs(unit)
        return receipt

    def _trails(self, unit: Unit, accounts: Accounts) -> list[str]:
        """Where the logs of a unit lie: nowhere any longer, for one that was converted once."""
        try:
            return accounts.trails(unit)
        except UsageError:
            state = self.stores.state
            if read_notes(state, unit).is_void and not shard_notes(state, unit):
                raise
            return []

    def _admit(self, unit: Unit, shard: Shard, files: list[LogFile]) -> None:
        """Let a unit be converted if there is time for its log files.

        Raises:
            NotEnoughTimeError: Another invocation would have it.
            TooLargeError: No invocation has, but for shards of it.
            UsageError: No invocation has it for this shard.
        """
        needed_s = Sized(unit, len(files), sum(file.size for file in files)).seconds
        most_s, left_s = self.whole_s - START_S - MARGIN_S, self.left_s() - MARGIN_S
        if needed_s > most_s:
            what = f"needs about {needed_s:.0f} s; an invocation has {max(most_s, 0):.0f} s for it"
            hint = "Give the function more time, or convert it with the command line"
            if shard == WHOLE and most_s > 0:
                of = min(ceil(needed_s / most_s * SHARDS_MORE), MAX_SHARDS)
                raise TooLargeError(what, unit.name, hint, of)
            raise UsageError(what, unit.name, hint)
        if needed_s > left_s:
            what = f"needs about {needed_s:.0f} s; {max(left_s, 0):.0f} s are left"
            raise NotEnoughTimeError(what, unit.name, "Another invocation has to convert it")


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
    with _as_ours("event"):
        try:
            event = read(raw)
        except UsageError:
            function.telemetry.refused()
            raise
        return function.run(event)


@contextmanager
def _as_ours(where: str) -> Iterator[None]:
    """Make errors of others ours, without their text, which may quote a record."""
    try:
        yield
    except CloudTrailParquetError:
        raise
    except Exception as error:
        frames = [(frame.f_globals["__name__"], no) for frame, no in walk_tb(error.__traceback__)]
        *_, at = (f"{name}:{no}" for name, no in frames if name.startswith("cloudtrail_parquet"))
        what = f"failed with {type(error).__name__} at {at}"
        if isinstance(error, OSError):  # no room in /tmp, mostly
            what += f" ({error.strerror})"
        hint = "It is tried again. If that does not help, please report this line"
        raise StorageError(what, where, hint) from error


_prepare = cache(prepare_process)


def function_of(environment: Mapping[str, str], *, by_queue: bool = False) -> Function:
    """The function that an environment describes.

    Args:
        environment: Its variables.
        by_queue: Whether what it is to work on came by the queue.

    Raises:
        UsageError: Something is missing or not legal.
    """
    ours = Source("function", {"fetch_threads": FETCH_THREADS})
    settings = settings_of(ours, *settings_environment(environment))
    if missing := [name for name in _NEEDED if not environment.get(PREFIX + name)]:
        names = ", ".join(PREFIX + name for name in missing)
        raise UsageError(f"not set: {names}", "environment", "Set them to s3://bucket/prefix")
    source, dataset, state = (environment[PREFIX + name] for name in _NEEDED)
    places = Places.of(source, dataset, state)
    places.check(settings)
    telemetry = Telemetry(environment.get("POWERTOOLS_SERVICE_NAME") or SERVICE)
    return Function(places.open(), settings, _fanout(environment, by_queue=by_queue), telemetry)


_NEEDED = ("SOURCE", "DATASET", "STATE")


def _fanout(environment: Mapping[str, str], *, by_queue: bool) -> Callable[[], Fanout] | None:
    """Where batches go; those of a message back to its queue, so that a backfill stays in it."""
    dispatch = environment.get(f"{PREFIX}DISPATCH") or "events"
    url = environment.get(f"{PREFIX}QUEUE_URL")
    if dispatch == "inline":
        return None
    if dispatch == "events" and not (by_queue and url):
        bus = environment.get(f"{PREFIX}EVENT_BUS") or "default"
        return cache(partial(_events_fanout, bus))
    if dispatch not in {"events", "queue"}:
        what = f"{PREFIX}DISPATCH = {dispatch!r}"
        raise UsageError(what, "environment", "Set it to events, queue or inline")
    if not url:
        raise UsageError(f"not set: {PREFIX}QUEUE_URL", "environment", "Set it to the queue's URL")
    return cache(partial(_queue_fanout, url))


def _events_fanout(bus: str) -> Fanout:
    import boto3  # noqa: PLC0415 - 0.2 s that only fanning out needs

    return EventsFanout(boto3.client("events"), bus)


def _queue_fanout(url: str) -> Fanout:
    import boto3  # noqa: PLC0415 - as above

    return QueueFanout(boto3.client("sqs"), url)
