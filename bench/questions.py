"""Eight questions to the logs of an organisation, in SQL that DuckDB and Polars both understand.

They are the same for every layout, but for the columns that name days.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import pyarrow as pa

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.schema.columns import SCHEMA

KNOWN = """
WITH calls AS (
    SELECT account, eventID, userIdentity.accessKeyId AS accessKey,
        userIdentity.sessionContext.sessionIssuer.arn AS role, eventTime::DATE::VARCHAR AS day
    FROM cloudtrail
    WHERE eventID IS NOT NULL AND accessKey IS NOT NULL AND role IS NOT NULL
), accounts AS (
    SELECT account, row_number() OVER (ORDER BY count(*), account) AS number
    FROM calls GROUP BY account
)
SELECT calls.* FROM calls JOIN accounts USING (account)
WHERE number = (SELECT max(number) + 1 FROM accounts) // 2
ORDER BY eventID LIMIT 1
"""
"""Asks DuckDB for a call of a role in an account of middling size: the values of `Known`."""


class Known(NamedTuple):
    """Values that the questions ask for, all of one call; the day is ``YYYY-MM-DD``."""

    account: str
    event_id: str
    access_key: str
    role: str
    day: str


def questions(known: Known, layout: PartitionLayout, first_day: date) -> dict[str, str]:
    """SQL over ``cloudtrail`` by what it asks.

    Args:
        known: What to ask for.
        layout: How the dataset is partitioned.
        first_day: The first of the thirty days that an access key is looked for in.
    """
    day = date.fromisoformat(known.day)

    def around(days: int) -> str:
        return days_sql(layout, day - timedelta(days), day + timedelta(days))

    return {
        "calls by service": """
            SELECT eventSource, count(*) AS calls FROM cloudtrail GROUP BY eventSource""",
        "one access key, 30 days": f"""
            SELECT account, region, eventID, eventSource, eventName, sourceIPAddress
            FROM cloudtrail WHERE userIdentity.accessKeyId = '{known.access_key}'
            AND {days_sql(layout, first_day, first_day + timedelta(29))}""",
        "one event id": f"""
            SELECT account, region, eventSource, eventName, requestParameters, responseElements
            FROM cloudtrail WHERE eventID = '{known.event_id}'""",
        "denied calls by principal, 7 days": f"""
            SELECT account, eventName, errorCode, count(*) AS denied,
                coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn) AS who
            FROM cloudtrail WHERE (errorCode LIKE '%Denied%' OR errorCode LIKE '%Unauthorized%')
            AND {around(3)} GROUP BY ALL""",
        "console logins": """
            SELECT account, userIdentity.arn AS who, sourceIPAddress, errorMessage, eventID
            FROM cloudtrail
            WHERE eventSource = 'signin.amazonaws.com' AND eventName = 'ConsoleLogin'""",
        "a role in one account, 3 days": f"""
            SELECT region, eventID, eventSource, eventName
            FROM cloudtrail WHERE account = '{known.account}'
            AND userIdentity.sessionContext.sessionIssuer.arn = '{known.role}' AND {around(1)}""",
        "one account, one day": f"""
            SELECT region, eventID, eventSource, eventName, userIdentity.arn AS who, errorCode
            FROM cloudtrail WHERE account = '{known.account}' AND {around(0)}""",
        "full scan": f"SELECT count(*) AS records, {', '.join(_all_columns())} FROM cloudtrail",
    }


def days_sql(layout: PartitionLayout, first: date, last: date) -> str:
    """A condition on the folders of a layout that holds for some days, month by month."""
    if "dt" in PARTITION_COLUMNS[layout]:
        return f"dt BETWEEN DATE '{first}' AND DATE '{last}'"
    days = (first + timedelta(number) for number in range((last - first).days + 1))
    months: dict[tuple[int, int], list[int]] = {}
    for day in days:
        months.setdefault((day.year, day.month), []).append(day.day)
    ranges = (
        f"year = {year} AND month = {month} AND day BETWEEN {numbers[0]} AND {numbers[-1]}"
        for (year, month), numbers in months.items()
    )
    return f"({' OR '.join(ranges)})"


def _all_columns() -> Iterator[str]:
    """What makes an engine read every column: lengths of texts, else how many are not null."""
    for path, dtype in _leaves("", SCHEMA):
        sql = f"sum(length({path}))" if pa.types.is_string(dtype) else f"count({path})"
        yield f'{sql} AS "{path}"'


def _leaves(above: str, fields: pa.Schema | pa.StructType) -> Iterator[tuple[str, pa.DataType]]:
    for field in fields:
        path = f"{above}{field.name}"
        if pa.types.is_struct(field.type):
            yield from _leaves(f"{path}.", field.type)
        else:
            yield path, field.type
