"""Plots as inline SVG: bars over days, bars in cells, and bands of days.

Positions are in per cent, so that plots are as wide as the page leaves them room, and texts keep
their size.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cloudtrail_parquet.reporting.drawing.axis import Axis, Bin
from cloudtrail_parquet.reporting.drawing.markup import Markup, element, literal, number

_HEIGHT = 72
_WIDEST = 6.0  # per cent
_APART = 62  # so many bars do not touch; more of them overlap, or light would shine through


class Bar(NamedTuple):
    """A bar over some days.

    Attributes:
        days: The days.
        value: How high it is.
        label: What is said of it.
    """

    days: Bin
    value: float
    label: str


def bars(axis: Axis, heights: Sequence[Bar], label: str, kind: str = "") -> Markup:
    """Bars over the days of a report, from zero to the highest, with the axis.

    Args:
        axis: The days.
        heights: The bars, in order.
        label: What is read aloud instead.
        kind: A class, for their colour.
    """
    highest = max((bar.value for bar in heights), default=0)
    drawn = [_bar(axis, bar, highest) for bar in heights if bar.value > 0]
    line = element("rect", class_="line", y=_HEIGHT - 1, width="100%", height=1)
    plot = element(
        "svg",
        *drawn,
        line,
        class_=f"bars {kind}".strip(),
        height=_HEIGHT,
        **described(label),
    )
    return element("div", plot, axis.drawn(), class_="plot")


def _bar(axis: Axis, bar: Bar, highest: float) -> Markup:
    height = max(1.0, (_HEIGHT - 3) * bar.value / highest)
    slot = 100 * ((bar.days.last - bar.days.first).days + 1) / axis.days
    width = min(slot * 0.8, _WIDEST) if axis.days // axis.bin_days <= _APART else slot * 1.15
    return element(
        "rect",
        element("title", bar.label),
        x=f"{number(axis.at(bar.days.first) + (slot - width) / 2)}%",
        y=_HEIGHT - 1 - height,
        width=f"{number(width)}%",
        height=height,
    )


def share(value: float, highest: float, part: float = 0) -> Markup:
    """A bar in a cell of a table: a value, with a part of it in another colour."""
    width = 100 * value / highest if highest else 0
    further = (
        element("rect", class_="part", width=f"{number(100 * part / highest)}%", height=10)
        if part
        else None
    )
    whole = element("rect", width=f"{number(width)}%", height=10)
    return element("svg", whole, further, class_="share", height=10, aria_hidden="true")


def described(label: str) -> dict[str, str]:
    """The attributes of a picture that is read aloud as a label; without one, it is passed over."""
    return {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}


class BandPart(NamedTuple):
    """Some days of a band: from which day on, as a number from 0, how many, and of which kind."""

    begin: int
    days: int
    kind: str


def band(days: int, parts: Iterable[BandPart], label: str) -> Markup:
    """A band of days, in which parts have the colours and heights of their kinds.

    A part is at least wide enough to be seen, if it is of a kind that is to be.
    """
    lines: dict[str, list[str]] = {}
    for begin, length, kind in parts:
        lines.setdefault(kind, []).append(f"M{begin} 5h{length}")
    paths = [
        literal(f'<path class="{kind}" d="{"".join(moves)}"/>') for kind, moves in lines.items()
    ]
    return element(
        "svg",
        *paths,
        class_="band",
        viewBox=f"0 0 {days} 10",
        preserveAspectRatio="none",
        **described(label),
    )
