"""How a unit is cut into shards, noted before the first of them is sent on.

A unit may be cut again before it is complete, because one of its shards ends each process that
reads it, or because log files have come. Then the shards of the cut before it have nothing left to
do, whenever they come: published beside the newer ones, their records would stand twice.
"""

import msgspec

from cloudtrail_parquet.errors import SupersededError
from cloudtrail_parquet.layout import WHOLE, Bound, Shard, Unit
from cloudtrail_parquet.state.keys import cut_key
from cloudtrail_parquet.storage import ReadStore, Store


class Cut(msgspec.Struct, frozen=True):
    """How a unit was cut.

    Attributes:
        cut: The digest of the bounds.
        bounds: The bounds between its shards; see `layout.Bound`.
    """

    cut: str
    bounds: tuple[tuple[str, str, int], ...]


def check_current(state: ReadStore, unit: Unit, shard: Shard) -> None:
    """Make sure that no other cut has replaced the one that a shard is of.

    Under the lease of the unit this stays so until the lease is given back: whatever a newer cut
    publishes comes after that.

    Raises:
        SupersededError: Another cut has been noted.
    """
    stored = state.read_if_there(cut_key(unit)) if shard.cut else None
    if stored is not None and _digest(stored) not in {"", shard.cut}:
        raise _superseded(unit, shard)


def note_cut(state: Store, unit: Unit, bounds: tuple[Bound, ...], before: Shard) -> None:
    """Note how a unit is cut from now on.

    Args:
        state: The store of the state.
        unit: The unit.
        bounds: The bounds.
        before: The shard that is cut closer; `WHOLE` if the unit is cut afresh.

    Raises:
        SupersededError: The cut that it is of is not the last one any more.
        StorageError: Somebody else has noted another one at the same time.
    """
    key, shard = cut_key(unit), Shard.between(1, bounds)
    stored = state.look(key)
    noted = _digest(stored.data) if stored else ""
    if before != WHOLE and noted not in {"", before.cut, shard.cut}:
        raise _superseded(unit, before)
    if noted != shard.cut:
        data = msgspec.json.encode(Cut(shard.cut, bounds))
        state.swap(key, data, stored.version if stored else None)


def siblings_of(state: ReadStore, unit: Unit, shard: Shard) -> list[Shard]:
    """All shards of the split that a shard of a unit is of; none if its bounds are not known."""
    if not shard.cut:
        return shard.siblings
    stored = state.read_if_there(cut_key(unit))
    if stored is None or _digest(stored) != shard.cut:
        return []
    bounds = tuple(Bound(*bound) for bound in msgspec.json.decode(stored, type=Cut).bounds)
    return [Shard.between(number, bounds) for number in range(1, shard.of + 1)]


def _digest(data: bytes) -> str:
    try:
        return msgspec.json.decode(data, type=Cut).cut
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""  # damaged: as if there were none


def _superseded(unit: Unit, shard: Shard) -> SupersededError:
    what = f"shard {shard} is of a cut that another one has replaced"
    return SupersededError(what, unit.name, "Nothing: the shards of the newer cut make the unit")
