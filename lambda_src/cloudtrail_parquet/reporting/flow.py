"""What came over time: records, late ones, bytes of log files and of Parquet."""

from collections.abc import Callable, Iterator
from datetime import date
from statistics import median

from cloudtrail_parquet.reporting.drawing.axis import Axis, Bin
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined
from cloudtrail_parquet.reporting.drawing.plots import Bar, bars, share
from cloudtrail_parquet.reporting.drawing.tables import NUMBER, folded, paragraph, section, table
from cloudtrail_parquet.reporting.figures import DayFigures, ReportFigures
from cloudtrail_parquet.wording import counted, size_of

_LATENESS = (
    ("before its own day", -(10**9), -1),
    ("on the same day", 0, 0),
    ("the next day", 1, 1),
    ("2 to 7 days", 2, 7),
    ("8 to 30 days", 8, 30),
    ("31 to 90 days", 31, 90),
    ("more than 90 days", 91, 10**9),
)

Binned = list[tuple[Bin, DayFigures]]


def binned(figures: ReportFigures, axis: Axis) -> Binned:
    """The figures of the days that each bar stands for."""
    bins = list(axis.bins())
    sums = [DayFigures() for _ in bins]
    for day, each in figures.days.items():
        if axis.first <= day <= axis.last:
            sums[(day - axis.first).days // axis.bin_days].add(each)
    return list(zip(bins, sums, strict=True))


def volume(axis: Axis, flow: Binned) -> Markup:
    """Records, late records and bytes over time."""
    every = "day" if axis.bin_days == 1 else counted(axis.bin_days, "day")
    columns = (
        ("from (UTC)", "days"),
        ("records", NUMBER),
        ("late", NUMBER),
        ("repeated", NUMBER),
        ("log files", NUMBER),
        ("their bytes", NUMBER),
        ("Parquet bytes", NUMBER),
    )
    return section(
        "volume",
        "Volume over time",
        _plot(axis, flow, f"Records each {every}", lambda day: day.records, _plain),
        _plot(axis, flow, f"Bytes of log files each {every}", lambda day: day.log_bytes, size_of),
        _plot(
            axis,
            flow,
            f"Late records, by delivery, each {every}",
            lambda day: day.late,
            _plain,
            "late",
        ),
        folded("These figures as a table", table(columns, _rows(flow), "plain")),
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}"


def _plot(  # noqa: PLR0913, PLR0917
    axis: Axis,
    flow: Binned,
    title: str,
    value_of: Callable[[DayFigures], int],
    told: Callable[[float], str],
    kind: str = "",
) -> Markup:
    values = sorted(value_of(figures) for _, figures in flow)
    highest = values[-1]
    when = next(days for days, figures in flow if value_of(figures) == highest)
    words = f"from 0 to {told(highest)} ({_of(when)}); median {told(median(values))}"
    if not highest:
        return paragraph(f"{title}: none.", kind="caption")
    drawn = [
        Bar(days, value_of(figures), f"{_of(days)}: {told(value_of(figures))}")
        for days, figures in flow
    ]
    caption = element("figcaption", element("b", title), f", {words}")
    return element("figure", caption, bars(axis, drawn, f"{title}, {words}", kind))


def _of(days: Bin) -> str:
    return str(days.first) if days.first == days.last else f"{days.first} to {days.last}"


def _rows(flow: Binned) -> Iterator[tuple[str, ...]]:
    for days, figures in flow:
        counts = (figures.records, figures.late, figures.duplicates, figures.files)
        sizes = (figures.log_bytes, figures.parquet_bytes)
        yield str(days.first), *(f"{value:,}" for value in (*counts, *sizes))


def lateness(figures: ReportFigures) -> Markup:
    """How late records came that came too late for the window of their day."""
    total = sum(figures.lateness.values())
    if not total:
        return section("late", "Late deliveries", paragraph("No record came too late for its day."))
    counts = [
        (name, sum(n for days, n in figures.lateness.items() if least <= days <= most))
        for name, least, most in _LATENESS
    ]
    highest = max(count for _, count in counts)
    rows = (
        (name, f"{count:,}", f"{100 * count / total:.1f} %", share(count, highest))
        for name, count in counts
        if count
    )
    columns = (("delivered", ""), ("records", NUMBER), ("share", NUMBER), ("", "plotted"))
    return section(
        "late",
        "Late deliveries",
        paragraph(
            f"{counted(total, 'record')} came after the window of their day had passed, and are in"
            " the dataset on their own day."
        ),
        table(columns, rows, "plain"),
    )


def sizes(figures: ReportFigures) -> Markup:
    """Bytes of log files and of Parquet, month by month."""
    months = dict[date, DayFigures]()
    for day, each in sorted(figures.days.items()):
        months.setdefault(day.replace(day=1), DayFigures()).add(each)
    highest = max((max(m.log_bytes, m.parquet_bytes) for m in months.values()), default=0)
    rows = (
        (
            f"{month:%Y-%m}",
            f"{of_month.records:,}",
            size_of(of_month.log_bytes),
            size_of(of_month.parquet_bytes),
            _share(of_month.parquet_bytes, of_month.log_bytes),
            _each(of_month.parquet_bytes, of_month.records),
            joined(share(of_month.log_bytes, highest), share(of_month.parquet_bytes, highest)),
        )
        for month, of_month in months.items()
    )
    columns = (
        ("month (UTC)", "days"),
        ("records", NUMBER),
        ("log files", NUMBER),
        ("Parquet", NUMBER),
        ("ratio", NUMBER),
        ("bytes a record", NUMBER),
        ("log files, Parquet", "plotted pair"),
    )
    unknown = (
        paragraph(
            f"Of {counted(figures.rebuilt_days, 'day of a place', 'days of places')} only records"
            " and bytes of Parquet are known: their receipts were made from the parts."
        )
        if figures.rebuilt_days
        else None
    )
    shared = (
        paragraph(
            "The accounts and regions that were selected share files with others: bytes of Parquet,"
            " days of lateness and log files that could not be read are those of all."
        )
        if figures.is_shared
        else None
    )
    title = "Size and compression"
    return section("size", title, table(columns, rows, "plain"), unknown, shared)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""


def _each(size: int, number: int) -> str:
    return f"{size / number:,.0f}" if number else ""
