"""One pass over the log files of a unit, into staged parts.

Everything is read, counted and staged here; `convert` has it published.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from itertools import chain
from typing import Any, Literal

import pyarrow as pa
from msgspec.structs import astuple, replace

from cloudtrail_parquet.conversion.addition import apart, first_number, name_in
from cloudtrail_parquet.conversion.collate import Collation
from cloudtrail_parquet.conversion.duplicates import Duplicates
from cloudtrail_parquet.conversion.task import Task
from cloudtrail_parquet.dataset.parts import footer_values, read_footer, says
from cloudtrail_parquet.dataset.writer import PartsWriter, in_background
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.envelopes.shapes import raw_records
from cloudtrail_parquet.errors import (
    ArchivedError,
    CloudTrailParquetError,
    StorageError,
    UnreadableLogError,
)
from cloudtrail_parquet.formats.gzip_text import LargeText
from cloudtrail_parquet.layout import Owner, Place, Unit, owner_of, part_key, straggler_key
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.source.fetch import Fetched, fetch, fetch_text
from cloudtrail_parquet.state.figures import (
    Files,
    Part,
    PlaceFigures,
    PlaceTable,
    Quarantined,
    Records,
    by_place,
    by_version,
    commonest,
    first_of,
    quarantined,
    unstamped_of,
)
from cloudtrail_parquet.state.identities import Identities
from cloudtrail_parquet.state.receipt import Made, R, Read, Receipt, Rows, receipt_of
from cloudtrail_parquet.storage import Staging

_LARGE_BYTES = 32 << 20
"""A log file with more JSON text is encoded at once, since its records keep the text alive."""


class Run:
    """One pass over the log files of a unit, into staged parts.

    Attributes:
        task: What is converted.
        staging: Holds the new parts.
        published: The parts that others have published.
        duplicates: The keys of the records that the run keeps.
        identities: The identities of its log files; for an addition those of all of the unit.
        quarantined: The log files and records that could not be read.
    """

    def __init__(self, task: Task[Any], staging: Staging) -> None:
        self.task, self.unit, self.staging = task, task.unit, staging
        self.published = task.published()
        self.duplicates = Duplicates(self._read_again, lambda number: self._read[number].place)
        known = task.addition.known if task.addition else None
        again = task.addition.again if task.addition else ()
        self.identities = Identities(known.counts.items() if known else ())
        for file in again:
            self.identities.forget(name_in(self.unit, file))
        self._counted = [file for file in task.files if file not in set(again)]
        self.quarantined: list[Quarantined] = []
        self._options = task.addition.options if task.addition else task.options
        self._layout = self._options.dataset.layout
        self._shard = task.addition.shard if task.addition else task.shard
        self._source, self._files = task.stores.source, task.files
        self._metadata = footer_values(task.unit.name, task.fingerprint, self._options.shaping_json)
        self._own = PartsWriter(
            staging,
            self._options.writer,
            self._metadata,
            lambda number: part_key(
                self.unit, self._first(self.unit) + number, self._layout, self._shard
            ),
        )
        self._straggler_parts: dict[date, list[Part]] = {}
        self._read: list[LogFile] = []
        self._text: bytes | LargeText | None = None  # of the last one, while its records are taken
        self._bytes_inflated = 0
        self._inexact: Counter[str] = Counter()

    def read(self) -> None:
        """Read all log files and write all parts, up to their footers."""
        with self._own, in_background(self._own.write) as write_own:
            self.collation = Collation(
                self.unit,
                self._options.dataset.window,
                self._options.rows,
                duplicates=self.duplicates,
                published=self.published,
                own=write_own,
                stragglers=self._write_stragglers,
            )
            for file, text in self._fetched():
                self._take(file, text)
                del text  # before the next one is fetched
            self.collation.finish()
        self._inexact += self._own.inexact
        self.quarantined += [
            quarantined(file.key, reason, position)
            for file, position, reason in self.collation.quarantined
        ]

    def _fetched(self) -> Iterable[tuple[LogFile, Fetched]]:
        if why := self.task.set_aside:
            return ((file, StorageError(why, file.key, "")) for file in self._files)
        return fetch(self._source, self._files, self._options.fetch)

    def _take(self, file: LogFile, text: Fetched) -> None:
        try:
            if isinstance(text, CloudTrailParquetError):
                raise text
            batches = decode(text, file.key)
        except ArchivedError:  # a partition without it would be replaced once it is restored
            raise
        except (StorageError, UnreadableLogError) as error:
            self.identities.add(name_in(self.unit, file), 0)
            retryable = isinstance(error, StorageError)
            reason = error.what if retryable else error.what_to_do
            self.quarantined.append(quarantined(file.key, reason, retryable=retryable))
            return
        self._read.append(file)
        self._bytes_inflated += len(text)
        self._text = text
        self.collation.begin(file)
        records = 0
        for batch in batches:
            self.collation.add(batch)
            records += len(batch.records)
        self.identities.add(name_in(self.unit, file), records)
        if len(text) > _LARGE_BYTES:
            self.collation.release_texts()
        self._text = None

    def _read_again(self, number: int) -> list[Any]:
        file = self._read[number]
        if self._text is not None and number == len(self._read) - 1:
            return raw_records(self._text, file.key)
        text = fetch_text(self._source, file, self._options.fetch.max_inflated_bytes)
        return raw_records(text, file.key)

    def _write_stragglers(self, day: date, table: pa.Table) -> None:
        parts = self._straggler_parts.setdefault(day, [])
        target = self.unit.on(day)
        first = self._first(target) + len(parts)
        writer = PartsWriter(
            self.staging,
            self._options.writer,
            self._metadata,
            lambda number: straggler_key(
                target, self.unit.day, first + number, self._layout, self._shard
            ),
        )
        with writer:
            writer.write(table)
        parts += writer.parts
        self._inexact += writer.inexact

    def _first(self, target: Unit) -> int:
        """The number of the first new part in a partition."""
        return first_number(target, self.task.addition.kept) if self.task.addition else 0

    def keep_apart(self) -> None:
        """Number the new parts so that at most one takes the place of one with other rows.

        Were there more, rows that are in another part by now would be missing until that is put; if
        the run is killed before, and their log files are gone, for good.
        """
        task = self.task
        before = task.last_receipt if task.notes.is_true else None
        digests = {part.key: part.sha256 for part in before.parts} if before else {}
        others = ((self.unit.on(day), parts) for day, parts in self._straggler_parts.items())
        for target, parts in [(self.unit, self._own.parts), *others]:
            if len(parts) > 1:
                there = self._there(target)
                names = apart(parts, there, digests, self._is_alike)
                self._rename(parts, names)

    def _there(self, target: Unit) -> list[str]:
        """The keys of the parts of the same owner that are in a partition."""
        is_own = target == self.unit
        entries = self.published.own(target.day) if is_own else self.task.entries(target.day)
        own = Owner(self.unit.day, self.task.shard)
        return [entry.key for entry in entries if owner_of(entry.key, target.day) == own]

    def _rename(self, parts: list[Part], names: list[str]) -> None:
        for number in reversed(range(len(parts))):  # the numbers of names are no lower
            part, name = parts[number], names[number]
            if name != part.key:
                self.staging.rename(part.key, name)
                parts[number] = replace(part, key=name)

    def _is_alike(self, key: str) -> bool:
        """Whether a part was made of the same log files in the same way."""
        try:
            return says(read_footer(self.task.stores.dataset, key), self._metadata)
        except StorageError:
            return False

    @property
    def parts(self) -> list[str]:
        """The keys of the new parts."""
        stragglers = (part for parts in self._straggler_parts.values() for part in parts)
        return [part.key for part in chain(self._own.parts, stragglers)]

    @property
    def has_findings(self) -> bool:
        """Whether the run has something to report: files of the unit's day, rows, or bad files."""
        own_files = any(file.delivered.date() == self.unit.day for file in self._files)
        written = self.collation.counts.written
        return bool(own_files or written or self.quarantined or self.task.unplaced)

    def receipt(self, seconds: float) -> Receipt:
        """The receipt of this run, for the unit or the shard."""
        stragglers = [part for parts in self._straggler_parts.values() for part in parts]
        receipt = receipt_of(
            self.unit,
            _made(self.task),
            self._read_facts(),
            self._rows(),
            self._own.parts + stragglers,
            is_complete=not self.quarantined and not self.task.refused,
            settled=self.task.is_settled,
            seconds=seconds,
            identities=self.identities.few,
        )
        own: Receipt = self.task.as_own(receipt)
        return own

    def _read_facts(self) -> Read:
        own_sizes = (file.size for file in self._counted if file.delivered.date() == self.unit.day)
        listed, read = len(self._counted), len(self._read)
        return Read(
            files=Files(listed=listed, read=read, quarantined=listed - read),
            bytes_in=sum(own_sizes),
            bytes_inflated=self._bytes_inflated,
            unstamped=unstamped_of(self._read),
            unplaced=self.task.unplaced,
            quarantined=first_of(self.quarantined),
        )

    def _rows(self) -> Rows:
        collation, columns = self.collation, self.collation.columns
        straggled = sorted(collation.straggled_to.items())
        versions = Counter({name or "": rows for name, rows in collation.versions.items()})
        return Rows(
            records=collation.counts,
            conflicts=self.duplicates.conflicts,
            stragglers={str(day): rows for day, rows in straggled if rows},
            versions=by_version(versions),
            unmapped=commonest(columns.unmapped_counts + self._inexact),
            derived=dict(columns.derived_counts),
            discarded=dict(collation.discarded),
            redacted=dict(collation.redactor.counts),
            places=self._places(),
        )

    def _places(self) -> PlaceTable:
        day, files, sizes = self.unit.day, Counter[Place](), Counter[Place]()
        for file in self._counted:
            files[file.place] += 1
            sizes[file.place] += file.size if file.delivered.date() == day else 0
        figures = {place: PlaceFigures("refused") for place in self.task.refused}
        state: Literal["read", "aside"] = "aside" if self.task.set_aside else "read"
        for place in files.keys() | self.collation.places.records.keys():
            records = self.collation.places.records.get(place, Records())
            fingerprint = self.task.fingerprints[place].short
            counts = astuple(records)
            figures[place] = PlaceFigures(state, files[place], sizes[place], counts, fingerprint)
        return by_place(figures)


def _made(task: Task[R]) -> Made:
    """How and when a run makes parts, for its receipt."""
    dataset = task.options.dataset
    return Made(
        converted_at=task.stores.now(),
        schema_version=SCHEMA_VERSION,
        lookbehind_s=dataset.window.lookbehind_s,
        lookahead_s=dataset.window.lookahead_s,
        folders=dataset.folders,
        source_fingerprint=task.fingerprint,
        settings=dict(task.options.shaping),
        run=task.run,
    )
