"""The source: its accounts, regions, days and log files."""
