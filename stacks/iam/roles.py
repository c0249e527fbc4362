"""Roles, and the policies of roles, queues and buckets, made of statements."""

from collections.abc import Iterable

from stacks.cdk import (
    Construct,
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
    IamRole,
    IamRolePolicy,
)
from stacks.environment.fields import Environment
from stacks.iam.statements import Aws, Condition, Statement


def policy_document(scope: Construct, name: str, statements: Iterable[Statement]) -> str:
    """A policy, which Terraform assembles.

    Returns:
        A reference to its JSON.
    """
    blocks = [_block(statement) for statement in statements]
    return str(DataAwsIamPolicyDocument(scope, name, statement=blocks).json)


def _block(statement: Statement) -> DataAwsIamPolicyDocumentStatement:
    service, principals = statement.service, None
    if service is not None:
        kind = "*" if service == "*" else "Service"
        principals = [DataAwsIamPolicyDocumentStatementPrincipals(type=kind, identifiers=[service])]
    elif statement.principals:
        identifiers = list(statement.principals)
        principals = [
            DataAwsIamPolicyDocumentStatementPrincipals(type="AWS", identifiers=identifiers)
        ]
    return DataAwsIamPolicyDocumentStatement(
        sid=statement.sid,
        effect=statement.effect,
        actions=list(statement.actions),
        resources=list(statement.resources) or None,
        principals=principals,
        condition=[
            DataAwsIamPolicyDocumentStatementCondition(
                test=test, variable=variable, values=list(values)
            )
            for test, variable, values in statement.conditions
        ]
        or None,
    )


class ServiceRole(Construct):
    """A role for one service, with its permissions.

    Attributes:
        arn: ARN of the role.
        statements: Permissions of the role.
        policy: The resource that grants them; whatever needs them depends on it.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        aws: Aws,
        *,
        suffix: str,
        service: str,
        statements: Iterable[Statement],
    ) -> None:
        """``service`` assumes the role; ``suffix`` ends its name."""
        super().__init__(scope, "role")
        self.statements = tuple(statements)
        ours = Condition("StringEquals", "aws:SourceAccount", (aws.account,))
        assume = Statement(
            sid="Assume",
            why=f"{service} acts with this role",
            actions=("sts:AssumeRole",),
            # Lambda names no source when it assumes a role.
            conditions=() if service == "lambda.amazonaws.com" else (ours,),
            service=service,
        )
        role = IamRole(
            self,
            "this",
            name=f"{environment.name}{suffix}",
            path=environment.iam.path,
            permissions_boundary=environment.iam.permissions_boundary,
            assume_role_policy=policy_document(self, "trust", [assume]),
        )
        self.policy = IamRolePolicy(
            self,
            "policy",
            name="access",
            role=role.name,
            policy=policy_document(self, "access", self.statements),
        )
        self.arn = role.arn
