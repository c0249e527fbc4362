from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cloudtrail_parquet.backfill import sending
from cloudtrail_parquet.backfill.message_queue import Outgoing
from cloudtrail_parquet.backfill.record import change_record, read_record
from cloudtrail_parquet.backfill.sending import send, units_named
from cloudtrail_parquet.backfill.survey import Survey
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.batches import estimate
from cloudtrail_parquet.planning.plan import PlannedUnit
from cloudtrail_parquet.storage import Stores, open_store

UNITS = [
    PlannedUnit(Unit("012345678901", "r", date(2026, 1, 10) - timedelta(days=n)), 10, 10**9)
    for n in range(5)
]


class Taking:
    """A queue that takes one message after the other."""

    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/q"

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    def send(self, messages: Iterable[Outgoing]) -> Iterator[int]:
        for message in messages:
            self.taken.append(message)
            yield 1


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


def test_a_backfill_that_is_cancelled_while_it_is_sent_is_sent_no_further(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_RECORD_EVERY", 2)
    queue: Any = Taking()

    def cancel(_: int) -> None:
        now = datetime.now(UTC)
        change_record(stores.state, read_record(stores.state, None).id, cancelled=now)

    with pytest.raises(
        StorageError, match=r"2 of 5 messages were sent, no more \(it was cancelled"
    ):
        send(Survey(UNITS, estimate(UNITS), None), "missing", queue, stores, cancel)

    assert len(queue.taken) == 2
    assert read_record(stores.state, None).sent == 2


@pytest.mark.parametrize("body", ["", "{}", "poison", '{"kind":"daily"}'])
def test_what_is_no_conversion_names_no_units(body: str) -> None:
    assert units_named(body) == []
