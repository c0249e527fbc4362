"""Every knob of a conversion, with its default; the infrastructure reads the same constants."""

from dataclasses import dataclass

from cloudtrail_parquet.layout import Window

LOG_FOLDERS = ("CloudTrail",)
OPTIONAL_LOG_FOLDERS = ("CloudTrail-NetworkActivity", "CloudTrail-Insight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How conversions behave; built once, then passed down.

    Attributes:
        lookbehind_s: Seconds before a day from which deliveries may hold its records.
        lookahead_s: Seconds after a day up to which deliveries belong to it.
        settle_margin_s: Seconds after its window until a day is settled.
        folders: Exact names of the folders that are read.
        max_inflated_bytes: What one log file may inflate to.
        row_group_rows: Rows of a full row group.
        part_bytes: A part that has reached this size is followed by another.
        page_bytes: Size of a data page before compression.
        compression: Parquet codec.
        compression_level: Its level; None where the codec has none.
        sort_by: Columns that cluster the rows of a row group.
        plain_columns: Leaves that are written without a dictionary: nearly all values differ.
        bloom_columns: Leaves with a bloom filter in each row group.
        bloom_fpp: How often such a filter may say yes wrongly, 0 to 1.
        fetch_threads: Log files fetched at a time.
        fetch_ahead_bytes: How much of the source is fetched ahead of decoding.
        replace_shrunk: Replace a partition even when the source has fewer log files or readable
            records than it was made from.
        lease_s: After this a lease that was not given back is void.
        lease_wait_s: How long a run waits for another one of the same unit.
    """

    lookbehind_s: int = 15 * 60
    lookahead_s: int = 2 * 3600
    settle_margin_s: int = 3600
    folders: tuple[str, ...] = LOG_FOLDERS
    max_inflated_bytes: int = 2 << 30
    row_group_rows: int = 32_768
    part_bytes: int = 1 << 30
    page_bytes: int = 256 << 10
    compression: str = "zstd"
    compression_level: int | None = 3
    sort_by: tuple[str, ...] = ("eventSource", "eventName", "eventTime")
    plain_columns: tuple[str, ...] = (
        "eventID",
        "requestID",
        "sharedEventID",
        "requestParameters",
        "responseElements",
        "additionalEventData",
        "serviceEventDetails",
    )
    bloom_columns: tuple[str, ...] = (
        "eventID",
        "requestID",
        "userIdentity.accessKeyId",
        "sharedEventID",
    )
    bloom_fpp: float = 0.01
    fetch_threads: int = 4
    fetch_ahead_bytes: int = 2 << 20
    replace_shrunk: bool = False
    lease_s: int = 15 * 60
    lease_wait_s: int = 15 * 60

    @property
    def window(self) -> Window:
        """The delivery times that belong to a day."""
        return Window(self.lookbehind_s, self.lookahead_s)
