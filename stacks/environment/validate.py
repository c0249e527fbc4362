"""Fields of an environment file that are legal each, but not together."""

import json
from collections.abc import Iterator
from itertools import permutations

from cloudtrail_parquet.contract import LOGS_ROOT, MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.settings.reach import SPARE_DAYS, catch_up_days, settled_at_min
from cloudtrail_parquet.wording import counted
from stacks.environment.catalogue import catalogue_conflicts
from stacks.environment.conflict import Conflict
from stacks.environment.fields import Environment
from stacks.environment.lifecycle import lifecycle_conflicts
from stacks.environment.locations import BucketLocation, OutputLocation
from stacks.environment.runs import runs_of
from stacks.environment.types import partition_of
from stacks.environment.workgroup import WorkgroupSettings

ENVIRONMENT_BYTES = 4096
"""Limit of all environment variables of a function together, as JSON (Lambda quotas)."""

OTHERS_BYTES = 512
"""The share of the variables that the stack adds."""


def conflicts(environment: Environment) -> Iterator[Conflict]:
    """Every conflict."""
    yield from _sources(environment)
    yield from _state(environment)
    yield from _one_bucket(environment)
    yield from _new_buckets(environment)
    yield from _of_new_buckets(environment)
    yield from lifecycle_conflicts(environment)
    yield from _among_logs(environment)
    yield from _regions(environment)
    yield from _arns(environment)
    yield from catalogue_conflicts(environment)
    yield from _limits(environment)
    yield from _schedule(environment)


def _schedule(environment: Environment) -> Iterator[Conflict]:
    """A daily run has to look at each day again soon after that has become final."""
    daily, settings = environment.schedule.daily, environment.settings
    runs, max_days = runs_of(daily), SPARE_DAYS + 1
    if runs is None or runs.days > max_days:
        yield Conflict(
            f"schedule.daily: {daily} does not run at least every {counted(max_days, 'day')}, as"
            " far as can be told, so that some days would never be final",
            ("schedule.daily",),
        )
    elif runs.latest is not None and runs.latest < settled_at_min(settings):
        hour, minute = divmod(settled_at_min(settings), 60)
        yield Conflict(
            f"schedule.daily: {daily} runs before {hour:02d}:{minute:02d}, when days are final by"
            " converter.lookahead_s and converter.settle_margin_s: let it run then or later",
            ("schedule.daily", "converter.lookahead_s", "converter.settle_margin_s"),
        )
    count, by_daily = environment.schedule.catch_up_days, catch_up_days(settings) + 1
    if 0 < count <= by_daily:
        yield Conflict(
            f"schedule.catch_up_days = {count}: the daily run looks at {counted(by_daily, 'day')}"
            " itself: give more, or 0 for none",
            ("schedule.catch_up_days", "converter.lookahead_s", "converter.settle_margin_s"),
        )


def _sources(environment: Environment) -> Iterator[Conflict]:
    for (number, inner), (other, outer) in permutations(enumerate(environment.sources), 2):
        if not inner.lies_in(outer):
            continue
        this, that = f"sources[{number}]", f"sources[{other}]"
        if not outer.lies_in(inner):
            text = f"{this}: {inner.uri()} lies in {outer.uri()}, which is {that}"
            yield Conflict(text, _where(this, that))
        elif number > other:
            yield Conflict(f"{this}: {inner.uri()} is {that} already", _where(this, that))


def _state(environment: Environment) -> Iterator[Conflict]:
    dataset, state = environment.dataset, environment.state_location
    if not (dataset.prefix or environment.state):
        yield Conflict(
            "state: has to be given where the dataset is a whole bucket: it lies outside of it",
            ("state", "dataset.prefix"),
        )
    elif state.lies_in(dataset):
        yield Conflict(
            f"state: {state.uri()} lies in the dataset, {dataset.uri()}, where only Parquet lies",
            _where("state", "dataset"),
        )
    if state.bucket == dataset.bucket and state.create:
        yield Conflict(
            "state.create: it lies in the dataset's bucket; give dataset.create instead",
            ("state.create", "state.bucket", "dataset.bucket"),
        )


def _given_outputs(environment: Environment) -> dict[str, OutputLocation]:
    given = {"dataset": environment.dataset, "state": environment.state}
    return {name: output for name, output in given.items() if output}


def _new_buckets(environment: Environment) -> Iterator[Conflict]:
    for name, output in _given_outputs(environment).items():
        if not output.create:
            continue
        if output.region not in {None, environment.region} or output.account not in {
            None,
            environment.account,
        }:
            fields = ("create", "region", "account")
            yield Conflict(
                f"{name}.create: a bucket is created in the region and account of the function",
                ("region", "account", *(f"{name}.{field}" for field in fields)),
            )
        for number, source in enumerate(environment.sources):
            if output.bucket == source.bucket:
                yield Conflict(
                    f"{name}.create: {output.bucket} is a source, so it exists already",
                    (f"{name}.create", f"{name}.bucket", f"sources[{number}].bucket"),
                )
        if environment.backend and output.bucket == environment.backend.bucket:
            yield Conflict(
                f"backend.bucket: {output.bucket} is created here ({name}.create), and Terraform"
                " needs its state before",
                ("backend.bucket", f"{name}.create", f"{name}.bucket"),
            )


def _one_bucket(environment: Environment) -> Iterator[Conflict]:
    """A bucket that is named several times has one region and one owner."""
    places = [
        (name, one.bucket, {"region": one.region or environment.region, "account": one.account})
        for name, one in _locations(environment).items()
    ]
    if backend := environment.backend:
        places.append(("backend", backend.bucket, {"region": backend.region}))
    if workgroup := _workgroup(environment):
        here = {"region": environment.region, "account": workgroup.account}
        places.append(("catalogue.workgroup", workgroup.bucket, here))
    said: dict[tuple[str, str], tuple[str, str]] = {}
    for name, bucket, facts in places:
        for field, value in facts.items():
            if value is None:
                continue
            other, first = said.setdefault((bucket, field), (name, value))
            if value != first:
                yield Conflict(
                    f"{name}: the {field} of {bucket} is {value} here, and {first} in {other}",
                    ("region", *_fields(name, "bucket", field), *_fields(other, "bucket", field)),
                )


def _of_new_buckets(environment: Environment) -> Iterator[Conflict]:
    """Fields that are about a bucket that is created here."""
    for name, output in _given_outputs(environment).items():
        for field in ("prevent_destroy", "readers", "tiers", "expire_days"):
            if getattr(output, field, None) and not output.create:
                yield Conflict(
                    f"{name}.{field}: {output.bucket} is not created here ({name}.create), so that"
                    " whoever has created it decides on that",
                    (f"{name}.{field}", f"{name}.create", f"{name}.bucket"),
                )


def _among_logs(environment: Environment) -> Iterator[Conflict]:
    written: dict[str, BucketLocation] = {**_given_outputs(environment)}
    if workgroup := _workgroup(environment):
        written["catalogue.workgroup"] = workgroup.results
    for name, output in written.items():
        if LOGS_ROOT not in output.prefix.split("/"):
            continue
        for number, source in enumerate(environment.sources):
            if output.lies_in(source):
                yield Conflict(
                    f"{name}: {output.uri()} lies in {LOGS_ROOT} of sources[{number}], where only"
                    " logs lie",
                    _where(name, f"sources[{number}]"),
                )


def _workgroup(environment: Environment) -> WorkgroupSettings | None:
    return environment.catalogue.workgroup if environment.catalogue.enabled else None


def _fields(table: str, *fields: str) -> tuple[str, ...]:
    return tuple(f"{table}.{field}" for field in fields)


def _where(*tables: str) -> tuple[str, ...]:
    return tuple(field for table in tables for field in _fields(table, "bucket", "prefix"))


def _locations(environment: Environment) -> dict[str, BucketLocation]:
    sources = {f"sources[{number}]": source for number, source in enumerate(environment.sources)}
    return {**sources, **_given_outputs(environment)}


def _regions(environment: Environment) -> Iterator[Conflict]:
    """All are in one partition of AWS, since credentials of one are not valid in another."""
    given = {name: location.region for name, location in _locations(environment).items()}
    given["backend"] = environment.backend.region if environment.backend else None
    regions = {f"{table}.region": region for table, region in given.items() if region}
    for number, region in enumerate(environment.catalogue.regions):
        regions[f"catalogue.regions[{number}]"] = region
    ours = partition_of(environment.region)
    for field, region in regions.items():
        if (theirs := partition_of(region)) != ours:
            yield Conflict(
                f"{field}: {region} is in {theirs}, and {environment.region} in {ours}",
                ("region", field),
            )


def _arns(environment: Environment) -> Iterator[Conflict]:
    ours = partition_of(environment.region)
    for field, arn, wanted in _fields_with_arns(environment):
        _, partition, _, region, *_ = arn.split(":")
        if partition != ours:
            yield Conflict(
                f"{field}: it is in the partition {partition}, and {environment.region} in {ours}",
                ("region", field),
            )
        elif region != wanted:
            table = field.rpartition(".")[0]
            yield Conflict(
                f"{field}: it is in {region}, and has to be in {wanted}",
                ("region", f"{table}.region", field),
            )
    role, account = environment.assume_role, environment.account
    if role and account and role.split(":")[4] != account:
        yield Conflict(
            f"assume_role: it has to be in the account that is deployed to, {account}",
            ("account", "assume_role"),
        )
    boundary = environment.iam.permissions_boundary
    if boundary and account and boundary.split(":")[4] not in {"aws", account}:
        yield Conflict(
            f"iam.permissions_boundary: it has to be in the account of the roles, {account}",
            ("account", "iam.permissions_boundary"),
        )


def _fields_with_arns(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Fields that hold ARNs, the ARNs, and the regions these have to name; none for IAM."""
    here = environment.region
    for number, source in enumerate(environment.sources):
        for key_number, key in enumerate(source.kms_keys):
            yield f"sources[{number}].kms_keys[{key_number}]", key, source.region or here
    for name, output in _given_outputs(environment).items():
        if output.kms_key:
            yield f"{name}.kms_key", output.kms_key, output.region or here
    workgroup = environment.catalogue.workgroup
    if workgroup and workgroup.kms_key:
        yield "catalogue.workgroup.kms_key", workgroup.kms_key, here
    backend = environment.backend
    if backend and backend.kms_key:
        yield "backend.kms_key", backend.kms_key, backend.region
    if backend and backend.assume_role:
        yield "backend.assume_role", backend.assume_role, ""
    others: dict[str, tuple[str | None, str]] = {
        "kms_key": (environment.kms_key, here),
        "alarms.topic": (environment.alarms.topic, here),
        **{
            f"dataset.readers[{number}]": (reader, "")
            for number, reader in enumerate(environment.dataset.readers)
            if not reader.isdigit()
        },
        "assume_role": (environment.assume_role, ""),
        "iam.permissions_boundary": (environment.iam.permissions_boundary, ""),
    }
    for field, (arn, region) in others.items():
        if arn:
            yield field, arn, region


def _limits(environment: Environment) -> Iterator[Conflict]:
    queue, reserved = environment.backfill_queue, environment.function.reserved_concurrency
    if queue.enabled and reserved is not None and queue.max_concurrency >= reserved:
        yield Conflict(
            f"backfill_queue.max_concurrency = {queue.max_concurrency}: it has to be less than"
            f" function.reserved_concurrency = {reserved}, to leave room for the daily run",
            (
                "backfill_queue.enabled",
                "backfill_queue.max_concurrency",
                "function.reserved_concurrency",
            ),
        )
    part_bytes = environment.settings.part_bytes
    if part_bytes > MAX_BUCKET_PART_BYTES:
        yield Conflict(
            f"converter.part_bytes = {part_bytes:,}: a bucket takes parts of"
            f" {MAX_BUCKET_PART_BYTES:,} bytes at most",
            ("converter.part_bytes",),
        )
    variables = environment.variables
    size, max_size = len(json.dumps(variables)), ENVIRONMENT_BYTES - OTHERS_BYTES
    if size > max_size:
        longest = max(variables, key=lambda name: len(variables[name]))
        # What is not legal is left out here, and would only make it longer.
        yield Conflict(
            f"converter: the function's environment would take {counted(size, 'byte')} of the"
            f" {max_size:,} that are free: shorten {longest}",
            (),
        )
