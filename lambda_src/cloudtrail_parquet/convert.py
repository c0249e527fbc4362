"""One unit, from its log files to its parts and its receipt."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from cloudtrail_parquet import __version__
from cloudtrail_parquet.collate import Collation
from cloudtrail_parquet.config import Settings
from cloudtrail_parquet.decode import decode, raw_records
from cloudtrail_parquet.duplicates import Duplicates
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    LeaseTimeoutError,
    StorageError,
    UnreadableLogError,
    UsageError,
)
from cloudtrail_parquet.fetch import Fetched, fetch, fetch_text
from cloudtrail_parquet.layout import (
    WHOLE,
    LogFile,
    Owner,
    Shard,
    Unit,
    owner_of,
    part_key,
    partition,
    state_key,
    straggler_key,
    unit_of,
)
from cloudtrail_parquet.receipt import (
    Files,
    Part,
    Quarantined,
    Receipt,
    Records,
    ShardReceipt,
    commonest,
    now,
    read_receipt,
    read_shard_receipt,
    write_receipt,
)
from cloudtrail_parquet.schema import (
    DEFAULT_LAYOUT,
    METADATA_PREFIX,
    RECORD_VERSION,
    SCHEMA_VERSION,
    PartitionLayout,
)
from cloudtrail_parquet.shards import (
    Check,
    Split,
    forget,
    guard,
    intent_key,
    notes,
    read_intent,
    shrunk,
    stands,
)
from cloudtrail_parquet.source import window_files
from cloudtrail_parquet.standing import Standing
from cloudtrail_parquet.storage import Lease, Staging, Store, Stores, open_store
from cloudtrail_parquet.writer import PartsWriter, in_background

_ATTEMPTS = 10
_DATASET_NOTE = "dataset.json"


class Ownership(msgspec.Struct, frozen=True):
    """What decides which unit owns a record, and where; so it is the same for all of a dataset."""

    lookbehind_s: int
    lookahead_s: int
    folders: frozenset[str]
    partition_layout: PartitionLayout = DEFAULT_LAYOUT

    @classmethod
    def of(cls, settings: Settings) -> "Ownership":
        """What settings say about it."""
        return cls(
            settings.lookbehind_s,
            settings.lookahead_s,
            frozenset(settings.folders),
            settings.partition_layout,
        )

    def admits(self, later: "Ownership") -> bool:
        """Whether days converted so may stand beside those converted before; more folders may."""
        return self.folders <= later.folders and self == msgspec.structs.replace(
            later, folders=self.folders
        )

    def __str__(self) -> str:
        window = f"lookbehind_s = {self.lookbehind_s}, lookahead_s = {self.lookahead_s}"
        folders = ", ".join(sorted(self.folders))
        return f"{window}, partition_layout = {self.partition_layout}, folders = {folders}"


def open_dataset_state(state: Store, settings: Settings) -> None:
    """Note what decides ownership in a new dataset, or compare it with what was noted.

    More folders of logs than before are fine: days converted from now on hold them, too.

    Raises:
        UsageError: The dataset was made with other values: records would be lost or doubled.
    """
    if is_noted(state, settings):
        return
    with state.lease("leases/dataset", settings.lease_wait_s, settings.lease_s):
        if not is_noted(state, settings):
            text = msgspec.json.encode(Ownership.of(settings), order="sorted")
            state.write(_DATASET_NOTE, text)


def is_noted(state: Store, settings: Settings) -> bool:
    """Whether the dataset is known to be made with these settings; writes nothing.

    Raises:
        UsageError: As `open_dataset_state` does.
    """
    mine, noted = Ownership.of(settings), state.read_if_there(_DATASET_NOTE)
    if noted is None:
        return False
    try:
        theirs = msgspec.json.decode(noted, type=Ownership)
    except msgspec.DecodeError as error:
        what, hint = f"{_DATASET_NOTE} is damaged ({error})", "Put it back or remove it"
        raise UsageError(what, state.uri, hint) from error
    if not theirs.admits(mine):
        raise UsageError(
            f"the dataset was made with {theirs}; now it is {mine}",
            state.uri,
            "Use the same values, or convert everything into a new dataset",
        )
    return theirs == mine


def convert_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    admit: Callable[[list[LogFile]], None] | None = None,
    shard: Shard = WHOLE,
) -> Receipt | None:
    """Convert one unit, or a shard of it: replace in the dataset all that it owns.

    A whole unit owns also what was written when it was split. A shard owns what it has written
    itself; with the last shard of a split all else that the unit has written goes, and the unit's
    receipt is made of the shards'. Until then, what was converted before stands beside them.

    Args:
        unit: What to convert.
        trails: The prefixes of the source below which the days of the unit's account and region
            lie, as `source.discover` finds them.
        stores: Where everything is.
        settings: How to do it.
        admit: Is shown the log files before any is read, and may raise to prevent that.
        shard: Which of the unit's log files to read. Shards may be converted in any order, at the
            same time, and again.

    Returns:
        The receipt, of the unit or of the shard, which has been written; None when there was
        nothing to convert and nothing had ever been converted.

    Raises:
        StorageError, LeaseTimeoutError, ReconciliationError: Nothing was replaced, or, when a
            store fails amid replacing, the same run again completes it.
        UsageError: Shards of a split that was never completed were made of log files that are gone
            from the source.
    """
    started = time.monotonic()
    state, wait_s, lease_s = stores.state, settings.lease_wait_s, settings.lease_s
    with state.lease(_lease_key(unit, shard), wait_s, lease_s) as lease:
        task = _Task.of(unit, trails, stores, settings, shard)
        if task.is_void:
            return None
        if admit is not None:
            admit(task.files)
        split = Split(unit, shard.of, task.window, stores, settings)
        if shard != WHOLE and split.kept() is not None:
            with _turn(task, lease) as check:
                kept = split.keep(check)
            if kept is not None:
                return kept
        for _ in range(_ATTEMPTS):
            with stores.dataset.staging(state_key("", unit, _ending(shard))) as staging:
                run = _Run(task, staging)
                run.read()
                if task.before is None and shard == WHOLE and not run.matters:
                    return None
                with _turn(task, lease) as check:
                    receipt = run.kept()
                    if receipt is not None:
                        write_receipt(state, receipt)
                    else:
                        receipt = run.receipt(time.monotonic() - started)
                        if not _publish(run, receipt, check):
                            continue
                    if shard != WHOLE:
                        split.finish(check)
                    return receipt
        raise LeaseTimeoutError(
            f"its partitions changed {_ATTEMPTS} times while it was read",
            unit.name,
            "Run it again later",
        )


def preview_unit(
    unit: Unit, trails: Iterable[str], stores: Stores, settings: Settings, shard: Shard = WHOLE
) -> Receipt | None:
    """What `convert_unit` would do, as the receipt that it would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = time.monotonic()
    task = _Task.of(unit, trails, stores, settings, shard)
    with TemporaryDirectory() as folder, open_store(folder).staging("preview") as staging:
        run = _Run(task, staging)
        run.read()
        if task.before is None and shard == WHOLE and not run.matters:
            return None
        return run.kept() or run.receipt(time.monotonic() - started)


def _ending(shard: Shard) -> str:
    return "" if shard == WHOLE else f"/{shard.name}"


def _lease_key(unit: Unit, shard: Shard) -> str:
    if shard == WHOLE:
        return state_key("leases/units", unit)
    return state_key("leases/shards", unit, f"{_ending(shard)}.json")


class _Task(NamedTuple):
    """What is to be converted, and what there was before.

    Attributes:
        unit: What to convert.
        shard: Which of its log files.
        window: All log files of the unit, in delivery order.
        files: Those of them that are to be read.
        fingerprint: A digest of the names and sizes of them all.
        before: The last receipt, of the unit or of the shard.
        stores: Where everything is.
        settings: How to do it.
    """

    unit: Unit
    shard: Shard
    window: list[LogFile]
    files: list[LogFile]
    fingerprint: str
    before: Receipt | None
    stores: Stores
    settings: Settings

    @classmethod
    def of(
        cls, unit: Unit, trails: Iterable[str], stores: Stores, settings: Settings, shard: Shard
    ) -> "_Task":
        """Look what there is to do."""
        window = window_files(stores.source, trails, unit, settings.window)
        before = (
            read_receipt(stores.state, unit)
            if shard == WHOLE
            else read_shard_receipt(stores.state, unit, shard)
        )
        return cls(
            unit,
            shard,
            window,
            [file for file in window if settings.window.takes(shard, file, unit.day)],
            _fingerprint(window),
            before,
            stores,
            settings,
        )

    @property
    def is_void(self) -> bool:
        """Whether there is nothing to convert and never was."""
        if self.window or self.before is not None:
            return False
        return self.shard == WHOLE or read_receipt(self.stores.state, self.unit) is None

    def standing(self) -> Standing:
        """What stands already, to leave out what repeats it.

        Where a smaller source may replace more, a record must not be left out for one that is
        about to go: what other shards have made of another source does not count then.
        """
        split = self.shard != WHOLE and self.settings.replace_shrunk
        return Standing(
            self.stores.dataset,
            self.unit,
            self.settings.partition_layout,
            self.shard,
            self.fingerprint if split else None,
        )

    @property
    def seen(self) -> str:
        """A digest of all that the shards of a unit must have in common to be one split."""
        settings = self.settings.shaping_json(), self.settings.replace_shrunk
        about = self.fingerprint, SCHEMA_VERSION, self.settings.folders, *settings
        return sha256(repr(about).encode()).hexdigest()


@contextmanager
def _turn(task: _Task, lease: Lease) -> Iterator[Check]:
    """Hold the unit's lease, which a shard needs only while it replaces something.

    So shards are read at the same time and published one after the other, and none of them while
    the whole unit is converted.
    """
    if task.shard == WHOLE:
        lease.check()
        yield lease.check
        return
    settings = task.settings
    key = _lease_key(task.unit, WHOLE)
    with task.stores.state.lease(key, settings.lease_wait_s, settings.lease_s) as turn:

        def check() -> None:
            lease.check()
            turn.check()

        check()
        yield check


def _publish(run: "_Run", receipt: Receipt, check: Check) -> bool:
    """Put the parts in place and remove what this run's owner had there before.

    Returns:
        False when somebody else has meanwhile put a record of this run into a partition: the run
        has to be repeated, and then replaces what this one may have put in place.
    """
    task, unit, shard, settings = run.task, run.task.unit, run.task.shard, run.task.settings
    dataset, state = task.stores.dataset, task.stores.state
    new = {part.key for part in receipt.parts}
    intent = intent_key(unit, None if shard == WHOLE else shard)
    written = {part.key for part in task.before.parts} if task.before else set[str]()
    split = notes(state, unit) if shard == WHOLE else {}
    guard(split, unit, task.before, task.window, settings)
    noted = read_intent(state, intent).union(written, *(note.parts for note in split.values()))
    if stragglers := {key for key in noted | new if unit_of(key) != unit}:
        # should this run die, the next one finds what it had begun
        state.write(intent, msgspec.json.encode(sorted(stragglers)))
    check()
    forget(state, unit, split)
    for target in sorted({unit, *(unit_of(key) or unit for key in stragglers)}):
        key = state_key("leases/partitions", target)
        with state.lease(key, settings.lease_wait_s, settings.lease_s) as lease:
            if run.standing.changed(target.day, run.duplicates.keys(target.day)):
                return False
            check()
            lease.check()
            run.staging.publish(sorted(key for key in new if unit_of(key) == target))
            entries = dataset.files(partition(target, settings.partition_layout))
            owned = {
                one.key for one in entries if _replaces(shard, unit, owner_of(one.key, target.day))
            }
            dataset.delete(sorted(owned - new))
    check()
    write_receipt(state, receipt)
    state.delete([intent, *(intent_key(unit, one) for one in split)])
    return True


def _replaces(shard: Shard, unit: Unit, owner: Owner | None) -> bool:
    """Whether a run owns what an owner has written."""
    return owner is not None and owner.day == unit.day and shard in {WHOLE, owner.shard}


class _Run:
    """One pass over the log files of a unit, into parts that nobody sees yet."""

    def __init__(self, task: _Task, staging: Staging) -> None:
        self.task, self.unit, self.settings = task, task.unit, task.settings
        self.staging = staging
        self.standing = task.standing()
        self.duplicates = Duplicates(self._read_again)
        self._source, self._files = task.stores.source, task.files
        self._own = PartsWriter(
            staging,
            self.settings,
            self._metadata(),
            lambda number: part_key(
                self.unit, number, self.settings.partition_layout, self.task.shard
            ),
        )
        self._straggler_parts: dict[date, list[Part]] = {}
        self._read: list[LogFile] = []
        self._bytes_inflated = 0
        self._inexact: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []

    def read(self) -> None:
        """Read all log files and write all parts, up to their footers."""
        with self._own, in_background(self._own.write) as write_own:
            self.collation = Collation(
                self.unit,
                self.settings,
                duplicates=self.duplicates,
                standing=self.standing,
                own=write_own,
                stragglers=self._write_stragglers,
            )
            for file, text in fetch(self._source, self._files, self.settings):
                self._take(file, text)
            self.collation.finish()
        self._inexact += self._own.inexact
        self.quarantined += [
            Quarantined(key=file.key, record=position, reason=reason)
            for file, position, reason in self.collation.quarantined
        ]

    def _take(self, file: LogFile, text: Fetched) -> None:
        try:
            if isinstance(text, CloudTrailParquetError):
                raise text
            batches = decode(text, file.key)
        except (StorageError, UnreadableLogError) as error:
            retryable = isinstance(error, StorageError)
            self.quarantined.append(
                Quarantined(key=file.key, reason=error.what, retryable=retryable)
            )
            return
        self._read.append(file)
        self._bytes_inflated += len(text)
        self.collation.begin(file)
        for batch in batches:
            self.collation.add(batch)

    def _read_again(self, number: int) -> list[Any]:
        file = self._read[number]
        return raw_records(fetch_text(self._source, file, self.settings), file.key)

    def _write_stragglers(self, day: date, table: pa.Table) -> None:
        parts = self._straggler_parts.setdefault(day, [])
        target, first = self.unit.on(day), len(parts)
        layout = self.settings.partition_layout
        writer = PartsWriter(
            self.staging,
            self.settings,
            self._metadata(),
            lambda number: straggler_key(
                target, self.unit.day, first + number, layout, self.task.shard
            ),
        )
        with writer:
            writer.write(table)
        parts += writer.parts
        self._inexact += writer.inexact

    def _metadata(self) -> dict[str, str]:
        """What the footer of each part says about its making; the same for the same source."""
        facts = {
            "converter": __version__,
            "schema_version": SCHEMA_VERSION,
            "record_version": RECORD_VERSION,
            "owner": self.unit.name,
            "source_fingerprint": self.task.fingerprint,
            "settings": self.settings.shaping_json(),
        }
        return {METADATA_PREFIX + name: str(value) for name, value in facts.items()}

    @property
    def matters(self) -> bool:
        """Whether there is anything to tell: files of the unit's own day, rows, or bad files."""
        counts = self.collation.counts
        own_files = any(file.delivered.date() == self.unit.day for file in self._files)
        return bool(own_files or counts.written or self.quarantined)

    def kept(self) -> Receipt | None:
        """The receipt of a run that leaves what stands, as the source no longer holds all of it."""
        before, read = self.task.before, self.collation.counts.read
        why = shrunk(before, self.settings, len(self._files), read) if before else ""
        if before is None or not why:
            return None
        if not stands((part.key for part in before.parts), self.task.stores.dataset):
            return None
        kept = msgspec.structs.replace(
            before, status="partial", kept=why, quarantined=self.quarantined, converted_at=now()
        )
        if isinstance(kept, ShardReceipt):
            return msgspec.structs.replace(kept, seen=self.task.seen)
        return kept

    def receipt(self, seconds: float) -> Receipt:
        """The account of this run."""
        parts = self._own.parts + [
            part for parts in self._straggler_parts.values() for part in parts
        ]
        collation, settings, when = self.collation, self.settings, now()
        settled_from = settings.window.ends(self.unit.day) + timedelta(
            seconds=settings.settle_margin_s
        )
        receipt = Receipt(
            account=self.unit.account,
            region=self.unit.region,
            day=self.unit.day,
            status="partial" if self.quarantined else "complete",
            settled=when >= settled_from,
            converted_at=when,
            converter=__version__,
            schema_version=SCHEMA_VERSION,
            lookbehind_s=settings.lookbehind_s,
            lookahead_s=settings.lookahead_s,
            folders=settings.folders,
            source_fingerprint=self.task.fingerprint,
            files=Files(
                listed=len(self._files),
                read=len(self._read),
                quarantined=len(self._files) - len(self._read),
            ),
            records=Records(**asdict(collation.counts)),
            conflicts=self.duplicates.conflicts,
            bytes_in=sum(
                file.size for file in self._files if file.delivered.date() == self.unit.day
            ),
            bytes_inflated=self._bytes_inflated,
            bytes_out=sum(part.bytes for part in parts),
            seconds=round(seconds, 3),
            parts=parts,
            stragglers={
                str(day): rows for day, rows in sorted(collation.straggled_to.items()) if rows
            },
            versions=dict(sorted((name or "", rows) for name, rows in collation.versions.items())),
            unmapped=commonest(collation.columns.unmapped + self._inexact),
            derived=dict(collation.columns.derived),
            unstamped=[file.key for file in self._read if not file.stamped],
            quarantined=self.quarantined,
            discarded=dict(collation.discarded),
            redacted=dict(collation.redactor.counts),
        )
        shard = self.task.shard
        if shard == WHOLE:
            return receipt
        return ShardReceipt(
            **{name: getattr(receipt, name) for name in Receipt.__struct_fields__},
            number=shard.number,
            of=shard.of,
            seen=self.task.seen,
        )


def _fingerprint(files: list[LogFile]) -> str:
    """A digest of the names and sizes of log files; names are unique, whatever their prefix."""
    digest = sha256()
    for name, size in sorted((file.key.rpartition("/")[2], file.size) for file in files):
        digest.update(f"{name}\0{size}\n".encode())
    return digest.hexdigest()
