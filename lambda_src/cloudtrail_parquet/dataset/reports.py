"""The reports of an inspection: about a dataset, or about one part of it."""

from datetime import date, datetime
from typing import Any

import msgspec

from cloudtrail_parquet.dataset.places import Range


class RowGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A row group.

    Attributes:
        bytes: The size of its pages as stored.
        first: The earliest ``eventTime`` by its statistics; None if they do not say.
        last: The latest ``eventTime``, likewise.
        ranges: Of ``account`` and ``region``, as far as they are columns, the least and the
            greatest value by its statistics.
    """

    rows: int
    bytes: int
    first: datetime | None
    last: datetime | None
    ranges: dict[str, Range]


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a leaf column's pages, as stored and before compression."""

    name: str
    compressed_bytes: int
    uncompressed_bytes: int


class Column(Size, frozen=True, kw_only=True):
    """A leaf column of a part, over all its row groups.

    Attributes:
        codec: Its compression; several joined by ``+`` if row groups differ.
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
    """A Parquet file.

    Attributes:
        bytes: The size of the file.
        row_groups: In file order.
        sorted_by: The leaves by which the rows of each row group are declared to be sorted;
            empty if row groups differ.
        columns: Leaf columns in file order.
        metadata: What its footer says about how it was made, without `METADATA_PREFIX` and
            settings.
        settings: The settings that it was written with, by name; lists and the like as JSON.
        changed: The current settings that differ from these.
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
    """Totals of the parts whose records were delivered on another day."""

    parts: int
    rows: int


class DatasetReport(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a dataset.

    Attributes:
        parts: The number of its parts; ``rows`` and ``bytes`` are their sums.
        accounts: Accounts with parts, sorted; empty if they are a column.
        regions: Regions with parts, sorted; likewise.
        ranges: Of accounts and regions, as far as they are columns, the least and the greatest
            value by the statistics.
        first_day: The first day with a part.
        last_day: The last day with a part.
        stragglers: How many of the parts and rows are stragglers'.
        columns: Sizes of the leaf columns over all parts.
        schema_versions: Parts by `schema.SCHEMA_VERSION`, "" where a footer does not say.
        settings: Parts by value of each setting, and of what else footers say about how they were
            made; lists and the like as JSON.
        changed: The current settings from which some part differs.
        strangers: Keys of objects that are not parts or lie outside partitions; readers trip over
            them.
    """

    uri: str
    parts: int
    rows: int
    bytes: int
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    ranges: dict[str, Range]
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
