"""The command ``expire``."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Annotated

import typer

from cloudtrail_parquet.cli.arguments import AsJson, Dataset, State
from cloudtrail_parquet.cli.output import FAILED, STDOUT, note, note_errors
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.rewriting.expiry import (
    ExpiredUnit,
    expire_unit,
    expired_units,
)
from cloudtrail_parquet.rewriting.many import DatasetAndState
from cloudtrail_parquet.rewriting.other import properties_of
from cloudtrail_parquet.settings.ages import first_kept
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores, open_existing
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.together import side_by_side
from cloudtrail_parquet.wording import counted, size_of

_AT_A_TIME = 8

Left = Receipt | CloudTrailParquetError
"""What is left of a unit, or why nothing was removed."""


def expire(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    older_than: Annotated[
        str,
        typer.Option(
            metavar="AGE", help="Remove days that are older: 7y, 18 months, 90d; by event time."
        ),
    ],
    state: State = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed.")] = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
) -> None:
    """Remove the Parquet files of old days; receipts tell what went, so that none comes back."""
    location = DatasetAndState(dataset, Locations.state_of(dataset, state))
    open_existing(dataset, "dataset")
    stores = location.open()
    found = properties_of(stores)
    before = first_kept(older_than, stores.now().date(), "--older-than")
    units = expired_units(stores.dataset, stores.state, before)
    parts, size = sum(len(each.entries) for each in units), _bytes_of(units)
    what = f"{counted(parts, 'part')}, {size_of(size)}, of days before {before}"
    if dry_run or not units:
        for each in units if as_json else ():
            print(
                json.dumps({**each.unit.to_json(), "parts": [entry.key for entry in each.entries]})
            )
        if not as_json:
            STDOUT.print(f"would remove {what}" if units else f"nothing is older than {before}")
        return
    settings = Settings(partition_layout=found.partition_layout)
    options, lease = DatasetOptions.of(settings), LeaseOptions.of(settings)
    errors = list[CloudTrailParquetError]()
    for left in _left(units, before, stores, options, lease):
        if isinstance(left, CloudTrailParquetError):
            errors.append(left)
        elif as_json:
            print(json.dumps(left.to_json()))
    if not errors:
        note(f"removed {what}")
    note_errors(errors)
    if errors:
        raise typer.Exit(FAILED)


def _bytes_of(units: list[ExpiredUnit]) -> int:
    return sum(entry.size for each in units for entry in each.entries)


def _left(
    units: list[ExpiredUnit],
    before: date,
    stores: Stores,
    options: DatasetOptions,
    lease: LeaseOptions,
) -> Iterator[Left]:
    """Remove what is no longer kept, some units at a time; a failure does not stop the others."""

    def remove(each: ExpiredUnit) -> Left:
        try:
            return expire_unit(each, before, stores, options, lease)
        except CloudTrailParquetError as error:
            return error

    number = _AT_A_TIME if stores.parallel > 1 else 1
    with progress("expiring", Amount(_bytes_of(units), len(units)), "unit") as meter:
        for each, left in zip(units, side_by_side(remove, units, number), strict=True):
            meter.add(size=sum(entry.size for entry in each.entries), items=1)
            yield left
