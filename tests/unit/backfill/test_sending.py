from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cloudtrail_parquet.backfill import sending
from cloudtrail_parquet.backfill.message_queue import Counts, Message, Outgoing
from cloudtrail_parquet.backfill.record import change_record, read_record
from cloudtrail_parquet.backfill.sending import send, take_back, units_named
from cloudtrail_parquet.backfill.survey import Survey
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import estimate
from cloudtrail_parquet.planning.plan import PlannedUnit
from cloudtrail_parquet.storage import Stores, open_store
from cloudtrail_parquet.wording import counted

UNITS = [
    PlannedUnit(Unit("012345678901", "r", date(2026, 1, 10) - timedelta(days=n)), 10, 10**9)
    for n in range(5)
]


class Taking:
    """A queue that takes one message after the other, and gives those that are left."""

    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/q"

    def __init__(self, max_receives: int | None = 5) -> None:
        self.taken: list[Outgoing] = []
        self.receives = 0
        self._max_receives = max_receives

    def max_receives(self) -> int | None:
        return self._max_receives

    def send(self, messages: Iterable[Outgoing]) -> Iterator[int]:
        for message in messages:
            self.taken.append(message)
            yield 1

    def receive(self, _: int) -> Iterator[Message]:
        for number, one in enumerate(self.taken):
            self.receives += 1
            yield Message(str(number), one.body, {"backfill": one.backfill}, 0, str(number))

    def delete(self, messages: Iterable[Message]) -> None:
        gone = {message.body for message in messages}
        self.taken = [one for one in self.taken if one.body not in gone]

    def release(self, messages: Iterable[Message]) -> None:
        pass

    def counts(self) -> Counts:
        return Counts(len(self.taken), 0)


@pytest.fixture
def stores() -> Stores:
    store = open_store("memory:///")
    return Stores(store, store, store)


def test_each_message_names_its_units_and_the_backfill(stores: Stores) -> None:
    queue: Any = Taking()

    record = send(Survey(UNITS, estimate(UNITS), None), "missing", queue, stores, lambda _: None)

    assert [unit for one in queue.taken for unit in units_named(one.body)] == [
        planned.unit for planned in UNITS
    ]
    assert {one.backfill for one in queue.taken} == {record.id}
    assert (record.messages, record.sent, record.only) == (5, 5, "missing")
    assert (record.first, record.last) == (date(2026, 1, 6), date(2026, 1, 10))


@pytest.mark.parametrize(("every", "at", "sent"), [(200, 2, 2), (2, 3, 4), (200, 5, 5), (1, 5, 5)])
def test_a_backfill_that_is_cancelled_while_it_is_sent_is_sent_no_further_and_removed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, every: int, at: int, sent: int
) -> None:
    monkeypatch.setattr(sending, "_RECORD_EVERY", every)
    queue: Any = Taking()
    others = Outgoing("other", "other")

    def cancel(_: int) -> None:
        if len(queue.taken) == at:
            take_back(read_record(stores.state, None).id, queue, stores)
            queue.taken.append(others)

    surveyed = Survey(UNITS, estimate(UNITS), None)
    why = rf"it was cancelled; {counted(sent - at, 'message')} removed since"
    with pytest.raises(StorageError, match=rf"{sent} of 5 messages sent, no more \({why}\)"):
        send(surveyed, "missing", queue, stores, cancel)

    assert queue.taken == [others]
    assert read_record(stores.state, None).sent == sent


def test_a_cancel_at_the_last_moment_is_noticed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: Any = Taking()
    look = change_record

    def late(state: Any, id_: str, **changes: Any) -> Any:  # noqa: ANN401
        look(state, id_, cancelled=datetime.now(UTC))
        return look(state, id_, **changes)

    monkeypatch.setattr(sending, "change_record", late)
    with pytest.raises(StorageError, match=r"5 of 5 .* 5 messages removed since"):
        send(Survey(UNITS, estimate(UNITS), None), "missing", queue, stores, lambda _: None)

    assert queue.taken == []


def test_nothing_is_cancelled_where_a_look_makes_dead_letters(stores: Stores) -> None:
    queue: Any = Taking(max_receives=1)
    id_ = send(Survey(UNITS, estimate(UNITS), None), "missing", queue, stores, lambda _: None).id

    with pytest.raises(UsageError, match="maxReceiveCount is 1"):
        take_back(id_, queue, stores)

    assert queue.receives == 0
    assert read_record(stores.state, id_).cancelled is None


@pytest.mark.parametrize("body", ["", "{}", "poison", '{"kind":"daily"}'])
def test_what_is_no_conversion_names_no_units(body: str) -> None:
    assert units_named(body) == []
