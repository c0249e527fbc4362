"""Tables of a report: what they have in common."""

from collections.abc import Iterable, Sequence

from cloudtrail_parquet.reporting.drawing.markup import Markup, element, joined

Column = tuple[str, str]
"""What stands above a column, and the class of its cells: ``n`` for numbers."""

NUMBER = "n"


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], kind: str = "") -> Markup:
    """A table, which is scrolled for itself where it is wider than the page."""
    heads = [element("th", head, scope="col", class_=class_ or None) for head, class_ in columns]
    body = [
        element(
            "tr",
            *(
                element("td", cell, class_=class_ or None)
                for (_, class_), cell in zip(columns, row, strict=True)
            ),
        )
        for row in rows
    ]
    whole = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        class_=kind or None,
    )
    return element("div", whole, class_="wide")


def section(key: str, title: str, *children: object) -> Markup:
    """A section of the page, which its key links to."""
    return element("section", element("h2", title, id=key), *children, aria_labelledby=key)


def folded(title: str, *children: object) -> Markup:
    """What is seen on demand."""
    return element("details", element("summary", title), *children, class_="fold")


def paragraph(*children: object, kind: str = "") -> Markup:
    """A paragraph."""
    return element("p", joined(*children), class_=kind or None)
