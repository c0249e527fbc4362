"""The commands ``backfill``."""
