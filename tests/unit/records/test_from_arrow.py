"""Nothing is lost: every record becomes one row, and its row gives it back."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.event_times import event_times
from cloudtrail_parquet.records.from_arrow import restore, restore_json
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.to_arrow import Columns
from cloudtrail_parquet.schema.columns import RECORD, kind
from tests.builders import (
    SURROGATE_NAME,
    as_text,
    draft_of,
    envelope,
    event_time_texts,
    exact,
    fitting_records,
    json_values,
    normal,
    odd_records,
    record,
    rows_of,
)

FREE_FORM = [field.name for field in RECORD if kind(field) == "json"]
TIMED = '"eventTime":"2026-01-10T12:34:56Z"'


@example([SURROGATE_NAME])
@given(st.lists(odd_records, max_size=4))
def test_every_record_becomes_one_row_that_gives_it_back(texts: list[str]) -> None:
    rows = rows_of(texts)

    restored = [normal(exact(restore_json(row))) for row in rows]
    assert restored == [normal(exact(text)) for text in texts]


@given(fitting_records)
def test_a_record_that_fits_its_columns_leaves_nothing_unmapped(fitting: dict[str, Any]) -> None:
    (row,) = rows_of([fitting])

    assert row["unmapped"] is None
    assert restore(row) == normal(fitting)


@given(st.sampled_from(FREE_FORM), json_values)
def test_free_form_text_is_kept_byte_for_byte(name: str, value: str) -> None:
    (row,) = rows_of([f'{{{TIMED},"{name}": {value} }}'])

    assert row[name] == (None if value == "null" else value)
    assert row["unmapped"] is None


def test_a_null_among_others_is_a_null() -> None:
    values: list[object] = [{}, None, "null", ...]
    rows = rows_of([record(requestParameters=value) for value in values])

    assert [row["requestParameters"] for row in rows] == ["{}", None, '"null"', None]


def test_nested_values_are_right_however_many_distinct_ones_came_before() -> None:
    columns = Columns(Redactor(()))
    waiting, expected = columns.encoded_schema.empty_table(), list[str]()

    for start in range(0, 50_000, 5_000):
        versions = ["same", *map(str, range(start, start + 5_000)), "same"]
        texts = [f'{{{TIMED},"tlsDetails":{{"tlsVersion":"{one}"}}}}' for one in versions]
        (batch,) = decode(envelope(texts), "a.json.gz")
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([draft_of(columns, batch)])])
        expected += versions
        found = columns.materialize(waiting)["tlsDetails"].to_pylist()
        assert [one["tlsVersion"] for one in found] == expected
        left = start // 100  # at first nothing waits, then the oldest rows do
        waiting, expected = waiting.slice(0, left), expected[:left]
        columns.forget([waiting])


@given(st.sampled_from(["requestContext", "tagContext"]), json_values)
def test_free_form_text_inside_event_context_is_kept_byte_for_byte(name: str, value: str) -> None:
    (row,) = rows_of([f'{{{TIMED},"eventContext":{{"{name}": {value} }}}}'])

    assert row["eventContext"][name] == (None if value == "null" else value)


@given(json_values)
def test_an_unknown_field_is_kept_byte_for_byte(value: str) -> None:
    (row,) = rows_of([f'{{{TIMED},"newField": {value} ,"tlsDetails":{{"new": {value} }}}}'])

    kept = "" if value == "null" else f'"newField":{value},"tlsDetails":{{"new":{value}}}'
    assert unwrap((row["unmapped"] or "{}").encode()).decode() == f"{{{kept}}}"


@given(event_time_texts)
def test_the_text_of_an_event_time_comes_back_as_delivered(time: str) -> None:
    (row,) = rows_of([f'{{"eventTime":{time}}}'])

    assert exact(restore_json(row)) == exact(f'{{"eventTime":{time}}}')


def test_derived_columns_are_left_out() -> None:
    old = record(eventVersion="1.0", eventType=..., eventCategory=..., awsRegion=...)
    (row,) = rows_of([old])

    assert row["eventType"] == "AwsApiCall"
    assert restore(row) == normal(old)


def test_absent_null_empty_and_blank_are_told_apart_where_the_columns_can() -> None:
    given_ = record(userIdentity={"accessKeyId": ""}, resources=[], tlsDetails={}, errorCode="")
    (row,) = rows_of([given_])

    assert restore(row)["userIdentity"] == {"accessKeyId": ""}
    assert restore(row)["resources"] == []
    assert restore(row)["tlsDetails"] == {}
    assert restore(row)["errorCode"] == ""
    assert "responseElements" not in restore(row)  # it was null


def test_a_resource_that_is_null_stays_a_null_in_the_list() -> None:
    (row,) = rows_of([record(resources=[None, {"ARN": "a"}])])

    assert restore(row)["resources"] == [None, {"ARN": "a"}]


def test_the_restored_text_holds_non_ascii_text_and_nul_as_delivered() -> None:
    (row,) = rows_of([record(userAgent="Zoë\0漢😀")])

    assert restore(row)["userAgent"] == "Zoë\0漢😀"


@pytest.mark.parametrize("depth", [500, 5_000, 100_000])
def test_the_text_of_a_very_deep_record_comes_back(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    (row,) = rows_of([f'{{{TIMED},"requestParameters":{deep},"new":{deep}}}'])

    assert row["requestParameters"] == deep
    assert f'"new":{deep}' in restore_json(row)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userIdentity", '"root"'),
        ("userIdentity", '{"sessionContext":{"attributes":{"creationDate":"20131102T010628Z"}}}'),
        ("userIdentity", '{"sessionContext":{"attributes":{"mfaAuthenticated":true}}}'),
        ("userIdentity", '{"sessionContext":{"webIdFederationData":{"attributes":{"a":{"b":1}}}}}'),
        ("userIdentity", '{"sessionContext":{"webIdFederationData":{"attributes":{"a":null}}}}'),
        ("userIdentity", '{"accountId":12345}'),
        ("resources", '[{"arn":"a"}]'),
        ("resources", '[{"arn":"a","ARN":"b"}]'),
        ("resources", '{"ARN":"a"}'),
        ("addendum", '{"originalUID":"a"}'),
        ("addendum", '{"originalUID":"a","originalRequestID":"b"}'),
        ("recipientAccountID", f'"{1:012d}"'),
        ("recipientAccountID", "{}"),
        ("readOnly", '"maybe"'),
        ("managementEvent", '"true"'),
        ("sessionCredentialFromConsole", "true"),
        ("eventName", '{"a":1}'),
        ("unmapped", '{"a":1}'),
        ("derived", '["eventName"]'),
        ("account", '"1"'),
    ],
)
def test_a_member_of_another_shape_comes_back_as_delivered(name: str, value: str) -> None:
    text = f'{{{TIMED},"{name}":{value}}}'
    (row,) = rows_of([text])

    assert exact(restore_json(row)) == exact(text)


@example(version="2.0")
@given(version=st.integers(2, 10**9).map(lambda major: f"{major}.{major}"))
def test_a_record_of_another_major_version_comes_back_whole(version: str) -> None:
    other = record(eventVersion=version, responseElements=...)
    (row,) = rows_of([other])

    assert restore(row) == other


def test_a_field_of_the_name_that_marks_invalid_utf8_is_kept() -> None:
    (row,) = rows_of([record(invalidUtf8="an honest field")])

    assert restore(row)["invalidUtf8"] == "an honest field"


def test_a_field_whose_name_is_a_lone_surrogate_is_kept() -> None:
    (row,) = rows_of([SURROGATE_NAME])

    assert exact(restore_json(row)) == exact(SURROGATE_NAME)


def test_a_null_attribute_whose_name_is_a_lone_surrogate_is_kept() -> None:
    attributes = r'{"webIdFederationData":{"attributes":{"\ud800":null}}}'
    text = f'{{{TIMED},"userIdentity":{{"sessionContext":{attributes}}}}}'
    (row,) = rows_of([text])

    assert exact(restore_json(row)) == exact(text)


def test_an_event_version_of_very_many_digits_is_kept() -> None:
    strange = record(eventVersion="1" * 5_000 + ".0")
    (row,) = rows_of([strange])

    assert restore(row) == normal(strange)


def test_restored_records_are_one_line_of_text() -> None:
    (row,) = rows_of([record()])

    assert "\n" not in restore_json(row)
    assert json.loads(restore_json(row)) == restore(row)
    assert as_text(restore(row)) == as_text(restore(rows_of([restore(row)])[0]))


MCP = {
    "eventVersion": "1.08",
    "eventTime": "2026-01-10T12:34:56Z",
    "eventCategory": "Data",
    "eventType": "AwsMcpEvent",
    "eventSource": "aws-mcp.us-east-1.api.aws",
    "eventName": "CallTool",
    "delegatedViaAWS": "aws-mcp.amazonaws.com",
    "mcpEventDetails": {
        "sessionId": "sess_xyz789_YXJu",
        "mcpProtocolVersion": "2024-11-05",
        "serverVersion": "1.0.0",
        "mcpServerName": "aws-mcp.us-east-1.api.aws",
        "executionTimeMs": 250,
    },
}


def test_a_call_through_an_mcp_server_has_columns() -> None:
    (row,) = rows_of([MCP])

    assert row["unmapped"] is None
    assert row["mcpEventDetails"] == MCP["mcpEventDetails"]
    assert row["delegatedViaAWS"] == "aws-mcp.amazonaws.com"
    assert restore(row) == MCP


@pytest.mark.parametrize("time", ["250", "-0", "1.50", "1e3", '"250"', "9223372036854775808", "{}"])
def test_what_is_further_in_the_details_of_a_call_comes_back_as_delivered(time: str) -> None:
    details = f'{{"executionTimeMs":{time},"toolName":"call_aws","clientInfo":{{"name":"a"}}}}'
    text = f'{{{TIMED},"mcpEventDetails":{details}}}'

    (row,) = rows_of([text])

    assert exact(restore_json(row)) == exact(text)
    unmapped = json.loads(row["unmapped"])["mcpEventDetails"]
    assert unmapped["toolName"] == "call_aws"
    assert ("executionTimeMs" in unmapped) == (time != "250")


@pytest.mark.parametrize("time", ["250", "0", "-0", "true", "9223372036854775808", "-7", "null"])
def test_a_duration_comes_back_as_delivered(time: str) -> None:
    (row,) = rows_of([f'{{{TIMED},"mcpEventDetails":{{"executionTimeMs":{time}}}}}'])

    back = restore_json(row)
    assert f'"executionTimeMs":{time}' in back or time == "null"
    assert (row["unmapped"] is None) == (time in {"250", "0", "-7", "null"})


@pytest.mark.parametrize("name", ["readOnly", "managementEvent", "sessionCredentialFromConsole"])
@pytest.mark.parametrize(
    ("text", "value"), [('"true"', True), ('"false"', False), ('"TRUE"', True)]
)
def test_a_boolean_that_is_written_as_text_is_one(name: str, text: str, value: bool) -> None:  # noqa: FBT001
    delivered = f'{{{TIMED},"{name}":{text}}}'

    (row,) = rows_of([delivered])

    assert row[name] is value
    assert exact(restore_json(row)) == exact(delivered)


AGGREGATED = {
    "eventVersion": "1.0",
    "accountId": "012345678901",
    "eventId": "62759c1a-6248-48e1-a6b3-d5fb7e6c4bc0",
    "eventCategory": "Aggregated",
    "eventType": "AwsAggregatedEvent",
    "awsRegion": "us-west-2",
    "eventSource": "s3.amazonaws.com",
    "timeWindow": {
        "windowStart": "2026-01-10T19:20:00Z",
        "windowEnd": "2026-01-10T19:25:00Z",
        "windowSize": "PT5M",
    },
    "summary": {
        "primaryDimension": {
            "dimension": "eventName",
            "statistics": [{"name": "PutObject", "value": 1000}],
            "aggregationType": "Count",
        },
        "details": [],
    },
}


@pytest.mark.parametrize(
    "changes", [{}, {"managementEvent": False, "recipientAccountId": "012345678901"}]
)
def test_an_aggregated_record_has_the_time_at_which_its_window_begins(
    changes: dict[str, Any],
) -> None:
    delivered = AGGREGATED | changes

    (row,) = rows_of([delivered])

    assert row["eventTime"].isoformat() == "2026-01-10T19:20:00+00:00"
    assert row["eventID"] == AGGREGATED["eventId"]
    assert "eventTime" in row["derived"]
    assert json.loads(row["unmapped"])["summary"] == AGGREGATED["summary"]
    assert restore(row) == delivered


@pytest.mark.parametrize(
    "window", ["null", "7", "{}", '{"windowStart":null}', '{"windowStart":"soon"}', '"\\ud800"']
)
def test_an_aggregated_record_without_a_window_has_no_time(window: str) -> None:
    text = f'{{"eventVersion":"1.0","eventCategory":"Aggregated","timeWindow":{window}}}'

    [batch] = decode(envelope([text]), "a")

    assert event_times(batch.records, batch.unmapped).to_pylist() == [None]
