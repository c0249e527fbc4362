"""Backfills by a queue: what they take, sending them, how far they are, and what has failed."""
