"""The IAM roles of a generated account, and how their sessions come to be."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from cloudtrail_parquet.sample_logs.draws import hex_text, id_text, pick
from cloudtrail_parquet.sample_logs.fleet import JOBS, TEAMS, Fleet
from cloudtrail_parquet.sample_logs.resources import Instance

AGENTS = (
    "aws-cli/2.22.7 md/awscrt#0.23.4 ua/2.0 os/linux#6.8.0 md/arch#x86_64",
    "Boto3/1.35.80 md/Botocore#1.35.80 ua/2.0 os/linux lang/python#3.13.1",
    "aws-sdk-java/2.29.33 Linux/6.1.115 OpenJDK_64-Bit_Server_VM/21.0.5",
    "aws-sdk-go-v2/1.32.6 ua/2.1 os/linux lang/go#1.23.4",
    "aws-sdk-js/3.712.0 ua/2.1 os/linux lang/js md/nodejs#22.12.0",
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.2",
    "amazon-ssm-agent/3.3.1345.0",
    "ecs.amazonaws.com",
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"

_ROLE_KINDS = (
    *("task", "instance", "lambda", "person", "task"),
    *("instance", "task", "pod", "instance", "task"),
) * 3
_HOSTS = {
    "task": "ecs-tasks.amazonaws.com",
    "instance": "ec2.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
}
# Roles in which services act: their hosts, and how they name their sessions.
_SERVICE_ROLES = (
    ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com", "AutoScaling"),
    ("AWSServiceRoleForConfig", "config.amazonaws.com", "AWSConfig-Describe"),
    ("s3-replication", "s3.amazonaws.com", "s3-replication"),
)


class Role(NamedTuple):
    """An IAM role.

    Attributes:
        unique_id: ``AROA`` and seventeen more characters.
        kind: How its sessions come to be: ``task``, ``lambda``, ``instance``, ``person``, ``pod``;
            ``service`` and ``partner`` for those of services and other accounts.
        agent: ``userAgent`` of its sessions.
        path: Part of its ARN, before the name.
        host: The service that hands out its sessions, if one does.
        session: Name of its sessions, if all have the same.
        endpoint: The VPC endpoint through which its sessions call, if any.
        instances: The instances that have it.
    """

    name: str
    unique_id: str
    kind: str
    agent: str = ""
    path: str = ""
    host: str | None = None
    session: str | None = None
    endpoint: str | None = None
    instances: Sequence[Instance] = ()


def draw_roles(rng: Random, fleet: Fleet) -> list[Role]:
    """The roles of people and programs; instances are dealt out among the roles that have some."""
    profiles = sum(kind == "instance" for kind in _ROLE_KINDS)
    shares = iter([fleet.instances[number::profiles] for number in range(profiles)])
    return [
        _draw_role(rng, fleet, number, kind, next(shares) if kind == "instance" else ())
        for number, kind in enumerate(_ROLE_KINDS)
    ]


def _draw_role(
    rng: Random, fleet: Fleet, number: int, kind: str, instances: Sequence[Instance]
) -> Role:
    name, session = f"{TEAMS[number % len(TEAMS)]}-{JOBS[number // len(TEAMS)]}", None
    if kind == "person":
        name = f"AWSReservedSSO_{pick(rng, ('Reader', 'Operator', 'Admin'))}_{hex_text(rng, 16)}"
    if kind == "lambda":
        session = fleet.functions[number % len(fleet.functions)].name
        name = f"{session}-role"
    return Role(
        name=name,
        unique_id=_unique_id(rng),
        kind=kind,
        agent=BROWSER if kind == "person" else pick(rng, AGENTS),
        host=_HOSTS.get(kind),
        session=session,
        endpoint=f"vpce-0{hex_text(rng, 16)}" if kind == "task" and number % 2 == 0 else None,
        instances=instances,
    )


def draw_service_roles(rng: Random) -> list[Role]:
    """Roles in which only services act."""
    return [
        Role(
            name=name,
            unique_id=_unique_id(rng),
            kind="service",
            path=f"aws-service-role/{host}/" if name.startswith("AWSServiceRole") else "",
            host=host,
            session=session,
        )
        for name, host, session in _SERVICE_ROLES
    ]


def draw_partner_roles(rng: Random) -> list[Role]:
    """Roles for other accounts."""
    return [
        Role(name=f"partner-{name}", unique_id=_unique_id(rng), kind="partner", session=name)
        for name in ("audit", "billing", "support")
    ]


def service_account(role: Role) -> str:
    """The Kubernetes service account that has a role."""
    return f"system:serviceaccount:apps:{role.name}"


def _unique_id(rng: Random) -> str:
    return f"AROA{id_text(rng, 17)}"
