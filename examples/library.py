"""What a program does with the package: docs/python.md, as one file. It reads the folder logs."""

import json
from collections import Counter
from datetime import date

import polars as pl
import pyarrow.dataset as ds

from cloudtrail_parquet import UsageError, convert, export, make_settings, read_schema

for outcome in convert("logs", "cloudtrail", first=date(2026, 1, 9)):
    if outcome.receipt:
        print(f"{outcome.unit.name}: {outcome.receipt.records.written} records")
    else:
        print(f"error: {outcome.error}")

settings = make_settings(compression_level=9, sort_by=["eventTime"])
outcomes = list(convert("logs", "small", settings=settings, regions=["us-east-1"]))

try:
    convert("logs", "small", accounts=["123456789012"])
except UsageError as error:
    print(error)

schema = read_schema()
logs = ds.dataset("cloudtrail", schema, partitioning="hive")
denied = logs.to_table(filter=ds.field("errorCode") == "AccessDenied")

frame = pl.scan_parquet(
    "cloudtrail/",
    schema=pl.Schema(schema),
    missing_columns="insert",
    extra_columns="ignore",
    cast_options=pl.ScanCastOptions(missing_struct_fields="insert", extra_struct_fields="ignore"),
    hive_partitioning=True,
)
days = frame.group_by("account", "year", "month", "day").len().collect()

calls = Counter[tuple[str, str]]()
for text in export("cloudtrail", last=date(2026, 1, 10)):
    record = json.loads(text)
    calls[record["eventSource"], record["eventName"]] += 1
