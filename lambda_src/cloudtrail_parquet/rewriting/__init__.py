"""Parts made of parts, without the log files; and parts that are no longer kept."""
