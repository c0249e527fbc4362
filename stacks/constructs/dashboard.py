"""One page that shows how the conversion goes."""

import json
from typing import Any

from stacks.cdk import CloudwatchDashboard, Construct
from stacks.constructs.metrics import Metric, of_converter, of_function, of_queue
from stacks.environment.fields import Environment

_WIDTH, _HEIGHT, _COLUMNS = 8, 6, 3


class Dashboard(Construct):
    """A CloudWatch dashboard."""

    def __init__(self, scope: Construct, environment: Environment, queues: tuple[str, ...]) -> None:
        """``queues`` are the names of all queues."""
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
    def ours(*names: str) -> list[Metric]:
        return [of_converter(name, one) for one in names]

    return {
        "Units": ours("UnitsConverted", "UnitsSettled", "UnitsPartial", "UnitsFailed"),
        "Records": ours("RecordsRead", "RecordsWritten", "RecordsStraggled", "RecordsDuplicate"),
        "Not kept": ours(
            "RecordsDiscarded", "RecordsQuarantined", "FilesQuarantined", "FilesUnplaced"
        ),
        "Bytes": ours("BytesIn", "BytesOut"),
        "Oldest day that is not final": [of_converter(name, "OldestUnsettledDays", "Maximum")],
        "Invocations": [of_function(name, one) for one in ("Invocations", "Errors", "Throttles")],
        "Duration": [of_function(name, "Duration", one) for one in ("Average", "Maximum")],
        "Concurrency": [of_function(name, "ConcurrentExecutions", "Maximum")],
        "Messages": [of_queue(one, "ApproximateNumberOfMessagesVisible") for one in queues],
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
                    one.namespace,
                    one.name,
                    *(word for pair in one.dimensions.items() for word in pair),
                    {"stat": one.statistic},
                ]
                for one in metrics
            ],
        },
    }
