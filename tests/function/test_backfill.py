"""Backfills by the command line: sent to a queue, converted by the function, watched, redriven."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from cloudtrail_parquet.backfill import message_queue, sending
from cloudtrail_parquet.backfill.record import read_record
from cloudtrail_parquet.cli.backfill import commands as cli_backfill
from cloudtrail_parquet.function import fanout
from cloudtrail_parquet.handler import handler
from cloudtrail_parquet.planning import batches
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import Stores, open_store
from cloudtrail_parquet.wording import counted
from tests.builders import ago
from tests.end_to_end.program import Done, run
from tests.function.conftest import Deploy
from tests.function.deployment import Carried, Deployment
from tests.function.runtime import Outcome
from tests.s3.faults import Answer, Fault, FaultProxy, Request, error

DAYS, PLACES = 20, 4
UNITS = DAYS * PLACES
FIRST = ago(40)
LAST = FIRST + timedelta(days=DAYS - 1)
LOG_GROUP = "/aws/lambda/convert"


@dataclass
class Backfilled:
    """A deployment whose function is this process, and the command line of its owner."""

    deployed: Deployment
    caplog: pytest.LogCaptureFixture

    @property
    def proxy(self) -> FaultProxy:
        return self.deployed.proxy

    @property
    def sqs(self) -> Any:  # noqa: ANN401
        return self.deployed._sqs  # noqa: SLF001

    @property
    def places(self) -> list[str]:
        names = (f"CLOUDTRAIL_PARQUET_{name}" for name in ("SOURCE", "DATASET", "STATE"))
        source, dataset, state = (self.deployed.environment[name] for name in names)
        return [source, dataset, "--state", state]

    @property
    def queue(self) -> str:
        return self.deployed.environment["CLOUDTRAIL_PARQUET_QUEUE_URL"]

    def start(self, *options: object) -> Done:
        return run("backfill", *self.places, "--queue", self.queue, *options)

    def sent(self, *options: object) -> Any:  # noqa: ANN401
        return self._json(self.start("--yes", "--json", *options))

    def status(self, *options: object) -> Any:  # noqa: ANN401
        done = run("backfill", "status", *self.places[1:], "--json", *options)
        return json.loads(done.stdout.splitlines()[-1])

    def cancel(self, *options: object) -> Any:  # noqa: ANN401
        return self._json(run("backfill", "cancel", *self.places[1:], "--yes", "--json", *options))

    def redrive(self, *options: object) -> Done:
        return run("backfill", "redrive", "--queue", self.queue, *options)

    def work(self, messages: int = 1_000) -> list[Carried]:
        """Let the function work on so many messages, one at a time."""
        return self.deployed.map_queue(self.invoke, 1, messages)

    def invoke(self, event: Any) -> Outcome:  # noqa: ANN401
        context = SimpleNamespace(
            aws_request_id="request", get_remaining_time_in_millis=lambda: 900_000
        )
        return Outcome(ok=True, payload=handler(event, context))

    def write_log(self) -> None:
        """What the function has written so far, as Lambda puts it into CloudWatch Logs."""
        now = int(time.time() * 1000)
        form = LambdaPowertoolsFormatter().format
        logs = self.deployed._client("logs")  # noqa: SLF001
        logs.create_log_group(logGroupName=LOG_GROUP)
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName="0")
        lines = [form(one) for one in self.caplog.records if one.name == "cloudtrail-parquet"]
        lines.append("not JSON: message_failed")
        events = [{"timestamp": now, "message": line} for line in lines]
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName="0", logEvents=events)

    def new_queue(self) -> str:
        url, _ = self.deployed._new_queue({})  # noqa: SLF001
        return url

    def left_in(self, queue: str) -> int:
        """How many messages are there, seen or unseen."""
        read = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(read[name]) for name in names)

    def bodies(self, queue: str) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]

    def _json(self, done: Done) -> Any:  # noqa: ANN401
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backfill") / "logs"
    generate_tree(folder, TreeSpec(accounts=2, regions=2, days=DAYS, records=400, first_day=FIRST))
    return folder


@pytest.fixture(scope="module")
def one_for_all(deploy: Deploy, tree: Path) -> Deployment:
    """A deployment to which nothing is sent."""
    deployed = deploy()
    day = next(tree.rglob(f"us-east-1/{LAST:%Y/%m/%d}"))
    for path in day.iterdir():
        key = f"org/{path.relative_to(tree).as_posix()}"
        deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=key, Body=path.read_bytes())
    return deployed


Of = Callable[[Deployment], Backfilled]


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Of:
    def make(deployed: Deployment) -> Backfilled:
        for name, value in deployed.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_PROFILE", "")  # so that it is as before, whatever a command sets
        monkeypatch.delenv("AWS_PROFILE")
        monkeypatch.setattr(message_queue, "_WAIT_S", 0)
        for module in (sending, batches):
            monkeypatch.setattr(module, "BATCH_S", 8)  # some twelve units a message
        return Backfilled(deployed, caplog)

    return make


@pytest.fixture
def backfilled(deploy: Deploy, tree: Path, of: Of) -> Backfilled:
    deployed = deploy()
    deployed.upload(tree)
    return of(deployed)


@pytest.fixture
def untouched(one_for_all: Deployment, of: Of) -> Iterator[Backfilled]:
    yield of(one_for_all)
    assert one_for_all.left_in_queue() == 0


def counts(progress: Any) -> tuple[int, ...]:  # noqa: ANN401
    """What a status says of units, and of messages."""
    names = ("planned", "done", "failed", "left", "waiting", "under_way", "dead_letters")
    return tuple(progress[name] for name in names)


def test_a_backfill_is_sent_watched_cancelled_and_sent_again(backfilled: Backfilled) -> None:
    sent = backfilled.sent("--from", FIRST, "--to", LAST)
    assert (sent["units"], sent["sent"]) == (UNITS, sent["messages"])
    assert sent["messages"] > 5
    assert sent["dollars"]["total"] == pytest.approx(sum(sent["dollars"].values()) / 2, abs=1e-4)
    assert counts(backfilled.status()) == (UNITS, 0, 0, UNITS, sent["messages"], 0, 0)

    carried = backfilled.work(3)

    first = [unit for one in carried for unit in units_of(one)]
    assert [unit["day"] for unit in first] == sorted((unit["day"] for unit in first), reverse=True)
    assert first[0]["day"] == str(LAST)
    now = backfilled.status()
    left = UNITS - len(first)
    assert counts(now) == (UNITS, len(first), 0, left, sent["messages"] - 3, 0, 0)
    assert now["per_minute"] > 0
    assert now["seconds_left"] == pytest.approx(left * 60 / now["per_minute"], abs=1)

    backfilled.deployed.send_messages({"kind": "daily", "days_back": 366})
    taken = backfilled.cancel()

    assert taken["messages"] == sent["messages"] - 3
    assert (taken["units"], taken["others"], taken["under_way"]) == (left, 1, 0)
    assert counts(backfilled.status()) == (UNITS, len(first), 0, left, 1, 0, 0)
    assert backfilled.status()["cancelled"]

    again = backfilled.start("--yes", "--json", "--from", FIRST, "--to", LAST)

    assert "the queue has 1 message already" in again.stderr
    assert json.loads(again.stdout)["units"] == left
    backfilled.work()
    assert counts(backfilled.status())[:4] == (left, left, 0, 0)
    assert counts(backfilled.status("--id", sent["id"]))[:4] == (UNITS, UNITS, 0, 0)
    done = backfilled.start("--yes", "--from", FIRST, "--to", LAST)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(f"nothing to convert: {UNITS} units are up to date")


def units_of(carried: Carried) -> list[dict[str, str]]:
    (message,) = carried.event["Records"]
    units: list[dict[str, str]] = json.loads(message["body"])["units"]
    return units


def test_a_unit_that_fails_is_told_with_its_reason_and_sent_again(backfilled: Backfilled) -> None:
    day = FIRST + timedelta(days=7)
    poison = rf"eu-central-1/{day:%Y/%m/%d}/.*\.json\.gz"
    backfilled.proxy.add(error(403, "InvalidObjectState", method="GET", path=poison))
    some = ("--from", day - timedelta(days=2), "--to", day + timedelta(days=2))
    sent = backfilled.sent(*some)
    backfilled.work()

    failed = backfilled.status()

    named = failed["failed"]  # of two accounts; and the day before, which reads the first hours
    assert 2 <= named <= 4
    assert counts(failed)[:4] == (sent["units"], sent["units"] - named, named, 0)
    assert failed["dead_letters"] >= 1
    assert run("backfill", "status", *backfilled.places[1:]).returncode == 1
    unlogged = backfilled.redrive("--json", "--yes", "--reason", "no such reason")
    assert unlogged.stderr == "no dead letters with that reason\n"

    backfilled.write_log()
    asked = backfilled.redrive("--log", LOG_GROUP)
    assert asked.returncode == 2
    events = counted(failed["dead_letters"], "event")
    assert f'Send {events} again?", since there is no terminal. Answer' in asked.stderr
    assert f"eu-central-1 {day}" in asked.stdout
    assert "It is archived: restore it" in asked.stdout
    assert counts(backfilled.status()) == counts(failed)

    backfilled.proxy.clear()
    resent = backfilled.redrive("--log", LOG_GROUP, "--reason", "is ARCHIVED", "--yes", "--json")
    assert resent.returncode == 0, resent.stderr
    letters = [json.loads(line) for line in resent.stdout.splitlines()]
    assert len(letters) == failed["dead_letters"]
    backfilled.work()

    assert counts(backfilled.status()) == (sent["units"], sent["units"], 0, 0, 0, 0, 0)
    again = backfilled.start("--yes", *some)
    assert again.stderr.startswith("nothing to convert")


def test_what_lambda_and_eventbridge_gave_up_goes_to_the_bus_again(backfilled: Backfilled) -> None:
    failures, sqs = backfilled.new_queue(), backfilled.sqs
    event = {"kind": "daily", "days_back": 3}
    unit = {"account": "012345678901", "region": "us-east-1", "day": "2026-01-10"}
    convert = {"kind": "convert", "units": [unit, {**unit, "day": "2026-01-11"}]}
    of_lambda = {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": {"detail-type": "x", "source": "y", "detail": convert},
        "responsePayload": {"errorType": "StorageError", "errorMessage": "s3://a: cannot be read"},
    }
    undelivered = {
        "ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"},
        "ERROR_MESSAGE": {"DataType": "String", "StringValue": "Lambda denies it"},
    }
    sqs.send_message(QueueUrl=failures, MessageBody=json.dumps(of_lambda))
    sqs.send_message(
        QueueUrl=failures, MessageBody=json.dumps(event), MessageAttributes=undelivered
    )
    sqs.send_message(QueueUrl=failures, MessageBody="{}")
    bus = backfilled.deployed.environment["CLOUDTRAIL_PARQUET_EVENT_BUS"]

    done = run("backfill", "redrive", "--failures", failures, "--bus", bus, "--yes")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "convert 012345678901 us-east-1 2026-01-10 and 1 more: s3://a: cannot be read",
        "daily: NO_PERMISSIONS Lambda denies it",
        "not an event: neither Lambda nor EventBridge says why it is here",
    ]
    assert "not sent again: 1 message, which is not an event: purge it" in done.stderr
    carried = backfilled.deployed.carry_events(lambda event, **_: Outcome(ok=True, payload=event))
    assert [one.event["detail"] for one in carried] == [convert, event]
    assert backfilled.bodies(failures) == ["{}"]
    assert backfilled.left_in(failures) == 1


def test_what_a_message_leads_to_is_part_of_its_backfill(backfilled: Backfilled) -> None:
    poison = rf"us-east-1/{LAST:%Y/%m/%d}/.*\.json\.gz"
    backfilled.proxy.add(error(403, "InvalidObjectState", method="GET", path=poison))
    backfilled.sent("--from", LAST, "--to", LAST)

    backfilled.work(1)

    assert counts(backfilled.status()) == (PLACES, PLACES - 2, 0, 2, 1, 0, 0)
    taken = backfilled.cancel()
    assert (taken["messages"], taken["units"], taken["others"]) == (1, 2, 0)


def test_watching_ends_when_all_is_done_or_nothing_more_will_come(
    backfilled: Backfilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            backfilled.work()

    monkeypatch.setattr(time, "sleep", pause)
    backfilled.sent("--from", LAST, "--to", LAST)
    watched = run("backfill", "status", *backfilled.places[1:], "--watch")
    assert len(pauses) == 3
    assert len(re.findall(r"0 of 4 units done, 0 failed, 4 left; 0\.0 a min", watched.stdout)) == 3
    assert "left               │                        0" in watched.stdout

    threading.Event().wait(1.1)  # receipts of the same second would be those of a later backfill
    backfilled.sent("--from", LAST, "--to", LAST, "--only", "all")
    assert counts(backfilled.status())[:4] == (4, 0, 0, 4)
    backfilled.sqs.purge_queue(QueueUrl=backfilled.queue)
    over = run("backfill", "status", *backfilled.places[1:], "--watch")
    assert len(pauses) == 3 + 7  # SQS may be a minute late with its counts
    assert re.search(r"time left: unknown; messages: 0 waiting", over.stdout)
    backfilled.cancel()
    over = run("backfill", "status", *backfilled.places[1:], "--watch")
    assert len(pauses) == 3 + 7
    assert "units done" not in over.stdout
    assert re.fullmatch(r"cancelled at [-0-9]+ [0-9:]+ UTC\n", over.stderr)


def test_a_backfill_that_is_cancelled_while_it_is_sent_leaves_nothing_in_the_queue(
    backfilled: Backfilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "_AT_A_TIME", 1)
    begun = SimpleNamespace(requests=0)

    @contextmanager
    def bar(_: int) -> Iterator[Callable[[int], None]]:
        def tell(_: int) -> None:
            begun.requests += 1
            if begun.requests == 2:
                state = open_store(backfilled.places[-1])
                with message_queue.MessageQueue.open(backfilled.queue) as queue:
                    id_ = read_record(state, None).id
                    sending.take_back(id_, queue, Stores(state, state, state))

        yield tell

    monkeypatch.setattr(cli_backfill, "sending_bar", bar)

    done = backfilled.start("--yes")

    assert done.returncode == 1
    assert re.search(r"2 of \d+ messages sent, no more \(it was cancelled;", done.stderr)
    assert backfilled.left_in(backfilled.queue) == 0
    assert backfilled.status()["sent"] == 2


# Wrong usage, and what is out of reach.


def test_without_a_terminal_nothing_is_sent_unless_that_is_said(untouched: Backfilled) -> None:
    done = untouched.start()

    assert done.returncode == 2
    assert "units" in done.stdout
    assert re.fullmatch(
        r'error: backfill: nobody to ask "Send 1 message to \S+\?", since there is no '
        r"terminal\. Answer it with --yes\n",
        done.stderr,
    )
    assert run("backfill", "status", *untouched.places[1:]).returncode == 2


ERRORS = {
    "no queue": ([], {}, "no queue is named. Name the function's queue with --queue"),
    "both": (["--queue", "{queue}", "--local"], {}, "--queue goes without --local"),
    "no URL": (["--queue", "backfill"], {}, "backfill: is not the URL of a standard queue"),
    "a FIFO queue": (["--queue", "{queue}.fifo"], {}, "is not the URL of a standard queue"),
    "another queue": (["--queue", "{queue}-"], {}, "-: there is no such queue. Check its name"),
    "dead letters": (["--queue", "{dead}"], {}, "has no queue for dead letters, as the queue that"),
    "no profile": (
        ["--queue", "{queue}", "--profile", "nobody"],
        {},
        "there are no AWS credentials (The config profile (nobody) could not be found). Sign in",
    ),
    "no credentials": (
        ["--queue", "{queue}"],
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        "there are no AWS credentials (Unable to locate credentials). Sign in, for example with",
    ),
    "no region": (["--queue", "{queue}"], {"AWS_DEFAULT_REGION": ""}, "there is no AWS region"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_one_line_and_nothing_is_sent(
    untouched: Backfilled, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    options, environment, message = ERRORS[case]
    monkeypatch.delenv("CLOUDTRAIL_PARQUET_QUEUE_URL")
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)

    urls = {"queue": untouched.queue, "dead": untouched.deployed._dead_letters}  # noqa: SLF001
    filled = [option.format(**urls) for option in options]
    done = run("backfill", *untouched.places, *filled, "--yes")

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_backfill_that_is_unknown_is_an_error_that_names_others(backfilled: Backfilled) -> None:
    unknown = run("backfill", "status", *backfilled.places[1:])
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "there is no record of a backfill" in unknown.stderr

    backfilled.sent("--from", LAST, "--to", LAST)
    other = run("backfill", "cancel", *backfilled.places[1:], "--id", "20260101T000000Z-0000")
    assert other.returncode == 2
    assert (
        "there is no record of a backfill 20260101T000000Z-0000. The newest are: 2" in other.stderr
    )


def test_a_backfill_whose_record_is_lost_or_damaged_is_taken_back_by_its_id(
    backfilled: Backfilled,
) -> None:
    bucket, s3 = backfilled.deployed.buckets["state"], backfilled.deployed.s3
    sent = backfilled.sent("--from", LAST, "--to", LAST)
    key = f"x/backfills/{sent['id']}"

    s3.delete_object(Bucket=bucket, Key=f"{key}.units.json")
    unlisted = run("backfill", "status", *backfilled.places[1:])
    assert (unlisted.returncode, unlisted.stderr.count("\n")) == (2, 1)
    assert f"the list of units of the backfill {sent['id']} is missing" in unlisted.stderr
    assert f"backfill cancel --id {sent['id']} still takes it back" in unlisted.stderr

    s3.put_object(Bucket=bucket, Key=f"{key}.json", Body=b"{")
    by_id = ("--id", sent["id"])
    damaged = run("backfill", "cancel", *backfilled.places[1:], "--yes", *by_id)
    assert damaged.returncode == 2
    assert f"backfill cancel --id {sent['id']} --queue URL takes back its" in damaged.stderr
    backfilled.deployed.send_messages({"kind": "daily"})
    taken = backfilled.cancel(*by_id, "--queue", backfilled.queue)
    assert (taken["messages"], taken["units"], taken["others"]) == (sent["sent"], sent["units"], 1)

    s3.delete_object(Bucket=bucket, Key=f"{key}.json")
    none = backfilled.cancel(*by_id, "--queue", backfilled.queue)
    assert (none["messages"], none["others"]) == (0, 1)


def test_a_backfill_is_not_looked_for_in_another_queue(backfilled: Backfilled) -> None:
    sent = backfilled.sent("--from", LAST, "--to", LAST)
    other = ("--queue", backfilled.new_queue(), "--yes")

    done = run("backfill", "cancel", *backfilled.places[1:], *other)

    assert done.returncode == 2
    assert f"backfill {sent['id']}: was sent to {backfilled.queue}. Leave out" in done.stderr
    assert backfilled.left_in(backfilled.queue) == sent["sent"]


def test_when_the_queue_takes_only_some_the_record_says_how_many(
    backfilled: Backfilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "_AT_A_TIME", 1)
    refusal = SimpleNamespace(seen=0)

    def refuse(request: Request) -> bool:
        is_sending = request.headers.get("x-amz-target") == "AmazonSQS.SendMessageBatch"
        refusal.seen += is_sending
        return is_sending and refusal.seen > 2

    denied = {"__type": "com.amazonaws.sqs#AccessDenied", "message": "no longer"}
    answer = Answer(
        403, [("Content-Type", "application/x-amz-json-1.0")], json.dumps(denied).encode()
    )
    backfilled.proxy.add(Fault(method="POST", when=refuse, answer=answer))

    done = backfilled.start("--yes")

    assert done.returncode == 1
    assert re.search(r"2 of \d+ messages sent, no more \(.*Denied", done.stderr)
    assert "Run the same command again" in done.stderr
    backfilled.proxy.clear()
    now = backfilled.status()
    assert (now["sent"], now["waiting"]) == (2, 2)
