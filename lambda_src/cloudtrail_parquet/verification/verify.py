"""A verification as a whole: which units there are, which of them are looked at, and the result."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec

from cloudtrail_parquet.layout import Place, Unit, partition, span_folder, span_of, unit_of
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS
from cloudtrail_parquet.state.keys import receipt_days
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.verification.findings import Amounts, Finding, Kind
from cloudtrail_parquet.verification.logs import LogTree
from cloudtrail_parquet.verification.receipts import (
    DatasetFacts,
    StateReader,
    properties_of,
    rules_of,
)
from cloudtrail_parquet.verification.rules import Masks
from cloudtrail_parquet.verification.stragglers import OpenStragglers
from cloudtrail_parquet.verification.unit_check import Inspector, UnitResult

_DAY = timedelta(days=1)
_SHARE = 1 << 64


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is verified.

    Attributes:
        first: The first day.
        last: The last day.
        accounts: Only these accounts; all if there are none.
        regions: Only these regions; likewise.
        share: The share of the units that is looked at, above 0 and up to 1.
        seed: Another one chooses others.
    """

    first: date = date.min
    last: date = date.max
    accounts: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    share: float = 1.0
    seed: int = 0

    def holds(self, account: str, region: str) -> bool:
        """Whether a place is looked at; a span that lacks one of both may hold it."""
        return all(
            not names or not name or name in names
            for name, names in ((account, self.accounts), (region, self.regions))
        )

    def takes(self, unit: Unit) -> bool:
        """Whether the sample has a unit: the same ones each time."""
        if self.share >= 1:
            return True
        number = sha256(f"{self.seed}\0{unit.name}".encode()).digest()[:8]
        return int.from_bytes(number) < self.share * _SHARE


class Opener(Protocol):
    """Opens the stores of a verification, in any process: dataset, state and source."""

    def __call__(self) -> tuple[ReadStore, ReadStore, ReadStore | None]:
        """Open them; the source may be None."""
        ...


@dataclass
class Extent:
    """What there is, by its receipts, and how much of it is looked at.

    Attributes:
        units: The units to look at; those without receipts and parts may have log files.
        there: How much there is.
        chosen: How much of it is looked at.
        redact: The redact rules of all receipts.
        gaps: Units without receipts and parts between others that have them.
    """

    units: list[Unit] = field(default_factory=list)
    there: Amounts = field(default_factory=Amounts)
    chosen: Amounts = field(default_factory=Amounts)
    redact: list[Any] = field(default_factory=list)
    gaps: set[Unit] = field(default_factory=set)


class Verification:
    """Verifies the units of a dataset.

    Attributes:
        survey: What there is.
        amounts: How much has been looked at.
        refused: The prefixes of the source that may not be listed.
    """

    def __init__(self, open_stores: Opener, scope: Scope) -> None:
        """Find the units.

        Raises:
            UsageError: The location holds no dataset.
            StorageError: Something cannot be listed or read.
        """
        self._open, self._scope = open_stores, scope
        self._dataset, self._state, self._source = open_stores()
        self._properties = properties_of(self._dataset, self._state)
        self._receipts = StateReader(self._state)
        source, folders = self._source, self._properties.folders
        self._tree = LogTree(source, folders) if source is not None else None
        self.refused = self._tree.refused if self._tree else []
        self.survey, self.amounts = Extent(), Amounts()
        self._survey()

    def findings(
        self, workers: int = 1, tell: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[Finding]:
        """Verify the units; what is found comes unit by unit, stragglers last.

        What lies in no partition comes first, unless accounts or regions are selected.

        Args:
            workers: How many processes.
            tell: Is told of each unit: the bytes of its parts, and that it is one.
        """
        yield from self._outside()
        stragglers = OpenStragglers()
        for result in self._results(workers):
            self.amounts.add(result.amounts)
            if self._tree is not None:
                stragglers.add(result)
            tell(result.amounts.bytes, 1)
            is_gap = result.unit in self.survey.gaps
            yield from map(_of_gap if is_gap else _as_it_is, result.findings)
        yield from stragglers.settle(self._inspector())

    def _inspector(self) -> Inspector:
        return _inspector(
            (self._dataset, self._state, self._source), self._scope, self.survey.redact, self._tree
        )

    def _results(self, workers: int) -> Iterator[UnitResult]:
        units = self.survey.units
        if workers == 1 or len(units) < 2:  # noqa: PLR2004
            yield from map(self._inspector().verify, units)
            return
        facts = (self._open, self._scope, self.survey.redact)
        with ProcessPoolExecutor(workers, initializer=_prepare, initargs=facts) as processes:
            waiting = iter(units)
            running: list[Future[UnitResult]] = [
                processes.submit(_verify, unit) for unit in islice(waiting, 2 * workers)
            ]
            try:
                while running:
                    yield running.pop(0).result()
                    running += [processes.submit(_verify, unit) for unit in islice(waiting, 1)]
            finally:
                processes.shutdown(wait=not running, cancel_futures=True)

    def _outside(self) -> Iterator[Finding]:
        """The Parquet files that readers find, and that are in no partition of the layout."""
        if self._scope.accounts or self._scope.regions:
            return
        for entry in self._dataset.files(""):
            if entry.key.lower().endswith(".parquet") and not self._is_in_partition(entry.key):
                unit = unit_of(entry.key)
                if unit is None or self._scope.first <= unit.day <= self._scope.last:
                    what = "it is in no partition of the dataset, and readers may read it"
                    yield Finding(kind=Kind.PART_UNKNOWN, unit="", part=entry.key, what=what)

    def _is_in_partition(self, key: str) -> bool:
        layout = self._properties.layout
        folders = "/".join(key.split("/")[: len(PARTITION_SCHEMAS[layout].names)])
        unit = unit_of(f"{folders}/.parquet")
        return unit is not None and key.startswith(partition(unit, layout))

    def _survey(self) -> None:
        rules = dict[str, Any]()
        for unit, is_converted, is_gap in self._units():
            receipt = self._receipts.of(unit).receipt
            parts = receipt.parts if receipt else []
            amounts = Amounts(
                units=int(is_converted),
                parts=len(parts),
                rows=sum(part.rows for part in parts),
                bytes=sum(part.bytes for part in parts),
            )
            self.survey.there.add(amounts)
            if is_gap:
                self.survey.gaps.add(unit)
            if self._scope.takes(unit):
                self.survey.units.append(unit)
                self.survey.chosen.add(amounts)
            for rule in rules_of(receipt.settings, "redact") if receipt else ():
                rules[json.dumps(rule, sort_keys=True)] = rule
        self.survey.redact = [*rules.values()]

    def _units(self) -> Iterator[tuple[Unit, bool, bool]]:
        """The units, and whether they have a receipt or parts; others may have log files.

        And of these, whether earlier and later days of the same places have.
        """
        for span in self._spans():
            days = receipt_days(self._state, span, self._scope.first, self._scope.last)
            days |= self._days_with_parts(span)
            for day in sorted(days | self._days_with_logs(span)):
                if self._scope.first <= day <= self._scope.last:
                    is_gap = day not in days and any(map(day.__gt__, days))
                    is_gap = is_gap and any(map(day.__lt__, days))
                    yield Unit(*span, day), day in days, is_gap

    def _spans(self) -> list[Place]:
        """The spans of units that have parts, receipts or log files."""
        spans = set[Place]()
        for store, prefix in ((self._dataset, ""), (self._state, "receipts/")):
            spans |= set(_spans_below(store, prefix, span_of(_ANY, self._properties.layout)))
        places = self._tree.trails if self._tree else ()
        spans |= {span_of(place, self._properties.layout) for place in places}
        return sorted(span for span in spans if self._scope.holds(*span))

    def _days_with_parts(self, span: Place) -> set[date]:
        folder = span_folder(Unit(*span, _EPOCH), self._properties.layout)
        keys = (entry.key for entry in self._dataset.files(folder))
        units = (unit_of(key) for key in keys if self._is_in_partition(key))
        return {unit.day for unit in units if unit and unit.span == span}

    def _days_with_logs(self, span: Place) -> set[date]:
        tree, bounds = self._tree, self._properties.bounds
        if tree is None:
            return set()
        first, last = self._scope.first, self._scope.last
        first -= min(_DAY * 2, first - date.min)
        last += min(_DAY * 2, date.max - last)
        delivered = {
            day
            for place in tree.trails
            if Unit(*span, _EPOCH).holds(*place) and self._scope.holds(*place)
            for day in tree.days(place, first, last)
        }
        near = range(-2, 3)
        candidates = {day + _DAY * n for day in delivered for n in near if _exists(day, n)}
        return {day for day in candidates if not delivered.isdisjoint(bounds.days(day))}


def _as_it_is(finding: Finding) -> Finding:
    return finding


def _of_gap(finding: Finding) -> Finding:
    """What is found in a unit that somebody may have removed, since those around it are there."""
    if finding.kind != Kind.PENDING:
        return finding
    what = f"{finding.what}; earlier and later days of its places are there"
    return msgspec.structs.replace(finding, kind=Kind.UNIT_MISSING, what=what)


_EPOCH = date(1970, 1, 1)
_ANY = Place("?", "?")


def _exists(day: date, days: int) -> bool:
    return 1 <= day.toordinal() + days <= date.max.toordinal()


def _spans_below(store: ReadStore, prefix: str, form: Place) -> Iterator[Place]:
    """The spans that have folders below a prefix; ``form`` has what spans of the layout have."""
    accounts = [""]
    if form.account:
        accounts = _values(store, prefix, "account=")
    for account in accounts:
        folder = f"{prefix}{account}/" if account else prefix
        regions = _values(store, folder, "region=") if form.region else [""]
        for region in regions:
            yield Place(*(unquote(name.partition("=")[2]) for name in (account, region)))


def _values(store: ReadStore, prefix: str, beginning: str) -> list[str]:
    return [name for name in store.folders(prefix) if name.startswith(beginning)]


Stores3 = tuple[ReadStore, ReadStore, ReadStore | None]


def _inspector(
    stores: Stores3, scope: Scope, redact: Iterable[Any], tree: LogTree | None
) -> Inspector:
    dataset, state, _ = stores
    properties: DatasetFacts = properties_of(dataset, state)
    return Inspector(dataset, StateReader(state), properties, Masks(redact), tree, scope.holds)


_OF_PROCESS: list[Inspector] = []


def _prepare(open_stores: Opener, scope: Scope, redact: list[Any]) -> None:
    """Make the inspector of a worker process."""
    stores = open_stores()
    properties, source = properties_of(*stores[:2]), stores[2]
    tree = LogTree(source, properties.folders) if source is not None else None
    _OF_PROCESS[:] = [_inspector(stores, scope, redact, tree)]


def _verify(unit: Unit) -> UnitResult:
    return _OF_PROCESS[0].verify(unit)
