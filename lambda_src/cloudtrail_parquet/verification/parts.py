"""Parts as bytes and as rows: whether they are those of the receipt, and what is in them.

Each part is read once: its SHA-256 is computed, the checksum of each page is verified, and each row
becomes a digest of its record.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.schema.columns import METADATA_PREFIX, UNMAPPED
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.verification.restored import record_of
from cloudtrail_parquet.verification.rules import Masks
from cloudtrail_parquet.verification.values import digest, id_of, normal

_BATCH_ROWS = 1024
_PIECE_BYTES = 1 << 20
_NO_MASKS = Masks(())

DAMAGE = (OSError, ValueError, ArithmeticError, LookupError, pa.ArrowException)
"""What damaged bytes make a reader raise."""


class Row(NamedTuple):
    """A row of a part.

    Attributes:
        number: Its index.
        record: Its record in normal form, masked; None if it cannot be restored.
        digest: Of the record in its place; empty if it cannot be restored.
        place: The account and the region that it is of.
        fault: What is wrong with the row alone: its day, its place, its text.
        unredacted: A free-form column with a value that rules redact.
    """

    number: int
    event_id: str
    digest: bytes
    place: Place
    fault: str = ""
    is_readable: bool = True
    unredacted: str = ""


class OpenPart:
    """A part that is read.

    Attributes:
        sha256: Of its bytes, in hexadecimal.
        size: In bytes.
        footer: What its footer says about how it was made.
        count: How many rows it has.
    """

    def __init__(self, file: BinaryIO, digest_: str, size: int) -> None:
        """``file`` is the part, whose digest and size are known."""
        self.sha256, self.size = digest_, size
        self._parquet = pq.ParquetFile(file, page_checksum_verification=True)
        metadata = self._parquet.metadata.metadata or {}
        prefix = METADATA_PREFIX.encode()
        self.footer = {
            key.removeprefix(prefix).decode(errors="replace"): value.decode(errors="replace")
            for key, value in metadata.items()
            if key.startswith(prefix)
        }
        self.count: int = self._parquet.metadata.num_rows

    def rows(self, unit: Unit, masks: Masks, own: Masks) -> Iterator[Row]:
        """All rows, as rows of a unit's partition.

        Args:
            unit: The unit.
            masks: Mask what any unit redacts, before rows are compared.
            own: Mask what the owner of the part redacts.
        """
        number = 0
        for batch in self._parquet.iter_batches(_BATCH_ROWS):
            for values in batch.to_pylist():
                yield _row(number, values, unit, masks, own)
                number += 1


@contextmanager
def opened(dataset: ReadStore, entry: Entry) -> Iterator[OpenPart]:
    """Read a part: from a disk as a file, from elsewhere whole.

    Raises:
        StorageError: It cannot be read.
        One of `DAMAGE`: Its bytes are not those of a part.
    """
    if dataset.parallel == 1:
        with dataset.open(entry.key) as file:
            hasher, size = sha256(), 0
            while piece := file.read(_PIECE_BYTES):
                hasher.update(piece)
                size += len(piece)
            file.seek(0)
            yield OpenPart(file, hasher.hexdigest(), size)
    else:
        data = dataset.read(entry.key)
        yield OpenPart(pa.BufferReader(data), sha256(data).hexdigest(), len(data))


def _row(number: int, values: dict[str, Any], unit: Unit, masks: Masks, own: Masks) -> Row:
    place = Place(
        unit.account or values.get("account") or "", unit.region or values.get("region") or ""
    )
    try:
        record = record_of(values)
        if values.get(UNMAPPED) is not None:  # columns alone give no nulls
            record = normal(record)
        unredacted = own.left(record)
        digest_ = digest(place, masks.record(record))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = f"its record cannot be restored ({error})"
        return Row(number, values.get("eventID") or "", b"", place, what, is_readable=False)
    moment = values.get("eventTime")
    fault = ""
    if moment is None or moment.date() != unit.day:
        fault = f"its time is {moment}, its partition that of {unit.day}"
    elif not all(place):
        fault = "it names no account or no region"
    return Row(number, id_of(record), digest_, place, fault, unredacted=unredacted)


def rows_by_id(
    dataset: ReadStore, entry: Entry, unit: Unit, masks: Masks, ids: pa.Array
) -> Iterator[Row]:
    """The rows of a part that have one of some ``eventID``s, or none; others are not made."""
    data = dataset.read(entry.key)
    parquet, number = pq.ParquetFile(pa.BufferReader(data)), 0
    for batch in parquet.iter_batches(_BATCH_ROWS):
        column = batch.column("eventID")
        wanted = pc.or_(pc.is_in(column, value_set=ids), column.is_null())
        for at in pc.indices_nonzero(wanted).to_pylist():
            yield _row(number + at, batch.slice(at, 1).to_pylist()[0], unit, masks, _NO_MASKS)
        number += batch.num_rows
