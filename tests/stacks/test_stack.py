"""What the synthesised Terraform says, for each environment and one of another partition."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from cloudtrail_parquet.contract import PREFIX
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function.events import Convert, Daily, UnitRef, parse
from cloudtrail_parquet.function.fanout import EventsFanout
from cloudtrail_parquet.function.wiring import FETCH_THREADS, function_of
from cloudtrail_parquet.reference.ddl import athena_columns, athena_partitions, athena_properties
from cloudtrail_parquet.settings.settings import SettingSource, settings_environment, settings_of
from cloudtrail_parquet.source.unplaced import Misplaced
from cloudtrail_parquet.state.figures import Files, Records
from cloudtrail_parquet.state.receipt import Receipt
from stacks.environment.fields import Environment
from stacks.environment.load import load
from stacks.environment.validate import ENVIRONMENT_BYTES, OTHERS_BYTES
from tests.stacks.conftest import CASES, ENVIRONMENTS, ROOT

Body = dict[str, Any]
Stack = dict[str, Any]

ACCOUNT = "123456789012"
UNIT = UnitRef("012345678901", "us-east-1", date(2026, 1, 10))

_REFERENCE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")


@pytest.fixture(params=(*CASES, "china"))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def environment(case: str) -> Environment:
    return load(ENVIRONMENTS / f"{case}.toml")[case]


@pytest.fixture
def other(synthesised: Path) -> Any:  # noqa: ANN401 - a function
    """The stack of a case that is named."""
    return partial(_read, synthesised)


def _read(synthesised: Path, case: str) -> Stack:
    read: Stack = msgspec.json.decode((synthesised / case / "cdk.tf.json").read_bytes())
    return read


def all_of(stack: Stack, type_: str) -> dict[str, Body]:
    """The resources of a type, by name."""
    found: dict[str, Body] = stack["resource"].get(type_, {})
    return found


def only(stack: Stack, type_: str) -> Body:
    """The one resource of a type."""
    (body,) = all_of(stack, type_).values()
    return body


def addresses(stack: Stack) -> set[str]:
    return {f"{type_}.{name}" for type_, bodies in stack["resource"].items() for name in bodies}


def policy(stack: Stack, reference: str) -> list[Body]:
    """The statements of the policy that a reference to its JSON names."""
    found = re.fullmatch(r"\$\{data\.aws_iam_policy_document\.(\w+)\.json\}", reference)
    assert found, reference
    statements: list[Body] = stack["data"]["aws_iam_policy_document"][found[1]]["statement"]
    return statements


def filled(text: str, **values: str) -> str:
    """Text as Terraform makes it, with what references give by the last part of their names."""

    def value(found: re.Match[str]) -> str:
        return values.get(found[1].rpartition(".")[2], "filled-in")

    return _REFERENCE.sub(value, text).replace("$${", "${").replace("%%{", "%{")


def variables(stack: Stack) -> dict[str, str]:
    """The environment of the function, as Terraform makes it."""
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/trails-backfill"
    written = only(stack, "aws_lambda_function")["environment"]["variables"]
    return {name: filled(value, url=url) for name, value in written.items()}


def texts(value: object) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(texts, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(texts, value))


def tls_only(statements: list[Body]) -> set[str]:
    """The resources that nobody may use without TLS."""
    condition = {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
    return {
        resource
        for one in statements
        if one["effect"] == "Deny"
        and one["condition"] == [condition]
        and one["principals"] == [{"type": "*", "identifiers": ["*"]}]
        and one["actions"] in (["sqs:*"], ["s3:*"])
        for resource in one["resources"]
    }


# The function.


def test_the_function_accepts_the_environment_it_is_given(
    stack: Stack, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    said = variables(stack)

    function = function_of(said)

    threads = environment.converter.get("fetch_threads", FETCH_THREADS)
    expected = {**environment.converter, "fetch_threads": threads}
    assert function.settings == settings_of(SettingSource("file", expected))
    assert function.stores.dataset.uri == environment.dataset.uri()
    assert function.stores.state.uri == environment.state_location.uri()
    assert function.fanout is not None
    assert said[f"{PREFIX}DISPATCH"] == "events"
    assert said[f"{PREFIX}EVENT_BUS"] == only(stack, "aws_cloudwatch_event_bus")["name"]


def test_the_functions_environment_fits(stack: Stack, environment: Environment) -> None:
    name = "a" * 40
    url = f"https://sqs.ap-southeast-99.amazonaws.com.cn/{ACCOUNT}/{name}-backfill"
    written = only(stack, "aws_lambda_function")["environment"]["variables"]
    others = {
        variable: filled(value, url=url).replace(environment.name, name)
        for variable, value in written.items()
        if variable not in environment.variables
    }

    assert len(json.dumps(others)) <= OTHERS_BYTES
    assert len(json.dumps(variables(stack))) <= ENVIRONMENT_BYTES


def test_text_that_looks_like_terraform_reaches_the_function(other: Any) -> None:  # noqa: ANN401
    written = only(other("china"), "aws_lambda_function")["environment"]["variables"]

    assert "$${aws:username}" in written[f"{PREFIX}DISCARD"]
    settings = settings_of(*settings_environment(variables(other("china"))))
    assert settings.discard[0].eventName == ("${aws:username}", "%{if}", "$${x}")


def test_the_function_is_as_the_environment_says(stack: Stack, environment: Environment) -> None:
    function, wanted = only(stack, "aws_lambda_function"), environment.function

    assert function["function_name"] == environment.name
    assert function["handler"] == "cloudtrail_parquet.handler.handler"
    assert function["runtime"] == wanted.runtime
    assert function["architectures"] == [wanted.architecture]
    assert function["memory_size"] == wanted.memory_mb
    assert function["timeout"] == wanted.timeout_s
    assert function["ephemeral_storage"] == {"size": wanted.ephemeral_storage_mb}
    assert function.get("reserved_concurrent_executions") == wanted.reserved_concurrency
    vpc = environment.vpc
    assert function.get("vpc_config") == (
        {"subnet_ids": list(vpc.subnets), "security_group_ids": list(vpc.security_groups)}
        if vpc
        else None
    )


def test_the_package_lies_beside_the_terraform(stack: Stack, case: str, synthesised: Path) -> None:
    function = only(stack, "aws_lambda_function")

    where = filled(function["filename"], module=".")

    assert (synthesised / case / where).is_file()
    assert function["source_code_hash"] == f'${{filebase64sha256("{function["filename"]}")}}'


def test_the_function_logs_where_terraform_has_made_a_log(
    stack: Stack, environment: Environment
) -> None:
    log = only(stack, "aws_cloudwatch_log_group")

    assert log["name"] == f"/aws/lambda/{environment.name}"
    assert log["retention_in_days"] == environment.function.log_retention_days
    assert log.get("kms_key_id") == environment.kms_key
    depends_on = only(stack, "aws_lambda_function")["depends_on"]
    assert "aws_cloudwatch_log_group.converter_log" in depends_on
    assert "aws_iam_role_policy.converter_role_policy" in depends_on


# What starts it.


def test_a_schedule_sends_an_event_that_the_function_accepts(
    stack: Stack, environment: Environment
) -> None:
    wanted = environment.schedule
    events = {"daily": (wanted.daily, Daily(days_back=1))}
    if wanted.provisional:
        events["provisional"] = (wanted.provisional, Daily(days_back=0))
    schedules = {one["name"]: one for one in all_of(stack, "aws_scheduler_schedule").values()}

    assert schedules.keys() == events.keys()
    for name, one in schedules.items():
        when, event = events[name]
        assert parse(json.loads(filled(one["target"]["input"]))) == event
        assert one["schedule_expression"] == when
        assert one["schedule_expression_timezone"] == "UTC"
        assert one["state"] == ("ENABLED" if wanted.enabled else "DISABLED")
        assert one["target"]["arn"] == "${aws_lambda_function.converter.arn}"
        assert one["target"]["role_arn"] == "${aws_iam_role.schedule_role.arn}"
        assert one["depends_on"] == ["aws_iam_role_policy.schedule_role_policy"]


class Bus:
    """Keeps what is put on it, as EventBridge hands it to rules."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - as boto3
        for one in Entries:
            self.events.append(
                {
                    "account": ACCOUNT,
                    "source": one["Source"],
                    "detail-type": one["DetailType"],
                    "detail": json.loads(one["Detail"]),
                    "bus": one["EventBusName"],
                }
            )
        return {"Entries": [{} for _ in Entries]}


def test_the_rule_takes_the_batches_of_its_own_function_and_nothing_else(
    stack: Stack, environment: Environment
) -> None:
    bus = Bus()
    EventsFanout(bus, variables(stack)[f"{PREFIX}EVENT_BUS"]).send([Convert((UNIT,))])
    (sent,) = bus.events
    rule = only(stack, "aws_cloudwatch_event_rule")
    pattern = json.loads(filled(rule["event_pattern"], account_id=ACCOUNT))

    def takes(event: dict[str, Any]) -> bool:
        return all(event[name] in values for name, values in pattern.items())

    assert takes(sent)
    assert parse(sent) == Convert((UNIT,))
    assert not takes({**sent, "source": "aws.s3"})
    assert not takes({**sent, "detail-type": "Scheduled Event"})
    assert not takes({**sent, "account": "210987654321"})
    assert rule["event_bus_name"] == "${aws_cloudwatch_event_bus.fan_out.name}"
    assert only(stack, "aws_cloudwatch_event_bus")["name"] == sent["bus"] == environment.name


def test_the_rule_may_invoke_the_function_and_nobody_else_may(stack: Stack) -> None:
    target = only(stack, "aws_cloudwatch_event_target")
    permission = only(stack, "aws_lambda_permission")

    assert target["arn"] == "${aws_lambda_function.converter.arn}"
    assert target["event_bus_name"] == "${aws_cloudwatch_event_bus.fan_out.name}"
    assert target["rule"] == "${aws_cloudwatch_event_rule.fan_out_rule.name}"
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["source_arn"] == "${aws_cloudwatch_event_rule.fan_out_rule.arn}"
    assert permission["function_name"] == "${aws_lambda_function.converter.function_name}"


def test_no_bus_is_shared(other: Any) -> None:  # noqa: ANN401
    names = [only(other(case), "aws_cloudwatch_event_bus")["name"] for case in (*CASES, "china")]

    assert len(set(names)) == len(names)
    assert "default" not in names


def test_the_backfill_queue_gives_messages_time_and_reports_each_that_failed(
    stack: Stack, environment: Environment
) -> None:
    wanted = environment.backfill_queue
    assert bool(all_of(stack, "aws_lambda_event_source_mapping")) == wanted.enabled
    if not wanted.enabled:
        return
    queue = all_of(stack, "aws_sqs_queue")["backfill_queue"]
    mapping = only(stack, "aws_lambda_event_source_mapping")

    assert queue["visibility_timeout_seconds"] >= 6 * environment.function.timeout_s
    assert mapping["event_source_arn"] == "${aws_sqs_queue.backfill_queue.arn}"
    assert mapping["function_name"] == "${aws_lambda_function.converter.arn}"
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["scaling_config"] == {"maximum_concurrency": wanted.max_concurrency}
    assert mapping["depends_on"] == ["aws_iam_role_policy.converter_role_policy"]


# What becomes of failures.


def test_nothing_that_cannot_be_delivered_or_done_is_lost(stack: Stack) -> None:
    failures = "${aws_sqs_queue.failures.arn}"
    targets = [one["target"] for one in all_of(stack, "aws_scheduler_schedule").values()]
    targets += all_of(stack, "aws_cloudwatch_event_target").values()

    assert len(targets) >= 2
    for target in targets:
        assert target["dead_letter_config"] == {"arn": failures}
        assert target["retry_policy"]["maximum_event_age_in_seconds"] >= 3600
        assert target["retry_policy"]["maximum_retry_attempts"] > 0
    asynchronous = only(stack, "aws_lambda_function_event_invoke_config")
    assert asynchronous["destination_config"] == {"on_failure": {"destination": failures}}
    assert asynchronous["maximum_retry_attempts"] == 2
    assert asynchronous["function_name"] == "${aws_lambda_function.converter.function_name}"


def test_messages_that_fail_too_often_become_dead_letters(
    stack: Stack, environment: Environment
) -> None:
    if not environment.backfill_queue.enabled:
        assert not all_of(stack, "aws_sqs_queue_redrive_allow_policy")
        return
    queues = all_of(stack, "aws_sqs_queue")
    redrive = json.loads(queues["backfill_queue"]["redrive_policy"])
    allow = only(stack, "aws_sqs_queue_redrive_allow_policy")

    assert redrive == {
        "deadLetterTargetArn": "${aws_sqs_queue.backfill_dead_letters.arn}",
        "maxReceiveCount": environment.backfill_queue.max_receives,
    }
    assert allow["queue_url"] == "${aws_sqs_queue.backfill_dead_letters.url}"
    assert json.loads(allow["redrive_allow_policy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": ["${aws_sqs_queue.backfill_queue.arn}"],
    }


def test_only_the_rule_may_send_to_the_failures_without_a_role(stack: Stack) -> None:
    statements = policy(stack, all_of(stack, "aws_sqs_queue_policy")["failures_policy"]["policy"])

    (allowed,) = (one for one in statements if one["effect"] == "Allow")

    assert allowed["actions"] == ["sqs:SendMessage"]
    assert allowed["principals"] == [{"type": "Service", "identifiers": ["events.amazonaws.com"]}]
    assert allowed["condition"] == [
        {
            "test": "ArnEquals",
            "variable": "aws:SourceArn",
            "values": ["${aws_cloudwatch_event_rule.fan_out_rule.arn}"],
        }
    ]


# What is stored, and how.


def test_queues_log_and_environment_are_encrypted(stack: Stack, environment: Environment) -> None:
    key = environment.kms_key

    for queue in all_of(stack, "aws_sqs_queue").values():
        assert queue.get("kms_master_key_id") == key
        assert queue.get("sqs_managed_sse_enabled") == (None if key else True)
        assert queue["message_retention_seconds"] == 14 * 86_400
    assert only(stack, "aws_cloudwatch_log_group").get("kms_key_id") == key
    assert only(stack, "aws_lambda_function").get("kms_key_arn") == key


def test_queues_and_buckets_are_used_with_tls_only(stack: Stack) -> None:
    guarded: set[str] = set()
    for name, one in all_of(stack, "aws_sqs_queue_policy").items():
        assert one["queue_url"] == f"${{aws_sqs_queue.{name.removesuffix('_policy')}.url}}"
        guarded |= tls_only(policy(stack, one["policy"]))
    for name, one in all_of(stack, "aws_s3_bucket_policy").items():
        assert one["bucket"] == f"${{aws_s3_bucket.{name.removesuffix('_policy')}.id}}"
        guarded |= tls_only(policy(stack, one["policy"]))

    assert guarded == {
        *(f"${{aws_sqs_queue.{name}.arn}}" for name in all_of(stack, "aws_sqs_queue")),
        *(
            f"${{aws_s3_bucket.{name}.arn}}{below}"
            for name in all_of(stack, "aws_s3_bucket")
            for below in ("", "/*")
        ),
    }


def test_a_bucket_is_made_when_asked_for(stack: Stack, environment: Environment) -> None:
    places = {"dataset": environment.dataset, "state": environment.state_location}

    assert {name: one["bucket"] for name, one in all_of(stack, "aws_s3_bucket").items()} == {
        name: place.bucket for name, place in places.items() if place.create
    }


def test_a_bucket_that_is_made_is_private_encrypted_and_versioned(
    stack: Stack, environment: Environment
) -> None:
    places = {"dataset": environment.dataset, "state": environment.state_location}

    for name, bucket in all_of(stack, "aws_s3_bucket").items():
        of = {"bucket": f"${{aws_s3_bucket.{name}.id}}"}

        def part(type_: str, name: str = name) -> Body:
            return all_of(stack, f"aws_s3_bucket_{type_}")[f"{name}_{_SUFFIXES[type_]}"]

        assert not bucket.get("force_destroy")
        for flag in _PUBLIC:
            assert part("public_access_block")[flag] is True
        assert part("versioning")["versioning_configuration"] == {"status": "Enabled"}
        assert part("ownership_controls")["rule"] == {"object_ownership": "BucketOwnerEnforced"}
        (rule,) = part("server_side_encryption_configuration")["rule"]
        default = rule["apply_server_side_encryption_by_default"]
        key = places[name].kms_key
        assert default.get("kms_master_key_id") == key
        assert default["sse_algorithm"] == ("aws:kms" if key else "AES256")
        unfinished, replaced = part("lifecycle_configuration")["rule"]
        assert unfinished["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 1}]
        days = places[name].noncurrent_days
        assert replaced["noncurrent_version_expiration"] == [{"noncurrent_days": days}]
        assert all("days" not in one for one in replaced["expiration"])  # nothing current expires
        assert {type_: part(type_)["bucket"] for type_ in _SUFFIXES} == dict.fromkeys(
            _SUFFIXES, of["bucket"]
        )


_PUBLIC = (
    "block_public_acls",
    "block_public_policy",
    "ignore_public_acls",
    "restrict_public_buckets",
)
_SUFFIXES = {
    "public_access_block": "public_access",
    "versioning": "versioning",
    "ownership_controls": "ownership",
    "server_side_encryption_configuration": "encryption",
    "lifecycle_configuration": "lifecycle",
    "policy": "policy",
}


def test_a_whole_bucket_as_a_place_has_no_prefix(other: Any) -> None:  # noqa: ANN401
    stack = other("everything")
    statements = {
        one["sid"]: one
        for one in policy(
            stack, all_of(stack, "aws_iam_role_policy")["converter_role_policy"]["policy"]
        )
    }

    assert [filled(one) for one in statements["ReplaceState"]["resources"]] == [
        "arn:filled-in:s3:::lake-state/*"
    ]
    assert [filled(one) for one in statements["ListState"]["resources"]] == [
        "arn:filled-in:s3:::lake-state"
    ]
    assert "condition" not in statements["ListState"]
    assert variables(stack)[f"{PREFIX}STATE"] == "s3://lake-state"
    for sid in ("ListDataset", "ListSource1"):
        (condition,) = statements[sid]["condition"]
        assert condition["variable"] == "s3:prefix"


STATEFUL = {
    "aws_cloudwatch_event_bus.fan_out",
    "aws_cloudwatch_log_group.converter_log",
    "aws_iam_role.converter_role",
    "aws_iam_role.schedule_role",
    "aws_lambda_function.converter",
    "aws_scheduler_schedule.schedule_daily",
    "aws_scheduler_schedule_group.schedule_group",
    "aws_sqs_queue.failures",
}
STATEFUL_IF_ASKED_FOR = {
    "aws_glue_catalog_database.catalogue_database",
    "aws_glue_catalog_table.catalogue",
    "aws_s3_bucket.dataset",
    "aws_s3_bucket.state",
    "aws_s3_bucket_versioning.dataset_versioning",
    "aws_s3_bucket_versioning.state_versioning",
    "aws_scheduler_schedule.schedule_provisional",
    "aws_sqs_queue.backfill_dead_letters",
    "aws_sqs_queue.backfill_queue",
}


def test_what_holds_data_or_is_referred_to_keeps_its_address(stack: Stack) -> None:
    """With another one, Terraform would destroy it and make a new one."""
    types = {address.partition(".")[0] for address in STATEFUL | STATEFUL_IF_ASKED_FOR}

    found = {one for one in addresses(stack) if one.partition(".")[0] in types}

    assert STATEFUL <= found <= STATEFUL | STATEFUL_IF_ASKED_FOR


def test_everything_has_all_of_them(other: Any) -> None:  # noqa: ANN401
    assert addresses(other("everything")) >= STATEFUL | STATEFUL_IF_ASKED_FOR


def test_people_find_what_they_need_in_the_outputs(stack: Stack, environment: Environment) -> None:
    outputs = {name: one["value"] for name, one in stack["output"].items()}
    of_backfill = {"backfill_url", "dead_letters_url"}

    assert outputs["dataset"] == environment.dataset.uri()
    assert outputs["state"] == environment.state_location.uri()
    assert outputs["function_name"] == "${aws_lambda_function.converter.function_name}"
    assert outputs["failures_url"] == "${aws_sqs_queue.failures.url}"
    assert (outputs.keys() & of_backfill == of_backfill) == environment.backfill_queue.enabled


# Roles.


def test_every_role_has_the_path_and_the_boundary(stack: Stack, environment: Environment) -> None:
    roles = all_of(stack, "aws_iam_role")

    assert len(roles) == 2
    for role in roles.values():
        assert role["path"] == environment.iam.path
        assert role.get("permissions_boundary") == environment.iam.permissions_boundary
        assert role["name"].startswith(environment.name)


def test_a_role_is_assumed_by_its_service_alone(stack: Stack) -> None:
    services = {
        "converter_role": "lambda.amazonaws.com",
        "schedule_role": "scheduler.amazonaws.com",
    }

    for name, role in all_of(stack, "aws_iam_role").items():
        (statement,) = policy(stack, role["assume_role_policy"])
        assert statement["principals"] == [{"type": "Service", "identifiers": [services[name]]}]
        assert statement["actions"] == ["sts:AssumeRole"]


def test_nothing_is_allowed_on_everything_but_to_join_a_vpc(
    stack: Stack, environment: Environment
) -> None:
    wide = [
        statement["sid"]
        for one in all_of(stack, "aws_iam_role_policy").values()
        for statement in policy(stack, one["policy"])
        if "*" in statement["resources"] or any("*" in action for action in statement["actions"])
    ]

    assert wide == (["JoinVpc"] if environment.vpc else [])


def test_keys_are_used_by_way_of_one_service_each(stack: Stack, environment: Environment) -> None:
    statements = [
        statement
        for one in all_of(stack, "aws_iam_role_policy").values()
        for statement in policy(stack, one["policy"])
        if any(action.startswith("kms:") for action in statement["actions"])
    ]
    keys = {
        environment.kms_key,
        environment.dataset.kms_key,
        environment.state_location.kms_key,
        None,
    }
    keys |= {key for source in environment.sources for key in source.kms_keys}

    assert {key for one in statements for key in one["resources"]} == keys - {None}
    for one in statements:
        (condition,) = one["condition"]
        assert (condition["test"], condition["variable"]) == ("StringEquals", "kms:ViaService")
        (service,) = condition["values"]
        assert re.fullmatch(r"(s3|sqs|lambda)\.[a-z0-9-]+\.\$\{.*\.dns_suffix\}", service)


# Alarms and dashboard.


def alarms(environment: Environment) -> dict[str, tuple[str, str, dict[str, str], str, float]]:
    """Metric, dimensions, statistic and threshold of each alarm that there should be."""
    name = environment.name
    function, ours = {"FunctionName": name}, {"service": name}
    visible = "ApproximateNumberOfMessagesVisible"
    near_limit = 0.9 * 1000 * environment.function.timeout_s
    wanted: dict[str, tuple[str, str, dict[str, str], str, float]] = {
        "errors": ("AWS/Lambda", "Errors", function, "Sum", 0),
        "throttles": ("AWS/Lambda", "Throttles", function, "Sum", 0),
        "accounts-refused": ("CloudTrailParquet", "AccountsRefused", ours, "Sum", 0),
        "unplaced": ("CloudTrailParquet", "FilesUnplaced", ours, "Sum", 0),
        "duration": ("AWS/Lambda", "Duration", function, "Maximum", near_limit),
        "failures": ("AWS/SQS", visible, {"QueueName": f"{name}-failures"}, "Maximum", 0),
        "partial": ("CloudTrailParquet", "UnitsPartial", ours, "Sum", 0),
    }
    if environment.schedule.enabled:
        wanted["not-settled"] = ("CloudTrailParquet", "UnitsSettled", ours, "Sum", 1)
        oldest = ("CloudTrailParquet", "OldestUnsettledDays", ours, "Maximum", 2)
        wanted["oldest-unsettled"] = oldest
    if environment.backfill_queue.enabled:
        dead, queue = f"{name}-backfill-dead-letters", f"{name}-backfill"
        age = "ApproximateAgeOfOldestMessage"
        wanted["dead-letters"] = ("AWS/SQS", visible, {"QueueName": dead}, "Maximum", 0)
        wanted["oldest-message"] = ("AWS/SQS", age, {"QueueName": queue}, "Maximum", 86_400)
    return wanted


def test_there_is_an_alarm_for_everything_that_somebody_has_to_be_told_about(
    stack: Stack, environment: Environment
) -> None:
    found = {
        one["alarm_name"].removeprefix(f"{environment.name}-"): (
            one["namespace"],
            one["metric_name"],
            one["dimensions"],
            one["statistic"],
            one["threshold"],
        )
        for one in all_of(stack, "aws_cloudwatch_metric_alarm").values()
    }

    assert found == alarms(environment)


def test_an_alarm_tells_the_topic_and_says_what_has_happened(
    stack: Stack, environment: Environment
) -> None:
    topics = [environment.alarms.topic] if environment.alarms.topic else None

    for one in all_of(stack, "aws_cloudwatch_metric_alarm").values():
        assert one.get("alarm_actions") == one.get("ok_actions") == topics
        assert len(one["alarm_description"]) > 40
        low = one["comparison_operator"] == "LessThanThreshold"
        assert low or one["comparison_operator"] == "GreaterThanThreshold"
        assert one["treat_missing_data"] == ("breaching" if low else "notBreaching")


def test_no_settled_day_in_26_hours_is_an_alarm_even_when_nothing_runs_at_all(other: Any) -> None:  # noqa: ANN401
    alarm = all_of(other("minimal"), "aws_cloudwatch_metric_alarm")["alarms_not_settled"]

    assert alarm["treat_missing_data"] == "breaching"
    assert alarm["comparison_operator"] == "LessThanThreshold"
    assert alarm["period"] * alarm["evaluation_periods"] == 26 * 3600
    # CloudWatch allows a week in periods of an hour, a day in shorter ones.
    assert alarm["period"] >= 3600
    assert "datapoints_to_alarm" not in alarm  # all of them


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
        "AWS/Lambda ConcurrentExecutions",
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


# The table.


def test_the_table_is_that_of_the_dataset(stack: Stack, environment: Environment) -> None:
    wanted = environment.catalogue
    assert bool(all_of(stack, "aws_glue_catalog_table")) == wanted.enabled
    if not wanted.enabled:
        return
    table = only(stack, "aws_glue_catalog_table")
    storage = table["storage_descriptor"]
    partitions = athena_partitions(environment.settings.partition_layout)

    assert {one["name"]: one["type"] for one in storage["columns"]} == athena_columns()
    assert [one["name"] for one in storage["columns"]] == list(athena_columns())
    keys = {one["name"]: one["type"] for one in table["partition_keys"]}
    assert list(keys.items()) == list(partitions.items())
    assert storage["location"] == f"{environment.dataset.uri()}/"
    assert table["name"] == wanted.table
    database = "${aws_glue_catalog_database.catalogue_database.name}"
    assert table["database_name"] == (database if wanted.create_database else wanted.database)


def test_the_table_finds_partitions_without_looking_them_up(
    stack: Stack, environment: Environment
) -> None:
    if not environment.catalogue.enabled:
        return
    parameters = only(stack, "aws_glue_catalog_table")["parameters"]
    layout = environment.settings.partition_layout
    expected = athena_properties(environment.dataset.uri(), layout)
    for column in ("account", "region"):
        if values := getattr(environment.catalogue, f"{column}s"):
            expected[f"projection.{column}.type"] = "enum"
            expected[f"projection.{column}.values"] = ",".join(values)

    found = {name: filled(value) for name, value in parameters.items()}

    assert found == {"EXTERNAL": "TRUE", "classification": "parquet", **expected}


def test_accounts_and_regions_are_named_in_queries_unless_they_are_given(other: Any) -> None:  # noqa: ANN401
    given = only(other("everything"), "aws_glue_catalog_table")["parameters"]
    named = only(other("other-account"), "aws_glue_catalog_table")["parameters"]

    assert given["projection.account.values"] == "012345678901,123456789012"
    assert given["projection.region.type"] == "enum"
    assert named["projection.account.type"] == named["projection.region.type"] == "injected"


# Terraform itself.


def test_any_version_5_or_6_of_the_provider_will_do(stack: Stack) -> None:
    assert stack["terraform"]["required_providers"] == {
        "aws": {"source": "hashicorp/aws", "version": ">= 5.100.0, < 7.0.0"}
    }


def test_the_provider_is_for_the_region_and_the_account(
    stack: Stack, environment: Environment
) -> None:
    (provider,) = stack["provider"]["aws"]

    assert provider["region"] == environment.region
    account = environment.account
    assert provider.get("allowed_account_ids") == ([account] if account else None)
    tags = [{"tags": environment.tags}] if environment.tags else None
    assert provider.get("default_tags") == tags


def test_the_state_of_terraform_is_where_the_environment_says(
    stack: Stack, environment: Environment, case: str
) -> None:
    terraform, wanted = stack["terraform"], environment.backend
    if wanted is None:
        local = {"path": f"../../../terraform.{case}.tfstate"}
        assert terraform["backend"] == {"local": local}
        assert terraform["required_version"] == ">= 1.5.7"
        return
    expected = {
        "bucket": wanted.bucket,
        "key": wanted.key,
        "region": wanted.region,
        "encrypt": True,
        "kms_key_id": wanted.kms_key,
        "use_lockfile": wanted.lock or None,
    }
    said = {name: value for name, value in expected.items() if value is not None}
    assert terraform["backend"] == {"s3": said}
    assert terraform["required_version"] == (">= 1.10.0" if wanted.lock else ">= 1.5.7")


def test_no_path_of_this_machine_is_in_it(stack: Stack, synthesised: Path) -> None:
    text = json.dumps(stack)

    assert str(ROOT) not in text
    assert str(synthesised) not in text
    assert str(Path.home()) not in text or str(Path.home()) == "/"


SERVICES = {"events.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com"}
"""Names of services in policies, which are the same in all partitions."""


def test_partitions_and_regions_are_those_of_the_environment(stack: Stack, case: str) -> None:
    given = set(texts(tomllib.loads((ENVIRONMENTS / f"{case}.toml").read_text())))
    ours = [
        re.sub("|".join(map(re.escape, sorted(given, key=len, reverse=True))), "", one)
        for one in texts({name: body for name, body in stack.items() if name != "//"})
        if one not in SERVICES
    ]

    for one in ours:
        assert not re.search(r"arn:aws", one), one
        assert not re.search(r"amazonaws|amazon\.com", one), one
        assert not re.search(
            r"\b[a-z]{2}(-gov|-iso[a-z]?)?-(north|south|east|west|central)", one
        ), one
        assert not re.search(r"[0-9]{12}", one), one
