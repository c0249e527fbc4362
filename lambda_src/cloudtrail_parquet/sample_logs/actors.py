"""Who acts in a generated account and region.

Principals are drawn once per (account, region) and reused, as in a real account. In real records
sessions repeat too: files of twenty to a hundred of them have one to four callers, and all calls of
a caller come from one or two addresses with one or two user agents. So a role has its tool, people
have their addresses, what runs in a subnet calls through its gateway, and the session of an
instance, which is named after it, lasts for hours.
"""

from datetime import datetime, timedelta
from random import Random

from cloudtrail_parquet.sample_logs.draws import (
    Json,
    chance,
    favour,
    hex_text,
    id_text,
    pick,
    public_address,
    uuid_text,
)
from cloudtrail_parquet.sample_logs.fleet import TEAMS, Fleet
from cloudtrail_parquet.sample_logs.resources import Instance, Sealed
from cloudtrail_parquet.sample_logs.roles import (
    AGENTS,
    BROWSER,
    Role,
    draw_partner_roles,
    draw_roles,
    draw_service_roles,
    service_account,
)
from cloudtrail_parquet.sample_logs.sessions import (
    Session,
    draw_stranger,
    home_address,
    session_attributes,
)

_PEOPLE = (
    "ana.silva",
    "b.okafor",
    "chen.wei",
    "dora.novak",
    "e.lindqvist",
    "farid.rahimi",
    "g.rossi",
)
_SSM_AGENT = "aws-sdk-go/1.55.5 (go1.22.7; linux; amd64) amazon-ssm-agent/3.3.1345.0"
_RENEWAL = 0.03  # chance that a call comes from a new session: about 4 % distinct identities
_BRIEF_RENEWAL = 0.1  # the same for sessions in which somebody does one thing
_SESSION_MAX = timedelta(hours=6)  # as long as the credentials of instances and tasks last


class Site:
    """One account in one region: its principals, and its resources as ``fleet``.

    Attributes:
        account: Twelve digits, as text.
        region: Region code.
        fleet: What the calls are about.
        oidc_provider: Issuer of its Kubernetes cluster.
        roles: Roles in which people and programs act.
        hosted_roles: Those of them, and others, that services assume.
        partner_roles: Roles that principals of other accounts assume.
        service_users: Names of IAM users without a person.
        access_keys: Ids of the access keys of all IAM users.
    """

    def __init__(self, rng: Random, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.fleet = Fleet(rng, account, region)
        self.oidc_provider = f"oidc.eks.{region}.amazonaws.com/id/{hex_text(rng, 32).upper()}"
        self.roles = draw_roles(rng, self.fleet)
        self.hosted_roles = [
            *(role for role in self.roles if role.host is not None),
            *draw_service_roles(rng),
        ]
        self.partner_roles = draw_partner_roles(rng)
        self.service_users = [f"svc-{team}" for team in TEAMS]
        self._homes = {name: home_address(rng, n) for n, name in enumerate(_PEOPLE)}
        self._users = [self._draw_user(rng, name) for name in _PEOPLE]
        self.access_keys = [
            *(str(user.identity["accessKeyId"]) for user in self._users),
            *(f"AKIA{id_text(rng, 16)}" for _ in self.service_users),
        ]
        self._pods = [
            (role, self._draw_pod(rng, role)) for role in self.roles if role.kind == "pod"
        ]
        self._strangers = [draw_stranger(rng) for _ in range(6)]
        self._profiles = {instance.id: role for role in self.roles for instance in role.instances}
        self._sessions: dict[str, Session] = {}
        self._identity_store = f"d-{hex_text(rng, 10)}"
        self._directory_ids = {name: uuid_text(rng) for name in _PEOPLE}

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
        return self._session_of(rng, when, pick(rng, self.roles))

    def _session_of(self, rng: Random, when: datetime, role: Role) -> Session:
        if role.instances:
            return self.instance_session(rng, when, favour(rng, role.instances))
        session = self._resume(rng, when, role.name, _RENEWAL)
        if session is None:
            session = self._keep(role.name, self._assume(rng, role, when))
        return session

    def instance_session(self, rng: Random, when: datetime, instance: Instance) -> Session:
        """The ``AssumedRole`` caller that an instance is."""
        session = self._resume(rng, when, instance.id, 0)
        if session is None:
            role = self._profiles[instance.id]
            session = self._keep(instance.id, self._assume(rng, role, when, instance))
        return session

    def agent_session(self, rng: Random, when: datetime, instance: Instance) -> Session:
        """An instance as the agent of Systems Manager, which uses the session of the instance."""
        session = self.instance_session(rng, when, instance)
        return Session(identity=session.identity, address=session.address, agent=_SSM_AGENT)

    def user(self, rng: Random) -> Session:
        """An ``IAMUser`` caller with a long-lived access key."""
        return pick(rng, self._users)

    def root(self, rng: Random, when: datetime) -> Session:
        """The account's root user, in the console."""
        if session := self._resume(rng, when, "root", _BRIEF_RENEWAL):
            return session
        since = when - timedelta(minutes=4)
        identity: Json = {
            "type": "Root",
            "principalId": self.account,
            "arn": f"arn:aws:iam::{self.account}:root",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": {"attributes": session_attributes(since, mfa=True)},
        }
        home = self._homes[pick(rng, _PEOPLE)]
        return self._keep(
            "root",
            Session(identity=identity, address=home, agent=BROWSER, console=True, since=since),
        )

    def federated(self, rng: Random, when: datetime) -> Session:
        """A ``FederatedUser``: temporary credentials that an IAM user handed out."""
        name = pick(rng, _PEOPLE)
        if session := self._resume(rng, when, f"federated {name}", _BRIEF_RENEWAL):
            return session
        since = when - timedelta(minutes=9)
        issuer = pick(rng, self._users)
        identity: Json = {
            "type": "FederatedUser",
            "principalId": f"{self.account}:{name}",
            "arn": f"arn:aws:sts::{self.account}:federated-user/{name}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": {
                "sessionIssuer": {
                    key: value for key, value in issuer.identity.items() if key != "accessKeyId"
                },
                "attributes": session_attributes(since, mfa=False),
            },
        }
        return self._keep(
            f"federated {name}",
            Session(identity=identity, address=self._homes[name], agent=issuer.agent, since=since),
        )

    def stranger(self, rng: Random) -> Session:
        """A principal of another account (``AWSAccount``)."""
        return pick(rng, self._strangers)

    def pod(self, rng: Random) -> tuple[Role, Session]:
        """A ``WebIdentityUser``: a Kubernetes service account before it assumes its role."""
        return pick(rng, self._pods)

    def workforce_user(self, rng: Random) -> Session:
        """An ``IdentityCenterUser``, who is named only by ``onBehalfOf``."""
        store = f"arn:aws:identitystore::{self.account}:identitystore/{self._identity_store}"
        name = pick(rng, _PEOPLE)
        identity: Json = {
            "type": "IdentityCenterUser",
            "accountId": self.account,
            "onBehalfOf": {
                "userId": self._directory_ids[name],
                "identityStoreArn": store,
            },
            "credentialId": uuid_text(rng),
        }
        return Session(identity=identity, address=self._homes[name], agent=BROWSER)

    def behalf_session(self, rng: Random, when: datetime, sealed: Sealed) -> Session:
        """The role that uses something encrypted, on whose behalf the service that keeps it calls.

        It has ``invokedBy``, and the service's host as its address.
        """
        session = self._session_of(rng, when, self.roles[sealed.reader % len(self.roles)])
        return Session(
            identity={**session.identity, "invokedBy": sealed.host},
            address=sealed.host,
            agent=sealed.host,
            internal=True,
        )

    def session_name(self, rng: Random, role: Role, when: datetime) -> str:
        """The name of a session in a role that begins at that time."""
        if role.instances:
            return favour(rng, role.instances).id
        if role.kind == "person":
            return f"{pick(rng, _PEOPLE)}@example.com"
        if role.kind == "pod":
            return f"botocore-session-{int(when.timestamp())}"
        return role.session or hex_text(rng, 32)  # tasks have an id of their own

    def role_arn(self, role: Role) -> str:
        """ARN of a role."""
        return f"arn:aws:iam::{self.account}:role/{role.path}{role.name}"

    def _resume(self, rng: Random, when: datetime, slot: str, renewal: float) -> Session | None:
        """The session kept under that name, unless it is over."""
        session = self._sessions.get(slot)
        if session is None or session.since is None or chance(rng, renewal):
            return None
        return session if session.since <= when < session.since + _SESSION_MAX else None

    def _keep(self, slot: str, session: Session) -> Session:
        self._sessions[slot] = session
        return session

    def _draw_user(self, rng: Random, name: str) -> Session:
        identity: Json = {
            "type": "IAMUser",
            "principalId": f"AIDA{id_text(rng, 17)}",
            "arn": f"arn:aws:iam::{self.account}:user/{name}",
            "accountId": self.account,
            "accessKeyId": f"AKIA{id_text(rng, 16)}",
            "userName": name,
        }
        return Session(identity=identity, address=self._homes[name], agent=pick(rng, AGENTS))

    def _draw_pod(self, rng: Random, role: Role) -> Session:
        subject = service_account(role)
        provider = f"arn:aws:iam::{self.account}:oidc-provider/{self.oidc_provider}"
        identity: Json = {
            "type": "WebIdentityUser",
            "principalId": f"{provider}:sts.amazonaws.com:{subject}",
            "userName": subject,
            "identityProvider": provider,
            "sessionContext": {"webIdFederationData": self._federation(subject)},
        }
        gateway = pick(rng, self.fleet.subnets).gateway
        return Session(identity=identity, address=gateway, agent=role.agent)

    def _assume(
        self, rng: Random, role: Role, when: datetime, instance: Instance | None = None
    ) -> Session:
        since = when - timedelta(seconds=rng.randrange(600, 3600))
        person = role.kind == "person"
        name = instance.id if instance else self.session_name(rng, role, when)
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
            context["webIdFederationData"] = self._federation(service_account(role))
        context["attributes"] = session_attributes(since, mfa=person)
        if instance:
            context["ec2RoleDelivery"] = "2.0"
        identity: Json = {
            "type": "AssumedRole",
            "principalId": f"{role.unique_id}:{name}",
            "arn": f"arn:aws:sts::{self.account}:assumed-role/{role.name}/{name}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{id_text(rng, 16)}",
            "sessionContext": context,
        }
        return Session(
            identity=identity,
            scoped_identity=self._in_scope(identity, name) if role.kind == "lambda" else None,
            address=self._address(rng, role, instance, name),
            agent=role.agent,
            console=person,
            endpoint=role.endpoint,
            since=since,
        )

    def _address(self, rng: Random, role: Role, instance: Instance | None, name: str) -> str:
        if role.kind == "person":
            return self._homes[name.partition("@")[0]]
        if role.kind == "lambda":
            return public_address(rng)  # outside the VPC: any of the service's own
        subnet = instance.subnet if instance else pick(rng, self.fleet.subnets)
        return subnet.gateway if role.endpoint is None else subnet.address(rng)

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
