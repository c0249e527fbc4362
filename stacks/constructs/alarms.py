"""The alarms: one for each thing that somebody has to act on."""

from collections.abc import Iterator
from typing import NamedTuple

from cloudtrail_parquet.contract import MetricName
from cloudtrail_parquet.settings.reach import catch_up_days
from cloudtrail_parquet.wording import counted
from stacks.cdk import CloudwatchMetricAlarm, Construct
from stacks.constructs.metrics import Metric, of_converter, of_function, of_queue
from stacks.environment.fields import Environment
from stacks.environment.runs import oldest_unsettled_days, settled_within_hours

MINUTES_5 = 300
HOUR = 3600
DAY_S = 86_400
NEAR_LIMIT = 0.9


class Alarm(NamedTuple):
    """An alarm.

    Attributes:
        id: Id of the construct.
        about: What has happened and what to do.
        metric: The metric that is watched.
        above: Raises the alarm when the metric is above it.
        period_s: Length of the period that each value covers.
        periods: How many values in a row have to be beyond the threshold.
        below: Raises the alarm when the metric is below it, or missing.
    """

    id: str
    about: str
    metric: Metric
    above: float | None = None
    period_s: int = MINUTES_5
    periods: int = 1
    below: float | None = None


class Alarms(Construct):
    """The alarms of an environment."""

    def __init__(
        self, scope: Construct, environment: Environment, failures: str, backfill: tuple[str, ...]
    ) -> None:
        """``failures`` is the name of that queue; ``backfill`` those of queue and dead letters."""
        super().__init__(scope, "alarms")
        topics = [environment.alarms.topic] if environment.alarms.topic else None
        for alarm in _alarms(environment, failures, backfill):
            low = alarm.below is not None
            CloudwatchMetricAlarm(
                self,
                alarm.id,
                alarm_name=f"{environment.name}-{alarm.id.replace('_', '-')}",
                alarm_description=alarm.about,
                namespace=alarm.metric.namespace,
                metric_name=alarm.metric.name,
                dimensions=alarm.metric.dimensions,
                statistic=alarm.metric.statistic,
                comparison_operator="LessThanThreshold" if low else "GreaterThanThreshold",
                threshold=alarm.below if low else alarm.above,
                period=alarm.period_s,
                evaluation_periods=alarm.periods,
                treat_missing_data="breaching" if low else "notBreaching",
                alarm_actions=topics,
                ok_actions=topics,
            )


def _alarms(environment: Environment, failures: str, backfill: tuple[str, ...]) -> Iterator[Alarm]:
    yield from _of_invocations(environment)
    yield from _of_failures(failures)
    yield from _of_logs(environment.name)
    if environment.schedule.enabled:
        yield from _of_daily_run(environment)
    if backfill:
        yield from _of_backfill(environment.name, *backfill)


def _of_invocations(environment: Environment) -> Iterator[Alarm]:
    name = environment.name
    yield Alarm(
        "errors",
        "Invocations of the converter fail. Its log says why, in event_failed and unit_failed.",
        of_function(name, "Errors"),
        above=0,
    )
    yield Alarm(
        "throttles",
        "The converter has waited for concurrency for an hour. Raise its reserved concurrency or"
        " the account's.",
        of_function(name, "Throttles"),
        above=0,
        periods=12,  # a plan sends all its batches at once: some wait
    )
    yield Alarm(
        "duration",
        "An invocation came near to its time limit. Its log says which unit; give the function more"
        " memory or time.",
        of_function(name, "Duration", "Maximum"),
        above=environment.function.timeout_s * 1000 * NEAR_LIMIT,
    )


def _of_failures(queue: str) -> Iterator[Alarm]:
    yield Alarm(
        "failures",
        "Events could not be done, and wait in the queue for failures. Mend the cause, send again.",
        of_queue(queue, "ApproximateNumberOfMessagesVisible"),
        above=0,
    )


def _of_logs(name: str) -> Iterator[Alarm]:
    yield Alarm(
        "units_failed",
        "Units could not be converted, and are tried again. The log has unit_failed with the unit"
        " and the reason.",
        of_converter(name, MetricName.UNITS_FAILED),
        above=0,
    )
    yield Alarm(
        "events_refused",
        "The converter was sent something that is not one of its events. The log has event_failed"
        " or message_failed, which say what was expected; find out who sends it.",
        of_converter(name, MetricName.EVENTS_REFUSED),
        above=0,
    )
    yield Alarm(
        "partial",
        "Log files are quarantined, or a partition was kept because its source has shrunk."
        " The log has unit_converted with status partial; the receipt names the files.",
        of_converter(name, MetricName.UNITS_PARTIAL),
        above=0,
    )
    yield Alarm(
        "accounts_refused",
        "The converter may not list the logs of some accounts, and leaves them out."
        " The log has account_refused; let the bucket's policy allow it.",
        of_converter(name, MetricName.ACCOUNTS_REFUSED),
        above=0,
    )
    yield Alarm(
        "unplaced",
        "Log files lie where nothing reads them, or hold no bytes. The log has unplaced with the"
        " folder and an example, or the day's receipt names them; put them where they belong.",
        of_converter(name, MetricName.FILES_UNPLACED),
        above=0,
    )


def _of_daily_run(environment: Environment) -> Iterator[Alarm]:
    name, hours = environment.name, settled_within_hours(environment.schedule.daily)
    yield Alarm(
        "not_settled",
        f"No day was settled in {counted(hours, 'hour')}: the daily run did not come or not get"
        " through, or no logs are delivered.",
        of_converter(name, MetricName.UNITS_SETTLED),
        below=1,
        period_s=HOUR,
        periods=hours,
    )
    days = oldest_unsettled_days(environment.schedule.daily, environment.settings)
    later = f"Those older than {_days(catch_up_days(environment.settings) + 1)} are left to " + (
        "the run that catches up, or a plan."
        if environment.schedule.catch_up_days
        else "a plan that somebody sends."
    )
    yield Alarm(
        "oldest_unsettled",
        f"A day is older than {_days(days)} and not final: daily runs were missed or fail. {later}",
        of_converter(name, MetricName.OLDEST_UNSETTLED_DAYS, "Maximum"),
        above=days,
    )


def _days(count: int) -> str:
    return f"{count} day{'s' if count > 1 else ''}"


def _of_backfill(name: str, queue: str, dead_letters: str) -> Iterator[Alarm]:
    yield Alarm(
        "messages_failed",
        "Messages of the backfill fail, and come again after minutes. The log has message_failed"
        " with the reason.",
        of_converter(name, MetricName.MESSAGES_FAILED),
        above=0,
    )
    yield Alarm(
        "recursion",
        "Lambda has stopped a backfill whose messages led to one another too often in a row; what"
        " is left of it is a dead letter. Start a redrive, which begins a new row.",
        of_function(name, "RecursiveInvocationsDropped"),
        above=0,
    )
    yield Alarm(
        "dead_letters",
        "Messages of the backfill failed too often. Mend the cause, start a redrive.",
        of_queue(dead_letters, "ApproximateNumberOfMessagesVisible"),
        above=0,
    )
    yield Alarm(
        "oldest_message",
        "A message of the backfill has waited for a day. Raise its concurrency, or wait.",
        of_queue(queue, "ApproximateAgeOfOldestMessage"),
        above=DAY_S,
    )
