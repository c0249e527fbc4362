"""One unit, or a shard of it: from its log files to published parts and a receipt."""
