"""The days of a report from left to right, in shares of the width, with labels that fit a phone."""

from collections.abc import Iterator
from datetime import date
from itertools import chain
from typing import NamedTuple

from cloudtrail_parquet.reporting.drawing.markup import Markup, element, number
from cloudtrail_parquet.reporting.figures import DAY

_LABELS = 6
_BINS = 400
_MONTHS = (1, 2, 3, 6)
_YEARS = (12, 24, 60, 120, 600, 1200, 6000, 12000)
_DAYS = 120  # labels say months where there are more
_FEW = 14  # labels stand below the middle of so few days
_LAST_LABEL = 88
"""In per cent: a label that begins further right would be cut off."""


class Bin(NamedTuple):
    """Some days that a bar stands for."""

    first: date
    last: date


class Axis(NamedTuple):
    """The days of a report.

    Attributes:
        first: The first day.
        last: The last day.
    """

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def at(self, day: date) -> float:
        """Where a day begins, in per cent of the width."""
        return 100 * (day - self.first).days / self.days

    @property
    def bin_days(self) -> int:
        """How many days a bar stands for: 1, or as many weeks as keep bars wide enough."""
        return 1 if self.days <= _BINS else 7 * -(-self.days // (7 * _BINS))

    def bins(self) -> Iterator[Bin]:
        """The days that each bar stands for."""
        day, size = self.first, self.bin_days
        while day <= self.last:
            last = min(self.last, day + (size - 1) * DAY)
            yield Bin(day, last)
            day = last + DAY

    def drawn(self) -> Markup:
        """The axis, as wide as what it stands below."""
        in_middle = 50 / self.days if self.days <= _FEW else 0
        marks = list[Markup]()
        for day, label in self._ticks():
            x = self.at(day) + in_middle
            if in_middle or x <= _LAST_LABEL:
                marks.append(element("rect", x=f"{number(x)}%", width=1, height=5))
                marks.append(element("text", label, x=f"{number(x)}%", y=17))
        kind = "axis few" if in_middle else "axis"
        return element("svg", *marks, class_=kind, height=20, aria_hidden="true")

    def _ticks(self) -> Iterator[tuple[date, str]]:
        if self.days <= _DAYS:
            step = -(-self.days // _LABELS)
            for offset in range(0, self.days, step):
                day = self.first + offset * DAY
                yield day, f"{day.day} {day:%b}"
            return
        months = self.days / 30.4
        steps = ((step, _LABELS - 1) for step in _MONTHS), ((step, _LABELS + 1) for step in _YEARS)
        step = next(step for step, most in chain(*steps) if months / step <= most)
        month = self.first.year * 12 + self.first.month - 1
        if self.first.day > 1:
            month += 1
        month = -(-month // step) * step
        while (day := date(month // 12, month % 12 + 1, 1)) <= self.last:
            yield day, f"{day.year}" if step % _YEARS[0] == 0 else f"{day:%b %Y}"
            month += step
