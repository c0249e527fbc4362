"""The leases under which a unit is read and published."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from cloudtrail_parquet.conversion.publish import HeldLeases
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, unit_of
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.storage import Store, Stores


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
