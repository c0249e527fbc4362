"""The synthesised Terraform as a whole, for each environment and one of another partition."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from cloudtrail_parquet.function.events import ConvertEvent, PlanEvent, parse_text
from stacks.environment.fields import Environment
from stacks.versions import PROVIDER_VERSIONS
from tests.stacks.conftest import CASES, ENVIRONMENTS, ROOT
from tests.stacks.reading import Stack, StackOf, addresses, all_of, only, policy, texts, tls_only


@pytest.fixture(params=(*CASES, "china"))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


DOCS = ROOT / "docs"


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
    "aws_scheduler_schedule.schedule_catch_up",
    "aws_scheduler_schedule.schedule_expire",
    "aws_scheduler_schedule.schedule_provisional",
    "aws_sqs_queue.backfill_dead_letters",
    "aws_sqs_queue.backfill_queue",
}


def test_what_holds_data_or_is_referred_to_keeps_its_address(stack: Stack) -> None:
    """With another one, Terraform would destroy it and make a new one."""
    types = {address.partition(".")[0] for address in STATEFUL | STATEFUL_IF_ASKED_FOR}

    found = {one for one in addresses(stack) if one.partition(".")[0] in types}

    assert STATEFUL <= found <= STATEFUL | STATEFUL_IF_ASKED_FOR


def test_everything_has_all_of_them(other: StackOf) -> None:
    assert addresses(other("everything")) >= STATEFUL | STATEFUL_IF_ASKED_FOR


def test_people_find_what_they_need_in_the_outputs(stack: Stack, environment: Environment) -> None:
    outputs = {name: one["value"] for name, one in stack["output"].items()}
    of_backfill = {"backfill_url", "dead_letters_url"}

    assert outputs["dataset"] == environment.dataset.uri()
    assert outputs["state"] == environment.state_location.uri()
    assert outputs["variables"] == {
        name: value.replace("${", "$${").replace("%{", "%%{")
        for name, value in environment.variables.items()
    }
    assert outputs["function_name"] == "${aws_lambda_function.converter.function_name}"
    assert outputs["failures_url"] == "${aws_sqs_queue.failures.url}"
    assert (outputs.keys() & of_backfill == of_backfill) == environment.backfill_queue.enabled


def test_the_provider_is_one_of_the_versions_that_were_tried(stack: Stack) -> None:
    assert stack["terraform"]["required_providers"] == {
        "aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS}
    }


def test_the_provider_is_for_the_region_and_the_account(
    stack: Stack, environment: Environment
) -> None:
    (provider,) = stack["provider"]["aws"]

    assert provider["region"] == environment.region
    account = environment.account
    assert provider.get("allowed_account_ids") == ([account] if account else None)
    role = environment.assume_role
    assert provider.get("assume_role") == ([{"role_arn": role}] if role else None)
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
        "assume_role": {"role_arn": wanted.assume_role} if wanted.assume_role else None,
    }
    said = {name: value for name, value in expected.items() if value is not None}
    assert terraform["backend"] == {"s3": said}
    without_lock = ">= 1.6.0" if wanted.assume_role else ">= 1.5.7"
    assert terraform["required_version"] == (">= 1.10.0" if wanted.lock else without_lock)


def test_no_path_of_this_machine_is_in_it(stack: Stack, synthesised: Path) -> None:
    text = json.dumps(stack)

    assert str(ROOT) not in text
    assert str(synthesised) not in text
    assert f"{Path.home()}/" not in text or str(Path.home()) == "/"


SERVICES = {"events.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com"}
"""Names of services in policies, which are the same in all partitions."""


def test_partitions_and_regions_are_those_of_the_environment(stack: Stack, case: str) -> None:
    # Names of services in events are the same everywhere.
    without_queries = {**stack["resource"], "aws_athena_named_query": {}}
    given = set(texts(tomllib.loads((ENVIRONMENTS / f"{case}.toml").read_text())))
    ours = [
        re.sub("|".join(map(re.escape, sorted(given, key=len, reverse=True))), "", one)
        for one in texts({**stack, "//": None, "resource": without_queries})
        if one not in SERVICES
    ]

    for one in ours:
        assert not re.search(r"arn:aws", one), one
        assert not re.search(r"amazonaws|amazon\.com", one), one
        assert not re.search(
            r"\b[a-z]{2}(-gov|-iso[a-z]?)?-(north|south|east|west|central)", one
        ), one
        assert not re.search(r"[0-9]{12}", one), one


def test_the_pages_of_operations_and_deployment_name_events_and_outputs_that_there_are(
    other: StackOf,
) -> None:
    pages = [(DOCS / name).read_text() for name in ("deploy.md", "operations.md")]
    outputs = other("everything")["output"].keys()

    events = [
        text for page in pages for text in re.findall(r"'(\{\"kind\".*?\})'", page, re.DOTALL)
    ]
    named = {name for page in pages for name in re.findall(r"output -raw (\w+)|out (\w+)\)", page)}

    assert [type(parse_text(event)) for event in events] == [PlanEvent, ConvertEvent]
    assert {one or other for one, other in named} <= outputs
    assert all(f"`{name}`" in pages[1] for name in outputs)
