"""What parts hold, read with plain pyarrow."""

from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import pyarrow.parquet as pq

from tests.simulation.deliveries import SECRET, Place


class HeldRow(NamedTuple):
    """A row of a part.

    Attributes:
        serial: The serial of its record.
        redacted: Whether its password is.
        place: Account and region, either of them "" if the part has no such column.
    """

    serial: int
    redacted: bool
    place: Place


@lru_cache(5_000)
def rows_in(data: bytes) -> int:
    """How many rows a part has, by its footer."""
    rows: int = pq.read_metadata(BytesIO(data)).num_rows
    return rows


@lru_cache(2_000)
def read_rows(data: bytes) -> list[HeldRow]:
    """The rows of a part, in order."""
    part = pq.ParquetFile(BytesIO(data))
    names = [name for name in Place._fields if name in part.schema_arrow.names]
    table = part.read(columns=["userAgent", "requestParameters", *names])
    return [
        HeldRow(
            int(row["userAgent"].partition("/")[2]),
            "password" in row["requestParameters"] and SECRET not in row["requestParameters"],
            Place(row.get("account", ""), row.get("region", "")),
        )
        for row in table.to_pylist()
    ]
