"""The top of a report: what it comes to, what has changed, and where something lacks."""

from collections.abc import Iterator

from cloudtrail_parquet.reporting.calendar import calendar
from cloudtrail_parquet.reporting.changes import Range, ReportChanges, ReportSummary, as_covered
from cloudtrail_parquet.reporting.drawing.axis import Axis
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined
from cloudtrail_parquet.reporting.drawing.tables import NUMBER, paragraph, section, table
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.gaps import days_in_words, gaps_of, gaps_table, grouped
from cloudtrail_parquet.reporting.kinds import places_in_words
from cloudtrail_parquet.wording import counted, plural_of, size_of

_CHANGES_SHOWN = 10
_STATUS = "cloudtrail-parquet status DATASET --json"


def overview(figures: ReportFigures) -> Markup:
    """The figures that somebody looks for first."""
    total, states = figures.total, figures.states()
    lacking = figures.lacking
    days = sum(states.values())
    in_places = f"in {counted(len(figures.coverage), 'place')}"
    if figures.untold:
        untold = counted(figures.untold_days, "day of a place", "days of places")
        in_places = f"{in_places}, without {untold} of which no receipt tells"
    facts = [
        ("records", f"{total.records:,}", in_places),
        ("days of places", f"{days:,}", f"{states.get('converted', 0):,} converted"),
        ("lacking", f"{lacking:,}", plural_of(lacking, "day of a place", "days of places")),
        ("late records", f"{total.late:,}", _per_cent(total.late, total.records)),
        ("not readable", f"{figures.unreadable_count:,}", "log files and records"),
        ("Parquet", size_of(total.parquet_bytes), _ratio(total.log_bytes, total.parquet_bytes)),
    ]
    bad = {"lacking": lacking, "not readable": figures.unreadable_count}
    items = [
        element(
            "div",
            element("dt", name),
            element("dd", value, element("small", more), class_="bad" if bad.get(name) else None),
        )
        for name, value, more in facts
    ]
    return element("dl", *items, class_="facts")


def _per_cent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} % of all" if whole else "of none"


def _ratio(before: int, after: int) -> str:
    of_logs = f" ({100 * after / before:.0f} %)" if before and after else ""
    return f"of {size_of(before)} of log files{of_logs}"


def changed(changes: ReportChanges | None, why_not: str) -> Markup:
    """What has changed since the last report, or why that is not known."""
    title = "What has changed since the last report"
    if changes is None:
        return section("changes", title, paragraph(why_not))
    before, now = changes.before, changes.now
    about = paragraph(
        f"The last one was made {before.made}, about {before.first} to {before.last}; it was"
        " replaced by this one."
    )
    columns = (("", ""), ("before", NUMBER), ("now", NUMBER), ("difference", NUMBER))
    return section(
        "changes",
        title,
        about,
        table(columns, _differences(before, now), "plain"),
        *_moved("Days that lacked and do not any more", changes.closed),
        *_moved("Days that lack and did not before", changes.opened),
    )


def _differences(before: ReportSummary, now: ReportSummary) -> Iterator[tuple[str, ...]]:
    for name, key in (
        ("records", "records"),
        ("late records", "late"),
        ("places", "places"),
        ("days of places that lack", "lacking"),
        ("log files and records not readable", "unreadable"),
    ):
        old, new = getattr(before, key), getattr(now, key)
        yield name, f"{old:,}", f"{new:,}", _signed(new - old, f"{abs(new - old):,}")
    for name, key in (("log files", "log_bytes"), ("Parquet", "parquet_bytes")):
        old, new = getattr(before, key), getattr(now, key)
        yield name, size_of(old), size_of(new), _signed(new - old, size_of(abs(new - old)))


def _signed(difference: int, size: str) -> str:
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    return f"{sign}{size}" if difference else "none"


def _moved(title: str, ranges: tuple[Range, ...]) -> Iterator[Markup]:
    if not ranges:
        return
    gaps = grouped(as_covered(ranges))
    days = sum(gap.days for gap in gaps)
    yield element("h3", f"{title}: {days:,}")
    shown = (
        (days_in_words(gap.first, gap.last), *places_in_words(gap.places))
        for gap in gaps[:_CHANGES_SHOWN]
    )
    columns = (("days (UTC)", "days"), ("account", "names"), ("region", "names"))
    yield table(columns, shown, "stacked")
    if len(gaps) > _CHANGES_SHOWN:
        yield paragraph(f"And {counted(len(gaps) - _CHANGES_SHOWN, 'further range')}.")


def coverage(figures: ReportFigures, axis: Axis) -> Markup:
    """Gaps with their causes, then the calendar."""
    gaps = gaps_of(figures)
    found = (
        gaps_table(gaps)
        if gaps
        else paragraph("Nothing lacks, and nothing is outdated, partial or kept.", kind="good")
    )
    drawn = calendar(figures, axis)
    left_out = [
        f"{counted(drawn.accounts_left_out, 'account')} had no room here"
        if drawn.accounts_left_out
        else "",
        f"{counted(drawn.without_regions, 'row')} had no room for regions"
        if drawn.without_regions
        else "",
    ]
    words = "; ".join(filter(None, left_out))
    further = paragraph(f"{words}: ", element("code", _STATUS), " lists all.") if words else None
    return joined(
        section("gaps", "Gaps, with their causes", found),
        section(
            "coverage",
            "Coverage by account and day",
            paragraph(
                "A band is an account, with all of its regions: a day is of the worst state among"
                " them. Open a row for its regions. Thick parts are what to see to, drawn wide"
                " enough to be seen."
            ),
            drawn.markup,
            further,
        ),
    )
