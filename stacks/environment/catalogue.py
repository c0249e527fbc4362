"""Contradictions of the Glue table and of the Athena workgroup."""

from collections.abc import Iterator

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PLACE_COLUMNS
from stacks.environment.conflict import Conflict
from stacks.environment.fields import Environment


def catalogue_conflicts(environment: Environment) -> Iterator[Conflict]:
    """Every conflict of table and workgroup."""
    yield from _table(environment)
    yield from _workgroup(environment)


def _table(environment: Environment) -> Iterator[Conflict]:
    catalogue, settings = environment.catalogue, environment.settings
    if catalogue.enabled and not (catalogue.create_database or catalogue.database):
        yield Conflict(
            "catalogue.database: has to be given where catalogue.create_database = false",
            ("catalogue.enabled", "catalogue.create_database", "catalogue.database"),
        )
    if catalogue.enabled and settings.json_encoding == "variant":
        yield Conflict(
            "catalogue.enabled: Athena cannot read converter.json_encoding = 'variant'",
            ("catalogue.enabled", "converter.json_encoding"),
        )
    listed = {"account": catalogue.accounts, "region": catalogue.regions}
    for column in PLACE_COLUMNS[settings.partition_layout]:
        if listed[column]:
            yield Conflict(
                f"catalogue.{column}s: {column} is a column of the files with"
                f" converter.partition_layout = {settings.partition_layout!r}, so that queries find"
                " every value: leave it out",
                (f"catalogue.{column}s", "converter.partition_layout"),
            )


def _workgroup(environment: Environment) -> Iterator[Conflict]:
    catalogue, workgroup = environment.catalogue, environment.catalogue.workgroup
    if workgroup is None or not catalogue.enabled:
        return
    given = ("catalogue.enabled", "catalogue.workgroup")
    folders = PARTITION_COLUMNS[environment.settings.partition_layout]
    for column, values in (("account", catalogue.accounts), ("region", catalogue.regions)):
        if column in folders and not values:
            yield Conflict(
                f"catalogue.{column}s: has to be given with catalogue.workgroup, whose queries look"
                f" for every {column}, where {column} is a folder: converter.partition_layout",
                (*given, f"catalogue.{column}s", "converter.partition_layout"),
            )
    results = workgroup.results
    outputs = {"dataset": environment.dataset, "state": environment.state_location}
    for name, other in outputs.items():
        if results.lies_in(other):
            yield Conflict(
                f"catalogue.workgroup.prefix: {results.uri()} lies in the {name}, {other.uri()}",
                (*given, *outputs),
            )
