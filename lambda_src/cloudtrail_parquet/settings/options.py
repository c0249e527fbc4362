"""The few settings that each room uses, as small objects that are made only here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.schema.columns import JsonEncoding
from cloudtrail_parquet.settings.rules import Discard, Redact
from cloudtrail_parquet.settings.settings import DEFAULT_LEVELS, Settings


class FetchOptions(NamedTuple):
    """How log files are fetched.

    Attributes:
        threads: Log files fetched at a time.
        ahead_bytes: Stored bytes fetched ahead of decoding.
        max_inflated_bytes: What one log file may inflate to.
    """

    threads: int
    ahead_bytes: int
    max_inflated_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "FetchOptions":
        """Take them from all settings."""
        return cls(settings.fetch_threads, settings.fetch_ahead_bytes, settings.max_inflated_bytes)


class LeaseOptions(NamedTuple):
    """How leases are held.

    Attributes:
        wait_s: Seconds to wait for another holder.
        expires_s: Seconds after a holder's last sign of life until a lease is void.
    """

    wait_s: int
    expires_s: int

    @classmethod
    def of(cls, settings: Settings) -> "LeaseOptions":
        """Take them from all settings."""
        return cls(settings.lease_wait_s, settings.lease_s)


class DatasetOptions(NamedTuple):
    """What decides which unit owns a record, and where its parts lie."""

    window: Window
    folders: tuple[str, ...]
    layout: PartitionLayout

    @classmethod
    def of(cls, settings: Settings) -> "DatasetOptions":
        """Take them from all settings."""
        return cls(settings.window, settings.folders, settings.partition_layout)


class RowOptions(NamedTuple):
    """Which rows there are, and how they are arranged in row groups.

    Attributes:
        discard: Rules for records that are not kept.
        redact: Rules for values that are not kept.
        group_rows: Rows of a full row group.
        group_bytes: Bytes of a row group in memory, where its rows are large.
        sort_by: Leaves that cluster the rows of a row group; empty for time.
        place_columns: Which of account and region are columns of the rows, which come first in
            their order.
    """

    discard: tuple[Discard, ...]
    redact: tuple[Redact, ...]
    group_rows: int
    group_bytes: int
    sort_by: tuple[str, ...]
    place_columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "RowOptions":
        """Take them from all settings."""
        return cls(
            settings.discard,
            settings.redact,
            settings.row_group_rows,
            settings.row_group_bytes,
            settings.sort_by,
            PLACE_COLUMNS[settings.partition_layout],
        )


class WriterOptions(NamedTuple):
    """What parts look like; docs/settings.md describes each setting.

    Attributes:
        codec: Of all columns, with its level if it has levels.
    """

    codec: tuple[str, int | None]
    column_compression: Mapping[str, str]
    column_encoding: Mapping[str, str]
    row_group_rows: int
    part_bytes: int
    page_bytes: int
    page_rows: int
    page_checksums: bool
    sort_by: tuple[str, ...]
    without_statistics: tuple[str, ...]
    bloom_columns: tuple[str, ...]
    bloom_fpp: float
    json_encoding: JsonEncoding
    layout: PartitionLayout = DEFAULT_LAYOUT

    def __hash__(self) -> int:  # mappings have none, and a part of what is equal will do
        return hash((self.codec, self.row_group_rows, self.sort_by, self.json_encoding))

    @classmethod
    def of(cls, settings: Settings) -> "WriterOptions":
        """Take them from all settings."""
        codec = settings.compression
        return cls(
            codec=(codec, settings.compression_level or DEFAULT_LEVELS.get(codec)),
            column_compression=settings.column_compression,
            column_encoding=settings.column_encoding,
            row_group_rows=settings.row_group_rows,
            part_bytes=settings.part_bytes,
            page_bytes=settings.page_bytes,
            page_rows=settings.page_rows,
            page_checksums=settings.page_checksums,
            sort_by=settings.sort_by,
            without_statistics=settings.without_statistics,
            bloom_columns=settings.bloom_columns,
            bloom_fpp=settings.bloom_fpp,
            json_encoding=settings.json_encoding,
            layout=settings.partition_layout,
        )


class ConversionOptions(NamedTuple):
    """The settings of a conversion, in the portions that it hands on.

    Attributes:
        shaping: The settings that files depend on, by name, as footers and receipts have them.
        row_shaping: Those of them that rows depend on.
        settle_margin_s: Seconds after its window until a day is settled.
        replace_shrunk: Whether a partition is replaced even when its source has lost something.
    """

    dataset: DatasetOptions
    fetch: FetchOptions
    rows: RowOptions
    writer: WriterOptions
    lease: LeaseOptions
    shaping: Mapping[str, Any]
    row_shaping: Mapping[str, Any]
    settle_margin_s: int
    replace_shrunk: bool

    @property
    def shaping_json(self) -> str:
        """`shaping` as a JSON object."""
        return msgspec.json.encode(self.shaping).decode()

    @classmethod
    def of(cls, settings: Settings) -> "ConversionOptions":
        """Take them from all settings."""
        return cls(
            dataset=DatasetOptions.of(settings),
            fetch=FetchOptions.of(settings),
            rows=RowOptions.of(settings),
            writer=WriterOptions.of(settings),
            lease=LeaseOptions.of(settings),
            shaping=settings.shaping(),
            row_shaping=settings.shaping("rows"),
            settle_margin_s=settings.settle_margin_s,
            replace_shrunk=settings.replace_shrunk,
        )


class PlanOptions(NamedTuple):
    """The settings that receipts are compared with.

    Attributes:
        rows: The settings that rows depend on, by name.
        files: The settings that only the look of files depends on, by name.
        settle_margin_s: Seconds after its window until a day is settled.
        replace_shrunk: Whether a partition is replaced even when its source has lost something.
    """

    dataset: DatasetOptions
    rows: Mapping[str, Any]
    files: Mapping[str, Any]
    settle_margin_s: int
    replace_shrunk: bool

    @classmethod
    def of(cls, settings: Settings) -> "PlanOptions":
        """Take them from all settings."""
        rows, files = settings.shaping("rows"), settings.shaping("files")
        return cls(
            dataset=DatasetOptions.of(settings),
            rows=rows,
            files=files,
            settle_margin_s=settings.settle_margin_s,
            replace_shrunk=settings.replace_shrunk,
        )
