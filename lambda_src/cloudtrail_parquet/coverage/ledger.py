"""The ledger: what receipts say, a row for each place and day, in a Parquet file for each month.

Rows are sorted by account, region and day. What belongs to a unit as a whole stands in each of its
rows as text, and in the first one as a number, so that sums are right. Columns that tell the state
of a day come first, next to one another: they are read together, without the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.state.figures import Files, Part, PlaceFigures, PlaceTable, Records
from cloudtrail_parquet.state.marks import LEDGER, Month
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of
from cloudtrail_parquet.storage import ReadStore

VERSION = 1
"""Of what is in the ledger. One of any other version is made again from the receipts."""

_VERSION_KEY = b"cloudtrail_parquet.ledger"
_TEXT = pa.dictionary(pa.int32(), pa.string())
_COUNTS = Records.__struct_fields__

DAYS = pa.schema([("account", _TEXT), ("region", _TEXT), ("day", pa.date32())])
"""The columns that tell which days of places there are."""

HOT = pa.schema(
    [
        *DAYS,
        ("how", _TEXT),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
        ("written", pa.int64()),
        ("straggled", pa.int64()),
    ]
)
"""The columns that tell the state of each day. ``how`` is a `How`; ``files`` and ``bytes`` are of
log files, as in a receipt's table of places; ``written`` and ``straggled`` count records."""

SCHEMA = pa.schema(
    [
        *HOT,
        *((name, pa.int64()) for name in _COUNTS if name not in HOT.names),
        ("is_first", pa.bool_()),
        ("spans", pa.int8()),
        ("receipt", pa.string()),
        ("fingerprint", pa.string()),
        ("place_fingerprint", pa.string()),
        ("kept", _TEXT),
        ("kept_source", pa.string()),
        ("converted_at", pa.timestamp("s", "UTC")),
        ("converter", _TEXT),
        ("files_read", pa.int64()),
        ("files_quarantined", pa.int64()),
        ("unplaced", pa.int64()),
        ("bytes_out", pa.int64()),
        ("conflicts", pa.int64()),
        ("additions", pa.int64()),
        ("seconds", pa.float64()),
        (
            "parts",
            pa.list_(
                pa.struct([("key", pa.string()), ("rows", pa.int64()), ("bytes", pa.int64())])
            ),
        ),
    ]
)
"""All columns. ``receipt`` is the version of the receipt's object. ``spans`` is the number of names
that the unit lacks: 0, or 1 if it spans all regions, or 2 for all accounts as well. Those from
``files_read`` on are of the unit, and stand in its first row only: ``is_first``."""


class How(msgspec.Struct, frozen=True, kw_only=True):
    """What many rows have in common; the attributes are those of `Receipt`.

    Attributes:
        status: ``partial`` if something of the place could not be read, or the receipt does not
            tell of which place it was; ``unreadable`` of a receipt that cannot be read.
        place: The state of the place in the receipt's table.
        is_kept: Whether the parts were kept.
        may_retry: Whether something could not be read that may be readable now.
    """

    status: Literal["complete", "partial", "unreadable"]
    settled: bool = False
    place: Literal["read", "refused", "aside"] = "read"
    is_kept: bool = False
    may_retry: bool = False
    rebuilt: bool = False
    is_expired: bool = False
    schema_version: int = 0
    lookbehind_s: int = 0
    lookahead_s: int = 0
    folders: tuple[str, ...] = ()
    settings: dict[str, Any] = {}

    @classmethod
    @lru_cache(4096)
    def of_text(cls, text: str) -> "How":
        """Read what the ledger has."""
        return msgspec.json.decode(text, type=cls)


def ledger_key(month: Month) -> str:
    """The key of a month, below the state."""
    return f"{LEDGER}{month.folder}.parquet"


def rows_of(unit: Unit, version: str, receipt: Receipt | None) -> Iterator[dict[str, Any]]:
    """The rows of a receipt; None for one that cannot be read."""
    common = {"day": unit.day, "receipt": version, "spans": sum(not name for name in unit.span)}
    if receipt is None:
        how = _text(How(status="unreadable"))
        yield {**common, **unit.span._asdict(), "how": how, "is_first": True}
        return
    common |= {
        "fingerprint": receipt.source_fingerprint,
        "kept": receipt.kept,
        "kept_source": receipt.kept_source,
        "converted_at": receipt.converted_at,
        "converter": receipt.converter,
    }
    of_unit = {
        "is_first": True,
        "files_read": receipt.files.read,
        "files_quarantined": receipt.files.quarantined,
        "unplaced": sum(folder.files for folder in receipt.unplaced),
        "bytes_out": receipt.bytes_out,
        "conflicts": receipt.conflicts,
        "additions": receipt.additions,
        "seconds": receipt.seconds,
        "parts": msgspec.to_builtins(receipt.parts),
    }
    places = receipt.places or {unit.account: {unit.region: _without_places(receipt)}}
    damaged = _damaged(receipt)
    for account, regions in places.items():
        for region, figures in regions.items():
            is_whole = damaged is not None and (account, region) not in damaged
            yield {
                **common,
                "account": account,
                "region": region,
                "how": _text(_how(receipt, figures, is_whole=is_whole)),
                "files": figures.files,
                "bytes": figures.bytes,
                "place_fingerprint": figures.fingerprint,
                **dict(zip(_COUNTS, figures.records, strict=True)),
                **of_unit,
            }
            of_unit = {"is_first": False}


def _without_places(receipt: Receipt) -> PlaceFigures:
    """The figures of a receipt from before there were tables of places."""
    counts = msgspec.structs.astuple(receipt.records)
    return PlaceFigures("read", receipt.files.listed, receipt.bytes_in, counts)


def _damaged(receipt: Receipt) -> set[tuple[str, str]] | None:
    """The places of which a log file or a record could not be read; None if any may be one."""
    if receipt.status == "complete":
        return set()
    named = [bad for bad in receipt.quarantined if bad.record is None]
    if receipt.kept or not receipt.places or len(named) < receipt.files.quarantined:
        return None
    at = _COUNTS.index("quarantined")
    damaged = {
        (account, region)
        for account, regions in receipt.places.items()
        for region, figures in regions.items()
        if figures.records[at]
    }
    for bad in named:
        folders = bad.key.split("/")[:-1]
        found = {(one, other) for one in folders for other in folders} & {
            (account, region)
            for account in receipt.places.keys() & set(folders)
            for region in receipt.places[account]
        }
        if not found:
            return None
        damaged |= found
    return damaged


def _how(receipt: Receipt, figures: PlaceFigures, *, is_whole: bool) -> How:
    return How(
        status="complete" if is_whole else receipt.status,
        settled=receipt.settled,
        place=figures.state,
        is_kept=bool(receipt.kept),
        may_retry=any(bad.retryable for bad in receipt.quarantined),
        rebuilt=receipt.rebuilt,
        is_expired=receipt.is_expired,
        schema_version=receipt.schema_version,
        lookbehind_s=receipt.lookbehind_s,
        lookahead_s=receipt.lookahead_s,
        folders=receipt.folders,
        settings=receipt.settings,
    )


def _text(how: How) -> str:
    return msgspec.json.encode(how, order="deterministic").decode()


def table_of(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of `SCHEMA`."""
    return pa.Table.from_pylist(list(rows), SCHEMA)


def in_order(table: pa.Table) -> pa.Table:
    """The same rows, as the ledger has them."""
    keys = pa.table(
        {
            "account": table["account"].cast(pa.string()),
            "region": table["region"].cast(pa.string()),
            "day": table["day"],
        }
    )
    order = pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names])
    return table.take(order)


def to_bytes(table: pa.Table) -> bytes:
    """A month as it is stored."""
    file = BytesIO()
    pq.write_table(
        table.replace_schema_metadata({_VERSION_KEY: str(VERSION)}),
        file,
        compression="zstd",
        row_group_size=max(table.num_rows, 1),
        write_statistics=False,
    )
    return file.getvalue()


def read_month(state: ReadStore, month: Month, columns: pa.Schema = SCHEMA) -> pa.Table:
    """Some columns of a month, all of its rows; n rows in order.

    Raises:
        StorageError: The store does not answer, or there is no such month.
        ArrowException: It is damaged.
        ValueError: It is of another version.
    """
    key, is_whole = ledger_key(month), columns == SCHEMA
    with BytesIO(state.read(key)) if is_whole else state.open(key) as file:  # in one request
        names = [field.name for field in columns if field.type == _TEXT]
        stored = pq.ParquetFile(file, pre_buffer=True, read_dictionary=names)
        version = (stored.metadata.metadata or {}).get(_VERSION_KEY, b"")
        if version != str(VERSION).encode():
            raise ValueError(f"{key} is of version {version.decode(errors='replace')!r}")
        table = stored.read(columns.names)
    return table.replace_schema_metadata().cast(columns)


def unit_of_row(row: Mapping[str, Any]) -> Unit:
    """The unit of a row with ``account``, ``region``, ``day`` and ``spans``."""
    spans = row["spans"]
    account = "" if spans > 1 else row["account"]
    return Unit(account, "" if spans else row["region"], row["day"])


def receipt_of_rows(rows: Sequence[Mapping[str, Any]]) -> Receipt:
    """As much of a receipt as its unit is compared by, from its rows, the first one first."""
    row, places = rows[0], PlaceTable()
    how = How.of_text(row["how"])
    for each in rows:
        state, fingerprint = How.of_text(each["how"]).place, each["place_fingerprint"] or ""
        figures = PlaceFigures(state, fingerprint=fingerprint)
        places.setdefault(each["account"], {})[each["region"]] = figures
    unit = unit_of_row(row)
    made = Made(
        converted_at=row["converted_at"],
        schema_version=how.schema_version,
        lookbehind_s=how.lookbehind_s,
        lookahead_s=how.lookahead_s,
        folders=how.folders,
        source_fingerprint=row["fingerprint"],
        settings=how.settings,
    )
    quarantined = row["files_quarantined"] or 0
    files = Files(listed=quarantined, read=0, quarantined=quarantined)
    return receipt_of(
        unit,
        made,
        Read(files=files),
        Rows(records=Records(), places=places),
        [Part(**part) for part in row["parts"] or ()],
        is_complete=how.status == "complete",
        settled=how.settled,
        kept=row["kept"] or "",
        kept_source=row["kept_source"] or "",
        rebuilt=how.rebuilt,
    )


def days_in(table: pa.Table) -> tuple[date, date]:
    """The first and the last day of a table with rows."""
    ends = pc.min_max(table["day"]).as_py()
    return ends["min"], ends["max"]
