"""Fields of an environment file that are legal each, but not together."""

import json
from collections.abc import Iterator
from itertools import permutations

from cloudtrail_parquet.contract import LOGS_ROOT, MAX_BUCKET_PART_BYTES, PLACE_COLUMNS
from cloudtrail_parquet.settings.reach import SPARE_DAYS, settled_at_min
from stacks.environment.fields import Environment
from stacks.environment.runs import runs_of
from stacks.environment.types import partition_of

ENVIRONMENT_BYTES = 4096
"""Limit of all environment variables of a function together, as JSON (Lambda quotas)."""

OTHERS_BYTES = 512
"""The share of the variables that the stack adds."""


def conflicts(environment: Environment) -> Iterator[str]:
    """Every conflict as one line: the field, and what is wrong with it."""
    yield from _sources(environment)
    yield from _outputs(environment)
    yield from _among_logs(environment)
    yield from _regions(environment)
    yield from _arns(environment)
    yield from _catalogue(environment)
    yield from _limits(environment)
    yield from _schedule(environment)


def _schedule(environment: Environment) -> Iterator[str]:
    """A daily run has to look at each day again soon after that has become final."""
    daily, settings = environment.schedule.daily, environment.settings
    runs, max_days = runs_of(daily), SPARE_DAYS + 1
    if runs is None or runs.days > max_days:
        yield (
            f"schedule.daily: {daily} does not run at least every {max_days} days, as far as can be"
            " told, so that some days would never be final"
        )
    elif runs.latest is not None and runs.latest < settled_at_min(settings):
        hour, minute = divmod(settled_at_min(settings), 60)
        yield (
            f"schedule.daily: {daily} runs before {hour:02d}:{minute:02d}, when days are final by"
            " converter.lookahead_s and converter.settle_margin_s: let it run then or later"
        )


def _sources(environment: Environment) -> Iterator[str]:
    for (number, inner), (other, outer) in permutations(enumerate(environment.sources), 2):
        if not inner.lies_in(outer):
            continue
        if not outer.lies_in(inner):
            yield (
                f"sources[{number}]: {inner.uri()} lies in {outer.uri()}, which is sources[{other}]"
            )
        elif number > other:
            yield f"sources[{number}]: {inner.uri()} is sources[{other}] already"


def _outputs(environment: Environment) -> Iterator[str]:
    dataset, state = environment.dataset, environment.state_location
    if not (dataset.prefix or environment.state):
        yield "state: has to be given where the dataset is a whole bucket: it lies outside of it"
    elif state.lies_in(dataset):
        yield f"state: {state.uri()} lies in the dataset, {dataset.uri()}, where only Parquet lies"
    if state.bucket == dataset.bucket and state.create:
        yield "state.create: it lies in the dataset's bucket; give dataset.create instead"
    source_buckets = {source.bucket for source in environment.sources}
    for name, output in (("dataset", dataset), ("state", state)):
        elsewhere = output.region not in {None, environment.region}
        if output.create and (elsewhere or output.account not in {None, environment.account}):
            yield f"{name}.create: a bucket is created in the region and account of the function"
        if output.create and output.bucket in source_buckets:
            yield f"{name}.create: {output.bucket} is a source, so it exists already"


def _among_logs(environment: Environment) -> Iterator[str]:
    given = {"dataset": environment.dataset, "state": environment.state}
    for name, output in given.items():
        if output is None or LOGS_ROOT not in output.prefix.split("/"):
            continue
        for number, source in enumerate(environment.sources):
            if output.lies_in(source):
                yield (
                    f"{name}: {output.uri()} lies in {LOGS_ROOT} of sources[{number}], where only"
                    " logs lie"
                )


def _regions(environment: Environment) -> Iterator[str]:
    """All are in one partition of AWS, since credentials of one are not valid in another."""
    given = {
        f"sources[{number}]": source.region for number, source in enumerate(environment.sources)
    }
    given["dataset"] = environment.dataset.region
    given["state"] = environment.state.region if environment.state else None
    given["backend"] = environment.backend.region if environment.backend else None
    regions = {f"{table}.region": region for table, region in given.items() if region}
    for number, region in enumerate(environment.catalogue.regions):
        regions[f"catalogue.regions[{number}]"] = region
    ours = partition_of(environment.region)
    for field, region in regions.items():
        if (theirs := partition_of(region)) != ours:
            yield f"{field}: {region} is in {theirs}, and {environment.region} in {ours}"


def _arns(environment: Environment) -> Iterator[str]:
    ours = partition_of(environment.region)
    for field, arn, wanted in _fields_with_arns(environment):
        _, partition, _, region, *_ = arn.split(":")
        if partition != ours:
            yield f"{field}: it is in the partition {partition}, and {environment.region} in {ours}"
        elif region != wanted:
            yield f"{field}: it is in {region}, and has to be in {wanted}"
    boundary, account = environment.iam.permissions_boundary, environment.account
    if boundary and account and boundary.split(":")[4] not in {"aws", account}:
        yield f"iam.permissions_boundary: it has to be in the account of the roles, {account}"


def _fields_with_arns(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Fields that hold ARNs, the ARNs, and the regions these have to name; none for IAM."""
    here = environment.region
    for number, source in enumerate(environment.sources):
        for key_number, key in enumerate(source.kms_keys):
            yield f"sources[{number}].kms_keys[{key_number}]", key, source.region or here
    for name, output in (("dataset", environment.dataset), ("state", environment.state)):
        if output and output.kms_key:
            yield f"{name}.kms_key", output.kms_key, output.region or here
    backend = environment.backend
    if backend and backend.kms_key:
        yield "backend.kms_key", backend.kms_key, backend.region
    others: dict[str, tuple[str | None, str]] = {
        "kms_key": (environment.kms_key, here),
        "alarms.topic": (environment.alarms.topic, here),
        "iam.permissions_boundary": (environment.iam.permissions_boundary, ""),
    }
    for field, (arn, region) in others.items():
        if arn:
            yield field, arn, region


def _catalogue(environment: Environment) -> Iterator[str]:
    catalogue, settings = environment.catalogue, environment.settings
    if catalogue.enabled and settings.json_encoding == "variant":
        yield "catalogue.enabled: Athena cannot read converter.json_encoding = 'variant'"
    listed = {"account": catalogue.accounts, "region": catalogue.regions}
    for column in PLACE_COLUMNS[settings.partition_layout]:
        if listed[column]:
            yield (
                f"catalogue.{column}s: {column} is a column of the files with"
                f" converter.partition_layout = {settings.partition_layout!r}, so that queries find"
                " every value: leave it out"
            )


def _limits(environment: Environment) -> Iterator[str]:
    queue, reserved = environment.backfill_queue, environment.function.reserved_concurrency
    if queue.enabled and reserved is not None and queue.max_concurrency >= reserved:
        yield (
            f"backfill_queue.max_concurrency = {queue.max_concurrency}: it has to be less than"
            f" function.reserved_concurrency = {reserved}, to leave room for the daily run"
        )
    part_bytes = environment.settings.part_bytes
    if part_bytes > MAX_BUCKET_PART_BYTES:
        yield (
            f"converter.part_bytes = {part_bytes:,}: a bucket takes parts of"
            f" {MAX_BUCKET_PART_BYTES:,} bytes at most"
        )
    variables = environment.variables
    size, max_size = len(json.dumps(variables)), ENVIRONMENT_BYTES - OTHERS_BYTES
    if size > max_size:
        longest = max(variables, key=lambda name: len(variables[name]))
        yield (
            f"converter: the function's environment would take {size:,} bytes of the {max_size:,}"
            f" that are free: shorten {longest}"
        )
