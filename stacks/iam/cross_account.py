"""What owners of buckets and keys in other accounts have to grant.

Within one account a role's own policy is enough, except for keys whose policy leaves nothing to
IAM. Other owners name the account and, as a condition, the role: AWS refuses a policy whose
principal is a role that does not exist yet, and such a policy no longer matches a recreated role.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from stacks.environment.fields import Environment
from stacks.environment.types import partition_of
from stacks.iam.statements import Aws

NO_ACCOUNT = "ACCOUNT_ID"
"""Takes the place of the function's account where the environment does not name it."""

ROLES = {"converter_role": "", "schedule_role": "-schedule"}
"""The ends of the roles' names, by the beginning of their policies' names."""

Json = dict[str, Any]


def known_aws(environment: Environment) -> Aws:
    """The account and region of a stack as the environment has them, without Terraform."""
    partition = partition_of(environment.region)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return Aws(partition, suffix, environment.account or NO_ACCOUNT, environment.region)


def fill_in(text: str, aws: Aws) -> str:
    """Text with the account's facts filled in; resources of the Terraform stay references."""
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
        owner: Account of the bucket or key, if it is known.
        statements: In the form of JSON policies.
    """

    to: str
    owner: str | None
    statements: list[Json]


def role_arn(environment: Environment, suffix: str) -> str:
    """The ARN that a role will have."""
    here, path = known_aws(environment), environment.iam.path
    return f"arn:{here.partition}:iam::{here.account}:role{path}{environment.name}{suffix}"


def role_statements(stack: Json, role: str) -> list[Json]:
    """The permissions of a role, in the form of the Terraform."""
    statements: list[Json] = stack["data"]["aws_iam_policy_document"][f"{role}_access"]["statement"]
    return statements


def grants(stack: Json, environment: Environment) -> list[Grant]:
    """What others have to grant the roles of a stack, by bucket and key.

    A source without a named owner is among them, since it may be another account's.
    """
    wanted: dict[str, Grant] = {}
    for role, suffix in ROLES.items():
        for statement in role_statements(stack, role):
            for to, owner in _others(statement, environment):
                grant = wanted.setdefault(to, Grant(to, owner, []))
                grant.statements.append(_granted(statement, to, environment, suffix))
    return list(wanted.values())


def key_grants(environment: Environment) -> list[Json]:
    """What the policy of the environment's own key has to grant services of AWS."""
    here = known_aws(environment)
    log = f"arn:{here.partition}:logs:{here.region}:{here.account}:log-group"
    encrypts_log = {"kms:EncryptionContext:aws:logs:arn": f"{log}:/aws/lambda/{environment.name}"}
    log_actions = ("Encrypt*", "Decrypt*", "ReEncrypt*", "GenerateDataKey*", "Describe*")
    return [
        {
            "Sid": "CloudtrailParquetLog",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{here.region}.{here.dns_suffix}"},
            "Action": [f"kms:{name}" for name in log_actions],
            "Resource": "*",
            "Condition": {"ArnEquals": encrypts_log},
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
    owners: dict[str, str | None] = {}
    for arn in statement["resources"]:
        bucket = _bucket_of(arn)
        if bucket in buckets:
            owners[bucket] = buckets[bucket]
        elif ":kms:" in arn and (owner := arn.split(":")[4]) != environment.account:
            owners[arn] = owner
    yield from owners.items()


def _bucket_of(arn: str) -> str:
    return arn.partition(":s3:::")[2].partition("/")[0]


def _buckets_of_others(environment: Environment) -> dict[str, str | None]:
    """The owners of buckets, except for those known to be in the function's account."""
    outputs = (environment.dataset, environment.state_location)
    owners = {source.bucket: source.account for source in environment.sources}
    owners |= {output.bucket: output.account for output in outputs if output.account}
    ours = environment.account
    return {name: owner for name, owner in owners.items() if owner is None or owner != ours}


def _granted(statement: Json, to: str, environment: Environment, suffix: str) -> Json:
    """A statement of a role, turned into one for the policy of a bucket or key that it uses."""
    here = known_aws(environment)
    conditions: dict[str, dict[str, object]] = {}
    for condition in statement.get("condition", []):
        if condition["variable"] != "aws:ResourceAccount":  # the owner's own account, here
            values = unlisted([fill_in(value, here) for value in condition["values"]])
            conditions.setdefault(condition["test"], {})[condition["variable"]] = values
    role = {"aws:PrincipalArn": role_arn(environment, suffix)}
    uses_key = statement["actions"][0].startswith("kms:")
    resources = [fill_in(arn, here) for arn in statement["resources"] if _bucket_of(arn) == to]
    return {
        "Sid": f"CloudtrailParquet{suffix.removeprefix('-').title()}{statement['sid']}",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{here.partition}:iam::{here.account}:root"},
        "Action": unlisted(statement["actions"]),
        "Resource": "*" if uses_key else unlisted(resources),
        "Condition": {**conditions, "ArnEquals": {**conditions.get("ArnEquals", {}), **role}},
    }


def unlisted(values: list[str]) -> str | list[str]:
    """Values in the form of policies, which write a single one without a list."""
    return values[0] if len(values) == 1 else values
