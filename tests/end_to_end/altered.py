"""Parts and receipts, changed as somebody does who wants to hide something."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write a part again with other rows, and the footer that it had."""
    part = pq.ParquetFile(path)
    metadata = {k: v for k, v in part.metadata.metadata.items() if k != b"ARROW:schema"}
    table = change(part.read())
    with pq.ParquetWriter(path, table.schema, write_page_checksum=True, store_schema=False) as out:
        out.add_key_value_metadata(metadata)
        out.write_table(table)


def replaced(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    """A table with another value in a row."""
    values = table[name].to_pylist()
    values[row] = value
    column = pa.array(values, table[name].type)
    return table.set_column(table.column_names.index(name), table.schema.field(name), column)


def without(table: pa.Table, row: int) -> pa.Table:
    """A table without a row."""
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def row_of(path: Path, event_id: str) -> int:
    """The row of an event in a part."""
    ids: list[str] = pq.read_table(path, columns=["eventID"])["eventID"].to_pylist()
    return ids.index(event_id)


def sign(receipt: Path, key: str, part: Path) -> None:
    """Make a receipt agree with a part that was written again: its size, rows and hash."""
    told = json.loads(receipt.read_text())
    for each in told["parts"]:
        if each["key"] == key:
            each |= {"bytes": part.stat().st_size, "rows": pq.read_metadata(part).num_rows}
            each["sha256"] = sha256(part.read_bytes()).hexdigest()
    told["bytes_out"] = sum(each["bytes"] for each in told["parts"])
    receipt.write_text(json.dumps(told))


def flip(path: Path, at: float = 0.5) -> None:
    """Change one bit, at a share of the length of a file."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(data)


def swap(one: Path, other: Path) -> None:
    """Let two files hold what the other one held."""
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
