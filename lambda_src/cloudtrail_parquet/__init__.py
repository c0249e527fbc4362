"""AWS CloudTrail log files as small, fast, typed Parquet."""
