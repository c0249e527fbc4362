"""What only one environment may have: two that make or write the same would undo each other's work.

Names of buckets are those of a whole partition of AWS, whatever account and region they are in (S3
User Guide, "General purpose bucket naming rules").
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

from stacks.environment.locations import BucketLocation
from stacks.environment.mend import Mended
from stacks.environment.types import partition_of

What = tuple[str | None, ...]
"""Something that exists once, with where that is."""


def shared(read: Mapping[Path, Mended]) -> Iterator[tuple[Path, str]]:
    """Each mistake of two environments that have the same, with the file that is to be changed."""
    made = {path: dict(_made(found)) for path, found in read.items()}
    taken = Counter(what for of_file in made.values() for what in of_file)
    for path, of_file in made.items():
        yield from ((path, problem) for what, problem in of_file.items() if taken[what] > 1)
    for (path, inner), (other, outer) in permutations(read.items(), 2):
        yield from ((path, problem) for problem in _written(inner, outer, other.stem))


def _made(found: Mended) -> Iterator[tuple[What, str]]:
    """What only one environment may make, and the mistake if two do."""
    environment = found.environment
    account = environment.account
    if found.knows("account", "name"):
        taken = "another environment of that account has it"
        yield ("name", account, environment.name), f"name = {environment.name!r}: {taken}"
    yield from _of_catalogue(found)
    partition, backend = partition_of(environment.region), environment.backend
    if backend and found.knows("region", "backend.bucket", "backend.key"):
        problem = (
            f"backend.key = {backend.key!r} in {backend.bucket!r}: another environment has it, and"
            " each would destroy what the other has made"
        )
        yield ("backend", partition, backend.bucket, backend.key), problem
    for name, output in (("dataset", environment.dataset), ("state", environment.state)):
        fields = (f"{name}.{field}" for field in ("create", "bucket"))
        if output and output.create and found.knows("region", *fields):
            problem = f"{name}.create: another environment creates {output.bucket}, too"
            yield ("bucket", partition, output.bucket), problem


def _of_catalogue(found: Mended) -> Iterator[tuple[What, str]]:
    environment = found.environment
    account, region = environment.account, environment.region
    catalogue, database = environment.catalogue, environment.database
    if not catalogue.enabled or not found.knows("account", "name", "region", "catalogue"):
        return
    taken = "another environment of that account and region has it"
    if catalogue.create_database:
        problem = f"catalogue.database = {database!r}: {taken}; only one may create it"
        yield ("database", account, region, database), problem
    problem = f"catalogue.table = {catalogue.table!r} in {database!r}: {taken}"
    yield ("table", account, region, database, catalogue.table), problem


def _written(this: Mended, other: Mended, name: str) -> Iterator[str]:
    """What one environment writes where another does."""
    if partition_of(this.environment.region) != partition_of(other.environment.region):
        return
    inner, outer = _outputs(this), _outputs(other)
    if this.environment.state is None:
        inner.pop("state", None)  # it lies beside the dataset, about which the same is told
    for table, output in inner.items():
        for theirs, location in outer.items():
            what = f"the {theirs} of environment {name}"
            if output.lies_in(location) and location.lies_in(output):
                yield f"{table}: {output.uri()} is {what} already"
            elif output.lies_in(location):
                yield f"{table}: {output.uri()} lies in {what}, {location.uri()}"


def _outputs(found: Mended) -> dict[str, BucketLocation]:
    """Where an environment writes, as far as the file says so."""
    environment = found.environment
    dataset = ("region", "dataset.bucket", "dataset.prefix")
    state = ("region", "state.bucket", "state.prefix") if environment.state else (*dataset, "state")
    outputs = dict[str, BucketLocation]()
    if found.knows(*dataset):
        outputs["dataset"] = environment.dataset
    if found.knows(*state):
        outputs["state"] = environment.state_location
    return outputs
