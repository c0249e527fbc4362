"""Inspecting a dataset, or one part of it, by the footers alone."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.parts import no_parts
from cloudtrail_parquet.dataset.places import Range, ranges_of
from cloudtrail_parquet.dataset.reports import (
    Column,
    DatasetReport,
    PartReport,
    RowGroup,
    Size,
    Stragglers,
)
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Unit, owner_day, unit_of
from cloudtrail_parquet.schema.columns import METADATA_PREFIX
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import (
    Entry,
    ReadStore,
    check_spelling,
    local_path,
    open_existing,
    open_store,
)

DEFAULTS = Settings().shaping()

_TIME = "eventTime"
_FOOTERS_AT_A_TIME = 16  # each is a few small requests that wait for the store
_OF_ONE_UNIT = {"owner", "source_fingerprint"}  # differ in each unit, so a sum says nothing
_HINT = (
    "Name the folder of a dataset or one of its .parquet files; convert its day again if damaged"
)


def inspect_location(
    location: str, today: Mapping[str, Any] = DEFAULTS
) -> PartReport | DatasetReport:
    """Look at a Parquet file or at a whole dataset, on a disk or in an object store.

    Args:
        location: A path or URI.
        today: The current settings that files depend on, by name, to compare with.

    Raises:
        UsageError: There is neither; says what to name instead.
    """
    check_spelling(location)
    path = local_path(location) or Path(location)
    if path.is_dir() or not (path.is_file() or location.endswith(".parquet")):
        return inspect_dataset(open_existing(location, "place"), today)
    if local_path(location):
        return inspect_part(path, None, today)
    folder, _, name = location.rpartition("/")
    return _inspect_opened(lambda: open_store(folder).open(name), location, today)


def inspect_part(
    source: str | Path | BinaryIO, name: str | None = None, today: Mapping[str, Any] = DEFAULTS
) -> PartReport:
    """Read the footer of a Parquet file, whoever has written it.

    Args:
        source: A path, or a file that can seek.
        name: Its name in the report; by default its path.
        today: The current settings that files depend on, by name, to compare with.

    Raises:
        UsageError: It cannot be read as Parquet.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return _inspect_opened(lambda: path.open("rb"), name or str(source), today)
    name = name or str(getattr(source, "name", "-"))
    return _inspect_opened(lambda: nullcontext(source), name, today)


def inspect_dataset(store: ReadStore, today: Mapping[str, Any] = DEFAULTS) -> DatasetReport:
    """Read the footers of all parts of a dataset.

    ``today`` has the current settings that files depend on, by name, to compare with.

    Raises:
        UsageError: There are no parts, or one cannot be read as Parquet.
    """
    strangers: list[str] = []
    parts = list(_parts(store, strangers))
    if not parts:
        raise no_parts(store)
    with ThreadPoolExecutor(_FOOTERS_AT_A_TIME, thread_name_prefix="footer") as threads:
        reports = threads.map(lambda part: _inspect_stored(store, part[0].key, today), parts)
        total = _Sum()
        for (entry, unit), report in zip(parts, reports, strict=True):
            total.add(report, straggler=owner_day(entry.key, unit.day) not in {None, unit.day})
    units = [unit for _, unit in parts]
    return DatasetReport(
        uri=store.uri,
        parts=len(parts),
        rows=total.rows,
        bytes=sum(entry.size for entry, _ in parts),
        accounts=tuple(sorted({unit.account for unit in units} - {""})),
        regions=tuple(sorted({unit.region for unit in units} - {""})),
        ranges=dict(sorted(total.ranges.items())),
        first_day=min(unit.day for unit in units),
        last_day=max(unit.day for unit in units),
        stragglers=Stragglers(parts=total.straggler_parts, rows=total.straggler_rows),
        columns=total.columns(),
        schema_versions=dict(sorted(total.schema_versions.items())),
        settings={name: dict(sorted(values.items())) for name, values in total.settings.items()},
        changed=dict(sorted(total.changed.items())),
        strangers=tuple(strangers),
    )


def _parts(store: ReadStore, strangers: list[str]) -> Iterator[tuple[Entry, Unit]]:
    """Yield the parts with their units; adds all other keys to ``strangers``."""
    for entry in store.files(""):
        unit = unit_of(entry.key)
        if unit is None:
            strangers.append(entry.key)
        else:
            yield entry, unit


class _Sum:
    """The totals over the parts of a dataset."""

    def __init__(self) -> None:
        self.rows = self.straggler_parts = self.straggler_rows = 0
        self.schema_versions: Counter[str] = Counter()
        self.settings: dict[str, Counter[str]] = defaultdict(Counter)
        self.changed: dict[str, str] = {}
        self.ranges: dict[str, Range] = {}
        self._compressed: Counter[str] = Counter()
        self._uncompressed: Counter[str] = Counter()

    def add(self, part: PartReport, *, straggler: bool) -> None:
        self.rows += part.rows
        if straggler:
            self.straggler_parts += 1
            self.straggler_rows += part.rows
        for column in part.columns:
            self._compressed[column.name] += column.compressed_bytes
            self._uncompressed[column.name] += column.uncompressed_bytes
        metadata = dict(part.metadata)
        self.schema_versions[metadata.pop("schema_version", "")] += 1
        for name, value in sorted((metadata | part.settings).items()):
            if name not in _OF_ONE_UNIT:
                self.settings[name][value] += 1
        self.changed |= part.changed
        for group in part.row_groups:
            for name, range_ in group.ranges.items():
                self.ranges[name] = range_ | self.ranges.get(name, range_)

    def columns(self) -> tuple[Size, ...]:
        return tuple(
            Size(name=name, compressed_bytes=size, uncompressed_bytes=self._uncompressed[name])
            for name, size in self._compressed.items()
        )


def _inspect_stored(store: ReadStore, key: str, today: Mapping[str, Any]) -> PartReport:
    return _inspect_opened(lambda: store.open(key), f"{store.uri}/{key}", today)


def _inspect_opened(
    open_file: Callable[[], AbstractContextManager[BinaryIO]], name: str, today: Mapping[str, Any]
) -> PartReport:
    try:
        with open_file() as file:
            size = file.seek(0, SEEK_END)
            return _part_report(name, size, pq.read_metadata(file), today)
    except StorageError as error:
        raise UsageError(error.what, name, _HINT) from error
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise UsageError(f"cannot be read as Parquet ({reason})", name, _HINT) from error


def _part_report(
    name: str, size: int, footer: pq.FileMetaData, today: Mapping[str, Any]
) -> PartReport:
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    sorted_by = {tuple(_sorted_by(group, paths)) for group in groups}
    metadata = _our_metadata(footer.metadata or {})
    used = _texts(_json_object(metadata.pop("settings", "{}")))
    return PartReport(
        name=name,
        rows=footer.num_rows,
        bytes=size,
        row_groups=tuple(_row_group(group, paths) for group in groups),
        sorted_by=sorted_by.pop() if len(sorted_by) == 1 else (),
        columns=tuple(
            _column(path, [group.column(number) for group in groups])
            for number, path in enumerate(paths)
        ),
        metadata=metadata,
        settings=used,
        changed={name: value for name, value in _texts(today).items() if used.get(name) != value},
    )


def _our_metadata(metadata: dict[bytes, bytes]) -> dict[str, str]:
    """What the converter has written into a footer, by name."""
    texts = {key.decode(errors="replace"): value for key, value in metadata.items()}
    return {
        key.removeprefix(METADATA_PREFIX): texts[key].decode(errors="replace")
        for key in sorted(texts)
        if key.startswith(METADATA_PREFIX)
    }


def _json_object(text: str) -> dict[str, Any]:
    """The members of a JSON object; empty for other text."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text: what is not text, as JSON."""
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in values.items()
    }


def _sorted_by(group: pq.RowGroupMetaData, paths: list[str]) -> Iterator[str]:
    for column in group.sorting_columns:
        yield paths[column.column_index] + (" descending" if column.descending else "")


def _row_group(group: pq.RowGroupMetaData, paths: list[str]) -> RowGroup:
    chunks = [group.column(number) for number in range(group.num_columns)]
    first, last = _times(chunks[paths.index(_TIME)]) if _TIME in paths else (None, None)
    return RowGroup(
        rows=group.num_rows,
        bytes=sum(chunk.total_compressed_size for chunk in chunks),
        first=first,
        last=last,
        ranges=ranges_of(group),
    )


def _times(chunk: pq.ColumnChunkMetaData) -> tuple[datetime | None, datetime | None]:
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, datetime):
        return None, None
    return statistics.min, statistics.max


def _column(name: str, chunks: Iterable[pq.ColumnChunkMetaData]) -> Column:
    chunks = list(chunks)
    return Column(
        name=name,
        compressed_bytes=sum(chunk.total_compressed_size for chunk in chunks),
        uncompressed_bytes=sum(chunk.total_uncompressed_size for chunk in chunks),
        codec="+".join(sorted({chunk.compression for chunk in chunks})),
        encodings=tuple(sorted({encoding for chunk in chunks for encoding in chunk.encodings})),
        statistics=_are_all(chunk.is_stats_set for chunk in chunks),
        bloom_filter=_are_all(chunk.bloom_filter_offset is not None for chunk in chunks),
        column_index=_are_all(chunk.has_column_index for chunk in chunks),
    )


def _are_all(answers: Iterable[bool]) -> bool:
    """Whether there are answers, and all of them are yes."""
    return set(answers) == {True}
