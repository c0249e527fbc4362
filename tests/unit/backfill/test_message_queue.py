from typing import Any

import pytest

from cloudtrail_parquet.backfill.aws import region_in
from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue, Outgoing
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function import fanout


class Sqs:
    """Takes what SQS takes; refuses the first message of a request as often as it is told."""

    def __init__(self, refusals: int = 0) -> None:
        self.requests: list[list[str]] = []
        self.marks: list[Any] = []
        self.refusals = refusals

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "url"
        assert 1 <= len(Entries) <= 10
        assert sum(len(one["MessageBody"].encode()) for one in Entries) <= 200_000
        failed = [{"Id": Entries[0]["Id"]}] if self.refusals else []
        self.refusals -= bool(failed)
        taken = Entries[len(failed) :]
        self.requests.append([one["MessageBody"] for one in taken])
        self.marks += [one.get("MessageAttributes", {}).get("backfill") for one in taken]
        return {"Failed": failed}

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "url"
        return {"Failed": [{"Id": one["Id"], "Code": "Odd"} for one in Entries[:1]]}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "_PAUSES_S", (0, 0, 0))


def test_a_request_has_ten_messages_and_200_kb_at_most() -> None:
    sqs = Sqs()
    small = [str(number) for number in range(25)]
    large = [letter * 90_000 for letter in "abcdeä"]  # the last of two bytes each

    counts = list(MessageQueue(sqs, "url").send(map(Outgoing, [*small, *large])))

    assert [text for request in sqs.requests for text in request] == [*small, *large]
    assert counts == [10, 10, 7, 2, 1, 1]


def test_a_message_bears_the_id_of_its_backfill() -> None:
    sqs = Sqs()

    list(MessageQueue(sqs, "url").send([Outgoing("a", "id"), Outgoing("b")]))

    assert sqs.marks == [{"DataType": "String", "StringValue": "id"}, None]


def test_what_is_not_taken_is_sent_again_and_counted_once() -> None:
    sqs = Sqs(refusals=3)

    assert list(MessageQueue(sqs, "url").send(map(Outgoing, "abc"))) == [3]
    assert sorted(text for request in sqs.requests for text in request) == ["a", "b", "c"]


def test_what_is_never_taken_is_an_error() -> None:
    with pytest.raises(StorageError, match="url: 1 event was not taken"):
        list(MessageQueue(Sqs(refusals=99), "url").send([Outgoing("a")]))


def test_messages_that_are_not_deleted_are_an_error() -> None:
    message = Message("id", "body", {}, 0, "handle")

    with pytest.raises(StorageError, match=r"url: not deleted: 1 message \(Odd\)"):
        MessageQueue(Sqs(), "url").delete([message, message])


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/q", "eu-central-1"),
        ("https://sqs.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://us-west-2.queue.amazonaws.com/123456789012/q", "us-west-2"),
        ("https://vpce-0a1b-2c.sqs.us-east-1.vpce.amazonaws.com/123456789012/q", "us-east-1"),
        ("http://127.0.0.1:5000/123456789012/eu-central-1.", None),
        ("https://queue.amazonaws.com/123456789012/q", None),
    ],
)
def test_the_url_of_a_queue_names_its_region(url: str, region: str | None) -> None:
    assert region_in(url) == region
