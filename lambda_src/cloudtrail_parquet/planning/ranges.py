"""What a plan is about: a range of units, what they are compared with, and what is known of one."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Literal, NamedTuple

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.planning.cost import BYTES_PER_S, FILE_S, PLACE_S, UNIT_S
from cloudtrail_parquet.storage import ReadStore

Only = Literal["missing", "outdated", "reshaped", "all"]
"""Which units a plan selects: those never converted; also those that would get other rows, or whose
parts are not those of their receipt; also those whose files would look different; or all."""

DEFAULT_ONLY: Only = "outdated"
"""What a command, an event and a program select that say nothing else."""


class PlannedUnit(NamedTuple):
    """A unit, with the log files that were delivered on its day.

    Attributes:
        unit: The unit.
        files: How many log files.
        bytes: Their size as stored.
        fingerprint: The fingerprint of all log files in its window; empty if it is not needed.
        why: Why the unit is due, in words; empty if all units were asked for.
        places: How many places have a log file in its window.
    """

    unit: Unit
    files: int
    bytes: int
    fingerprint: str = ""
    why: str = ""
    places: int = 1

    @property
    def seconds(self) -> float:
        """An estimate of how long its conversion takes."""
        more = max(self.places - 1, 0)
        return UNIT_S + more * PLACE_S + self.files * FILE_S + self.bytes / BYTES_PER_S


class UnitRange(NamedTuple):
    """A range of days, of some accounts and regions; of all of them where these are empty.

    Attributes:
        first: The first day.
        last: The last day.
        accounts: The accounts.
        regions: The regions.
        after: Only spans that sort after this one.
        through: Only this span and those that sort before it.
    """

    first: date
    last: date
    accounts: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    after: Place | None = None
    through: Place | None = None

    @classmethod
    def of(
        cls,
        first: date | None,
        last: date | None,
        accounts: Iterable[str] = (),
        regions: Iterable[str] = (),
    ) -> "UnitRange":
        """All days from one on, up to another, or between them.

        Raises:
            UsageError: The last day is before the first.
        """
        if first and last and last < first:
            what = f"the last day, {last}, is before the first, {first}"
            raise UsageError(what, "days", "Swap them")
        return cls(first or date.min, last or date.max, frozenset(accounts), frozenset(regions))

    def holds(self, account: str, region: str) -> bool:
        """Whether an account and region are in the range; one that is "" stands for all."""
        return (not self.accounts or account in self.accounts or not account) and (
            not self.regions or region in self.regions or not region
        )

    def holds_unit(self, unit: Unit) -> bool:
        """Whether a unit may have something of the range."""
        is_in_days = self.first <= unit.day <= self.last
        return is_in_days and self.holds(*unit.span) and self.holds_span(unit.span)

    def holds_span(self, span: Place) -> bool:
        """Whether a span is one of the slice of all spans that the range is about."""
        is_after = self.after is None or self.after < span
        return is_after and (self.through is None or span <= self.through)


class Receipts(NamedTuple):
    """What units are compared with.

    Attributes:
        state: The store of the receipts.
        now: The time, which tells whether a unit can be settled.
        dataset: The store of the parts, if these are to be compared with the receipts as well,
            which lists them.
    """

    state: ReadStore
    now: datetime
    dataset: ReadStore | None = None
