"""The table that Athena queries: columns and partitions as the converter writes them."""

from cloudtrail_parquet.reference.ddl import athena_columns, athena_partitions, athena_properties
from stacks.cdk import (
    Construct,
    GlueCatalogDatabase,
    GlueCatalogTable,
    GlueCatalogTablePartitionKeys,
    GlueCatalogTableStorageDescriptorColumns,
    literal,
)
from stacks.environment.fields import Environment

_FORMATS = "org.apache.hadoop.hive.ql.io.parquet"


class GlueTable(Construct):
    """A Glue table with partition projection, and its database if the environment asks for it.

    Attributes:
        table: The table.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, "catalogue")
        catalogue, database = environment.catalogue, environment.database
        if catalogue.create_database:
            database = GlueCatalogDatabase(self, "database", name=database).name
        layout = environment.settings.partition_layout
        location = f"{environment.dataset.uri()}/"
        properties = {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            **athena_properties(location, layout),
            **_enumerated("account", catalogue.accounts),
            **_enumerated("region", catalogue.regions),
        }
        self.table = GlueCatalogTable(
            self,
            "this",
            database_name=database,
            name=catalogue.table,
            description="CloudTrail events",
            table_type="EXTERNAL_TABLE",
            parameters={name: literal(value) for name, value in properties.items()},
            partition_keys=[
                GlueCatalogTablePartitionKeys(name=name, type=type_)
                for name, type_ in athena_partitions(layout).items()
            ],
            storage_descriptor={
                "location": location,
                "input_format": f"{_FORMATS}.MapredParquetInputFormat",
                "output_format": f"{_FORMATS}.MapredParquetOutputFormat",
                "ser_de_info": {
                    "serialization_library": f"{_FORMATS}.serde.ParquetHiveSerDe",
                    "parameters": {"serialization.format": "1"},
                },
                "columns": [
                    GlueCatalogTableStorageDescriptorColumns(name=name, type=type_)
                    for name, type_ in athena_columns(layout).items()
                ],
            },
        )


def _enumerated(column: str, values: tuple[str, ...]) -> dict[str, str]:
    """The properties of a partition column whose values the environment lists."""
    if not values:
        return {}
    return {
        f"projection.{column}.type": "enum",
        f"projection.{column}.values": ",".join(values),
    }
