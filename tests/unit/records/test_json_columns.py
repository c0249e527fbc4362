"""Free-form columns as files hold them, and as JSON text again."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.json_columns import as_in_files, as_texts
from cloudtrail_parquet.schema.columns import JsonEncoding
from tests.builders import as_text, envelope, odd_records, record, table_of

ENCODINGS: tuple[JsonEncoding, ...] = get_args(JsonEncoding)
AS_TEXT: tuple[JsonEncoding, ...] = ("string", "json")
ODD = [
    as_text(record(requestParameters={"acl": "", "bucketName": "logs"})),
    '{"eventTime":"2026-01-10T12:34:56Z","requestParameters":{"a":"\\ud800"},"other":1e400}',
    '{"eventTime":"2026-01-10T12:34:56Z","eventContext":{"requestContext":[1e999],"more":1}}',
    '{"eventTime":"2026-01-10T12:34:56Z","eventVersion":"2.0","requestParameters":{"a":1}}',
    '{"eventTime":"2026-01-10T12:34:56Z","responseElements":1e400,"exactText":"mine"}',
]


@pytest.mark.parametrize("encoding", AS_TEXT)
@given(records=st.lists(odd_records, min_size=1, max_size=3))
def test_text_comes_back_from_files_byte_for_byte(
    encoding: JsonEncoding, records: list[str]
) -> None:
    table = table_of(decode(envelope(records), "a.json.gz"))
    in_files, counts = as_in_files(table, encoding)

    texts, counted = as_texts(in_files)

    assert (texts.to_pylist(), counted) == (table.to_pylist(), counts)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_readers_refuse_comes_back_as_it_was(encoding: JsonEncoding) -> None:
    table = table_of(decode(envelope(ODD), "a.json.gz"))
    in_files, counts = as_in_files(table, encoding)

    texts, counted = as_texts(in_files)

    assert (texts.to_pylist(), counted) == (table.to_pylist(), counts)
    assert counts["requestParameters"] == counts["responseElements"] == 1


@given(records=st.lists(odd_records, min_size=1, max_size=3))
def test_a_variant_that_is_made_of_its_text_is_the_same(records: list[str]) -> None:
    in_files, counts = as_in_files(table_of(decode(envelope(records), "a.json.gz")), "variant")

    texts, counted = as_texts(in_files)

    again, counts_again = as_in_files(texts, "variant")
    assert (again.to_pylist(), counts_again, counted) == (in_files.to_pylist(), counts, counts)
