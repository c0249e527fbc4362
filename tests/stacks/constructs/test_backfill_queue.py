"""Messages of a backfill get the time they need, and are tried again."""

import json

from stacks.environment.fields import Environment
from tests.stacks.reading import Stack, all_of, only


def test_the_backfill_queue_gives_messages_time_and_reports_each_that_failed(
    stack: Stack, environment: Environment
) -> None:
    wanted = environment.backfill_queue
    assert bool(all_of(stack, "aws_lambda_event_source_mapping")) == wanted.enabled
    if not wanted.enabled:
        return
    queue = all_of(stack, "aws_sqs_queue")["backfill_queue"]
    mapping = only(stack, "aws_lambda_event_source_mapping")

    assert queue["visibility_timeout_seconds"] >= 6 * environment.function.timeout_s
    assert mapping["event_source_arn"] == "${aws_sqs_queue.backfill_queue.arn}"
    assert mapping["function_name"] == "${aws_lambda_function.converter.arn}"
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["scaling_config"] == {"maximum_concurrency": wanted.max_concurrency}
    assert mapping["depends_on"] == ["aws_iam_role_policy.converter_role_policy"]


def test_messages_that_fail_too_often_become_dead_letters(
    stack: Stack, environment: Environment
) -> None:
    if not environment.backfill_queue.enabled:
        assert not all_of(stack, "aws_sqs_queue_redrive_allow_policy")
        return
    queues = all_of(stack, "aws_sqs_queue")
    redrive = json.loads(queues["backfill_queue"]["redrive_policy"])
    allow = only(stack, "aws_sqs_queue_redrive_allow_policy")

    assert redrive == {
        "deadLetterTargetArn": "${aws_sqs_queue.backfill_dead_letters.arn}",
        "maxReceiveCount": environment.backfill_queue.max_receives,
    }
    assert allow["queue_url"] == "${aws_sqs_queue.backfill_dead_letters.url}"
    assert json.loads(allow["redrive_allow_policy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": ["${aws_sqs_queue.backfill_queue.arn}"],
    }
