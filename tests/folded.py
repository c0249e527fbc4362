"""Datasets of other layouts, made of one in the default layout."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.layout import partition, span_of, unit_of
from cloudtrail_parquet.records.json_columns import file_schema
from cloudtrail_parquet.schema.columns import PLACE_SCHEMAS


def in_layout(dataset: Path, out: Path, layout: PartitionLayout) -> Path:
    """Write the rows of a dataset in the default layout as they are in another layout.

    Each part has one row group with the places in order, as small places share them.
    """
    columns = file_schema("string", layout)
    places = PLACE_SCHEMAS[layout].names
    parts = defaultdict(list)
    for path in sorted(dataset.rglob("*.parquet")):
        unit = unit_of(str(path.relative_to(dataset)))
        assert unit is not None
        folded = unit._replace(**span_of(unit.span, layout)._asdict())
        parts[f"{partition(folded, layout)}{path.name}"].append((unit, path))
    for key, group in parts.items():
        (out / key).parent.mkdir(parents=True, exist_ok=True)
        tables = []
        for unit, path in group:
            rows = pq.ParquetFile(path).read()
            for name in places:
                value = pa.repeat(getattr(unit, name), rows.num_rows)
                rows = rows.append_column(columns.field(name), value)
            tables.append(rows.cast(columns))
        pq.write_table(pa.concat_tables(tables), out / key, store_schema=False)
    return out
