"""HTML and SVG as text: whatever is put into it is escaped, unless it is markup already."""

from html import escape
from typing import NewType

from cloudtrail_parquet.printable import printable, shortened

Markup = NewType("Markup", str)
"""Text that is HTML. Only this module makes it, of literals of ours and of what it has escaped."""

Attribute = str | float | bool | None

_VOID = frozenset({"br", "col", "hr", "meta"})


class _Marked(str):
    """What tells markup from text while the program runs."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A text as markup: on one line, of a bounded length, with escapes for what cannot be seen."""
    if isinstance(value, _Marked):
        return Markup(value)
    return Markup(_Marked(escape(shortened(printable(str(value))))))


def element(name: str, /, *children: object, **attributes: Attribute) -> Markup:
    """An element with its children; those that are None are left out.

    Args:
        name: Its name, ours.
        children: Markup, or anything else as text.
        attributes: By name, with ``_`` in place of ``-``, or behind a name that Python has taken.
            None and False leave one out, True gives it no value.
    """
    written = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(_Marked(f"<{name}{written}>"))
    return Markup(_Marked(f"<{name}{written}>{joined(*children)}</{name}>"))


def joined(*children: object, by: str = "") -> Markup:
    """Markup and texts one behind the other; those that are None are left out."""
    return Markup(_Marked(escape(by).join(text(child) for child in children if child is not None)))


def literal(markup: str) -> Markup:
    """Markup that was written by us, or that its own rules have made safe."""
    return Markup(_Marked(markup))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else text(value)


def number(value: float) -> str:
    """A coordinate, as short as two digits behind the point allow: ``12.5``, ``.25``, ``3``."""
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return written.removeprefix("0") if written.startswith("0.") else written
