"""One unit, from its log files to its parts and its receipt."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date, timedelta
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import Any

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
    LogFile,
    Unit,
    owner_day,
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
    now,
    read_receipt,
    write_receipt,
)
from cloudtrail_parquet.schema import (
    DEFAULT_LAYOUT,
    METADATA_PREFIX,
    RECORD_VERSION,
    SCHEMA_VERSION,
    PartitionLayout,
)
from cloudtrail_parquet.source import window_files
from cloudtrail_parquet.standing import Standing
from cloudtrail_parquet.storage import Staging, Store, Stores, open_store
from cloudtrail_parquet.writer import PartsWriter, in_background

_ATTEMPTS = 10
_DATASET_NOTE = "dataset.json"
_MAX_NAMES = 1000


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


def convert_unit(
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    admit: Callable[[list[LogFile]], None] | None = None,
) -> Receipt | None:
    """Convert one unit: replace in the dataset all that it owns, and nothing else.

    Args:
        unit: What to convert.
        trails: The prefixes of the source below which the days of the unit's account and region
            lie, as `source.discover` finds them.
        stores: Where everything is.
        settings: How to do it.
        admit: Is shown the log files before any is read, and may raise to prevent that.

    Returns:
        The receipt, which has been written; None when there was nothing to convert and nothing
        had ever been converted.

    Raises:
        StorageError, LeaseTimeoutError, ReconciliationError: Nothing was replaced, or, when a
            store fails amid replacing, the same run again completes it.
    """
    started = time.monotonic()
    source, dataset, state = stores
    key = state_key("leases/units", unit)
    with state.lease(key, settings.lease_wait_s, settings.lease_s) as lease:
        files = window_files(source, trails, unit, settings.window)
        before = read_receipt(state, unit)
        if not files and before is None:
            return None
        if admit is not None:
            admit(files)
        standing = Standing(dataset, unit, settings.partition_layout)
        for _ in range(_ATTEMPTS):
            with dataset.staging(state_key("", unit, "")) as staging:
                run = _Run(unit, source, settings, files, staging, standing)
                run.read()
                if before is None and not run.matters:
                    return None
                shrunk = run.shrunk_since(before) if before else ""
                if before is not None and shrunk and _stands(before, dataset):
                    kept = _kept(before, run, shrunk)
                    write_receipt(state, kept)
                    return kept
                receipt = run.receipt(time.monotonic() - started)
                lease.check()
                if _publish(run, receipt, before, dataset, state):
                    return receipt
        raise LeaseTimeoutError(
            f"its partitions changed {_ATTEMPTS} times while it was read",
            unit.name,
            "Run it again later",
        )


def preview_unit(
    unit: Unit, trails: Iterable[str], stores: Stores, settings: Settings
) -> Receipt | None:
    """What `convert_unit` would do, as the receipt that it would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = time.monotonic()
    files = window_files(stores.source, trails, unit, settings.window)
    before = read_receipt(stores.state, unit)
    standing = Standing(stores.dataset, unit, settings.partition_layout)
    with TemporaryDirectory() as folder, open_store(folder).staging("preview") as staging:
        run = _Run(unit, stores.source, settings, files, staging, standing)
        run.read()
        if before is None and not run.matters:
            return None
        shrunk = run.shrunk_since(before) if before else ""
        if before is not None and shrunk and _stands(before, stores.dataset):
            return _kept(before, run, shrunk)
        return run.receipt(time.monotonic() - started)


def _stands(before: Receipt, dataset: Store) -> bool:
    """Whether anything that a conversion wrote is still there."""
    parts = {part.key for part in before.parts}
    folders = {key.rpartition("/")[0] for key in parts}
    return any(entry.key in parts for folder in folders for entry in dataset.files(f"{folder}/"))


def _kept(before: Receipt, run: "_Run", shrunk: str) -> Receipt:
    """The receipt of a run that leaves what stands, since the source no longer holds all of it."""
    return msgspec.structs.replace(
        before, status="partial", kept=shrunk, quarantined=run.quarantined, converted_at=now()
    )


def _publish(
    run: "_Run", receipt: Receipt, before: Receipt | None, dataset: Store, state: Store
) -> bool:
    """Put the parts in place, remove what this unit owned before, and write the receipt.

    Returns:
        False when another unit has meanwhile put a record of this run into a partition: the run
        has to be repeated, and then replaces what this one may have put in place.
    """
    unit, settings = run.unit, run.settings
    new = {part.key for part in receipt.parts}
    noted = _noted_stragglers(before, state, unit)
    intent = state_key("intents", unit)
    if stragglers := {key for key in new if unit_of(key) != unit}:
        # should this run die, the next one finds what it had begun
        state.write(intent, msgspec.json.encode(sorted(noted | stragglers)))
    for target in sorted({unit, *(unit_of(key) or unit for key in new | noted)}):
        key = state_key("leases/partitions", target)
        with state.lease(key, settings.lease_wait_s, settings.lease_s) as lease:
            if run.standing.meets(target.day, run.duplicates.keys(target.day)):
                return False
            lease.check()
            run.staging.publish(sorted(key for key in new if unit_of(key) == target))
            entries = dataset.files(partition(target, settings.partition_layout))
            owned = {one.key for one in entries if owner_day(one.key, target.day) == unit.day}
            dataset.delete(sorted(owned - new))
    write_receipt(state, receipt)
    state.delete([intent])
    return True


def _noted_stragglers(before: Receipt | None, state: Store, unit: Unit) -> set[str]:
    """The parts of the unit in other partitions, as the last runs have noted them."""
    keys = {part.key for part in before.parts} if before else set()
    intent = state.read_if_there(state_key("intents", unit))
    if intent is not None:
        keys.update(msgspec.json.decode(intent, type=list[str]))
    return {key for key in keys if unit_of(key) != unit}


class _Run:
    """One pass over the log files of a unit, into parts that nobody sees yet."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        unit: Unit,
        source: Store,
        settings: Settings,
        files: list[LogFile],
        staging: Staging,
        standing: Standing,
    ) -> None:
        self.unit, self.settings = unit, settings
        self.staging, self.standing = staging, standing
        self.duplicates = Duplicates(self._read_again)
        self._source, self._files = source, files
        self._fingerprint = _fingerprint(files)
        self._own = PartsWriter(
            staging,
            settings,
            self._metadata(),
            lambda number: part_key(unit, number, settings.partition_layout),
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
            lambda number: straggler_key(target, self.unit.day, first + number, layout),
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
            "source_fingerprint": self._fingerprint,
            "settings": self.settings.shaping_json(),
        }
        return {METADATA_PREFIX + name: str(value) for name, value in facts.items()}

    @property
    def matters(self) -> bool:
        """Whether there is anything to tell: files of the unit's own day, rows, or bad files."""
        counts = self.collation.counts
        own_files = any(file.delivered.date() == self.unit.day for file in self._files)
        return bool(own_files or counts.written or self.quarantined)

    def shrunk_since(self, before: Receipt) -> str:
        """What an earlier run found in the source and this one did not, in words; else nothing."""
        if self.settings.replace_shrunk or before.folders != self.settings.folders:
            return ""
        missing = before.files.listed - len(self._files)
        if missing > 0:
            return f"{missing} of {before.files.listed} log files are gone from the source"
        unread = before.records.read - self.collation.counts.read
        if unread > 0:
            return f"{unread} of {before.records.read} records can no longer be read"
        return ""

    def receipt(self, seconds: float) -> Receipt:
        """The account of this run."""
        parts = self._own.parts + [
            part for parts in self._straggler_parts.values() for part in parts
        ]
        collation, settings, when = self.collation, self.settings, now()
        settled_from = settings.window.ends(self.unit.day) + timedelta(
            seconds=settings.settle_margin_s
        )
        return Receipt(
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
            source_fingerprint=self._fingerprint,
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
            unmapped=_largest(collation.columns.unmapped + self._inexact),
            derived=dict(collation.columns.derived),
            unstamped=[file.key for file in self._read if not file.stamped],
            quarantined=self.quarantined,
            discarded=dict(collation.discarded),
            redacted=dict(collation.redactor.counts),
        )


def _largest(names: Counter[str]) -> dict[str, int]:
    """The counts of the commonest names; hostile records may have any number of others."""
    return dict(names.most_common(_MAX_NAMES))


def _fingerprint(files: list[LogFile]) -> str:
    """A digest of the names and sizes of log files; names are unique, whatever their prefix."""
    digest = sha256()
    for name, size in sorted((file.key.rpartition("/")[2], file.size) for file in files):
        digest.update(f"{name}\0{size}\n".encode())
    return digest.hexdigest()
