"""Values as DuckDB's own text, where what takes them has no such type."""

from collections.abc import Iterator
from io import BytesIO
from itertools import count

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def texts_of(column: pa.Array) -> pa.Array:
    """Values of any type as DuckDB writes them, string; times in UTC."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        values = pa.table({"value": column})
        return (
            con.from_arrow(values)
            .project("CAST(value AS VARCHAR) AS value")
            .to_arrow_table()["value"]
            .combine_chunks()
            .cast(pa.string())
        )


def has_place(type_: pa.DataType) -> bool:
    """Whether Parquet has a place for values of a type: not for intervals and unions."""
    try:
        pq.ParquetWriter(BytesIO(), pa.schema({"value": type_})).close()
    except pa.ArrowNotImplementedError:
        return False
    return True


def numbered(names: list[str]) -> Iterator[str]:
    """Names with a number at all but the first of the same: ``a``, ``a_1``."""
    taken = set(names)
    seen = set[str]()
    for name in names:
        new = name
        if name in seen:
            new = next(each for n in count(1) if (each := f"{name}_{n}") not in taken)
        taken.add(new)
        seen.add(name)
        yield new
