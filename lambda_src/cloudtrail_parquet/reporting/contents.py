"""What is in a dataset, and what is not: the commonest names, and what nobody could read."""

from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined
from cloudtrail_parquet.reporting.drawing.plots import share
from cloudtrail_parquet.reporting.drawing.tables import NUMBER, paragraph, section, table
from cloudtrail_parquet.reporting.figures import Counted, ReportFigures
from cloudtrail_parquet.wording import counted

_SHOWN = 50


def troubles(figures: ReportFigures) -> Markup:
    """What is quarantined, and what lies where no unit reads."""
    return section(
        "unreadable", "Quarantine, and log files that no unit reads", *_bad(figures), *_odd(figures)
    )


def _bad(figures: ReportFigures) -> list[Markup]:
    if not figures.unreadable_count:
        return [paragraph("Every log file and every record could be read.", kind="good")]
    rows = (
        (
            each.entry.key,
            "all of it" if each.entry.record is None else f"record {each.entry.record}",
            f"{each.entry.reason}{' (a retry may help)' if each.entry.retryable else ''}",
            each.unit,
        )
        for each in figures.distinct[:_SHOWN]
    )
    columns = (("log file", "key"), ("what", "names"), ("reason", "cause"), ("unit", "names"))
    words = counted(figures.unreadable_count, "log file or record", "log files and records")
    are_all = figures.unreadable_count <= min(_SHOWN, len(figures.distinct))
    return [
        paragraph(f"{words} could not be read", ":" if are_all else "; some of them:"),
        table(columns, rows, "stacked"),
    ]


def _odd(figures: ReportFigures) -> list[Markup]:
    if not figures.unplaced:
        return []
    files = sum(each.files for each in figures.unplaced)
    rows = (
        (each.folder or "the top", f"{each.files:,}{' or more' if each.more else ''}", each.example)
        for each in figures.unplaced[:_SHOWN]
    )
    columns = (("folder", "key"), ("log files", NUMBER), ("for example", "key"))
    words = f"{counted(files, 'object')} that are named like log files are in no unit:"
    return [paragraph(words), table(columns, rows, "stacked")]


def tops(figures: ReportFigures) -> Markup | None:
    """Services, principals and errors; None if they were not asked for."""
    found = figures.tops
    if found is None:
        return None
    title = "Services, principals and errors"
    if found.why_not:
        return section("tops", title, paragraph(f"They could not be counted: {found.why_not}"))
    about = paragraph(
        f"Of {counted(found.calls, 'record')} from {found.first} to {found.last} (UTC),"
        f" {found.failed:,} with an error, which is the red part of a bar. A record that CloudTrail"
        " delivered to several regions counts in each."
    )
    lists = [
        _list("Services", "eventSource", found.services),
        _list("Principals", "role, user or service", found.principals),
        _list("Errors", "errorCode", found.errors, are_errors=True),
    ]
    return section("tops", title, about, element("div", *lists, class_="tops"))


def _list(title: str, head: str, names: tuple[Counted, ...], *, are_errors: bool = False) -> Markup:
    heading = element("h3", title)
    if not names:
        return element("div", heading, paragraph("None."))
    highest = names[0].calls
    rows = (
        (
            joined(
                element("span", each.name or "not said", class_="top"),
                share(each.calls, highest, 0 if are_errors else each.failed),
            ),
            f"{each.calls:,}",
        )
        for each in names
    )
    columns = ((head, "names"), ("records", NUMBER))
    return element("div", heading, table(columns, rows, "errors" if are_errors else ""))
