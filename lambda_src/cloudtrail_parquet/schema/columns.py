"""The one Arrow schema of the dataset; everything else that names a column is made from it.

Field metadata says what Arrow types alone cannot:

* ``kind``: ``json`` is AWS's own JSON text, byte for byte unless strict readers refuse it (then
  ``unmapped`` keeps the exact text); ``text-boolean`` is a boolean that CloudTrail writes as the
  string ``"true"`` or ``"false"``; ``account`` is a text of 12 digits; ``integer`` has 64 bits.
* ``since``: the eventVersion that brought the field; ``+`` if it came without a new version.
* ``alias``: another spelling that is accepted for the same field.
* ``about``: one line for the column page.

Source of names, types and versions: CloudTrail User Guide, "CloudTrail record contents" and
"CloudTrail userIdentity element", record version 1.11; Agent Toolkit for AWS User Guide, "Logging
AWS MCP Server API calls using AWS CloudTrail" (``delegatedViaAWS``, ``mcpEventDetails``).
"""

from collections.abc import Iterator
from typing import Literal

import pyarrow as pa

from cloudtrail_parquet.contract import (
    DEFAULT_LAYOUT,
    PARTITION_COLUMNS,
    PLACE_COLUMNS,
    PartitionType,
)

SCHEMA_VERSION = 3  # grows when a row could come out differently
RECORD_VERSION = "1.11"  # the newest eventVersion the columns cover
METADATA_PREFIX = "cloudtrail_parquet."  # of our keys in the footers of parts

UNMAPPED = "unmapped"
"""The column of what has no column of its own, or of what that column cannot hold."""

Kind = Literal["text", "account", "json", "boolean", "text-boolean", "integer", "timestamp"]
JsonEncoding = Literal["string", "json", "variant"]

TIMESTAMP = pa.timestamp("us", tz="UTC")
_TYPES = {
    "boolean": pa.bool_(),
    "text-boolean": pa.bool_(),
    "integer": pa.int64(),
    "timestamp": TIMESTAMP,
}


def _field(  # noqa: PLR0913 - a column of the table below for each
    name: str,
    since: str,
    about: str = "",
    *,
    kind: Kind = "text",
    dtype: pa.DataType | None = None,
    alias: str = "",
) -> pa.Field:
    metadata = {"kind": kind, "since": since, "about": about, "alias": alias}
    return pa.field(name, dtype or _TYPES.get(kind, pa.string()), metadata=metadata)


_SESSION_ISSUER = pa.struct(
    [
        _field("type", "1.0"),
        _field("userName", "1.0"),
        _field("principalId", "1.0"),
        _field("arn", "1.0"),
        _field("accountId", "1.0", kind="account"),
    ]
)

_SESSION_CONTEXT = pa.struct(
    [
        _field(
            "sessionIssuer", "1.0", "who issued the temporary credentials", dtype=_SESSION_ISSUER
        ),
        _field(
            "webIdFederationData",
            "1.0",
            "web identity federation",
            dtype=pa.struct(
                [
                    _field("federatedProvider", "1.0"),
                    _field("attributes", "1.0", dtype=pa.map_(pa.string(), pa.string())),
                ]
            ),
        ),
        _field(
            "attributes",
            "1.0",
            dtype=pa.struct(
                [
                    _field(
                        "creationDate", "1.0", "when the credentials were issued", kind="timestamp"
                    ),
                    _field("mfaAuthenticated", "1.0", kind="text-boolean"),
                ]
            ),
        ),
        _field("sourceIdentity", "+"),
        _field("ec2RoleDelivery", "+", "instance metadata service, 1.0 or 2.0"),
        _field("assumedRoot", "+", kind="boolean"),
        _field("signInSessionArn", "+"),
        _field("ec2IssuedInVpc", "+"),
    ]
)

_USER_IDENTITY = pa.struct(
    [
        _field("type", "1.0", "Root, IAMUser, AssumedRole, AWSService, ..."),
        _field("principalId", "1.0"),
        _field("arn", "1.0"),
        _field("accountId", "1.0", kind="account"),
        _field("accessKeyId", "1.0"),
        _field("userName", "1.0"),
        _field("sessionContext", "1.0", "temporary credentials", dtype=_SESSION_CONTEXT),
        _field("invokedBy", "1.0", "the AWS service that made the call"),
        _field("identityProvider", "+"),
        _field("credentialId", "+", "callers with a bearer token"),
        _field(
            "onBehalfOf",
            "+",
            "IAM Identity Center user",
            dtype=pa.struct([_field("userId", "+"), _field("identityStoreArn", "+")]),
        ),
        _field(
            "inScopeOf",
            "1.11",
            "service environment of the caller",
            dtype=pa.struct(
                [
                    _field("sourceArn", "1.11"),
                    _field("sourceAccount", "1.11", kind="account"),
                    _field("issuerType", "1.11"),
                    _field("credentialsIssuedTo", "1.11"),
                    _field("credentialsIssuedToVersion", "+"),
                ]
            ),
        ),
        _field(
            "invokedByDelegate",
            "+",
            "temporary delegated access",
            dtype=pa.struct([_field("accountId", "+", kind="account")]),
        ),
    ]
)

_RESOURCE = pa.struct(
    [
        _field("ARN", "1.01", alias="arn"),
        _field("ARNPrefix", "1.01", "instead of ARN for list-style calls"),
        _field("accountId", "1.01", kind="account"),
        _field("type", "1.01"),
    ]
)

_TLS_DETAILS = pa.struct(
    [
        _field("tlsVersion", "1.08"),
        _field("cipherSuite", "1.08"),
        _field("clientProvidedHostHeader", "1.08"),
        _field("keyExchange", "+"),
    ]
)

_ADDENDUM = pa.struct(
    [
        _field("reason", "1.08", "DELIVERY_DELAY, UPDATED_DATA or SERVICE_OUTAGE"),
        _field("updatedFields", "1.08"),
        _field("originalRequestID", "1.08", alias="originalUID"),
        _field("originalEventID", "1.08"),
    ]
)

_EVENT_CONTEXT = pa.struct(
    [
        _field("requestContext", "1.11", kind="json"),
        _field("tagContext", "1.11", kind="json"),
    ]
)

_MCP_EVENT_DETAILS = pa.struct(
    [
        _field("sessionId", "+"),
        _field("mcpProtocolVersion", "+", "a date, such as 2024-11-05"),
        _field("serverVersion", "+"),
        _field("mcpServerName", "+", "such as aws-mcp.us-east-1.api.aws"),
        _field("executionTimeMs", "+", "how long the tool took, in ms", kind="integer"),
    ]
)

RECORD = pa.struct(
    [
        _field("eventVersion", "1.0", "record version as delivered"),
        _field("userIdentity", "1.0", "who made the call", dtype=_USER_IDENTITY),
        _field(
            "eventTime",
            "1.0",
            "when the request was completed; of aggregated records when their window began",
            kind="timestamp",
        ),
        _field("eventSource", "1.0", "service, such as ec2.amazonaws.com"),
        _field("eventName", "1.0", "API call, such as RunInstances"),
        _field("awsRegion", "1.0", "region of the service called"),
        _field("sourceIPAddress", "1.0", "address, service host or AWS Internal"),
        _field("userAgent", "1.0", "client program"),
        _field("errorCode", "1.0", "null when the call succeeded"),
        _field("errorMessage", "1.0", "description of the error"),
        _field("requestParameters", "1.0", "what was asked for", kind="json"),
        _field("responseElements", "1.0", "what was answered; null for most reads", kind="json"),
        _field("additionalEventData", "1.0", "neither request nor response", kind="json"),
        _field("requestID", "1.01", "given by the service called"),
        _field("eventID", "1.01", "given by CloudTrail to each record", alias="eventId"),
        _field("readOnly", "1.01", "whether the call only reads", kind="boolean"),
        _field(
            "resources",
            "1.01",
            "what the call touched",
            dtype=pa.list_(pa.field("element", _RESOURCE)),
        ),
        _field("eventType", "1.02", "AwsApiCall, AwsServiceEvent, AwsConsoleSignIn, ..."),
        _field("apiVersion", "1.02", "free text, not always a date"),
        _field("managementEvent", "1.06", "management or data event", kind="boolean"),
        _field(
            "recipientAccountId",
            "1.02",
            "account the record was delivered for",
            kind="account",
            alias="recipientAccountID",
        ),
        _field("serviceEventDetails", "1.05", "of AwsServiceEvent only", kind="json"),
        _field("sharedEventID", "1.03", "same in all records of one action"),
        _field("vpcEndpointId", "1.04", "VPC endpoint of the call"),
        _field("vpcEndpointAccountId", "1.09", "owner of that endpoint", kind="account"),
        _field("eventCategory", "1.07", "Management, Data, NetworkActivity, Insight or Aggregated"),
        _field("addendum", "1.08", "why the record is late or corrected", dtype=_ADDENDUM),
        _field(
            "sessionCredentialFromConsole",
            "1.08",
            "call from a console session",
            kind="text-boolean",
        ),
        _field("edgeDeviceDetails", "1.08", "Snow device of the call", kind="json"),
        _field("tlsDetails", "1.08", "TLS of the call", dtype=_TLS_DETAILS),
        _field("eventContext", "1.11", "never delivered to S3", dtype=_EVENT_CONTEXT),
        _field("insightDetails", "1.07", "Insights records only", kind="json"),
        _field("annotation", "+", "undocumented as a field"),
        _field("delegatedViaAWS", "+", "call through an AWS MCP server"),
        _field("mcpEventDetails", "+", "of an AWS MCP server only", dtype=_MCP_EVENT_DETAILS),
    ]
)
"""What CloudTrail delivers: one struct, its children in column order."""

SCHEMA = pa.schema(
    [
        *RECORD,
        _field(
            UNMAPPED,
            "",
            "JSON object of what has no column, or what its column cannot hold",
            kind="json",
        ),
        _field(
            "derived",
            "",
            "columns that the upgrade filled in",
            dtype=pa.list_(pa.field("element", pa.string())),
        ),
    ]
)
"""The columns of every part, in order."""

_PARTITION_TYPES: dict[PartitionType, pa.DataType] = {
    "string": pa.string(),
    "smallint": pa.int16(),
    "tinyint": pa.int8(),
    "date": pa.date32(),
}
PARTITION_SCHEMAS = {
    layout: pa.schema([pa.field(name, _PARTITION_TYPES[type_]) for name, type_ in columns.items()])
    for layout, columns in PARTITION_COLUMNS.items()
}
"""The hive partition columns of each layout, in folder order."""

PARTITION_SCHEMA = PARTITION_SCHEMAS[DEFAULT_LAYOUT]

PLACE_FIELDS = {
    "account": _field("account", "", "account that the record was delivered for", kind="account"),
    "region": _field("region", "", "region that the record was delivered for"),
}
PLACE_SCHEMAS = {
    layout: pa.schema([PLACE_FIELDS[name] for name in names])
    for layout, names in PLACE_COLUMNS.items()
}
"""The columns that files of a folded layout have after those of `SCHEMA`; none in other layouts."""


def kind(field: pa.Field) -> Kind:
    """What a leaf holds; only fields of this module carry it, all others are plain text."""
    value: Kind = (field.metadata or {}).get(b"kind", b"text").decode()
    return value


def about(field: pa.Field, key: Literal["since", "about", "alias"]) -> str:
    """An entry of a field's metadata; empty if it has none."""
    text: str = (field.metadata or {}).get(key.encode(), b"").decode()
    return text


def members(dtype: pa.DataType) -> list[pa.Field]:
    """The fields of a struct or of the structs in a list; empty for other types."""
    if pa.types.is_list(dtype):
        dtype = dtype.value_type
    return list(dtype) if pa.types.is_struct(dtype) else []


def leaves(schema: pa.Schema = SCHEMA) -> Iterator[tuple[str, pa.Field]]:
    """Yield each Parquet leaf as (its path in the footer, its field), in file order.

    A list's leaf is ``resources.list.element.ARN``, a map's ``….key_value.key``: the names that
    ``pyarrow.parquet`` wants in its per-column options.
    """
    for field in schema:
        yield from _leaves(field.name, field)


def _leaves(path: str, field: pa.Field) -> Iterator[tuple[str, pa.Field]]:
    dtype = field.type
    if pa.types.is_struct(dtype):
        for child in dtype:
            yield from _leaves(f"{path}.{child.name}", child)
    elif pa.types.is_list(dtype):
        yield from _leaves(f"{path}.list.element", dtype.value_field)
    elif pa.types.is_map(dtype):
        yield from _leaves(f"{path}.key_value.key", dtype.key_field)
        yield from _leaves(f"{path}.key_value.value", dtype.item_field)
    else:
        yield path, field


JSON_COLUMNS = tuple(path for path, field in leaves() if kind(field) == "json")
"""The free-form columns, as paths; ``unmapped`` is one of them."""
