"""The figures of a report: what the coverage says of each day, and sums of the ledger's columns."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.cover import Coverage
from cloudtrail_parquet.coverage.ledger import SCHEMA, unit_of_row
from cloudtrail_parquet.coverage.ranges import wanted_rows
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, unit_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.reporting.figures import DayFigures, ReportFigures, Unreadable
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import decode_receipt
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ReadStore

_AT_A_TIME = 32
_MOST_RECEIPTS = 200
"""So many receipts are read for the names of what could not be read, the newest first."""

_OF_PLACE = {
    "written": "written",
    "straggled": "late",
    "duplicate": "duplicates",
    "quarantined": "unreadable",
    "files": "files",
    "bytes": "log_bytes",
}
_OF_UNIT = {"bytes_out": "parquet_bytes", "files_quarantined": "unreadable"}
_COLUMNS = pa.schema(
    SCHEMA.field(name)
    for name in ("account", "region", "day", "spans", "is_first", *_OF_PLACE, *_OF_UNIT, "unplaced")
)
_PARTS = pa.schema(
    SCHEMA.field(name) for name in ("account", "region", "day", "spans", "is_first", "parts")
)


def gather(coverage: Coverage, state: ReadStore, wanted: UnitRange) -> ReportFigures:
    """Gather what a report shows, but for what occurs most often.

    Raises:
        UsageError: Nothing is known of any day.
        StorageError: The state cannot be read.
    """
    if coverage.first is None or coverage.last is None or not coverage.ranges:
        hint = "Name a dataset that convert has written to, or other days, accounts and regions"
        raise UsageError("nothing is known of any day that is asked for", state.uri, hint)
    figures = ReportFigures(coverage.first, coverage.last, coverage.ranges)
    wanted = wanted._replace(first=coverage.first, last=coverage.last)
    named = list[Unit]()
    for month in sorted(coverage.ledger.months):
        if month.first <= wanted.last and wanted.first <= month.last:
            table = coverage.ledger.table(month, _COLUMNS)
            units = _of_units(table, wanted)
            _add(figures, wanted_rows(table, wanted), _OF_PLACE)
            _add(figures, units, _OF_UNIT)
            _add_lateness(figures, _of_units(coverage.ledger.table(month, _PARTS), wanted))
            named += _with_names(table, units)
            figures.is_shared |= _are_shared(units, wanted)
    figures.untold = [each for each in coverage if each.verdict.cause == "receipt"]
    figures.rebuilt_days = sum(each.days for each in coverage if each.verdict.cause == "rebuilt")
    _add_names(figures, state, named[-_MOST_RECEIPTS:])
    return figures


def _of_units(table: pa.Table, wanted: UnitRange) -> pa.Table:
    """The first row of each unit that has something of a range, wherever that is in it."""
    first = table.filter(table["is_first"])
    spans = first["spans"]
    anywhere = wanted._replace(accounts=frozenset(), regions=frozenset())
    return pa.concat_tables(
        wanted_rows(first.filter(pc.equal(spans, number)), of_unit)
        for number, of_unit in enumerate((wanted, wanted._replace(regions=frozenset()), anywhere))
    )


def _are_shared(units: pa.Table, wanted: UnitRange) -> bool:
    """Whether units hold more than what is wanted, so that their figures are of others as well."""
    spans = pc.max(units["spans"]).as_py() or 0
    return bool((wanted.regions and spans) or (wanted.accounts and spans > 1))


def _add(figures: ReportFigures, rows: pa.Table, names: dict[str, str]) -> None:
    """Add the sums of columns by day, each to the figure of the name that it has there."""
    sums = rows.group_by("day").aggregate([(column, "sum") for column in names])
    for row in sums.to_pylist():
        of_day = figures.days.setdefault(row["day"], DayFigures())
        for column, name in names.items():
            setattr(of_day, name, getattr(of_day, name) + (row[f"{column}_sum"] or 0))


def _add_lateness(figures: ReportFigures, units: pa.Table) -> None:
    """Add rows of stragglers' parts, by the days between that of their folder and the unit's."""
    units = units.combine_chunks()
    days = units["day"].take(pc.list_parent_indices(units["parts"]))
    parts = pc.list_flatten(units["parts"])
    keys, rows = (pc.struct_field(parts, name) for name in ("key", "rows"))
    is_late = pc.match_substring(keys, "/straggler-")
    late = (column.filter(is_late).to_pylist() for column in (keys, days, rows))
    for key, delivered, number in zip(*late, strict=True):
        unit = unit_of(key)
        if unit is not None:
            lateness = (delivered - unit.day).days
            figures.lateness[lateness] = figures.lateness.get(lateness, 0) + number


def _with_names(table: pa.Table, units: pa.Table) -> Iterator[Unit]:
    """The last units whose receipts name what could not be read, or lies where no unit reads it."""
    bad = table.filter(pc.greater(table["quarantined"], 0))
    odd = units.filter(
        pc.or_(pc.greater(units["files_quarantined"], 0), pc.greater(units["unplaced"], 0))
    )
    columns = ["account", "region", "day", "spans"]
    newest = [
        some.select(columns).sort_by([("day", "descending")]).slice(0, _MOST_RECEIPTS)
        for some in (bad, odd)
    ]
    rows = (row for some in newest for row in some.to_pylist())
    yield from sorted({unit_of_row(row) for row in rows}, key=lambda unit: (unit.day, unit))


def _add_names(figures: ReportFigures, state: ReadStore, units: list[Unit]) -> None:
    """Add what the receipts of some units name."""

    def read(unit: Unit) -> Receipt | None:
        stored = state.look(StateKeys.of(unit).receipt)
        return decode_receipt(stored.data, unit, Receipt) if stored else None

    unplaced = Unplaced()
    for receipt in filter(None, ahead(state, read, units, _AT_A_TIME)):
        figures.unreadable += [Unreadable(receipt.unit.name, bad) for bad in receipt.quarantined]
        unplaced.merge(receipt.unplaced)
    figures.unplaced = unplaced.folders
