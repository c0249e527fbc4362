"""The README of a hand-over: all that a team needs to know without this repository."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from textwrap import fill

from cloudtrail_parquet.contract import (
    LOGS_ROOT,
    PARTITION_COLUMNS,
)
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.reach import catch_up_days
from cloudtrail_parquet.wording import counted
from stacks.environment.fields import Environment
from stacks.environment.locations import OutputLocation
from stacks.handover.choices import choices
from stacks.handover.commands import in_json, in_shell, invoke, put_event, sqs
from stacks.handover.descriptions import permission_lines, resource_rows
from stacks.iam.cross_account import NO_ACCOUNT, Grant, Json, grants, key_grants, role_arn
from stacks.iam.readers import reader_key_grants
from stacks.versions import PROVIDER, PROVIDER_VERSIONS_IN_WORDS

_WIDTH = 100
_PLAN = {"kind": "plan", "from": "2026-01-01", "to": "2026-01-31"}

_TEMPLATE = Path(__file__).with_name("handover.md")


def readme(
    stack: Json,
    environment: Environment,
    reasons: Mapping[str, Mapping[str, str]],
    name: str,
    files: Mapping[str, int],
) -> str:
    """The text of the README.

    Args:
        stack: The Terraform that is handed over.
        environment: The environment that it was synthesised from.
        reasons: Why a role has a statement, by role and by the statement's name.
        name: Name of the environment.
        files: Sizes of the other files, by name.
    """
    invoke_later = "--invocation-type Event"
    text = Template(_TEMPLATE.read_text()).substitute(
        function=environment.name,
        name=name,
        region=environment.region,
        unit=_unit(environment),
        state=environment.state_location.uri(),
        files=table(("file", "what it is"), _files(files)),
        chosen=table(("it", "what"), choices(stack, environment)),
        inputs="\n".join(f"- {line}" for line in _inputs(stack, environment)),
        grants="\n\n".join(_grants(stack, environment)),
        invoke=invoke("--cli-read-timeout 900", {"kind": "daily"}, "answer.json"),
        count_failures=sqs("get-queue-attributes", "failures_url")
        + " \\\n  --attribute-names ApproximateNumberOfMessages",
        queue_backfill=_queue_backfill(environment),
        invoke_backfill=invoke(invoke_later, _PLAN, "/dev/null"),
        event_backfill=put_event(_PLAN),
        take_failure=sqs("receive-message", "failures_url")
        + " \\\n  --visibility-timeout 300 --output json > message.json",
        invoke_failure=invoke(invoke_later, None, "/dev/null"),
        delete_failure=sqs("delete-message", "failures_url")
        + " \\\n  --receipt-handle \"$(jq -r '.Messages[0].ReceiptHandle' message.json)\"",
        redrive=_redrive(environment),
        daily=counted(catch_up_days(environment.settings) + 1, "day"),
        versions=" ".join(_versions(environment)),
        keep_buckets=_keep_buckets(stack, environment),
        resources=table(("address", "what it is"), resource_rows(stack)),
        outputs=", ".join(f"`{output}`" for output in sorted(stack["output"])),
        permissions="\n".join(permission_lines(stack, environment, reasons)),
    )
    blocks = re.split(r"\n{2,}", text.strip("\n"))
    return "\n\n".join(map(_wrapped, blocks)) + "\n"


def _unit(environment: Environment) -> str:
    """What a partition is for, such as ``account, region and day``."""
    folders = PARTITION_COLUMNS[environment.settings.partition_layout]
    names = [name for name in ("account", "region") if name in folders]
    return f"{', '.join(names)} and day" if names else "day"


def _wrapped(block: str) -> str:
    """A block of Markdown; prose is filled to the line length."""
    if block.startswith(("#", "|", "-", "```")):
        return block
    return fill(block, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _files(files: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, size in files.items():
        if name.endswith(".zip"):
            yield f"`{name}`", f"the function's code, {counted(size, 'byte')}"
        elif name.endswith(".sha256"):
            yield f"`{name}`", f"its digest; `sha256sum -c {name}` compares it"
        elif name.endswith(".bom.json"):
            yield f"`{name}`", "what it was made from (CycloneDX)"
        else:
            yield f"`{name}`", "the Terraform"
    yield (
        "`SHA256SUMS`",
        "all files that were handed over; `sha256sum -c SHA256SUMS` compares them",
    )


def _inputs(stack: Json, environment: Environment) -> Iterator[str]:
    """What has to exist before the first plan."""
    terraform, account = stack["terraform"], environment.account
    whose = f"account {account}, and Terraform refuses any other" if account else "any account"
    yield f"Account and region: {whose}; {environment.region}"
    yield (
        f"Terraform `{terraform['required_version']}` with `{PROVIDER}`"
        f" {PROVIDER_VERSIONS_IN_WORDS}"
    )
    role = environment.assume_role
    yield (
        f"Credentials that may {f'assume `{role}`, which may ' if role else ''}make what Resources"
        " lists, pass its roles (`iam:PassRole`) to"
        f" Lambda and EventBridge Scheduler{''.join(_keys_to_apply(environment))}"
    )
    for source in environment.sources:
        where = f" in {source.region}" if source.region else ""
        owner = f" of account {source.account}" if source.account else ""
        below = f"`{LOGS_ROOT}` at or below `{source.uri()}`"
        yield f"Logs: bucket `{source.bucket}`{where}{owner}, {below}"
        yield from (f"Their key: `{key}`" for key in source.kms_keys)
    for content, location in _outputs(environment):
        created = "is made, if nobody has one of that name"
        existing = "with a lifecycle rule that aborts unfinished uploads"
        yield f"{content}: bucket `{location.bucket}`, {created if location.create else existing}"
    keys = (environment.dataset.kms_key, environment.state_location.kms_key)
    yield from (f"Key of what is written there: `{key}`" for key in dict.fromkeys(keys) if key)
    if environment.kms_key:
        yield f"Key of log, function and queues: `{environment.kms_key}`"
    if environment.alarms.enabled:
        topic = environment.alarms.topic
        yield (
            f"Topic: `{topic}`; CloudWatch may publish to it, and use its key if it has one"
            if topic
            else "No topic: there are alarms, but nobody is told"
        )
    if boundary := environment.iam.permissions_boundary:
        yield f"Permissions boundary of the roles: `{boundary}`; it allows what the roles may do"
    yield from _network(environment)
    if environment.catalogue.enabled and not environment.catalogue.create_database:
        yield f"Glue database: `{environment.database}`"
    if environment.catalogue.enabled and (workgroup := environment.catalogue.workgroup):
        key = f", and its key `{workgroup.kms_key}`" if workgroup.kms_key else ""
        yield f"Athena's results: bucket `{workgroup.bucket}`{key}; a lifecycle rule removes them"
    state = terraform.get("backend", {}).get("s3")
    yield (
        f"Terraform's state: bucket `{state['bucket']}`, key `{state['key']}`, {state['region']}"
        if state
        else "Terraform's state: nothing is said about it. Add a `backend.tf`, or it is a file"
        " here, `terraform.tfstate`"
    )


def _keys_to_apply(environment: Environment) -> Iterator[str]:
    """What whoever applies may do with keys.

    Sources: "Securing Lambda environment variables" (Lambda Developer Guide); "S3" (Terraform,
    backends).
    """
    if environment.kms_key:
        actions = "`kms:CreateGrant`, `kms:Decrypt`, `kms:Encrypt`"
        yield f", and use and grant the key of the function ({actions})"
    backend = environment.backend
    if backend and backend.kms_key:
        actions = "`kms:Decrypt`, `kms:Encrypt`, `kms:GenerateDataKey`"
        yield f", and use the key of Terraform's state, `{backend.kms_key}` ({actions})"


def _network(environment: Environment) -> Iterator[str]:
    if vpc := environment.vpc:
        services = "S3, EventBridge" + (", SQS" if environment.backfill_queue.enabled else "")
        locations = [*environment.sources, environment.dataset, environment.state_location]
        regions = {location.region for location in locations if location.region}
        far = sorted(regions - {environment.region})
        elsewhere = f", and to S3 in {', '.join(far)}" if far else ""
        groups = ", ".join(f"`{group}`" for group in vpc.security_groups)
        subnets = ", ".join(f"`{subnet}`" for subnet in vpc.subnets)
        yield (
            f"VPC: subnets {subnets}, security groups {groups}, with ways to {services}{elsewhere}"
        )


def _outputs(environment: Environment) -> list[tuple[str, OutputLocation]]:
    """The buckets of dataset and state, with their content; a shared bucket once."""
    dataset, state = environment.dataset, environment.state_location
    if dataset.bucket == state.bucket:
        return [("Dataset, receipts and leases", dataset)]
    return [("Dataset", dataset), ("Receipts and leases", state)]


def _grants(stack: Json, environment: Environment) -> Iterator[str]:
    wanted, key = grants(stack, environment), environment.kms_key
    of_readers = reader_key_grants(environment)
    if not (wanted or key or of_readers):
        return
    yield "## What others have to allow"
    yield (
        "What the roles may do is in this Terraform; owners elsewhere have to agree. Their"
        " statements name the account and, as a condition, the role, so they can be added before"
        " there is one."
        + ("" if environment.account else f" Put the function's account for `{NO_ACCOUNT}`.")
    )
    for grant in wanted:
        yield f"{_whose(grant, environment)}\n\n{in_json(grant.statements)}"
    if wanted:
        yield (
            "A bucket's policy counts only for objects that its owner owns: older log files may be"
            ' the deliverer\'s, unless its ownership is "bucket owner enforced".'
        )
    if key:
        yield (
            f"Key `{key}`: the log, and batches that could not be delivered, are encrypted by"
            " services, not by a role. Its policy needs, whoever owns it:\n\n"
            f"{in_json(key_grants(environment))}"
        )
    if of_readers:
        yield (
            f"Key `{environment.dataset.kms_key}`: readers of the dataset decrypt it. Its policy"
            f" needs:\n\n{in_json(of_readers)}"
        )
    yield (
        "A key of the function's own account needs nothing else, unless its policy leaves nothing"
        f" to IAM: then it has to name `{role_arn(environment, '')}`."
    )


def _whose(grant: Grant, environment: Environment) -> str:
    kind, policy = ("Key", "key") if grant.to.startswith("arn:") else ("Bucket", "bucket")
    match grant.owner, environment.account:
        case str(owner), str():
            who = f"account {owner} adds"
        case str(owner), None:
            who = f"unless the function is in account {owner}, that adds"
        case _:
            who = "if it is not the function's own account's, its owner adds"
    return f"{kind} `{grant.to}`: {who} to its {policy} policy:"


def _queue_backfill(environment: Environment) -> str:
    queue = environment.backfill_queue
    if not queue.enabled:
        return ""
    send = f"{sqs('send-message', 'backfill_url')} \\\n  --message-body '{json.dumps(_PLAN)}'"
    takers, times = queue.max_concurrency, counted(queue.max_receives, "time")
    return (
        f"{in_shell(send)}\n\nWhat the plan finds goes by the same queue, which hands messages to"
        f" {counted(takers, 'invocation')} at most at a time; one that fails {times} is a dead"
        " letter. Without the queue, by invoking the function or by its event bus:"
    )


def _redrive(environment: Environment) -> str:
    if not environment.backfill_queue.enabled:
        return ""
    arn = (
        f"{sqs('get-queue-attributes', 'dead_letters_url')} \\\n"
        "  --attribute-names QueueArn --query Attributes.QueueArn --output text"
    )
    commands = f'arn=$({arn})\naws sqs start-message-move-task --source-arn "$arn"'
    what = "Dead letters of the backfill go back into their queue, all of them:"
    return f"{what}\n\n{in_shell(commands)}"


def _versions(environment: Environment) -> Iterator[str]:
    for _, location in _outputs(environment):
        if location.create:
            days = counted(location.noncurrent_days, "day")
            yield f"`{location.bucket}` keeps what was replaced for {days}, as older versions."


def _keep_buckets(stack: Json, environment: Environment) -> str:
    types = sorted(type_ for type_ in stack["resource"] if type_.startswith("aws_s3_bucket"))
    addresses = [f"{type_}.{id_}" for type_ in types for id_ in sorted(stack["resource"][type_])]
    if not addresses:
        return ""
    if any(location.prevent_destroy for _, location in _outputs(environment)):
        why = "Terraform refuses to destroy its buckets; let it forget them first:"
    else:
        why = (
            "Terraform destroys a bucket only when it is empty; to keep those that it has made, let"
            " it forget them first:"
        )
    forget = " \\\n  ".join(["terraform state rm", *addresses])
    return f"{why}\n\n{in_shell(forget)}"
