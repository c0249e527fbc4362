"""What is wrong with fields of an environment that are each legal alone."""

import json
from collections.abc import Iterator
from itertools import permutations

from cloudtrail_parquet.contract import MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.settings.reach import SPARE_DAYS, final_at_min
from cloudtrail_parquet.storage import is_below
from stacks.environment.fields import Environment, partition_of
from stacks.environment.runs import runs_of

ENVIRONMENT_BYTES = 4096
"""What Lambda allows all environment variables of a function together, as JSON (Lambda quotas)."""

OTHERS_BYTES = 512
"""Of these, for variables that the stack adds."""


def contradictions(environment: Environment) -> Iterator[str]:
    """Every contradiction: the field, and what is wrong."""
    yield from _sources(environment)
    yield from _outputs(environment)
    yield from _regions(environment)
    yield from _keys_and_others(environment)
    yield from _limits(environment)
    yield from _schedule(environment)


def _schedule(environment: Environment) -> Iterator[str]:
    """Days that become final have to be looked at again by a daily run, and soon."""
    daily, settings = environment.schedule.daily, environment.settings
    runs, most = runs_of(daily), SPARE_DAYS + 1
    if runs is None or runs.days > most:
        yield (
            f"schedule.daily: {daily} does not run at least every {most} days, as far as can be"
            " told, so that some days would never be final"
        )
    elif runs.latest is not None and runs.latest < final_at_min(settings):
        hour, minute = divmod(final_at_min(settings), 60)
        yield (
            f"schedule.daily: {daily} runs before {hour:02d}:{minute:02d}, when days are final by"
            " converter.lookahead_s and converter.settle_margin_s: let it run then or later"
        )


def _sources(environment: Environment) -> Iterator[str]:
    uris = {f"sources[{number}]": one.uri() for number, one in enumerate(environment.sources)}
    for (inner, uri), (outer, around) in permutations(uris.items(), 2):
        if not is_below(uri, around):
            continue
        if not is_below(around, uri):
            yield f"{inner}: {uri} lies in {around}, which is {outer}"
        elif inner > outer:
            yield f"{inner}: {uri} is {outer} already"


def _outputs(environment: Environment) -> Iterator[str]:
    dataset, state = environment.dataset, environment.state_place
    if not (dataset.prefix or environment.state):
        yield "state: has to be given where the dataset is a whole bucket: it lies outside of it"
    elif is_below(state.uri(), dataset.uri()):
        yield f"state: {state.uri()} lies in the dataset, {dataset.uri()}, where only Parquet lies"
    if state.bucket == dataset.bucket and state.create:
        yield "state.create: it lies in the dataset's bucket; give dataset.create instead"
    for name, place in (("dataset", dataset), ("state", state)):
        elsewhere = place.region not in {None, environment.region}
        if place.create and (elsewhere or place.account not in {None, environment.account}):
            yield f"{name}.create: a bucket is made in the region and account of the function"
        if place.create and place.bucket in {one.bucket for one in environment.sources}:
            yield f"{name}.create: {place.bucket} is a source, so it is there"


def _regions(environment: Environment) -> Iterator[str]:
    """Credentials of one partition are worth nothing in another one."""
    given = {f"sources[{number}]": one.region for number, one in enumerate(environment.sources)}
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


def _keys_and_others(environment: Environment) -> Iterator[str]:
    ours = partition_of(environment.region)
    for field, arn, wanted in _arns(environment):
        _, partition, _, region, *_ = arn.split(":")
        if partition != ours:
            yield f"{field}: it is in the partition {partition}, and {environment.region} in {ours}"
        elif region != wanted:
            yield f"{field}: it is in {region}, and has to be in {wanted}"
    boundary, account = environment.iam.permissions_boundary, environment.account
    if boundary and account and boundary.split(":")[4] not in {"aws", account}:
        yield f"iam.permissions_boundary: it has to be in the account of the roles, {account}"


def _arns(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Fields that are ARNs, with the regions that they have to be in; roles have none."""
    here = environment.region
    for number, source in enumerate(environment.sources):
        for key_number, key in enumerate(source.kms_keys):
            yield f"sources[{number}].kms_keys[{key_number}]", key, source.region or here
    places = {"dataset": environment.dataset, "state": environment.state}
    regions = {name: (one, one.region or here) for name, one in places.items() if one}
    for name, (place, region) in regions.items():
        if place.kms_key:
            yield f"{name}.kms_key", place.kms_key, region
    backend = environment.backend
    if backend and backend.kms_key:
        yield "backend.kms_key", backend.kms_key, backend.region
    others = {
        "kms_key": (environment.kms_key, here),
        "alarms.topic": (environment.alarms.topic, here),
        "iam.permissions_boundary": (environment.iam.permissions_boundary, ""),
    }
    for field, (arn, region) in others.items():
        if arn:
            yield field, arn, region


def _limits(environment: Environment) -> Iterator[str]:
    queue, most = environment.backfill_queue, environment.function.reserved_concurrency
    if queue.enabled and most is not None and queue.max_concurrency >= most:
        yield (
            f"backfill_queue.max_concurrency = {queue.max_concurrency}: it has to be less than"
            f" function.reserved_concurrency = {most}, or the daily run finds no room"
        )
    if environment.catalogue.enabled and environment.settings.json_encoding == "variant":
        yield "catalogue.enabled: Athena cannot read converter.json_encoding = 'variant'"
    part_bytes = environment.settings.part_bytes
    if part_bytes > MAX_BUCKET_PART_BYTES:
        yield (
            f"converter.part_bytes = {part_bytes:,}: a bucket takes parts of"
            f" {MAX_BUCKET_PART_BYTES:,} bytes at most"
        )
    variables = environment.variables
    size, most_bytes = len(json.dumps(variables)), ENVIRONMENT_BYTES - OTHERS_BYTES
    if size > most_bytes:
        longest = max(variables, key=lambda name: len(variables[name]))
        yield (
            f"converter: the function's environment would take {size:,} bytes, and there are"
            f" {most_bytes:,} for it: shorten {longest}"
        )
