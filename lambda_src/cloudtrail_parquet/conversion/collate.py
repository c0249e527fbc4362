"""Collating the records of one unit: who owns them, which are repeated, and in what order they go.

Log files come place by place. Encoded rows wait until they fill a row group and a quarter more, in
rows or in bytes. Then those of the first places, and of the last of these the oldest by event time,
leave as one row group. So a row group is a slice of time of one place, or some small places; no
more than that is held in memory, and a record delivered later than its neighbours goes into a later
slice.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.conversion.duplicates import Duplicates
from cloudtrail_parquet.conversion.places import Places
from cloudtrail_parquet.conversion.published import PublishedParts, without_published
from cloudtrail_parquet.dataset.writer import order_by
from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.formats.eventtime import (
    DAY_US,
    day_of,
    day_start_us,
)
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.records.coerce import Unmapped
from cloudtrail_parquet.records.decode import Batch
from cloudtrail_parquet.records.event_times import event_times, has_time_text
from cloudtrail_parquet.records.keys import keys_of
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.to_arrow import INDEX, Columns
from cloudtrail_parquet.records.upgrade import incomplete, upgrade
from cloudtrail_parquet.settings.options import RowOptions
from cloudtrail_parquet.settings.rules import Discarder
from cloudtrail_parquet.state.figures import MAX_NAMES, Records

_PIECE_ROWS = 1024  # so many records are encoded as columns at a time
BORDER_ROWS = 8192  # a row group closes at an account's border: reading one reads less of others
_NO_TIME = "no eventTime"
_BAD_TIME = "eventTime is not a time"
_VERSION = attrgetter("eventVersion")
_SOURCE, _NAME = attrgetter("eventSource"), attrgetter("eventName")
_ADDRESS = attrgetter("sourceIPAddress")


@dataclass(slots=True)
class _Piece:
    """Records that wait to be encoded: parallel lists, and what is unmapped by their index."""

    records: list[Any]
    files: list[int]
    positions: list[int]
    unmapped: dict[int, Unmapped]

    def pick(self, rows: list[int]) -> "_Piece":
        return _Piece(
            [self.records[row] for row in rows],
            [self.files[row] for row in rows],
            [self.positions[row] for row in rows],
            {n: self.unmapped[row] for n, row in enumerate(rows) if row in self.unmapped},
        )


class Collation:
    """Takes the records of a unit's log files, place by place, and emits row groups.

    Attributes:
        places: The places of the log files, and what became of their records so far.
        versions: Records that the unit owns, including repeated ones, by eventVersion.
        straggled_to: Stragglers by the day they belong to.
        quarantined: (log file, index in its ``Records``, reason) of the first `MAX_NAMES`.
        discarded: Records that a rule discarded, by rule.
    """

    def __init__(  # noqa: PLR0913
        self,
        unit: Unit,
        window: Window,
        options: RowOptions,
        *,
        duplicates: Duplicates,
        published: PublishedParts,
        own: Callable[[pa.Table], None],
        stragglers: Callable[[date, pa.Table], None],
    ) -> None:
        """``own`` receives each row group; ``stragglers`` those of other days' partitions."""
        self.places = Places(unit, options.place_columns)
        self.versions: Counter[str | None] = Counter()
        self.straggled_to: Counter[date] = Counter()
        self.quarantined: list[tuple[LogFile, int, str]] = []
        self.redactor = Redactor(options.redact)
        self.columns = Columns(self.redactor)
        self.duplicates = duplicates
        self.discarded: Counter[str] = Counter()
        self._discarder = Discarder(options.discard) if options.discard else None
        self._unit = unit
        self._window, self._options = window, options
        self._published = published
        self._own, self._stragglers = own, stragglers
        self._enough_rows = options.group_rows * 5 // 4  # until some rows leave
        self._enough_bytes = options.group_bytes * 5 // 4
        self._start_us = day_start_us(unit.day)
        self._files: list[LogFile] = []
        self._piece = _Piece([], [], [], {})
        self._fresh: list[pa.RecordBatch] = []
        self._nothing: pa.Table = self.columns.encoded_schema.empty_table()
        self._waiting = self._nothing
        self._bytes = 0  # of the fresh and the waiting rows
        self._late: list[pa.RecordBatch] = []

    def begin(self, file: LogFile) -> None:
        """Begin the next log file, to which the following batches belong."""
        if self.places.is_border(file):
            self._end_account()
        self._files.append(file)
        self.places.begin(file)

    @property
    def counts(self) -> Records:
        """What became of the records so far."""
        return self.places.total

    def add(self, batch: Batch) -> None:
        """Take the next batch of the current log file."""
        number = len(self._files) - 1
        records = self.places.records_of(number)
        records.read += len(batch.records) + len(batch.rejected) + len(batch.skipped)
        for position, reason in batch.rejected:
            self._reject(number, position, reason)
        for _, reason in batch.skipped:
            if self._files[-1].delivered.date() == self._unit.day:
                records.discarded += 1
                self.discarded[reason] += 1
            else:
                records.elsewhere += 1
        piece, offset = self._piece, len(self._piece.records)
        piece.records += batch.records
        piece.positions += batch.positions
        piece.files += [number] * len(batch.records)
        piece.unmapped.update({offset + row: parts for row, parts in batch.unmapped.items()})
        if len(piece.records) >= _PIECE_ROWS:
            self._arrange()

    def release_texts(self) -> None:
        """Release the texts of the log files so far, which may be large."""
        self._arrange()
        self._drop_repeats()

    def finish(self) -> None:
        """Emit all rows that still wait, and check the counts."""
        self._arrange()
        self._emit_all()
        self._emit_stragglers()
        for place, records in self.places.records.items():
            records.check(f"{self._unit.name}, {place.account} {place.region}")

    def _end_account(self) -> None:
        fresh = sum(map(len, self._fresh)) + len(self._piece.records)
        if self._waiting.num_rows + fresh >= BORDER_ROWS:
            self._arrange()
            self._emit_all()

    def _emit_all(self) -> None:
        self._drop_repeats()
        while self._waiting.num_rows:
            self._emit()

    def _arrange(self) -> None:
        """Encode those records of the piece that this unit owns."""
        piece, self._piece = self._piece, _Piece([], [], [], {})
        if not piece.records:
            return
        times = event_times(piece.records, piece.unmapped)
        bounds = pc.min_max(times).as_py()
        inside = bounds["min"] is not None and times.null_count == 0
        if not (
            inside and self._start_us <= bounds["min"] and bounds["max"] < self._start_us + DAY_US
        ):
            own, late = self._split_by_owner(piece, times.to_pylist())
            if late:
                self._late.append(self._encode(piece.pick(late), times.take(pa.array(late, INDEX))))
            piece, times = piece.pick(own), times.take(pa.array(own, INDEX))
        if piece.records:
            self._fresh.append(self._encode(piece, times))
            self._bytes += self._fresh[-1].nbytes
        if self._is_enough(self._waiting.num_rows + sum(map(len, self._fresh))):
            self._drop_repeats()
            while self._is_enough(self._waiting.num_rows):
                self._emit()
        if sum(map(len, self._late)) >= self._options.group_rows:
            self._emit_stragglers()

    def _is_enough(self, rows: int) -> bool:
        """Whether enough rows or bytes wait for a row group to leave."""
        return rows >= self._enough_rows or (rows > 0 and self._bytes >= self._enough_bytes)

    def _split_by_owner(
        self, piece: _Piece, times: list[int | None]
    ) -> tuple[list[int], list[int]]:
        """Apply the ownership rule: (rows of this unit's day, stragglers that it owns)."""
        own, late = [], []
        window, unit_day = self._window, self._unit.day
        for row, time_us in enumerate(times):
            number = piece.files[row]
            file = self._files[number]
            if time_us is None:
                has_text = has_time_text(piece.unmapped.get(row, ()))
                self._reject(number, piece.positions[row], _BAD_TIME if has_text else _NO_TIME)
            elif self._start_us <= time_us < self._start_us + DAY_US:
                own.append(row)
            elif file.delivered.date() == unit_day and not window.holds(
                file.delivered, day_of(time_us)
            ):
                late.append(row)
            else:
                self.places.records_of(number).elsewhere += 1
        return own, late

    def _reject(self, number: int, position: int, reason: str) -> None:
        file, records = self._files[number], self.places.records_of(number)
        if file.delivered.date() == self._unit.day:
            records.quarantined += 1
            if len(self.quarantined) < MAX_NAMES:  # a file may have any number
                self.quarantined.append((file, position, reason))
        else:
            records.elsewhere += 1

    def _discard(self, piece: _Piece, times: pa.Array) -> tuple[_Piece, pa.Array]:
        """The records of a piece that no rule discards, with their times."""
        if self._discarder is None:
            return piece, times
        discarded = self._discarder.discarded(
            map(_SOURCE, piece.records), map(_NAME, piece.records), map(_ADDRESS, piece.records)
        )
        if not discarded:
            return piece, times
        self.discarded.update(discarded.values())
        for row in discarded:
            self.places.records_of(piece.files[row]).discarded += 1
        rest = [row for row in range(len(piece.records)) if row not in discarded]
        return piece.pick(rest), times.take(pa.array(rest, INDEX))

    def _encode(self, piece: _Piece, times: pa.Array) -> pa.RecordBatch:
        piece, times = self._discard(piece, times)
        keys = self.places.salted(keys_of(piece.records, times), piece.files)
        derived = {}
        for row in incomplete(piece.records):
            names = upgrade(piece.records[row], *self.places.of(piece.files[row]))
            if names:
                derived[row] = names
        self.versions.update(map(_VERSION, piece.records))
        positions = [
            keys,
            pa.array(piece.files, INDEX),
            pa.array(piece.positions, INDEX),
        ]
        return self.columns.encode(piece.records, times, piece.unmapped, derived, positions)

    def _drop_repeats(self) -> None:
        """Move the fresh rows to the waiting ones, without those that repeat others."""
        if self._fresh:
            encoded = self._without_repeats(pa.Table.from_batches(self._fresh), self._unit.day)
            self._waiting = pa.concat_tables([self._waiting, encoded])
            self._fresh = []
            self.duplicates.forget(self._unit.day, self.places.first_file)

    def _without_repeats(self, encoded: pa.Table, day: date) -> pa.Table:
        first = self.duplicates.first_only(encoded, day)
        keys, times = (first[name].combine_chunks() for name in ("#key", "eventTime"))
        contents = self._published.contents(day, keys, times, self.places.bounds(first))
        if contents:
            first = without_published(first, contents, self._materialize)
        if first.num_rows < encoded.num_rows:
            for records, rows in self.places.counts(encoded):
                records.duplicate += rows
            for records, rows in self.places.counts(first):
                records.duplicate -= rows
        return first

    def _emit(self) -> None:
        """Emit the first waiting rows, by place and event time, as one row group."""
        order = self.places.in_order(self._waiting)  # stable: ties stay in delivery order
        rows = min(len(order), self._options.group_rows)
        table = self._row_group(self._waiting, order[:rows])
        while table.nbytes > self._options.group_bytes and rows > 1:
            rows = max(1, min(rows - 1, rows * self._options.group_bytes // table.nbytes))
            table = self._row_group(self._waiting, order[:rows])
        self._own(table)
        rest = order[rows:]
        gone = self._waiting.select(["#file"]).take(order[:rows])
        for records, count in self.places.counts(gone):
            records.written += count
        in_turn = rest.take(pc.sort_indices(rest))
        self._waiting = self._waiting.take(in_turn) if len(rest) else self._nothing
        self._bytes = self._waiting.nbytes
        self.columns.forget(
            [self._waiting, pa.Table.from_batches(self._late, self.columns.encoded_schema)]
        )

    def _emit_stragglers(self) -> None:
        if not self._late:
            return
        encoded = pa.Table.from_batches(self._late)
        self._late = []
        days = [day_of(time_us) for time_us in encoded["eventTime"].cast(pa.int64()).to_pylist()]
        for day in sorted(set(days)):
            late = encoded.filter(pa.array([row_day == day for row_day in days]))
            late = self._without_repeats(late, day)
            if late.num_rows:
                self._stragglers(day, self._row_group(late, self.places.in_order(late)))
                for records, count in self.places.counts(late):
                    records.straggled += count
            self.straggled_to[day] += late.num_rows

    def _row_group(self, encoded: pa.Table, rows: pa.Array) -> pa.Table:
        """The materialized columns of some rows: by place, then clustered as the settings say."""
        names = self._options.sort_by
        if not names:
            return self._materialize(encoded.take(rows))
        keys = {name: self.columns.sort_key(encoded, name).take(rows) for name in names}
        if self._options.place_columns:
            keys = {"#place": self.places.numbers(encoded).take(rows), **keys}
        return self._materialize(encoded.take(rows.take(order_by(pa.table(keys)))))

    def _materialize(self, encoded: pa.Table) -> pa.Table:
        return self.places.with_columns(self.columns.materialize(encoded), encoded)
