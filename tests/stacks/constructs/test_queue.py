"""Who may send to a queue."""

from tests.stacks.reading import Stack, all_of, policy


def test_only_the_rule_may_send_to_the_failures_without_a_role(stack: Stack) -> None:
    statements = policy(stack, all_of(stack, "aws_sqs_queue_policy")["failures_policy"]["policy"])

    (allowed,) = (one for one in statements if one["effect"] == "Allow")

    assert allowed["actions"] == ["sqs:SendMessage"]
    assert allowed["principals"] == [{"type": "Service", "identifiers": ["events.amazonaws.com"]}]
    assert allowed["condition"] == [
        {
            "test": "ArnEquals",
            "variable": "aws:SourceArn",
            "values": ["${aws_cloudwatch_event_rule.fan_out_rule.arn}"],
        }
    ]
