"""The task of a conversion, of a unit or a shard: what to convert, and what is known of it."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Generic, NamedTuple, Self
from uuid import uuid4

from cloudtrail_parquet.conversion.addition import Addition, addition_of, name_in
from cloudtrail_parquet.conversion.guard import belongs_to
from cloudtrail_parquet.conversion.published import PublishedParts
from cloudtrail_parquet.dataset.parts import parts_in
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import listed
from cloudtrail_parquet.layout import WHOLE, Place, Shard, Unit, check_unit, owner_of, shard_of
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.source.unplaced import Misplaced, Unplaced
from cloudtrail_parquet.state.cuts import check_current
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.state.notes import (
    Notes,
    NotesByShard,
    base_identities,
    read_notes,
    read_shard_notes,
    shard_notes,
)
from cloudtrail_parquet.state.receipt import R, Receipt, ShardReceipt
from cloudtrail_parquet.state.sums import kept_source
from cloudtrail_parquet.storage import Entry, ReadStore, Stores


@dataclass(frozen=True, kw_only=True)
class Task(ABC, Generic[R]):
    """What is to be converted, and what there was before.

    Attributes:
        unit: The unit.
        shard: The share of its log files that is read.
        stores: Source, dataset and state.
        options: Conversion options.
        window: All log files of the unit, in delivery order.
        fingerprint: The fingerprint of these.
        fingerprints: The fingerprints of the log files of each place.
        refused: Places of a folded unit that may not be listed; the region is "" for an account.
        unplaced: Log files without bytes in the folders of the unit's day.
        listed: When the log files began to be listed.
        notes: What the state said about the unit, or about the shard, before that.
        addition: What the parts of the unit are added to; None if they are replaced.
        own_first: Whether the unit's partition is listed before log files are read; else what
            stands there is first seen under the lease.
        was_split: Whether the state may know of shards of the unit since before the run began.
        set_aside: Why no log file is read, but all are quarantined; empty to read them.
        run: The name of this run.
    """

    unit: Unit
    shard: Shard
    stores: Stores
    options: ConversionOptions
    window: list[LogFile]
    fingerprint: str
    fingerprints: dict[Place, Fingerprint]
    refused: frozenset[Place]
    unplaced: list[Misplaced]
    listed: datetime
    notes: Notes[R] = field(default_factory=Notes)
    addition: Addition | None = None
    own_first: bool = True
    was_split: bool = True
    set_aside: str = ""
    run: str = field(default_factory=lambda: uuid4().hex)

    @abstractmethod
    def has_other_notes(self) -> bool:
        """Whether the state says something about shards, or, for a shard, about the unit."""

    @abstractmethod
    def other_shards(self) -> NotesByShard:
        """What the state says about shards whose parts this task replaces as well."""

    @abstractmethod
    def goes(self, shard: Shard) -> bool:
        """Whether the parts of a shard of the unit are replaced."""

    @abstractmethod
    def published(self) -> PublishedParts:
        """The parts that others have published, to leave out records that they hold."""

    @abstractmethod
    def as_own(self, receipt: Receipt) -> R:
        """A receipt as the one of the unit, or of the shard."""

    def with_current_notes(self) -> Self:
        """This task with what the state says now.

        Raises:
            SupersededError: It is a shard of a cut that another one has replaced.
        """
        check_current(self.stores.state, self.unit, self.shard)
        return replace(self, notes=_read_notes(self.stores.state, self.unit, self.shard))

    @property
    def files(self) -> list[LogFile]:
        """The log files of the window that this task reads."""
        if self.addition is not None:
            return self.addition.files
        window, day = self.options.dataset.window, self.unit.day
        return [file for file in self.window if window.takes(self.shard, file, day)]

    @property
    def last_receipt(self) -> R | None:
        """The last receipt, of the unit or of the shard, if it can be read."""
        return self.notes.receipt

    @property
    def is_void(self) -> bool:
        """Whether there is nothing to convert, and never was."""
        if self.window or self.unplaced or not self.notes.is_void or self.has_other_notes():
            return False
        return self.shard != WHOLE or not self.has_parts

    @property
    def has_parts(self) -> bool:
        """Whether the unit has parts in its partition, whatever the state says."""
        day = self.unit.day
        owners = (owner_of(entry.key, day) for entry in self.entries(day))
        return any(belongs_to(self.unit, owner, self.goes) for owner in owners)

    @property
    def refused_words(self) -> str:
        """Which places may not be listed, to follow other words; empty if there is none."""
        names = sorted(" ".join(filter(None, place)) for place in self.refused)
        return f"; {listed(names)} may not be listed" if names else ""

    @property
    def may_shrink(self) -> bool:
        """Whether a replacement may lose records; never because a place may not be listed."""
        return self.options.replace_shrunk and not self.refused

    def kept_source(self, before: Receipt) -> str:
        """What the receipt of parts that stay says of the run that keeps them."""
        return kept_source(before, self.fingerprint, self.options.row_shaping)

    @property
    def is_settled(self) -> bool:
        """Whether the window had passed, with a margin, when the log files were listed."""
        window, margin_s = self.options.dataset.window, self.options.settle_margin_s
        return window.has_passed(self.unit.day, self.listed, margin_s)

    def entries(self, day: date) -> list[Entry]:
        """The parts of a day's partition."""
        return parts_in(self.stores.dataset, self.unit.on(day), self.options.dataset.layout)


class WholeTask(Task[Receipt]):
    """A unit that is read as a whole; it also owns what was written when it was split."""

    def find_addition(self) -> Addition | None:
        """What can be added to the parts of the unit, if the state knows all of these."""
        notes, state = self.notes, self.stores.state
        if not notes.has_base or notes.receipt is None:
            return None
        if notes.receipt.source_fingerprint == self.fingerprint:
            return None
        known = base_identities(state, self.unit, notes)
        addition = addition_of(
            self.unit, notes, known, self.window, self.options, is_settled=self.is_settled
        )
        if addition is None or (addition.gone and self.may_shrink) or self._is_split(addition):
            return None
        is_in_place = not self.own_first or addition.is_in_place(self.entries)
        return addition if is_in_place else None

    def _is_split(self, addition: Addition) -> bool:
        splits = {shard_of(key).split for key in addition.kept}
        may_be = self.was_split or not splits <= {WHOLE.split}
        return len(splits) > 1 or (may_be and self.has_other_notes())

    def has_other_notes(self) -> bool:
        """See `Task`."""
        return bool(self.other_shards())

    def other_shards(self) -> NotesByShard:
        """See `Task`."""
        return shard_notes(self.stores.state, self.unit)

    def goes(self, _: Shard) -> bool:
        """See `Task`."""
        return True

    def published(self) -> PublishedParts:
        """See `Task`."""
        kept = self.addition.kept if self.addition else frozenset[str]()
        layout = self.options.dataset.layout
        return PublishedParts(
            self.stores.dataset, self.unit, layout, kept=kept, own_first=self.own_first
        )

    def as_own(self, receipt: Receipt) -> Receipt:
        """See `Task`."""
        return receipt


class ShardTask(Task[ShardReceipt]):
    """A shard of a unit, which owns what it has written itself."""

    def has_other_notes(self) -> bool:
        """See `Task`."""
        return not read_notes(self.stores.state, self.unit).is_void

    def other_shards(self) -> NotesByShard:
        """See `Task`."""
        return {}

    def goes(self, shard: Shard) -> bool:
        """See `Task`."""
        return shard == self.shard

    def published(self) -> PublishedParts:
        """See `Task`.

        If a smaller source may replace a larger one, a record must not be left out for one that is
        about to be removed: parts that other shards made of another source do not count then.
        """
        source = self.fingerprint if self.may_shrink else None
        layout = self.options.dataset.layout
        return PublishedParts(self.stores.dataset, self.unit, layout, self.shard, source)

    def as_own(self, receipt: Receipt) -> ShardReceipt:
        """See `Task`."""
        return receipt.of_shard(self.shard, self.seen)

    @property
    def seen(self) -> str:
        """A digest of what the shards of a unit must have in common to make one unit."""
        options = self.options
        common = (
            self.fingerprint,
            SCHEMA_VERSION,
            options.dataset.folders,
            options.shaping_json,
            self.may_shrink,
        )
        return sha256(repr(common).encode()).hexdigest()


class Look(NamedTuple, Generic[R]):
    """What the state said of a unit or a shard, and then the source.

    In this order: who has seen newer log files publishes after these notes were read.

    Attributes:
        notes: What the state said.
        listed: When the log files began to be listed.
        window: See `Task`.
        unplaced: See `Task`.
        refused: The places that could not be listed.
    """

    notes: Notes[R]
    listed: datetime
    window: list[LogFile]
    unplaced: list[Misplaced]
    refused: frozenset[Place] = frozenset()


def task_of(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    options: ConversionOptions,
    shard: Shard,
    refused: Iterable[str] = (),
    *,
    seen: Look[Any] | None = None,
    own_first: bool = True,
    was_split: bool = True,
) -> WholeTask | ShardTask:
    """Read what the state says about a unit and list its log files.

    Args:
        unit: The unit.
        trails: The prefixes of the source that hold the days of its places.
        stores: Source, dataset and state.
        options: Conversion options.
        shard: The share of its log files that is to be read.
        refused: Accounts of a folded unit that may not be listed.
        seen: What state and source said, if they were asked already.
        own_first: See `Task`.
        was_split: See `Task`.

    Raises:
        UsageError: The layout has no such units.
        SupersededError: The shard is of a cut that another one has replaced.
        StorageError: The window cannot be listed, or the state cannot be read; in a folded layout
            a place that may not be listed does not keep the others from being read.
    """
    check_unit(unit, options.dataset.layout)
    check_current(stores.state, unit, shard)
    notes, listed, window, unplaced, unlisted = seen or _look(unit, trails, stores, options, shard)
    fingerprint, fingerprints = Fingerprint(), defaultdict[Place, Fingerprint](Fingerprint)
    for file in window:
        fingerprints[file.place].add(name_in(unit, file), file.size)
    for each in fingerprints.values():
        fingerprint.merge(each)
    facts: dict[str, Any] = {
        "unit": unit,
        "shard": shard,
        "stores": stores,
        "options": options,
        "window": window,
        "fingerprint": str(fingerprint),
        "fingerprints": dict(fingerprints),
        "refused": unlisted.union(Place(account, "") for account in refused),
        "unplaced": unplaced,
        "listed": listed,
        "notes": notes,
        "own_first": own_first,
        "was_split": was_split,
    }
    if shard != WHOLE:
        return ShardTask(**facts)
    task = WholeTask(**facts)
    return replace(task, addition=task.find_addition())


def _look(
    unit: Unit, trails: Iterable[str], stores: Stores, options: ConversionOptions, shard: Shard
) -> Look[Any]:
    notes = _read_notes(stores.state, unit, shard)
    listed, empty, refused = stores.now(), Unplaced(), set[Place]()
    unlisted = None if all(unit.span) else refused
    window = window_files(stores.source, trails, unit, options.dataset.window, empty, unlisted)
    return Look(notes, listed, window, empty.folders, frozenset(refused))


def _read_notes(state: ReadStore, unit: Unit, shard: Shard) -> Notes[Any]:
    return read_notes(state, unit) if shard == WHOLE else read_shard_notes(state, unit, shard)
