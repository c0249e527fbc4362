"""The coverage calendar: a band of days for each account, with bands of its regions on demand."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from cloudtrail_parquet.coverage.ranges import CoveredRange
from cloudtrail_parquet.reporting.drawing.axis import Axis
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined
from cloudtrail_parquet.reporting.drawing.plots import BandPart, band
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.kinds import KINDS, kind_of, severity
from cloudtrail_parquet.wording import counted

_APART = 40
"""So many accounts have a row each, even if all their days are the same as others'."""

_ROWS, _REGION_ROWS, _PARTS = 2_000, 3_000, 60_000
"""At most so many rows, and parts of bands of accounts and again of regions: 2 MB of a page."""

_SEEN = 200
"""What is to be seen is at least as wide as one of so many parts of a band."""

_NAMED, _NAMES = 2, 400
"""So many regions are named in a row; so many accounts or regions below one."""
_BY_SEVERITY = {severity(kind): kind for kind in KINDS}
_OF_NOTE = ("missing", "unknown", "outdated", "partial", "kept")

Band = tuple[BandPart, ...]


class _Regions(NamedTuple):
    """Regions of which the same is said."""

    names: tuple[str, ...]
    band: Band


class _AccountRow(NamedTuple):
    """An account, or several of whose regions the same is said."""

    accounts: list[str]
    band: Band
    regions: tuple[_Regions, ...]
    states: dict[str, int]

    @property
    def rank(self) -> tuple[object, ...]:
        """What rows are sorted by: worst first."""
        days = dict.fromkeys(KINDS, 0)
        for part in chain.from_iterable(regions.band for regions in self.regions):
            days[part.kind] += part.days
        worst = [-days[kind] for kind in ("lack", "old", "part")]
        return (*worst, self.accounts)


class Calendar(NamedTuple):
    """The coverage calendar of a report, and what has found no room in it.

    Attributes:
        markup: The calendar.
        accounts_left_out: How many accounts have no row, and nothing to be seen to beyond those.
        without_regions: How many rows do not show regions.
    """

    markup: Markup
    accounts_left_out: int
    without_regions: int


def calendar(figures: ReportFigures, axis: Axis) -> Calendar:
    """Draw the days of all accounts, those with gaps first."""
    rows = sorted(_rows(figures, axis), key=attrgetter("rank"))
    shown = list(_within(rows))
    detailed = [row for row in shown if len(row.regions) > 1 or len(row.accounts) > 1]
    opened = {id(row) for row in _within_regions(detailed)}
    drawn = [_drawn(row, axis, is_open=id(row) in opened) for row in shown]
    head = element("div", element("span"), axis.drawn(), element("span"), class_="row head")
    left_out = sum(len(row.accounts) for row in rows[len(shown) :])
    markup = element("div", head, *drawn, class_="calendar")
    return Calendar(joined(_legend(rows), markup), left_out, len(detailed) - len(opened))


def _rows(figures: ReportFigures, axis: Axis) -> Iterator[_AccountRow]:
    of_account = defaultdict[str, dict[str, list[CoveredRange]]](dict)
    for place, ranges in figures.coverage.items():
        of_account[place.account][place.region] = ranges
    alike = dict[object, _AccountRow]()
    for account, regions in of_account.items():
        row = _row(account, regions, axis)
        key = row[1:3] if len(of_account) > _APART else account
        if key in alike:
            alike[key].accounts.append(account)
            for state, days in row.states.items():
                alike[key].states[state] = alike[key].states.get(state, 0) + days
        else:
            alike[key] = row
    yield from alike.values()


def _row(account: str, regions: dict[str, list[CoveredRange]], axis: Axis) -> _AccountRow:
    states = dict[str, int]()
    worst = bytearray(axis.days)
    weighed = [
        (severity(kind_of(each.verdict)), each) for some in regions.values() for each in some
    ]
    for weight, each in sorted(weighed, key=itemgetter(0)):
        begin, state = (each.first - axis.first).days, each.verdict.state
        worst[begin : begin + each.days] = bytes([weight]) * each.days
        states[state] = states.get(state, 0) + each.days
    alike = defaultdict[Band, list[str]](list)
    for region, some in regions.items():
        alike[_band(some, axis)].append(region)
    return _AccountRow(
        [account],
        tuple(_parts_of(worst)),
        tuple(_Regions(tuple(names), band) for band, names in alike.items()),
        states,
    )


def _band(ranges: Iterable[CoveredRange], axis: Axis) -> Band:
    """The parts of a place's band; consecutive days of one kind are one of them."""
    parts = list[BandPart]()
    for each in ranges:
        begin, kind = (each.first - axis.first).days, kind_of(each.verdict)
        before = parts[-1] if parts else None
        if before and before.kind == kind and before.begin + before.days == begin:
            parts[-1] = BandPart(before.begin, before.days + each.days, kind)
        else:
            parts.append(BandPart(begin, each.days, kind))
    return tuple(parts)


def _parts_of(days: bytearray) -> Iterator[BandPart]:
    begin = 0
    for weight, group in groupby(days):
        length = sum(1 for _ in group)
        if weight:
            yield BandPart(begin, length, _BY_SEVERITY[weight])
        begin += length


def _within(rows: Iterable[_AccountRow]) -> Iterator[_AccountRow]:
    """The first of some rows, as many as there is room for."""
    parts = 0
    for number, row in enumerate(rows):
        parts += len(row.band)
        if number >= _ROWS or parts > _PARTS:
            return
        yield row


def _within_regions(rows: Iterable[_AccountRow]) -> Iterator[_AccountRow]:
    """The first of some rows, for whose regions there is room."""
    count = parts = 0
    for row in rows:
        count += len(row.regions)
        parts += sum(len(regions.band) for regions in row.regions)
        if count > _REGION_ROWS or parts > _PARTS:
            return
        yield row


def _drawn(row: _AccountRow, axis: Axis, *, is_open: bool) -> Markup:
    accounts = [account or "all accounts" for account in row.accounts]
    name = accounts[0] if len(accounts) == 1 else counted(len(accounts), "account")
    words = _in_words(row.states)
    line = [
        element("span", name, class_="name"),
        _visible(axis, row.band, f"{name}: {words}"),
        element("span", words, class_="words"),
    ]
    if not is_open:
        return element("div", *line, class_="row")
    names = _every(accounts) if len(accounts) > 1 else None
    regions = (_drawn_regions(each, axis) for each in row.regions)
    return element("details", element("summary", *line, class_="row"), names, *regions)


def _drawn_regions(regions: _Regions, axis: Axis) -> Markup:
    names = sorted(name or "all regions" for name in regions.names)
    are_few = len(names) <= _NAMED
    name = ", ".join(names) if are_few else counted(len(names), "region")
    row = element(
        "div",
        element("span", name, class_="name"),
        _visible(axis, regions.band, name),
        element("span", class_="words"),
        class_="row",
    )
    return joined(row, None if are_few else _every(names))


def _every(names: list[str]) -> Markup:
    """All of some names, or as many as there is room for."""
    others = len(names) - _NAMES
    further = f" and {counted(others, 'other')}" if others > 0 else None
    return element("p", joined(*names[:_NAMES], by=", "), further, class_="names")


def _in_words(states: dict[str, int]) -> str:
    """How many days of places are not as they should be."""
    lacks = [f"{states[state]:,} {state}" for state in _OF_NOTE if state in states]
    return ", ".join(lacks) or "nothing lacks"


def _visible(axis: Axis, parts: Band, label: str) -> Markup:
    least = -(-axis.days // _SEEN)
    shown = [
        part
        if part.kind in {"have", "none"} or part.days >= least
        else BandPart(max(0, min(part.begin, axis.days - least)), least, part.kind)
        for part in sorted(parts, key=lambda part: severity(part.kind))
    ]
    return band(axis.days, shown, label)


def _legend(rows: Iterable[_AccountRow]) -> Markup:
    used = {part.kind for row in rows for part in row.band}
    items = [
        element("li", band(1, [BandPart(0, 1, kind)], ""), element("span", meaning))
        for kind, meaning in KINDS.items()
        if kind in used
    ]
    return element("ul", *items, class_="legend")
