"""The stack of one environment: its parts, and how they are connected."""

from typing import Any

from cloudtrail_parquet.contract import Variable
from stacks.cdk import (
    AwsProvider,
    AwsProviderAssumeRole,
    AwsProviderDefaultTags,
    Construct,
    DataAwsCallerIdentity,
    DataAwsPartition,
    LocalBackend,
    S3Backend,
    TerraformOutput,
    TerraformStack,
    jsii,
    literal,
)
from stacks.constructs.alarms import Alarms
from stacks.constructs.backfill_queue import BackfillQueue
from stacks.constructs.bucket import OutputBucket
from stacks.constructs.dashboard import Dashboard
from stacks.constructs.event_bus import EventBus
from stacks.constructs.function import ConverterFunction
from stacks.constructs.glue_table import GlueTable
from stacks.constructs.queue import Queue
from stacks.constructs.schedule import Schedule
from stacks.constructs.workgroup import Workgroup
from stacks.environment.fields import Environment
from stacks.environment.locations import OutputLocation
from stacks.iam.statements import Aws
from stacks.versions import (
    ASSUMING_TERRAFORM,
    LOCKING_TERRAFORM,
    PROVIDER,
    PROVIDER_VERSIONS,
    TERRAFORM,
)


class ConverterStack(TerraformStack):
    """Everything that converts the logs of one environment.

    Attributes:
        statements: Permissions of its roles, by the name of the role's construct.
    """

    def __init__(self, scope: Construct, name: str, environment: Environment, package: str) -> None:
        """Create all parts and connect them.

        Args:
            scope: The app.
            name: Name of the environment file, without its ending.
            environment: The deployment.
            package: Name of the zip, which lies beside the Terraform.
        """
        super().__init__(scope, name)
        aws = self._aws(environment)
        self._versions_and_backend(name, environment)
        for id_, location in _new_buckets(environment).items():
            OutputBucket(self, id_, location, aws)
        event_bus = EventBus(self, environment, aws)
        failures = Queue(
            self, "failures", environment, name="failures", senders=[event_bus.sends_to_failures()]
        )
        backfill = BackfillQueue(self, environment) if environment.backfill_queue.enabled else None
        converter = self._converter(
            environment,
            aws,
            package=package,
            event_bus=event_bus,
            failures=failures,
            backfill=backfill,
        )
        event_bus.deliver_to(converter.function, failures.arn)
        schedule = Schedule(self, environment, aws, converter.function, failures.arn)
        self.statements = {
            "converter_role": converter.role.statements,
            "schedule_role": schedule.role.statements,
        }
        if backfill:
            backfill.deliver_to(converter.function, needs=converter.role.policy)
        self._monitoring(environment, failures, backfill)
        if environment.catalogue.enabled:
            catalogue = GlueTable(self, environment)
            if workgroup := environment.catalogue.workgroup:
                Workgroup(self, environment, workgroup, catalogue.table)
        variables = environment.variables
        outputs: dict[str, Any] = {
            "function_name": converter.function.function_name,
            "event_bus": event_bus.name,
            "failures_url": failures.url,
            "dataset": environment.dataset.uri(),
            "state": environment.state_location.uri(),
            "variables": {name: literal(value) for name, value in sorted(variables.items())},
        }
        if backfill:
            outputs["backfill_url"] = backfill.queue.url
            outputs["dead_letters_url"] = backfill.dead_letters.url
        values = Construct(self, "outputs")
        for id_, value in outputs.items():
            TerraformOutput(values, id_, value=value).override_logical_id(id_)

    def _converter(
        self,
        environment: Environment,
        aws: Aws,
        *,
        package: str,
        event_bus: EventBus,
        failures: Queue,
        backfill: BackfillQueue | None,
    ) -> ConverterFunction:
        """The function, allowed to hand its batches on and told where to."""
        variables: dict[str, str] = {
            Variable.DISPATCH: "events",
            Variable.EVENT_BUS: event_bus.name,
        }
        statements = [event_bus.may_send()]
        if backfill:
            variables[Variable.QUEUE_URL] = backfill.queue.url
            statements.append(backfill.may_use())
        return ConverterFunction(
            self,
            environment,
            aws,
            package=package,
            variables=variables,
            statements=statements,
            failures_arn=failures.arn,
        )

    def _monitoring(
        self, environment: Environment, failures: Queue, backfill: BackfillQueue | None
    ) -> None:
        backfill_names = (backfill.queue.name, backfill.dead_letters.name) if backfill else ()
        if environment.alarms.enabled:
            Alarms(self, environment, failures.name, backfill_names)
        if environment.alarms.dashboard:
            Dashboard(self, environment, (failures.name, *backfill_names))

    @jsii.member(jsii_name="allocateLogicalId")
    def _allocate_logical_id(self, element: Any) -> str:  # noqa: ANN401 - a node or an element
        """Make addresses of the constructs' names, which people can read and which stay."""
        _, *names = str(element.node.path).split("/")
        return "_".join(name for name in names if name != "this")

    def _aws(self, environment: Environment) -> Aws:
        tags = {literal(name): literal(value) for name, value in environment.tags.items()}
        AwsProvider(
            self,
            "aws",
            region=environment.region,
            assume_role=_to_assume(environment.assume_role),
            allowed_account_ids=[environment.account] if environment.account else None,
            default_tags=[AwsProviderDefaultTags(tags=tags)] if tags else None,
        )
        partition = DataAwsPartition(self, "current")
        account = DataAwsCallerIdentity(self, "account").account_id
        return Aws(partition.partition, partition.dns_suffix, account, environment.region)

    def _versions_and_backend(self, name: str, environment: Environment) -> None:
        # The bindings would require the one version that they were generated from.
        provider = {"source": PROVIDER, "version": PROVIDER_VERSIONS}
        self.add_override("terraform.required_providers.aws", provider)
        terraform, backend = TERRAFORM, environment.backend
        if backend is None:
            # Relative to cdktf.out/stacks/<name>, where Terraform runs; outlives cdktf.out.
            LocalBackend(self, path=f"../../../terraform.{name}.tfstate")
        else:
            S3Backend(
                self,
                bucket=backend.bucket,
                key=backend.key,
                region=backend.region,
                encrypt=True,
                kms_key_id=backend.kms_key,
            )
            if backend.assume_role:
                role = {"role_arn": backend.assume_role}
                self.add_override("terraform.backend.s3.assume_role", role)
                terraform = ASSUMING_TERRAFORM
            if backend.lock:
                self.add_override("terraform.backend.s3.use_lockfile", value=True)
                terraform = LOCKING_TERRAFORM
        self.add_override("terraform.required_version", terraform)


def _to_assume(role: str | None) -> list[AwsProviderAssumeRole] | None:
    return [AwsProviderAssumeRole(role_arn=role)] if role else None


def _new_buckets(environment: Environment) -> dict[str, OutputLocation]:
    outputs = {"dataset": environment.dataset, "state": environment.state_location}
    return {id_: location for id_, location in outputs.items() if location.create}
