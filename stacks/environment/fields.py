"""Every field of an environment file, ``environments/<name>.toml``; ``example.toml`` explains them.

What the converter decides (its settings, the memory and time that it was measured with) is read
from its constants and never written again here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bundle.package import RUNTIMES
from cloudtrail_parquet.contract import FUNCTION_S, MEMORY_MB, PREFIX
from cloudtrail_parquet.settings.settings import Settings, SettingSource, settings_of
from cloudtrail_parquet.settings.types import ByColumn, Names, SettingType, Structs

T = TypeVar("T")

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827,
                      2192, 2557, 2922, 3288, 3653)  # fmt: skip
"""What CloudWatch Logs has (PutRetentionPolicy, API reference)."""

PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""AWS's partitions, by how the names of their regions begin; all others are in ``aws``."""

MAX_TAGS = 50  # of a resource (AWS General Reference, tags); the same for their characters

_ARN = "arn:aws(-us-gov|-cn)?"
_KINDS: dict[str, SettingType] = {one.name: one.metadata["type"] for one in fields(Settings)}
_FOLDER = r"[A-Za-z0-9!_.'()=@:+,-]+"  # nothing that IAM or a URI reads as something else


def _legal(is_legal: Callable[[T], object], legal: str) -> AfterValidator:
    def check(value: T) -> T:
        if not is_legal(value):
            raise ValueError(f"it has to be {legal}")
        return value

    return AfterValidator(check)


def _text(pattern: str, legal: str, flags: re.RegexFlag = re.ASCII) -> AfterValidator:
    return _legal(re.compile(pattern, flags).fullmatch, legal)


def _distinct(values: Sequence[str]) -> bool:
    return len(set(values)) == len(values)


def _number(low: int, high: int, unit: str) -> AfterValidator:
    def is_legal(number: int) -> bool:
        return low <= number <= high

    return _legal(is_legal, f"{low:,} to {high:,} {unit}")


Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Account = Annotated[str, _text("[0-9]{12}", "twelve digits in quotes")]
Region = Annotated[
    str,  # of the three partitions whose endpoints the converter knows
    _text(r"(?!..-iso)[a-z]{2}(-[a-z]+)+-[0-9]", "a region, such as eu-west-1 or us-gov-west-1"),
]
StackName = Annotated[
    str, _text("[a-z][a-z0-9-]{0,38}[a-z0-9]", "2 to 40 lower-case letters, digits and -")
]
Bucket = Annotated[
    str, _text("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket, without s3:// or arn:")
]
Prefix = Annotated[
    str,
    _text(
        rf"|{_FOLDER}(/{_FOLDER})*",
        "folders with / between them, none at its ends, without wildcards and white space",
    ),
]
KeyArn = Annotated[str, _text(rf"{_ARN}:kms:[\w-]+:\d{{12}}:key/[\w-]+", "the ARN of a KMS key")]
TopicArn = Annotated[str, _text(rf"{_ARN}:sns:[\w-]+:\d{{12}}:[\w-]+", "the ARN of an SNS topic")]
PolicyArn = Annotated[
    str, _text(rf"{_ARN}:iam::(\d{{12}}|aws):policy/[\w+=,.@/-]+", "the ARN of an IAM policy")
]
Cron = Annotated[
    str,
    _text(
        r"cron\([^\s()]+( [^\s()]+){5}\)|rate\([1-9][0-9]* (minute|hour|day)s?\)",
        "cron(…) with six fields, such as cron(15 3 * * ? *), or rate(…), such as rate(1 hour)",
    ),
]
Subnet = Annotated[str, _text("subnet-[0-9a-f]+", "a subnet's id")]
SecurityGroup = Annotated[str, _text("sg-[0-9a-f]+", "a security group's id")]
CatalogueName = Annotated[
    str, _text("[a-z0-9_]{1,255}", "lower-case letters, digits and _, for Athena")
]
_TAG_TEXT = r"[\w .:/=+@-]"
TagName = Annotated[
    str,
    _text(
        rf"(?!aws:){_TAG_TEXT}{{1,128}}",
        "1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:",
        re.IGNORECASE,
    ),
]
TagValue = Annotated[
    str,
    _text(rf"{_TAG_TEXT}{{0,256}}", "256 letters, digits, spaces and _.:/=+-@ at most", re.NOFLAG),
]
Runtime = Annotated[str, _legal(lambda name: name in RUNTIMES, f"one of {', '.join(RUNTIMES)}")]


class _Table(BaseModel):
    """A table of the file: a field that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Table):
    """A folder of a bucket.

    Attributes:
        bucket: Its name.
        prefix: The folder; empty for all of the bucket.
        region: Of the bucket; that of the environment unless given.
        account: Who owns the bucket: nobody else's of that name is read or written.
    """

    bucket: Bucket
    prefix: Prefix = ""
    region: Region | None = None
    account: Account | None = None

    def uri(self, **parameters: str | None) -> str:
        """As the converter takes it; ``None`` leaves a parameter out."""
        given = [f"{name}={value}" for name, value in parameters.items() if value]
        path = f"{self.bucket}/{self.prefix}".rstrip("/")
        return f"s3://{path}{'?' if given else ''}{'&'.join(given)}"


class SourcePlace(Place):
    """Where logs lie, at or above ``AWSLogs``.

    Attributes:
        kms_keys: What its log files are encrypted with, if that is SSE-KMS.
        requester_pays: Whether its readers pay for requests and transfer.
    """

    kms_keys: tuple[KeyArn, ...] = ()
    requester_pays: Flag = False


class OutputPlace(Place):
    """Where the dataset or its state goes.

    Attributes:
        kms_key: Encrypts what is written; the bucket's own default encryption unless given.
        create: Whether the bucket is made.
        noncurrent_days: How long a bucket that is made keeps what was replaced.
    """

    kms_key: KeyArn | None = None
    create: Flag = False
    noncurrent_days: Annotated[Whole, _number(1, 3650, "days")] = 30


class Function(_Table):
    """The Lambda function.

    Attributes:
        memory_mb: One vCPU is 1,769 MB.
        timeout_s: A unit that needs longer is converted in shards.
        ephemeral_storage_mb: ``/tmp``: the parts of one unit wait there.
        architecture: ``arm64`` costs a fifth less.
        runtime: Python 3.14 needs provider 6.
        reserved_concurrency: How many run at a time at most; the account's limit unless given.
        log_retention_days: How long its log is kept.
    """

    memory_mb: Annotated[Whole, _number(512, 10_240, "MB")] = MEMORY_MB
    timeout_s: Annotated[Whole, _number(60, FUNCTION_S, "seconds")] = FUNCTION_S
    ephemeral_storage_mb: Annotated[Whole, _number(512, 10_240, "MB")] = 2048
    architecture: Literal["arm64", "x86_64"] = "arm64"
    runtime: Runtime = "python3.13"
    reserved_concurrency: Annotated[Whole, _number(1, 10_000, "invocations")] | None = None
    log_retention_days: Annotated[
        Whole,
        _legal(
            lambda days: days in LOG_RETENTION_DAYS,
            f"one of {', '.join(map(str, LOG_RETENTION_DAYS))}",
        ),
    ] = 365


class Schedules(_Table):
    """When the function runs by itself, in UTC.

    Attributes:
        daily: Converts yesterday, and again what is not final of the days before; not before
            window and margin have passed, and three days apart at most.
        provisional: Converts today as far as it has come; off unless given.
        enabled: Whether both are on.
    """

    daily: Cron = "cron(15 3 * * ? *)"
    provisional: Cron | None = None
    enabled: Flag = True


class BackfillQueue(_Table):
    """The SQS queue for large backfills.

    Attributes:
        enabled: Whether there is one.
        max_concurrency: How many invocations work on it at a time.
        max_receives: How often a message is tried before it is a dead letter.
    """

    enabled: Flag = False
    max_concurrency: Annotated[Whole, _number(2, 1000, "invocations")] = 10
    max_receives: Annotated[Whole, _number(1, 1000, "times")] = 5


class Alarms(_Table):
    """The alarms and the dashboard.

    Attributes:
        enabled: Whether there are alarms.
        topic: Who is told.
        dashboard: Whether there is a dashboard.
    """

    enabled: Flag = True
    topic: TopicArn | None = None
    dashboard: Flag = True


class Catalogue(_Table):
    """The Glue table that Athena queries.

    Attributes:
        enabled: Whether there is one.
        database: Its database.
        create_database: Whether that is made, too.
        table: Its name.
        accounts: All accounts whose partitions are found; unless given, queries name the account.
        regions: Likewise.
    """

    enabled: Flag = False
    database: CatalogueName = "cloudtrail"
    create_database: Flag = True
    table: CatalogueName = "cloudtrail"
    accounts: Annotated[tuple[Account, ...], _legal(_distinct, "each account once")] = ()
    regions: Annotated[tuple[Region, ...], _legal(_distinct, "each region once")] = ()


class Identity(_Table):
    """What the roles are like.

    Attributes:
        path: Of the roles.
        permissions_boundary: Of the roles.
    """

    path: Annotated[str, _text(r"/([\w+=,.@-]+/)*", "a path, such as / or /security/")] = "/"
    permissions_boundary: PolicyArn | None = None


class Vpc(_Table):
    """Where the function runs, if it is to run in a VPC.

    Attributes:
        subnets: Private ones, with ways to S3, EventBridge and SQS.
        security_groups: What it may reach.
    """

    subnets: Annotated[tuple[Subnet, ...], _legal(bool, "one subnet or more")]
    security_groups: Annotated[tuple[SecurityGroup, ...], _legal(bool, "one group or more")]


class Backend(_Table):
    """The bucket of the Terraform state.

    Attributes:
        bucket: Its name.
        key: Of the state in it.
        region: Of the bucket.
        kms_key: Encrypts the state.
        lock: Whether a lock object guards it (Terraform 1.10 and newer).
    """

    bucket: Bucket
    key: Annotated[str, _text(rf"{_FOLDER}(/{_FOLDER})*", "an object's key")]
    region: Region
    kms_key: KeyArn | None = None
    lock: Flag = True


class Environment(_Table):
    """One deployment.

    Attributes:
        region: Where the function runs.
        account: The account that it may be deployed to; any unless given.
        name: Of the function and all that belongs to it: unique in its account, in all regions,
            since roles have no region.
        tags: Of everything that has tags.
        kms_key: Encrypts the function's log, its environment and its queues.
        sources: Where logs lie; one dataset is made of all of them.
        dataset: Receives the partitions.
        state: Receives receipts and leases; beside the dataset unless given.
        function: See `Function`.
        schedule: See `Schedules`.
        backfill_queue: See `BackfillQueue`.
        alarms: See `Alarms`.
        catalogue: See `Catalogue`.
        iam: See `Identity`.
        vpc: See `Vpc`.
        backend: See `Backend`; the state stays on the disk unless given.
        converter: Settings of the converter, and rules: docs/settings.md, docs/rules.md.
    """

    region: Region
    account: Account | None = None
    name: StackName
    tags: Annotated[
        dict[TagName, TagValue], _legal(lambda tags: len(tags) <= MAX_TAGS, f"{MAX_TAGS} at most")
    ] = {}
    kms_key: KeyArn | None = None
    sources: Annotated[tuple[SourcePlace, ...], _legal(bool, "one source or more")]
    dataset: OutputPlace
    state: OutputPlace | None = None
    function: Function = Function()
    schedule: Schedules = Schedules()
    backfill_queue: BackfillQueue = BackfillQueue()
    alarms: Alarms = Alarms()
    catalogue: Catalogue = Catalogue()
    iam: Identity = Identity()
    vpc: Vpc | None = None
    backend: Backend | None = None
    converter: dict[str, Any] = {}

    @property
    def state_place(self) -> OutputPlace:
        """Where receipts and leases go."""
        beside = {"prefix": f"{self.dataset.prefix}.state", "create": False}
        return self.state or self.dataset.model_copy(update=beside)

    @property
    def settings(self) -> Settings:
        """How the converter is to do it.

        Raises:
            UsageError: A setting is not legal; names all that are not.
        """
        return settings_of(SettingSource("converter", self.converter))

    @property
    def places(self) -> dict[str, str]:
        """The URIs of source, dataset and state, by their names in the function's environment."""
        outputs = {"DATASET": self.dataset, "STATE": self.state_place}
        sources = [
            one.uri(region=one.region, requester_pays="true" if one.requester_pays else None)
            for one in self.sources
        ]
        return {
            "SOURCE": " ".join(sources),
            **{
                name: one.uri(region=one.region, kms_key_id=one.kms_key)
                for name, one in outputs.items()
            },
        }

    @property
    def variables(self) -> dict[str, str]:
        """The part of the function's environment that this file decides."""
        settings = {
            name.upper(): _as_text(_KINDS[name], self.converter[name])
            for name in sorted(self.converter)
        }
        return {f"{PREFIX}{name}": value for name, value in {**self.places, **settings}.items()}


def partition_of(region: str) -> str:
    """The partition of AWS that a region is in, as ARNs of it begin."""
    return next((of for start, of in PARTITIONS.items() if region.startswith(start)), "aws")


def _as_text(type_: SettingType, value: Any) -> str:  # noqa: ANN401 - whatever the setting reads
    """A setting of a file, as the environment has it; the converter reads both alike."""
    read = value if isinstance(type_, Structs) else type_.read(value)
    if isinstance(type_, Names):
        return ",".join(read)
    if isinstance(type_, ByColumn):
        return ",".join(f"{column}={one}" for column, one in read.items())
    if read is None or isinstance(read, str):
        return read or ""
    return msgspec.json.encode(read).decode()  # numbers, flags, and rules, which are tables
