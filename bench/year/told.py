"""What `status` has told of a year, compared with what was planted."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from bench.year.planted import Said, Year
from cloudtrail_parquet.layout import Place

_DAY = timedelta(days=1)
_SHOWN = 20

DaysTold = Mapping[tuple[Place, date], Said]
"""State and cause of each place and day."""


def days_told(ranges: Iterable[Mapping[str, Any]]) -> dict[tuple[Place, date], Said]:
    """The ranges that ``status --json`` prints, day by day.

    Raises:
        ValueError: A day of a place is told twice.
    """
    told = dict[tuple[Place, date], Said]()
    for each in ranges:
        place, first = Place(each["account"], each["region"]), date.fromisoformat(each["first"])
        for number in range(each["days"]):
            unit = place, first + _DAY * number
            if unit in told:
                raise ValueError(f"{unit} is told twice")
            told[unit] = each["state"], each["cause"]
    return told


class Comparison(NamedTuple):
    """How what was told compares with what was planted.

    Attributes:
        planted: How many gaps were planted, by cause.
        found: Of how many of them each day is told as one that has nothing, or lacks something.
        right: Of how many of them each day is told with the cause.
        others: Days of places of which something else is told than was planted, in words.
    """

    planted: Counter[str]
    found: Counter[str]
    right: Counter[str]
    others: list[str]

    @property
    def is_good(self) -> bool:
        """Whether all were found, 57 in 60 with their cause, and nothing else."""
        is_found = self.found == self.planted and not self.others
        return is_found and self.right.total() * 60 >= self.planted.total() * 57

    def lines(self) -> Iterator[str]:
        """The same as a table, and what should not be there."""
        for cause, planted in self.planted.items():
            found, right = self.found[cause], self.right[cause]
            yield f"{cause:16} planted {planted:3}  found {found:3}  with its cause {right:3}"
        yield f"told though not planted, or not as planted: {len(self.others)} days of places"
        yield from self.others[:_SHOWN]


def compare(year: Year, told: DaysTold) -> Comparison:
    """Compare what was told of all days of a year with what was planted."""
    said, inside = year.said(), {unit for gap in year.gaps for unit in gap.units}
    planted, found, right = Counter[str](), Counter[str](), Counter[str]()
    for gap in year.gaps:
        planted[gap.cause] += 1
        ours = [unit for unit in gap.units if said[unit] == gap.said]
        found[gap.cause] += all(told.get(unit, _GOOD)[0] in _GAPS for unit in ours)
        right[gap.cause] += all(told.get(unit) == gap.said for unit in ours)
    others = [
        f"{' '.join(unit[0])} {unit[1]}: told {told.get(unit)}, planted {said.get(unit)}"
        for unit in sorted(said.keys() | told.keys())
        if told.get(unit) != said.get(unit) and unit not in inside
    ]
    return Comparison(planted, found, right, others)


def differences(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    rowless: Collection[tuple[Place, date]] = (),
) -> list[str]:
    """Where two statuses say something else, but for what only log files can tell.

    Args:
        before: What was told before the state was lost.
        after: What was told afterwards.
        rowless: Days of places that were converted and have no rows, so that no part tells of them.
    """
    was, now = days_told(before), days_told(after)
    said = {unit: _REBUILT if each in _HAVE_ROWS else each for unit, each in was.items()}
    found = [
        f"{' '.join(unit[0])} {unit[1]}: {said.get(unit)}, then {now.get(unit)}"
        for unit in sorted(said.keys() | now.keys())
        if said.get(unit) != now.get(unit) and unit not in rowless
    ]
    rows, again = _rows(before), _rows(after)
    differ = [name for name in sorted(rows | again) if rows[name] != again[name]]
    return found + [f"{name}: {rows[name]}, then {again[name]}" for name in differ]


def _rows(ranges: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Records by place, and those that came late."""
    rows = Counter[str]()
    for each in ranges:
        for kind in ("records", "straggled"):
            rows[f"{each['account']} {each['region']} {kind}"] += each[kind]
    return rows


_GOOD: Said = ("converted", "")
_GAPS = {"missing", "empty", "unknown"}
_HAVE_ROWS: set[Said] = {("converted", ""), ("partial", "quarantined")}
_REBUILT: Said = ("converted", "rebuilt")
