"""Parts and their rows: read, changed, arranged, and written."""
