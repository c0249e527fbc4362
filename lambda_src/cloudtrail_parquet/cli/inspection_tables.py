"""Reports of `dataset.inspection` as tables for a terminal."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from cloudtrail_parquet.dataset.places import Range
from cloudtrail_parquet.dataset.reports import DatasetReport, PartReport, RowGroup, Size
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.wording import counted

_MAX_NAMES = 20
_ALWAYS = {"converter", "lookahead_s", "lookbehind_s", "record_version"}


def tables(report: PartReport | DatasetReport) -> list[Table]:
    """The tables to print, top to bottom; Parquet columns come largest first."""
    if isinstance(report, PartReport):
        return [
            _facts(report.name, _part_facts(report)),
            _row_groups(report.row_groups),
            _columns(report),
        ]
    return [_facts(report.uri, _dataset_facts(report)), _sizes(report)]


def _part_facts(report: PartReport) -> Iterable[tuple[str, str]]:
    yield "rows", f"{report.rows:,}"
    yield "bytes", f"{report.bytes:,}"
    yield "row groups", f"{len(report.row_groups):,}"
    yield "sorted by", ", ".join(report.sorted_by)
    yield from report.metadata.items()
    for name, today in report.changed.items():
        yield name, f"{report.settings.get(name, 'unknown')}; today it would be {today}"
    if not report.changed:
        yield "settings", "the same as today's"


def _dataset_facts(report: DatasetReport) -> Iterable[tuple[str, str]]:
    yield "parts", f"{report.parts:,}"
    yield "rows", f"{report.rows:,}"
    yield "bytes", f"{report.bytes:,}"
    yield "days", f"{report.first_day} to {report.last_day}"
    for name, known in {"account": report.accounts, "region": report.regions}.items():
        yield f"{name}s", _names(known) if known else f"a column: {_range(report.ranges.get(name))}"
    rows, parts = report.stragglers.rows, report.stragglers.parts
    yield "stragglers", f"{counted(rows, 'row')} in {counted(parts, 'part')}"
    yield "schema_version", _values(report.schema_versions)
    for name, values in sorted(report.settings.items()):
        if name in report.changed:
            yield name, f"{_values(values)}; today it would be {report.changed[name]}"
        elif name in _ALWAYS or len(values) > 1:
            yield name, _values(values)
    if not report.changed:
        yield "settings", "the same as today's"
    if report.strangers:
        yield "not parts", _names(report.strangers)


def _names(names: tuple[str, ...]) -> str:
    """How many names and which; of a long list only the first ones."""
    ending = ", ..." if len(names) > _MAX_NAMES else ""
    return f"{len(names):,}: {', '.join(names[:_MAX_NAMES])}{ending}"


def _range(range_: Range | None) -> str:
    """The ends of a range, or its only value."""
    if range_ is None:
        return "unknown"
    return range_.first if range_.first == range_.last else f"{range_.first} to {range_.last}"


def _values(parts: dict[str, int]) -> str:
    """The one value that all parts have, or each value and how many parts have it."""
    if len(parts) == 1:
        return next(iter(parts)) or "unknown"
    return ", ".join(
        f"{value or 'unknown'} in {counted(count, 'part')}" for value, count in parts.items()
    )


def _facts(title: str, facts: Iterable[tuple[str, str]]) -> Table:
    table = Table(title=_text(title), title_justify="left", show_header=False)
    for name, value in facts:
        table.add_row(_text(name), _text(value))
    return table


def _row_groups(groups: tuple[RowGroup, ...]) -> Table:
    columns = sorted({name for group in groups for name in group.ranges})
    titles = ("first event", "last event", *(f"{name}s" for name in columns))
    table = _table("row group", "rows", "bytes", text=titles)
    for number, group in enumerate(groups):
        times = [f"{time:%Y-%m-%d %H:%M:%S}" if time else "" for time in (group.first, group.last)]
        ranges = [_text(_range(group.ranges.get(name))) for name in columns]
        table.add_row(str(number), f"{group.rows:,}", f"{group.bytes:,}", *times, *ranges)
    return table


def _columns(report: PartReport) -> Table:
    table = _table(*_SIZES, text=("codec", "encodings", "also has"))
    everything = sum(column.compressed_bytes for column in report.columns)
    for column in sorted(report.columns, key=lambda column: -column.compressed_bytes):
        extras = {
            "statistics": column.statistics,
            "page index": column.column_index,
            "bloom filter": column.bloom_filter,
        }
        table.add_row(
            *_size(column, everything),
            column.codec,
            ", ".join(column.encodings),
            ", ".join(name for name, is_present in extras.items() if is_present),
        )
    return table


def _sizes(report: DatasetReport) -> Table:
    table = _table(*_SIZES)
    everything = sum(column.compressed_bytes for column in report.columns)
    for column in sorted(report.columns, key=lambda column: -column.compressed_bytes):
        table.add_row(*_size(column, everything))
    return table


_SIZES = ("column", "bytes", "share", "uncompressed")


def _size(column: Size, everything: int) -> tuple[Text, str, str, str]:
    share = column.compressed_bytes / max(everything, 1)
    return (
        _text(column.name),
        f"{column.compressed_bytes:,}",
        f"{share:.1%}",
        f"{column.uncompressed_bytes:,}",
    )


def _table(first: str, *numbers: str, text: tuple[str, ...] = ()) -> Table:
    table = Table(first)
    for title in numbers:
        table.add_column(title, justify="right")
    for title in text:
        table.add_column(title)
    return table


def _text(text: str) -> Text:
    """A literal cell: its markup does not count, and no control character reaches a terminal."""
    return Text(printable(text))
