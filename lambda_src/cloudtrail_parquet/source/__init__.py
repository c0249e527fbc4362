"""What lies in the source: accounts, regions, days and log files."""
