"""When the function runs by itself.

By EventBridge Scheduler and not by a scheduled rule, which AWS calls legacy: it has a role and a
dead-letter queue of its own, tries for hours, and needs no permission on the function.
"""

from cloudtrail_parquet.function.events import Daily, to_text
from stacks.cdk import Construct, LambdaFunction, SchedulerSchedule, SchedulerScheduleGroup
from stacks.constructs.event_bus import RETRY_POLICY
from stacks.environment.fields import Environment
from stacks.iam.roles import ServiceRole
from stacks.iam.statements import Aws, Statement, key_statement


class Schedule(Construct):
    """The daily run, and the provisional one of today if that is asked for.

    Attributes:
        role: With which Scheduler invokes the function.
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
        events = {"daily": (schedule.daily, Daily(), "Yesterday, and what was not final before")}
        if schedule.provisional:
            about = "Today, as far as it has come"
            events["provisional"] = (schedule.provisional, Daily(days_back=0), about)
        for name, (when, event, about) in events.items():
            SchedulerSchedule(
                self,
                name,
                name=name,
                group_name=group.name,
                description=about,
                state="ENABLED" if schedule.enabled else "DISABLED",
                schedule_expression=when,
                schedule_expression_timezone="UTC",
                flexible_time_window={"mode": "OFF"},
                target={
                    "arn": function.arn,
                    "role_arn": self.role.arn,
                    "input": to_text(event),
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
