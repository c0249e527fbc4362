"""Logs converted in each of the layouts."""

from pathlib import Path
from typing import get_args

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit, span_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.storage import Stores, open_store

LAYOUTS: tuple[PartitionLayout, ...] = get_args(PartitionLayout)


def convert_in(layout: PartitionLayout, logs: Path, dataset: Path) -> Path:
    """Convert all units of a tree of logs; returns the dataset."""
    settings = Settings(partition_layout=layout)
    stores = Stores(*(open_store(each) for each in (logs, dataset, f"{dataset}.state")))
    known = discover(stores.source, settings.folders)
    of_places = units(stores.source, known, settings.window)
    for unit in sorted({Unit(*span_of(unit.span, layout), unit.day) for unit in of_places}):
        convert_unit(unit, known.trails_of(unit), stores, settings)
    return dataset
