"""Ranges of days of a place of which the same is said, made without looking at single rows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.ledger import How
from cloudtrail_parquet.coverage.verdicts import Judge, Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.planning.ranges import UnitRange

_DAY = timedelta(days=1)
_SUMMED = ("files", "bytes", "written", "straggled")


class CoveredRange(NamedTuple):
    """Consecutive days of a place of which the same is said.

    Attributes:
        place: The account and the region; a name is "" where it is not known.
        first: The first day.
        last: The last day.
        verdict: What is said of each of them.
        files: Log files in the windows of these days, as receipts or the source have them.
        bytes: Stored bytes of those delivered on the days themselves.
        records: Records that were written into the days' own partitions, and have not expired.
        straggled: Records that were written into those of other days.
    """

    place: Place
    first: date
    last: date
    verdict: Verdict
    files: int = 0
    bytes: int = 0
    records: int = 0
    straggled: int = 0

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def joined(self, later: "CoveredRange") -> "CoveredRange | None":
        """This range with one that follows it; None if that is not so, or says something else."""
        if self.last + _DAY != later.first or self.verdict != later.verdict:
            return None
        sums = (one + other for one, other in zip(self[4:], later[4:], strict=True))
        return CoveredRange(self.place, self.first, later.last, self.verdict, *sums)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "account": self.place.account,
            "region": self.place.region,
            "first": str(self.first),
            "last": str(self.last),
            "days": self.days,
            **self.verdict._asdict(),
            "files": self.files,
            "bytes": self.bytes,
            "records": self.records,
            "straggled": self.straggled,
        }


RangesByPlace = dict[Place, list[CoveredRange]]
"""Ranges by place, sorted by day."""


def add_all(ranges: RangesByPlace, more: Iterable[CoveredRange]) -> None:
    """Add ranges, each later than those of its place; what says the same becomes one."""
    for each in more:
        of_place = ranges.setdefault(each.place, [])
        joined = of_place[-1].joined(each) if of_place else None
        if joined is None:
            of_place.append(each)
        else:
            of_place[-1] = joined


def wanted_rows(table: pa.Table, wanted: UnitRange) -> pa.Table:
    """The rows of some days, accounts and regions; those whose place is not known are of any."""
    days = table["day"]
    is_wanted = pc.and_(
        pc.greater_equal(days, pa.scalar(wanted.first)), pc.less_equal(days, pa.scalar(wanted.last))
    )
    for name, values in (("account", wanted.accounts), ("region", wanted.regions)):
        if values:
            among = pa.array([*values, ""], pa.string())
            is_wanted = pc.and_(is_wanted, pc.is_in(table[name].cast(pa.string()), among))
    return table.filter(is_wanted)


def days_of(table: pa.Table) -> Iterator[tuple[Place, date, date]]:
    """The ranges of consecutive days of a month's rows, sorted by place and day.

    Args:
        table: n rows, in order, with account, region and day.
    """
    if table.num_rows:
        columns = _columns(table)
        places = [columns[name].indices for name in Place._fields]
        begins, ends = _ends(places, columns["day"])
        for account, region, first, last in _named(columns, begins, ends):
            yield Place(account, region), first, last


def ranges_of(
    table: pa.Table, judge: Judge, changed: Mapping[int, Verdict]
) -> Iterator[CoveredRange]:
    """The ranges of a month's rows, sorted by place and day.

    Args:
        table: n rows, in order, with the columns `ledger.HOT`.
        judge: What is said of rows by what they have in common.
        changed: What is said of others, by their numbers.
    """
    if not table.num_rows:
        return
    columns = _columns(table)
    verdicts, numbers = _verdicts(columns, judge, changed)
    places = [columns[name].indices for name in Place._fields]
    begins, ends = _ends([*places, numbers], columns["day"])
    said = numbers.take(pa.array(begins)).to_pylist()
    sums = [_sums(columns[name], ends) for name in _SUMMED]
    named = _named(columns, begins, ends)
    for (account, region, first, last), number, *figures in zip(named, said, *sums, strict=True):
        verdict, place = verdicts[number], Place(account, region)
        if verdict.cause == "expired":
            figures[_SUMMED.index("written")] = 0
        yield CoveredRange(place, first, last, verdict, *figures)


def _columns(table: pa.Table) -> dict[str, Any]:
    table = table.unify_dictionaries().combine_chunks()
    return {name: table[name].combine_chunks() for name in table.column_names}


def _named(
    columns: Mapping[str, Any], begins: list[int], ends: list[int]
) -> Iterator[tuple[str, str, date, date]]:
    """Account, region, first and last day of some ranges of rows."""
    takes = (("account", begins), ("region", begins), ("day", begins), ("day", ends))
    taken = (columns[name].take(pa.array(rows)).to_pylist() for name, rows in takes)
    yield from zip(*taken, strict=True)


def _verdicts(
    columns: Mapping[str, Any], judge: Judge, changed: Mapping[int, Verdict]
) -> tuple[list[Verdict], pa.Array]:
    """All verdicts on some rows, and the number of that on each row: int32[n]."""
    known: dict[Verdict, int] = defaultdict(lambda: len(known))
    days, how = columns["day"], columns["how"]
    ends = pc.min_max(days).as_py()
    texts = [How.of_text(text) for text in how.dictionary.to_pylist()]
    # Whether its window has passed is the same for all days up to one.
    border = ends["max"]
    while border >= ends["min"] and not judge.has_passed(border):
        border -= _DAY
    passed, coming = (
        pa.array([known[judge.of_how(text, day)] for text in texts], pa.int32())
        for day in (max(border, ends["min"]), ends["max"])
    )
    is_passed = pc.less_equal(days, pa.scalar(border))
    numbers = pc.if_else(is_passed, passed.take(how.indices), coming.take(how.indices))
    if changed:
        replaced = numbers.to_pylist()
        for row, verdict in changed.items():
            replaced[row] = known[verdict]
        numbers = pa.array(replaced, pa.int32())
    return list(known), numbers


def _ends(alike: Iterable[pa.Array], days: pa.Array) -> tuple[list[int], list[int]]:
    """The first and the last rows of ranges."""
    ends = [*_borders(alike, days.cast(pa.int32())), len(days) - 1]
    return [0, *(end + 1 for end in ends[:-1])], ends


def _borders(alike: Iterable[pa.Array], days: pa.Array) -> list[int]:
    """The rows whose next row is of another place, is not the next day, or says something else."""
    size = len(days) - 1
    if not size:
        return []
    ends = pc.not_equal(pc.subtract(days.slice(1), days.slice(0, size)), 1)
    for column in alike:
        ends = pc.or_(ends, pc.not_equal(column.slice(1), column.slice(0, size)))
    borders: list[int] = pc.indices_nonzero(ends).to_pylist()
    return borders


def _sums(column: pa.Array, ends: list[int]) -> Iterator[int]:
    """The sums of a column over consecutive rows, up to each of these, without those before."""
    totals = pc.cumulative_sum(pc.fill_null(column, 0)).take(pa.array(ends)).to_pylist()
    for before, total in zip([0, *totals], totals, strict=False):
        yield total - before
