"""Sending a backfill to a queue, and taking back what of it still waits there."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue, Outgoing
from cloudtrail_parquet.backfill.record import (
    Backfill,
    change_record,
    new_id,
    read_record,
    write_record,
)
from cloudtrail_parquet.backfill.survey import Survey
from cloudtrail_parquet.contract import MAX_UNITS
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.function.events import ConvertEvent, parse_text, to_text
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import BATCH_S, pack
from cloudtrail_parquet.planning.plan import Only, PlannedUnit
from cloudtrail_parquet.storage import Stores

_RECORD_EVERY = 200  # messages: twenty requests, a second or two
_HIDDEN_S = 600


def send(
    surveyed: Survey,
    only: Only,
    queue: MessageQueue,
    stores: Stores,
    tell: Callable[[int], None],
) -> Backfill:
    """Send the units of a survey, newest days first, and keep a record of it in the state.

    Args:
        surveyed: What is to be converted; not nothing.
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
    )
    write_record(state, backfill, (planned.unit for planned in units))
    sent = recorded = 0
    try:
        for count in queue.send(_messages(units, backfill.id)):
            sent += count
            tell(count)
            if sent - recorded >= _RECORD_EVERY:
                recorded = sent
                if change_record(state, backfill.id, sent=sent).cancelled is not None:
                    break
    except StorageError as error:
        raise _stopped(error.what, backfill, sent) from error
    finally:
        record = change_record(state, backfill.id, sent=sent)
    if sent < backfill.messages:
        raise _stopped("it was cancelled", backfill, sent)
    return record


def _messages(units: Iterable[PlannedUnit], id_: str) -> Iterator[Outgoing]:
    for batch in pack(units, BATCH_S, MAX_UNITS):
        event = ConvertEvent.of(planned.unit for planned in batch)
        yield Outgoing(to_text(event), id_)


def _stopped(why: str, backfill: Backfill, sent: int) -> StorageError:
    what = f"{sent:,} of {backfill.messages:,} messages were sent, no more ({why})"
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


def take_back(id_: str, queue: MessageQueue, stores: Stores) -> Cancelled:
    """Remove the messages of a backfill from its queue, and record that.

    Messages of others are looked at once each, which counts as one of their receives, and are
    visible again at the end; if this process is killed, after ten minutes.

    Args:
        id_: The backfill.
        queue: Its queue.
        stores: The state has its record.
    """
    backfill = read_record(stores.state, id_)
    change_record(stores.state, backfill.id, cancelled=stores.now())
    removed = units = 0
    others, ours = list[Message](), list[Message]()
    try:
        for message in queue.receive(_HIDDEN_S):
            if message.backfill != backfill.id:
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
    return [ref.unit for ref in event.units] if isinstance(event, ConvertEvent) else []
