"""Rows come back as the records that they were made of, by code that the writer does not have."""

import pytest
from hypothesis import given

from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.json_columns import as_in_files
from cloudtrail_parquet.schema.columns import JsonEncoding
from cloudtrail_parquet.verification.restored import record_of
from cloudtrail_parquet.verification.values import canonical, normal, parse
from tests.builders import as_text, envelope, fitting_records, odd_records, table_of


def restored(text: str, encoding: JsonEncoding) -> str:
    table = table_of(decode(envelope([text]), "a.json.gz"))
    in_files, _ = as_in_files(table, encoding)
    (row,) = in_files.to_pylist()
    return canonical(normal(record_of(row)))


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
@given(odd_records)
def test_odd_records_come_back(encoding: JsonEncoding, text: str) -> None:
    assert restored(text, encoding) == canonical(normal(parse(text)))


@given(fitting_records)
def test_usual_records_come_back(record: dict[str, object]) -> None:
    text = as_text(record)

    assert restored(text, "string") == canonical(normal(parse(text)))


@pytest.mark.parametrize("unmapped", ["[1]", "{", "7"])
def test_unmapped_that_is_no_object_is_no_record(unmapped: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expect|Extra"):
        record_of({"unmapped": unmapped})


def test_derived_columns_are_left_out() -> None:
    row = {"eventType": "AwsApiCall", "eventName": "x", "derived": ["eventType"]}

    assert record_of(row) == {"eventName": "x"}


def test_the_schema_is_the_declared_one() -> None:
    assert record_of({"a": 1, "eventName": "x", "derived": None}) == {"eventName": "x"}
