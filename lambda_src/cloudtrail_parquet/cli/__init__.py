"""The command ``cloudtrail-parquet``."""
