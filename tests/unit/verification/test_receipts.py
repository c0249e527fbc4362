"""Receipts as data: what does not add up in them is said."""

from datetime import date

import pytest
from msgspec.structs import replace

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.figures import Records
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.verification.parts import _row
from cloudtrail_parquet.verification.receipts import sums
from cloudtrail_parquet.verification.rules import Masks
from tests.unit.deliveries import ACCOUNT, REGION, START, deliver_all, event


@pytest.fixture(scope="module")
def receipt() -> Receipt:
    stores, _ = deliver_all([(START, [event(n, START) for n in range(3)], "")])
    unit = Unit(ACCOUNT, REGION, date(2026, 1, 1))
    made = convert_unit(unit, [f"{ACCOUNT}/CloudTrail/{REGION}/"], stores, Settings())
    assert made is not None
    return made


def test_a_new_receipt_adds_up(receipt: Receipt) -> None:
    assert list(sums(receipt)) == []


def test_records_that_are_not_accounted_for_are_said(receipt: Receipt) -> None:
    changed = replace(receipt, records=Records(read=4, written=3), places={})

    assert list(sums(changed)) == ["4 records read, 3 accounted for"]


def test_rows_that_are_not_those_of_the_parts_are_said(receipt: Receipt) -> None:
    changed = replace(receipt, records=Records(read=4, written=4), places={})

    assert list(sums(changed)) == ["4 records written, 3 rows in its parts"]


@pytest.mark.parametrize(("account", "region"), [(None, REGION), (ACCOUNT, ""), (None, None)])
def test_a_row_without_a_place_is_misplaced(account: str | None, region: str | None) -> None:
    values = {"eventTime": START, "account": account, "region": region}

    row = _row(0, values, Unit("", "", START.date()), Masks(()), Masks(()))

    assert row.fault == "it names no account or no region"
    named = values | {"account": ACCOUNT, "region": REGION}
    good = _row(0, named, Unit("", "", START.date()), Masks(()), Masks(()))
    assert (good.fault, good.place) == ("", Place(ACCOUNT, REGION))
