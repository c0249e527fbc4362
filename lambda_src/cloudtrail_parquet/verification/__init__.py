"""Verifying a dataset: that its parts are unaltered, and that they hold what the log files hold.

This room shares no code with those that write: it reads log files with `json`, parts with pyarrow,
and compares. Of the converter it knows the layout of keys, the declared schema, and receipts as
data (tests/unit/verification/test_verification.py).
"""
