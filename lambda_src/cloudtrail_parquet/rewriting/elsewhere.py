"""Making the parts of another dataset of those of one, perhaps in another layout.

The receipt of a unit and its parts are read without a lease, and the receipt is looked at again
before anything is published: whoever replaces a part changes it first. In the other dataset parts
are published by `conversion.publish`, as those of a conversion are.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import UNSET

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.conversion.leases import HeldLeases, unit_held
from cloudtrail_parquet.conversion.publish import (
    Change,
    Partitions,
    PartitionsChangedError,
    publish,
)
from cloudtrail_parquet.dataset.parts import parts_in
from cloudtrail_parquet.errors import LeaseTimeoutError, UsageError
from cloudtrail_parquet.layout import WHOLE, Unit, owner_unit, span_of
from cloudtrail_parquet.rewriting.making import Making
from cloudtrail_parquet.rewriting.standing import Standing, clear_intent
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Staging, Stores

_ATTEMPTS = 10


class UnitBatch(NamedTuple):
    """Units that are read together: those of one unit of the coarser of the two layouts.

    Attributes:
        whole: That unit.
        units: The units, sorted.
        keys: The keys of all of their parts that were listed.
    """

    whole: Unit
    units: tuple[Unit, ...]
    keys: frozenset[str] = frozenset()


def batches_of(
    units: Iterable[Unit],
    after: PartitionLayout,
    keys: Mapping[Unit, frozenset[str]] = MappingProxyType({}),
) -> list[UnitBatch]:
    """The units of a dataset as they are read together for one of another layout, sorted.

    Args:
        units: The units.
        after: The other layout.
        keys: The keys of their parts that were listed, by unit.
    """
    batches: dict[Unit, list[Unit]] = {}
    for unit in sorted(units):
        batches.setdefault(Unit(*span_of(unit.span, after), unit.day), []).append(unit)
    return [
        UnitBatch(
            whole, tuple(batch), frozenset[str]().union(*(keys.get(one, ()) for one in batch))
        )
        for whole, batch in sorted(batches.items())
    ]


class Elsewhere:
    """Two datasets, of which one is made of the other.

    Attributes:
        source: The stores of the one that is read; its own source is never asked.
        target: Those of the other.
        before: How the one is laid out.
        settings: What the parts of the other are to be like.
        is_open: Whether units may still be added to the other.
    """

    def __init__(
        self,
        source: Stores,
        target: Stores,
        before: DatasetOptions,
        settings: Settings,
        *,
        is_open: bool,
    ) -> None:
        self.source, self.target = source, target
        self.before, self.settings, self.is_open = before, settings, is_open
        self._after = DatasetOptions.of(settings)

    def rewrite(self, batch: UnitBatch) -> list[Receipt]:
        """Make the units of the other dataset of some units, unless they are there already.

        Returns:
            Their receipts.

        Raises:
            UsageError: A unit has no true receipt, or a part that it does not tell of; or the other
                dataset holds what was not made of these parts.
            StorageError, LeaseTimeoutError: Running it again completes what was begun.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._attempt(batch)
            except PartitionsChangedError:
                continue
        what = f"it or its partitions changed {_ATTEMPTS} times while it was read"
        raise LeaseTimeoutError(what, batch.whole.name, "Run it again later")

    def _attempt(self, batch: UnitBatch) -> list[Receipt]:
        standings = [Standing(unit, self.source, self.before) for unit in batch.units]
        for standing in standings:
            if standing.planned is not None:
                hint = "Rewrite the dataset that is read in place once more"
                raise UsageError("a rewrite of it has not finished", standing.unit.name, hint)
            owned = (key for key in batch.keys if owner_unit(key) == standing.unit)
            standing.check_named(owned)
        making = Making(batch.whole, standings, self.source, self.before.layout, self.settings)
        targets = making.targets
        present = [self._present(target, making) for target in targets]
        if None not in present:
            return [receipt for receipt in present if receipt is not None]
        if not self.is_open:
            raise self._is_finished(batch.whole, making)
        with self.target.dataset.staging() as staging, making.outlets(staging):
            making.read()
            for standing in standings:
                standing.check_notes()
            return [
                self._publish(composed, identities, staging)
                for composed, identities in making.receipts()
            ]

    def _is_finished(self, whole: Unit, making: Making) -> UsageError:
        """The error for units that would be added, or replaced, in a dataset that was finished."""
        state = self.target.state
        if all(read_notes(state, target).receipt for target in making.targets):
            what = "the other dataset, which was finished, has it of other parts or settings"
            hint = "Rewrite that one in place, or convert it there; or rewrite into a new dataset"
        else:
            what = "it is not in the other dataset, which was finished"
            hint = "Convert it there from the logs, or rewrite everything into a new dataset"
        return UsageError(what, whole.name, hint)

    def _present(self, target: Unit, making: Making) -> Receipt | None:
        """The receipt of a unit that was made of the same parts in the same way.

        Raises:
            UsageError: There is one of something else.
        """
        notes = read_notes(self.target.state, target)
        if notes.is_void or notes.receipt is None or not notes.is_true:
            return None
        receipt, wanted = notes.receipt, making.wanted
        rewritten = receipt.rewritten
        if rewritten is UNSET or rewritten.dataset != self.source.dataset.uri:
            what = f"{self.target.dataset.uri} has it already, made of something else"
            raise UsageError(what, target.name, "Rewrite into a new dataset")
        is_same = rewritten.runs == making.runs and receipt.settings == wanted.shaping
        if not is_same or wanted.why(receipt.schema_version, receipt.settings):
            return None
        lease = LeaseOptions.of(self.settings)
        clear_intent(target, notes, self.target, lease, HeldLeases())
        return receipt

    def _publish(
        self, receipt: Receipt, identities: Identities | None, staging: Staging
    ) -> Receipt:
        unit, stores = receipt.unit, self.target
        lease, layout = LeaseOptions.of(self.settings), self._after.layout
        Marks(stores.state, stores.clock).mark(unit.day)
        notes = read_notes(stores.state, unit)
        keys = [*(part.key for part in receipt.parts), *notes.parts]
        with unit_held(unit, keys, stores.state, lease, HeldLeases()) as held:
            if read_notes(stores.state, unit).versions != notes.versions:
                raise PartitionsChangedError(unit.name)
            change = Change(
                unit=unit,
                shard=WHOLE,
                goes=lambda _: True,
                receipt=receipt,
                identities=identities,
                notes=notes,
                unknown=frozenset(),
                others={},
                finished={},
                partitions=Partitions.unwatched(
                    lambda day: parts_in(stores.dataset, unit.on(day), layout)
                ),
                staging=staging,
            )
            publish(change, stores, lease, held)
        return receipt
