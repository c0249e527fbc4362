"""What owners of buckets and keys have to allow, where that is not the function's own account.

An account's own roles need no more than their own policies, but for keys whose policy leaves
nothing to IAM. Others name the account and, as a condition, the role: a policy that names a role
as its principal is refused until there is that role, and means another one when it is made anew.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from stacks.environment.fields import Environment
from stacks.environment.types import partition_of
from stacks.iam.statements import Aws

NO_ACCOUNT = "ACCOUNT_ID"
"""Stands for the function's account where the environment does not name it."""

ROLES = {"converter_role": "", "schedule_role": "-schedule"}
"""The roles by the first part of their policies' names, with what their own names end in."""

Json = dict[str, Any]


def known_aws(environment: Environment) -> Aws:
    """Where a stack is, without Terraform's help."""
    partition = partition_of(environment.region)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return Aws(partition, suffix, environment.account or NO_ACCOUNT, environment.region)


def fill_in(text: str, aws: Aws) -> str:
    """Text with what is known of the account; what Terraform makes stays a reference."""
    known = {
        "aws_partition.current.partition": aws.partition,
        "aws_partition.current.dns_suffix": aws.dns_suffix,
        "aws_caller_identity.account.account_id": aws.account,
    }
    for name, value in known.items():
        text = text.replace(f"${{data.{name}}}", value)
    return text


class Grant(NamedTuple):
    """Statements for the policy of one bucket or key.

    Attributes:
        to: The bucket's name or the key's ARN.
        owner: Whose it is, if that is known.
        statements: As JSON policies have them.
    """

    to: str
    owner: str | None
    statements: list[Json]


def role_arn(environment: Environment, suffix: str) -> str:
    """The ARN that a role will have."""
    here, path = known_aws(environment), environment.iam.path
    return f"arn:{here.partition}:iam::{here.account}:role{path}{environment.name}{suffix}"


def role_statements(stack: Json, role: str) -> list[Json]:
    """What a role may do, as the Terraform has it."""
    statements: list[Json] = stack["data"]["aws_iam_policy_document"][f"{role}_access"]["statement"]
    return statements


def grants(stack: Json, environment: Environment) -> list[Grant]:
    """What others have to allow the roles of a stack, by bucket and key.

    A source whose owner is not named may be another account's, so it is among them.
    """
    wanted: dict[str, Grant] = {}
    for role, suffix in ROLES.items():
        for statement in role_statements(stack, role):
            for to, owner in _others(statement, environment):
                grant = wanted.setdefault(to, Grant(to, owner, []))
                grant.statements.append(_granted(statement, environment, suffix))
    return list(wanted.values())


def key_grants(environment: Environment) -> list[Json]:
    """What the policy of the environment's own key has to allow services of AWS."""
    here = known_aws(environment)
    log = f"arn:{here.partition}:logs:{here.region}:{here.account}:log-group"
    of_log = {"kms:EncryptionContext:aws:logs:arn": f"{log}:/aws/lambda/{environment.name}"}
    on_log = ("Encrypt*", "Decrypt*", "ReEncrypt*", "GenerateDataKey*", "Describe*")
    return [
        {
            "Sid": "CloudtrailParquetLog",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{here.region}.{here.dns_suffix}"},
            "Action": [f"kms:{name}" for name in on_log],
            "Resource": "*",
            "Condition": {"ArnEquals": of_log},
        },
        {
            "Sid": "CloudtrailParquetUndelivered",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
    ]


def _others(statement: Json, environment: Environment) -> Iterator[tuple[str, str | None]]:
    """The buckets and keys of a statement that are, or may be, another account's."""
    buckets = _buckets_of_others(environment)
    found: dict[str, str | None] = {}
    for arn in statement["resources"]:
        bucket = arn.partition(":s3:::")[2].partition("/")[0]
        if bucket in buckets:
            found[bucket] = buckets[bucket]
        elif ":kms:" in arn and (owner := arn.split(":")[4]) != environment.account:
            found[arn] = owner
    yield from found.items()


def _buckets_of_others(environment: Environment) -> dict[str, str | None]:
    """The owners of buckets, but for those that are known to be in the function's account."""
    outputs = (environment.dataset, environment.state_location)
    owners = {one.bucket: one.account for one in environment.sources}
    owners |= {one.bucket: one.account for one in outputs if one.account}
    ours = environment.account
    return {to: owner for to, owner in owners.items() if owner is None or owner != ours}


def _granted(statement: Json, environment: Environment, suffix: str) -> Json:
    """A statement of a role, turned into one of what the role uses."""
    here = known_aws(environment)
    conditions: dict[str, dict[str, object]] = {}
    for one in statement.get("condition", []):
        if one["variable"] != "aws:ResourceAccount":  # the owner's own, here
            values = _one([fill_in(value, here) for value in one["values"]])
            conditions.setdefault(one["test"], {})[one["variable"]] = values
    role = {"aws:PrincipalArn": role_arn(environment, suffix)}
    of_key = statement["actions"][0].startswith("kms:")
    return {
        "Sid": f"CloudtrailParquet{suffix.removeprefix('-').title()}{statement['sid']}",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{here.partition}:iam::{here.account}:root"},
        "Action": _one(statement["actions"]),
        "Resource": "*" if of_key else _one([fill_in(one, here) for one in statement["resources"]]),
        "Condition": {**conditions, "ArnEquals": {**conditions.get("ArnEquals", {}), **role}},
    }


def _one(values: list[str]) -> str | list[str]:
    """As policies have it: without a list if there is but one."""
    return values[0] if len(values) == 1 else values
