"""The function that Terraform makes is the one that the converter expects."""

import json
from pathlib import Path

import pytest

from cloudtrail_parquet.contract import PREFIX
from cloudtrail_parquet.function.wiring import function_of
from cloudtrail_parquet.settings.settings import SettingSource, settings_environment, settings_of
from stacks.environment.fields import Environment
from stacks.environment.validate import ENVIRONMENT_BYTES, OTHERS_BYTES
from tests.stacks.reading import ACCOUNT, Stack, StackOf, filled, only, variables


def test_the_function_accepts_the_environment_it_is_given(
    stack: Stack, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    said = variables(stack)

    function = function_of(said)

    assert function.settings == settings_of(SettingSource("file", environment.converter))
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


def test_text_that_looks_like_terraform_reaches_the_function(other: StackOf) -> None:
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
