"""Every resource and statement of a stack in words, for the README of a hand-over."""

from collections.abc import Iterator, Mapping

from stacks.environment.fields import Environment
from stacks.iam.cross_account import ROLES, Json, fill_in, known_aws, role_arn, role_statements
from stacks.iam.statements import Aws

_RESOURCES = {
    "aws_athena_workgroup.athena_workgroup": "limits what a query reads, and has the queries below",
    "aws_cloudwatch_dashboard.dashboard": "shows units, records, bytes, invocations and queues",
    "aws_cloudwatch_event_bus.fan_out": "takes batches of units for other invocations",
    "aws_cloudwatch_event_rule.fan_out_rule": "picks the batches of this account on that bus",
    "aws_cloudwatch_event_target.fan_out_target": "sends each of them to the function",
    "aws_cloudwatch_log_group.converter_log": "the function's log",
    "aws_glue_catalog_database.catalogue_database": "the database of the table",
    "aws_glue_catalog_table.catalogue": "the table for Athena; it finds partitions by their names",
    "aws_iam_role.converter_role": "the function's role",
    "aws_iam_role.schedule_role": "the schedules' role",
    "aws_iam_role_policy.converter_role_policy": "what the function may do",
    "aws_iam_role_policy.schedule_role_policy": "what the schedules may do",
    "aws_lambda_event_source_mapping.backfill_mapping": "gives messages of the backfill queue to"
    " the function, one at a time",
    "aws_lambda_function.converter": "the converter",
    "aws_lambda_function_event_invoke_config.converter_invocations": "two retries, then the event"
    " goes to the queue for failures",
    "aws_lambda_permission.fan_out_permission": "lets the rule invoke the function",
    "aws_scheduler_schedule_group.schedule_group": "the schedules' group",
    "aws_sqs_queue.backfill_dead_letters": "messages of the backfill that failed too often",
    "aws_sqs_queue.backfill_queue": "events of a backfill",
    "aws_sqs_queue.failures": "events that could not be done or delivered",
    "aws_sqs_queue_policy.backfill_dead_letters_policy": "encrypted requests only",
    "aws_sqs_queue_policy.backfill_queue_policy": "encrypted requests only",
    "aws_sqs_queue_policy.failures_policy": "encrypted requests only; the rule may send",
    "aws_sqs_queue_redrive_allow_policy.backfill_redrive": "only the backfill queue has its dead"
    " letters there",
}

_OF_BUCKETS = {
    "aws_s3_bucket": "the bucket",
    "aws_s3_bucket_lifecycle_configuration": "removes unfinished uploads and what was replaced",
    "aws_s3_bucket_ownership_controls": "its owner owns all objects; no access lists",
    "aws_s3_bucket_policy": "encrypted requests only",
    "aws_s3_bucket_public_access_block": "nothing in it is ever public",
    "aws_s3_bucket_server_side_encryption_configuration": "encrypts what is written",
    "aws_s3_bucket_versioning": "keeps what is replaced, for a time",
}

_POLICIES = {
    "backfill_dead_letters_access": "The policy of `aws_sqs_queue.backfill_dead_letters`",
    "backfill_queue_access": "The policy of `aws_sqs_queue.backfill_queue`",
    "converter_role_trust": "Who may act with `aws_iam_role.converter_role`",
    "dataset_access": "The policy of `aws_s3_bucket.dataset`",
    "failures_access": "The policy of `aws_sqs_queue.failures`",
    "schedule_role_trust": "Who may act with `aws_iam_role.schedule_role`",
    "state_access": "The policy of `aws_s3_bucket.state`",
}

_SERVICES = {"converter_role": "Lambda", "schedule_role": "EventBridge Scheduler"}


def resource_rows(stack: Json) -> Iterator[tuple[str, str]]:
    """The address and the description of every resource."""
    for type_, blocks in sorted(stack["resource"].items()):
        for id_, block in sorted(blocks.items()):
            yield f"`{type_}.{id_}`", _in_words(type_, id_, block)


def _in_words(type_: str, id_: str, block: Json) -> str:
    match type_:
        case "aws_cloudwatch_metric_alarm":
            return str(block["alarm_description"])
        case "aws_athena_named_query":
            return str(block["description"]).partition(" Parameters: ")[0]
        case "aws_scheduler_schedule":
            return f"{block['description']}: `{block['schedule_expression']}`"
        case _ if type_ in _OF_BUCKETS:
            whose = "dataset" if id_.startswith("dataset") else "receipts and leases"
            return f"{_OF_BUCKETS[type_]} ({whose})"
        case _:
            return _RESOURCES[f"{type_}.{id_}"]


def permission_lines(
    stack: Json, environment: Environment, reasons: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """All policies, statement by statement; ``reasons`` say why a role has each of its own."""
    here = known_aws(environment)
    for role, suffix in ROLES.items():
        arn = role_arn(environment, suffix)
        yield f"**What {_SERVICES[role]} may do with `aws_iam_role.{role}`**, `{arn}`:\n"
        for statement in role_statements(stack, role):
            yield from _statement(statement, reasons[role][statement["sid"]], here)
        yield ""
    documents = stack["data"]["aws_iam_policy_document"]
    for name in sorted(documents.keys() - {f"{role}_access" for role in ROLES}):
        yield f"**{_POLICIES[name]}**:\n"
        for statement in documents[name]["statement"]:
            yield from _statement(statement, "", here)
        yield ""


def _statement(statement: Json, why: str, here: Aws) -> Iterator[str]:
    def listed(texts: list[str], word: str = ", ") -> str:
        return word.join(f"`{fill_in(text, here)}`" for text in texts)

    yield f"- {statement['sid']}" + (f": {why}" if why else "")
    principals = statement.get("principals", ())
    who = [name for principal in principals for name in principal["identifiers"]]
    subject = "anybody " if who == ["*"] else f"{listed(who)} " if who else ""
    verb = "may" if statement["effect"] == "Allow" else "may not"
    on = f" on {listed(statement['resources'])}" if statement.get("resources") else ""
    yield f"  - {subject}{verb} {listed(statement['actions'])}{on}"
    for condition in statement.get("condition", ()):
        values = listed(condition["values"], " or ")
        yield f"  - if `{condition['variable']}` is {values} (`{condition['test']}`)"
