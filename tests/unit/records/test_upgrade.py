"""The derivation table of record version 1.11, and all that must stay null."""

from typing import Any

import pytest
from hypothesis import given

from cloudtrail_parquet.records.decode import Record
from cloudtrail_parquet.records.upgrade import incomplete, upgrade
from tests.builders import ACCOUNT, REGION, fitting_records, record, rows_of

CAN_BE_DERIVED = [
    "awsRegion",
    "recipientAccountId",
    "eventType",
    "eventCategory",
    "managementEvent",
]
OLD = "2014-06-01T00:00:00Z"  # before there were data events
NEW = "2018-06-01T00:00:00Z"


def derived(**members: Any) -> dict[str, Any]:  # noqa: ANN401
    """What is filled in for a record of these members alone."""
    row = rows_of([{"eventTime": NEW, **members}], ACCOUNT, REGION)[0]
    return {name: row[name] for name in row["derived"] or ()}


def beyond_the_path(**members: Any) -> dict[str, Any]:  # noqa: ANN401
    """What is filled in from the record itself."""
    found = derived(**members)
    assert found.pop("awsRegion") == REGION
    assert found.pop("recipientAccountId") == ACCOUNT
    return found


@pytest.mark.parametrize(
    ("members", "filled"),
    [
        # eventType
        ({"eventVersion": "1.0"}, {"eventType": "AwsApiCall"}),
        ({"eventVersion": "1.01"}, {"eventType": "AwsApiCall"}),
        ({"eventVersion": "1.02"}, {}),
        ({"eventVersion": "1.10"}, {}),
        ({"eventVersion": "1.11"}, {}),
        ({"eventVersion": "new"}, {}),
        ({}, {}),
        ({"eventVersion": "1.0", "eventType": "AwsConsoleSignIn"}, {}),
        ({"eventVersion": "1.0", "eventCategory": "Aggregated"}, {}),
        (
            {
                "eventVersion": "1.0",
                "eventCategory": "Aggregated",
                "eventType": "AwsAggregatedEvent",
            },
            {},
        ),
        ({"eventVersion": "1.0", "eventType": "AwsAggregatedEvent"}, {}),
        # eventCategory by type
        ({"eventType": "AwsCloudTrailInsight"}, {"eventCategory": "Insight"}),
        ({"eventType": "AwsVpceEvent"}, {"eventCategory": "NetworkActivity"}),
        ({"eventType": "AwsVpceEvents"}, {"eventCategory": "NetworkActivity"}),
        ({"eventType": "awsVPCEevents"}, {"eventCategory": "NetworkActivity"}),
        (
            {"eventType": "AwsVpceEvent", "managementEvent": True},
            {"eventCategory": "NetworkActivity"},
        ),
        ({"eventType": "AwsVpceEvent", "eventTime": OLD}, {"eventCategory": "NetworkActivity"}),
        ({"eventType": "AwsConsoleSignIn"}, {}),
        ({"eventType": "AwsServiceEvent"}, {}),
        # eventCategory by flag
        ({"managementEvent": True}, {"eventCategory": "Management"}),
        ({"managementEvent": False}, {"eventCategory": "Data"}),
        ({"managementEvent": False, "eventTime": OLD}, {"eventCategory": "Data"}),
        # eventCategory by time
        (
            {"eventTime": "2016-11-20T23:59:59Z"},
            {"eventCategory": "Management", "managementEvent": True},
        ),
        (
            {"eventTime": "2016-11-20T23:59:59.999Z"},
            {"eventCategory": "Management", "managementEvent": True},
        ),
        (
            {"eventTime": "2016-11-21T00:30:00+01:00"},
            {"eventCategory": "Management", "managementEvent": True},
        ),
        (
            {"eventTime": "20131102T010628Z"},
            {"eventCategory": "Management", "managementEvent": True},
        ),
        ({"eventTime": 1383354388}, {"eventCategory": "Management", "managementEvent": True}),
        ({"eventTime": "2016-11-21T00:00:00Z"}, {}),
        ({"eventTime": "2016-11-20T23:30:00-01:00"}, {}),
        ({"eventVersion": "1.05"}, {}),  # may be a data event without any flag
        # managementEvent
        ({"eventCategory": "Management"}, {"managementEvent": True}),
        ({"eventCategory": "Data"}, {"managementEvent": False}),
        ({"eventCategory": "NetworkActivity"}, {}),
        ({"eventCategory": "Insight"}, {}),
        ({"eventCategory": "insight"}, {}),
        ({"eventCategory": "Aggregated"}, {}),
        ({"eventCategory": "Management", "managementEvent": False}, {}),
        (
            {"eventVersion": "1.01", "eventTime": OLD},
            {"eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": True},
        ),
    ],
)
def test_the_derivation_table(members: dict[str, Any], filled: dict[str, Any]) -> None:
    assert beyond_the_path(**members) == filled


@pytest.mark.parametrize("version", ["1.0", "1.01", "1.05", "1.08", "1.11"])
@pytest.mark.parametrize("time", [OLD, NEW])
def test_all_other_columns_stay_null(version: str, time: str) -> None:
    (row,) = rows_of([{"eventVersion": version, "eventTime": time}])

    filled = {name for name, value in row.items() if value is not None}
    assert filled - {"eventVersion", "eventTime", "derived"} == set(row["derived"])
    assert filled <= {"eventVersion", "eventTime", "derived", *CAN_BE_DERIVED}


def test_the_account_of_the_path_is_taken_not_that_of_the_caller() -> None:
    foreign = {"userIdentity": {"accountId": "999999999999"}}

    assert derived(**foreign)["recipientAccountId"] == ACCOUNT


@pytest.mark.parametrize("name", CAN_BE_DERIVED)
def test_what_is_delivered_is_never_replaced(name: str) -> None:
    delivered = record(eventVersion="1.0", eventTime=OLD, managementEvent=False, eventCategory="x")
    (row,) = rows_of([delivered], "999999999999", "elsewhere-1")

    assert row[name] == delivered[name]
    assert row["derived"] is None


@pytest.mark.parametrize("version", ["1.0", "1.01", "1.02", "1.05", "1.11", "2.0", "new", None])
def test_the_version_stays_as_delivered(version: str | None) -> None:
    (row,) = rows_of([record(eventVersion=version)])

    assert row["eventVersion"] == version


def test_a_record_of_another_major_version_is_not_upgraded() -> None:
    (row,) = rows_of([{"eventVersion": "2.0", "eventTime": OLD}])

    assert row["derived"] is None
    assert row["awsRegion"] is row["eventType"] is None


def test_an_aggregated_record_is_not_taken_for_one_of_2013() -> None:
    aggregated = {
        "eventVersion": "1.0",
        "eventTime": NEW,
        "eventCategory": "Aggregated",
        "accountId": ACCOUNT,
        "eventId": "a",
        "timeWindow": {"windowStart": NEW, "windowSize": "PT5M"},
        "summary": {},
    }

    assert beyond_the_path(**aggregated) == {}


def test_a_record_whose_time_is_that_of_its_window_has_something_to_fill_in() -> None:
    complete = dict.fromkeys(CAN_BE_DERIVED, "a") | {"managementEvent": False}

    assert incomplete([Record(**complete), Record(**complete, eventTime=NEW)]) == [0]
    assert upgrade(Record(**complete), ACCOUNT, REGION) == ["eventTime"]


@given(fitting_records)
def test_a_record_that_looks_complete_has_nothing_to_fill_in(fitting: dict[str, Any]) -> None:
    one = Record(
        **{name: value for name, value in fitting.items() if name in {*CAN_BE_DERIVED, "eventTime"}}
    )

    lacking = incomplete([one, one])
    names = upgrade(one, ACCOUNT, REGION)

    assert lacking == [0, 1] or not (lacking or names)
    assert upgrade(one, ACCOUNT, REGION) == []  # once is enough
    assert set(names) <= set(CAN_BE_DERIVED)
