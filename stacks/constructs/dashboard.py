"""The dashboard: units, records, bytes, invocations and queues on one page."""

import json
from typing import Any

from cloudtrail_parquet.contract import MetricName
from stacks.cdk import CloudwatchDashboard, Construct
from stacks.constructs.metrics import Metric, of_converter, of_function, of_queue
from stacks.environment.fields import Environment

_WIDTH, _HEIGHT, _COLUMNS = 8, 6, 3
_DURATIONS = ("Average", "Maximum")


class Dashboard(Construct):
    """A CloudWatch dashboard."""

    def __init__(self, scope: Construct, environment: Environment, queues: tuple[str, ...]) -> None:
        """``queues`` are the names of all queues of the stack."""
        super().__init__(scope, "dashboard")
        widgets = [
            _widget(number, title, metrics, environment.region)
            for number, (title, metrics) in enumerate(_graphs(environment.name, queues).items())
        ]
        CloudwatchDashboard(
            self,
            "this",
            dashboard_name=environment.name,
            dashboard_body=json.dumps({"widgets": widgets}),
        )


def _graphs(name: str, queues: tuple[str, ...]) -> dict[str, list[Metric]]:
    def ours(*metrics: MetricName) -> list[Metric]:
        return [of_converter(name, metric) for metric in metrics]

    return {
        "Units": ours(
            MetricName.UNITS_CONVERTED,
            MetricName.UNITS_SETTLED,
            MetricName.UNITS_PARTIAL,
            MetricName.UNITS_FAILED,
        ),
        "Records": ours(
            MetricName.RECORDS_READ,
            MetricName.RECORDS_WRITTEN,
            MetricName.RECORDS_STRAGGLED,
            MetricName.RECORDS_DUPLICATE,
        ),
        "Not kept": ours(
            MetricName.RECORDS_DISCARDED,
            MetricName.RECORDS_QUARANTINED,
            MetricName.FILES_QUARANTINED,
            MetricName.FILES_UNPLACED,
        ),
        "Failed": ours(
            MetricName.EVENTS_REFUSED, MetricName.MESSAGES_FAILED, MetricName.ACCOUNTS_REFUSED
        ),
        "Bytes": ours(MetricName.BYTES_IN, MetricName.BYTES_OUT),
        "Oldest day that is not final": [
            of_converter(name, MetricName.OLDEST_UNSETTLED_DAYS, "Maximum")
        ],
        "Invocations": [
            of_function(name, metric) for metric in ("Invocations", "Errors", "Throttles")
        ],
        "Duration": [of_function(name, "Duration", statistic) for statistic in _DURATIONS],
        "Concurrency": [of_function(name, "ConcurrentExecutions", "Maximum")],
        "Messages": [of_queue(queue, "ApproximateNumberOfMessagesVisible") for queue in queues],
    }


def _widget(number: int, title: str, metrics: list[Metric], region: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": number % _COLUMNS * _WIDTH,
        "y": number // _COLUMNS * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": title,
            "region": region,
            "period": 300,
            "metrics": [
                [
                    metric.namespace,
                    metric.name,
                    *(word for pair in metric.dimensions.items() for word in pair),
                    {"stat": metric.statistic},
                ]
                for metric in metrics
            ],
        },
    }
