"""Rows of an older schema: which of them are made records again, and what of them is new then."""

from typing import Any

import pyarrow as pa
import pytest

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.upgrade import upgrade
from cloudtrail_parquet.rewriting.parts import upgraded as module
from cloudtrail_parquet.rewriting.parts.upgraded import upgraded
from tests.builders import ACCOUNT, REGION, envelope, record, table_of

PLACE = Place(ACCOUNT, REGION)
OLD: list[dict[str, Any]] = [
    {"eventVersion": "1.0", "eventTime": "2014-01-10T12:34:56Z"},
    {"eventVersion": "1.05", "eventTime": "2019-01-10T12:34:56Z", "managementEvent": True},
    {"eventVersion": "1.08", "eventTime": "2019-01-10T12:34:56Z", "eventCategory": "Data"},
    {"eventTime": "2026-01-10T12:34:56Z", "unknown": 1, "tlsDetails": {"tlsVersion": "TLSv1.3"}},
]
LACKING = ("eventType", "eventCategory", "managementEvent", "recipientAccountId", "awsRegion")


def rows() -> pa.Table:
    """Rows of which most have columns that were filled in."""
    records = [
        {name: value for name, value in record().items() if name not in LACKING} | one
        for one in OLD
    ]
    table = table_of(decode(envelope(records), "a.json.gz"))
    assert not table["derived"].null_count
    return table


def again(table: pa.Table) -> pa.Table:
    return upgraded(table, [PLACE] * table.num_rows, Redactor(()), "a part")[0]


def test_rows_that_the_upgrade_leaves_as_they_are_are_not_made_records_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = rows()

    def coerced(*_: object) -> None:
        raise AssertionError("made a record again")

    monkeypatch.setattr(module, "_coerced", coerced)

    assert again(table).equals(table)


@pytest.mark.parametrize("place", [Place("999999999999", REGION), Place(ACCOUNT, "eu-west-1")])
def test_what_follows_from_another_place_is_filled_in_anew(place: Place) -> None:
    table, _ = upgraded(rows(), [place] * len(OLD), Redactor(()), "a part")

    found = table.to_pylist()
    assert {(row["recipientAccountId"], row["awsRegion"]) for row in found if row["derived"]} == {
        place
    }


def test_a_newer_upgrade_fills_in_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows()

    def newer(one: Any, *place: str) -> list[str]:  # noqa: ANN401 - a record
        names = upgrade(one, *place)
        if one.eventVersion == "1.08" and one.eventType is None:
            one.eventType = "AwsApiCall"
            names.append("eventType")
        return names

    monkeypatch.setattr(module, "upgrade", newer)

    after = again(before)

    differing = [
        number
        for number, (old, new) in enumerate(zip(before.to_pylist(), after.to_pylist(), strict=True))
        if old != new
    ]
    versions = after["eventVersion"].to_pylist()
    assert differing == [number for number, version in enumerate(versions) if version == "1.08"]
    assert {after["eventType"][number].as_py() for number in differing} == {"AwsApiCall"}
