"""Exporting the records of a dataset as CloudTrail delivered them."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import date

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.dataset.places import Names, are_wanted, batches_of, places_in
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Place, Unit, unit_of
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.source.discover import check_known
from cloudtrail_parquet.storage import ReadStore

_BATCH_ROWS = 4096


def export_records(
    dataset: ReadStore,
    first: date = date.min,
    last: date = date.max,
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> Iterator[str]:
    """Each record of some days, accounts and regions as JSON text, partition by partition.

    Args:
        dataset: Holds the partitions.
        first: The first day of event times.
        last: The last day of event times.
        accounts: Accounts, each of which must have records; by default all.
        regions: Regions, likewise.

    Returns:
        Texts without line ends. One of a part that is damaged is a `StorageError`; the records
        before the damage have been given.

    Raises:
        UsageError: Nothing is there of what is asked for, or not of each account and region; lists
            those that are there.
        StorageError: A part is damaged in which accounts or regions were looked for.
    """
    units = {entry.key: unit for entry in dataset.files("") if (unit := unit_of(entry.key))}
    if not units:
        raise UsageError("no partitions", dataset.uri, "Name the folder that convert has written")
    names = {"account": frozenset(accounts), "region": frozenset(regions)}
    folders, columns = _told_apart(names, next(iter(units.values())))
    for name, wanted in folders.items():
        check_known(name, wanted, {getattr(unit, name) for unit in units.values()}, dataset.uri)
    keys = [
        key
        for key, unit in units.items()
        if first <= unit.day <= last
        and all(getattr(unit, name) in wanted for name, wanted in folders.items())
    ]
    if not keys:
        raise _no_partitions(dataset, units.values())
    if columns:
        _check_columns(dataset, keys, columns)
    return _texts(dataset, keys, columns)


def _told_apart(names: Names, unit: Unit) -> tuple[Names, Names]:
    """What is wanted of names of folders, and what of columns, in the layout of a unit."""
    folders, columns = dict[str, frozenset[str]](), dict[str, frozenset[str]]()
    for name, wanted in names.items():
        if wanted:
            (folders if getattr(unit, name) else columns)[name] = wanted
    return folders, columns


def _no_partitions(dataset: ReadStore, units: Collection[Unit]) -> UsageError:
    there = {name: {getattr(unit, name) for unit in units} - {""} for name in Place._fields}
    names = [f"{name}s {listed(values)}" for name, values in there.items() if values]
    days = sorted({unit.day for unit in units})
    return UsageError(
        "no partitions of the accounts, regions and days asked for",
        dataset.uri,
        f"There are: {'; '.join([*names, f'days from {days[0]} to {days[-1]}'])}",
    )


def _check_columns(dataset: ReadStore, keys: Iterable[str], columns: Names) -> None:
    """Make sure that there are rows of each account and region, and some of both.

    Reads these columns only, and only until all are found.
    """
    there = {name: set[str]() for name in columns}
    found = False
    for key in keys:
        with _opened(dataset, key) as part:
            for rows in places_in(part, columns):
                found = found or pc.any(are_wanted(rows, columns)).as_py()
                for name, values in there.items():
                    values.update(rows.column(name).unique().to_pylist())
                if found and all(wanted <= there[name] for name, wanted in columns.items()):
                    return
    for name, wanted in columns.items():
        check_known(name, wanted, there[name], dataset.uri)
    what = "no records of the accounts and regions asked for"
    raise UsageError(what, dataset.uri, "Each has some, but not together: ask for one of them")


def _texts(dataset: ReadStore, keys: Iterable[str], columns: Names) -> Iterator[str]:
    for key in keys:
        with _opened(dataset, key) as part:
            for batch in batches_of(part, columns, _BATCH_ROWS):
                for text in map(restore_json, batch.to_pylist()):
                    yield text.replace("\n", " ").replace(
                        "\r", " "
                    )  # white space: strings escape theirs


@contextmanager
def _opened(dataset: ReadStore, key: str) -> Iterator[pq.ParquetFile]:
    with readable(dataset, key), dataset.open(key) as file:
        yield pq.ParquetFile(file, page_checksum_verification=True)
