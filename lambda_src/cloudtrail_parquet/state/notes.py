"""What the state says about a unit or a shard: its receipt, and an intent to replace it.

Before a run touches published parts, it writes an intent. When all is done it writes its receipt,
which bears the name of the same run, and then removes the intent. So a receipt is true unless an
intent of another run lies beside it: that run is under way, or it ended half-way and has to be
repeated. The intent names all parts that such a run may have left behind.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.keys import StateKeys, intents, shards_of
from cloudtrail_parquet.state.receipt import R, Receipt, ShardReceipt
from cloudtrail_parquet.storage import ReadStore


class Intent(msgspec.Struct, frozen=True):
    """What a run is about to replace.

    Attributes:
        run: The name of the run.
        begun: When the intent was written.
        parts: The keys of all parts that the run, or an unfinished one before it, may leave behind:
            those it writes, and those it is to remove.
        adds: For an addition, which touches no part that the receipt names: the numbers of the log
            files that it adds to the unit's identities. None for a replacement.
        identities: As in the receipt that the run is to write.
        planned: That receipt, of a run that makes parts of parts or removes them: each of its parts
            is in place or the one of the receipt before is.
        puts: The keys of the parts that take the places of all others, or are added; unknown in an
            intent of an older version.
    """

    run: str
    begun: datetime
    parts: frozenset[str]
    adds: frozenset[int] | None = None
    identities: bytes = b""
    planned: Receipt | UnsetType = UNSET
    puts: frozenset[str] | UnsetType = UNSET

    def to_text(self) -> bytes:
        """It as it is stored; the same for the same intent."""
        return msgspec.json.encode(self, order="deterministic")


UNREADABLE = Intent("?", datetime.min, frozenset())  # noqa: DTZ901 - the time is unknown
"""In place of an intent that cannot be read: some run was about to replace something."""


class Notes(NamedTuple, Generic[R]):
    """What the state says, as seen under a lease.

    Attributes:
        receipt: The receipt; None if there is none, or it cannot be read.
        receipt_version: The version of its object, readable or not; None if there is no object.
        intent: The intent; `UNREADABLE` for one that cannot be read, None if there is none.
        intent_version: As ``receipt_version``.
    """

    receipt: R | None = None
    receipt_version: str | None = None
    intent: Intent | None = None
    intent_version: str | None = None

    @property
    def is_void(self) -> bool:
        """Whether no conversion was ever begun."""
        return self.receipt_version is None and self.intent_version is None

    @property
    def versions(self) -> tuple[str | None, str | None]:
        """What others change when they publish."""
        return self.receipt_version, self.intent_version

    @property
    def is_true(self) -> bool:
        """Whether the receipt describes the published parts."""
        if self.receipt is None:
            return False
        return self.intent is None or self.intent.run == self.receipt.run

    @property
    def has_base(self) -> bool:
        """Whether all parts of the receipt are in place, perhaps with some of an addition's."""
        if self.receipt is None:
            return False
        return self.is_true or (self.intent is not None and self.intent.adds is not None)

    @property
    def is_expired(self) -> bool:
        """Whether the unit's own rows are no longer kept, or about to be removed."""
        planned = UNSET if self.intent is None else self.intent.planned
        is_going = planned is not UNSET and planned.is_expired
        return is_going or (self.receipt is not None and self.receipt.is_expired)

    @property
    def names_all_parts(self) -> bool:
        """Whether `parts` is complete."""
        if self.intent is UNREADABLE:
            return False
        return self.receipt is not None or (self.receipt_version is None and not self.is_void)

    @property
    def parts(self) -> frozenset[str]:
        """The keys of all parts that were written, or were about to be, as far as is known."""
        written = (
            frozenset(part.key for part in self.receipt.parts) if self.receipt else frozenset()
        )
        return written | (self.intent.parts if self.intent else frozenset())


def read_notes(state: ReadStore, unit: Unit) -> Notes[Receipt]:
    """What the state says about a unit."""
    return _read(state, unit, WHOLE, Receipt)


def read_shard_notes(state: ReadStore, unit: Unit, shard: Shard) -> Notes[ShardReceipt]:
    """What the state says about a shard."""
    return _read(state, unit, shard, ShardReceipt)


def _read(state: ReadStore, unit: Unit, shard: Shard, kind: type[R]) -> Notes[R]:
    keys = StateKeys.of(unit, shard)
    receipt, intent = state.look(keys.receipt), state.look(keys.intent)
    return Notes(
        decode_receipt(receipt.data, unit, kind) if receipt else None,
        receipt.version if receipt else None,
        _decode_intent(intent.data) if intent else None,
        intent.version if intent else None,
    )


def decode_receipt(text: bytes, unit: Unit, kind: type[R]) -> R | None:
    """Decode a unit's receipt; None if it is damaged, of another form, or of another unit."""
    try:
        receipt = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return receipt if receipt.unit == unit else None


def _decode_intent(text: bytes) -> Intent:
    try:
        return msgspec.json.decode(text, type=Intent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UNREADABLE


NotesByShard = dict[Shard, Notes[ShardReceipt]]
"""What the state says about shards of a unit."""


def shard_notes(state: ReadStore, unit: Unit) -> NotesByShard:
    """What the state says about the shards of a unit, of any split."""
    return {shard: read_shard_notes(state, unit, shard) for shard in shards_of(state, unit)}


def read_identities(state: ReadStore, unit: Unit, shards: Iterable[Shard]) -> Identities | None:
    """The log files that some shards of a unit, or the whole unit, were made of.

    Returns:
        All of them together; None when those of one shard are missing or cannot be read.
    """
    merged = Identities()
    for shard in shards:
        data = state.read_if_there(StateKeys.of(unit, shard).identities)
        identities = None if data is None else Identities.of_bytes(data)
        if identities is None:
            return None
        merged.merge(identities)
    return merged


def known_identities(
    state: ReadStore, unit: Unit, notes: Notes[R], shard: Shard = WHOLE
) -> Identities | None:
    """The log files that the parts of a unit, or of a shard, were made of.

    Of a run that has not finished it is known what it makes parts of, not whether it has begun to.

    Args:
        state: The store of receipts, intents and identities.
        unit: The unit.
        notes: What the state says about it, or about the shard.
        shard: The shard; `WHOLE` for the unit.

    Returns:
        None when that is missing or cannot be read.
    """
    few = notes.receipt.identities if notes.receipt else b""
    if notes.intent is None or notes.is_true:
        return Identities.of_bytes(few) if few else read_identities(state, unit, [shard])
    if notes.intent.identities:
        return Identities.of_bytes(notes.intent.identities)
    known = read_identities(state, unit, [shard])
    before = Identities.of_bytes(few) if few else Identities()
    if known is None or before is None:
        return None
    known.merge(before)  # the run may have ended before it wrote its own
    return known


def base_identities(state: ReadStore, unit: Unit, notes: Notes[Receipt]) -> Identities | None:
    """The log files that the parts of a unit's receipt were made of; None if that is not known."""
    if notes.receipt is None or not notes.has_base:
        return None
    if notes.receipt.identities:
        return Identities.of_bytes(notes.receipt.identities)
    known = known_identities(state, unit, notes)
    if known is None or notes.is_true or notes.intent is None:
        return known
    return known.without(notes.intent.adds or ())


def unfinished(state: ReadStore) -> dict[Unit, datetime]:
    """The units that have an intent, and since when.

    Each is being replaced, or a run that was replacing it ended half-way.
    """
    since: dict[Unit, datetime] = {}
    for unit, entry in intents(state):
        since[unit] = min(entry.modified, since.get(unit, entry.modified))
    return since
