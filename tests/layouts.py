"""Logs converted in each of the layouts."""

from pathlib import Path
from typing import get_args

from cloudtrail_parquet.api import convert, make_settings
from cloudtrail_parquet.contract import PartitionLayout

LAYOUTS: tuple[PartitionLayout, ...] = get_args(PartitionLayout)


def convert_in(layout: PartitionLayout, logs: Path, dataset: Path) -> Path:
    """Convert all units of a tree of logs; returns the dataset."""
    for outcome in convert(logs, dataset, settings=make_settings(partition_layout=layout)):
        assert outcome.receipt, outcome
    return dataset
