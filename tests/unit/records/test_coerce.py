"""Fitting one value to one column: what the column holds, and what is left over."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.records.coerce import coercer
from cloudtrail_parquet.schema.columns import RECORD
from tests.builders import json_values, rows_of

LEAVES = {
    "text": RECORD.field("eventName"),
    "account": RECORD.field("recipientAccountId"),
    "boolean": RECORD.field("readOnly"),
    "text-boolean": RECORD.field("sessionCredentialFromConsole"),
    "integer": RECORD.field("mcpEventDetails").type.field("executionTimeMs"),
    "timestamp": RECORD.field("eventTime"),
    "json": RECORD.field("requestParameters"),
}
TIMED = '"eventTime":"2026-01-10T12:34:56Z"'


@pytest.mark.parametrize(
    ("kind", "raw", "value", "left"),
    [
        ("text", "null", None, False),
        ("text", '""', "", False),
        ("text", '"null"', "null", False),
        ("text", r'"\u00e9\u0000"', "é\0", False),
        ("text", "1", None, True),
        ("text", "true", None, True),
        ("text", "{}", None, True),
        ("text", r'"a\ud800"', "a\ufffd", True),
        ("account", '"012345678901"', "012345678901", False),
        ("account", '"AWS Internal"', "AWS Internal", False),
        ("account", "12345678901", "012345678901", True),
        ("account", "1", "000000000001", True),
        ("account", "123456789012", "123456789012", True),
        ("account", "1234567890123", None, True),
        ("account", "-1", None, True),
        ("account", "1.0", None, True),
        ("account", "1e3", None, True),
        ("boolean", "true", True, False),
        ("boolean", "false", False, False),
        ("boolean", "null", None, False),
        ("boolean", '"true"', True, True),
        ("boolean", '"FALSE"', False, True),
        ("boolean", '" True "', True, True),
        ("boolean", '"yes"', None, True),
        ("boolean", "1", None, True),
        ("boolean", "0", None, True),
        ("boolean", r'"\ud800"', None, True),
        ("integer", "250", 250, False),
        ("integer", "-1", -1, False),
        ("integer", "0", 0, False),
        ("integer", "-0", 0, True),
        ("integer", "null", None, False),
        ("integer", "9223372036854775807", 2**63 - 1, False),
        ("integer", "9223372036854775808", None, True),
        ("integer", "250.0", 250, True),
        ("integer", "250.5", None, True),
        ("integer", "25e1", None, True),
        ("integer", '"250"', 250, True),
        ("integer", '"250', None, True),
        ("integer", '"soon"', None, True),
        ("integer", "true", None, True),
        ("integer", "{}", None, True),
        ("text-boolean", '"true"', True, False),
        ("text-boolean", '"false"', False, False),
        ("text-boolean", "null", None, False),
        ("text-boolean", "true", True, True),
        ("text-boolean", "false", False, True),
        ("text-boolean", '"True"', True, True),
        ("text-boolean", r'"tru\u0065"', True, True),
        ("text-boolean", '"maybe"', None, True),
        ("text-boolean", "1", None, True),
        ("timestamp", '"1970-01-01T00:00:01Z"', 1_000_000, False),
        ("timestamp", '"1970-01-01T00:00:01.000001Z"', 1_000_001, False),
        ("timestamp", '"1970-01-01T00:00:01.0Z"', 1_000_000, True),
        ("timestamp", '"1970-01-01T01:00:01+01:00"', 1_000_000, True),
        ("timestamp", '"19700101T000001Z"', 1_000_000, True),
        ("timestamp", "1", 1_000_000, True),
        ("timestamp", '"1"', 1_000_000, True),
        ("timestamp", "null", None, False),
        ("timestamp", '"soon"', None, True),
        ("timestamp", "true", None, True),
        ("timestamp", "[1]", None, True),
        ("timestamp", r'"1970-01-01T00:00:01Z\ud800"', None, True),
        ("json", "null", None, False),
        ("json", '{"a": 1.10}', b'{"a": 1.10}', False),
        ("json", '"HIDDEN_DUE_TO_SECURITY_REASONS"', b'"HIDDEN_DUE_TO_SECURITY_REASONS"', False),
    ],
)
def test_what_a_column_holds_and_what_is_left_over(
    kind: str, raw: str, value: object, *, left: bool
) -> None:
    assert coercer(LEAVES[kind])(raw.encode()) == (value, raw.encode() if left else None)


@given(st.sampled_from(list(RECORD)), json_values)
def test_any_value_fits_any_column_or_is_left_over(field: pa.Field, raw: str) -> None:
    value, rest = coercer(field)(raw.encode())

    assert pa.array([value], field.type).validate(full=True) is None
    assert raw == "null" or value is not None or rest is not None
    if rest is not None:
        json.loads(rest)


def leftover_of(members: str) -> Any:  # noqa: ANN401
    (row,) = rows_of([f"{{{TIMED},{members}}}"])
    return None if row["unmapped"] is None else json.loads(row["unmapped"])


@pytest.mark.parametrize(
    ("members", "rest"),
    [
        ('"userIdentity":null', None),
        ('"userIdentity":{}', None),
        ('"userIdentity":{"arn":null,"new":null}', None),
        ('"userIdentity":{"new":1,"arn":"a"}', {"userIdentity": {"new": 1}}),
        ('"userIdentity":{"arn":1}', {"userIdentity": {"arn": 1}}),
        (
            '"userIdentity":{"sessionContext":{"attributes":{"mfaAuthenticated":true}}}',
            {"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": True}}}},
        ),
        (
            '"userIdentity":{"sessionContext":{"webIdFederationData":{"attributes":{"a":"b","c":1}}}}',
            {"userIdentity": {"sessionContext": {"webIdFederationData": {"attributes": {"c": 1}}}}},
        ),
        ('"tlsDetails":[]', {"tlsDetails": []}),
        ('"tlsDetails":{"tlsVersion":"a"},"new":null', None),
        ('"resources":[{"ARN":"a"},{"ARN":1}]', {"resources": [{"ARN": "a"}, {"ARN": 1}]}),
        (
            '"addendum":{"originalUID":"a"}',
            {"addendum": {"originalUID": "a", "originalRequestID": None}},
        ),
        ('"eventContext":{"requestContext":1}', None),
        ('"eventContext":{"a":1}', {"eventContext": {"a": 1}}),
    ],
)
def test_only_what_does_not_fit_is_left_over(members: str, rest: object) -> None:
    assert leftover_of(members) == rest


def test_other_spellings_fill_their_column() -> None:
    resources = '[{"arn":"a"},{"arn":"c","ARN":"d"}]'
    others = '"recipientAccountID":"1","addendum":{"originalUID":"b"}'
    (row,) = rows_of([f'{{{TIMED},{others},"resources":{resources}}}'])

    assert row["recipientAccountId"] == "1"
    assert row["addendum"]["originalRequestID"] == "b"
    assert [one["ARN"] for one in row["resources"]] == ["a", "d"]


@pytest.mark.parametrize(
    "members",
    [
        '"recipientAccountID":"1"',
        '"recipientAccountID":"1","recipientAccountId":null',
        '"recipientAccountId":null,"recipientAccountID":"1"',
    ],
)
def test_another_spelling_counts_beside_a_null_as_it_does_alone(members: str) -> None:
    (row,) = rows_of([f"{{{TIMED},{members}}}"])

    assert row["recipientAccountId"] == "1"
    assert json.loads(row["unmapped"]) == {"recipientAccountID": "1", "recipientAccountId": None}


def test_another_spelling_stands_back_behind_the_usual_one() -> None:
    (row,) = rows_of([f'{{{TIMED},"recipientAccountID":"1","recipientAccountId":"2"}}'])

    assert row["recipientAccountId"] == "2"


def test_web_identity_attributes_keep_their_names_their_order_and_nulls() -> None:
    attributes = '{"b:aud":"x","a:sub":null,"":"é"}'
    context = f'{{"webIdFederationData":{{"attributes":{attributes}}}}}'
    (row,) = rows_of([f'{{{TIMED},"userIdentity":{{"sessionContext":{context}}}}}'])

    entries = row["userIdentity"]["sessionContext"]["webIdFederationData"]["attributes"]
    assert entries == [("b:aud", "x"), ("a:sub", None), ("", "é")]
    assert row["unmapped"] is None
