"""What the converter and its infrastructure agree on, each fact once.

The infrastructure reads this module and the settings; it imports neither Arrow nor a client of any
store.
"""

import json
from enum import StrEnum
from typing import Literal

HANDLER = "cloudtrail_parquet.handler.handler"
"""The entry point of the function, as Lambda names it."""

LOGS_ROOT = "AWSLogs"
"""The folder that CloudTrail delivers into. Source: CloudTrail User Guide, "Log file names"."""

PREFIX = "CLOUDTRAIL_PARQUET_"
"""Begins the names of environment variables; each setting has one, in capitals."""


def setting_variable(setting: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{setting.upper()}"


class Variable(StrEnum):
    """The environment variables that are not settings.

    Attributes:
        SETTINGS: A settings file.
        SOURCE: Where log files are: URIs, with spaces between them.
        DATASET: Where the parts are: a URI.
        STATE: Where receipts and leases are: a URI.
        DISPATCH: Where planned batches go: ``events``, ``queue`` or ``inline``.
        EVENT_BUS: Name or ARN of the EventBridge bus for ``events``.
        QUEUE_URL: The SQS queue for ``queue``, and for batches of a message that came from it.
        SERVICE: The dimension of all metrics, which tells deployments apart (Powertools' name).
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
"""``source`` of our own events on an EventBridge bus."""

DETAIL_TYPE = "cloudtrail-parquet convert"
"""``detail-type`` of these."""


def daily_event(days_back: int = 1) -> str:
    """The JSON text of a scheduled event, as `function.events.DailyEvent` reads it."""
    return json.dumps({"kind": "daily", "days_back": days_back}, separators=(",", ":"))


MEMORY_MB = 1769
"""One whole vCPU. Source: Lambda Developer Guide, "Configure Lambda function memory"."""

FUNCTION_S = 900
"""The longest that a Lambda function may run. Source: Lambda Developer Guide, "Lambda quotas"."""

MAX_UNITS = 1000
"""Units of one event: 75 kB as JSON, where EventBridge and SQS take 1 MB."""

MAX_BUCKET_PART_BYTES = 64 << 20
"""Of a part in a bucket: it is put by one conditional request, whose body is held in memory."""

PartitionLayout = Literal["account/region/year/month/day", "account/region/dt"]
PartitionType = Literal["string", "smallint", "tinyint", "date"]

DEFAULT_LAYOUT: PartitionLayout = "account/region/year/month/day"

PARTITION_COLUMNS: dict[PartitionLayout, dict[str, PartitionType]] = {
    "account/region/year/month/day": {
        "account": "string",
        "region": "string",
        "year": "smallint",
        "month": "tinyint",
        "day": "tinyint",
    },
    "account/region/dt": {"account": "string", "region": "string", "dt": "date"},
}
"""Hive's partition columns by layout, in folder order, with their types in Hive's words. Account
ids are text, which keeps their leading zeros."""

METRIC_NAMESPACE = "CloudTrailParquet"
"""Of the metrics in CloudWatch."""

METRIC_DIMENSION = "service"
"""Their only dimension, whose name Powertools gives."""

DEFAULT_SERVICE = "cloudtrail-parquet"
"""Its value, unless `Variable.SERVICE` is set."""


class MetricName(StrEnum):
    """The metrics that a function writes; docs/events.md says what each counts."""

    UNITS_CONVERTED = "UnitsConverted"
    UNITS_PARTIAL = "UnitsPartial"
    UNITS_SETTLED = "UnitsSettled"
    UNITS_FAILED = "UnitsFailed"
    UNITS_HANDED_BACK = "UnitsHandedBack"
    UNITS_PLANNED = "UnitsPlanned"
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
    ACCOUNTS_REFUSED = "AccountsRefused"
    OLDEST_UNSETTLED_DAYS = "OldestUnsettledDays"
