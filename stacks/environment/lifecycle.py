"""How long parts are kept, and where: fields of an environment that are not legal together."""

from collections.abc import Iterator

from cloudtrail_parquet.settings.ages import days_of
from cloudtrail_parquet.wording import counted
from stacks.environment.conflict import Conflict
from stacks.environment.fields import Environment

MIN_DAYS = 30
"""Days until a transition to an infrequent tier, and from there to the next one."""


def lifecycle_conflicts(environment: Environment) -> Iterator[Conflict]:
    """Every conflict.

    Source: S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle".
    """
    dataset = environment.dataset
    tiers, expire_days = dataset.tiers, dataset.expire_days
    infrequent, instant = tiers.get("STANDARD_IA"), tiers.get("GLACIER_IR")
    if infrequent is not None and infrequent < MIN_DAYS:
        yield Conflict(
            f"dataset.tiers.STANDARD_IA = {infrequent}: S3 takes {MIN_DAYS} days or more",
            ("dataset.tiers",),
        )
    if infrequent is not None and instant is not None and instant < infrequent + MIN_DAYS:
        yield Conflict(
            f"dataset.tiers.GLACIER_IR = {instant}: it has to be {MIN_DAYS} days or more after"
            f" STANDARD_IA = {infrequent}",
            ("dataset.tiers",),
        )
    if "INTELLIGENT_TIERING" in tiers and len(tiers) > 1:
        yield Conflict(
            "dataset.tiers: INTELLIGENT_TIERING moves parts by itself: give it alone",
            ("dataset.tiers",),
        )
    if expire_days is None:
        return
    if tiers and expire_days <= max(tiers.values()):
        yield Conflict(
            f"dataset.expire_days = {expire_days}: it has to be more than those of dataset.tiers,"
            f" {max(tiers.values())}",
            ("dataset.expire_days", "dataset.tiers"),
        )
    if expire_days <= environment.schedule.catch_up_days:
        yield Conflict(
            f"dataset.expire_days = {expire_days}: it has to be more than schedule.catch_up_days ="
            f" {environment.schedule.catch_up_days}, or parts that are removed are written again",
            ("dataset.expire_days", "schedule.catch_up_days"),
        )
    age = environment.schedule.expire_after
    if age is not None and expire_days <= (days := days_of(age, "schedule.expire_after")[1]):
        yield Conflict(
            f"dataset.expire_days = {expire_days}: it has to be more than schedule.expire_after ="
            f" {age}, up to {counted(days, 'day')}, or parts go before their receipts tell of it",
            ("dataset.expire_days", "schedule.expire_after"),
        )
