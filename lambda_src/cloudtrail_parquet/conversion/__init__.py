"""Converting one unit, or a shard of it: from log files to published parts and a receipt."""
