"""CloudTrail's digest files: whether log files are as they were delivered, and how to prove it."""
