"""The converter: the function with its log, its role and what becomes of events that fail."""

from collections.abc import Iterable, Mapping

from cloudtrail_parquet.contract import HANDLER, Variable
from stacks.cdk import (
    CloudwatchLogGroup,
    Construct,
    LambdaFunction,
    LambdaFunctionEventInvokeConfig,
    literal,
)
from stacks.constructs.event_bus import EVENT_AGE_S
from stacks.environment.fields import Environment
from stacks.iam.roles import ServiceRole
from stacks.iam.statements import (
    Aws,
    Statement,
    dataset_statements,
    key_statement,
    source_statements,
    state_statements,
)


class ConverterFunction(Construct):
    """The Lambda function.

    Attributes:
        role: Its role.
        function: The function.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        aws: Aws,
        *,
        package: str,
        variables: Mapping[str, str],
        statements: Iterable[Statement],
        failures_arn: str,
    ) -> None:
        """Create the function.

        Args:
            scope: The stack.
            environment: The deployment.
            aws: The account and region.
            package: Name of the zip, which lies beside the Terraform.
            variables: Environment variables besides those that the environment file decides.
            statements: Permissions besides those to read, convert and log.
            failures_arn: The queue for events that failed.
        """
        super().__init__(scope, "converter")
        log_group = CloudwatchLogGroup(
            self,
            "log",
            name=f"/aws/lambda/{environment.name}",
            retention_in_days=environment.function.log_retention_days,
            kms_key_id=environment.kms_key,
        )
        self.role = ServiceRole(
            self,
            environment,
            aws,
            suffix="",
            service="lambda.amazonaws.com",
            statements=[
                *source_statements(environment.sources, environment.settings, aws),
                *dataset_statements(environment.dataset, aws),
                *state_statements(environment.state_location, aws),
                *_runtime_statements(environment, aws, log_group.arn, failures_arn),
                *statements,
            ],
        )
        self.function = self._function(environment, package, variables, log_group)
        LambdaFunctionEventInvokeConfig(
            self,
            "invocations",
            function_name=self.function.function_name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=EVENT_AGE_S,
            destination_config={"on_failure": {"destination": failures_arn}},
        )

    def _function(
        self,
        environment: Environment,
        package: str,
        variables: Mapping[str, str],
        log_group: CloudwatchLogGroup,
    ) -> LambdaFunction:
        settings, vpc = environment.function, environment.vpc
        return LambdaFunction(
            self,
            "this",
            function_name=environment.name,
            description="CloudTrail log files to Parquet",
            role=self.role.arn,
            handler=HANDLER,
            runtime=settings.runtime,
            architectures=[settings.architecture],
            memory_size=settings.memory_mb,
            timeout=settings.timeout_s,
            ephemeral_storage={"size": settings.ephemeral_storage_mb},
            reserved_concurrent_executions=settings.reserved_concurrency,
            filename=f"${{path.module}}/{package}",
            source_code_hash=f'${{filebase64sha256("${{path.module}}/{package}")}}',
            environment={
                "variables": {
                    **{name: literal(value) for name, value in environment.variables.items()},
                    **variables,
                    Variable.SERVICE: environment.name,
                }
            },
            kms_key_arn=environment.kms_key,
            vpc_config=None
            if vpc is None
            else {
                "subnet_ids": list(vpc.subnets),
                "security_group_ids": list(vpc.security_groups),
            },
            depends_on=[self.role.policy, log_group],
        )


def _runtime_statements(
    environment: Environment, aws: Aws, log_group_arn: str, failures_arn: str
) -> list[Statement]:
    """The permissions that Lambda itself needs to run the function."""
    statements = [
        Statement(
            sid="Log",
            why="write its log, metrics included",
            actions=("logs:CreateLogStream", "logs:PutLogEvents"),
            resources=(f"{log_group_arn}:*",),
        ),
        Statement(
            sid="KeepFailures",
            why="keep events that failed",
            actions=("sqs:SendMessage",),
            resources=(failures_arn,),
        ),
    ]
    if environment.kms_key:
        key = environment.kms_key
        statements += [
            key_statement(key, "lambda", "read its own environment", aws),
            key_statement(key, "sqs", "write to its queues, and read them", aws),
        ]
    if environment.vpc:
        interfaces = ("CreateNetworkInterface", "DeleteNetworkInterface")
        others = ("DescribeNetworkInterfaces", "DescribeSubnets")
        more = ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
        statements.append(
            Statement(
                sid="JoinVpc",
                why="be in the VPC (these actions know no resources)",
                actions=tuple(f"ec2:{name}" for name in sorted(interfaces + others + more)),
                resources=("*",),
            )
        )
    return statements
