"""Readers may read the dataset, and nothing else of its bucket."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from stacks.environment.fields import Environment
from stacks.environment.load import load
from stacks.iam.cross_account import known_aws
from stacks.iam.readers import reader_key_grants
from tests.stacks.conftest import ENVIRONMENTS
from tests.stacks.iam.evaluation import Call, Names, Policy

ROLE = "arn:aws:iam::123456789012:role/analyst"
PART = "lake/cloudtrail/account=012345678901/part-00000.parquet"


@pytest.fixture(scope="module")
def environment() -> Environment:
    return load(ENVIRONMENTS / "everything.toml")["everything"]


@pytest.fixture(scope="module")
def stack(synthesised: Path) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(
        (synthesised / "everything" / "cdk.tf.json").read_bytes()
    )
    return read


def statements(stack: dict[str, Any]) -> list[dict[str, Any]]:
    policy = stack["data"]["aws_iam_policy_document"]["dataset_access"]
    found: list[dict[str, Any]] = policy["statement"]
    return found


def asks(action: str, resource: str, **more: str) -> Call:
    context = {name.replace("__", ":"): value for name, value in more.items()}
    tls = {"aws:SecureTransport": "true"}
    return Call.of(f"s3:{action}", f"arn:aws:s3:::{resource}", {**tls, **context})


def granted(stack: dict[str, Any], environment: Environment, principal: str) -> Policy:
    """What the bucket's policy says to somebody of an account."""
    names = Names(stack, known_aws(environment))
    whom = {f"arn:aws:iam::{principal}:root", "*"}
    ours = [
        body
        for body in statements(stack)
        for one in body["principals"]
        if whom & set(map(names.fill_in, one["identifiers"]))
    ]
    return Policy(tuple(map(names.statement, ours)))


@pytest.mark.parametrize(
    ("account", "who", "may"),
    [
        ("210987654321", "arn:aws:iam::210987654321:role/any", True),
        ("123456789012", ROLE, True),
        ("123456789012", "arn:aws:iam::123456789012:role/other", False),
        ("333333333333", "arn:aws:iam::333333333333:role/analyst", False),
    ],
)
def test_readers_find_and_read_parts_and_nothing_else(
    stack: dict[str, Any], environment: Environment, account: str, who: str, *, may: bool
) -> None:
    policy = granted(stack, environment, account)
    arn = {"aws__PrincipalArn": who}

    assert policy.allows(asks("GetObject", PART, **arn)) == may
    assert policy.allows(asks("ListBucket", "lake", s3__prefix="cloudtrail/dt=", **arn)) == may
    assert policy.allows(asks("GetBucketLocation", "lake", **arn)) == may
    for call in (
        asks("GetObject", "lake/cloudtrail.state/receipts/a.json", **arn),
        asks("ListBucket", "lake", s3__prefix="cloudtrail.state/", **arn),
        asks("ListBucket", "lake", **arn),
        asks("PutObject", PART, **arn),
        asks("DeleteObject", PART, **arn),
        asks("GetObject", PART, **arn, aws__SecureTransport="false"),
    ):
        assert not policy.allows(call), call


def test_the_key_of_the_dataset_has_to_admit_them(environment: Environment) -> None:
    accounts, roles = reader_key_grants(environment)

    assert accounts["Principal"] == {"AWS": "arn:aws:iam::210987654321:root"}
    assert roles["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert roles["Condition"]["ArnEquals"] == {"aws:PrincipalArn": ROLE}
    for grant in (accounts, roles):
        assert grant["Action"] == "kms:Decrypt"
        via = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
        assert grant["Condition"]["StringEquals"] == via


def test_without_readers_or_a_key_there_is_nothing_to_grant(environment: Environment) -> None:
    for changes in ({"readers": ()}, {"kms_key": None}):
        dataset = environment.dataset.model_copy(update=changes)

        assert reader_key_grants(environment.model_copy(update={"dataset": dataset})) == []
