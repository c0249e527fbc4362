"""What keys say, as the oracle reads them: whose a part is, what an object of the state is about.

The oracle asks nothing of the converter, so it has its own reading of docs/architecture.md here.
"""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from tests.simulation.deliveries import Place

_SPAN = r"(?:account=(?P<account>\d{12})/)?(?:region=(?P<region>[a-z0-9-]+)/)?"
_THREE = r"year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)"
_DT = r"dt=(?P<dt>\d{4}-\d\d-\d\d)"
_PART = re.compile(
    rf"{_SPAN}(?:{_THREE}|{_DT})"
    r"/(?:part|straggler-(?P<owner>\d{8}))-(?:\d\dof\d\d-(?:[0-9a-f]{8}-)?)?\d{5}\.parquet"
)
_STATE = re.compile(rf"(?P<kind>[a-z/]+)/{_SPAN}{_THREE}(?P<rest>[./].*)")


class Unit(NamedTuple):
    """A partition of the layout.

    Attributes:
        span: Its account and region, either of them "" if it is a column of the files.
        day: Its day.
    """

    span: Place
    day: date

    def __str__(self) -> str:
        return f"{self.span} {self.day}".lstrip()

    def holds(self, place: Place) -> bool:
        """Whether the records of a place are the unit's."""
        return all(mine in {"", other} for mine, other in zip(self.span, place, strict=True))


def span_of(place: Place, layout: str) -> Place:
    """The span of a place's units: the place without what no folder of the layout has."""
    folders = layout.split("/")
    return Place(*(value if name in folders else "" for name, value in place._asdict().items()))


class PartName(NamedTuple):
    """What the key of a part says.

    Attributes:
        target: In whose partition it lies.
        owner: Whose it is.
        layout: The names of its folders.
    """

    target: Unit
    owner: Unit
    layout: str


@lru_cache(10_000)
def part_name(key: str) -> PartName | None:
    """What the key of a part says; None for any other key."""
    match = _PART.fullmatch(key)
    if match is None:
        return None
    target, owner = _unit(match), match["owner"]
    own = date.fromisoformat(owner) if owner else target.day
    layout = "/".join(folder.partition("=")[0] for folder in key.split("/")[:-1])
    return PartName(target, target._replace(day=own), layout)


@lru_cache(10_000)
def state_name(key: str) -> tuple[str, Unit, str] | None:
    """The kind, the unit and the end of a key of the state; None for one of another form."""
    match = _STATE.fullmatch(key)
    return (match["kind"], _unit(match), match["rest"]) if match else None


def _unit(match: re.Match[str]) -> Unit:
    found = match.groupdict()
    day = found.get("dt") or "-".join(match.group("year", "month", "day"))
    return Unit(Place(match["account"] or "", match["region"] or ""), date.fromisoformat(day))
