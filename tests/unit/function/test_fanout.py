from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function import fanout
from cloudtrail_parquet.function.events import ConvertEvent, parse_text
from cloudtrail_parquet.function.fanout import (
    EventsFanout,
    Fanout,
    QueueFanout,
    entry_bytes,
    portions,
)
from cloudtrail_parquet.layout import Unit

EVENTS = [ConvertEvent.of([Unit("012345678901", "r", date(2026, 1, n))]) for n in range(1, 26)]


class Service:
    """Takes what EventBridge and SQS take; refuses some of it as long as it is told to."""

    def __init__(self, refuse: Callable[[int], bool] = lambda _: False) -> None:
        self.taken: list[str] = []
        self.marks: list[Any] = []
        self.calls = 0
        self.sizes: list[int] = []
        self._refuse = refuse

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        refused = self._take([one["Detail"] for one in Entries])
        return {
            "Entries": [{"ErrorCode": "Throttled"} if no else {"EventId": "x"} for no in refused]
        }

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "url"
        self.marks += [one.get("MessageAttributes") for one in Entries]
        refused = self._take([one["MessageBody"] for one in Entries])
        failed = [one for one, no in zip(Entries, refused, strict=True) if no]
        return {"Failed": [{"Id": one["Id"]} for one in failed]} if failed else {}

    def _take(self, texts: list[str]) -> list[bool]:
        assert 1 <= len(texts) <= 10
        self.sizes.append(sum(len(one.encode()) for one in texts))
        self.calls += 1
        refused = [self._refuse(self.calls * 10 + n) for n in range(len(texts))]
        self.taken += [text for text, no in zip(texts, refused, strict=True) if not no]
        return refused


WAYS = [lambda service: EventsFanout(service, "bus"), lambda service: QueueFanout(service, "url")]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "_PAUSES_S", (0, 0, 0))


@pytest.mark.parametrize("way", WAYS)
def test_all_events_are_sent_ten_at_a_time(way: Callable[[Service], Fanout]) -> None:
    service = Service()

    assert way(service).send(iter(EVENTS)) == 25

    assert [parse_text(text) for text in service.taken] == EVENTS
    assert service.calls == 3


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_taken_is_sent_again_and_only_that(way: Callable[[Service], Fanout]) -> None:
    service = Service(refuse=lambda number: number % 3 == 0 and number < 30)

    way(service).send(EVENTS)

    taken = [parse_text(text) for text in service.taken]
    assert sorted(map(str, taken)) == sorted(map(str, EVENTS))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_never_taken_is_an_error(way: Callable[[Service], Fanout]) -> None:
    service = Service(refuse=lambda number: number % 10 == 0)

    with pytest.raises(StorageError, match="1 event was not taken"):
        way(service).send(EVENTS)


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_smaller_than_what_the_smallest_region_takes(
    way: Callable[[Service], Fanout],
) -> None:
    """In China that is 256 KB; entries count more than their text, which is not all ASCII here."""
    days = [Unit("ä" * 400, "r", date(2026, 1, 1 + n % 28)) for n in range(112)]
    large = [ConvertEvent.of(days), ConvertEvent.of(days[:3])] * 7
    service = Service()

    assert way(service).send(large) == 14

    assert [parse_text(text) for text in service.taken] == large
    text, small = (len(one.encode()) for one in service.taken[:2])
    assert 90_000 < text < 100_000
    assert service.sizes == [2 * text + 2 * small] * 3 + [text + small]
    assert max(service.sizes) < 200_000


def test_the_size_of_a_request_is_that_which_eventbridge_counts() -> None:
    """Source, type and detail of each entry, in UTF-8."""
    named = len("cloudtrail-parquet") + len("cloudtrail-parquet convert")
    fits = "x" * (100_000 - named)

    assert list(portions([fits, fits, "y"], entry_bytes)) == [[fits, fits], ["y"]]
    assert list(portions([fits, f"{fits}x"], entry_bytes)) == [[fits], [f"{fits}x"]]
    assert list(portions(["x" * 300_000, "y"], entry_bytes)) == [["x" * 300_000], ["y"]]


def test_without_events_nothing_is_asked() -> None:
    service = Service()

    assert QueueFanout(service, "url").send([]) == 0
    assert service.calls == 0


def test_messages_of_a_backfill_bear_its_id_and_others_bear_none() -> None:
    service = Service()

    QueueFanout(service, "url", "20260110T120000Z-3f9a").send(EVENTS[:1])
    QueueFanout(service, "url").send(EVENTS[:1])

    mark = {"DataType": "String", "StringValue": "20260110T120000Z-3f9a"}
    assert service.marks == [{"backfill": mark}, None]
