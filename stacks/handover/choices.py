"""What an environment has chosen, in a table of the README of a hand-over."""

from collections.abc import Iterator
from dataclasses import fields

from cloudtrail_parquet.contract import PLACE_COLUMNS, setting_variable
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.wording import counted
from stacks.environment.fields import Environment
from stacks.environment.locations import DatasetLocation
from stacks.iam.cross_account import Json


def choices(stack: Json, environment: Environment) -> Iterator[tuple[str, str]]:
    """What was chosen, in two columns: a verb, and its object."""
    settings, schedule = environment.function, environment.schedule
    yield "reads", ", ".join(f"`{source.uri()}`" for source in environment.sources)
    yield "writes", f"`{environment.dataset.uri()}`"
    layout = environment.settings.partition_layout
    if readers := environment.dataset.readers:
        yield "may be read by", ", ".join(f"`{reader}`" for reader in readers)
    if kept := ", ".join(_lifetime(environment.dataset)):
        yield "keeps parts", kept
    columns = " and ".join(PLACE_COLUMNS[layout])
    yield "has the folders", f"`{layout}`" + (f"; {columns} in columns" if columns else "")
    yield "keeps receipts and leases in", f"`{environment.state_location.uri()}`"
    catch_up = schedule.catch_up if schedule.catch_up_days else None
    times = [f"`{when}`" for when in (schedule.daily, schedule.provisional, catch_up) if when]
    yield "runs", f"{' and '.join(times)}, UTC" + ("" if schedule.enabled else ", but is disabled")
    reserved = settings.reserved_concurrency
    at_a_time = f", {reserved} at a time" if reserved else ""
    if schedule.expire_after:
        when = f"at `{schedule.expire}`"
        yield "removes", f"days of events older than {schedule.expire_after}, {when}"
    yield (
        "is",
        (
            f"`{environment.name}`: {settings.runtime} on {settings.architecture},"
            f" {settings.memory_mb:,} MB, {settings.timeout_s} s at most{at_a_time}"
        ),
    )
    function = stack["resource"]["aws_lambda_function"]["converter"]
    variables = function["environment"]["variables"].items()
    changed = [f"`{_SETTINGS[name]} = {value}`" for name, value in variables if name in _SETTINGS]
    if changed:
        yield "is set to", ", ".join(changed)


def _lifetime(dataset: DatasetLocation) -> Iterator[str]:
    for name, days in sorted(dataset.tiers.items(), key=lambda tier: tier[1]):
        yield f"from day {days} on in {name}"
    if dataset.expire_days:
        yield f"for {counted(dataset.expire_days, 'day')} after they are written"


_SETTINGS = {setting_variable(field.name): field.name for field in fields(Settings)}
