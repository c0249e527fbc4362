"""Cron expressions as EventBridge reads them: six fields, and what is wrong with one.

Source: EventBridge User Guide, "Cron expressions reference"; Scheduler reads the same.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


class Field(NamedTuple):
    """A field of an expression.

    Attributes:
        name: Its name in the reference.
        low: The least number.
        high: The greatest number.
        names: Words for the numbers from the least one on.
        specials: What else an item may be, as a regular expression.
        steps: Whether ``/`` is legal.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    specials: str = ""
    steps: bool = True

    def values(self, text: str) -> set[int]:
        """The numbers that the text of the field selects.

        Raises:
            ValueError: It is not legal, or selects days by something else than their numbers.
        """
        return {value for item in text.split(",") for value in self._item(item)}

    def mistakes(self, text: str) -> Iterator[str]:
        """What is wrong with the text of the field."""
        items = text.split(",")
        for item in items:
            if self.specials and re.fullmatch(self.specials, item):
                if len(items) > 1:
                    yield f"{self.name}: {item} stands alone"
                continue
            try:
                list(self._item(item))
            except ValueError as error:
                yield f"{self.name}: {error}"

    def _item(self, item: str) -> Iterator[int]:
        match = _ITEM.fullmatch(item)
        if match is None or (match[4] and not self.steps):
            raise ValueError(f"{item} is not legal there")
        every, first, last, step = match.groups()
        begin = self.low if every else self._number(first)
        end = self.high if every or (step and not last) else self._number(last or first)
        if end < begin:
            if not self.names:
                raise ValueError(f"{item} ends before it begins")
            end += self.high - self.low + 1  # FRI-MON
        if step and not 1 <= int(step) <= self.high:
            raise ValueError(f"{item} has a step that is not 1 to {self.high}")
        count = self.high - self.low + 1
        values = range(begin, end + 1, int(step or 1))
        yield from ((value - self.low) % count + self.low for value in values)

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if not text.isdigit() or not self.low <= int(text) <= self.high:
            words = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{text} is not {self.low} to {self.high}{words}")
        return int(text)


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")  # numbers begin with 1
_DAY = rf"([1-7]|{'|'.join(_DAYS)})"

MINUTES = Field("minutes", 0, 59)
HOURS = Field("hours", 0, 23)
DAY_OF_MONTH = Field("day of month", 1, 31, specials=r"\?|L|LW|([1-9]|[12]\d|3[01])W")
MONTH = Field("month", 1, 12, _MONTHS)
DAY_OF_WEEK = Field("day of week", 1, 7, _DAYS, specials=rf"\?|L|{_DAY}L|{_DAY}#[1-5]", steps=False)
YEAR = Field("year", 1970, 2199)
FIELDS = (MINUTES, HOURS, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR)


def cron_mistakes(expression: str) -> Iterator[str]:
    """What is wrong with an expression that has six fields, in words."""
    texts = expression.removeprefix("cron(").removesuffix(")").split()
    for field, text in zip(FIELDS, texts, strict=True):
        yield from field.mistakes(text)
    days = texts[FIELDS.index(DAY_OF_MONTH)], texts[FIELDS.index(DAY_OF_WEEK)]
    if days.count("?") != 1:
        yield (
            f"one of {DAY_OF_MONTH.name} and {DAY_OF_WEEK.name}, and only one, is ?, not"
            f" {' and '.join(days)}"
        )
