"""Sending a backfill to a queue, and taking back what of it still waits there."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue, Outgoing
from cloudtrail_parquet.backfill.record import (
    Backfill,
    change_record,
    new_id,
    read_record,
    write_record,
)
from cloudtrail_parquet.backfill.survey import RewriteSurvey, Survey
from cloudtrail_parquet.contract import MAX_UNITS
from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError, UsageError
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    Event,
    RewriteEvent,
    UnitRef,
    parse_text,
    to_text,
)
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.plan import Only, PlannedUnit
from cloudtrail_parquet.planning.ranges import ToRewrite
from cloudtrail_parquet.rewriting.selection import PlannedRewrite
from cloudtrail_parquet.storage import Store, Stores
from cloudtrail_parquet.wording import counted

_RECORD_EVERY = 200  # messages: twenty requests, a second or two
_HIDDEN_S = 600
_OF_UNITS = (ConvertEvent, RewriteEvent)


def send(
    surveyed: Survey | RewriteSurvey,
    only: Only | ToRewrite,
    queue: MessageQueue,
    stores: Stores,
    tell: Callable[[int], None],
) -> Backfill:
    """Send the units of a survey, newest days first, and keep a record of it in the state.

    If it is cancelled meanwhile, what was sent since is removed.

    Args:
        surveyed: What is to be converted or rewritten; not nothing.
        only: Which units were asked for.
        queue: The queue of the function.
        stores: The state receives the record.
        tell: Receives how many messages each request has sent.

    Returns:
        The record.

    Raises:
        StorageError: The queue took only some of the messages, or the backfill was cancelled
            meanwhile; says how many were sent.
    """
    units, total, state = surveyed.units, surveyed.total, stores.state
    now = stores.now()
    kind, event_of = "convert", ConvertEvent.of  # type: str, Callable[[Iterable[Unit]], Event]
    if isinstance(surveyed, RewriteSurvey):
        kind, event_of = "rewrite", partial(_rewrite_event, surveyed.only)
    backfill = Backfill(
        id=new_id(now),
        begun=now,
        queue=queue.url,
        first=units[-1].unit.day,
        last=units[0].unit.day,
        only=only,
        units=total.units,
        files=total.files,
        bytes=total.bytes,
        seconds=total.seconds,
        dollars=surveyed.dollars["total"],
        messages=total.batches,
        kind=kind,
    )
    write_record(state, backfill, (planned.unit for planned in units))
    return _send(_messages(units, event_of, backfill.id), backfill, queue, state, tell)


def _rewrite_event(only: ToRewrite, units: Iterable[Unit]) -> RewriteEvent:
    return RewriteEvent(units=tuple(map(UnitRef.of, units)), only=only)


def _send(
    messages: Iterable[Outgoing],
    backfill: Backfill,
    queue: MessageQueue,
    state: Store,
    tell: Callable[[int], None],
) -> Backfill:
    """Send messages as long as the record does not say that they are cancelled.

    It is looked at once more at the end: who cancels after that look sees all messages, and what
    who cancelled before it could not see is removed here.
    """
    sent, recorded, record, why = 0, 0, backfill, ""
    try:
        for count in queue.send(messages):
            sent += count
            tell(count)
            if sent - recorded >= _RECORD_EVERY:
                recorded = sent
                record = change_record(state, backfill.id, sent=sent)
            elif sent < _RECORD_EVERY:  # small ones would else be over before anybody looks
                record = read_record(state, backfill.id)
            if record.cancelled is not None:
                break
    except StorageError as error:
        why = error.what
    finally:
        record = change_record(state, backfill.id, sent=sent)
    if record.cancelled is not None:
        why = f"it was cancelled; {_removed_after(backfill.id, queue)}"
    if why:
        raise _stopped(why, backfill, sent)
    return record


def _removed_after(id_: str, queue: MessageQueue) -> str:
    """Remove what was sent of a backfill after it was cancelled; says what came of that."""
    try:
        return f"{counted(_remove(id_, queue).messages, 'message')} removed since"
    except CloudTrailParquetError as error:
        return f"not removed: {error.what}; backfill cancel --id {id_} does that"


def _messages(
    units: Iterable[PlannedUnit | PlannedRewrite],
    event_of: Callable[[Iterable[Unit]], Event],
    id_: str,
) -> Iterator[Outgoing]:
    for batch in pack(units, BATCH_S, MAX_UNITS):
        yield Outgoing(to_text(event_of(planned.unit for planned in batch)), id_)


def _stopped(why: str, backfill: Backfill, sent: int) -> StorageError:
    what = f"{sent:,} of {counted(backfill.messages, 'message')} sent, no more ({why})"
    hint = "Run the same command again: it sends what is not converted by then"
    return StorageError(what, f"backfill {backfill.id}", hint)


class Cancelled(NamedTuple):
    """What was taken back.

    Attributes:
        messages: How many messages were removed.
        units: How many units these were to convert.
        others: How many messages of others were seen, and left.
        under_way: How many messages, of whomever, are being worked on, and could not be looked at.
    """

    messages: int
    units: int
    others: int
    under_way: int


def take_back(id_: str, queue: MessageQueue, stores: Stores | None) -> Cancelled:
    """Remove the messages of a backfill from its queue, and record that.

    Messages of others are looked at once each, which counts as one of their receives, and are
    visible again at the end; if this process is killed, after ten minutes.

    Args:
        id_: The backfill.
        queue: Its queue.
        stores: The state has its record; None if that is lost.

    Raises:
        UsageError: There is no such record, or a look would make dead letters of others' messages;
            nothing was done.
    """
    _check_look(queue)
    if stores is not None:
        change_record(stores.state, id_, cancelled=stores.now())
    return _remove(id_, queue)


def _check_look(queue: MessageQueue) -> None:
    if queue.max_receives() == 1:
        what = "a look at messages of others would make them dead letters (maxReceiveCount is 1)"
        hint = "Set it to 2 or more (max_receives of [backfill_queue]), and cancel then"
        raise UsageError(what, queue.url, hint)


def _remove(id_: str, queue: MessageQueue) -> Cancelled:
    _check_look(queue)
    removed = units = 0
    others, ours = list[Message](), list[Message]()
    try:
        for message in queue.receive(_HIDDEN_S):
            if message.backfill != id_:
                others.append(message)
                continue
            ours.append(message)
            units += len(units_named(message.body))
            if len(ours) == 10:  # noqa: PLR2004 - a request
                queue.delete(ours)
                removed += len(ours)
                ours.clear()
        queue.delete(ours)
        removed += len(ours)
    finally:
        queue.release(others)
    return Cancelled(removed, units, len(others), queue.counts().under_way)


def units_named(body: str) -> list[Unit]:
    """The units that a message names, those of shards as well; none if it is no such message."""
    try:
        event = parse_text(body)
    except UsageError:
        return []
    return [ref.unit for ref in event.units] if isinstance(event, _OF_UNITS) else []
