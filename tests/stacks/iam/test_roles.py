"""Roles and their policies, for each environment and one of another partition."""

import re

import pytest

from cloudtrail_parquet.contract import PREFIX
from stacks.environment.fields import Environment
from tests.stacks.conftest import CASES
from tests.stacks.reading import Stack, StackOf, all_of, filled, policy, variables


@pytest.fixture(params=(*CASES, "china"))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def test_a_whole_bucket_as_a_location_has_no_prefix(other: StackOf) -> None:
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
    for sid in ("ListDataset", "ListSources1"):
        (condition,) = statements[sid]["condition"]
        assert condition["variable"] == "s3:prefix"
