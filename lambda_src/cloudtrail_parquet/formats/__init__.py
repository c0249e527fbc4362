"""Formats that know nothing of CloudTrail: JSON text, gzip, Thrift, Parquet footers, VARIANT."""
