"""A stack from logs to rows: applied, invoked as its own resources say, and queried.

What AWS would carry is carried by hand, between the resources of Terraform's state.
"""

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.builders import ago
from tests.bundle.packages import NATIVE, Package, package
from tests.function.deployment import Carried, Carrier
from tests.function.runtime import Code, Outcome, Sandbox
from tests.function.test_package import code
from tests.stacks.account import CREDENTIALS, Account
from tests.stacks.athena import Table
from tests.stacks.conftest import PACKAGE, ROOT
from tests.stacks.terraform import State, Terraform, region_of

__all__ = ["code", "package"]

pytestmark = pytest.mark.slow

POISON = '{"kind":"hourly"}'


class Story(Carrier):
    """The function of an applied stack, and what the stack has around it.

    Attributes:
        account: Where it is.
        state: What was applied.
        box: The function.
    """

    def __init__(
        self, account: Account, state: State, code: Code, tmp: Path, endpoint: str = ""
    ) -> None:
        """``endpoint`` is what the function and its owner take for AWS, if not the account."""
        super().__init__()
        self.account, self.state = account, state
        self._endpoint = endpoint or account.url
        self.function = function = state["aws_lambda_function.converter"]
        assert function["runtime"] == "python3.13"
        assert function["handler"] == "cloudtrail_parquet.handler.handler"
        (environment,) = function["environment"]
        self.variables: dict[str, str] = environment["variables"]
        from_lambda = {
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": account.region,
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": function["function_name"],
            "AWS_REGION": account.region,
            "AWS_SESSION_TOKEN": "token",
        }
        self.box = Sandbox({**self.variables, **from_lambda}, tmp, code, function["memory_size"])
        self.invoke = partial(self.box.invoke, timeout_s=function["timeout"])
        self._let_the_function_write()
        self._at_a_time = self._stop_the_mapping()
        queue, dead_letters = (
            state.get(f"aws_sqs_queue.backfill_{name}", {}).get("url", "")
            for name in ("queue", "dead_letters")
        )
        self.connect(account.client("sqs"), self._redirect_the_rule(), queue, dead_letters)

    # What has to be otherwise in moto.

    def _let_the_function_write(self) -> None:
        """The buckets deny what comes without TLS; moto ignores the condition, and denies all."""
        s3 = self.account.client("s3")
        for name in ("dataset", "state"):
            policy = self.state[f"aws_s3_bucket_policy.{name}_policy"]
            (statement,) = json.loads(policy["policy"])["Statement"]
            assert statement["Effect"] == "Deny"
            assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            s3.delete_bucket_policy(Bucket=policy["bucket"])

    def _stop_the_mapping(self) -> int:
        """With it, moto would take the messages and run nothing; gives how many it would take."""
        mapping = self.state.get("aws_lambda_event_source_mapping.backfill_mapping")
        if mapping is None:
            return 0
        assert mapping["enabled"]
        assert mapping["function_arn"] == self.function["arn"]
        assert mapping["event_source_arn"] == self.state["aws_sqs_queue.backfill_queue"]["arn"]
        assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
        lambda_ = self.account.client("lambda")
        lambda_.update_event_source_mapping(UUID=mapping["uuid"], Enabled=False)
        at_a_time: int = mapping["batch_size"]
        return at_a_time

    def _redirect_the_rule(self) -> str:
        """Put a queue in the function's place: with a function, moto's PutEvents answers 500."""
        target = self.state["aws_cloudwatch_event_target.fan_out_target"]
        assert target["arn"] == self.function["arn"]
        sqs = self.account.client("sqs")
        queue: str = sqs.create_queue(QueueName="delivered")["QueueUrl"]
        asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        self.account.client("events").put_targets(
            Rule=target["rule"],
            EventBusName=target["event_bus_name"],
            Targets=[{"Id": target["target_id"], "Arn": asked["Attributes"]["QueueArn"]}],
        )
        return queue

    # What happens.

    def upload(self, tree: Path) -> None:
        """Put log files into the sources by turns, and every fifth into all of them."""
        s3 = self.account.client("s3")
        sources = [urlsplit(uri) for uri in self.variables["CLOUDTRAIL_PARQUET_SOURCE"].split()]
        for source in sources:
            where = {"LocationConstraint": self.account.region}
            if source.netloc not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
                s3.create_bucket(Bucket=source.netloc, CreateBucketConfiguration=where)
        for number, path in enumerate(sorted(one for one in tree.rglob("*") if one.is_file())):
            for turn, source in enumerate(sources):
                if number % len(sources) == turn or number % 5 == 0:
                    key = f"{source.path}/{path.relative_to(tree).as_posix()}".lstrip("/")
                    s3.put_object(Bucket=source.netloc, Key=key, Body=path.read_bytes())

    def start(self, schedule: str) -> Outcome:
        """Invoke the function as a schedule does."""
        (target,) = self.state[f"aws_scheduler_schedule.schedule_{schedule}"]["target"]
        assert target["arn"] == self.function["arn"]
        return self.invoke(target["input"].encode())

    def put_foreign_event(self) -> None:
        """Put an event on the bus that is not for the function."""
        bus = self.state["aws_cloudwatch_event_bus.fan_out"]["name"]
        entry = {"EventBusName": bus, "Source": "other", "DetailType": "other", "Detail": "{}"}
        answer = self.account.client("events").put_events(Entries=[entry])
        assert not answer["FailedEntryCount"]

    def carry(self, at_most: int | None = None) -> "Carriage":
        """Carry events and messages until there are none, or this once so many messages."""
        all_ = Carriage([], [])
        while True:
            some = Carriage(
                self.carry_events(self.invoke),
                self.map_queue(self.invoke, self._at_a_time, at_most),
            )
            all_ = Carriage(all_.events + some.events, all_.messages + some.messages)
            if at_most is not None or not any(some):
                return all_

    def run(self, folder: Path, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Run what ``make backfill``, ``status``, ... run, by the outputs of Terraform.

        The stack has to be applied in ``cdktf.out/stacks/story`` below the folder.
        """
        here = {name: of for name, of in os.environ.items() if not name.startswith("AWS_")}
        aws = {"AWS_ENDPOINT_URL": self._endpoint, "AWS_DEFAULT_REGION": self.account.region}
        path = os.pathsep.join(map(str, (ROOT, ROOT / "lambda_src")))
        return subprocess.run(
            [sys.executable, "-m", "stacks.deployed", "story", command, *options],
            cwd=folder,
            env={**here, **CREDENTIALS, **aws, "PYTHONPATH": path, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def download(self, uri: str, folder: Path) -> dict[str, Path]:
        """Copy all objects of a place, as ``s3://bucket/folder/``; by their URIs."""
        s3 = self.account.client("s3")
        bucket, prefix = urlsplit(uri).netloc, urlsplit(uri).path.lstrip("/")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        folder.mkdir()
        copies = {f"s3://{bucket}/{key}": folder / str(n) for n, key in enumerate(keys)}
        for key, path in zip(keys, copies.values(), strict=True):
            path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return copies


class Carriage(NamedTuple):
    """What was carried to the function: from the bus, and from the backfill queue."""

    events: list[Carried]
    messages: list[Carried]

    def bodies(self) -> list[str]:
        """The messages, each as often as it was received."""
        return [one["body"] for each in self.messages for one in each.event["Records"]]

    def units(self) -> list[list[dict[str, str]]]:
        """The units of each batch, whichever way it went."""
        said = [one.event["detail"] for one in self.events] + list(map(json.loads, self.bodies()))
        return [one["units"] for one in said if one.get("kind") == "convert"]


@contextmanager
def applied(
    synthesised: Path, provider: Path, zipped: Path, folder: Path
) -> Iterator[tuple[Account, State]]:
    """Apply a stack with the real package, for the architecture of this machine."""
    with Account(region_of(synthesised)) as account:
        terraform = Terraform(synthesised, folder, account, provider)
        shutil.copyfile(zipped, folder / PACKAGE)
        function = {"converter": {"architectures": [NATIVE]}}
        terraform.write(
            "function_override.tf.json", {"resource": {"aws_lambda_function": function}}
        )
        terraform.apply()
        yield account, terraform.state()


def delivered(table: Table, *trees: Path) -> Counter[str]:
    """The distinct records of trees, each as the row that the table should have."""
    paths = [path for tree in trees for path in tree.glob("AWSLogs/**/CloudTrail/**/*.json.gz")]
    records = {
        (account, region, json.dumps(record, sort_keys=True))
        for path in paths
        for account, region in [(path.parts[-7], path.parts[-5])]
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    }
    return Counter(_expected(table, *one) for one in records)


def _expected(table: Table, account: str, region: str, record: str) -> str:
    row = {name.lower(): value for name, value in json.loads(record).items()}
    assert row.keys() <= table.columns.keys()  # nothing that belongs into the column of leftovers
    day = date.fromisoformat(row["eventtime"][:10])
    row |= {"account": account, "region": region}
    row |= {"year": day.year, "month": day.month, "day": day.day, "dt": str(day)}
    return _meant(table, row)


def found(table: Table, copies: dict[str, Path]) -> Counter[str]:
    """The rows of a dataset, but for what the upgrade of records of old versions has added."""
    rows = Counter[str]()
    for row in map(_with_exact_text, table.rows(copies)):
        added = {"derived", *(name.lower() for name in row["derived"] or ())}
        rows[_meant(table, {name: row[name] for name in row.keys() - added})] += 1
    return rows


def _with_exact_text(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the exact text of free-form columns where that is kept aside (docs/reading.md)."""
    aside = json.loads(row["unmapped"] or "{}")
    exact = json.loads(aside.get("exactText", "{}"))
    if not exact:
        return row
    assert aside.keys() == {"exactText", *exact}
    return {**row, "unmapped": None, **{name.lower(): one for name, one in exact.items()}}


def _meant(table: Table, row: dict[str, Any]) -> str:
    types = {**table.columns, **table.partitions}
    return json.dumps({name: of.meant(row.get(name)) for name, of in types.items()})


def test_logs_become_rows_by_what_was_applied(
    provider: Path, synthesised: Path, package: Package, code: Code, tmp_path: Path
) -> None:
    zipped = package(NATIVE)
    trees = {name: tmp_path / name for name in ("recent", "old")}
    folder = tmp_path / "cdktf.out/stacks/story"
    with applied(synthesised / "story", provider, zipped, folder) as stack:
        story = Story(*stack, code, tmp_path / "tmp")
        assert_is_deployed(story, zipped)
        with story.box:
            a_schedule_has_the_last_days_converted_by_way_of_the_bus(story, trees["recent"])
            a_backfill_goes_through_the_queue_but_for_what_is_no_event(story, trees["old"])
            another_schedule_finds_nothing_of_today(story)
            whoever_owns_it_has_days_converted_again_by_command(story, tmp_path)
        assert_alarms_look_at_what_the_function_measures(story)
        table = Table(story.state["aws_glue_catalog_table.catalogue"])
        copies = story.download(table.location, tmp_path / "lake")
        assert_is_encrypted(story, copies)
        rows, expected = found(table, copies), delivered(table, *trees.values())
        assert list((expected - rows).elements())[:3] == []
        assert list((rows - expected).elements())[:3] == []


def assert_is_deployed(story: Story, zipped: Path) -> None:
    digest = base64.b64encode(hashlib.sha256(zipped.read_bytes()).digest()).decode()
    there = story.account.client("lambda").get_function(
        FunctionName=story.function["function_name"]
    )
    assert there["Configuration"]["CodeSha256"] == story.function["source_code_hash"] == digest


def a_schedule_has_the_last_days_converted_by_way_of_the_bus(story: Story, tree: Path) -> None:
    first = ago(4)  # so that the day after the last, too, is settled at any time of today
    generate_tree(tree, TreeSpec(accounts=4, regions=4, days=2, records=2000, first_day=first))
    assert len(story.variables["CLOUDTRAIL_PARQUET_SOURCE"].split()) == 2
    story.upload(tree)
    story.put_foreign_event()

    planned = story.start("daily")
    carried = story.carry()

    batches = carried.units()
    assert planned.payload == {"planned": sum(map(len, batches)), "batches": len(batches)}
    assert len(batches) == len(carried.events) >= 2
    assert carried.messages == []
    assert_all_ok(carried.events)


def a_backfill_goes_through_the_queue_but_for_what_is_no_event(story: Story, tree: Path) -> None:
    first = date(2026, 1, 10)
    generate_tree(
        tree,
        TreeSpec(
            accounts=4, regions=4, days=2, records=2000, duplicates=0.05, first_day=first, seed=1
        ),
    )
    story.upload(tree)
    redrive = json.loads(story.state["aws_sqs_queue.backfill_queue"]["redrive_policy"])

    story.send_messages({"kind": "plan", "from": "2026-01-10", "to": "2026-01-12"}, POISON)
    carried = story.carry()

    batches = carried.units()
    assert len(batches) == story.box.lines("planned")[-1]["batches"] >= 2
    assert_all_ok(carried.events + carried.messages)
    assert carried.bodies().count(POISON) == redrive["maxReceiveCount"] == 3
    assert story.dead_letters() == [POISON]
    assert story.left_in_queue() == 0


def another_schedule_finds_nothing_of_today(story: Story) -> None:
    outcome = story.start("provisional")

    assert outcome.payload == {"converted": 0, "handed_back": 0}, outcome.payload
    assert outcome.ok


def whoever_owns_it_has_days_converted_again_by_command(story: Story, folder: Path) -> None:
    days = ("--from", "2026-01-10", "--to", "2026-01-11")
    account = ("--account", next((folder / "old").glob("AWSLogs/*/[0-9]*")).name)

    run = partial(story.run, folder)
    sent = json.loads(run("start", *days, *account, "--only", "all", "--yes", "--json").stdout)
    assert sent["sent"] == story.left_in_queue() == 1
    assert_all_ok(story.carry().messages)
    status = json.loads(run("status", "--json").stdout)
    assert status["planned"] == status["done"] == sent["units"] >= 4
    undelivered = {"ERROR_MESSAGE": {"DataType": "String", "StringValue": "throttled"}}
    story.account.client("sqs").send_message(
        QueueUrl=story.state["aws_sqs_queue.failures"]["url"],
        MessageBody='{"kind":"daily","days_back":0}',
        MessageAttributes=undelivered,
    )
    redriven = run("redrive", "--reason", "throttled", "--yes")
    assert (redriven.returncode, redriven.stdout) == (0, "daily: throttled\n"), redriven.stderr
    (again,) = story.carry().events
    assert again.event["detail"] == {"kind": "daily", "days_back": 0}


def assert_all_ok(carried: Iterable[Carried]) -> None:
    outcomes = [one for each in carried for one in each.outcomes]
    assert [one for one in outcomes if not one.ok] == []
    assert sum(one.payload.get("handed_back", 0) for one in outcomes) == 0


def assert_alarms_look_at_what_the_function_measures(story: Story) -> None:
    """An alarm on a metric in another namespace, or with other dimensions, never rings."""
    measured = {
        (directive["Namespace"], tuple(line[name] for name in names))
        for line in story.box.lines()
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
        for names in directive["Dimensions"]
    }
    alarms = [one for address, one in story.state.items() if ".alarms_" in address]
    assert measured == {
        (one["namespace"], tuple(one["dimensions"].values()))
        for one in alarms
        if not one["namespace"].startswith("AWS/")
    }
    assert {one["metric_name"] for one in alarms if one["treat_missing_data"] == "breaching"} <= (
        story.box.metrics().keys()
    )


def assert_is_encrypted(story: Story, copies: Iterable[str]) -> None:
    _, _, key = story.variables["CLOUDTRAIL_PARQUET_DATASET"].partition("kms_key_id=")
    s3 = story.account.client("s3")
    for uri in copies:
        there = s3.head_object(Bucket=urlsplit(uri).netloc, Key=urlsplit(uri).path.lstrip("/"))
        assert (there["ServerSideEncryption"], there["SSEKMSKeyId"]) == ("aws:kms", key)
