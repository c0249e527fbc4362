"""The facts that the converter and its infrastructure share, each written once.

The infrastructure reads this module and the settings; this module imports neither Arrow nor a
client of any store.
"""

import json
from enum import StrEnum
from typing import Literal, get_args

HANDLER = "cloudtrail_parquet.handler.handler"
"""The entry point of the function, as Lambda names it."""

LOGS_ROOT = "AWSLogs"
"""The folder that CloudTrail delivers to. Source: CloudTrail User Guide, "Log file names"."""

PREFIX = "CLOUDTRAIL_PARQUET_"
"""The prefix of environment variables; each setting has one, named in capitals."""


def setting_variable(setting: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{setting.upper()}"


class Variable(StrEnum):
    """The environment variables that are not settings.

    Attributes:
        SETTINGS: The path of a settings file.
        SOURCE: The locations of the log files: URIs, with spaces between them.
        DATASET: The location of the parts: a URI.
        STATE: The location of receipts and leases: a URI.
        DISPATCH: How planned batches are sent on: ``events``, ``queue`` or ``inline``.
        EVENT_BUS: The name or ARN of the EventBridge bus for ``events``.
        QUEUE_URL: The SQS queue for ``queue``, and for batches that a message from it leads to.
        SERVICE: The value of the metrics' dimension, which tells deployments apart; Powertools
            names this variable.
    """

    SETTINGS = f"{PREFIX}SETTINGS"
    SOURCE = f"{PREFIX}SOURCE"
    DATASET = f"{PREFIX}DATASET"
    STATE = f"{PREFIX}STATE"
    DISPATCH = f"{PREFIX}DISPATCH"
    EVENT_BUS = f"{PREFIX}EVENT_BUS"
    QUEUE_URL = f"{PREFIX}QUEUE_URL"
    SERVICE = "POWERTOOLS_SERVICE_NAME"


EVENT_SOURCE = "cloudtrail-parquet"
"""The ``source`` of our own events on an EventBridge bus."""

DETAIL_TYPE = "cloudtrail-parquet convert"
"""The ``detail-type`` of these events."""

BACKFILL_ATTRIBUTE = "backfill"
"""The attribute of a message of SQS that names the backfill that it is part of."""


def daily_event(days_back: int = 1, days: int = 0) -> str:
    """The JSON text of a scheduled event, as `function.events.DailyEvent` reads it."""
    event = {"kind": "daily", "days_back": days_back, **({"days": days} if days else {})}
    return json.dumps(event, separators=(",", ":"))


def expire_event(older_than: str) -> str:
    """The JSON text of a scheduled event, as `function.events.ExpireEvent` reads it."""
    return json.dumps({"kind": "expire", "older_than": older_than}, separators=(",", ":"))


MEMORY_MB = 1769
"""One whole vCPU. Source: Lambda Developer Guide, "Configure Lambda function memory"."""

FUNCTION_S = 900
"""The longest that a Lambda function may run. Source: Lambda Developer Guide, "Lambda quotas"."""

MAX_UNITS = 1000
"""The most units in one event: 75 kB as JSON, where EventBridge and SQS take 1 MB."""

MAX_BUCKET_PART_BYTES = 64 << 20
"""The largest part in a bucket: one conditional request puts it, with its body in memory."""

PartitionLayout = Literal[
    "account/region/year/month/day",
    "account/region/dt",
    "account/year/month/day",
    "account/dt",
    "year/month/day",
    "dt",
]
PartitionType = Literal["string", "smallint", "tinyint", "date"]

DEFAULT_LAYOUT: PartitionLayout = "account/region/year/month/day"

_PARTITION_TYPES: dict[str, PartitionType] = {
    "account": "string",
    "region": "string",
    "year": "smallint",
    "month": "tinyint",
    "day": "tinyint",
    "dt": "date",
}

PARTITION_COLUMNS: dict[PartitionLayout, dict[str, PartitionType]] = {
    layout: {name: _PARTITION_TYPES[name] for name in layout.split("/")}
    for layout in get_args(PartitionLayout)
}
"""Hive's partition columns by layout, in folder order, with their types in Hive's words. Account
ids are text, which keeps their leading zeros."""

PLACE_COLUMNS: dict[PartitionLayout, tuple[str, ...]] = {
    layout: tuple(name for name in ("account", "region") if name not in folders)
    for layout, folders in PARTITION_COLUMNS.items()
}
"""Which of account and region are columns of a layout's files, since no folder has them; a layout
with such columns is folded: its units span all places (pairs of account and region) that differ
in them only."""

METRIC_NAMESPACE = "CloudTrailParquet"
"""The namespace of the metrics in CloudWatch."""

METRIC_DIMENSION = "service"
"""The only dimension of the metrics; Powertools names it."""

DEFAULT_SERVICE = "cloudtrail-parquet"
"""The value of the dimension unless `Variable.SERVICE` is set."""


class MetricName(StrEnum):
    """The metrics that a function writes; docs/events.md says what each counts."""

    UNITS_CONVERTED = "UnitsConverted"
    UNITS_PARTIAL = "UnitsPartial"
    UNITS_SETTLED = "UnitsSettled"
    UNITS_FAILED = "UnitsFailed"
    UNITS_HANDED_BACK = "UnitsHandedBack"
    UNITS_PLANNED = "UnitsPlanned"
    UNITS_REWRITTEN = "UnitsRewritten"
    UNITS_EXPIRED = "UnitsExpired"
    RECORDS_READ = "RecordsRead"
    RECORDS_WRITTEN = "RecordsWritten"
    RECORDS_STRAGGLED = "RecordsStraggled"
    RECORDS_DUPLICATE = "RecordsDuplicate"
    RECORDS_DISCARDED = "RecordsDiscarded"
    RECORDS_QUARANTINED = "RecordsQuarantined"
    FILES_READ = "FilesRead"
    FILES_QUARANTINED = "FilesQuarantined"
    FILES_UNPLACED = "FilesUnplaced"
    BYTES_IN = "BytesIn"
    BYTES_OUT = "BytesOut"
    SECONDS = "Seconds"
    EVENTS_REFUSED = "EventsRefused"
    MESSAGES_FAILED = "MessagesFailed"
    ACCOUNTS_REFUSED = "AccountsRefused"
    OLDEST_UNSETTLED_DAYS = "OldestUnsettledDays"
