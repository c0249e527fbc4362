"""The CloudWatch metrics that alarms and dashboard read."""

from typing import NamedTuple

from cloudtrail_parquet.contract import METRIC_DIMENSION, METRIC_NAMESPACE, MetricName


class Metric(NamedTuple):
    """A metric with its statistic.

    Attributes:
        namespace: As in ``AWS/Lambda``.
        name: As in ``Errors``.
        dimensions: Values of the dimensions, by name.
        statistic: ``Sum``, ``Maximum`` or ``Average``.
    """

    namespace: str
    name: str
    dimensions: dict[str, str]
    statistic: str = "Sum"


def of_function(name: str, metric: str, statistic: str = "Sum") -> Metric:
    """A metric of a function, from Lambda."""
    return Metric("AWS/Lambda", metric, {"FunctionName": name}, statistic)


def of_queue(name: str, metric: str) -> Metric:
    """A metric of a queue, from SQS."""
    return Metric("AWS/SQS", metric, {"QueueName": name}, "Maximum")


def of_converter(name: str, metric: MetricName, statistic: str = "Sum") -> Metric:
    """A metric that the converter writes; docs/events.md lists them."""
    return Metric(METRIC_NAMESPACE, metric.value, {METRIC_DIMENSION: name}, statistic)
