"""Exporting the records of a dataset as CloudTrail delivered them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from io import BytesIO
from typing import NamedTuple, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.json_lines import on_one_line, restore_texts
from cloudtrail_parquet.dataset.parts import no_parts, readable
from cloudtrail_parquet.dataset.places import Names, are_wanted, batches_of, places_in
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Place, Unit, is_part, unit_of
from cloudtrail_parquet.records.json_columns import file_schema
from cloudtrail_parquet.schema.columns import JsonEncoding, leaves
from cloudtrail_parquet.source.discover import check_known
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.together import ahead, at_a_time

_BATCH_ROWS = 2048  # twice as many need 60 MiB more, and hardly less CPU
_BATCH_BYTES = 16 << 20
"""A batch of more is taken in smaller ones, since its texts need several times as much."""

_SMALL_BYTES = 4 << 20
"""A part that is not larger is read whole from a bucket, several at a time."""

_KNOWN = frozenset(
    path for encoding in get_args(JsonEncoding) for path, _ in leaves(file_schema(encoding))
).union(Place._fields)


class PartRows(NamedTuple):
    """Some rows of a part, in its order; at most so many that their texts fit into memory.

    Attributes:
        entry: The part.
        footer: Its footer.
        batch: The rows.
    """

    entry: Entry
    footer: pq.FileMetaData
    batch: pa.RecordBatch


class PartTexts(NamedTuple):
    """The records of some rows of a part.

    Attributes:
        rows: The rows.
        texts: A JSON text for each, string.
    """

    rows: PartRows
    texts: pa.Array


class ExportedParts(NamedTuple):
    """The parts with the records that are exported.

    Attributes:
        dataset: Holds them.
        entries: They, sorted by key.
        columns: Of their rows only those with these values are wanted.
        others: How many Parquet files beside them are left out, since no conversion wrote them.
    """

    dataset: ReadStore
    entries: list[Entry]
    columns: Names
    others: int = 0

    def rows(self) -> Iterator[PartRows]:
        """All rows, part by part.

        Raises:
            StorageError: A part is damaged; the rows before the damage have been given.
            UsageError: A part has a column that this version does not know.
        """
        fetched = ahead(self._fetched, self.entries, at_a_time(self.dataset.parallel))
        for entry, data in zip(self.entries, fetched, strict=True):
            with _opened(self.dataset, entry.key, data) as part:
                for batch in batches_of(part, self.columns, _BATCH_ROWS):
                    for piece in _pieces(batch):
                        yield PartRows(entry, part.metadata, piece)

    def _fetched(self, entry: Entry) -> bytes | None:
        """The bytes of a small part, which a bucket gives while others are read; else None."""
        is_small = entry.size <= _SMALL_BYTES and not self.columns
        return self.dataset.read(entry.key) if self.dataset.parallel > 1 and is_small else None

    def texts(self, threads: int) -> Iterator[PartTexts]:
        """All records, in the order of the rows; free-form text may have line ends.

        Args:
            threads: How many batches are restored at a time.

        Raises:
            StorageError, UsageError: As `rows` does.
        """
        return ahead(self._restored, self.rows(), threads)

    def lines(self, threads: int) -> Iterator[PartTexts]:
        """All records, likewise, each on one line: with spaces in place of line ends."""
        for rows, texts in self.texts(threads):
            yield PartTexts(rows, on_one_line(texts))

    def _restored(self, rows: PartRows) -> PartTexts:
        with readable(self.dataset, rows.entry.key):
            return PartTexts(rows, restore_texts(rows.batch))


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    half = len(batch) // 2
    if half and batch.nbytes > _BATCH_BYTES:
        yield from _pieces(batch.slice(0, half))
        yield from _pieces(batch.slice(half))
    elif len(batch):
        yield batch


def export_records(  # noqa: PLR0913, PLR0917
    dataset: ReadStore,
    first: date = date.min,
    last: date = date.max,
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
    threads: int = 1,
) -> Iterator[str]:
    """Each record of some days, accounts and regions as JSON text, partition by partition.

    Args:
        dataset: Holds the partitions.
        first: The first day of event times.
        last: The last day of event times.
        accounts: Accounts, each of which must have records; by default all.
        regions: Regions, likewise.
        threads: How many threads make the texts.

    Returns:
        Texts without line ends. One of a part that is damaged is a `StorageError`; the records
        before the damage have been given.

    Raises:
        UsageError: Nothing is there of what is asked for, or not of each account and region; lists
            those that are there.
        StorageError: A part is damaged in which accounts or regions were looked for.
    """
    parts = parts_to_export(dataset, first, last, accounts, regions)
    return (text for some in parts.lines(threads) for text in some.texts.to_pylist())


def parts_to_export(
    dataset: ReadStore,
    first: date = date.min,
    last: date = date.max,
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> ExportedParts:
    """The parts with the records of some days, accounts and regions; see `export_records`."""
    names = {"account": frozenset(accounts), "region": frozenset(regions)}
    there = _There({name: set() for name in names}, set())
    entries, others = list[Entry](), 0
    for entry in dataset.files(""):
        unit = unit_of(entry.key)
        if unit is not None:
            is_wanted = first <= unit.day <= last and _may_hold(unit, names)
            if not is_part(entry.key):
                others += is_wanted
                continue
            there.add(unit)
            if is_wanted:
                entries.append(entry)
    if not there.days:
        raise no_parts(dataset)
    columns = {name: wanted for name, wanted in names.items() if wanted and not there.names[name]}
    for name, wanted in names.items():
        if name not in columns:
            check_known(name, wanted, there.names[name], dataset.uri)
    if not entries:
        what = "no partitions of the accounts, regions and days asked for"
        raise UsageError(what, dataset.uri, f"There are: {there}")
    if columns:
        _check_columns(dataset, entries, columns)
    return ExportedParts(dataset, entries, columns, others)


class _There(NamedTuple):
    """What the folders of a dataset name: accounts and regions, unless they are columns; days."""

    names: dict[str, set[str]]
    days: set[date]

    def add(self, unit: Unit) -> None:
        self.days.add(unit.day)
        for name, known in self.names.items():
            if value := getattr(unit, name):
                known.add(value)

    def __str__(self) -> str:
        names = [f"{name}s {listed(known)}" for name, known in self.names.items() if known]
        return "; ".join([*names, f"days from {min(self.days)} to {max(self.days)}"])


def _may_hold(unit: Unit, names: Names) -> bool:
    """Whether a unit is of wanted accounts and regions, as far as it names its own."""
    return all(not wanted or getattr(unit, name) in {"", *wanted} for name, wanted in names.items())


def _check_columns(dataset: ReadStore, entries: Iterable[Entry], columns: Names) -> None:
    """Make sure that there are rows of each account and region, and some of both.

    Reads these columns only, and only until all are found.
    """
    there = {name: set[str]() for name in columns}
    found = False
    for entry in entries:
        with _opened(dataset, entry.key) as part:
            for rows in places_in(part, columns):
                found = found or pc.any(are_wanted(rows, columns)).as_py()
                for name, values in there.items():
                    values.update(rows.column(name).unique().to_pylist())
                if found and all(wanted <= there[name] for name, wanted in columns.items()):
                    return
    for name, wanted in columns.items():
        check_known(name, wanted, there[name], dataset.uri)
    what = "no records of the accounts and regions asked for"
    raise UsageError(what, dataset.uri, "Each has some, but not together: ask for one of them")


@contextmanager
def _opened(dataset: ReadStore, key: str, data: bytes | None = None) -> Iterator[pq.ParquetFile]:
    """A part, whose bytes may have been read already."""
    with readable(dataset, key), dataset.open(key) if data is None else BytesIO(data) as file:
        part = pq.ParquetFile(file, page_checksum_verification=True)
        paths = {part.schema.column(number).path for number in range(len(part.schema))}
        if unknown := paths - _KNOWN:
            what = f"it has columns that this version does not know: {listed(unknown)}"
            hint = "Export it with the version that has converted it, or a newer one"
            raise UsageError(what, f"{dataset.uri}/{key}", hint)
        yield part
