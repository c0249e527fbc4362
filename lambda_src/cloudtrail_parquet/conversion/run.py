"""A conversion up to where it shows: what there is to do, and one pass over the log files.

Everything is read, counted and written into parts that nobody sees yet; `convert` puts them in
place.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from cloudtrail_parquet import __version__
from cloudtrail_parquet.conversion.collate import Collation
from cloudtrail_parquet.conversion.duplicates import Duplicates
from cloudtrail_parquet.conversion.guard import is_of
from cloudtrail_parquet.conversion.published import PublishedParts
from cloudtrail_parquet.dataset.writer import PartsWriter, in_background
from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError, UnreadableLogError
from cloudtrail_parquet.layout import (
    WHOLE,
    LogFile,
    Shard,
    Unit,
    owner_of,
    part_key,
    partition,
    straggler_key,
)
from cloudtrail_parquet.records.decode import decode, raw_records
from cloudtrail_parquet.schema.columns import METADATA_PREFIX, RECORD_VERSION, SCHEMA_VERSION
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.fetch import Fetched, fetch, fetch_text
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.source.unplaced import Misplaced, Unplaced
from cloudtrail_parquet.state.identities import Fingerprint, Identities
from cloudtrail_parquet.state.notes import Notes, read_notes, read_shard_notes, shard_notes
from cloudtrail_parquet.state.receipt import (
    Files,
    Part,
    Quarantined,
    Receipt,
    ShardReceipt,
    commonest,
    first_of,
    quarantined,
    unstamped_of,
)
from cloudtrail_parquet.storage import Entry, Staging, Stores

_LARGE_BYTES = 32 << 20
"""Of JSON text, which records hold on to until they have become columns."""


class Task(NamedTuple):
    """What is to be converted, and what there was before.

    Attributes:
        unit: What to convert.
        shard: Which of its log files.
        window: All log files of the unit, in delivery order.
        files: Those of them that are to be read.
        fingerprint: Of the names and sizes of them all.
        noted: What the state says of the unit, or of the shard.
        stores: Where everything is.
        settings: How to do it.
        run: The name of this run.
        unplaced: Log files of no bytes in the folders of its day.
    """

    unit: Unit
    shard: Shard
    window: list[LogFile]
    files: list[LogFile]
    fingerprint: str
    noted: Notes[Any]
    stores: Stores
    settings: Settings
    run: str
    unplaced: list[Misplaced]

    @classmethod
    def of(
        cls, unit: Unit, trails: Iterable[str], stores: Stores, settings: Settings, shard: Shard
    ) -> "Task":
        """Look what there is to do."""
        empty = Unplaced()
        window = window_files(stores.source, trails, unit, settings.window, empty)
        fingerprint = Fingerprint()
        for file in window:
            fingerprint.add(file.key, file.size)
        task = cls(
            unit,
            shard,
            window,
            [file for file in window if settings.window.takes(shard, file, unit.day)],
            str(fingerprint),
            Notes(),
            stores,
            settings,
            uuid4().hex,
            empty.folders,
        )
        return task._replace(noted=task.look_up())

    def look_up(self) -> Notes[Any]:
        """What the state says of the unit, or of the shard."""
        if self.shard == WHOLE:
            return read_notes(self.stores.state, self.unit)
        return read_shard_notes(self.stores.state, self.unit, self.shard)

    @property
    def before(self) -> Receipt | None:
        """The last receipt, of the unit or of the shard, if it can be read."""
        receipt: Receipt | None = self.noted.receipt
        return receipt

    @property
    def is_void(self) -> bool:
        """Whether there is nothing to convert and never was."""
        if self.window or self.unplaced or not self.noted.is_void:
            return False
        if self.shard == WHOLE:
            return not shard_notes(self.stores.state, self.unit) and not self.has_parts
        return read_notes(self.stores.state, self.unit).is_void

    @property
    def has_parts(self) -> bool:
        """Whether there are parts of the unit in its partition, whatever the state says."""
        day = self.unit.day
        owners = (owner_of(entry.key, day) for entry in self.entries(day))
        return any(is_of(self.unit, owner, self.goes) for owner in owners)

    def goes(self, shard: Shard) -> bool:
        """Whether the parts of a shard of the unit are replaced."""
        return self.shard in {WHOLE, shard}

    @property
    def is_settled(self) -> bool:
        """Whether the window has passed, with a margin, so that the result is final."""
        margin = timedelta(seconds=self.settings.settle_margin_s)
        return self.stores.now() - margin >= self.settings.window.ends(self.unit.day)

    def entries(self, day: date) -> list[Entry]:
        """The parts of a day's partition."""
        folder = partition(self.unit.on(day), self.settings.partition_layout)
        return list(self.stores.dataset.files(folder))

    def published(self) -> PublishedParts:
        """What stands already, to leave out what repeats it.

        Where a smaller source may replace more, a record must not be left out for one that is
        about to go: what other shards have made of another source does not count then.
        """
        split = self.shard != WHOLE and self.settings.replace_shrunk
        return PublishedParts(
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


class Run:
    """One pass over the log files of a unit, into parts that nobody sees yet."""

    def __init__(self, task: Task, staging: Staging) -> None:
        self.task, self.unit, self.settings = task, task.unit, task.settings
        self.staging = staging
        self.published = task.published()
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
        self.identities = Identities()
        self._read: list[LogFile] = []
        self._text: bytes | None = None  # of the last of them, while its records are taken
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
                published=self.published,
                own=write_own,
                stragglers=self._write_stragglers,
            )
            for file, text in fetch(self._source, self._files, self.settings):
                self._take(file, text)
                del text  # before there is another one
            self.collation.finish()
        self._inexact += self._own.inexact
        self.quarantined += [
            quarantined(file.key, reason, position)
            for file, position, reason in self.collation.quarantined
        ]

    def note_again(self) -> None:
        """Read again what the state says, which may have changed since.

        Only of use under the unit's lease.
        """
        self.task = self.task._replace(noted=self.task.look_up())

    def _take(self, file: LogFile, text: Fetched) -> None:
        try:
            if isinstance(text, CloudTrailParquetError):
                raise text
            batches = decode(text, file.key)
        except (StorageError, UnreadableLogError) as error:
            self.identities.add(file.key, 0)
            retryable = isinstance(error, StorageError)
            self.quarantined.append(quarantined(file.key, error.what, retryable=retryable))
            return
        self._read.append(file)
        self._bytes_inflated += len(text)
        self._text = text
        self.collation.begin(file)
        records = 0
        for batch in batches:
            self.collation.add(batch)
            records += len(batch.records)
        self.identities.add(file.key, records)
        if len(text) > _LARGE_BYTES:
            self.collation.let_go()
        self._text = None

    def _read_again(self, number: int) -> list[Any]:
        file = self._read[number]
        if self._text is not None and number == len(self._read) - 1:
            return raw_records(self._text, file.key)
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
        unplaced = self.task.unplaced
        return bool(own_files or counts.written or self.quarantined or unplaced)

    def receipt(self, seconds: float) -> Receipt:
        """The account of this run."""
        parts = self._own.parts + [
            part for parts in self._straggler_parts.values() for part in parts
        ]
        collation, settings = self.collation, self.settings
        versions = Counter({name or "": rows for name, rows in collation.versions.items()})
        receipt = Receipt(
            account=self.unit.account,
            region=self.unit.region,
            day=self.unit.day,
            status="partial" if self.quarantined else "complete",
            settled=self.task.is_settled,
            converted_at=self.task.stores.now(),
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
            records=collation.counts,
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
            versions=dict(sorted(commonest(versions).items())),
            unmapped=commonest(collation.columns.unmapped_counts + self._inexact),
            derived=dict(collation.columns.derived_counts),
            unstamped=unstamped_of(self._read),
            unplaced=self.task.unplaced,
            quarantined=first_of(self.quarantined),
            discarded=dict(collation.discarded),
            redacted=dict(collation.redactor.counts),
            settings=settings.shaping(),
            run=self.task.run,
        )
        return self.as_whose(receipt)

    def as_whose(self, receipt: Receipt) -> Receipt:
        """A receipt as that of what is converted: of the unit, or of the shard."""
        shard = self.task.shard
        if shard == WHOLE:
            return receipt
        return ShardReceipt(
            **{name: getattr(receipt, name) for name in Receipt.__struct_fields__},
            number=shard.number,
            of=shard.of,
            seen=self.task.seen,
        )
