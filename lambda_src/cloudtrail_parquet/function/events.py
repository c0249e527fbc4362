"""The events that the Lambda function accepts; docs/events.md has an example of each.

They come from the schedule, from EventBridge (as the ``detail``), from SQS (as a body) or from a
direct invocation, and mean the same everywhere.
"""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

import msgspec

from cloudtrail_parquet.contract import MAX_UNITS
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, Bound, Shard, Unit
from cloudtrail_parquet.planning.plan import DEFAULT_ONLY, Only
from cloudtrail_parquet.planning.ranges import ToRewrite
from cloudtrail_parquet.wording import counted

_EXPECTED = """\
Expected {"kind": "daily"}, {"kind": "convert", "units": [...]}, \
{"kind": "plan", "from": ..., "to": ...}, {"kind": "rewrite", ...} or \
{"kind": "expire", "older_than": ...}; see docs/events.md"""
_WINDOW_S = 15 * 86_400  # the longest: a day, and a week before and after it
_Second = Annotated[int, msgspec.Meta(ge=0, lt=_WINDOW_S)]
_Bounds = tuple[tuple[str, str, _Second], ...]
_Span = tuple[str, str]
_PlanId = Annotated[str, msgspec.Meta(max_length=200, pattern="^[A-Za-z0-9._%-]*$")]
_Days = Annotated[int, msgspec.Meta(ge=0, le=366)]


class UnitRef(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A unit as events name it, or a shard of one.

    Attributes:
        account: With ``region`` and ``day`` the unit; left out where units span all accounts.
        region: See ``account``.
        day: See ``account``.
        shard: The number of a shard, from 1, and how many there are.
        bounds: Account, region and second of the bounds between the shards of a folded unit.
    """

    account: str = ""
    region: str = ""
    day: date
    shard: tuple[int, int] = (WHOLE.number, WHOLE.of)
    bounds: Annotated[_Bounds, msgspec.Meta(max_length=MAX_SHARDS - 1)] = ()

    def __post_init__(self) -> None:
        if self.bounds and self.account and self.region:
            raise ValueError("bounds are for units that span places: leave out account or region")
        if self.one.of != self.shard[1]:  # which also raises what else is wrong with it
            bounds, shards = counted(len(self.bounds), "bound"), counted(self.shard[1], "shard")
            raise ValueError(f"bounds do not fit the shards: {bounds} for {shards}")

    @property
    def one(self) -> Shard:
        """The shard; `WHOLE` for a whole unit."""
        if not self.bounds:
            return Shard(*self.shard)
        return Shard.between(self.shard[0], tuple(Bound(*bound) for bound in self.bounds))

    @classmethod
    def of(cls, unit: Unit) -> "UnitRef":
        """A whole unit."""
        return cls(account=unit.account, region=unit.region, day=unit.day)

    @property
    def unit(self) -> Unit:
        """The unit, without the shard."""
        return Unit(self.account, self.region, self.day)

    def split(self, of: int, bounds: _Bounds = ()) -> "list[UnitRef]":
        """The shards of the unit: slices of its window, or as many as some bounds make."""
        of = len(bounds) + 1 if bounds else of
        refs = ((number, of) for number in range(1, of + 1))
        return [msgspec.structs.replace(self, shard=shard, bounds=bounds) for shard in refs]


class ConvertEvent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="convert"
):
    """Convert some units."""

    units: Annotated[tuple[UnitRef, ...], msgspec.Meta(min_length=1, max_length=MAX_UNITS)]

    @classmethod
    def of(cls, units: Iterable[Unit]) -> "ConvertEvent":
        """The event that converts some units."""
        return cls(tuple(map(UnitRef.of, units)))


class DailyEvent(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="daily",
):
    """Convert a day, and convert days again whose windows had not passed at their last conversion.

    Attributes:
        days_back: How many days before today (UTC) the day is.
        days: Look at so many days, of which that is the last one, as a plan of what is outdated
            does; 0 for as many as daily runs have to look at.
    """

    days_back: _Days = 1
    days: _Days = 0


class PlanEvent(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="plan",
    rename={"first": "from", "last": "to"},
    omit_defaults=True,
):
    """Convert what is missing or outdated of a range of days, or of a slice of it.

    Attributes:
        first: ``from``: the first day.
        last: ``to``: the last day.
        accounts: Only these accounts; all when empty.
        regions: Only these regions; all when empty.
        only: ``missing``: units that were never converted; ``outdated``: also those that would get
            other rows, or whose parts were removed or changed in size; ``reshaped``: also those
            whose files would look different; ``all``.
        after: Only units of accounts and regions that sort after these, as a unit names them.
        through: Only units of these and of those that sort before them.
        daily: Whether it is a daily run, which does not compare parts.
        plan: The id of the event that began the plan, in the slices that others hand on.
    """

    first: date
    last: date
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    only: Only = DEFAULT_ONLY
    after: _Span | None = None
    through: _Span | None = None
    daily: bool = False
    plan: _PlanId = ""


class RewriteEvent(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="rewrite",
    rename={"first": "from", "last": "to"},
    omit_defaults=True,
):
    """Make the parts of some units anew, or of those of a range that are not as they are to be.

    Attributes:
        units: The units; none for a range.
        first: ``from``: the first day of the range; the first there is unless given.
        last: ``to``: the last day; the last there is unless given.
        accounts: Only these accounts; all when empty.
        regions: Only these regions; all when empty.
        only: ``outdated``: units whose parts would become others; ``all``.
        after: Only units that sort after this one: what is left of a range.
    """

    units: Annotated[tuple[UnitRef, ...], msgspec.Meta(max_length=MAX_UNITS)] = ()
    first: date | None = None
    last: date | None = None
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    only: ToRewrite = "outdated"
    after: UnitRef | None = None

    def __post_init__(self) -> None:
        has_range = self.first or self.last or self.accounts or self.regions or self.after
        if self.units and has_range:
            raise ValueError("units and a range: name one or the other")
        if any(unit.one != WHOLE for unit in self.units):
            raise ValueError("a shard: units are rewritten as a whole")


class ExpireEvent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="expire"
):
    """Remove the parts of days that are older than an age, such as ``7y``."""

    older_than: str


Event = ConvertEvent | DailyEvent | PlanEvent | RewriteEvent | ExpireEvent


def parse(raw: Any) -> Event:  # noqa: ANN401 - whatever an invocation brings
    """Read an event, bare or as the detail of an event from EventBridge.

    Raises:
        UsageError: It is not an event; says what is expected.
    """
    body = raw["detail"] if isinstance(raw, dict) and {"detail", "detail-type"} <= set(raw) else raw
    try:
        event: Event = msgspec.convert(body, Event)
    except msgspec.ValidationError as error:
        raise UsageError(f"not an event ({error})", "event", _EXPECTED) from error
    first, last = getattr(event, "first", None), getattr(event, "last", None)
    if first and last and last < first:
        what = f"to = {last} is before from = {first}"
        raise UsageError(what, "event", "Swap them")
    return event


def parse_text(text: object) -> Event:
    """Read an event that is JSON text, such as the body of an SQS message.

    Raises:
        UsageError: It is not an event, or not text; says what is expected.
    """
    if not isinstance(text, str | bytes):
        raise UsageError("not an event (there is no text)", "event", _EXPECTED)
    try:
        return parse(msgspec.json.decode(text))
    except msgspec.DecodeError as error:
        raise UsageError(f"not JSON ({error})", "event", _EXPECTED) from error


def to_text(event: Event) -> str:
    """An event as JSON text."""
    return msgspec.json.encode(event).decode()
