"""Small datasets in memory that are rewritten, and what a test asks of them."""

import io
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pyarrow.parquet as pq

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.layout import Place, Unit, state_unit, unit_of
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.rewriting.elsewhere import Elsewhere, batches_of
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from tests.builders import WritableStores, log_file, log_key
from tests.unit.deliveries import START, event, memory

NOW = START + timedelta(days=60)


def deliver(
    stores: WritableStores,
    delivered: datetime,
    *records: dict[str, Any],
    account: str = "000123456789",
    region: str = "eu-central-1",
    unique: str = "AbCdEfGhIjKlMnOp",
) -> None:
    key = log_key(account, region, delivered, unique=unique)
    stores.source.write(key, log_file(*records))


def some() -> WritableStores:
    """Three places and two days; with stragglers, duplicates, and a log file that is damaged."""
    stores = memory()
    stores.source.uri = "memory:///"
    number = 0
    for account in ("000000000001", "000000000002"):
        for region in ("eu-central-1", "us-east-1")[: int(account[-1])]:
            for hour in (1, 20, 30, 47):
                when = START + timedelta(hours=hour)
                made = [event(number + one, when - timedelta(minutes=one)) for one in range(3)]
                made[1] |= {"eventName": "Other", "requestParameters": {"n": number}}
                if hour == 47:  # records of the day before, and one that is there already
                    made.append(event(number + 9, START + timedelta(hours=2)))
                    made.append(made[-1] | {"eventID": "other", "eventName": "Other"})
                    made.append(event(number - 30, START + timedelta(hours=1)))
                deliver(stores, when, *made, account=account, region=region)
                number += 10
    key = log_key("000000000002", "us-east-1", START + timedelta(hours=5), unique="damaged")
    stores.source.write(key, b"not gzip")
    return stores


def convert(stores: WritableStores, settings: Settings) -> list[Receipt]:
    """Convert all units that are due; returns their receipts."""
    record_properties(stores, DatasetOptions.of(settings), LeaseOptions.of(settings))
    found = discover(stores.source, settings.folders)
    receipts = []
    for planned in plan(stores, settings):
        trails, refused = found.trails_of(planned.unit), found.refused_in(planned.unit)
        receipt = convert_unit(planned.unit, trails, stores, settings, refused=refused)
        receipts += [receipt] if receipt else []
    return receipts


def plan(stores: WritableStores, settings: Settings) -> list[Any]:
    """The units that are due."""
    receipts = Receipts(stores.state, NOW, stores.dataset)
    found, wanted = discover(stores.source, settings.folders), UnitRange.of(None, None)
    options = PlanOptions.of(settings)
    return list(plan_units(stores.source, receipts, found, wanted, "outdated", options))


def units(stores: WritableStores) -> list[Unit]:
    """The units that have a receipt."""
    found = (state_unit(entry.key) for entry in stores.state.files("receipts/"))
    return sorted(filter(None, found))


def filled(stores: WritableStores) -> list[Unit]:
    """The units that have parts in their own partitions."""
    return [
        unit
        for unit in units(stores)
        if any(unit_of(part.key) == unit for part in receipt_of(stores, unit).parts)
    ]


def receipt_of(stores: WritableStores, unit: Unit) -> Receipt:
    receipt = read_notes(stores.state, unit).receipt
    assert receipt is not None
    return receipt


def rewrite_elsewhere(
    stores: WritableStores, target: WritableStores, before: Settings, settings: Settings
) -> list[Receipt]:
    """Make another dataset of all units."""
    batches = batches_of(units(stores), settings.partition_layout)
    options = DatasetOptions.of(before)
    act = Elsewhere(stores, target, options, settings, is_open=True).rewrite
    return [receipt for batch in batches for receipt in act(batch)]


def rows(stores: WritableStores) -> Counter[tuple[Any, ...]]:
    """All rows, each with the place and the day that it lies in."""
    found = Counter[tuple[Any, ...]]()
    for entry in stores.dataset.files(""):
        unit = unit_of(entry.key)
        assert unit is not None
        for row in pq.read_table(io.BytesIO(stores.dataset.read(entry.key))).to_pylist():
            place = Place(unit.account or row.pop("account"), unit.region or row.pop("region"))
            found[*place, unit.day, restore_json(row), repr(row["derived"])] += 1
    return found


def parts(stores: WritableStores) -> dict[str, bytes]:
    return {entry.key: stores.dataset.read(entry.key) for entry in stores.dataset.files("")}


def is_true(stores: WritableStores, unit: Unit) -> bool:
    """Whether a unit's receipt is believed, and tells of the parts that there are."""
    notes, sizes = (
        read_notes(stores.state, unit),
        {entry.key: entry.size for entry in stores.dataset.files("")},
    )
    receipt = notes.receipt
    return (
        receipt is not None
        and notes.is_true
        and all(sizes.get(part.key) == part.bytes for part in receipt.parts)
    )
