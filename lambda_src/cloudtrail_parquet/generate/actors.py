"""Who acts in a generated account and region, and on what.

Principals and resources are drawn once per (account, region) and reused, as in a real account;
ids that AWS draws per call come from the small text functions at the top. Everything depends on
the ``random.Random`` that is passed in and on nothing else.
"""

from base64 import b32encode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

Json = dict[str, object]
Item = TypeVar("Item")

SERVICE_HOSTS = (
    "ec2.amazonaws.com",
    "lambda.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "autoscaling.amazonaws.com",
    "config.amazonaws.com",
    "s3.amazonaws.com",
)
_TEAMS = ("orders", "billing", "search", "ledger", "media", "identity", "telemetry", "catalog")
_JOBS = ("api", "worker", "etl", "sync", "report", "deploy")
_PEOPLE = (
    "ana.silva",
    "b.okafor",
    "chen.wei",
    "dora.novak",
    "e.lindqvist",
    "farid.rahimi",
    "g.rossi",
)
_AGENTS = (
    "aws-cli/2.22.7 md/awscrt#0.23.4 ua/2.0 os/linux#6.8.0 md/arch#x86_64",
    "Boto3/1.35.80 md/Botocore#1.35.80 ua/2.0 os/linux lang/python#3.13.1",
    "aws-sdk-java/2.29.33 Linux/6.1.115 OpenJDK_64-Bit_Server_VM/21.0.5",
    "aws-sdk-go-v2/1.32.6 ua/2.1 os/linux lang/go#1.23.4",
    "aws-sdk-js/3.712.0 ua/2.1 os/linux lang/js md/nodejs#22.12.0",
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.2",
    "amazon-ssm-agent/3.3.1345.0",
    "ecs.amazonaws.com",
)
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
_ROLE_KINDS = (
    *("task", "instance", "lambda", "person", "task"),
    *("instance", "task", "pod", "instance", "task"),
)
_RENEWAL = 0.03  # chance that a call comes from a new session: about 5 % distinct identities
_SESSION_MAX = timedelta(hours=12)


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """One of the items; a good deal faster than ``rng.choice``."""
    return items[int(rng.random() * len(items))]


def chance(rng: Random, share: float) -> bool:
    """True in that share of calls."""
    return rng.random() < share


def hex_text(rng: Random, digits: int) -> str:
    """Lower-case hexadecimal digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid_text(rng: Random) -> str:
    """A version 4 UUID."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def id_text(rng: Random, length: int) -> str:
    """Upper-case letters and digits, as in access key ids and S3 request ids."""
    return b32encode(rng.randbytes((length * 5 + 7) // 8))[:length].decode()


def base64_text(rng: Random, size_bytes: int) -> str:
    """Random bytes in base 64, as in tokens and ``x-amz-id-2``."""
    return b64encode(rng.randbytes(size_bytes)).decode()


def time_text(when: datetime) -> str:
    """A UTC time as CloudTrail writes it: ``2026-01-10T14:05:09Z``."""
    return f"{when.isoformat(timespec='seconds')[:19]}Z"


@dataclass(slots=True, kw_only=True)
class Session:
    """One caller, as the records of its calls show it.

    Attributes:
        identity: ``userIdentity`` up to version 1.10.
        scoped_identity: The same with ``inScopeOf``, which came with 1.11.
        address: ``sourceIPAddress``.
        agent: ``userAgent``.
        console: Its credentials come from the console.
        endpoint: ``vpcEndpointId``, for a caller inside a VPC.
        internal: An AWS service calls on its own or on somebody's behalf, without TLS details.
        since: When it began; a record may not be older.
    """

    identity: Json
    address: str
    agent: str
    scoped_identity: Json | None = None
    console: bool = False
    endpoint: str | None = None
    internal: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role.

    Attributes:
        name: Its name.
        unique_id: ``AROA`` and seventeen more.
        kind: How its sessions come to be: ``task``, ``lambda``, ``instance``, ``person``, ``pod``.
        endpoint: The VPC endpoint through which its sessions call, if they do.
    """

    name: str
    unique_id: str
    kind: str
    endpoint: str | None


def service_session(host: str) -> Session:
    """An AWS service that acts for itself."""
    return Session(
        identity={"type": "AWSService", "invokedBy": host}, address=host, agent=host, internal=True
    )


class Site:
    """The principals and resources of one account in one region.

    Attributes:
        account: Twelve digits, as text.
        region: Region code.
        oidc_provider: Issuer of its Kubernetes cluster.
        buckets: Names of S3 buckets.
        functions: Names of Lambda functions.
        tables: Names of DynamoDB tables.
        keys: Ids of KMS keys.
        repositories: Names of ECR repositories.
        databases: Names of RDS instances.
    """

    def __init__(self, rng: Random, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.oidc_provider = f"oidc.eks.{region}.amazonaws.com/id/{hex_text(rng, 32).upper()}"
        self.buckets = [
            f"{team}-{pick(rng, ('data', 'assets', 'logs'))}-{account[-4:]}" for team in _TEAMS
        ]
        self.functions = [f"{team}-{pick(rng, _JOBS)}" for team in _TEAMS]
        self.tables = [f"{team}-{pick(rng, ('state', 'index', 'items'))}" for team in _TEAMS]
        self.keys = [uuid_text(rng) for _ in range(6)]
        self.repositories = [f"{team}/{pick(rng, _JOBS)}" for team in _TEAMS[:5]]
        self.databases = [f"{team}-db-{hex_text(rng, 4)}" for team in _TEAMS[:4]]
        self._roles = _draw_roles(rng)
        self._role_sessions: list[Session | None] = [None] * len(self._roles)
        self._users = [self._draw_user(rng, name) for name in _PEOPLE]
        self._strangers = [_draw_stranger(rng) for _ in range(6)]
        self._identity_store = f"d-{hex_text(rng, 10)}"
        self._directory_ids = [uuid_text(rng) for _ in _PEOPLE]

    def caller(self, rng: Random, when: datetime) -> Session:
        """Somebody who makes an ordinary API call at that time."""
        draw = rng.random()
        if draw < 0.57:  # noqa: PLR2004 - shares of a typical account: mostly roles
            return self.role_session(rng, when)
        if draw < 0.985:  # noqa: PLR2004
            return self.user(rng)
        if draw < 0.995:  # noqa: PLR2004
            return self.federated(rng, when)
        return self.root(rng, when)

    def role_session(self, rng: Random, when: datetime) -> Session:
        """An ``AssumedRole`` caller; its session is renewed now and then."""
        number = int(rng.random() * len(self._roles))
        session = self._role_sessions[number]
        if session is None or rng.random() < _RENEWAL or not _is_alive(session, when):
            session = self._assume(rng, self._roles[number], when)
            self._role_sessions[number] = session
        return session

    def user(self, rng: Random) -> Session:
        """An ``IAMUser`` caller with a long-lived access key."""
        return pick(rng, self._users)

    def root(self, rng: Random, when: datetime) -> Session:
        """The account's root user, in the console."""
        identity: Json = {
            "type": "Root",
            "principalId": self.account,
            "arn": f"arn:aws:iam::{self.account}:root",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": {"attributes": _attributes(when - timedelta(minutes=4), mfa=True)},
        }
        return Session(
            identity=identity, address=_public_address(rng), agent=_BROWSER, console=True
        )

    def federated(self, rng: Random, when: datetime) -> Session:
        """A ``FederatedUser``: temporary credentials that an IAM user handed out."""
        name = pick(rng, _PEOPLE)
        issuer = pick(rng, self._users).identity
        identity: Json = {
            "type": "FederatedUser",
            "principalId": f"{self.account}:{name}",
            "arn": f"arn:aws:sts::{self.account}:federated-user/{name}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": {
                "sessionIssuer": {
                    key: value for key, value in issuer.items() if key != "accessKeyId"
                },
                "attributes": _attributes(when - timedelta(minutes=9), mfa=False),
            },
        }
        return Session(identity=identity, address=_public_address(rng), agent=pick(rng, _AGENTS))

    def stranger(self, rng: Random) -> Session:
        """A principal of another account (``AWSAccount``)."""
        return pick(rng, self._strangers)

    def pod(self, rng: Random) -> Session:
        """A ``WebIdentityUser``: a Kubernetes service account before it has a role."""
        subject = f"system:serviceaccount:{pick(rng, _TEAMS)}:{pick(rng, _JOBS)}"
        provider = f"arn:aws:iam::{self.account}:oidc-provider/{self.oidc_provider}"
        identity: Json = {
            "type": "WebIdentityUser",
            "principalId": f"{provider}:sts.amazonaws.com:{subject}",
            "userName": subject,
            "identityProvider": provider,
            "sessionContext": {"webIdFederationData": self._federation(subject)},
        }
        return Session(identity=identity, address=_public_address(rng), agent=pick(rng, _AGENTS))

    def workforce_user(self, rng: Random) -> Session:
        """An ``IdentityCenterUser``, who is named only by ``onBehalfOf``."""
        store = f"arn:aws:identitystore::{self.account}:identitystore/{self._identity_store}"
        identity: Json = {
            "type": "IdentityCenterUser",
            "accountId": self.account,
            "onBehalfOf": {
                "userId": pick(rng, self._directory_ids),
                "identityStoreArn": store,
            },
            "credentialId": uuid_text(rng),
        }
        return Session(identity=identity, address=_public_address(rng), agent=_BROWSER)

    def behalf_session(self, rng: Random, when: datetime, host: str) -> Session:
        """A role for which a service calls: ``invokedBy``, the service's host as the address."""
        session = self.role_session(rng, when)
        return Session(
            identity={**session.identity, "invokedBy": host},
            address=host,
            agent=host,
            internal=True,
        )

    def _draw_user(self, rng: Random, name: str) -> Session:
        identity: Json = {
            "type": "IAMUser",
            "principalId": f"AIDA{id_text(rng, 17)}",
            "arn": f"arn:aws:iam::{self.account}:user/{name}",
            "accountId": self.account,
            "accessKeyId": f"AKIA{id_text(rng, 16)}",
            "userName": name,
        }
        return Session(identity=identity, address=_public_address(rng), agent=pick(rng, _AGENTS))

    def _assume(self, rng: Random, role: Role, when: datetime) -> Session:
        since = when - timedelta(seconds=rng.randrange(600, 3600))
        name = _session_name(rng, role)
        context: Json = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role.unique_id,
                "arn": f"arn:aws:iam::{self.account}:role/{role.name}",
                "accountId": self.account,
                "userName": role.name,
            }
        }
        if role.kind == "pod":
            context["webIdFederationData"] = self._federation(
                f"system:serviceaccount:apps:{role.name}"
            )
        context["attributes"] = _attributes(since, mfa=role.kind == "person")
        if role.kind == "instance":
            context["ec2RoleDelivery"] = "2.0"
        identity: Json = {
            "type": "AssumedRole",
            "principalId": f"{role.unique_id}:{name}",
            "arn": f"arn:aws:sts::{self.account}:assumed-role/{role.name}/{name}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": context,
        }
        person = role.kind == "person"
        return Session(
            identity=identity,
            scoped_identity=self._in_scope(identity, name) if role.kind == "lambda" else None,
            address=_public_address(rng) if role.endpoint is None else _private_address(rng),
            agent=_BROWSER if person else pick(rng, _AGENTS),
            console=person,
            endpoint=role.endpoint,
            since=since,
        )

    def _in_scope(self, identity: Json, function: str) -> Json:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{function}"
        scope = {
            "sourceArn": arn,
            "sourceAccount": self.account,
            "issuerType": "AWS::Lambda",
            "credentialsIssuedTo": arn,
        }
        return {**identity, "inScopeOf": scope}

    def _federation(self, subject: str) -> Json:
        return {
            "federatedProvider": f"arn:aws:iam::{self.account}:oidc-provider/{self.oidc_provider}",
            "attributes": {
                f"{self.oidc_provider}:aud": "sts.amazonaws.com",
                f"{self.oidc_provider}:sub": subject,
            },
        }


def _draw_stranger(rng: Random) -> Session:
    identity: Json = {
        "type": "AWSAccount",
        "principalId": f"AROA{id_text(rng, 17)}:{pick(rng, _TEAMS)}-{pick(rng, _JOBS)}",
        "accountId": f"{rng.randrange(10**11, 10**12)}",
    }
    return Session(identity=identity, address=_public_address(rng), agent=pick(rng, _AGENTS))


def _draw_roles(rng: Random) -> list[Role]:
    roles = []
    for number in range(30):
        kind = _ROLE_KINDS[number % len(_ROLE_KINDS)]
        name = f"{_TEAMS[number % len(_TEAMS)]}-{_JOBS[number % len(_JOBS)]}"
        if kind == "person":
            name = (
                f"AWSReservedSSO_{pick(rng, ('Reader', 'Operator', 'Admin'))}_{hex_text(rng, 16)}"
            )
        endpoint = f"vpce-{hex_text(rng, 17)}" if kind == "task" and number % 2 == 0 else None
        roles.append(Role(name, f"AROA{id_text(rng, 17)}", kind, endpoint))
    return roles


def _session_name(rng: Random, role: Role) -> str:
    if role.kind == "person":
        return f"{pick(rng, _PEOPLE)}@example.com"
    if role.kind == "instance":
        return f"i-{hex_text(rng, 17)}"
    return role.name if role.kind == "lambda" else f"{pick(rng, _JOBS)}-{hex_text(rng, 8)}"


def _is_alive(session: Session, when: datetime) -> bool:
    return session.since is not None and session.since <= when < session.since + _SESSION_MAX


def _attributes(since: datetime, *, mfa: bool) -> Json:
    return {"creationDate": time_text(since), "mfaAuthenticated": "true" if mfa else "false"}


def _public_address(rng: Random) -> str:
    if chance(rng, 0.05):  # some callers come over IPv6
        return f"2001:db8:{hex_text(rng, 4)}:{hex_text(rng, 4)}::{rng.randrange(1, 0xFFFF):x}"
    block = pick(rng, ("192.0.2", "198.51.100", "203.0.113"))  # RFC 5737: nobody's addresses
    return f"{block}.{rng.randrange(1, 255)}"


def _private_address(rng: Random) -> str:
    return f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
