"""The schedules that start the function.

They are EventBridge Scheduler's and not scheduled rules, which AWS calls legacy: Scheduler has a
role and a dead-letter queue of its own, retries for hours, and needs no permission on the function.
"""

from cloudtrail_parquet.contract import daily_event, expire_event
from cloudtrail_parquet.wording import counted
from stacks.cdk import Construct, LambdaFunction, SchedulerSchedule, SchedulerScheduleGroup
from stacks.constructs.event_bus import RETRY_POLICY
from stacks.environment.fields import Environment
from stacks.iam.roles import ServiceRole
from stacks.iam.statements import Aws, Statement, key_statement


class Schedule(Construct):
    """The daily run, the one that catches up, and if asked for those of today and of old days.

    Attributes:
        role: The role with which Scheduler invokes the function.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        aws: Aws,
        function: LambdaFunction,
        failures_arn: str,
    ) -> None:
        super().__init__(scope, "schedule")
        self.role = ServiceRole(
            self,
            environment,
            aws,
            suffix="-schedule",
            service="scheduler.amazonaws.com",
            statements=_statements(environment, aws, function, failures_arn),
        )
        group = SchedulerScheduleGroup(self, "group", name=environment.name)
        schedule = environment.schedule
        runs = {
            "daily": (schedule.daily, daily_event(), "Yesterday, and what was not final before")
        }
        if schedule.provisional:
            about = "Today, as far as it has come"
            runs["provisional"] = (schedule.provisional, daily_event(days_back=0), about)
        if schedule.catch_up_days:
            about = (
                f"What is missing or outdated of the last {counted(schedule.catch_up_days, 'day')}"
            )
            event = daily_event(days=schedule.catch_up_days)
            runs["catch_up"] = (schedule.catch_up, event, about)
        if schedule.expire_after:
            about = f"Days older than {schedule.expire_after} are removed"
            runs["expire"] = (schedule.expire, expire_event(schedule.expire_after), about)
        for name, (when, event, about) in runs.items():
            SchedulerSchedule(
                self,
                name,
                name=name.replace("_", "-"),
                group_name=group.name,
                description=about,
                state="ENABLED" if schedule.enabled else "DISABLED",
                schedule_expression=when,
                schedule_expression_timezone="UTC",
                flexible_time_window={"mode": "OFF"},
                target={
                    "arn": function.arn,
                    "role_arn": self.role.arn,
                    "input": event,
                    "dead_letter_config": {"arn": failures_arn},
                    "retry_policy": RETRY_POLICY,
                },
                depends_on=[self.role.policy],
            )


def _statements(
    environment: Environment, aws: Aws, function: LambdaFunction, failures_arn: str
) -> list[Statement]:
    statements = [
        Statement(
            sid="Invoke",
            why="start the function",
            actions=("lambda:InvokeFunction",),
            resources=(function.arn,),
        ),
        Statement(
            sid="Undelivered",
            why="keep events that could not be delivered",
            actions=("sqs:SendMessage",),
            resources=(failures_arn,),
        ),
    ]
    if environment.kms_key:
        why = "encrypt events that could not be delivered"
        statements.append(key_statement(environment.kms_key, "sqs", why, aws))
    return statements
