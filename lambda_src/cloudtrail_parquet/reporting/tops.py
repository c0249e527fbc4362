"""What occurs most often in a dataset: services, principals and errors, counted by DuckDB."""

from datetime import date

from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.querying.chosen import choose
from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.reporting.figures import DAY, Counted, TopFigures
from cloudtrail_parquet.storage import ReadStore

SHOWN = 10

_COUNTED = """
CREATE TEMP TABLE counted AS
SELECT eventSource AS service,
       coalesce(userIdentity.sessionContext.sessionIssuer.arn, userIdentity.arn,
                userIdentity.invokedBy, userIdentity.userName, userIdentity.accountId,
                userIdentity.type) AS principal,
       errorCode AS error,
       count(*) AS calls,
       count(errorCode) AS failed
FROM cloudtrail GROUP BY ALL
"""
_TOP = """
SELECT coalesce({name}, '') AS name, sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed
FROM counted WHERE {condition} GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT {limit}
"""
_ALL = "SELECT '', coalesce(sum(calls), 0)::BIGINT, coalesce(sum(failed), 0)::BIGINT FROM counted"


def tops_of(dataset: ReadStore, wanted: UnitRange, last: date, days: int) -> TopFigures:
    """Count what occurs most often in the last days of a range.

    Only the columns that are counted are read, of the folders of these days. What cannot be read
    does not stop a report: the result says why there are no counts.

    Args:
        dataset: The dataset.
        wanted: The accounts and regions; its first day is the first that counts.
        last: The last day.
        days: How many days up to that one.
    """
    first = max(wanted.first, last - (days - 1) * DAY)
    nothing = TopFigures(first, last)
    try:
        chosen = choose(dataset, wanted._replace(first=first, last=last))
        with Engine(dataset, chosen) as engine:
            for _ in engine.ask(_COUNTED):
                pass
            services, principals, errors = (
                _asked(engine, _TOP.format(name=name, condition=condition, limit=SHOWN))
                for name, condition in (
                    ("service", "true"),
                    ("principal", "true"),
                    ("error", "error IS NOT NULL"),
                )
            )
            ((_, calls, failed),) = _asked(engine, _ALL)
    except CloudTrailParquetError as error:
        return nothing._replace(why_not=error.lines[0])
    return TopFigures(first, last, services, principals, errors, calls, failed)


def _asked(engine: Engine, sql: str) -> tuple[Counted, ...]:
    rows = (
        row
        for result in engine.ask(sql)
        for batch in result.batches
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    return tuple(Counted(*row) for row in rows)
