"""The dataset: its parts, written and read back, and its properties."""
