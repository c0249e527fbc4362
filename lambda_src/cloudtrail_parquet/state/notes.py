"""What the state says of a unit, or of a shard of one: its receipt, and an intent to replace it.

Before a run touches what stands, it writes an intent; when all is done, its receipt, which bears
the name of the same run; then it removes the intent. So a receipt is true unless an intent of
another run lies beside it: then that run is under way, or it ended half-way and has to be
repeated. What such a run may have left anywhere, the intent names.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

import msgspec

from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys, intents, shards_of
from cloudtrail_parquet.state.receipt import Receipt, ShardReceipt
from cloudtrail_parquet.storage import ReadStore

R = TypeVar("R", bound=Receipt)


class Intent(msgspec.Struct, frozen=True):
    """What a run is about to replace.

    Attributes:
        run: Its name.
        begun: When it was written.
        parts: The keys of all parts that it, or an unfinished run before it, may leave: what they
            wrote, and what was there and is to go.
    """

    run: str
    begun: datetime
    parts: frozenset[str]


UNREADABLE = Intent("?", datetime.min, frozenset())  # noqa: DTZ901 - nobody knows when
"""Stands for an intent that is damaged or of another form: some run was about to do something."""


class Notes(NamedTuple, Generic[R]):
    """What the state says; versions are as seen under a lease, None where there is nothing.

    Attributes:
        receipt: The receipt, if there is one that can be read.
        receipt_version: Of the object, whether it can be read or not.
        intent: The intent, if there is one; of one that cannot be read, `UNREADABLE`.
        intent_version: See ``receipt_version``.
    """

    receipt: R | None = None
    receipt_version: str | None = None
    intent: Intent | None = None
    intent_version: str | None = None

    @property
    def is_void(self) -> bool:
        """Whether nothing was ever begun."""
        return self.receipt_version is None and self.intent_version is None

    @property
    def is_true(self) -> bool:
        """Whether the receipt tells what stands."""
        if self.receipt is None:
            return False
        return self.intent is None or self.intent.run == self.receipt.run

    @property
    def tells_all(self) -> bool:
        """Whether all parts that were written, or were about to be, are known."""
        if self.intent is UNREADABLE:
            return False
        return self.receipt is not None or (self.receipt_version is None and not self.is_void)

    @property
    def parts(self) -> frozenset[str]:
        """The keys of parts that were written, or were about to be."""
        written = (
            frozenset(part.key for part in self.receipt.parts) if self.receipt else frozenset()
        )
        return written | (self.intent.parts if self.intent else frozenset())


def read_notes(state: ReadStore, unit: Unit) -> Notes[Receipt]:
    """What the state says of a unit."""
    return _read(state, unit, WHOLE, Receipt)


def read_shard_notes(state: ReadStore, unit: Unit, shard: Shard) -> Notes[ShardReceipt]:
    """What the state says of a shard."""
    return _read(state, unit, shard, ShardReceipt)


def _read(state: ReadStore, unit: Unit, shard: Shard, kind: type[R]) -> Notes[R]:
    keys = StateKeys.of(unit, shard)
    told, meant = state.look(keys.receipt), state.look(keys.intent)
    receipt = decode_receipt(told.data, unit, kind) if told else None
    return Notes(
        receipt,
        told.version if told else None,
        _intent(meant.data) if meant else None,
        meant.version if meant else None,
    )


def decode_receipt(text: bytes, unit: Unit, kind: type[R]) -> R | None:
    """A unit's receipt; None for a text that is damaged, of another form, or about another unit."""
    try:
        receipt = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return receipt if receipt.unit == unit else None


def _intent(text: bytes) -> Intent:
    try:
        return msgspec.json.decode(text, type=Intent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UNREADABLE


Shards = dict[Shard, Notes[ShardReceipt]]
"""What the state says of shards of a unit."""


def shard_notes(state: ReadStore, unit: Unit) -> Shards:
    """What the state says of the shards of a unit, of all splits."""
    return {shard: read_shard_notes(state, unit, shard) for shard in shards_of(state, unit)}


def read_identities(state: ReadStore, unit: Unit, shards: Iterable[Shard]) -> Identities | None:
    """The log files that a unit's shards, or the whole unit, were made of, together.

    Returns:
        None when those of one are missing or cannot be read.
    """
    together = Identities()
    for shard in shards:
        data = state.read_if_there(StateKeys.of(unit, shard).identities)
        identities = None if data is None else Identities.of_bytes(data)
        if identities is None:
            return None
        together.merge(identities)
    return together


def unfinished(state: ReadStore) -> dict[Unit, datetime]:
    """The units beside whose receipts an intent lies, and since when.

    Each is being replaced, or a run that was to do so has ended half-way.
    """
    found: dict[Unit, datetime] = {}
    for unit, entry in intents(state):
        found[unit] = min(entry.modified, found.get(unit, entry.modified))
    return found
