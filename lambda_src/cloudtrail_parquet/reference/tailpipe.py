"""The dataset as the table `aws_cloudtrail_log` of Tailpipe, for questions written for that.

Source: turbot/tailpipe-plugin-aws, the row struct and the enrichment of that table, and
turbot/tailpipe-plugin-sdk, the common columns and what DuckDB's types become of a struct.
"""

import re

import pyarrow as pa

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.schema.columns import SCHEMA, kind, members

TAILPIPE_TABLE = "aws_cloudtrail_log"

_COLUMNS = (
    "additionalEventData",
    "apiVersion",
    "awsRegion",
    "edgeDeviceDetails",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "managementEvent",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters",
    "resources",
    "responseElements",
    "serviceEventDetails",
    "sessionCredentialFromConsole",
    "sharedEventID",
    "sourceIPAddress",
    "tlsDetails",
    "userAgent",
    "userIdentity",
    "vpcEndpointId",
)
_IDENTITY = ("accountId", "arn", "principalId", "type", "userName")
_MEMBERS = {
    "tlsDetails": ("cipherSuite", "clientProvidedHostHeader", "tlsVersion"),
    "userIdentity": tuple(
        sorted((*_IDENTITY, "accessKeyId", "identityProvider", "invokedBy", "sessionContext"))
    ),
    "sessionContext": ("attributes", "ec2RoleDelivery", "sessionIssuer", "webIdFederationData"),
    "attributes": ("creationDate", "mfaAuthenticated"),
    "sessionIssuer": _IDENTITY,
    "webIdFederationData": ("attributes", "federatedProvider"),
}
"""The members that a struct has there, by its name, in their order."""

_ALWAYS_THERE = "userIdentity"
"""The struct that is never null there; its members are."""

_RESOURCES = """\
to_json(list_transform(nullif(resources, []), lambda one: json_merge_patch('{}', json_object(
    'accountId', one.accountId, 'ARN', one.ARN, 'type', one.type))))"""

_AKAS = """\
nullif(flatten(list_transform(coalesce(resources, []), lambda one: list_filter(
    [one.ARN, nullif(split_part(one.ARN, ':', 5), ''), CASE split_part(one.ARN, ':', 3)
      WHEN 's3' THEN split_part(one.ARN, ':', 6)
      WHEN 'ec2' THEN nullif(
        regexp_extract(split_part(one.ARN, ':', 6), '^(instance|volume)/(.*)$', 2), '') END],
    lambda aka: aka IS NOT NULL AND len(string_split(one.ARN, ':')) >= 6))), [])"""

_USERNAMES = """\
nullif(list_filter(
    [CASE WHEN userIdentity.accessKeyId LIKE 'AKIA%' THEN userIdentity.accessKeyId END,
     userIdentity.userName], lambda name: name IS NOT NULL), [])"""

_COMMON = {
    "tp_id": "concat_ws('/', account, region, eventID)",
    "tp_source_type": "'cloudtrail_parquet'",
    "tp_ingest_timestamp": "NULL::TIMESTAMP",
    "tp_timestamp": "eventTime AT TIME ZONE 'UTC'",
    "tp_table": f"'{TAILPIPE_TABLE}'",
    "tp_partition": "'cloudtrail'",
    "tp_index": "recipientAccountId",
    "tp_date": "",
    "tp_source_ip": "sourceIPAddress",
    "tp_destination_ip": "NULL::VARCHAR",
    "tp_source_name": "NULL::VARCHAR",
    "tp_source_location": "NULL::VARCHAR",
    "tp_akas": _AKAS,
    "tp_ips": "nullif(list_filter([sourceIPAddress], lambda ip: ip IS NOT NULL), [])",
    "tp_tags": "NULL::VARCHAR[]",
    "tp_domains": "NULL::VARCHAR[]",
    "tp_emails": "NULL::VARCHAR[]",
    "tp_usernames": _USERNAMES,
}
"""The columns that all tables have there, and what makes them here."""

_DATE = "TRY_CAST(year || '-' || month || '-' || day AS DATE)"
"""The day of the folders. DuckDB leaves out the files of other days for a filter on what cannot
fail, which a cast may and ``make_date`` does."""


def tailpipe_view(layout: PartitionLayout = DEFAULT_LAYOUT, source: str = "cloudtrail") -> str:
    """DuckDB's statement for a view of Tailpipe's name, columns and types; ends with a line feed.

    Args:
        layout: The folders of the dataset.
        source: A view of the dataset's columns and partition columns, which may hold free-form
            columns as text, JSON or VARIANT.
    """
    columns = {name: _column(SCHEMA.field(name)) for name in _COLUMNS}
    date = "dt" if "dt" in PARTITION_COLUMNS[layout] else _DATE
    common = _COMMON | {"tp_date": date}
    expressions = {_snake(name): column for name, column in columns.items()} | common
    lines = ",\n".join(f"  {column} AS {name}" for name, column in expressions.items())
    return f"CREATE VIEW {TAILPIPE_TABLE} AS\nSELECT\n{lines}\nFROM {source};\n"


def _column(field: pa.Field) -> str:
    return _RESOURCES if field.name == "resources" else _value(field.name, field, "  ")


def _value(path: str, field: pa.Field, indent: str) -> str:
    """What a field of the dataset is there; ``indent`` is that of the line it begins on."""
    dtype = field.type
    if pa.types.is_struct(dtype):
        return _struct(path, dtype, indent)
    if pa.types.is_map(dtype):
        return f"to_json({path})"
    if pa.types.is_timestamp(dtype):
        return f"epoch_ms({path})" if "." in path else f"{path} AT TIME ZONE 'UTC'"
    if kind(field) == "json":
        return f"{path}::JSON"
    return f"{path}::VARCHAR" if kind(field) == "text-boolean" else path


def _struct(path: str, dtype: pa.StructType, indent: str) -> str:
    fields = {field.name: field for field in members(dtype)}
    below = indent + "  "
    values = ",\n".join(
        f"{below}'{_snake(name)}': {_value(f'{path}.{name}', fields[name], below)}"
        for name in _MEMBERS[path.rpartition(".")[2]]
    )
    struct = f"{{\n{values}}}"
    if path == _ALWAYS_THERE:
        return struct
    return f"CASE WHEN {path} IS NOT NULL THEN {struct} END"


def _snake(name: str) -> str:
    """A name as Tailpipe spells it: ``sourceIPAddress`` is ``source_ip_address``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
