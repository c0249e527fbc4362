"""The upgrade to record version 1.11: values that safely fill in what older records leave out.

Nothing else is ever derived; the names of the filled columns go into the column ``derived``.
Source: CloudTrail User Guide and its history, which say when each field and event type began.
"""

from collections.abc import Callable
from typing import Any

from cloudtrail_parquet.records.decode import is_compatible, version_numbers

_BEFORE_EVENT_TYPE = (1, 2)
_FIRST_DATA_EVENTS = "2016-11-21"  # every event before that day is a management event
_CATEGORY_BY_TYPE = {
    "awscloudtrailinsight": "Insight",
    "awsvpceevent": "NetworkActivity",
    "awsvpceevents": "NetworkActivity",
}
_CATEGORY_BY_FLAG = {True: "Management", False: "Data"}
_FLAG_BY_CATEGORY = {"Management": True, "Data": False}

DERIVABLE = ("awsRegion", "recipientAccountId", "eventType", "eventCategory", "managementEvent")
"""The columns that may be filled in; besides them the ``eventTime`` of aggregated records."""


def upgrade(record: Any, account: str, region: str) -> list[str]:  # noqa: ANN401
    """Fill in, in place, the columns that a record lacks and that follow from its others.

    It looks at the version, at these columns, and at the day of ``eventTime``, and at nothing else
    (`rewriting.parts.upgraded` asks once for all rows that are alike in these).

    Args:
        record: A `decode.Record` with a readable ``eventTime``, or an aggregated one without any.
        account: ACCOUNT of the log file's key: the account the file was delivered for.
        region: REGION of the log file's key.

    Returns:
        The names of the columns filled in.
    """
    if not is_compatible(record.eventVersion):
        return []
    derivations: dict[str, Callable[[], str | bool | None]] = {
        "awsRegion": lambda: region,
        "recipientAccountId": lambda: account,
        "eventType": lambda: _event_type(record),
        "eventCategory": lambda: _event_category(record),
        "managementEvent": lambda: _FLAG_BY_CATEGORY.get(record.eventCategory),
    }
    derived = ["eventTime"] if record.eventTime is None else []  # `event_times` has found one
    for name, derive in derivations.items():
        if getattr(record, name) is None and (value := derive()) is not None:
            setattr(record, name, value)
            derived.append(name)
    return derived


def incomplete(records: list[Any]) -> list[int]:
    """The indexes of the records that lack something that `upgrade` may fill in."""
    return [
        index
        for index, record in enumerate(records)
        if record.managementEvent is None
        or record.eventCategory is None
        or record.eventType is None
        or record.recipientAccountId is None
        or record.awsRegion is None
        or record.eventTime is None
    ]


def _event_type(record: Any) -> str | None:  # noqa: ANN401
    version = version_numbers(record.eventVersion)
    old = version is not None and version < _BEFORE_EVENT_TYPE and record.eventCategory is None
    return "AwsApiCall" if old else None


def _event_category(record: Any) -> str | None:  # noqa: ANN401
    by_type = _CATEGORY_BY_TYPE.get((record.eventType or "").lower())
    by_flag = _CATEGORY_BY_FLAG.get(record.managementEvent)
    by_time = "Management" if record.eventTime < _FIRST_DATA_EVENTS else None
    return by_type or by_flag or by_time
