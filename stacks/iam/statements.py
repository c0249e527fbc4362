"""The function's permissions, each with its reason, down to prefixes, keys and queues.

The README of a hand-over explains a role in the words of its statements.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.settings.settings import Settings
from stacks.environment.locations import BucketLocation, OutputLocation, SourceLocation

K = TypeVar("K")


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
    sources: Sequence[SourceLocation], settings: Settings, aws: Aws
) -> Iterator[Statement]:
    """The permissions to read log files, and nothing else in the sources.

    A statement is of all sources that differ in nothing that it says but bucket, key and owner,
    since one for each of 13 sources is more than a role may have. So a bucket may belong to any
    owner of such a source: somebody who might add records to the dataset anyway.
    """
    for number, (prefix, locations) in enumerate(_alike(sources, lambda one: one.prefix), 1):
        yield Statement(
            sid=f"ListSources{number}",
            why=f"find {_logs(locations)}",
            actions=("s3:ListBucket",),
            resources=tuple(dict.fromkeys(bucket_arn(one, aws) for one in locations)),
            conditions=_below(prefix) + _of_accounts(locations),
        )
    for number, (_, locations) in enumerate(_alike(sources, lambda _: ""), 1):
        yield Statement(
            sid=f"ReadSources{number}",
            why=f"read {_logs(locations)}, of the folders {', '.join(settings.folders)} only",
            actions=("s3:GetObject",),
            resources=tuple(
                _objects(one, aws, f"{_above_folders(one)}/{folder}/*")
                for one in locations
                for folder in settings.folders
            ),
            conditions=_of_accounts(locations),
        )
    encrypted = [one for one in sources if one.kms_keys]
    regions = _grouped(encrypted, lambda one: one.region or aws.region)
    for number, (region, locations) in enumerate(regions.items(), 1):
        yield Statement(
            sid=f"DecryptSources{number}",
            why=f"decrypt {_logs(locations)}",
            actions=("kms:Decrypt",),
            resources=tuple(dict.fromkeys(key for one in locations for key in one.kms_keys)),
            conditions=_via("s3", region, aws),
        )


def _alike(
    sources: Iterable[SourceLocation], kind: Callable[[SourceLocation], str]
) -> Iterator[tuple[str, list[SourceLocation]]]:
    """Sources of one kind; those whose owners are known apart from others."""
    groups = _grouped(sources, lambda one: (kind(one), one.account is not None))
    yield from ((name, locations) for (name, _), locations in groups.items())


def _grouped(
    sources: Iterable[SourceLocation], kind: Callable[[SourceLocation], K]
) -> dict[K, list[SourceLocation]]:
    groups: dict[K, list[SourceLocation]] = {}
    for one in sources:
        groups.setdefault(kind(one), []).append(one)
    return groups


def _logs(locations: Iterable[SourceLocation]) -> str:
    return f"the logs in {', '.join(one.uri() for one in locations)}"


def _above_folders(location: SourceLocation) -> str:
    """What lies between a source and the folders of its logs, as a pattern."""
    return "*" if location.prefix.rpartition("/")[2] == LOGS_ROOT else f"*{LOGS_ROOT}/*"


def dataset_statements(location: OutputLocation, aws: Aws) -> Iterator[Statement]:
    """The permissions to read and replace parts."""
    return _output("Dataset", location, "the dataset", aws)


def state_statements(location: OutputLocation, aws: Aws) -> Iterator[Statement]:
    """The permissions to read and replace receipts and leases."""
    return _output("State", location, "receipts and leases", aws)


def _output(name: str, location: OutputLocation, what: str, aws: Aws) -> Iterator[Statement]:
    where = f"{what} in {location.uri()}"
    yield Statement(
        sid=f"List{name}",
        why=f"find {where}",
        actions=("s3:ListBucket",),
        resources=(bucket_arn(location, aws),),
        conditions=_below(location.prefix) + _of_accounts([location]),
    )
    yield Statement(
        sid=f"Replace{name}",
        why=f"read, write and remove {where}",
        # Replacing or removing on a condition (If-Match) needs the permission to read, too.
        actions=("s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        resources=(_objects(location, aws),),
        conditions=_of_accounts([location]),
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


def _below(prefix: str) -> tuple[Condition, ...]:
    return (Condition("StringLike", "s3:prefix", (f"{prefix}/*",)),) if prefix else ()


def _of_accounts(locations: Iterable[BucketLocation]) -> tuple[Condition, ...]:
    """Excludes a bucket of the same name that belongs to another account."""
    accounts = tuple(dict.fromkeys(one.account for one in locations if one.account))
    return (Condition("StringEquals", "aws:ResourceAccount", accounts),) if accounts else ()


def _via(service: str, region: str, aws: Aws) -> tuple[Condition, ...]:
    names = (f"{service}.{region}.{aws.dns_suffix}",)
    return (Condition("StringEquals", "kms:ViaService", names),)
