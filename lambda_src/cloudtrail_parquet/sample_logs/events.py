"""Generated CloudTrail records at every record version.

A shape (``shapes_*``) says what is particular to one API; ``make_record`` adds what all
records share, in AWS's order, and leaves out what a version did not have yet.
"""

from bisect import bisect
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from random import Random

import msgspec

from cloudtrail_parquet.sample_logs import shapes_access, shapes_machines, shapes_work
from cloudtrail_parquet.sample_logs.actors import Site
from cloudtrail_parquet.sample_logs.calls import Call, Event, Shape
from cloudtrail_parquet.sample_logs.draws import Json, chance, id_text, time_text, uuid_text

VERSIONS = (
    *("1.0", "1.01", "1.02", "1.03", "1.04", "1.05"),
    *("1.06", "1.07", "1.08", "1.09", "1.10", "1.11"),
)
GLOBAL_REGION = "us-east-1"  # where IAM and console sign-in record, since November 2021

# The first version (its index in VERSIONS) of each field that 1.0 did not have.
# Source: CloudTrail user guide, "CloudTrail record contents".
FIELD_SINCE = {
    "requestID": 1,
    "eventID": 1,
    "readOnly": 1,
    "resources": 1,
    "eventType": 2,
    "apiVersion": 2,
    "recipientAccountId": 2,
    "sharedEventID": 3,
    "vpcEndpointId": 4,
    "serviceEventDetails": 5,
    "managementEvent": 6,
    "eventCategory": 7,
    "addendum": 8,
    "sessionCredentialFromConsole": 8,
    "tlsDetails": 8,
    "vpcEndpointAccountId": 9,
}
_TOO_NEW = [
    [name for name, since in FIELD_SINCE.items() if since > i] for i in range(len(VERSIONS))
]
_ENTRIES = (*shapes_access.ENTRIES, *shapes_machines.ENTRIES, *shapes_work.ENTRIES)
_INDEX = {version: index for index, version in enumerate(VERSIONS)}
_IN_SCOPE_OF = 11
_ENCODE = msgspec.json.Encoder().encode


def make_record(  # noqa: PLR0913 - these are a record's plain facts
    rng: Random,
    account: str,
    region: str,
    when: datetime,
    version: str,
    *,
    site: Site | None = None,
) -> Json:
    """Draw one record.

    Args:
        rng: Source of everything drawn.
        account: Twelve digits, as text.
        region: Region code.
        when: Event time, UTC.
        version: One of ``VERSIONS``; only fields of that version occur.
        site: Principals and resources to draw from; a new one when not given.

    Returns:
        The record in AWS's field order. Numbers whose text matters are ``msgspec.Raw``;
        ``encode_record`` turns the record into JSON.
    """
    index = _INDEX[version]
    call = Call(rng=rng, site=site or Site(rng, account, region), when=when, version=index)
    shapes, weights = _menu(index, global_region=region == GLOBAL_REGION)
    event = shapes[bisect(weights, rng.random() * weights[-1])](call)
    record = _common_fields(call, event)
    if index == 0:
        _make_unique(rng, record)
    for name in _TOO_NEW[index]:
        record.pop(name, None)
    return record


def encode_record(record: Json) -> bytes:
    r"""A record as AWS writes it: compact UTF-8 JSON with ``<``, ``>`` and ``&`` as ``\u003c``."""
    text = _ENCODE(record)
    for raw, escaped in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        if raw in text:  # it can occur only inside a string
            text = text.replace(raw, escaped)
    return text


def _common_fields(call: Call, event: Event) -> Json:
    by = event.by
    scoped = call.version >= _IN_SCOPE_OF and by.scoped_identity is not None
    record: Json = {
        "eventVersion": VERSIONS[call.version],
        "userIdentity": by.scoped_identity if scoped else by.identity,
        "eventTime": time_text(call.when),
        "eventSource": f"{event.service}.amazonaws.com",
        "eventName": event.name,
        "awsRegion": call.site.region,
        "sourceIPAddress": by.address,
        "userAgent": f"[{by.agent}]" if event.service == "s3" else by.agent,
    }
    if event.error is not None:
        code, message = event.error
        if code is not None:
            record["errorCode"] = code
        record["errorMessage"] = message
    record["requestParameters"] = event.request
    record["responseElements"] = event.response
    if event.extra is not None:
        record["additionalEventData"] = event.extra
    _add_ids(record, call, event)
    _add_connection(record, call, event)
    return record


def _add_ids(record: Json, call: Call, event: Event) -> None:
    rng = call.rng
    service_event = event.event_type == "AwsServiceEvent"
    if not service_event:
        record["requestID"] = id_text(rng, 16) if event.service == "s3" else uuid_text(rng)
    record["eventID"] = uuid_text(rng)
    record["readOnly"] = event.read_only
    if event.resources is not None:
        record["resources"] = event.resources
    record["eventType"] = event.event_type
    if event.api_version is not None:
        record["apiVersion"] = event.api_version
    record["managementEvent"] = not event.data
    record["recipientAccountId"] = call.site.account
    if event.shared:
        record["sharedEventID"] = uuid_text(rng)
    if service_event:
        record["serviceEventDetails"] = event.details


def _add_connection(record: Json, call: Call, event: Event) -> None:
    by = event.by
    if by.endpoint is not None and event.event_type == "AwsApiCall":
        record["vpcEndpointId"] = by.endpoint
        record["vpcEndpointAccountId"] = call.site.account
    record["eventCategory"] = "Data" if event.data else "Management"
    if by.internal or event.event_type == "AwsServiceEvent" or chance(call.rng, 0.08):
        return
    if by.console:  # the only value it ever has is this text
        record["sessionCredentialFromConsole"] = "true"
    old = chance(call.rng, 0.15)  # clients that still speak TLS 1.2
    tls: Json = {
        "tlsVersion": "TLSv1.2" if old else "TLSv1.3",
        "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256" if old else "TLS_AES_128_GCM_SHA256",
        "clientProvidedHostHeader": f"{event.service}.{call.site.region}.amazonaws.com",
    }
    if call.version >= _IN_SCOPE_OF and not old:
        tls["keyExchange"] = "X25519MLKEM768" if chance(call.rng, 0.5) else "x25519"
    record["tlsDetails"] = tls


def _make_unique(rng: Random, record: Json) -> None:
    """Version 1.0 has no ids: a client token keeps any two records apart."""
    request = record["requestParameters"]
    token = {"clientToken": uuid_text(rng)}
    record["requestParameters"] = {**request, **token} if isinstance(request, dict) else token


@lru_cache
def _menu(version: int, *, global_region: bool) -> tuple[list[Shape], list[int]]:
    """The shapes a version and region may have, with their cumulative weights."""
    entries = [
        entry
        for entry in _ENTRIES
        if entry.since <= version and (global_region or not entry.global_only)
    ]
    return [entry.shape for entry in entries], list(accumulate(entry.weight for entry in entries))
