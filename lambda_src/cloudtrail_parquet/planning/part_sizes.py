"""The sizes of the parts of a span, from as few listings as that takes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.layout import Place, Unit, owner_day, partition, unit_of
from cloudtrail_parquet.storage import ReadStore, files_between


class PartSizes:
    """The sizes of the parts of a span: those of a range of days at once, others when needed."""

    def __init__(
        self, dataset: ReadStore, span: Place, first: date, last: date, layout: PartitionLayout
    ) -> None:
        """List the parts of a range of days."""
        self._dataset, self._span, self._layout = dataset, span, layout
        self._first, self._last = first, last
        self._by_day = self._list(first, last)

    def __bool__(self) -> bool:
        return bool(self._by_day)

    def on(self, day: date) -> Mapping[str, int]:
        """The sizes in bytes of the parts in a day's partition, by key."""
        if not self._first <= day <= self._last and day not in self._by_day:
            self._by_day[day] = self._list(day, day).get(day, {})
        return self._by_day.get(day, {})

    def owners(self) -> Iterator[Unit]:
        """The units that have written parts into the range of days, some of them repeatedly."""
        for day in sorted(self._by_day):
            for key in self._by_day[day]:
                owner = owner_day(key, day)
                if owner is not None:
                    yield Unit(*self._span, owner)

    def late_days(self) -> set[date]:
        """The days of the range with parts of other days, whose log files had records of them."""
        return {
            day
            for day, sizes in self._by_day.items()
            if any(owner_day(key, day) not in {None, day} for key in sizes)
        }

    def _list(self, first: date, last: date) -> dict[date, dict[str, int]]:
        sizes = defaultdict[date, dict[str, int]](dict)
        ends = (partition(Unit(*self._span, day), self._layout) for day in (first, last))
        for entry in files_between(self._dataset, *ends):
            unit = unit_of(entry.key)
            if unit is not None and unit.span == self._span:
                sizes[unit.day][entry.key] = entry.size
        return dict(sizes)
