"""What an inspection reports about a dataset, or about one part of it."""

from datetime import date, datetime
from typing import Any

import msgspec


class RowGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One row group.

    Attributes:
        rows: Its rows.
        bytes: Its pages as stored.
        first: The earliest ``eventTime`` by its statistics; None when they do not say.
        last: The latest.
    """

    rows: int
    bytes: int
    first: datetime | None
    last: datetime | None


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a leaf column takes: its pages as stored, and before compression."""

    name: str
    compressed_bytes: int
    uncompressed_bytes: int


class Column(Size, frozen=True, kw_only=True):
    """One leaf column of a part, over all its row groups.

    Attributes:
        codec: The compression; several, with ``+`` between them, when row groups differ.
        encodings: The encodings of its pages, sorted.
        statistics: Whether every row group has statistics.
        bloom_filter: Whether every row group has a bloom filter.
        column_index: Whether every row group has statistics for each page.
    """

    codec: str
    encodings: tuple[str, ...]
    statistics: bool
    bloom_filter: bool
    column_index: bool


class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file.

    Attributes:
        name: The file.
        rows: Its rows.
        bytes: Its size.
        row_groups: Its row groups in file order.
        sorted_by: The leaves by which the rows of each row group are declared to be sorted;
            empty when row groups differ.
        columns: Its leaf columns in file order.
        metadata: What its footer says about its making, without `METADATA_PREFIX` and settings.
        settings: The settings that it was written with, by name; lists and the like as JSON.
        changed: The settings of today that differ from these.
    """

    name: str
    rows: int
    bytes: int
    row_groups: tuple[RowGroup, ...]
    sorted_by: tuple[str, ...]
    columns: tuple[Column, ...]
    metadata: dict[str, str]
    settings: dict[str, str]
    changed: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins


class Stragglers(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of records that were delivered on another day, and their rows."""

    parts: int
    rows: int


class DatasetReport(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a dataset.

    Attributes:
        uri: The dataset.
        parts: How many parts it has.
        rows: Their rows.
        bytes: Their sizes.
        accounts: Accounts with parts, sorted.
        regions: Regions with parts, sorted.
        first_day: The first day with a part.
        last_day: The last day with a part.
        stragglers: How many of the parts and rows are stragglers'.
        columns: Sizes of the leaf columns over all parts.
        schema_versions: Parts by `schema.SCHEMA_VERSION`, "" where a footer does not say.
        settings: Parts by value of each setting and each further thing that footers say about
            their making; lists and the like as JSON.
        changed: The settings of today from which some part differs.
        strangers: Keys of objects that are no parts, or lie in no partition; readers trip over
            them.
    """

    uri: str
    parts: int
    rows: int
    bytes: int
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    first_day: date
    last_day: date
    stragglers: Stragglers
    columns: tuple[Size, ...]
    schema_versions: dict[str, int]
    settings: dict[str, dict[str, int]]
    changed: dict[str, str]
    strangers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins
