"""AWS CloudTrail log files as small, fast, typed Parquet."""

__version__ = "0.1.0"
