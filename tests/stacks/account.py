"""An AWS account of moto's in a process of its own, in which one stack is applied."""

import json
import logging
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import boto3

ACCOUNT = "123456789012"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

_ROOT = Path(__file__).resolve().parents[2]


class _Kind(NamedTuple):
    """How to list what Terraform makes with one type of resource."""

    service: str
    operation: str
    member: str
    name: str = ""
    arguments: dict[str, Any] = {}  # noqa: RUF012 - it is only read


_KINDS = {
    "aws_athena_workgroup": _Kind("athena", "list_work_groups", "WorkGroups", "Name"),
    "aws_cloudwatch_dashboard": _Kind(
        "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"
    ),
    "aws_cloudwatch_event_bus": _Kind("events", "list_event_buses", "EventBuses", "Name"),
    "aws_cloudwatch_log_group": _Kind("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "aws_cloudwatch_metric_alarm": _Kind(
        "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"
    ),
    "aws_glue_catalog_database": _Kind("glue", "get_databases", "DatabaseList", "Name"),
    "aws_iam_policy": _Kind("iam", "list_policies", "Policies", "Arn", {"Scope": "Local"}),
    "aws_iam_role": _Kind("iam", "list_roles", "Roles", "Arn"),
    "aws_lambda_event_source_mapping": _Kind(
        "lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"
    ),
    "aws_lambda_function": _Kind("lambda", "list_functions", "Functions", "FunctionName"),
    "aws_s3_bucket": _Kind("s3", "list_buckets", "Buckets", "Name"),
    "aws_scheduler_schedule": _Kind("scheduler", "list_schedules", "Schedules", "Arn"),
    "aws_scheduler_schedule_group": _Kind(
        "scheduler", "list_schedule_groups", "ScheduleGroups", "Arn"
    ),
    "aws_sqs_queue": _Kind("sqs", "list_queues", "QueueUrls"),
}
LISTED = frozenset({*_KINDS, "aws_cloudwatch_event_rule", "aws_glue_catalog_table"})
"""Types of resources that `Account.inventory` knows; the others are parts of these."""


class Account:
    """An account and its services; use it as a context.

    Attributes:
        url: The endpoint of all services.
        region: Of its clients.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._session = boto3.Session()  # its own: the default one is not for several threads
        self._open = ExitStack()
        self._clients: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.stacks.account"]
        pipe = subprocess.PIPE
        server = subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)
        self._open.enter_context(server)
        self._open.callback(server.kill)
        assert server.stdout is not None
        self.url = server.stdout.readline().strip()
        assert self.url, "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def client(self, service: Any, region: str = "") -> Any:  # noqa: ANN401 - any of boto3's
        """A client of one service."""
        where = (service, region or self.region)
        if where not in self._clients:
            self._clients[where] = client = self._session.client(
                service,
                endpoint_url=self.url,
                region_name=where[1],
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            self._open.callback(client.close)
        return self._clients[where]

    def inventory(self, region: str = "") -> Counter[tuple[str, str]]:
        """What there is, in its region or another one and everywhere: resources by their types."""
        found = Counter[tuple[str, str]]()
        for type_, kind in _KINDS.items():
            found.update((type_, name) for name in self._names(kind, region))
        for bus in self._names(_KINDS["aws_cloudwatch_event_bus"], region):
            rules = _Kind("events", "list_rules", "Rules", "Arn", {"EventBusName": bus})
            names = self._names(rules, region)
            found.update(("aws_cloudwatch_event_rule", name) for name in names)
        for database in self._names(_KINDS["aws_glue_catalog_database"], region):
            tables = _Kind("glue", "get_tables", "TableList", "Name", {"DatabaseName": database})
            names = self._names(tables, region)
            found.update(("aws_glue_catalog_table", f"{database}.{name}") for name in names)
        return found

    def _names(self, kind: _Kind, region: str) -> list[str]:
        # One page of each is enough: nothing here is made by the hundred.
        answer = getattr(self.client(kind.service, region), kind.operation)(**kind.arguments)
        return [one[kind.name] if kind.name else one for one in answer.get(kind.member, [])]


def _correct_rules(backend_class: Any) -> None:  # noqa: ANN401
    """Let rules of the same name on several buses have tags of their own."""

    def tags_of(backend: Any, arn: str) -> Any:  # noqa: ANN401
        return backend.tagger.list_tags_for_resource(arn)

    backend_class.list_tags_for_resource = tags_of


def _correct_athena(response_class: Any) -> None:  # noqa: ANN401
    """Let named queries be removed, and workgroups have no tags."""
    list_tags = response_class.list_tags_for_resource

    def delete_named_query(response: Any) -> str:  # noqa: ANN401
        query = response._get_param("NamedQueryId")  # noqa: SLF001
        del response.athena_backend.named_queries[query]
        return "{}"

    def list_tags_for_resource(response: Any) -> Any:  # noqa: ANN401
        arn = response._get_param("ResourceARN")  # noqa: SLF001
        has_any = response.athena_backend.list_tags_for_resource(arn)
        return list_tags(response) if has_any else json.dumps({"Tags": []})

    response_class.delete_named_query = delete_named_query
    response_class.list_tags_for_resource = list_tags_for_resource


def _correct_queues(queue_class: Any) -> None:  # noqa: ANN401 - a class of moto's, with other members
    """Let moto's queues answer as those of AWS, so that Terraform finds no change in them."""
    attributes, set_attributes = queue_class.attributes.fget, queue_class._set_attributes  # noqa: SLF001

    def as_aws_has_them(queue: Any) -> dict[str, Any]:  # noqa: ANN401
        # What was removed is absent. A redrive policy has no spaces, or it is a change.
        read = {name: value for name, value in attributes(queue).items() if value not in {None, ""}}
        if queue.redrive_policy:
            read["RedrivePolicy"] = json.dumps(queue.redrive_policy, separators=(",", ":"))
        return read

    def set_what_is_given(queue: Any, given: dict[str, Any], now: float | None = None) -> None:  # noqa: ANN401
        # In moto, to set any other attribute removes the policy.
        set_attributes(queue, {"Policy": getattr(queue, "policy", None), **given}, now)

    queue_class.BASE_ATTRIBUTES.append("RedriveAllowPolicy")  # moto keeps it, and gives none back
    queue_class.redrive_allow_policy = None
    queue_class.attributes = property(as_aws_has_them)
    queue_class._set_attributes = set_what_is_given  # noqa: SLF001


def _serve() -> None:
    """Serve an account until standard input ends; prints the address."""
    from moto.athena.responses import AthenaResponse  # noqa: PLC0415 - only the server's process
    from moto.events.models import EventsBackend  # noqa: PLC0415
    from moto.sqs.models import Queue  # noqa: PLC0415

    from tests.moto_server import moto_server  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request
    _correct_athena(AthenaResponse)
    _correct_queues(Queue)
    _correct_rules(EventsBackend)
    server = moto_server()
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
