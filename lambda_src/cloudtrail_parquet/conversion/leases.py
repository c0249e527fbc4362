"""The leases under which a unit is read and published."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from cloudtrail_parquet.layout import WHOLE, Shard, Unit, unit_of
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.storage import Lease, Store, Stores


class HeldLeases:
    """The leases that a run holds, checked together.

    Attributes:
        later: The units of later days whose partitions are among them.
    """

    def __init__(self, *leases: Lease, later: frozenset[Unit] = frozenset()) -> None:
        self._leases, self.later = leases, later

    def plus(self, lease: Lease, later: Unit | None = None) -> "HeldLeases":
        """These leases and another one, perhaps that of a later day's partition."""
        days = self.later if later is None else self.later | {later}
        return HeldLeases(*self._leases, lease, later=days)

    def check(self) -> None:
        """Raise if one may have been lost, by the clock; see `Lease.check`."""
        for lease in self._leases:
            lease.check()

    def confirm(self) -> None:
        """Raise if one has been lost, by the store; see `Lease.confirm`."""
        for lease in self._leases:
            lease.confirm()


@contextmanager
def alone(unit: Unit, shard: Shard, stores: Stores, options: LeaseOptions) -> Iterator[HeldLeases]:
    """Let no other run read the same shard or folded unit meanwhile: that would be much in vain."""
    if shard == WHOLE and all(unit.span):
        yield HeldLeases()
        return
    key = StateKeys.of(unit, shard).lease
    with stores.state.lease(key, options.wait_s, options.expires_s) as lease:
        yield HeldLeases(lease)


@contextmanager
def unit_held(
    unit: Unit, parts: Iterable[str], state: Store, options: LeaseOptions, early: HeldLeases
) -> Iterator[HeldLeases]:
    """Hold the lease of the unit's own partition, under which the unit is published.

    So whole units and shards are read at the same time, and published one after the other. Those of
    later days that the parts lie in are taken before, the last one first, and those of earlier days
    after it. So no two runs wait for each other.
    """
    targets = {unit_of(key) or unit for key in parts}
    later = sorted((target for target in targets if target > unit), reverse=True)
    with ExitStack() as stack:
        held = early
        for target in (*later, unit):
            lease = state.lease(partition_lease(target), options.wait_s, options.expires_s)
            held = held.plus(stack.enter_context(lease), None if target == unit else target)
        yield held
