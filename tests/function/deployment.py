"""What surrounds the function in an account: buckets, a bus, queues; and what carries events.

moto delivers from a bus to a queue, but to no function, and maps no queue to one. So what the
rules and the event source mapping would do is done here, with the events that they would give.

Sources: EventBridge User Guide, "Events"; Lambda Developer Guide, "Using Lambda with Amazon SQS"
and "Asynchronous invocation".
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import boto3
import msgspec
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.contract import DETAIL_TYPE, EVENT_SOURCE
from cloudtrail_parquet.state.receipt import Receipt
from tests.function.runtime import SOURCE_TREE, Code, Outcome, Sandbox
from tests.s3.conftest import CREDENTIALS
from tests.s3.faults import FaultProxy

ATTEMPTS = 3
"""Asynchronous invocations: one, and two retries. Receives of a message: `maxReceiveCount`."""

_REGION = "us-east-1"
_ACCOUNT = "123456789012"
_PREFIXES = {"logs": "org", "lake": "cloudtrail", "state": "x"}

Invoke = Callable[..., Outcome]


class Carried(NamedTuple):
    """An event that was carried to the function, and what came of each attempt."""

    event: Any
    outcomes: list[Outcome]


class Carrier:
    """Carries events from a bus and a queue to the function.

    Attributes:
        failed: Events that failed at every attempt: what the on-failure destination would get.
    """

    def __init__(self) -> None:
        self.failed: list[Any] = []

    def connect(
        self,
        sqs: Any,  # noqa: ANN401
        delivered: str,
        queue: str = "",
        dead_letters: str = "",
    ) -> None:
        """Say where events are: a client, and the URLs of queues.

        Args:
            sqs: A client.
            delivered: What the rule for the function sends its events to in the function's place.
            queue: The backfill queue, if there is one.
            dead_letters: What it has given up.
        """
        self._sqs, self._delivered, self._queue = sqs, delivered, queue
        self._dead_letters = dead_letters
        self._queue_arn = self._arn_of(queue) if queue else ""

    def _arn_of(self, queue: str) -> str:
        asked = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn: str = asked["Attributes"]["QueueArn"]
        return arn

    def invoke_asynchronously(self, invoke: Invoke, event: object) -> Carried:
        """As EventBridge and Scheduler invoke: with retries, here at once."""
        carried, request_id = Carried(event, []), str(uuid.uuid4())
        for _ in range(ATTEMPTS):
            carried.outcomes.append(invoke(event, request_id=request_id))
            if carried.outcomes[-1].ok:
                return carried
        self.failed.append(event)
        return carried

    def carry_events(self, invoke: Invoke) -> list[Carried]:
        """Carry events from the bus to the function, until none comes."""
        return [self.invoke_asynchronously(invoke, event) for event in self._delivered_events()]

    def _delivered_events(self) -> Iterator[Any]:
        while message := self._receive(self._delivered, 1):
            handle = message[0]["ReceiptHandle"]
            self._sqs.delete_message(QueueUrl=self._delivered, ReceiptHandle=handle)
            yield {**json.loads(message[0]["Body"]), "account": _ACCOUNT}

    def send_messages(self, *bodies: object) -> None:
        """Put messages into the backfill queue; a text as it is."""
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=text)

    def map_queue(
        self, invoke: Invoke, at_a_time: int = 10, at_most: int | None = None
    ) -> list[Carried]:
        """Carry messages to the function, as its mapping does, until none is left, or so often.

        A message that failed comes again; at once, since nobody waits here.
        """
        carried = list[Carried]()
        while len(carried) != at_most and (messages := self._receive(self._queue, at_a_time)):
            event = {"Records": [self._record(one) for one in messages]}
            outcome = invoke(event)
            carried.append(Carried(event, [outcome]))
            failures = outcome.payload["batchItemFailures"] if outcome.ok else None
            failed = {one["itemIdentifier"] for one in failures or []}
            for one in messages:
                where = {"QueueUrl": self._queue, "ReceiptHandle": one["ReceiptHandle"]}
                if failures is None or one["MessageId"] in failed:
                    self._sqs.change_message_visibility(**where, VisibilityTimeout=0)
                else:
                    self._sqs.delete_message(**where)
        return carried

    def _receive(self, url: str, at_most: int) -> list[Any]:
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=at_most,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        messages: list[Any] = answer.get("Messages", [])
        return messages

    def _record(self, message: Any) -> dict[str, Any]:  # noqa: ANN401
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue_arn,
            "awsRegion": self._queue_arn.split(":")[3],
        }

    def dead_letters(self) -> list[str]:
        """The bodies of what the queue has given up."""
        messages = []
        while some := self._receive(self._dead_letters, 10):
            messages += [one["Body"] for one in some]
        return messages

    def left_in_queue(self) -> int:
        """Messages of the backfill queue, seen or unseen."""
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["All"])
        counts = asked["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counts[name]) for name in names)


class Deployment(Carrier):
    """One deployment of the function; use it as a context.

    Attributes:
        s3: A client past the proxy.
        proxy: What the function takes for AWS.
        buckets: Names by place.
    """

    def __init__(self, aws: str, s3: S3Client, tmp: Path) -> None:
        """``aws`` is the endpoint of all services; in ``tmp`` functions have their ``/tmp``."""
        super().__init__()
        self._aws, self.s3, self._tmp = aws, s3, tmp
        self._open = ExitStack()
        self._sandboxes = 0
        self.buckets = {place: f"{place}-{uuid.uuid4().hex}" for place in _PREFIXES}

    def __enter__(self) -> Self:
        self.proxy = self._open.enter_context(FaultProxy(self._aws))
        self._sqs, self._events = self._client("sqs"), self._client("events")
        for name in self.buckets.values():
            self.s3.create_bucket(Bucket=name)
        dead_letters, dead_letters_arn = self._new_queue({})
        redrive = {"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": str(ATTEMPTS)}
        queue, _ = self._new_queue({"RedrivePolicy": json.dumps(redrive)})
        delivered, delivered_arn = self._new_queue({})
        self.connect(self._sqs, delivered, queue, dead_letters)
        self._bus = f"bus-{uuid.uuid4().hex}"
        pattern = {"source": [EVENT_SOURCE], "detail-type": [DETAIL_TYPE]}
        self._events.create_event_bus(Name=self._bus)
        self._events.put_rule(Name="r", EventBusName=self._bus, EventPattern=json.dumps(pattern))
        target = {"Id": "function", "Arn": delivered_arn}
        self._events.put_targets(Rule="r", EventBusName=self._bus, Targets=[target])
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def new_buckets(self, *names: str) -> list[str]:
        """Make buckets beside those of the deployment; their whole names."""
        made = [f"{name}-{uuid.uuid4().hex}" for name in names]
        for name in made:
            self.s3.create_bucket(Bucket=name)
        return made

    def _client(self, service: Any) -> Any:  # noqa: ANN401
        client = boto3.client(
            service,
            endpoint_url=self._aws,
            region_name=_REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self._open.callback(client.close)
        return client

    def start(self, code: Code = SOURCE_TREE, **environment: str) -> Sandbox:
        """Start the function, with more in its environment if need be."""
        self._sandboxes += 1
        tmp = self._tmp / f"tmp-{self._sandboxes}"
        return self._open.enter_context(Sandbox({**self.environment, **environment}, tmp, code))

    def _new_queue(self, attributes: dict[str, str]) -> tuple[str, str]:
        attributes = {"VisibilityTimeout": "5400", **attributes}
        url = self._sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=attributes)[
            "QueueUrl"
        ]
        return url, self._arn_of(url)

    @property
    def environment(self) -> dict[str, str]:
        """What the deployment gives the function."""
        places = {
            "SOURCE": f"{self._uri('logs')}?retries=2",  # faults that stay are given up sooner
            "DATASET": f"{self._uri('lake')}?retries=2",
            "STATE": f"{self._uri('state')}?retries=2",
            "EVENT_BUS": self._bus,
            "QUEUE_URL": self._queue,
        }
        ours = {f"CLOUDTRAIL_PARQUET_{name}": value for name, value in places.items()}
        token = {"AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": self.proxy.url}
        return {**CREDENTIALS, **token, **ours}

    def _uri(self, place: str) -> str:
        return f"s3://{self.buckets[place]}/{_PREFIXES[place]}"

    # What there is.

    def upload(self, tree: Path) -> None:
        """Put a folder's files where the logs are."""
        for key, data in contents(tree).items():
            self.s3.put_object(Bucket=self.buckets["logs"], Key=f"org/{key}", Body=data)

    def objects(self, place: str, below: str = "") -> dict[str, bytes]:
        """All objects of a place, by key below it, or below a folder of it."""
        bucket, prefix = self.buckets[place], f"{_PREFIXES[place]}/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix + below
        )
        return {
            one["Key"].removeprefix(prefix): self.s3.get_object(Bucket=bucket, Key=one["Key"])[
                "Body"
            ].read()
            for page in pages
            for one in page.get("Contents", [])
        }

    def receipts(self) -> list[Receipt]:
        """All receipts."""
        texts = self.objects("state", "receipts/").values()
        return [msgspec.json.decode(text, type=Receipt) for text in texts]

    def litter(self) -> list[str]:
        """What no run may leave behind: leases, intents, unfinished uploads, other files."""
        left = [key for kind in ("leases/", "intents/") for key in self.objects("state", kind)]
        for bucket in self.buckets.values():
            uploads = self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            left += [one["Key"] for one in uploads]
        return left + [key for key in self.objects("lake") if not key.endswith(".parquet")]

    def remove(self, place: str, below: str = "") -> None:
        """Remove all objects of a place, or below a folder of it."""
        for key in self.objects(place, below):
            self.s3.delete_object(Bucket=self.buckets[place], Key=f"{_PREFIXES[place]}/{key}")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
