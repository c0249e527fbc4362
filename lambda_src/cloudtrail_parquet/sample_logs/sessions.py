"""Sessions: callers, as the records of their calls show them."""

from dataclasses import dataclass
from datetime import datetime
from random import Random

from cloudtrail_parquet.sample_logs.draws import (
    Json,
    hex_text,
    id_text,
    pick,
    public_address,
    time_text,
)
from cloudtrail_parquet.sample_logs.fleet import JOBS, TEAMS
from cloudtrail_parquet.sample_logs.roles import (
    AGENTS,
)


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


def service_session(host: str) -> Session:
    """An AWS service that acts for itself."""
    return Session(
        identity={"type": "AWSService", "invokedBy": host}, address=host, agent=host, internal=True
    )


def draw_stranger(rng: Random) -> Session:
    """Draw a caller of another account."""
    identity: Json = {
        "type": "AWSAccount",
        "principalId": f"AROA{id_text(rng, 17)}:{pick(rng, TEAMS)}-{pick(rng, JOBS)}",
        "accountId": f"{rng.randrange(10**11, 10**12)}",
    }
    return Session(identity=identity, address=public_address(rng), agent=pick(rng, AGENTS))


def session_attributes(since: datetime, *, mfa: bool) -> Json:
    """``attributes`` in the ``sessionContext`` of a session that began at a moment."""
    return {"creationDate": time_text(since), "mfaAuthenticated": "true" if mfa else "false"}


def home_address(rng: Random, number: int) -> str:
    """Draw the address of the person with a number."""
    if number % 4 == 1:  # some callers come over IPv6
        return f"2001:db8:{hex_text(rng, 4)}:{hex_text(rng, 4)}::{rng.randrange(1, 0xFFFF):x}"
    return public_address(rng)
