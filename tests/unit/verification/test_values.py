"""Parsed values: numbers are their digits, and each value has one text."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.verification.values import (
    canonical,
    digest,
    event_day,
    is_compatible,
    normal,
    parse,
    time_text,
)
from tests.builders import exact, json_values, odd_records
from tests.builders import normal as as_it_comes_back

HERE = Place("012345678901", "eu-central-1")


@given(json_values, json_values)
def test_values_have_one_text_if_and_only_if_they_are_equal(one: str, other: str) -> None:
    assert (canonical(parse(one)) == canonical(parse(other))) == (exact(one) == exact(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", '"1"'),
        ("0", "-0"),
        ("[]", "{}"),
        ("null", '"null"'),
        ("true", "1"),
        ('["a","b"]', '["b","a"]'),
        ('{"a":1}', '{"a":[1]}'),
        ('["1",2]', "[1,2]"),
        (r'"\ud800"', r'"\ud801"'),
        (r'"\udfff#1"', "1"),
        (r'"\uDFFF#1"', "1"),
        (r'"\udfff\udfff#1"', r'"\udfff#1"'),
        (r'["\udfff", 1]', r'["\udfff\udfff", 1]'),
        ('{"a":"b,\\"c\\":1"}', '{"a":"b","c":1}'),
    ],
)
def test_different_values_have_different_texts(one: str, other: str) -> None:
    assert canonical(parse(one)) != canonical(parse(other))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "", "{", '{"a":1}x', "nul"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expect|Extra"):
        parse(text)


@given(odd_records)
def test_the_normal_form_is_the_one_of_the_other_tests(text: str) -> None:
    assert normal(parse(text)) == as_it_comes_back(parse(text))


def test_records_of_two_places_are_two() -> None:
    record = {"eventID": "a"}

    assert digest(HERE, record) != digest(HERE._replace(region="us-east-1"), record)
    assert digest(Place("1", "2"), record) != digest(Place("12", ""), record)


@pytest.mark.parametrize(
    ("record", "day"),
    [
        ('{"eventTime":"2026-01-10T23:59:59Z"}', date(2026, 1, 10)),
        ('{"eventTime":"2026-01-11T00:30:00+01:00"}', date(2026, 1, 10)),
        ('{"eventTime":"2026-01-10T23:59:60Z"}', date(2026, 1, 10)),
        ('{"eventTime":1768048496}', date(2026, 1, 10)),
        ('{"eventTime":"1768048496000"}', date(2026, 1, 10)),
        ('{"eventTime":"2026-02-30T00:00:00Z"}', None),
        ('{"eventTime":"yesterday"}', None),
        ('{"eventTime":null}', None),
        ('{"eventTime":["2026-01-10T00:00:00Z"]}', None),
        ("{}", None),
        (
            '{"eventCategory":"Aggregated","timeWindow":{"windowStart":"2026-01-10T01:00:00Z"}}',
            date(2026, 1, 10),
        ),
        ('{"eventCategory":"Aggregated","timeWindow":7}', None),
        ('{"timeWindow":{"windowStart":"2026-01-10T01:00:00Z"}}', None),
    ],
)
def test_the_day_of_a_record(record: str, day: date | None) -> None:
    assert event_day(parse(record)) == day


@pytest.mark.parametrize(
    ("version", "compatible"),
    [("1.11", True), ("1.0", True), ("2.0", False), ("0.9", False), ("11", True), (None, True)],
)
def test_another_major_version_is_incompatible(version: Any, compatible: bool) -> None:  # noqa: ANN401, FBT001
    assert is_compatible({"eventVersion": version}) is compatible


def test_times_are_written_as_cloudtrail_does() -> None:
    assert time_text(datetime(2026, 1, 10, 1, 2, 3, tzinfo=UTC)) == "2026-01-10T01:02:03Z"
    assert time_text(datetime(1, 1, 1, 0, 0, 0, 40, tzinfo=UTC)) == "0001-01-01T00:00:00.000040Z"
