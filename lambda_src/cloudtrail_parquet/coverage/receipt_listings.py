"""Listings of receipts: of some months, of all, span by span or in portions of half a million."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from hashlib import blake2b
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import NamedTuple

from cloudtrail_parquet.coverage.spans import spans_in
from cloudtrail_parquet.layout import Place, Unit, state_key, state_unit
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.marks import Month
from cloudtrail_parquet.storage import Entry, ReadStore, files_between

_RECEIPTS = "receipts/"
_SLICE = 500_000
"""So many receipts are held of a listing before the ledger takes them in: some 300 MB."""
_SPANS = 1_000


class ReceiptSlice(NamedTuple):
    """Receipts as a listing has them.

    Attributes:
        units: The units by month, with the versions of their receipts.
        covers: Whether the listing would have shown the receipt of a unit.
        is_whole: Whether it would have shown all receipts of the months that it is about.
    """

    units: dict[Month, dict[Unit, str]]
    covers: Callable[[Unit], bool]
    is_whole: bool = True

    def digest(self, month: Month) -> str:
        """Of the receipts of a month, and their versions; empty if there may be more of them."""
        if not self.is_whole:
            return ""
        digest = blake2b(digest_size=16)
        for unit, version in sorted(self.units.get(month, {}).items()):
            digest.update(f"{unit.name}\0{version}\0".encode())
        return digest.hexdigest()


def list_receipts(
    state: ReadStore, doubted: list[Month] | None, *, by_span: bool
) -> Iterator[ReceiptSlice]:
    """The receipts of some months; None for all receipts, span by span if these are not many."""
    if doubted is not None:
        if doubted:
            yield _listed_by_month(state, doubted)
        return
    if by_span and state.parallel > 1 and len(spans := spans_in(state, _RECEIPTS)) <= _SPANS:
        answers = each(state, lambda span: list(state.files(_folder_of(span))), spans)
        yield ReceiptSlice(_by_month(chain.from_iterable(answers)), lambda _: True)
        return
    last = ""
    for entries in _portions(state.files(_RECEIPTS)):
        following = entries[-1].key if len(entries) == _SLICE else ""
        covers, is_whole = partial(_is_between, last, following), not last and not following
        yield ReceiptSlice(_by_month(entries), covers, is_whole)
        last = following


def _folder_of(span: Place) -> str:
    """The folder with the receipts of a span, and of all that is within it."""
    return state_key("receipts", Unit(*span, date.min), "").partition("year=")[0]


def _portions(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """A listing in portions, of which the last one is not full, and may be empty."""
    while True:
        portion = list(islice(entries, _SLICE))
        yield portion
        if len(portion) < _SLICE:
            return


def _is_between(first: str, last: str, unit: Unit) -> bool:
    key = StateKeys.of(unit).receipt
    return first < key and (not last or key <= last)


def _listed_by_month(state: ReadStore, months: list[Month]) -> ReceiptSlice:
    """The receipts of some months: a listing for each span and each range of months."""
    ranges = [(group[0].first, group[-1].last) for group in _consecutive(months)]
    asked = [(span, *days) for span in spans_in(state, _RECEIPTS) for days in ranges]

    def ask(question: tuple[Place, date, date]) -> list[Entry]:
        span, *days = question
        ends = (state_key("receipts", Unit(*span, day), ending="") for day in days)
        return list(files_between(state, *ends))

    entries = [entry for answer in each(state, ask, asked) for entry in answer]
    return ReceiptSlice(_by_month(entries), lambda unit: Month.of(unit.day) in set(months))


def _consecutive(months: list[Month]) -> Iterator[list[Month]]:
    numbered = (
        (month.year * 12 + month.month - place, month) for place, month in enumerate(months)
    )
    for _, group in groupby(numbered, itemgetter(0)):
        yield [month for _, month in group]


def _by_month(entries: Iterable[Entry]) -> dict[Month, dict[Unit, str]]:
    units = defaultdict[Month, dict[Unit, str]](dict)
    for entry in entries:
        if (unit := state_unit(entry.key)) is not None:
            units[Month.of(unit.day)][unit] = entry.version
    return units
