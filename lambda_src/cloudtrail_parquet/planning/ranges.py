"""What a plan is about: a range of units, what they are compared with, and what is known of one."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Literal, NamedTuple

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import ACCOUNT, Place, Unit
from cloudtrail_parquet.planning.cost import BYTES_PER_S, FILE_S, PLACE_S, UNIT_S
from cloudtrail_parquet.storage import ReadStore

_ACCOUNT_DIGITS = 12
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d{1,2}")
_ZONE = re.compile(rf"({_REGION.pattern})[a-z]")

Only = Literal["missing", "outdated", "reshaped", "all"]
"""Which units a plan selects: those never converted; also those that would get other rows, or whose
parts are not those of their receipt; also those whose files would look different; or all."""

DEFAULT_ONLY: Only = "outdated"
"""What a command, an event and a program select that say nothing else."""


ToRewrite = Literal["outdated", "all"]
"""Which units of a dataset are rewritten: those whose parts would become others, or all."""


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

    @property
    def only_place(self) -> Place:
        """The account and the region, each if there is exactly one; else ""."""
        account, region = (
            next(iter(names)) if len(names) == 1 else "" for names in (self.accounts, self.regions)
        )
        return Place(account, region)

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


def check_names(accounts: Iterable[str], regions: Iterable[str]) -> None:
    """Make sure that names are not almost those of accounts and regions.

    Raises:
        UsageError: One of them is; says what was most likely meant.
    """
    for name in accounts:
        _check_account(name)
    for name in regions:
        _check_region(name)


def _check_account(name: str) -> None:
    """Raise if a name is nearly that of an account; one that is no number may be a folder's."""
    _check_single("account", name)
    digits = re.sub(r"[\s-]", "", name)
    if digits.isdecimal() and not ACCOUNT.fullmatch(name):
        what = f"{name!r} is not an account, which has {_ACCOUNT_DIGITS} digits"
        whole = digits.zfill(_ACCOUNT_DIGITS)
        hint = f"Write {whole}" if ACCOUNT.fullmatch(whole) else "Look it up"
        if len(digits) < _ACCOUNT_DIGITS:
            hint += ", if it is only the zeros before it that are missing"
        raise UsageError(what, "account", hint)


def _check_region(name: str) -> None:
    _check_single("region", name)
    if zone := _ZONE.fullmatch(name.lower()):
        what = f"{name!r} is an availability zone, not a region"
        raise UsageError(what, "region", f"Write {zone[1]}")
    if name != name.lower() and _REGION.fullmatch(name.lower()):
        raise UsageError(f"{name!r} is not a region", "region", f"Write {name.lower()}")


def _check_single(kind: str, name: str) -> None:
    if not name.strip():
        raise UsageError("the name is empty", kind, f"Name the {kind}, or none for all of them")
    names = [each for each in re.split(r"[,;]\s*", name) if each]
    if len(names) > 1:
        hint = f"Name each by itself: {' '.join(f'--{kind} {each}' for each in names)}"
        raise UsageError(f"{name!r} is more than one {kind}", kind, hint)


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
