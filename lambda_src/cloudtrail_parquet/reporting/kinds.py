"""How states are drawn and told: from what has to be seen to first to what is as it should be."""

from collections.abc import Iterable

from cloudtrail_parquet.coverage.verdicts import Verdict
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.wording import counted

KINDS = {
    "lack": "missing, or nobody can tell",
    "old": "outdated: converting again gives other rows",
    "part": "partial, or kept since the source has shrunk",
    "soon": "provisional: its window has not passed",
    "have": "converted, or no log files",
    "none": "nothing to convert, for a cause",
}
"""What each kind means, worst first. A day of several places is of the worst among them."""

_OF_STATE = {"outdated": "old", "partial": "part", "kept": "part", "provisional": "soon"}
_EXPECTED = frozenset({"", "quiet"})
_NAMES = 3


def kind_of(verdict: Verdict) -> str:
    """The kind of days of which that is said."""
    if verdict.is_lack:
        return "lack"
    if verdict.state == "empty" and verdict.cause not in _EXPECTED:
        return "none"
    return _OF_STATE.get(verdict.state, "have")


def severity(kind: str) -> int:
    """A number from 1 on, which is higher for what is worse."""
    order = [*KINDS]
    return len(order) - order.index(kind)


def told(verdict: Verdict) -> str:
    """State and cause in words."""
    return f"{verdict.state}: {verdict.cause}" if verdict.cause else verdict.state


def names_of(names: Iterable[str], most: int = _NAMES) -> str:
    """The first of some names, and how many others there are."""
    every = [*names]
    shown = ", ".join(every[:most])
    others = len(every) - most
    return f"{shown} and {counted(others, 'other')}" if others > 0 else shown


def places_in_words(places: list[Place]) -> tuple[str, str]:
    """Accounts and regions of some places, sorted, as two cells of a table."""
    accounts = sorted({place.account for place in places})
    regions = sorted({place.region for place in places})
    is_all = len(accounts) * len(regions) == len(places)
    of_each = names_of(regions) if is_all else counted(len(places), "place")
    return names_of(account or "all" for account in accounts), of_each or "all"
