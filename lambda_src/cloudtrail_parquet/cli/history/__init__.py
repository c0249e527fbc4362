"""The commands about what has been converted over the years."""
