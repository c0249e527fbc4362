"""Exporting the records of a dataset as CloudTrail delivered them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.dataset.places import Names, are_wanted, batches_of, places_in
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Unit, unit_of
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
    names = {"account": frozenset(accounts), "region": frozenset(regions)}
    there = _There({name: set() for name in names}, set())
    keys = []
    for entry in dataset.files(""):
        unit = unit_of(entry.key)
        if unit is not None:
            there.add(unit)
            if first <= unit.day <= last and _may_hold(unit, names):
                keys.append(entry.key)
    if not there.days:
        raise UsageError("no partitions", dataset.uri, "Name the folder that convert has written")
    columns = {name: wanted for name, wanted in names.items() if wanted and not there.names[name]}
    for name, wanted in names.items():
        if name not in columns:
            check_known(name, wanted, there.names[name], dataset.uri)
    if not keys:
        what = "no partitions of the accounts, regions and days asked for"
        raise UsageError(what, dataset.uri, f"There are: {there}")
    if columns:
        _check_columns(dataset, keys, columns)
    return _texts(dataset, keys, columns)


class _There(NamedTuple):
    """What the folders of a dataset name: accounts and regions, unless they are columns; days."""

    names: dict[str, set[str]]
    days: set[date]

    def add(self, unit: Unit) -> None:
        self.days.add(unit.day)
        for name, known in self.names.items():
            if value := getattr(unit, name):
                known.add(value)

    def __str__(self) -> str:
        names = [f"{name}s {listed(known)}" for name, known in self.names.items() if known]
        return "; ".join([*names, f"days from {min(self.days)} to {max(self.days)}"])


def _may_hold(unit: Unit, names: Names) -> bool:
    """Whether a unit is of wanted accounts and regions, as far as it names its own."""
    return all(not wanted or getattr(unit, name) in {"", *wanted} for name, wanted in names.items())


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
