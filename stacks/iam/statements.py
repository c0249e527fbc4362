"""The function's permissions, each with its reason, down to prefixes, keys and queues.

The README of a hand-over explains a role in the words of its statements.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.settings.settings import Settings
from stacks.environment.locations import BucketLocation, OutputLocation, SourceLocation


class Aws(NamedTuple):
    """The account and region of a stack; Terraform fills in all but the region."""

    partition: str
    dns_suffix: str
    account: str
    region: str


class Condition(NamedTuple):
    """When a statement holds, such as ``StringLike s3:prefix logs/*``."""

    test: str
    variable: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A permission, or a denial.

    Attributes:
        sid: Its name in the policy.
        why: Its reason, as the hand-over prints it.
        actions: As in ``s3:GetObject``.
        resources: ARNs.
        conditions: All of them have to hold.
        service: The service it applies to, or ``*`` for anybody, in the policy of a resource;
            statements of a role apply to the role.
        principals: Other principals, as ARNs, in the same place.
        effect: Whether the actions are allowed.
    """

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    service: str | None = None
    principals: tuple[str, ...] = ()
    effect: Literal["Allow", "Deny"] = "Allow"


def source_statements(
    sources: Iterable[SourceLocation], settings: Settings, aws: Aws
) -> Iterator[Statement]:
    """The permissions to read log files, and nothing else in the sources."""
    for number, location in enumerate(sources, 1):
        where = f"the logs in {location.uri()}"
        below = "*" if location.prefix.rpartition("/")[2] == LOGS_ROOT else f"*{LOGS_ROOT}/*"
        yield _list(f"ListSource{number}", f"find {where}", location, aws)
        yield Statement(
            sid=f"ReadSource{number}",
            why=f"read {where}, of the folders {', '.join(settings.folders)} only",
            actions=("s3:GetObject",),
            resources=tuple(
                _objects(location, aws, f"{below}/{folder}/*") for folder in settings.folders
            ),
            conditions=_of_account(location),
        )
        if location.kms_keys:
            yield Statement(
                sid=f"DecryptSource{number}",
                why=f"decrypt {where}",
                actions=("kms:Decrypt",),
                resources=location.kms_keys,
                conditions=_via("s3", location.region or aws.region, aws),
            )


def dataset_statements(location: OutputLocation, aws: Aws) -> Iterator[Statement]:
    """The permissions to read and replace parts."""
    return _output("Dataset", location, "the dataset", aws)


def state_statements(location: OutputLocation, aws: Aws) -> Iterator[Statement]:
    """The permissions to read and replace receipts and leases."""
    return _output("State", location, "receipts and leases", aws)


def _output(name: str, location: OutputLocation, what: str, aws: Aws) -> Iterator[Statement]:
    where = f"{what} in {location.uri()}"
    yield _list(f"List{name}", f"find {where}", location, aws)
    yield Statement(
        sid=f"Replace{name}",
        why=f"read, write and remove {where}",
        # Replacing or removing on a condition (If-Match) needs the permission to read, too.
        actions=("s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        resources=(_objects(location, aws),),
        conditions=_of_account(location),
    )
    if location.kms_key:
        yield Statement(
            sid=f"UseKeyOf{name}",
            why=f"encrypt and decrypt {where}",
            actions=("kms:Decrypt", "kms:GenerateDataKey"),
            resources=(location.kms_key,),
            conditions=_via("s3", location.region or aws.region, aws),
        )


def tls_only(action: str, *resources: str) -> Statement:
    """A denial of requests without TLS, for the policy of a resource."""
    return Statement(
        sid="TlsOnly",
        why="no requests but encrypted ones",
        actions=(action,),
        resources=resources,
        conditions=(Condition("Bool", "aws:SecureTransport", ("false",)),),
        service="*",
        effect="Deny",
    )


def key_statement(key: str, service: str, why: str, aws: Aws) -> Statement:
    """The permission to use a key through one service."""
    return Statement(
        sid=f"UseKeyBy{service.capitalize()}",
        why=why,
        actions=("kms:Decrypt", "kms:GenerateDataKey") if service == "sqs" else ("kms:Decrypt",),
        resources=(key,),
        conditions=_via(service, aws.region, aws),
    )


def bucket_arn(location: BucketLocation, aws: Aws) -> str:
    """The ARN of a location's bucket."""
    return f"arn:{aws.partition}:s3:::{location.bucket}"


def _objects(location: BucketLocation, aws: Aws, below: str = "*") -> str:
    folder = f"{location.prefix}/" if location.prefix else ""
    return f"{bucket_arn(location, aws)}/{folder}{below}"


def _list(sid: str, why: str, location: BucketLocation, aws: Aws) -> Statement:
    folder = Condition("StringLike", "s3:prefix", (f"{location.prefix}/*",))
    return Statement(
        sid=sid,
        why=why,
        actions=("s3:ListBucket",),
        resources=(bucket_arn(location, aws),),
        conditions=((folder,) if location.prefix else ()) + _of_account(location),
    )


def _of_account(location: BucketLocation) -> tuple[Condition, ...]:
    """Excludes a bucket of the same name that belongs to another account."""
    return (
        (Condition("StringEquals", "aws:ResourceAccount", (location.account,)),)
        if location.account
        else ()
    )


def _via(service: str, region: str, aws: Aws) -> tuple[Condition, ...]:
    names = (f"{service}.{region}.{aws.dns_suffix}",)
    return (Condition("StringEquals", "kms:ViaService", names),)
