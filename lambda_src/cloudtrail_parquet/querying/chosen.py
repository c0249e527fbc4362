"""Which parts a question is about: those in the folders that its days and places name."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import chain
from typing import NamedTuple
from urllib.parse import unquote

from cloudtrail_parquet.contract import PARTITION_COLUMNS, PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.dataset.parts import no_parts
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Place, Unit, is_part, partition, unit_of
from cloudtrail_parquet.planning.plan import UnitRange
from cloudtrail_parquet.source.discover import check_known
from cloudtrail_parquet.storage import Entry, ReadStore, files_between

_AT_A_TIME = 32
"""Listings requested at a time: 5,000 places take 3 s, 20 ms away."""


class ChosenParts(NamedTuple):
    """Parts to be read, with what is still to be left out of their rows.

    Attributes:
        layout: That of the dataset.
        parts: As listings have them, by key.
        columns: The values that are wanted of account and region, where they are no folders.
        others: How many Parquet files beside them are left out, since no conversion wrote them.
    """

    layout: PartitionLayout
    parts: list[Entry]
    columns: dict[str, frozenset[str]]
    others: int = 0

    @property
    def bytes(self) -> int:
        """The size of all parts."""
        return sum(part.size for part in self.parts)


def choose(dataset: ReadStore, wanted: UnitRange) -> ChosenParts:
    """List the parts in the folders of some days, accounts and regions, and in no others.

    A straggler lies in the folder of its day, so it is among them. Files that are not in partitions
    are left out.

    Raises:
        UsageError: It is no dataset, nothing is there of what is asked for, or not of each account
            and region; says what there is.
        StorageError: It cannot be listed.
    """
    layout = _layout_of(dataset)
    places = _Places(dataset, layout, wanted)
    prefixes = places.prefixes()
    with ThreadPoolExecutor(_AT_A_TIME if dataset.parallel > 1 else 1, "list") as threads:
        found = threads.map(places.days, prefixes)
        files = sorted(chain.from_iterable(found))
    parts = [file for file in files if is_part(file.key)]
    if not parts:
        what = "no partitions of the accounts, regions and days asked for"
        raise UsageError(what, dataset.uri, _what_there_is(dataset))
    columns = {name: _names(wanted)[name] for name in PLACE_COLUMNS[layout] if _names(wanted)[name]}
    return ChosenParts(layout, parts, columns, len(files) - len(parts))


def _layout_of(dataset: ReadStore) -> PartitionLayout:
    """The layout of a dataset, by the names of its folders; as few of them are listed as will do.

    Raises:
        UsageError: There are no partitions.
    """
    layout = _layout_below(dataset, "", [])
    if layout is None:
        raise no_parts(dataset)
    return layout


def _layout_below(dataset: ReadStore, prefix: str, above: list[str]) -> PartitionLayout | None:
    """The layout that the names of folders lead to, from those above a prefix on."""
    for folder in dataset.folders(prefix):
        names = [*above, folder.partition("=")[0]]
        for layout, columns in PARTITION_COLUMNS.items():
            if list(columns) == names:
                return layout
        if any(list(columns)[: len(names)] == names for columns in PARTITION_COLUMNS.values()):
            found = _layout_below(dataset, f"{prefix}{folder}/", names)
            if found:
                return found
    return None


def _names(wanted: UnitRange) -> dict[str, frozenset[str]]:
    """Accounts and regions, by column; all of them where these are empty."""
    return {"account": wanted.accounts, "region": wanted.regions}


class _Places:
    """The places of a dataset, as far as they are folders, and the days of each."""

    def __init__(self, dataset: ReadStore, layout: PartitionLayout, wanted: UnitRange) -> None:
        self._dataset, self._layout, self._wanted = dataset, layout, wanted
        self._folders = [name for name in Place._fields if name in PARTITION_COLUMNS[layout]]

    def prefixes(self) -> Sequence[str]:
        """The folders of the places that are wanted."""
        prefixes: Sequence[str] = [""]
        for name in self._folders:
            listings = self._listed(prefixes)
            known = {unquote(folder.partition("=")[2]) for _, folder in listings}
            wanted = _names(self._wanted)[name]
            check_known(name, wanted, known, self._dataset.uri)
            prefixes = [
                f"{prefix}{folder}/"
                for prefix, folder in listings
                if folder.startswith(f"{name}=")
                and (not wanted or unquote(folder.partition("=")[2]) in wanted)
            ]
        return prefixes

    def _listed(self, prefixes: Sequence[str]) -> list[tuple[str, str]]:
        at_a_time = _AT_A_TIME if self._dataset.parallel > 1 else 1
        with ThreadPoolExecutor(at_a_time, "list") as threads:
            listings = threads.map(self._dataset.folders, prefixes)
            return [
                (prefix, folder)
                for prefix, folders in zip(prefixes, listings, strict=True)
                for folder in folders
            ]

    def days(self, prefix: str) -> list[Entry]:
        """The Parquet files of a place on the days wanted: one listing, from the first day on."""
        first, last = (
            prefix + self._of_day(day) for day in (self._wanted.first, self._wanted.last)
        )
        if self._wanted.first == date.min:
            first = prefix
        if self._wanted.last == date.max:
            entries: Iterable[Entry] = self._dataset.files(prefix, after=first)
        else:
            entries = files_between(self._dataset, first, last)
        return [entry for entry in entries if self._is_wanted(unit_of(entry.key))]

    def _of_day(self, day: date) -> str:
        return partition(
            Unit("", "", day), "dt" if self._layout.endswith("dt") else "year/month/day"
        )

    def _is_wanted(self, unit: Unit | None) -> bool:
        return unit is not None and self._wanted.first <= unit.day <= self._wanted.last


def _what_there_is(dataset: ReadStore) -> str:
    """What there is instead; everything is listed for it."""
    units = sorted(filter(None, (unit_of(entry.key) for entry in dataset.files(""))))
    names: Iterator[str] = (
        f"{name}s {listed({getattr(unit, name) for unit in units})}"
        for name in Place._fields
        if units and getattr(units[0], name)
    )
    days = [unit.day for unit in units]
    return f"There are: {'; '.join([*names, f'days from {min(days)} to {max(days)}'])}"
