"""The fields of an environment file, ``environments/<name>.toml``; ``example.toml`` explains them.

What the converter decides (its settings, the memory and time that it was measured with) comes from
its own constants.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal

import msgspec
from pydantic import StrictBool, StrictInt

from cloudtrail_parquet.contract import FUNCTION_S, MEMORY_MB, Variable, setting_variable
from cloudtrail_parquet.settings.settings import Settings, SettingSource, settings_of
from cloudtrail_parquet.settings.types import ByColumn, Names, SettingType, Structs
from stacks.environment.locations import DatasetLocation, OutputLocation, SourceLocation, Table
from stacks.environment.types import (
    AccountId,
    Age,
    BucketName,
    CatalogueName,
    Cron,
    KeyArn,
    ObjectKey,
    PolicyArn,
    Region,
    RetentionDays,
    RoleArn,
    RolePath,
    Runtime,
    SecurityGroupId,
    StackName,
    SubnetId,
    Tags,
    TopicArn,
    distinct,
    legal,
    number,
)
from stacks.environment.workgroup import WorkgroupSettings

_TYPES: dict[str, SettingType] = {field.name: field.metadata["type"] for field in fields(Settings)}


class FunctionSettings(Table):
    """The Lambda function.

    Attributes:
        memory_mb: One vCPU is 1,769 MB.
        timeout_s: A unit that needs longer is converted in shards.
        ephemeral_storage_mb: Size of ``/tmp``, where the parts of one unit wait.
        architecture: ``arm64`` costs a fifth less.
        runtime: Python 3.14 needs provider 6.
        reserved_concurrency: Most invocations at a time; the account's limit unless given.
        log_retention_days: How long the log is kept.
    """

    memory_mb: Annotated[StrictInt, number(512, 10_240, "MB")] = MEMORY_MB
    timeout_s: Annotated[StrictInt, number(60, FUNCTION_S, "seconds")] = FUNCTION_S
    ephemeral_storage_mb: Annotated[StrictInt, number(512, 10_240, "MB")] = 2048
    architecture: Literal["arm64", "x86_64"] = "arm64"
    runtime: Runtime = "python3.13"
    reserved_concurrency: Annotated[StrictInt, number(1, 10_000, "invocations")] | None = None
    log_retention_days: RetentionDays = 365


class ScheduleSettings(Table):
    """When the function runs by itself, in UTC.

    Attributes:
        daily: Converts yesterday, and again those of the days before that are not final; runs after
            window and margin have passed, and at least every three days.
        provisional: Converts today's logs so far; off unless given.
        catch_up: Converts what is missing or outdated of `catch_up_days`: what daily runs no longer
            look at after an outage.
        catch_up_days: How many days before today that looks at; 0 for none of these runs.
        expire: Removes the parts of days that are older than `expire_after`.
        expire_after: How old days get, such as ``7y``; they are kept for ever unless given.
        enabled: Whether all of them are on.
    """

    daily: Cron = "cron(15 3 * * ? *)"
    provisional: Cron | None = None
    catch_up: Cron = "cron(15 9 ? * SUN *)"
    catch_up_days: Annotated[StrictInt, number(0, 366, "days")] = 35
    expire: Cron = "cron(45 5 * * ? *)"
    expire_after: Age | None = None
    enabled: StrictBool = True


class BackfillQueueSettings(Table):
    """The SQS queue for large backfills.

    Attributes:
        enabled: Whether the queue exists.
        max_concurrency: Most invocations that work on it at a time.
        max_receives: How often a message is tried before it becomes a dead letter.
    """

    enabled: StrictBool = False
    max_concurrency: Annotated[StrictInt, number(2, 1000, "invocations")] = 10
    max_receives: Annotated[StrictInt, number(1, 1000, "times")] = 5


class AlarmSettings(Table):
    """The alarms and the dashboard.

    Attributes:
        enabled: Whether the alarms exist.
        topic: Receives their notifications.
        dashboard: Whether the dashboard exists.
    """

    enabled: StrictBool = True
    topic: TopicArn | None = None
    dashboard: StrictBool = True


class CatalogueSettings(Table):
    """The Glue table that Athena queries.

    Attributes:
        enabled: Whether the table exists.
        database: Database of the table; the environment's name, with _ for -, unless given.
        create_database: Whether this stack creates the database.
        table: Name of the table.
        accounts: Every account that queries find; unless given, each query names its account.
        regions: Every region that queries find; unless given, each query names its region.
        workgroup: See `WorkgroupSettings`; none unless given, nor without the table.
    """

    enabled: StrictBool = False
    database: CatalogueName | None = None
    create_database: StrictBool = True
    table: CatalogueName = "cloudtrail"
    accounts: Annotated[tuple[AccountId, ...], legal(distinct, "each account once")] = ()
    regions: Annotated[tuple[Region, ...], legal(distinct, "each region once")] = ()
    workgroup: WorkgroupSettings | None = None


class IamSettings(Table):
    """The roles.

    Attributes:
        path: Path of all roles.
        permissions_boundary: Permissions boundary of all roles.
    """

    path: RolePath = "/"
    permissions_boundary: PolicyArn | None = None


class VpcSettings(Table):
    """The VPC that the function runs in.

    Attributes:
        subnets: Private subnets with routes to S3, EventBridge and SQS.
        security_groups: Security groups of the function.
    """

    subnets: Annotated[tuple[SubnetId, ...], legal(bool, "one subnet or more")]
    security_groups: Annotated[tuple[SecurityGroupId, ...], legal(bool, "one group or more")]


class BackendSettings(Table):
    """The bucket of the Terraform state.

    Attributes:
        bucket: Name of the bucket.
        key: Object key of the state.
        region: Region of the bucket.
        kms_key: Encrypts the state.
        lock: Whether a lock object guards it (Terraform 1.10 and newer).
        assume_role: Role with which Terraform reads and writes it; whoever runs it unless given.
    """

    bucket: BucketName
    key: ObjectKey
    region: Region
    kms_key: KeyArn | None = None
    lock: StrictBool = True
    assume_role: RoleArn | None = None


class Environment(Table):
    """One deployment.

    Attributes:
        region: Region of the function.
        account: The only account it may be deployed to; any unless given.
        assume_role: Role with which Terraform deploys it; whoever runs it unless given.
        name: Name of the function, and the beginning of all other names. Unique in its account,
            across regions, since roles have no region.
        tags: Tags of every resource.
        kms_key: Encrypts the function's log, its environment and its queues.
        sources: Folders with logs; all of them go into one dataset.
        dataset: Receives the partitions.
        state: Receives receipts and leases; beside the dataset unless given.
        function: See `FunctionSettings`.
        schedule: See `ScheduleSettings`.
        backfill_queue: See `BackfillQueueSettings`.
        alarms: See `AlarmSettings`.
        catalogue: See `CatalogueSettings`.
        iam: See `IamSettings`.
        vpc: See `VpcSettings`.
        backend: See `BackendSettings`; Terraform's state stays on the disk unless given.
        converter: Settings of the converter, and rules: docs/settings.md, docs/rules.md.
    """

    region: Region
    account: AccountId | None = None
    assume_role: RoleArn | None = None
    name: StackName
    tags: Tags = {}  # noqa: RUF012 - of the class, as in all of these, pydantic makes a copy
    kms_key: KeyArn | None = None
    sources: Annotated[tuple[SourceLocation, ...], legal(bool, "one source or more")]
    dataset: DatasetLocation
    state: OutputLocation | None = None
    function: FunctionSettings = FunctionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    backfill_queue: BackfillQueueSettings = BackfillQueueSettings()
    alarms: AlarmSettings = AlarmSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    iam: IamSettings = IamSettings()
    vpc: VpcSettings | None = None
    backend: BackendSettings | None = None
    converter: dict[str, Any] = {}  # noqa: RUF012

    @property
    def state_location(self) -> OutputLocation:
        """The folder of receipts and leases."""
        dataset = self.dataset
        return self.state or OutputLocation.model_construct(  # longer than a file's may be
            bucket=dataset.bucket,
            prefix=f"{dataset.prefix}.state",
            region=dataset.region,
            account=dataset.account,
            kms_key=dataset.kms_key,
        )

    @property
    def database(self) -> str:
        """The Glue database; its default is as unique in the account as the environment's name."""
        return self.catalogue.database or self.name.replace("-", "_")

    @property
    def settings(self) -> Settings:
        """The converter's settings.

        Raises:
            UsageError: Some settings are not legal; names all of them.
        """
        return settings_of(SettingSource("converter", self.converter))

    @property
    def locations(self) -> dict[str, str]:
        """The URIs of source, dataset and state, by environment variable."""
        sources = [
            source.uri(
                region=source.region, requester_pays="true" if source.requester_pays else None
            )
            for source in self.sources
        ]
        outputs = {Variable.DATASET: self.dataset, Variable.STATE: self.state_location}
        return {
            Variable.SOURCE: " ".join(sources),
            **{
                variable: output.uri(region=output.region, kms_key_id=output.kms_key)
                for variable, output in outputs.items()
            },
        }

    @property
    def variables(self) -> dict[str, str]:
        """The function's environment variables, as far as this file decides them."""
        settings = {
            setting_variable(name): _as_text(_TYPES[name], self.converter[name])
            for name in sorted(self.converter)
        }
        return {**self.locations, **settings}


def _as_text(type_: SettingType, value: Any) -> str:  # noqa: ANN401 - whatever the setting reads
    """A setting of a file in the spelling of the environment, which means the same."""
    read = value if isinstance(type_, Structs) else type_.read(value)
    if isinstance(type_, Names):
        return ",".join(read)
    if isinstance(type_, ByColumn):
        return ",".join(f"{column}={choice}" for column, choice in read.items())
    if read is None or isinstance(read, str):
        return read or ""
    return msgspec.json.encode(read).decode()  # numbers, flags, and rules, which are tables
