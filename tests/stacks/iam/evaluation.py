"""IAM as far as these stacks need it: what a request asks for, and whether policies allow that.

`Policy` reads what Terraform makes a policy of, and decides. `Gate` stands between the function
and its account: it notes what every request asks for, and refuses what a policy does not allow.

Sources: IAM User Guide, "Policy evaluation logic" and "JSON policy elements"; Service Authorization
Reference, "Actions, resources, and condition keys" for Amazon S3, SQS, EventBridge and AWS KMS.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Self
from xml.etree import ElementTree as ET

from stacks.environment.fields import Environment
from stacks.iam.cross_account import fill_in, known_aws
from stacks.iam.statements import Aws
from tests.s3.faults import Answer, Fault, Request, error

Json = dict[str, Any]

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_ARNS = {
    "aws_cloudwatch_event_bus": "events:{region}:{account}:event-bus/{name}",
    "aws_cloudwatch_event_rule": "events:{region}:{account}:rule/{event_bus_name}/{name}",
    "aws_cloudwatch_log_group": "logs:{region}:{account}:log-group:{name}",
    "aws_lambda_function": "lambda:{region}:{account}:function:{function_name}",
    "aws_s3_bucket": "s3:::{bucket}",
    "aws_sqs_queue": "sqs:{region}:{account}:{name}",
}
"""How the ARNs of resources follow from what Terraform says of them."""


class Call(NamedTuple):
    """What somebody asks to do: an action on one resource, with what conditions look at."""

    action: str
    resource: str
    context: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, action: str, resource: str, context: Mapping[str, str] | None = None) -> Self:
        """With its context as a mapping."""
        return cls(action, resource, frozenset((context or {}).items()))


class Condition(NamedTuple):
    """When a statement holds: for one of these values."""

    test: str
    variable: str
    values: tuple[str, ...]

    def holds(self, asked: Mapping[str, str]) -> bool:
        """Whether it does; what is not asked about is equal to nothing."""
        test = self.test.removesuffix("IfExists")
        value = asked.get(self.variable)
        if value is None:
            return test != self.test
        return any(_TESTS[test](wanted, value) for wanted in self.values)


class Statement(NamedTuple):
    """A statement of a policy."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def is_about(self, call: Call) -> bool:
        """Whether it decides about a call."""
        asked = dict(call.context)
        return (
            any(_is_like(action.lower(), call.action.lower()) for action in self.actions)
            and any(_is_like_arn(resource, call.resource) for resource in self.resources)
            and all(condition.holds(asked) for condition in self.conditions)
        )


@dataclass(frozen=True)
class Policy:
    """Statements of which any may allow, and any may deny for good."""

    statements: tuple[Statement, ...]

    @classmethod
    def of(cls, stack: Json, name: str, names: "Names") -> Self:
        """The policy that is made of a document of a stack."""
        bodies = stack["data"]["aws_iam_policy_document"][name]["statement"]
        return cls(tuple(map(names.statement, bodies)))

    def allows(self, call: Call) -> bool:
        """Whether a call is allowed and not denied."""
        return {one.effect for one in self.statements if one.is_about(call)} == {"Allow"}

    def denies(self, call: Call) -> bool:
        """Whether a call is denied, whatever else allows it."""
        return any(one.effect == "Deny" and one.is_about(call) for one in self.statements)

    def parts(self) -> Iterator[tuple[str, "Policy"]]:
        """Each action on each resource of each statement, with the policy that there is without."""
        for number, one in enumerate(self.statements):
            for action in one.actions:
                for resource in one.resources:
                    rest = [
                        one._replace(actions=(other,), resources=(another,))
                        for other in one.actions
                        for another in one.resources
                        if (other, another) != (action, resource)
                    ]
                    others = (*self.statements[:number], *rest, *self.statements[number + 1 :])
                    yield f"{one.sid}: {action} on {resource}", Policy(others)


def _is_like(pattern: str, text: str) -> bool:
    return _expression(pattern).fullmatch(text) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    any_of = {"*": ".*", "?": "."}
    return re.compile("".join(any_of.get(one) or re.escape(one) for one in pattern), re.DOTALL)


def _is_like_arn(pattern: str, arn: str) -> bool:
    """Whether it is, part by part: a wildcard ends with the part that it is in."""
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(map(_is_like, wanted, given))


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": _is_like_arn,
    "ArnLike": _is_like_arn,
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "StringEquals": str.__eq__,
    "StringLike": _is_like,
}


class Names:
    """What Terraform's references stand for, before anything is made."""

    def __init__(self, stack: Json, place: Aws) -> None:
        """``place`` is where the stack is going to be."""
        self._resources, self._place = stack["resource"], place

    def fill_in(self, text: str, urls: Mapping[str, str] | None = None) -> str:
        """Text with its references filled in; ``urls`` are those of queues, by id."""

        def value(found: re.Match[str]) -> str:
            type_, name, attribute = found[1].split(".")
            if attribute == "url":
                return (urls or {})[name]
            if attribute == "arn":
                return self.arn(type_, name)
            filled: str = self._resources[type_][name][attribute]
            return self.fill_in(filled)

        return _REFERENCE.sub(value, fill_in(text, self._place))

    def arn(self, type_: str, name: str) -> str:
        """The ARN of a resource."""
        body, given = self._resources[type_][name], self._place._asdict()
        wanted = re.findall(r"{(\w+)}", _ARNS[type_])
        values = {one: given.get(one) or self.fill_in(body[one]) for one in wanted}
        return f"arn:{self._place.partition}:{_ARNS[type_].format(**values)}"

    def statement(self, body: Json) -> Statement:
        """A statement of a policy document."""
        return Statement(
            body["sid"],
            body["effect"],
            tuple(body["actions"]),
            tuple(map(self.fill_in, body["resources"])),
            tuple(
                Condition(one["test"], one["variable"], tuple(map(self.fill_in, one["values"])))
                for one in body.get("condition", [])
            ),
        )


class Bucket(NamedTuple):
    """A bucket: whose it is, where, and the key of what is read from it."""

    owner: str
    region: str
    key: str | None


_TLS = {"aws:SecureTransport": "true"}  # here it is not: the proxy is on this machine
_OBJECT_CALLS = {
    "GET": "GetObject",
    "HEAD": "GetObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}
_OF_PIECES = {"uploads", "uploadId"}
_BATCHES = {"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}
_KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


class Reader:
    """Reads from requests what they ask for, and what services ask for in turn."""

    def __init__(self, environment: Environment) -> None:
        """Buckets and keys are the environment's; the queues have its own key."""
        self._place, self._queue_key = known_aws(environment), environment.kms_key
        outputs = (environment.dataset, environment.state_location)
        keyed = [(one, next(iter(one.kms_keys), None)) for one in environment.sources]
        self._buckets = {
            one.bucket: Bucket(
                one.account or self._place.account, one.region or self._place.region, key
            )
            for one, key in (*keyed, *((one, one.kms_key) for one in outputs))
        }

    def calls(self, request: Request) -> list[Call]:
        """What a request asks for; what cannot be read is nothing that a policy allows."""
        if "authorization" not in request.headers and "X-Amz-Signature" not in request.query:
            return []  # anybody's
        service, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if service == "AmazonSQS":
            name = json.loads(request.body)["QueueUrl"].rpartition("/")[2]
            return self.of_queue(operation, self._arn("sqs", name))
        if service == "AWSEvents":
            entries = json.loads(request.body)["Entries"]
            buses = {one.get("EventBusName", "default") for one in entries}
            return [
                Call.of(f"events:{operation}", self._arn("events", f"event-bus/{bus}"), _TLS)
                for bus in buses
            ]
        bucket, _, key = request.path[1:].partition("/")
        if bucket not in self._buckets:
            return [Call.of(f"unknown:{request.method}", request.path)]
        if key:
            return list(self._of_object(request, self._buckets[bucket], f"{bucket}/{key}"))
        return list(self._of_bucket(request, bucket))

    def listing(self, bucket: str, query: Mapping[str, str] | None = None) -> Call:
        """What a listing asks for, or, without a query, who wants to know what is missing."""
        names = ("delimiter", "max-keys", "prefix")
        said = {f"s3:{one}": (query or {})[one] for one in names if one in (query or {})}
        return self._on_s3("ListBucket", bucket, self._buckets[bucket], said)

    def _of_bucket(self, request: Request, bucket: str) -> Iterator[Call]:
        if request.lists or request.method == "HEAD":
            yield self.listing(bucket, request.query)
        elif request.method == "POST" and "delete" in request.query:
            for key in ET.fromstring(request.body).iterfind("{*}Object/{*}Key"):  # noqa: S314
                yield self._on_s3("DeleteObject", f"{bucket}/{key.text}", self._buckets[bucket])
        else:
            yield Call.of(f"unknown:{request.method}", request.path)

    def _of_object(self, request: Request, bucket: Bucket, path: str) -> Iterator[Call]:
        is_whole = not _OF_PIECES.intersection(request.query)
        action = _OBJECT_CALLS.get(request.method, "unknown") if is_whole else "unknown"
        yield self._on_s3(action, path, bucket)
        # S3 User Guide, "How to prevent object overwrites with conditional writes" and "How to
        # perform conditional deletes".
        if "if-match" in request.headers and action != "GetObject":
            yield self._on_s3("GetObject", path, bucket)
        # S3 User Guide, "Using SSE-KMS".
        if _KEY_HEADER in request.headers:
            own = request.headers[_KEY_HEADER], "s3", bucket.region
            yield self._on_key("GenerateDataKey", *own)
        elif bucket.key and request.method == "GET":
            yield self._on_key("Decrypt", bucket.key, "s3", bucket.region)

    def of_queue(self, operation: str, queue: str) -> list[Call]:
        """An operation on a queue, with the use of its key.

        Source: SQS Developer Guide, "Key management", on producers and consumers.
        """
        operation = _BATCHES.get(operation, operation)
        of_key = {"ReceiveMessage": ["Decrypt"], "SendMessage": ["Decrypt", "GenerateDataKey"]}
        calls = [Call.of(f"sqs:{operation}", queue, _TLS)]
        if self._queue_key is not None:
            own = self._queue_key, "sqs", self._place.region
            calls += [self._on_key(one, *own) for one in of_key.get(operation, [])]
        return calls

    def of_lambda(self, log_group: str, queue: str, failures: str) -> list[Call]:
        """What Lambda does in the name of the function's role."""
        stream = f"{log_group}:log-stream:2026/01/10/[$LATEST]0123456789abcdef"
        interface = self._arn("ec2", "network-interface/eni-0123456789abcdef0")
        calls = [
            # Lambda Developer Guide, "Sending function logs to CloudWatch Logs"
            *(Call.of(f"logs:{one}", stream) for one in ("CreateLogStream", "PutLogEvents")),
            # "Giving Lambda functions access to resources in a VPC", "Required IAM permissions"
            *(Call.of(f"ec2:Describe{one}", "*") for one in ("NetworkInterfaces", "Subnets")),
            *(Call.of(f"ec2:{one}NetworkInterface", interface) for one in ("Create", "Delete")),
            *(Call.of(f"ec2:{one}PrivateIpAddresses", interface) for one in ("Assign", "Unassign")),
            # "Using Lambda with Amazon SQS", "Setting up Lambda execution role permissions"
            *self.of_queue("ReceiveMessage", queue),
            *self.of_queue("DeleteMessage", queue),
            *self.of_queue("GetQueueAttributes", queue),
            # "Capturing records of Lambda asynchronous invocations": "Adding a destination"
            *self.of_queue("SendMessage", failures),
        ]
        if self._queue_key is not None:
            # "Securing Lambda environment variables"
            calls.append(self._on_key("Decrypt", self._queue_key, "lambda", self._place.region))
        return calls

    def of_scheduler(self, function: str, failures: str) -> list[Call]:
        """What EventBridge Scheduler does in the name of the schedule's role.

        Source: its User Guide, "Setting up the execution role" and "Configuring a dead-letter
        queue".
        """
        return [
            Call.of("lambda:InvokeFunction", function, _TLS),
            *self.of_queue("SendMessage", failures),
        ]

    def _on_s3(
        self, action: str, path: str, bucket: Bucket, said: Mapping[str, str] | None = None
    ) -> Call:
        context = {**_TLS, "aws:ResourceAccount": bucket.owner, **(said or {})}
        return Call.of(f"s3:{action}", f"arn:{self._place.partition}:s3:::{path}", context)

    def _on_key(self, operation: str, key: str, service: str, region: str) -> Call:
        context = {"kms:ViaService": f"{service}.{region}.{self._place.dns_suffix}"}
        return Call.of(f"kms:{operation}", key, context)

    def _arn(self, service: str, resource: str) -> str:
        place = self._place
        return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{resource}"


class Gate:
    """Lets a proxy answer as AWS does where a policy decides.

    Attributes:
        calls: All that was asked for.
        refused: What of that was not allowed.
    """

    def __init__(self, policy: Policy, reader: Reader) -> None:
        self._policy, self._reader = policy, reader
        self._lock = threading.Lock()
        self.calls, self.refused = set[Call](), set[Call]()

    def faults(self, *others: Fault) -> list[Fault]:
        """For a proxy; others happen to what is allowed."""
        s3 = error(403, "AccessDenied", "No statement allows it.", when=self._refuses_s3)
        refusal = json.dumps({"__type": "AccessDeniedException", "message": "Not allowed."})
        as_json = [("Content-Type", "application/x-amz-json-1.0")]
        other = Answer(403, as_json, refusal.encode())
        self._forbidden = s3.answer
        return [
            s3,
            Fault(when=self._refuses_others, answer=other),
            *(replace(one, change=self._forbid_absence) for one in others),
            Fault(change=self._forbid_absence),
        ]

    def _refuses_s3(self, request: Request) -> bool:
        return "x-amz-target" not in request.headers and self._refuses(request)

    def _refuses_others(self, request: Request) -> bool:
        return "x-amz-target" in request.headers and self._refuses(request)

    def _refuses(self, request: Request) -> bool:
        calls = self._reader.calls(request)
        refused = {one for one in calls if not self._policy.allows(one)}
        with self._lock:
            self.calls.update(calls)
            self.refused |= refused
        return bool(refused)

    def _forbid_absence(self, request: Request, answer: Answer) -> Answer:
        """S3 tells that an object is missing to those only who may list the bucket.

        Asked for an object, it knows of no prefix. Source: GetObject, S3 API Reference.
        """
        bucket, _, key = request.path[1:].partition("/")
        is_told = answer.status != 404 or not key or b"NoSuchBucket" in answer.body
        if is_told or self._policy.allows(self._reader.listing(bucket)):
            return answer
        assert self._forbidden is not None
        return self._forbidden


def unused(policy: Policy, calls: Iterable[Call]) -> list[str]:
    """The parts of a policy without which it allows all the same calls."""
    asked = list(calls)
    return [part for part, rest in policy.parts() if all(map(rest.allows, asked))]
