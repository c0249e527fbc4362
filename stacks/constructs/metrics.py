"""The CloudWatch metrics that alarms and dashboard look at."""

from typing import NamedTuple

from cloudtrail_parquet.contract import METRIC_NAMESPACE


class Metric(NamedTuple):
    """A metric with its statistic.

    Attributes:
        namespace: As in ``AWS/Lambda``.
        name: As in ``Errors``.
        dimensions: Values by name.
        statistic: ``Sum``, ``Maximum`` or ``Average``.
    """

    namespace: str
    name: str
    dimensions: dict[str, str]
    statistic: str = "Sum"


def of_function(name: str, metric: str, statistic: str = "Sum") -> Metric:
    """What Lambda measures of a function."""
    return Metric("AWS/Lambda", metric, {"FunctionName": name}, statistic)


def of_queue(name: str, metric: str) -> Metric:
    """What SQS measures of a queue."""
    return Metric("AWS/SQS", metric, {"QueueName": name}, "Maximum")


def of_converter(name: str, metric: str, statistic: str = "Sum") -> Metric:
    """What the converter counts: docs/events.md lists it."""
    return Metric(METRIC_NAMESPACE, metric, {"service": name}, statistic)
