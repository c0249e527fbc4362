"""The table of places in receipts: that it adds up, and loses nothing of what it cannot see."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.simulation.deliveries import Place
from tests.simulation.keys import Unit

Json = dict[str, Any]

_COLUMNS = ("read", "written", "straggled", "elsewhere", "duplicate", "discarded", "quarantined")
_REFUSED = "refused"
_LACKING = {_REFUSED, "aside"}


class PlaceRow(NamedTuple):
    """A row of the table, in the order of its array."""

    state: str
    files: int
    bytes: int
    records: list[int]
    fingerprint: str

    @property
    def counts(self) -> Counter[str]:
        """What became of its records."""
        return Counter(dict(zip(_COLUMNS, self.records, strict=True)))


def table(receipt: Json) -> dict[Place, PlaceRow]:
    """The rows of a receipt's table of places; an account that is refused has the region ""."""
    return {
        Place(account, region): PlaceRow(*row)
        for account, regions in receipt["places"].items()
        for region, row in regions.items()
    }


def wrong_sums(unit: Unit, receipt: Json) -> Iterator[str]:
    """What does not add up in a receipt, whatever the world is like."""
    rows, records = table(receipt), Counter[str](receipt["records"])
    if 2 * records["read"] != records.total():
        yield f"its counts do not add up: {receipt['records']}"
    for place, row in rows.items():
        counts = row.counts
        if 2 * counts["read"] != counts.total():
            yield f"the counts of {place} do not add up: {row}"
        if row.state == _REFUSED and (row.files or row.bytes or counts.total()):
            yield f"{place} was refused, and yet read: {row}"
        if not (unit.holds(place) or (row.state == _REFUSED and unit.span.account == "")):
            yield f"{place} is not a place of it"
        if row.state in _LACKING and receipt["status"] == "complete":
            yield f"complete, but {place} was {row.state}"
    if receipt["kept"]:
        return  # it may be made of footers, which do not tell
    sums = sum((row.counts for row in rows.values()), Counter[str]())
    if +sums != +records:
        yield f"its places have {dict(sums)}, but it has {receipt['records']}"
    files = sum(row.files for row in rows.values())
    size = sum(row.bytes for row in rows.values())
    if (files, size) != (receipt["files"]["listed"], receipt["bytes_in"]):
        yield f"its places have {files} log files of {size} bytes, but it has others"


def unread(receipt: Json) -> Iterator[str]:
    """Places of which not all could be listed or read, unless what was read before was kept."""
    for place, row in table(receipt).items():
        if row.state in _LACKING and not receipt["kept"]:
            yield f"{place} was not read"


def dropped(before: Json | None, receipt: Json) -> Iterator[str]:
    """Places that were refused, and whose rows have been replaced nevertheless."""
    if before is None or receipt["kept"]:
        return
    refused = [place for place, row in table(receipt).items() if row.state == _REFUSED]
    for place, row in table(before).items():
        rows = row.counts["written"] + row.counts["straggled"]
        if rows and any(_is_in(place, each) for each in refused):
            yield f"DROPPED: {rows} rows of {place}, which may not be listed"


def _is_in(place: Place, refused: Place) -> bool:
    return place.account == refused.account and refused.region in {"", place.region}
