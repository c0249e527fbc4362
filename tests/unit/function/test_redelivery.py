"""When messages that have failed come again, and which."""

from typing import Any

import pytest

from cloudtrail_parquet.function.redelivery import Redelivery, delay_s

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/backfill"
OURS = {
    "receiptHandle": "x",
    "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:backfill",
    "attributes": {"ApproximateReceiveCount": "2"},
}


class Client:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def change_message_visibility(self, **asked: Any) -> None:  # noqa: ANN401
        self.asked.append(asked)


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [delay_s(receives) for receives in (1, 2, 3, 4, 5, 1000)] == [
        120,
        240,
        480,
        900,
        900,
        900,
    ]
    assert sum(map(delay_s, range(1, 6))) < 3600  # what five receives take


def test_a_message_of_the_queue_comes_again_after_its_pause() -> None:
    client = Client()

    assert Redelivery(lambda: client, URL).soon([OURS]) == ""

    assert client.asked == [{"QueueUrl": URL, "ReceiptHandle": "x", "VisibilityTimeout": 240}]


@pytest.mark.parametrize(
    ("message", "url"),
    [
        ({**OURS, "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:other"}, URL),
        ({**OURS, "receiptHandle": ""}, URL),
        ({"messageId": "1"}, URL),
        (OURS, ""),
        ({"receiptHandle": "x"}, ""),
    ],
)
def test_no_other_message_is_touched(message: dict[str, Any], url: str) -> None:
    client = Client()

    assert Redelivery(lambda: client, url).soon([message]) == ""

    assert client.asked == []


@pytest.mark.parametrize("attributes", [None, {}, {"ApproximateReceiveCount": "many"}, 3])
def test_a_message_of_which_nobody_knows_how_often_it_came_has_the_first_pause(
    attributes: object,
) -> None:
    client = Client()

    Redelivery(lambda: client, URL).soon([{**OURS, "attributes": attributes}])

    assert [asked["VisibilityTimeout"] for asked in client.asked] == [120]
