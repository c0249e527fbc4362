"""The vocabulary in which shapes of generated events are written.

A shape is a function from a ``Call`` (who could call, where, when) to an ``Event`` (parameters,
resources, errors, the caller); a ``Share`` weighs it. What the account has and what is asked
about comes from ``Call.fleet``, again and again; what a call creates, and ids of the call itself,
are new each time, as in real logs, so that compression ratios mean something.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from cloudtrail_parquet.sample_logs.actors import Site
from cloudtrail_parquet.sample_logs.draws import Json
from cloudtrail_parquet.sample_logs.fleet import Fleet
from cloudtrail_parquet.sample_logs.sessions import Session

# Indexes in VERSIONS.
SIGN_IN_SINCE = 2  # sign-in records began after 1.02
DATA_EVENTS_SINCE = 5  # November 2016, at 1.05, without any flag
SERVICE_EVENTS_SINCE = 5  # serviceEventDetails came with 1.05
MODERN = 8  # services and callers younger than 1.08 do not occur in older records

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True, kw_only=True)
class Call:
    """What a shape knows when it draws one event.

    Attributes:
        rng: Source of everything drawn.
        site: The account and region, with its principals and resources.
        when: Event time, UTC.
        version: Index in ``VERSIONS``.
    """

    rng: Random
    site: Site
    when: datetime
    version: int

    @property
    def fleet(self) -> Fleet:
        """The resources of the account and region."""
        return self.site.fleet

    def caller(self) -> Session:
        """Somebody who may make an ordinary call."""
        return self.site.caller(self.rng, self.when)

    def arn(self, service: str, resource: str) -> str:
        """ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.site.region}:{self.site.account}:{resource}"


@dataclass(slots=True, kw_only=True)
class Event:
    """What is particular to one event.

    Attributes:
        by: The caller.
        service: ``eventSource`` without ``.amazonaws.com``.
        name: ``eventName``.
        request: ``requestParameters``.
        response: ``responseElements``.
        read_only: ``readOnly``.
        data: A data event, else a management event.
        error: ``errorCode`` and ``errorMessage``; a failed sign-in has no code.
        extra: ``additionalEventData``.
        resources: ``resources``.
        event_type: ``eventType``.
        api_version: ``apiVersion``.
        details: ``serviceEventDetails``.
        shared: Carries ``sharedEventID``, as a call that two accounts see does.
    """

    by: Session
    service: str
    name: str
    request: Json | None = None
    response: Json | None = None
    read_only: bool = True
    data: bool = False
    error: tuple[str | None, str] | None = None
    extra: Json | None = None
    resources: list[Json] | None = None
    event_type: str = "AwsApiCall"
    api_version: str | None = None
    details: Json | None = None
    shared: bool = False


Shape = Callable[[Call], Event]


@dataclass(frozen=True, slots=True)
class Share:
    """A shape's share of the volume, and where it may occur.

    Attributes:
        weight: Relative to the weights of the other entries.
        shape: Draws the event.
        since: First version (index in ``VERSIONS``) that has such records.
        global_only: Only in the region where global services record.
    """

    weight: int
    shape: Shape
    since: int = 0
    global_only: bool = False


def simple(call: Call, service: str, name: str, request: Json | None) -> Event:
    """An ordinary call, to which a shape may add."""
    return Event(by=call.caller(), service=service, name=name, request=request)


def denied(call: Call, by: Session, action: str, resource: str) -> str:
    """The message of a call that a policy did not allow."""
    who = by.identity.get("arn", f"arn:aws:iam::{call.site.account}:root")
    return (
        f"User: {who} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def time_words(when: datetime) -> str:
    """A time as STS and IAM answers have it: ``Jan 10, 2026, 2:05:09 PM``, in any locale."""
    half = "AM" if when.hour < 12 else "PM"  # noqa: PLR2004 - noon
    month, hour = _MONTHS[when.month - 1], when.hour % 12 or 12
    return f"{month} {when.day}, {when.year}, {hour}:{when:%M:%S} {half}"
