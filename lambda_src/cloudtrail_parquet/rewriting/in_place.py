"""Making the parts of a unit anew, each under its own name.

The steps are those of `conversion.publish`: the parts are read and the new ones staged without a
lease; under the leases notes and partitions are seen again; then the intent, the parts one by one,
and the receipt. Each part has the rows that it had, but for what rules take, so that readers find
each row once at every moment, and a run that was killed left every part either as it was or as it
was to be. The intent holds the receipt that was to be written, which the next run completes.
"""

from collections import Counter
from collections.abc import Callable, Collection
from uuid import uuid4

from msgspec.structs import replace

from cloudtrail_parquet.conversion.leases import HeldLeases, alone
from cloudtrail_parquet.conversion.publish import (
    PartitionsChangedError,
)
from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError, UsageError
from cloudtrail_parquet.layout import WHOLE, Unit, unit_of
from cloudtrail_parquet.rewriting.parts.rewriter import NewPart, rewrite_part
from cloudtrail_parquet.rewriting.receipts import as_changed, differing
from cloudtrail_parquet.rewriting.standing import Standing, clear_intent
from cloudtrail_parquet.rewriting.wanted import Wanted, settings_of_receipt, wanted_of
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.figures import Rewritten
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Staging, Stores
from cloudtrail_parquet.version import __version__
from cloudtrail_parquet.wording import counted

_ATTEMPTS = 10


def _at_once(_: Receipt) -> None:
    """Whatever is to be rewritten is."""


def rewrite_unit(  # noqa: PLR0913
    unit: Unit,
    stores: Stores,
    settings: Settings,
    *,
    anew: bool = False,
    keys: Collection[str] = (),
    admit: Callable[[Receipt], None] = _at_once,
) -> Receipt:
    """Make the parts of a unit anew as settings say, unless they are so already.

    Args:
        unit: The unit, which has a receipt.
        stores: Dataset and state.
        settings: What the parts are to be like.
        anew: Whether parts that are so already are made anew as well.
        keys: The keys of parts of it that were listed.
        admit: Called with the receipt before its parts are read; may raise.

    Returns:
        The receipt of the parts as they are now.

    Raises:
        UsageError: It has no true receipt, or a part that the receipt does not tell of.
        StorageError, LeaseTimeoutError: Nothing was replaced; or a store failed while parts were
            replaced, and rewriting the unit again completes that.
    """
    lease = LeaseOptions.of(settings)
    with alone(unit, WHOLE, stores, lease) as held:
        for _ in range(_ATTEMPTS):
            standing = Standing(unit, stores, DatasetOptions.of(settings))
            try:
                standing.check_named(keys)
                receipt = _attempt(standing, stores, settings, held, admit, anew=anew)
            except PartitionsChangedError:
                continue
            if receipt is not None:
                return receipt
    what = f"it or its partitions changed {_ATTEMPTS} times while it was read"
    raise LeaseTimeoutError(what, unit.name, "Run it again later")


def _attempt(  # noqa: PLR0913
    standing: Standing,
    stores: Stores,
    settings: Settings,
    early: HeldLeases,
    admit: Callable[[Receipt], None],
    *,
    anew: bool,
) -> Receipt | None:
    """Complete what was begun, or do what there is to do.

    Returns:
        The receipt; None if something was completed, after which there may be more to do.
    """
    before, planned = standing.receipt, standing.planned
    if planned is not None:
        if planned.expired != before.expired:
            hint = "Run expire again, then this"
            raise UsageError("an expiry of it has not finished", standing.unit.name, hint)
        admit(before)
        wanted = wanted_of(before.settings, settings_of_receipt(planned))
        _publish(standing, stores, wanted, early, planned)
        return None
    wanted = wanted_of(before.settings, settings)
    if not (anew or wanted.why(before.schema_version, before.settings)):
        clear_intent(standing.unit, standing.notes, stores, wanted.options.lease, early)
        return before
    admit(before)
    return _publish(standing, stores, wanted, early)


def _publish(
    standing: Standing,
    stores: Stores,
    wanted: Wanted,
    early: HeldLeases,
    planned: Receipt | None = None,
) -> Receipt:
    """Stage the new parts, and put them in the places of those that stand."""
    Marks(stores.state, stores.clock).mark(standing.unit.day)
    with stores.dataset.staging() as staging:
        new = _staged(standing, stores, wanted, staging)
        if planned is None:
            receipt = _receipt(standing, stores, wanted, new)
        else:
            receipt = replace(planned, run=uuid4().hex)
        parts = [each.part for each in new.values() if each.part]
        receipt = replace(receipt, parts=parts, bytes_out=sum(part.bytes for part in parts))
        keys = [*new, *standing.notes.parts]
        standing.publish(receipt, keys, wanted.options.lease, early, staging)
    return receipt


def _staged(
    standing: Standing, stores: Stores, wanted: Wanted, staging: Staging
) -> dict[str, NewPart]:
    """Stage a new part for each that there is, by key.

    Raises:
        StorageError: A part has other rows than the receipt says.
    """
    new: dict[str, NewPart] = {}
    for part in standing.receipt.parts:
        entry = standing.state_of(part)
        if entry is None:
            continue
        made = rewrite_part(stores.dataset, entry, standing.unit, wanted, staging)
        if made.read not in standing.rows_of(part):
            what = f"the part has {counted(made.read, 'row')} in place of {part.rows:,}"
            hint = "Convert it again, if the log files are still there"
            raise StorageError(what, f"{stores.dataset.uri}/{part.key}", hint)
        new[part.key] = made
    return new


def _receipt(
    standing: Standing, stores: Stores, wanted: Wanted, new: dict[str, NewPart]
) -> Receipt:
    before, inexact = standing.receipt, Counter[str]()
    for each in new.values():
        inexact.update(each.inexact)
    is_own = {key: unit_of(key) == standing.unit for key in new}
    own = [each.changer for key, each in new.items() if is_own[key]]
    stragglers = [each.changer for key, each in new.items() if not is_own[key]]
    receipt = as_changed(before, wanted, own, stragglers, inexact)
    days = Counter(before.stragglers)
    for key, each in new.items():
        target = unit_of(key) or standing.unit
        if not is_own[key]:
            days[str(target.day)] -= each.read - (each.part.rows if each.part else 0)
    rewritten = Rewritten(
        at=stores.now(),
        runs=[before.run],
        schema_version=before.schema_version,
        settings=differing(before.settings, wanted.shaping),
    )
    return replace(
        receipt,
        stragglers=dict(sorted((+days).items())),
        run=uuid4().hex,
        converter=__version__,
        rewritten=rewritten,
    )
