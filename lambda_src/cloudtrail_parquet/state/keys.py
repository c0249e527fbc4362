"""The keys, below the state prefix, of what is kept about units and shards."""

from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from itertools import chain
from typing import NamedTuple

from cloudtrail_parquet.layout import WHOLE, Place, Shard, Unit, state_key, state_unit
from cloudtrail_parquet.storage import Entry, ReadStore, files_between

_SHARD_INTENT = ".intent"  # ends the keys of shards' intents, which lie beside their receipts


class StateKeys(NamedTuple):
    """The keys of the receipt, intent, identities and lease of a unit or a shard."""

    receipt: str
    intent: str
    identities: str
    lease: str

    @classmethod
    def of(cls, unit: Unit, shard: Shard = WHOLE) -> "StateKeys":
        """The keys of a whole unit, or of one shard of it."""
        if shard == WHOLE:
            return cls(
                state_key("receipts", unit),
                state_key("intents", unit),
                state_key("identities", unit, ".bin"),
                state_key("leases/units", unit),
            )
        return cls(
            state_key("shards", unit, f"/{shard.name}.json"),
            state_key("shards", unit, f"/{shard.name}{_SHARD_INTENT}"),
            state_key("identities", unit, f"/{shard.name}.bin"),
            state_key("leases/shards", unit, f"/{shard.name}.json"),
        )


def partition_lease(unit: Unit) -> str:
    """The key of the lease on a unit's partition."""
    return state_key("leases/partitions", unit)


def cut_key(unit: Unit) -> str:
    """The key of how a unit was cut last."""
    return state_key("cuts", unit)


ATTEMPTS = "attempts/"
"""The folder of what is known of attempts at events that have not come to an end."""


def attempt_key(delivery: str) -> str:
    """The key of the attempts at an event, by what is the same whenever it is delivered."""
    return f"{ATTEMPTS}{sha256(delivery.encode()).hexdigest()[:32]}.json"


def shards_of(state: ReadStore, unit: Unit) -> list[Shard]:
    """The shards of a unit, of any split, that the state knows something about; sorted."""
    names = {
        entry.key.rpartition("/")[2].partition(".")[0]
        for entry in state.files(state_key("shards", unit, "/"))
    }
    return sorted(filter(None, map(Shard.named, names)))


def split_units(state: ReadStore) -> frozenset[Unit]:
    """The units of whose shards the state knows something."""
    units = (state_unit(entry.key) for entry in state.files("shards/"))
    return frozenset(filter(None, units))


def receipt_days(
    state: ReadStore, span: Place, first: date = date.min, last: date = date.max
) -> set[date]:
    """The days of a range that have a receipt, of a span (see `Unit.span`)."""
    ends = (state_key("receipts", Unit(*span, day), ending="") for day in (first, last))
    units = (state_unit(entry.key) for entry in files_between(state, *ends))
    return {unit.day for unit in units if unit and unit.span == span}


def intents(state: ReadStore) -> Iterator[tuple[Unit, Entry]]:
    """The units that have an intent, each with its entry; a unit may have several."""
    shards = (entry for entry in state.files("shards/") if entry.key.endswith(_SHARD_INTENT))
    for entry in chain(state.files("intents/"), shards):
        unit = state_unit(entry.key)
        if unit is not None:
            yield unit, entry
