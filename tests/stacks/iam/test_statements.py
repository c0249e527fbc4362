"""Each statement of the roles is needed and enough: the function runs under its own policy.

moto stands behind a proxy that refuses, as AWS does, what the synthesised policy does not allow,
and notes what was asked for. That is done once for a run of the tests.
"""

import fcntl
import json
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import boto3
import msgspec
import pytest

from cloudtrail_parquet.planning.cost import BYTES_PER_S
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from stacks.environment.fields import Environment
from stacks.environment.load import load
from stacks.environment.locations import OutputLocation, SourceLocation
from stacks.iam.cross_account import known_aws
from tests.builders import ACCOUNT, REGION, ago, at, blank, log_file, log_key, record
from tests.function.deployment import Carried, Carrier
from tests.function.runtime import SOURCE_TREE, Outcome, Sandbox
from tests.s3.faults import Fault, FaultProxy, Request
from tests.stacks.account import CREDENTIALS, Account
from tests.stacks.conftest import ENVIRONMENTS
from tests.stacks.iam.evaluation import Call, Gate, Names, Policy, Reader, unused

CASE = "permissions"
QUICK_S = 32
"""A time limit that makes batches of 13 small units, and leaves 2 s for each of them."""
SHORT_S = 33
"""A time limit that leaves 3 s for a unit."""


@pytest.fixture(scope="session")
def environment() -> Environment:
    return load(ENVIRONMENTS / f"{CASE}.toml")[CASE]


@pytest.fixture(scope="session")
def permissions(synthesised: Path) -> dict[str, Any]:
    """The Terraform of the case."""
    read: dict[str, Any] = msgspec.json.decode((synthesised / CASE / "cdk.tf.json").read_bytes())
    return read


@pytest.fixture(scope="session")
def names(permissions: dict[str, Any], environment: Environment) -> Names:
    return Names(permissions, known_aws(environment))


@pytest.fixture(scope="session")
def policy(permissions: dict[str, Any], names: Names) -> Policy:
    """What the function may do."""
    return Policy.of(permissions, "converter_role_access", names)


@pytest.fixture(scope="session")
def reader(environment: Environment) -> Reader:
    return Reader(environment)


# The function under its policy.


class Rig(Carrier):
    """The function with what surrounds it, and its role's policy; use it as a context.

    Attributes:
        account: Where it is.
        gate: What decides.
    """

    def __init__(
        self,
        stack: dict[str, Any],
        environment: Environment,
        names: Names,
        policy: Policy,
        tmp: Path,
    ) -> None:
        super().__init__()
        self._stack, self._environment, self._names, self._tmp = stack, environment, names, tmp
        self.gate = Gate(policy, Reader(environment))
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.account = self._open.enter_context(Account(self._environment.region))
        self.proxy = self._open.enter_context(FaultProxy(self.account.url))
        for location in (*self._environment.sources, self.dataset, self.state):
            self._make_bucket(location.bucket, location.region or self._environment.region)
        self.s3 = self.account.client("s3")
        sqs = self.account.client("sqs")
        queues = self._stack["resource"]["aws_sqs_queue"]
        urls = {
            id_: sqs.create_queue(QueueName=body["name"])["QueueUrl"]
            for id_, body in queues.items()
        }
        for id_, body in queues.items():
            if "redrive_policy" in body:
                redrive = {"RedrivePolicy": self._names.fill_in(body["redrive_policy"])}
                sqs.set_queue_attributes(QueueUrl=urls[id_], Attributes=redrive)
        delivered = sqs.create_queue(QueueName="delivered")["QueueUrl"]
        self.connect(sqs, delivered, urls["backfill_queue"], urls["backfill_dead_letters"])
        self._make_bus(self._arn_of(delivered))
        function = self._stack["resource"]["aws_lambda_function"]["converter"]
        self._variables = {
            **{
                name: self._names.fill_in(value, urls)
                for name, value in function["environment"]["variables"].items()
            },
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": self._environment.region,
            "AWS_ENDPOINT_URL": self.proxy.url,
            "AWS_REGION": self._environment.region,
            "AWS_SESSION_TOKEN": "token",
            "CLOUDTRAIL_PARQUET_LEASE_WAIT_S": "10",
        }
        self.box = self._open.enter_context(Sandbox(self._variables, self._tmp, SOURCE_TREE))
        self.meet()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def dataset(self) -> OutputLocation:
        return self._environment.dataset

    @property
    def state(self) -> OutputLocation:
        return self._environment.state_location

    def _make_bucket(self, name: str, region: str) -> None:
        client: Any = boto3.client(
            "s3",
            endpoint_url=self.account.url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self._open.callback(client.close)
        there = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client.create_bucket(Bucket=name, **({} if region == "us-east-1" else there))

    def _make_bus(self, target: str) -> None:
        """The bus and its rule, with a queue in the place of the function: moto invokes nothing."""
        events, resources = self.account.client("events"), self._stack["resource"]
        bus = resources["aws_cloudwatch_event_bus"]["fan_out"]["name"]
        rule = resources["aws_cloudwatch_event_rule"]["fan_out_rule"]
        pattern = self._names.fill_in(rule["event_pattern"])
        events.create_event_bus(Name=bus)
        events.put_rule(Name=rule["name"], EventBusName=bus, EventPattern=pattern)
        targets = [{"Id": "function", "Arn": target}]
        events.put_targets(Rule=rule["name"], EventBusName=bus, Targets=targets)

    def meet(self, *faults: Fault) -> None:
        """Let these things go wrong, and no others, beside what the policy does not allow."""
        self.proxy.clear()
        self.proxy.add(*self.gate.faults(*faults))

    def put(self, number: int, key: str, data: bytes) -> None:
        """Put a log file into one of the sources."""
        source = self._environment.sources[number]
        self.s3.put_object(Bucket=source.bucket, Key=_whole(source, key), Body=data)

    def upload(self, tree: Path) -> None:
        """Put the files of a folder into the sources by turns."""
        files = sorted(one for one in tree.rglob("*") if one.is_file())
        for number, path in enumerate(files):
            self.put(number % 3, path.relative_to(tree).as_posix(), path.read_bytes())

    def keys(self, location: OutputLocation, below: str = "") -> list[str]:
        """Whole keys of a location."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=f"{location.prefix}/{below}"
        )
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def expire_leases(self) -> int:
        """Let time pass for the leases of runs that were ended; how many there were."""
        leases = self.keys(self.state, "leases/")
        content = {"holder": "ended", "expires": "2026-01-01T00:00:00+00:00", "seconds": -3600}
        for key in leases:
            body = json.dumps(content).encode()
            self.s3.put_object(Bucket=self.state.bucket, Key=key, Body=body)
        return len(leases)


def _whole(location: SourceLocation, key: str) -> str:
    return f"{location.prefix}/{key}".lstrip("/")


def log(delivered: datetime, happened: datetime, **members: object) -> tuple[str, bytes]:
    """Key and body of a log file with one record."""
    unique = uuid.uuid4().hex[:16]
    one = record(eventTime=f"{happened:%Y-%m-%dT%H:%M:%SZ}", eventID=str(uuid.uuid4()), **members)
    return log_key(ACCOUNT, REGION, delivered, unique=unique), log_file(one)


def done(outcome: Outcome) -> dict[str, Any]:
    assert outcome.ok, outcome.payload
    counts: dict[str, Any] = outcome.payload
    return counts


def all_done(carried: list[Carried]) -> int:
    """How many events were carried, all of which went well at once."""
    for one in carried:
        assert len(one.outcomes) == 1
        assert done(one.outcomes[0]).get("batchItemFailures", []) == []
    return len(carried)


def of_day(day: date, **more: object) -> dict[str, object]:
    return {"kind": "plan", "from": str(day), "to": str(day), **more}


def daily(rig: Rig, schedule: dict[str, Any], tmp: Path) -> None:
    """A day's schedule: batches by the bus, damaged log files, nothing new, then new ones."""
    spec = TreeSpec(
        accounts=3, regions=2, days=3, records=300, duplicates=0.1, corrupt=0.02, first_day=ago(4)
    )
    generate_tree(tmp / "recent", spec)
    rig.upload(tmp / "recent")
    event = json.loads(schedule["target"]["input"])

    assert done(rig.box.invoke(event, QUICK_S))["batches"] >= 2
    assert all_done(rig.carry_events(rig.box.invoke)) >= 2
    assert rig.box.metrics()["FilesQuarantined"] >= 1

    for _ in range(2):
        done(rig.box.invoke(event))
        all_done(rig.carry_events(rig.box.invoke))
    rig.put(1, *log(at(ago(3), 12), at(ago(3), 11)))
    assert done(rig.box.invoke(event))["converted"] >= 1


def stragglers(rig: Rig) -> None:
    """A record of days before, and again on its own day; then another in its stead."""
    late = log(at(ago(20), 12), at(ago(24), 11))
    rig.put(0, *late)
    rig.put(0, *log(at(ago(20), 12), at(ago(20), 11)))
    done(rig.box.invoke(of_day(ago(20))))
    (part,) = [key for key in rig.keys(rig.dataset) if "/straggler-" in key]

    rig.put(1, log_key(ACCOUNT, REGION, at(ago(24), 12), unique="AgAiN"), late[1])
    done(rig.box.invoke(of_day(ago(24))))

    rig.put(0, late[0], log_file(record(eventTime=f"{ago(20)}T10:00:00Z")))
    done(rig.box.invoke(of_day(ago(20), only="outdated")))
    assert part not in rig.keys(rig.dataset)


def backfill(rig: Rig, tmp: Path) -> None:
    """A plan by the queue, whose batches stay in it; then a message that fails each time."""
    first = ago(60)
    spec = TreeSpec(accounts=2, regions=1, days=14, records=60, late=0.1, first_day=first)
    generate_tree(tmp / "old", spec)
    rig.upload(tmp / "old")
    invoke = partial(rig.box.invoke, timeout_s=QUICK_S)

    rig.send_messages({"kind": "plan", "from": str(first), "to": str(first + timedelta(days=13))})

    assert all_done(rig.map_queue(invoke, at_a_time=1)) >= 3

    rig.send_messages("{")
    assert rig.map_queue(invoke, at_a_time=1)
    assert rig.dead_letters() == ["{"]


def killed(rig: Rig) -> None:
    """A run that is ended amid publishing leaves an intent and leases; another completes it."""

    def ends(_: Request) -> bool:
        rig.box.kill()
        return False

    rig.put(0, *log(at(ago(30), 12), at(ago(34), 11)))
    event = of_day(ago(30))
    rig.meet(Fault(method="PUT", path="/straggler-", when=ends))
    assert not rig.box.invoke(event).ok
    assert rig.keys(rig.state, "intents/")

    rig.meet()
    assert rig.expire_leases() >= 1
    assert done(rig.box.invoke(event))["converted"] == 1
    assert rig.keys(rig.state, "intents/") == []


def in_shards(rig: Rig) -> None:
    """A unit for which an invocation has too little time goes on in shards."""
    key, body = log(at(ago(70), 12), at(ago(70), 11))
    rig.put(0, key, body + blank(5 * BYTES_PER_S))
    unit = {"account": ACCOUNT, "region": REGION, "day": str(ago(70))}

    done(rig.box.invoke({"kind": "convert", "units": [unit]}, SHORT_S))

    assert all_done(rig.carry_events(rig.box.invoke)) >= 2


def everything(rig: Rig, schedule: dict[str, Any], tmp: Path) -> None:
    daily(rig, schedule, tmp)
    stragglers(rig)
    backfill(rig, tmp)
    killed(rig)
    in_shards(rig)
    assert rig.keys(rig.state, "leases/") == []


@dataclass
class Record:
    """What was asked for while the function ran, and what of that was refused."""

    calls: set[Call]
    refused: set[Call]


@pytest.fixture(scope="session")
def ran(  # noqa: PLR0913, PLR0917
    permissions: dict[str, Any],
    environment: Environment,
    names: Names,
    policy: Policy,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> Record:
    """The function does all that it can, once for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "ran"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = folder / "calls.json"
        if not kept.exists():
            with Rig(permissions, environment, names, policy, folder / "tmp") as rig:
                schedule = permissions["resource"]["aws_scheduler_schedule"]["schedule_daily"]
                try:
                    everything(rig, schedule, folder)
                except AssertionError as error:
                    error.add_note(f"refused: {rig.gate.refused}")
                    raise
            kept.write_text(json.dumps([_as_json(rig.gate.calls), _as_json(rig.gate.refused)]))
    calls, refused = json.loads(kept.read_text())
    return Record(_from_json(calls), _from_json(refused))


@pytest.fixture
def asked(ran: Record, reader: Reader, names: Names) -> set[Call]:
    """All that is asked for in the name of the function's role."""
    queues = (names.arn("aws_sqs_queue", name) for name in ("backfill_queue", "failures"))
    log_group = names.arn("aws_cloudwatch_log_group", "converter_log")
    return ran.calls | set(reader.of_lambda(log_group, *queues))


def _as_json(calls: set[Call]) -> list[Any]:
    return [[one.action, one.resource, dict(one.context)] for one in calls]


def _from_json(calls: list[Any]) -> set[Call]:
    return {Call.of(*one) for one in calls}


@pytest.mark.slow
def test_the_function_asks_for_nothing_that_its_role_may_not(
    ran: Record, asked: set[Call], policy: Policy
) -> None:
    assert ran.refused == set()
    assert {one for one in asked if not policy.allows(one)} == set()


@pytest.mark.slow
def test_without_any_statement_of_the_role_something_would_be_refused(
    asked: set[Call], policy: Policy, subtests: pytest.Subtests
) -> None:
    assert len(policy.statements) == 18
    for number, one in enumerate(policy.statements):
        rest = Policy(policy.statements[:number] + policy.statements[number + 1 :])
        with subtests.test(one.sid):
            assert not all(map(rest.allows, asked))


@pytest.mark.slow
def test_every_action_on_every_resource_of_the_role_is_used(
    asked: set[Call], policy: Policy
) -> None:
    assert unused(policy, asked) == []


def test_the_schedule_may_do_what_it_does_and_nothing_else(
    permissions: dict[str, Any], reader: Reader, names: Names
) -> None:
    policy = Policy.of(permissions, "schedule_role_access", names)
    function, failures = (
        names.arn("aws_lambda_function", "converter"),
        names.arn("aws_sqs_queue", "failures"),
    )
    calls = reader.of_scheduler(function, failures)

    assert [one for one in calls if not policy.allows(one)] == []
    assert unused(policy, calls) == []


@pytest.mark.slow
def test_what_belongs_to_the_stack_refuses_the_role_nothing_but_requests_without_tls(
    permissions: dict[str, Any], asked: set[Call], names: Names
) -> None:
    documents = permissions["data"]["aws_iam_policy_document"]
    of_resources = [name for name in documents if "_role_" not in name]
    policies = [Policy.of(permissions, name, names) for name in of_resources]
    assert len(policies) == 4  # three queues and the dataset's bucket

    plain = {
        one._replace(context=frozenset({*one.context, _PLAIN} - {_TLS}))
        for one in asked
        if _TLS in one.context
    }

    denied = {one.resource for one in plain for policy in policies if policy.denies(one)}
    assert not any(policy.denies(one) for one in asked for policy in policies)
    for name in ("backfill_queue", "failures"):
        assert names.arn("aws_sqs_queue", name) in denied
    assert {one.resource for one in plain if "permissions-lake" in one.resource} <= denied


_TLS, _PLAIN = ("aws:SecureTransport", "true"), ("aws:SecureTransport", "false")


def test_the_rule_and_no_other_may_send_what_it_could_not_deliver(
    permissions: dict[str, Any], names: Names
) -> None:
    policy = Policy.of(permissions, "failures_access", names)
    failures = names.arn("aws_sqs_queue", "failures")
    rule = names.arn("aws_cloudwatch_event_rule", "fan_out_rule")
    sends = partial(Call.of, "sqs:SendMessage", failures)

    assert policy.allows(sends({"aws:SourceArn": rule, "aws:SecureTransport": "true"}))
    assert not policy.allows(sends({"aws:SourceArn": rule, "aws:SecureTransport": "false"}))
    assert not policy.allows(sends({"aws:SourceArn": f"{rule}s", "aws:SecureTransport": "true"}))


ORG = {"aws:ResourceAccount": "210987654321"}
STATE = {"aws:ResourceAccount": "123456789012"}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/33333333-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("s3:ListBucket", "permissions-org-logs", ORG),
        ("s3:ListBucket", "permissions-org-logs", {**ORG, "s3:prefix": "trails/"}),
        ("s3:ListBucket", "permissions-org-logs", {**ORG, "s3:prefix": "trails/organs/"}),
        ("s3:ListBucket", "permissions-org-logs", {**STATE, "s3:prefix": "trails/org/"}),
        ("s3:ListBucket", "permissions-new-logs", {**ORG, "s3:prefix": "AWSLogs/"}),
        ("s3:ListBucket", "permissions-lake", {"s3:prefix": "other/"}),
        ("s3:GetObject", "permissions-org-logs/trails/org/AWSLogs/1/Config/a", ORG),
        ("s3:GetObject", "permissions-org-logs/trails/org/AWSLogs/1/CloudTrail-Digest/a", ORG),
        ("s3:GetObject", "permissions-org-logs/AWSLogs/1/CloudTrail/a", ORG),
        ("s3:GetObject", "permissions-org-logs/trails/org/AWSLogs/1/CloudTrail/a", STATE),
        ("s3:PutObject", "permissions-org-logs/trails/org/AWSLogs/1/CloudTrail/a", ORG),
        ("s3:DeleteObject", "permissions-old-logs/AWSLogs/1/CloudTrail/a", {}),
        ("s3:GetObject", "permissions-old-logs/private/a", {}),
        ("s3:PutObject", "permissions-lake/cloudtrail.state/a", {}),
        ("s3:DeleteObjectVersion", "permissions-lake/cloudtrail/a", {}),
        ("s3:PutObject", "permissions-state/of/cloudtrail/a", ORG),
        ("s3:PutObject", "permissions-state/of/a", STATE),
        ("kms:Decrypt", KEY, {}),
        ("kms:Decrypt", KEY, {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}),
        ("kms:Decrypt", KEY, {"kms:ViaService": "sqs.eu-central-1.amazonaws.com"}),
        ("kms:Encrypt", KEY, {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}),
        ("sqs:ReceiveMessage", "arn:aws:sqs:eu-central-1:123456789012:permissions-failures", {}),
        ("sqs:PurgeQueue", "arn:aws:sqs:eu-central-1:123456789012:permissions-backfill", {}),
        ("events:PutEvents", "arn:aws:events:eu-central-1:123456789012:event-bus/default", {}),
        ("logs:PutLogEvents", "arn:aws:logs:eu-central-1:123456789012:log-group:other:x", {}),
    ],
)
def test_the_role_may_not(
    policy: Policy, action: str, resource: str, context: dict[str, str]
) -> None:
    arn = resource if resource.startswith("arn:") else f"arn:aws:s3:::{resource}"

    assert not policy.allows(Call.of(action, arn, context))


@pytest.mark.slow
def test_a_policy_that_lacks_a_statement_is_felt(
    permissions: dict[str, Any],
    environment: Environment,
    names: Names,
    policy: Policy,
    tmp_path: Path,
) -> None:
    lacking = Policy(tuple(one for one in policy.statements if one.sid != "ListState"))
    with Rig(permissions, environment, names, lacking, tmp_path / "tmp") as rig:
        rig.put(0, *log(at(ago(3), 12), at(ago(3), 11)))
        outcome = rig.box.invoke(of_day(ago(3)))

    assert not outcome.ok
    assert "(AccessDenied: No statement allows it.)" in outcome.payload["errorMessage"]
    assert {one.action for one in rig.gate.refused} == {"s3:ListBucket"}
