"""Alarms and dashboard look at metrics and queues that exist."""

import json
import re
from types import SimpleNamespace
from typing import cast

import pytest

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.function.wiring import function_of
from cloudtrail_parquet.source.unplaced import Misplaced, Unplaced
from cloudtrail_parquet.state.figures import Files, Records
from cloudtrail_parquet.state.receipt import Receipt
from stacks.environment.fields import Environment
from tests.stacks.conftest import ROOT
from tests.stacks.reading import UNIT, Stack, all_of, only, variables


def emitted(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> tuple[set[str], set[str]]:
    """The metrics that the function has, and under which services."""
    telemetry = function_of(environment).telemetry
    numbers = dict.fromkeys(Records.__struct_fields__, 1)
    receipt = SimpleNamespace(
        unit=UNIT.unit,
        status="partial",
        settled=True,
        kept="",
        records=Records(**numbers),
        files=Files(listed=1, read=1, quarantined=1),
        conflicts=1,
        bytes_in=1,
        bytes_out=1,
        seconds=1.0,
        unplaced=[Misplaced("a/", 1, "a/b")],
    )
    error = StorageError("it failed", "a place", "Run it again")
    telemetry.converted(cast("Receipt", receipt))
    telemetry.failed(UNIT.unit, error)
    telemetry.handed_back(1)
    telemetry.planned(1, 1, UNIT.day)
    telemetry.account_refused("012345678901", error)
    telemetry.refused()
    telemetry.event_failed(error, "a message")
    capsys.readouterr()
    telemetry.flush()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    directives = [
        (one, directive)
        for one in lines
        if "_aws" in one
        for directive in one["_aws"]["CloudWatchMetrics"]
    ]
    assert all(directive["Dimensions"] == [["service"]] for _, directive in directives)
    metrics = {
        f"{directive['Namespace']} {metric['Name']}"
        for _, directive in directives
        for metric in directive["Metrics"]
    }
    return metrics, {one["service"] for one, _ in directives}


def test_the_page_of_operations_asks_the_log_for_lines_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (ROOT / "docs/operations.md").read_text().partition("## What an alarm is about")[2]
    asked = re.findall(r"^\$ lines (\w+) '\{([\w, ]+)\}'.*\n(\{.*)", page, re.MULTILINE)
    telemetry = Telemetry("a service of its own, whose lines are captured")
    error = StorageError("it failed", "a place", "Run it again")
    telemetry.invoked("a request")
    telemetry.failed(UNIT.unit, error)
    telemetry.planned(1, 1, UNIT.day)
    telemetry.unplaced(Unplaced({"a/": Misplaced("a/", 1, "a/b")}))
    telemetry.event_failed(error)
    telemetry.event_failed(error, "a message")
    lines = {
        line["message"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())
    }

    assert {kind for kind, _, _ in asked} == lines.keys()
    for kind, members, printed in asked:
        names = members.split(", ")
        assert set(names) <= lines[kind].keys()
        assert list(json.loads(printed)) == names


def test_alarms_and_dashboard_look_at_metrics_that_there_are(
    stack: Stack,
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = variables(stack)
    for name, value in {**said, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    metrics, services = emitted(said, capsys)
    of_aws = {
        *(f"AWS/Lambda {name}" for name in ("Errors", "Throttles", "Duration", "Invocations")),
        *(f"AWS/Lambda {name}" for name in ("ConcurrentExecutions", "RecursiveInvocationsDropped")),
        "AWS/SQS ApproximateNumberOfMessagesVisible",
        "AWS/SQS ApproximateAgeOfOldestMessage",
    }
    widgets = json.loads(only(stack, "aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    looked_at = [
        (one["namespace"], one["metric_name"], one["dimensions"])
        for one in all_of(stack, "aws_cloudwatch_metric_alarm").values()
    ] + [
        (namespace, name, {dimension: value})
        for widget in widgets
        for namespace, name, dimension, value, _ in widget["properties"]["metrics"]
    ]

    assert services == {environment.name}
    for namespace, name, dimensions in looked_at:
        assert f"{namespace} {name}" in metrics | of_aws
        if namespace == "CloudTrailParquet":
            assert dimensions == {"service": environment.name}
        if namespace == "AWS/Lambda":
            assert dimensions == {"FunctionName": environment.name}
    assert {widget["properties"]["region"] for widget in widgets} == {environment.region}


def test_queues_that_alarms_look_at_are_there(stack: Stack) -> None:
    queues = {one["name"] for one in all_of(stack, "aws_sqs_queue").values()}
    widgets = json.loads(only(stack, "aws_cloudwatch_dashboard")["dashboard_body"])["widgets"]
    named = {
        one["dimensions"].get("QueueName")
        for one in all_of(stack, "aws_cloudwatch_metric_alarm").values()
    }
    shown = {
        metric[3]
        for widget in widgets
        for metric in widget["properties"]["metrics"]
        if metric[0] == "AWS/SQS"
    }

    assert named - {None} <= queues
    assert shown == queues
