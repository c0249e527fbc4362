"""The page: one file, which asks nothing of a network and runs no script."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from cloudtrail_parquet.reporting.changes import ReportChanges, ReportSummary, embedded
from cloudtrail_parquet.reporting.contents import tops, troubles
from cloudtrail_parquet.reporting.drawing.axis import Axis
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined, literal
from cloudtrail_parquet.reporting.figures import ReportFigures
from cloudtrail_parquet.reporting.flow import binned, lateness, sizes, volume
from cloudtrail_parquet.reporting.overview import changed, coverage, overview
from cloudtrail_parquet.version import __version__

_LANGUAGE = "en"
_TITLE = "CloudTrail dataset"


def page(
    figures: ReportFigures, summary: ReportSummary, changes: ReportChanges | None, why_not: str
) -> str:
    """A report as HTML.

    Args:
        figures: What it shows.
        summary: What the next report is compared with.
        changes: What has changed since the last one; None if that is not known.
        why_not: Why it is not.
    """
    axis = Axis(figures.first, figures.last)
    flow = binned(figures, axis)
    about = [element("time", str(day), datetime=str(day)) for day in (figures.first, figures.last)]
    accounts, regions = summary.selection
    selected = ", ".join((*accounts, *regions))
    header = element(
        "header",
        element("h1", _TITLE, " ", element("code", summary.dataset)),
        element(
            "p",
            joined(*about, by=" to "),
            f", of {selected}" if selected else None,
            ". All days and times are UTC; sizes are in powers of a thousand.",
        ),
    )
    footer = element(
        "footer",
        element(
            "p",
            f"Made by cloudtrail-parquet {__version__} ",
            element("time", summary.made, datetime=summary.made),
            ", from the receipts and the parts of ",
            element("code", summary.dataset),
            f", {figures.first} to {figures.last} (UTC).",
        ),
    )
    main = element(
        "main",
        overview(figures),
        changed(changes, why_not),
        coverage(figures, axis),
        volume(axis, flow),
        lateness(figures),
        troubles(figures),
        tops(figures),
        sizes(figures),
    )
    body = element("body", header, main, footer, embedded(summary))
    html = element("html", _head(summary), body, lang=_LANGUAGE)
    return f"<!DOCTYPE html>\n{html}\n"


def _head(summary: ReportSummary) -> Markup:
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"cloudtrail-parquet {__version__}"),
        element("title", f"{_TITLE} {summary.dataset}"),
        literal(f"<style>{style}</style>"),
    )
