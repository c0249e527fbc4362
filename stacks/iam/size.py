"""How large the policies of roles are, as IAM counts it.

Source: IAM User Guide, "IAM and AWS STS quotas", section "IAM and STS character limits": the inline
policies of a role have 10,240 characters at most, together; white space is not counted. The quota
cannot be raised, and Terraform notices only while it applies.
"""

import json
import re
from collections.abc import Iterator

from cloudtrail_parquet.wording import counted
from stacks.environment.fields import Environment
from stacks.iam.cross_account import ROLES, Json, fill_in, known_aws, role_statements, unlisted
from stacks.iam.statements import Aws

MAX_CHARACTERS = 10_240

_REFERENCE = re.compile(r"\$\{(\w+)\.(\w+)\.arn\}")
_ARNS = {
    "aws_cloudwatch_event_bus": ("events", "event-bus/", "name"),
    "aws_cloudwatch_log_group": ("logs", "log-group:", "name"),
    "aws_lambda_function": ("lambda", "function:", "function_name"),
    "aws_sqs_queue": ("sqs", "", "name"),
}
"""Service, what precedes the name, and the attribute with the name, of what roles use."""

_UNKNOWN_ACCOUNT = "0" * 12


def oversized_policies(stack: Json, environment: Environment) -> Iterator[str]:
    """Every role whose policy IAM would refuse, as one line: the field, and what is wrong."""
    for role in ROLES:
        size = policy_characters(stack, environment, role)
        if size > MAX_CHARACTERS:
            count = len(environment.sources)
            yield (
                f"sources: the policy of {role} would have {counted(size, 'character')}, and IAM"
                f" takes {MAX_CHARACTERS:,}: use fewer than {count}, or give them the same"
                " prefix, since those with one prefix share statements; or deploy some as another"
                " environment"
            )


def policy_characters(stack: Json, environment: Environment, role: str) -> int:
    """The size of a role's inline policy.

    Args:
        stack: The Terraform.
        environment: The environment that it was synthesised from.
        role: Name of the role's construct, one of `ROLES`.
    """
    here = known_aws(environment)
    if environment.account is None:
        here = here._replace(account=_UNKNOWN_ACCOUNT)
    statements = [_rendered(one, stack, here) for one in role_statements(stack, role)]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    return len(re.sub(r"\s", "", text))


def _rendered(statement: Json, stack: Json, here: Aws) -> Json:
    """A statement as Terraform writes it into the policy."""

    def filled(texts: list[str]) -> str | list[str]:
        return unlisted([_REFERENCE.sub(arn, fill_in(text, here)) for text in texts])

    def arn(found: re.Match[str]) -> str:
        service, before, attribute = _ARNS[found[1]]
        name = stack["resource"][found[1]][found[2]][attribute]
        return f"arn:{here.partition}:{service}:{here.region}:{here.account}:{before}{name}"

    rendered: Json = {
        "Sid": statement["sid"],
        "Effect": statement["effect"],
        "Action": unlisted(statement["actions"]),
        "Resource": filled(statement["resources"]),
    }
    conditions: dict[str, Json] = {}
    for one in statement.get("condition", ()):
        conditions.setdefault(one["test"], {})[one["variable"]] = filled(one["values"])
    return {**rendered, "Condition": conditions} if conditions else rendered
