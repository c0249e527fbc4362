"""Days that are no longer kept: they go, and do not come back."""

from datetime import date, timedelta
from itertools import count

import pytest

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Shard, Unit, straggler_key, unit_of
from cloudtrail_parquet.rewriting.expiry import expire_unit, expired_units
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.figures import Expired
from tests.builders import WritableStores
from tests.layouts import LAYOUTS
from tests.unit.deliveries import START, event
from tests.unit.mortal import Killed, KilledError
from tests.unit.rewriting.datasets import (
    convert,
    deliver,
    filled,
    is_true,
    plan,
    receipt_of,
    rewrite_elsewhere,
    rows,
    some,
    units,
)

PLAIN = Settings()
KEPT = START.date() + timedelta(days=1)  # the first day that is
TODAY = date(2026, 11, 28)


def converted(settings: Settings = PLAIN) -> WritableStores:
    """A dataset whose second day has stragglers of the first."""
    stores = some()
    late = event(900, START + timedelta(hours=3))
    deliver(stores, START + timedelta(hours=40), late, account="000000000001", unique="late")
    convert(stores, settings)
    return stores


def expire(stores: WritableStores, settings: Settings = PLAIN, before: date = KEPT) -> None:
    for each in expired_units(stores.dataset, stores.state, before):
        expire_unit(each, before, stores, DatasetOptions.of(settings), LeaseOptions.of(settings))


def days(stores: WritableStores) -> set[date]:
    return {unit.day for entry in stores.dataset.files("") if (unit := unit_of(entry.key))}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_parts_of_a_day_go_and_those_of_others_stay(layout: str) -> None:
    settings = make_settings(partition_layout=layout)
    stores = converted(settings)
    before, receipts = rows(stores), {unit: receipt_of(stores, unit) for unit in units(stores)}
    kept = {row: number for row, number in before.items() if row[2] >= KEPT}
    assert 0 < len(kept) < len(before)

    expire(stores, settings)

    assert rows(stores) == kept
    assert all(is_true(stores, unit) for unit in units(stores))
    assert not plan(stores, settings)
    gone = 0
    for unit, receipt in receipts.items():
        left = receipt_of(stores, unit)
        assert (left.records, left.identities) == (receipt.records, receipt.identities)
        assert left.source_fingerprint == receipt.source_fingerprint
        if left.parts == receipt.parts:
            assert left == receipt
            continue
        assert isinstance(left.expired, Expired)
        assert left.is_expired == (unit.day < KEPT)
        gone += left.expired.rows
    assert gone == sum(before.values()) - sum(kept.values())


def test_a_later_run_removes_what_has_expired_since() -> None:
    stores = converted()
    expire(stores)

    expire(stores, before=KEPT + timedelta(days=2))

    assert not rows(stores)
    assert not plan(stores, PLAIN)


@pytest.mark.parametrize("shard", [Shard(1, 1), Shard(1, 2)], ids=str)
def test_a_day_that_has_expired_is_not_converted_again(shard: Shard) -> None:
    stores = converted()
    expire(stores)
    before = rows(stores)
    for unit in units(stores):
        if receipt_of(stores, unit).is_expired:
            trails = [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]
            when = START + timedelta(hours=5)
            deliver(stores, when, event(901, START), account=unit.account, region=unit.region)
            convert_unit(unit, trails, stores, make_settings(compression="gzip"), shard=shard)

    assert rows(stores) == before
    assert not [each for each in plan(stores, PLAIN) if each.unit.day < KEPT]


def test_a_straggler_that_comes_later_stays_until_the_next_run() -> None:
    stores = converted()
    expire(stores)
    before = rows(stores)
    late = event(902, START + timedelta(hours=4))
    deliver(stores, START + timedelta(hours=41), late, account="000000000001", unique="later")

    convert(stores, PLAIN)
    came = rows(stores) - before
    expire(stores)

    assert came.total() >= 1
    assert KEPT not in {row[2] for row in came}
    assert rows(stores) == before
    assert not plan(stores, PLAIN)


def test_a_run_that_is_killed_at_any_change_is_completed_by_the_next() -> None:
    kept = {row: number for row, number in rows(converted()).items() if row[2] >= KEPT}
    for changes in count():
        stores = converted()
        before = {unit: receipt_of(stores, unit) for unit in units(stores)}
        try:
            expire(Killed(stores, changes).stores)
        except KilledError:
            pass
        else:
            break
        convert_the_killed(stores)

        expire(stores)

        assert rows(stores) == kept
        assert not plan(stores, PLAIN)
        for unit, receipt in before.items():
            left = receipt_of(stores, unit)
            gone = left.expired.rows if isinstance(left.expired, Expired) else 0
            assert gone + sum(part.rows for part in left.parts) == sum(
                part.rows for part in receipt.parts
            )
    assert changes > 10


def convert_the_killed(stores: WritableStores) -> None:
    """A conversion does not bring back a day of which the removal has begun."""
    for unit in units(stores):
        if receipt_of(stores, unit).is_expired:
            trails = [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]
            convert_unit(unit, trails, stores, PLAIN)


def test_parts_of_which_the_state_knows_nothing_go_as_well() -> None:
    stores = converted()
    stores.state.delete([entry.key for entry in stores.state.files("receipts/")])

    expire(stores)

    assert KEPT - timedelta(days=1) not in days(stores)
    assert any(receipt_of(stores, unit).is_expired for unit in units(stores))


def test_a_part_that_its_receipt_does_not_name_is_told_and_stays() -> None:
    stores = converted()
    unit = next(
        unit for unit in units(stores) if unit.day >= KEPT and receipt_of(stores, unit).parts
    )
    stray = straggler_key(unit.on(START.date()), unit.day, 7)
    stores.dataset.write(stray, stores.dataset.read(receipt_of(stores, unit).parts[0].key))

    with pytest.raises(UsageError, match=rf"{stray}: it is a part that no receipt names"):
        expire(stores)

    assert stores.dataset.read_if_there(stray)


def test_a_unit_that_is_being_converted_is_told_and_stays() -> None:
    stores = converted()
    unit = filled(stores)[0]
    trails = [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]
    with pytest.raises(KilledError):
        convert_unit(unit, trails, Killed(stores, 1).stores, make_settings(compression="gzip"))

    with pytest.raises(UsageError, match="has not finished"):
        expire(stores)


def test_what_has_expired_stays_so_when_the_rest_is_rewritten() -> None:
    stores = converted()
    expire(stores)
    before, gzip = rows(stores), make_settings(compression="gzip")

    for unit in units(stores):
        rewrite_unit(unit, stores, gzip)

    assert rows(stores) == before
    assert not plan(stores, gzip)
    by_day = make_settings(partition_layout="year/month/day")
    target = some()
    rewrite_elsewhere(stores, target, PLAIN, by_day)
    assert rows(target) == before
    assert receipt_of(target, Unit("", "", START.date())).is_expired
    assert START.date() not in {each.unit.day for each in plan(target, by_day)}
