"""Sets of days as sorted ranges, since those of years are mostly whole."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

_DAY = timedelta(days=1)


class DaySet:
    """Days, as ranges that neither overlap nor touch."""

    def __init__(self, ranges: Iterable[tuple[date, date]] = ()) -> None:
        """The days of some ranges, each from its first to its last day, in any order."""
        self._firsts: list[date] = []
        self._lasts: list[date] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= day_after(self._lasts[-1]):
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, day: date) -> bool:
        place = bisect_right(self._firsts, day) - 1
        return place >= 0 and day <= self._lasts[place]

    def __iter__(self) -> Iterator[tuple[date, date]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def gaps(self, first: date, last: date) -> Iterator[tuple[date, date]]:
        """The ranges of the days from one to another that are not among these."""
        begin = first
        start = max(bisect_right(self._firsts, first) - 1, 0)
        for one, other in zip(self._firsts[start:], self._lasts[start:], strict=True):
            if one > last:
                break
            if begin < one:
                yield begin, one - _DAY
            if other >= begin:
                begin = day_after(other)
            if begin > last or other == date.max:
                return
        if begin <= last:
            yield begin, last

    def borders(self, first: date, last: date) -> Iterator[date]:
        """The days from one to another on which a range begins, or one has ended the day before."""
        yield from self._firsts[bisect_left(self._firsts, first) : bisect_right(self._firsts, last)]
        for day in self._lasts[bisect_left(self._lasts, first) : bisect_left(self._lasts, last)]:
            yield day_after(day)


def day_after(day: date) -> date:
    """The day after, or the last one that there is."""
    return day if day == date.max else day + _DAY


def cut(first: date, last: date, borders: Iterable[date]) -> Iterator[tuple[date, date]]:
    """A range, cut before each of some days, in any order."""
    begin = first
    for border in sorted({border for border in borders if first < border <= last}):
        yield begin, border - _DAY
        begin = border
    yield begin, last
