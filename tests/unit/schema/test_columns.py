from hashlib import sha256

from cloudtrail_parquet.contract import PARTITION_COLUMNS
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS, SCHEMA, SCHEMA_VERSION

DIGESTS = {2: "fc5ce6f75721e0b9", 3: "40518923265803b2"}
"""Of the columns, by schema version: whoever changes them has to raise the version."""


def test_other_columns_are_another_schema_version() -> None:
    columns = SCHEMA.remove_metadata().to_string(show_field_metadata=False)

    assert DIGESTS[SCHEMA_VERSION] == sha256(columns.encode()).hexdigest()[:16]


def test_partition_columns_are_those_that_were_agreed_on() -> None:
    for layout, columns in PARTITION_COLUMNS.items():
        assert PARTITION_SCHEMAS[layout].names == list(columns)
