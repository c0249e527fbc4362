"""The Glue table is that of the dataset."""

import re

from cloudtrail_parquet.reference.ddl import athena_columns, athena_partitions, athena_properties
from stacks.environment.fields import Environment
from tests.stacks.reading import Stack, StackOf, all_of, filled, only


def test_the_table_is_that_of_the_dataset(stack: Stack, environment: Environment) -> None:
    wanted = environment.catalogue
    assert bool(all_of(stack, "aws_glue_catalog_table")) == wanted.enabled
    if not wanted.enabled:
        return
    table = only(stack, "aws_glue_catalog_table")
    storage = table["storage_descriptor"]
    partitions = athena_partitions(environment.settings.partition_layout)

    columns = athena_columns(environment.settings.partition_layout)
    assert {one["name"]: one["type"] for one in storage["columns"]} == columns
    assert [one["name"] for one in storage["columns"]] == list(columns)
    keys = {one["name"]: one["type"] for one in table["partition_keys"]}
    assert list(keys.items()) == list(partitions.items())
    assert storage["location"] == f"{environment.dataset.uri()}/"
    assert table["name"] == wanted.table
    database = "${aws_glue_catalog_database.catalogue_database.name}"
    assert table["database_name"] == (database if wanted.create_database else wanted.database)
    for one in all_of(stack, "aws_glue_catalog_database").values():
        assert one["name"] == environment.database


def test_a_database_that_is_not_named_has_the_name_of_its_environment(other: StackOf) -> None:
    named = {case: only(other(case), "aws_glue_catalog_database")["name"] for case in _MADE}

    assert named == _MADE


_MADE = {"everything": "security", "story-dt": "story_dt", "china": "trails_in_china"}


def test_the_table_finds_partitions_without_looking_them_up(
    stack: Stack, environment: Environment
) -> None:
    if not environment.catalogue.enabled:
        return
    parameters = only(stack, "aws_glue_catalog_table")["parameters"]
    layout = environment.settings.partition_layout
    expected = athena_properties(environment.dataset.uri(), layout)
    for column in ("account", "region"):
        if values := getattr(environment.catalogue, f"{column}s"):
            expected[f"projection.{column}.type"] = "enum"
            expected[f"projection.{column}.values"] = ",".join(values)

    found = {name: filled(value) for name, value in parameters.items()}

    assert found == {"EXTERNAL": "TRUE", "classification": "parquet", **expected}


def test_accounts_and_regions_are_named_in_queries_unless_they_are_given(other: StackOf) -> None:
    given = only(other("everything"), "aws_glue_catalog_table")["parameters"]
    named = only(other("other-account"), "aws_glue_catalog_table")["parameters"]

    assert given["projection.account.values"] == "012345678901,123456789012"
    assert given["projection.region.type"] == "enum"
    assert named["projection.account.type"] == named["projection.region.type"] == "injected"


def test_where_accounts_and_regions_are_columns_only_days_are_projected(other: StackOf) -> None:
    table = only(other("story-dt"), "aws_glue_catalog_table")

    projected = {
        name for name in table["parameters"] if re.fullmatch(r"projection\..+\.type", name)
    }
    assert projected == {"projection.dt.type"}
    assert table["parameters"]["projection.dt.type"] == "date"
    assert [one["name"] for one in table["partition_keys"]] == ["dt"]
    columns = [one["name"] for one in table["storage_descriptor"]["columns"]]
    assert columns[-2:] == ["account", "region"]
